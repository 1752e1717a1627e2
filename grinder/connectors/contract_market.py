"""What a connector promises of the account and the market.

Law: a check knows the port and the stage, no exchange and no test runner; see `grinder.connectors.contract`.
"""

from __future__ import annotations

from actors.ports import (
    Gap,
    Quote,
)
from grinder.connectors.stage import SPREAD, Scene, eventually, expect


async def rules_are_those_of_the_instrument(scene: Scene) -> None:
    """Steps are told exactly; a symbol nobody knows is left out."""
    found = await scene.connector.rules([scene.symbol, "NOSUCHTHING"])
    expect(set(found) == {scene.symbol}, f"asked for {scene.symbol} and one unknown, got {sorted(found)}")
    rules, instrument = found[scene.symbol], scene.stage.instrument
    expect(f"{rules.tick:f}" == instrument.tick, f"tick is {rules.tick}, not {instrument.tick}")
    expect(f"{rules.lot:f}" == instrument.lot, f"lot is {rules.lot}, not {instrument.lot}")
    expect((rules.base, rules.quote) == (instrument.base, instrument.quote), "base and quote differ")
    expect(rules.kind == instrument.kind, f"kind is {rules.kind}, not {instrument.kind}")
    expect(rules.trading, "an open market is said to be closed")


async def the_key_is_known_to_trade_and_not_to_withdraw(scene: Scene) -> None:
    """Permissions are told, the clock too."""
    found = await scene.connector.permissions()
    expect(found.trade and not found.withdraw, f"a key that may only trade is said to be {found}")
    first = await scene.connector.server_time_ns()
    expect(0 <= await scene.connector.server_time_ns() - first < 60 * 10**9, "the exchange's clock jumps")


async def balances_match_the_exchange(scene: Scene) -> None:
    """Totals count what an order has locked."""
    await scene.placed(scene.terms())
    await balances_are_told(scene)


async def quotes_arrive(scene: Scene) -> None:
    """A change of the quotes reaches the listener, which is told where each frame ends, and a fresh decoder
    reads the same from the frames."""
    bid, ask = scene.stage.price_ticks + 1, scene.stage.price_ticks + SPREAD + 2
    async with scene.listening() as heard:
        await scene.stage.quote(bid, ask)

        async def seen() -> bool:
            quotes = [one for one in heard.signals if isinstance(one, Quote)]
            return bool(quotes) and (quotes[-1].bid_ticks, quotes[-1].ask_ticks) == (bid, ask)

        await eventually(seen, "the last quote is the market's")
        frames, signals, ended = list(heard.frames), list(heard.signals), list(heard.ended)
    expect(ended == [stream for stream, _, _ in frames], "it is not told where each frame ends")
    if frames:
        decoder = scene.connector.decoder()
        again = [one for stream, frame, at in frames for one in decoder.decode(stream, frame, at)]
        expect(again == signals, "decoding the recorded frames again gives something else")


async def a_frame_nobody_can_read_is_a_gap(scene: Scene) -> None:
    """No frame raises."""
    for frame in (b"<html>502</html>", b'{"cut', b"[" * 100_000, b"\xff\x00", b"null"):
        found = list(scene.connector.decoder().decode("market", frame, 1))
        kept = all(isinstance(one, Gap) for one in found) and (found or frame == b"null")
        expect(bool(kept), f"{frame[:20]!r} was decoded as {found!r}")


async def recently(scene: Scene) -> int:
    """A minute ago by the exchange's clock, ns."""
    return await scene.connector.server_time_ns() - 60 * 10**9


async def balances_are_told(scene: Scene) -> None:
    """Part of other checks."""
    real = {asset: total for asset, total in (await scene.stage.totals()).items() if total}
    told = {asset: total for asset, total in (await scene.connector.balances()).items() if total}
    expect(told == real, f"balances are told as {told}, and are {real}")
