"""The exchange in the process: what its answers and streams say, under every fault, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from immutables import Map
from toys import BTC, SECOND, T0, USDT, desk_at, instrument, plan, terms

from actors.ports import (
    ClockSkewed,
    Connector,
    ExchangeError,
    Gap,
    Listener,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    RateLimited,
    Signal,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.account_state import Order
from domain.books import Position
from domain.inputs import FillReport
from domain.orders import OrderStatus
from grinder.connectors.simulated import SimulatedConnector
from replay import virtual_time
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row, trade_row
from replay.faults import FaultPlan
from replay.virtual_time import VirtualTimeLoop

WORKING, FILLED, CANCELLED = SnapshotStatus.WORKING, SnapshotStatus.FILLED, SnapshotStatus.CANCELLED


class Ear:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Signal]] = []
        self.frames: list[tuple[str, bytes, int]] = []
        self.streams: list[str] = []

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append((stream, frame, received_ns))

    def signal(self, stream: str, signal: Signal) -> None:
        self.heard.append((stream, signal))

    def stream_up(self, stream: str) -> None:
        self.streams.append(f"{stream} up")

    def stream_down(self, stream: str, reason: str) -> None:
        self.streams.append(f"{stream} down")

    def private(self) -> list[Signal]:
        return [signal for stream, signal in self.heard if stream == "private"]

    def fills(self) -> list[FillReport]:
        return [one for one in self.private() if isinstance(one, FillReport)]

    def statuses(self) -> list[SnapshotStatus]:
        return [one.status for one in self.private() if isinstance(one, OrderSnapshot)]


class Scene:
    """A connector on a desk, with an ear on its streams."""

    def __init__(self, loop: VirtualTimeLoop, faults: FaultPlan, latency_s: float, desk: Desk) -> None:
        self.loop = loop
        self.ear = Ear()
        self.desk = desk
        self.faults = faults
        self.it = SimulatedConnector(desk, faults, clock=loop.now_ns, latency_s=latency_s)
        self.listening: asyncio.Future[None]
        self._as_port: tuple[Connector, Listener] = (self.it, self.ear)

    async def place(self, *ids: str, price: int = 609_000) -> list[Placed | ExchangeError]:
        return await self.it.place([terms(one, "buy", price, 10) for one in ids or ("a",)])

    async def cancel(self, *ids: str) -> list[OrderSnapshot | ExchangeError | None]:
        return await self.it.cancel([ref(one) for one in ids or ("a",)])

    async def falls(self, price: int = 608_000, lots: int = 100) -> None:
        """The market trades at a price, and what follows is told."""
        self.it.push(BTC, trade_row(self.loop.now_ns(), price, lots, -1, self.desk.quote(BTC)))
        await asyncio.sleep(0.5)


def ref(client_id: str = "a", exchange_id: str = "") -> OrderRef:
    return OrderRef(client_order_id=client_id, exchange_order_id=exchange_id, symbol=BTC)


def play(
    act: Callable[[Scene], Awaitable[None]],
    *rules: dict[str, Any],
    latency_s: float = 0.05,
    desk: Desk | None = None,
    seed: int = 0,
) -> Scene:
    """Run a scene on virtual time; returns it as it was left."""

    async def main(loop: VirtualTimeLoop) -> Scene:
        scene = Scene(loop, plan(*rules, seed=seed), latency_s, desk or desk_at())
        scene.listening = asyncio.ensure_future(scene.it.listen(scene.ear))
        await scene.it.open()
        await act(scene)
        scene.listening.cancel()
        await asyncio.gather(scene.listening, return_exceptions=True)
        await scene.it.close()
        return scene

    return virtual_time.run(main, T0)


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


# --- faults of requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "exists", "waits_s"),
    [
        ({"kind": "drop_request"}, False, 5),
        ({"kind": "drop_reply"}, True, 5),
        ({"kind": "delay_reply", "seconds": 9}, True, 5),
        ({"kind": "html_body"}, True, 0),
        ({"kind": "truncated_body"}, True, 0),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_an_order_without_an_answer_is_unknown_whether_it_exists_or_not(
    rule: dict[str, Any], exists: bool, waits_s: int
) -> None:
    async def act(scene: Scene) -> None:
        began = scene.loop.time()
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        assert int(scene.loop.time() - began) == waits_s
        assert (await scene.it.order(ref()) is not None) is exists

    scene = play(act, {**rule, "operations": ("place",), "limit": 1})
    assert scene.faults.fired() == {rule["kind"]: 1}
    assert scene.ear.statuses() == ([WORKING] if exists else []), "the stream tells what exists"


def test_a_delay_within_patience_is_only_a_delay() -> None:
    async def act(scene: Scene) -> None:
        began = scene.loop.time()
        assert await scene.place() == [Placed(exchange_order_id="1", resting=True)]
        assert scene.loop.time() - began == pytest.approx(3.1, abs=0.01)

    play(act, {"kind": "delay_reply", "operations": ("place",), "seconds": 3})


def test_a_late_order_is_not_there_and_appears_after_its_time() -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        await asyncio.sleep(50)
        assert await scene.it.order(ref()) is None
        assert await scene.it.open_orders() == []
        await asyncio.sleep(10)
        assert [one.client_order_id for one in await scene.it.open_orders()] == ["a"]

    assert play(act, {"kind": "late_order", "seconds": 60, "limit": 1}).ear.statuses() == [WORKING]


def test_an_unknown_status_leaves_either_outcome() -> None:
    outcomes: set[bool] = set()

    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        assert answer.code == "status_unknown"
        outcomes.add(await scene.it.order(ref()) is not None)

    for seed in range(8):
        play(act, {"kind": "status_unknown", "limit": 1}, seed=seed)
    assert outcomes == {True, False}


@pytest.mark.parametrize("banned", [False, True])
def test_who_is_limited_learns_for_how_long_and_nothing_was_done(banned: bool) -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, RateLimited)
        assert answer.banned is banned
        assert answer.retry_after_s == pytest.approx(30)
        await asyncio.sleep(29)
        with pytest.raises(RateLimited) as caught:
            await scene.it.balances()
        assert caught.value.retry_after_s < 1
        await asyncio.sleep(1)
        assert await scene.it.open_orders() == []

    kind = "ban" if banned else "rate_limit"
    play(act, {"kind": kind, "operations": ("place",), "retry_after": 30, "limit": 1})


def test_during_maintenance_nothing_answers_and_the_streams_come_back_after_it() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        scene.it.push(BTC, quote_row(scene.loop.now_ns(), 609_000, 610_000, 5, 5))
        (answer,) = await scene.place("b")
        assert isinstance(answer, Unavailable)
        with pytest.raises(Unavailable):
            await scene.it.order(ref())
        await asyncio.sleep(61)
        assert len(await scene.it.open_orders()) == 1

    rule = {"kind": "maintenance", "operations": ("market",), "seconds": 60, "limit": 1}
    streams = play(act, rule).ear.streams
    assert sorted(streams[2:4]) == ["market down", "private down"]
    assert sorted(streams[4:6]) == ["market up", "private up"]


@pytest.mark.parametrize("drift_s", [-10, 10])
def test_a_drifting_clock_refuses_until_it_is_measured_again(drift_s: int) -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, ClockSkewed)
        with pytest.raises(ClockSkewed):
            await scene.it.balances()
        told_ns = await scene.it.server_time_ns()
        assert told_ns - scene.loop.now_ns() == pytest.approx(drift_s * SECOND, abs=SECOND)
        assert isinstance((await scene.place())[0], Placed)

    rule = {"kind": "clock_drift", "operations": ("place",), "seconds": drift_s, "limit": 1}
    play(act, rule)


def test_a_refused_cancel_says_nothing_about_the_order() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        (answer,) = await scene.cancel()
        assert isinstance(answer, OrderRefused)
        found = await scene.it.order(ref())
        assert found is not None
        assert found.status is WORKING

    play(act, {"kind": "cancel_refused", "limit": 1})


def test_a_lost_answer_to_a_cancel_may_have_been_carried_out() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a", "b")
        answers = await scene.cancel("a", "b")
        assert [type(one) for one in answers] == [OutcomeUnknown] * 2
        assert await scene.it.open_orders() == []

    play(act, {"kind": "drop_reply", "operations": ("cancel",), "limit": 1})


def test_a_short_batch_leaves_the_last_unknown() -> None:
    async def act(scene: Scene) -> None:
        first, second = await scene.place("a", "b")
        assert isinstance(first, Placed)
        assert isinstance(second, OutcomeUnknown)
        assert len(await scene.it.open_orders()) == 2

    play(act, {"kind": "short_batch", "limit": 1})


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("drop_request", "order"),
        ("drop_reply", "open_orders"),
        ("html_body", "balances"),
        ("truncated_body", "positions"),
        ("null_price", "fills"),
        ("negative_fill", "fills"),
        ("delay_reply", "rules"),
    ],
)
def test_a_reading_request_that_fails_is_unavailable(kind: str, operation: str) -> None:
    async def act(scene: Scene) -> None:
        asked = {
            "order": lambda: scene.it.order(ref()),
            "open_orders": scene.it.open_orders,
            "balances": scene.it.balances,
            "positions": scene.it.positions,
            "fills": lambda: scene.it.fills(BTC, 0),
            "rules": lambda: scene.it.rules([BTC]),
        }
        with pytest.raises(Unavailable):
            await asked[operation]()  # type: ignore[operator]
        await asked[operation]()  # type: ignore[operator]

    play(act, {"kind": kind, "operations": (operation,), "limit": 1, "seconds": 9})


def test_lists_omit_orders_show_unknown_statuses_and_repeat_executions() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a", "b")
        assert len(await scene.it.open_orders()) == 1
        shown = await scene.it.open_orders()
        assert [one.status for one in shown] == [SnapshotStatus.UNREADABLE, WORKING]
        single = await scene.it.order(ref())
        assert single is not None
        assert single.status is SnapshotStatus.UNREADABLE
        await scene.falls()
        fills = await scene.it.fills(BTC, 0)
        assert len(fills) == 3
        assert fills[1] == fills[2]
        assert len(await scene.it.fills(BTC, 0)) == 2

    play(
        act,
        {"kind": "omit_open_order", "times": (1,)},
        {"kind": "unknown_status", "operations": ("open_orders",), "times": (2,)},
        {"kind": "unknown_status", "operations": ("order",), "times": (1,)},
        {"kind": "duplicate_fill", "operations": ("fills",), "times": (1,)},
    )


def test_reading_lags_behind_the_stream() -> None:
    async def act(scene: Scene) -> None:
        await asyncio.sleep(60)
        await scene.place()
        await asyncio.sleep(30)
        await scene.falls()
        assert scene.ear.statuses() == [WORKING, FILLED]
        found = await scene.it.order(ref())
        assert found is not None
        assert (found.status, found.filled_lots) == (WORKING, 0)
        assert await scene.it.fills(BTC, 0) == []
        await asyncio.sleep(60)
        found = await scene.it.order(ref())
        assert found is not None
        assert found.status is FILLED

    play(act, {"kind": "lag_rest", "seconds": 20, "for_s": 60, "limit": 1})


# --- faults of streams ---------------------------------------------------------------------------------


async def filled(scene: Scene) -> None:
    await scene.place()
    await scene.falls()
    await asyncio.sleep(2)


def test_a_fill_is_told_before_the_order() -> None:
    ear = play(filled, {"kind": "fill_before_ack", "limit": 1}).ear
    assert [type(one) for one in ear.private()] == [FillReport, OrderSnapshot, OrderSnapshot]
    assert ear.statuses() == [FILLED, WORKING]


def test_a_held_acknowledgement_comes_by_itself() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        assert scene.ear.private() == []
        await asyncio.sleep(2)

    assert play(act, {"kind": "fill_before_ack", "limit": 1}).ear.statuses() == [WORKING]


def test_fills_are_told_twice_or_without_an_id_that_lists_do_not_know_either() -> None:
    fills = play(filled, {"kind": "duplicate_fill"}).ear.fills()
    assert len(fills) == 2
    assert fills[0] == fills[1]

    async def act(scene: Scene) -> None:
        await filled(scene)
        assert await scene.it.fills(BTC, 0) == scene.ear.fills()
        assert scene.ear.fills()[0].fill_id.startswith("synthetic-")

    assert play(act, {"kind": "fill_without_id"}).faults.fired() == {"fill_without_id": 1}


def test_a_filled_order_is_told_as_new_again() -> None:
    ear = play(filled, {"kind": "status_regress"}).ear
    assert ear.statuses() == [WORKING, FILLED, WORKING]


def test_unreadable_messages_are_gaps_and_unknown_statuses_unreadable() -> None:
    ear = play(filled, {"kind": "negative_fill"}).ear
    assert [type(one) for one in ear.private()] == [OrderSnapshot, Gap]
    ear = play(filled, {"kind": "unknown_status", "times": (2,)}).ear
    assert ear.statuses() == [WORKING, SnapshotStatus.UNREADABLE]


def test_market_faults_are_gaps() -> None:
    async def act(scene: Scene) -> None:
        for number in range(4):
            scene.it.push(BTC, quote_row(scene.loop.now_ns(), 609_000 + number, 610_000, 5, 5))
        await asyncio.sleep(1)

    kinds = ("sequence_gap", "bad_checksum", "null_price")
    rules = [{"kind": kind, "times": (number,)} for number, kind in enumerate(kinds, 1)]
    ear = play(act, *rules).ear
    assert [type(one) for _, one in ear.heard] == [Gap, Gap, Gap, Quote]


def test_a_cut_stream_loses_what_happens_and_comes_back() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a")
        await scene.place("b", price=600_000)
        await scene.falls()
        assert scene.ear.private() == []
        await asyncio.sleep(12)
        await scene.falls(599_000)
        assert [one.client_order_id for one in scene.ear.fills()] == ["b"]
        assert len(await scene.it.fills(BTC, 0)) == 2

    rule = {"kind": "cut_stream", "operations": ("private",), "seconds": 10, "limit": 1}
    assert play(act, rule).ear.streams[2:] == ["private down", "private up"]


def test_a_muted_stream_is_up_and_silent_until_it_is_renewed() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a")
        await scene.falls()
        assert scene.ear.private() == []
        scene.it.reconnect("private")
        await asyncio.sleep(1)
        await scene.place("b", price=600_000)
        await asyncio.sleep(1)
        assert scene.ear.statuses() == [WORKING]

    rule = {"kind": "mute_stream", "operations": ("private",), "seconds": 999, "limit": 1}
    assert play(act, rule).ear.streams[2:] == ["private down", "private up"]


def test_a_new_listener_takes_the_place_of_one_that_ends_later() -> None:
    second = Ear()

    async def act(scene: Scene) -> None:
        listening = asyncio.ensure_future(scene.it.listen(second))
        await asyncio.sleep(1)
        scene.listening.cancel()
        await asyncio.sleep(1)
        await scene.place()
        await asyncio.sleep(1)
        listening.cancel()

    scene = play(act)
    assert scene.ear.statuses() == []
    assert second.statuses() == [WORKING]
    assert second.streams == ["market up", "private up"]


def test_the_exchange_cancels_by_itself_and_says_why() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        await scene.falls(609_500)

    rule = {"kind": "external_cancel", "reason": "self-trade prevention", "limit": 1}
    last = play(act, rule).ear.private()[-1]
    assert isinstance(last, OrderSnapshot)
    assert (last.status, last.reason) == (CANCELLED, "self-trade prevention")


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
