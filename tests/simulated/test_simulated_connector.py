"""The exchange in the process: what its answers and streams say, under every fault, on virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from connector_scene import CANCELLED, FILLED, WORKING, Scene, play, ref
from immutables import Map
from toys import BTC, SECOND, T0, USDT, desk_at, instrument

from actors.ports import Gap, OrderRefused, OrderSnapshot, Placed, Quote, Trade
from domain.account_state import Order
from domain.books import Position
from domain.orders import OrderStatus
from grinder.connectors.simulated import SimulatedConnector
from replay.exchange.rolling import quote_row

# --- without faults ------------------------------------------------------------------------------------


def test_an_order_is_placed_told_filled_and_found_again() -> None:
    async def act(scene: Scene) -> None:
        assert await scene.place() == [Placed(exchange_order_id="1", resting=True)]
        await scene.falls()
        found = await scene.it.order(ref())
        assert found is not None
        assert (found.status, found.filled_lots, found.exchange_order_id) == (FILLED, 10, "1")
        assert await scene.it.fills(BTC, 0) == scene.ear.fills()
        assert await scene.it.open_orders() == []
        assert (await scene.it.balances())["BTC"] == Decimal("1.010")
        assert await scene.it.order(ref("unknown")) is None
        assert await scene.it.positions() == []

    scene = play(act)
    assert scene.ear.statuses() == [WORKING, FILLED]
    assert scene.ear.streams == ["market up", "private up"]


def test_requests_and_answers_each_take_the_latency() -> None:
    async def act(scene: Scene) -> None:
        began = scene.loop.now_ns()
        await scene.place()
        assert scene.loop.now_ns() - began == 2 * SECOND
        assert scene.desk.orders["1"].created_ns - began == SECOND

    play(act, latency_s=1.0)


def test_refusals_carry_the_words_of_the_exchange() -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place(price=610_010)
        assert isinstance(answer, OrderRefused)
        assert answer.code == "-2010"
        (answer,) = await scene.cancel("nobody")  # type: ignore[assignment]
        assert isinstance(answer, OrderRefused)
        await scene.place("b")
        (ended,) = await scene.cancel("b")
        assert isinstance(ended, OrderSnapshot)
        assert (ended.status, ended.reason) == (CANCELLED, "requested")

    play(act)


def test_all_orders_of_a_symbol_are_cancelled_at_once() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a", "b", "c")
        await scene.it.cancel_all(BTC)
        assert await scene.it.open_orders() == []

    play(act)


def test_rules_are_what_the_exchange_takes_now() -> None:
    async def act(scene: Scene) -> None:
        rules = await scene.it.rules([BTC, "NONE"])
        assert list(rules) == [BTC]
        assert (rules[BTC].tick, rules[BTC].min_notional) == (Decimal("0.1"), Decimal(5))
        assert (rules[BTC].maker_bps, rules[BTC].taker_bps) == (Decimal(1), Decimal(5))
        scene.desk.replace_instrument(instrument(tick="0.5"))
        scene.desk.set_trading(BTC, False)
        changed = (await scene.it.rules([BTC]))[BTC]
        assert (changed.tick, changed.trading) == (Decimal("0.5"), False)
        scene.it.list_instruments({BTC: instrument()}, {})
        with pytest.raises(ValueError, match="scale"):
            scene.it.list_instruments({BTC: instrument(base_decimals=8)}, {})
        permissions = await scene.it.permissions()
        assert (permissions.trade, permissions.withdraw) == (True, False)

    play(act)


def test_rows_are_told_as_quotes_and_trades_and_frames_decode_to_the_same() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        now_ns = scene.loop.now_ns()
        scene.it.push(BTC, quote_row(now_ns, 609_500, 609_510, 7, 8))
        scene.it.push(BTC, quote_row(now_ns, 609_500, 609_510, 7, 8))
        scene.it.push(BTC, quote_row(now_ns, 609_400, 609_410, 7, 8), announce=False)
        await scene.falls()

    ear = play(act).ear
    market = [signal for stream, signal in ear.heard if stream == "market"]
    assert [type(one) for one in market] == [Quote, Trade]
    quote = market[0]
    assert isinstance(quote, Quote)
    assert (quote.bid_ticks, quote.ask_ticks, quote.bid_lots, quote.ask_lots) == (609_500, 609_510, 7, 8)
    decoder = SimulatedConnector(desk_at(), clock=lambda: T0).decoder()
    decoded = [(stream, one) for stream, raw, ns in ear.frames for one in decoder.decode(stream, raw, ns)]
    assert decoded == ear.heard
    assert [type(one) for one in decoder.decode("private", b"<html>", T0)] == [Gap]
    assert [type(one) for one in decoder.decode("private", b'[["Oops", {}]]', T0)] == [Gap]


def test_the_dead_man_fires_by_itself_and_not_when_disarmed() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        await scene.it.arm_dead_man(60)
        await asyncio.sleep(30)
        await scene.it.arm_dead_man(60)
        await asyncio.sleep(59)
        assert len(await scene.it.open_orders()) == 1
        await asyncio.sleep(2)
        assert await scene.it.open_orders() == []
        await scene.place("b")
        await scene.it.arm_dead_man(60)
        await scene.it.arm_dead_man(0)
        await asyncio.sleep(120)
        assert len(await scene.it.open_orders()) == 1

    assert play(act).ear.statuses() == [WORKING, CANCELLED, WORKING]


# --- another life --------------------------------------------------------------------------------------


def book_order(exchange_id: str, status: OrderStatus, filled_lots: int = 0) -> Order:
    return Order(
        symbol=BTC,
        side="buy",
        price_ticks=609_000,
        lots=10,
        status=status,
        reserve_asset="USDT",
        reserved=0,
        filled_lots=filled_lots,
        exchange_order_id=exchange_id,
    )


def test_an_account_goes_on_where_its_books_say_it_was() -> None:
    orders = Map(
        {
            "open": book_order("7", OrderStatus.OPEN),
            "part": book_order("9", OrderStatus.PARTIALLY_FILLED, 4),
            "done": book_order("12", OrderStatus.FILLED, 10),
            "unheard": book_order("", OrderStatus.PENDING),
        }
    )
    desk = desk_at()

    async def act(scene: Scene) -> None:
        scene.it.restore(orders, {"USDT": 5_000 * USDT, "BTC": 77}, {})
        shown = [(one.client_order_id, one.exchange_order_id) for one in await scene.it.open_orders()]
        assert shown == [("open", "7"), ("part", "9")]
        assert (await scene.it.balances())["USDT"] == Decimal(5_000)
        assert await scene.it.order(ref("unheard")) is None
        (answer,) = await scene.place("new", price=600_000)
        assert answer == Placed(exchange_order_id="13", resting=True)
        await scene.falls()
        assert [(one.client_order_id, one.lots, one.fill_id) for one in scene.ear.fills()] == [
            ("open", 10, "BTCUSDT-7-10"),
            ("part", 6, "BTCUSDT-9-10"),
        ]

    play(act, desk=desk)


def test_a_perpetual_position_is_taken_over_from_the_books() -> None:
    desk = desk_at(one=instrument(kind="linear"), balances={})

    async def act(scene: Scene) -> None:
        scene.it.restore(Map(), {"USDT": 100}, {BTC: Position(20, 5)})
        (held,) = await scene.it.positions()
        assert (held.symbol, held.base_units) == (BTC, 20)
        assert desk.positions() == {BTC: (20, 5)}

    play(act, desk=desk)


def test_the_same_plan_and_seed_give_the_same_story() -> None:
    rules = (
        {"kind": "drop_reply", "probability": 0.2},
        {"kind": "late_order", "probability": 0.2, "seconds": 7},
        {"kind": "duplicate_fill", "probability": 0.3},
        {"kind": "cut_stream", "operations": ("private",), "probability": 0.05, "seconds": 3},
        {"kind": "external_cancel", "probability": 0.3},
    )

    async def act(scene: Scene) -> None:
        for number in range(40):
            await scene.place(str(number), price=609_000 - number * 10)
            await scene.falls(609_000 - number * 10 + (200 if number % 2 else -5))

    first, second, other = (play(act, *rules, seed=seed) for seed in (5, 5, 6))
    assert first.ear.heard == second.ear.heard
    assert first.ear.frames == second.ear.frames
    assert first.faults.fired() == second.faults.fired()
    assert set(first.faults.fired()) == {rule["kind"] for rule in rules}
    assert first.ear.heard != other.ear.heard
