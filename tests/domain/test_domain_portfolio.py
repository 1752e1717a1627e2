"""Risk: what each limit lets pass, where it stops, and what a halt does."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from worlds import COIN, PERP, QUICK, SECOND, T0, World, bounded, open_portfolio, terms

from domain import portfolio
from domain.clock import DayStarted, MarkDue
from domain.grid_events import GridConfigured
from domain.grids.ladder import build
from domain.inputs import HaltTrading, ResetHalt, TickReport
from domain.instrument import Instrument, ListInstrument
from domain.order_events import OrderAllowed, OrderBlocked, OrderClosed, OrderFilled, OrderRequested
from domain.portfolio import (
    BlockReason,
    EquityMarked,
    PortfolioState,
    SymbolHalted,
    TradingHalted,
    equity,
)
from domain.pre_trade import drawdown_floor
from domain.record import Record
from domain.rejection import Refusal, Rejection


class Risk:
    """A portfolio by itself."""

    def __init__(self, cash: int = 1_000_000, one: Instrument = COIN, **limits: Any) -> None:
        self.state: PortfolioState = portfolio.initial()
        self.one = one
        self.tell(open_portfolio(cash, **limits))
        self.tell(ListInstrument(instrument=one))

    def tell(self, message: Record, now_ns: int = T0) -> tuple[Record, ...]:
        decision = portfolio.decide(self.state, now_ns, message)
        assert not isinstance(decision, Rejection), decision
        for event in decision:
            self.state = portfolio.evolve(self.state, event)
        return decision

    def mark(self, price: int, now_ns: int = T0) -> tuple[Record, ...]:
        return self.tell(MarkDue(now_ns=now_ns, marks=((self.one.symbol, price),)), now_ns)

    def order(self, side: str, price: int, lots: int, now_ns: int = T0, **changes: Any) -> Record:
        wanted = terms(f"o{now_ns}", side, price, lots, symbol=self.one.symbol, **changes)
        (answer,) = self.tell(OrderRequested(terms=wanted, level=0, cycle=0), now_ns)
        return answer

    def fill(self, side: str, price: int, lots: int, **changes: Any) -> tuple[Record, ...]:
        return self.tell(filled(self.one, side, price, lots, **changes))

    def tick(self, price: int, now_ns: int = T0) -> tuple[Record, ...]:
        return self.tell(TickReport(symbol=self.one.symbol, price_ticks=price), now_ns)

    def stops(self, stop: int = 0, take: int = 0, on_stop: str = "cancel") -> None:
        self.tell(
            GridConfigured(
                symbol=self.one.symbol,
                grid_id="c0ffee00000000",
                run=0,
                mode="long",
                initial_inventory="none",
                existing_units=0,
                stop_loss_ticks=stop,
                take_profit_ticks=take,
                on_stop=on_stop,
                post_only=True,
                ladder=build(bounded(90, 110, 2), self.one),
            )
        )


def filled(one: Instrument, side: str, price: int, lots: int, late: bool = False) -> OrderFilled:
    sign = 1 if side == "buy" else -1
    return OrderFilled(
        client_order_id="o",
        fill_id="f",
        symbol=one.symbol,
        side=side,
        order_price_ticks=price,
        price_ticks=price,
        lots=lots,
        filled_lots=lots,
        unfilled_lots=0,
        status="filled",
        late=late,
        liquidity="maker",
        fee_asset=one.quote,
        fee_units=0,
        fee_value=0,
        base_units=sign * lots,
        cash_units=-sign * lots * price,
        realised=0,
        postings=(),
    )


def reason(answer: Record) -> str:
    assert isinstance(answer, OrderBlocked), answer
    return answer.reason


# --- a limit, its boundary and its block ---------------------------------------------------------------


def test_without_limits_every_order_is_allowed_as_it_was_asked_for() -> None:
    risk = Risk()
    answer = risk.order("buy", 100, 7)
    assert isinstance(answer, OrderAllowed)
    assert (answer.notional, answer.now_ns) == (700, T0)
    assert answer.terms == terms(f"o{T0}", "buy", 100, 7)


def test_an_order_of_an_unlisted_symbol_is_refused() -> None:
    message = OrderRequested(terms=terms("o", "buy", 1, 1, symbol="NONE"), level=0, cycle=0)
    refused = portfolio.decide(Risk().state, T0, message)
    assert refused == Rejection(Refusal.UNKNOWN_SYMBOL, "NONE")


@pytest.mark.parametrize(("lots", "allowed"), [(4, True), (5, True), (6, False)])
def test_the_inventory_limit_counts_holding_and_resting_orders_of_the_same_side(
    lots: int, allowed: bool
) -> None:
    risk = Risk(inventory_max=1_000)
    risk.order("buy", 100, 3)  # 300 resting
    risk.fill("buy", 100, 3)  # now held
    risk.order("buy", 50, 4)  # 200 resting; 500 more fit
    answer = risk.order("buy", 100, lots)
    assert isinstance(answer, OrderAllowed) is allowed
    if not allowed:
        assert reason(answer) == BlockReason.INVENTORY


def test_a_short_holding_counts_against_sells_and_in_favour_of_buys() -> None:
    risk = Risk(one=PERP, inventory_max=1_000)
    risk.order("sell", 100, 8)
    risk.fill("sell", 100, 8)
    assert reason(risk.order("sell", 100, 3)) == BlockReason.INVENTORY
    assert isinstance(risk.order("sell", 100, 2), OrderAllowed)
    assert isinstance(risk.order("buy", 100, 18), OrderAllowed)


def test_an_order_that_ended_frees_its_value_and_a_late_fill_does_not_free_it_again() -> None:
    risk = Risk(inventory_max=1_000)
    risk.order("buy", 100, 10)
    closed = OrderClosed(
        client_order_id="o",
        symbol=COIN.symbol,
        side="buy",
        status="cancelled",
        reason="requested",
        text="",
        unfilled_lots=10,
        unfilled_notional=1_000,
    )
    risk.tell(closed)
    assert risk.state.symbols[COIN.symbol].resting_buys == 0
    risk.fill("buy", 100, 4, late=True)
    assert risk.state.symbols[COIN.symbol].resting_buys == 0
    assert isinstance(risk.order("buy", 100, 6), OrderAllowed)


def test_an_amended_order_leaves_no_resting_value_behind() -> None:
    from domain.inputs import OrderAmendedReport

    world = World()
    world.start(bounded(100, 110, 1, lots=10))
    (order,) = world.tick(105)
    world.accept(order.client_order_id)
    world.learn(OrderAmendedReport(client_order_id=order.client_order_id, price_ticks=101, lots=10))
    world.fill(order.client_order_id, price=101)
    assert world.portfolio.symbols[COIN.symbol].resting_buys == 0


def test_the_order_rate_is_counted_over_a_sliding_minute() -> None:
    minute = 60 * SECOND
    risk = Risk(orders_per_minute=2)
    assert isinstance(risk.order("buy", 1, 1, T0), OrderAllowed)
    assert isinstance(risk.order("buy", 1, 1, T0 + 10), OrderAllowed)
    blocked = risk.order("buy", 1, 1, T0 + minute - 1)
    assert reason(blocked) == BlockReason.VELOCITY
    assert blocked.retry_at_ns == T0 + minute  # type: ignore[attr-defined]
    assert isinstance(risk.order("buy", 1, 1, T0 + minute), OrderAllowed)
    assert reason(risk.order("buy", 1, 1, T0 + minute + 9)) == BlockReason.VELOCITY
    assert isinstance(risk.order("buy", 1, 1, T0 + minute + 10), OrderAllowed)


def test_only_allowed_orders_count_towards_the_rate() -> None:
    risk = Risk(orders_per_minute=2, inventory_max=100)
    for _ in range(5):
        assert reason(risk.order("buy", 100, 2)) == BlockReason.INVENTORY
    assert isinstance(risk.order("buy", 1, 1), OrderAllowed)


@QUICK
@given(waits=st.lists(st.integers(0, 40), min_size=1, max_size=40), limit=st.integers(1, 5))
def test_no_minute_ever_holds_more_orders_than_the_limit(waits: list[int], limit: int) -> None:
    risk, now, allowed = Risk(orders_per_minute=limit), T0, []
    for wait in waits:
        now += wait * SECOND
        recent = [at for at in allowed if at > now - 60 * SECOND]
        passes = isinstance(risk.order("buy", 1, 1, now), OrderAllowed)
        assert passes is (len(recent) < limit)
        allowed += [now] * passes


# --- drawdown ------------------------------------------------------------------------------------------


@QUICK
@given(high=st.integers(1, 10**12), limit=st.integers(1, 10**6), fall=st.integers(-3, 3))
def test_the_drawdown_floor_is_the_highest_equity_that_breaches(high: int, limit: int, fall: int) -> None:
    floor = drawdown_floor(high, limit)
    worth = floor + fall
    assert ((high - worth) * 1_000_000 >= high * limit) is (worth <= floor)


def test_before_the_first_mark_a_drawdown_limit_allows_nothing_that_adds_risk() -> None:
    risk = Risk(session_drawdown_ppm=10_000)
    assert reason(risk.order("buy", 100, 1)) == BlockReason.NO_MARK
    risk.mark(100)
    assert isinstance(risk.order("buy", 100, 1), OrderAllowed)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"session_drawdown_ppm": 30_000}, BlockReason.SESSION_DRAWDOWN),
        ({"daily_drawdown_ppm": 30_000}, BlockReason.DAILY_DRAWDOWN),
        ({"session_drawdown_ppm": 30_000, "daily_drawdown_ppm": 30_000}, BlockReason.SESSION_DRAWDOWN),
    ],
)
@pytest.mark.parametrize("told_by", ["tick", "mark", "fill"])
def test_a_fall_to_the_limit_halts_and_one_unit_above_does_not(
    limits: dict[str, int], expected: BlockReason, told_by: str
) -> None:
    # 1000 coins bought at 100 out of 1_000_000: a price of 70 is a fall of exactly 3 %.
    risk = Risk(**limits)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)

    def tell(price: int) -> tuple[Record, ...]:
        if told_by == "tick":
            return risk.tick(price)
        return risk.mark(price) if told_by == "mark" else risk.fill("sell", price, 1)

    assert not any(isinstance(one, TradingHalted) for one in tell(71))
    halts = [one for one in tell(70 if told_by != "fill" else 69) if isinstance(one, TradingHalted)]
    assert [one.reason for one in halts] == [expected.value]
    assert halts[0].high_water == 1_000_000
    assert risk.state.halted == expected.value


def test_the_high_water_mark_rises_with_marks_and_fills_and_never_falls() -> None:
    risk = Risk(session_drawdown_ppm=500_000)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)
    risk.mark(110)
    assert risk.state.session_high == 1_010_000
    risk.mark(90)
    assert risk.state.session_high == 1_010_000
    risk.fill("sell", 120, 500)
    assert risk.state.session_high == equity(risk.state) == 1_020_000


def test_the_daily_mark_starts_again_with_the_day_and_the_session_goes_on() -> None:
    risk = Risk(daily_drawdown_ppm=30_000, session_drawdown_ppm=60_000)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)
    risk.mark(80)
    marks = ((COIN.symbol, 80),)
    risk.tell(DayStarted(day=2, marks=marks))
    assert (risk.state.day_high, risk.state.session_high) == (980_000, 1_000_000)
    # 3 % below 980_000 is 950_600; 51 is above it, 50 below it.
    assert risk.tick(51) == ()
    (halt,) = risk.tick(50)
    assert (halt.reason, halt.high_water) == ("EMERGENCY_DD_DAILY", 980_000)  # type: ignore[attr-defined]


def test_equity_is_cash_and_holdings_at_their_last_prices() -> None:
    risk = Risk(cash=500, holdings=((COIN.symbol, 10),))
    assert isinstance(risk.mark(7)[0], EquityMarked)
    assert equity(risk.state) == 570
    risk.fill("sell", 8, 10)
    assert equity(risk.state) == 580


# --- stop prices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "expected"),
    [(91, None), (90, "PAUSE_STOP_LOSS"), (1, "PAUSE_STOP_LOSS"), (119, None), (120, "PAUSE_TAKE_PROFIT")],
)
def test_a_stop_price_is_reached_at_itself(price: int, expected: str | None) -> None:
    risk = Risk()
    risk.stops(stop=90, take=120, on_stop="flatten")
    found = risk.tick(price)
    assert found == (
        ()
        if expected is None
        else (SymbolHalted(symbol=COIN.symbol, reason=expected, price_ticks=price, on_stop="flatten"),)
    )


def test_a_stop_price_is_reached_once_until_the_grid_is_started_again() -> None:
    risk = Risk()
    risk.stops(stop=90)
    assert len(risk.tick(90)) == 1
    assert risk.tick(90) == ()
    assert reason(risk.order("buy", 100, 1)) == BlockReason.SYMBOL_HALTED
    risk.stops(stop=80)
    assert len(risk.tick(80)) == 1


def test_an_order_is_blocked_by_the_last_price_known_even_before_the_tick() -> None:
    risk = Risk()
    risk.stops(stop=90, take=120)
    risk.mark(90)
    assert reason(risk.order("buy", 80, 1)) == BlockReason.STOP_LOSS
    risk.mark(120)
    assert reason(risk.order("buy", 80, 1)) == BlockReason.TAKE_PROFIT
    risk.mark(119)
    assert isinstance(risk.order("buy", 80, 1), OrderAllowed)


# --- the order of checks -------------------------------------------------------------------------------


def test_the_first_limit_that_fails_is_named_in_the_order_of_the_reasons() -> None:
    """Everything fails at once; each step removes the first failure and shows the next."""
    one = COIN.symbol
    risk = Risk(inventory_max=1, orders_per_minute=1, session_drawdown_ppm=30_000, daily_drawdown_ppm=20_000)
    risk.stops(stop=90, take=0)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)
    state = risk.state
    symbol = state.symbols[one]
    everything = {
        "halted": "MANUAL",
        "pauses": Map({"": ("operator",)}),
        "allowed_at": (T0,),
        "symbols": state.symbols.set(one, _with(symbol, halted=True, mark_ticks=60)),
    }
    steps: list[tuple[BlockReason, dict[str, Any]]] = [
        (BlockReason.HALTED, {}),
        (BlockReason.PAUSED, {"halted": ""}),
        (BlockReason.SYMBOL_HALTED, {"pauses": Map()}),
        (BlockReason.STOP_LOSS, {"symbols": state.symbols.set(one, _with(symbol, mark_ticks=60))}),
        (
            BlockReason.VELOCITY,
            {"symbols": state.symbols.set(one, _with(symbol, mark_ticks=60, stop_loss_ticks=0))},
        ),
        (BlockReason.INVENTORY, {"allowed_at": ()}),
        (BlockReason.SESSION_DRAWDOWN, {"inventory_max": 0}),
        (BlockReason.DAILY_DRAWDOWN, {"session_drawdown_ppm": 0}),
        (BlockReason.NO_MARK, {"session_high": 0}),
    ]
    current = _with(state, **everything)
    message = OrderRequested(terms=terms("o", "buy", 100, 1), level=0, cycle=0)
    for expected, change in steps:
        current = _with(current, **change)
        (answer,) = portfolio.decide(current, T0, message)  # type: ignore[misc]
        assert reason(answer) == expected
    assert [step[0] for step in steps] == [r for r in BlockReason if r is not BlockReason.TAKE_PROFIT]
    (answer,) = portfolio.decide(_with(current, daily_drawdown_ppm=0), T0, message)  # type: ignore[misc]
    assert isinstance(answer, OrderAllowed)


def _with(struct: Any, **changes: Any) -> Any:
    from msgspec.structs import replace

    return replace(struct, **changes)


# --- orders that reduce --------------------------------------------------------------------------------


def burdened(held: int) -> Risk:
    """A portfolio that holds something and in which every limit is against adding to it."""
    risk = Risk(one=PERP)
    side = "buy" if held > 0 else "sell"
    risk.order(side, 100, abs(held))
    risk.fill(side, 100, abs(held))
    # Equity was never marked, so the drawdown limit lets nothing pass either.
    risk.state = _with(risk.state, inventory_max=1, session_drawdown_ppm=1)
    return risk


@pytest.mark.parametrize(
    ("held", "side", "lots", "allowed"),
    [
        (10, "sell", 10, True),
        (10, "sell", 1, True),
        (10, "sell", 11, False),
        (10, "buy", 1, False),
        (-10, "buy", 10, True),
        (-10, "buy", 11, False),
        (-10, "sell", 1, False),
    ],
)
def test_orders_that_strictly_reduce_pass_the_limits_that_stop_growth(
    held: int, side: str, lots: int, allowed: bool
) -> None:
    answer = burdened(held).order(side, 100, lots)
    assert isinstance(answer, OrderAllowed) is allowed


@pytest.mark.parametrize("halt", ["everything", "the symbol"])
def test_under_a_halt_only_reduce_only_orders_reduce(halt: str) -> None:
    risk = burdened(10)
    if halt == "everything":
        risk.tell(HaltTrading(reason="MANUAL"))
    else:
        risk.stops(stop=100)
        risk.tick(100)
    expected = BlockReason.HALTED if halt == "everything" else BlockReason.SYMBOL_HALTED
    assert reason(risk.order("sell", 100, 10)) == expected
    assert isinstance(risk.order("sell", 100, 10, reduce_only=True), OrderAllowed)


def test_a_reducing_order_is_throttled_unless_it_is_reduce_only() -> None:
    risk = Risk(one=PERP, orders_per_minute=1)
    risk.fill("buy", 100, 10)
    assert isinstance(risk.order("buy", 1, 1), OrderAllowed)
    assert reason(risk.order("sell", 100, 1)) == BlockReason.VELOCITY
    assert isinstance(risk.order("sell", 100, 1, reduce_only=True), OrderAllowed)


def test_a_reduce_only_order_without_a_holding_is_not_a_way_around_the_halt() -> None:
    risk = Risk()
    risk.tell(HaltTrading(reason="MANUAL"))
    assert reason(risk.order("sell", 100, 1, reduce_only=True)) == BlockReason.HALTED


def test_reducing_orders_together_never_flip_the_holding() -> None:
    risk = burdened(10)
    assert isinstance(risk.order("sell", 100, 10), OrderAllowed)
    assert isinstance(risk.order("sell", 101, 10), OrderBlocked)


# --- the halt ------------------------------------------------------------------------------------------


def test_a_halt_is_latched_until_an_operator_resets_it() -> None:
    risk = Risk(session_drawdown_ppm=30_000)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)
    risk.tick(70)
    risk.mark(100)
    assert risk.state.halted == "EMERGENCY_DD_SESSION"
    assert reason(risk.order("buy", 100, 1)) == BlockReason.HALTED
    risk.tell(ResetHalt(operator="me"))
    assert isinstance(risk.order("buy", 100, 1), OrderAllowed)


def test_a_second_halt_changes_nothing() -> None:
    risk = Risk()
    assert len(risk.tell(HaltTrading(reason="MANUAL"))) == 1
    before = risk.state
    assert risk.tell(HaltTrading(reason="ERROR")) == ()
    assert risk.state == before


def test_a_reset_starts_the_high_water_marks_again() -> None:
    risk = Risk(session_drawdown_ppm=30_000, daily_drawdown_ppm=20_000)
    risk.mark(100)
    risk.fill("buy", 100, 1_000)
    risk.mark(60)
    risk.tell(ResetHalt(operator="me"))
    assert risk.state.session_high == risk.state.day_high == 960_000


def test_a_reset_without_a_halt_is_refused() -> None:
    refused = portfolio.decide(Risk().state, T0, ResetHalt(operator="me"))
    assert isinstance(refused, Rejection)
    assert refused.reason is Refusal.NOT_RUNNING


def test_a_portfolio_is_opened_once() -> None:
    assert portfolio.decide(Risk().state, T0, open_portfolio(1)) == Rejection(Refusal.ALREADY_OPEN)


def test_a_halt_reaches_every_symbol() -> None:
    other = attrs.evolve(COIN, symbol="OTHERUSD", base="OTHER")
    world = World(COIN, other)
    for number, symbol in enumerate((COIN.symbol, other.symbol)):
        world.start(bounded(90, 110, 2), symbol=symbol, symbol_index=number)
        world.tick(105, symbol=symbol)
    world.learn(HaltTrading(reason="MANUAL"))
    assert len(world.cancels()) == 4
