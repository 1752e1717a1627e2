"""The books: a row per refusal and per trigger, what is reserved, and where the money is."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from worlds import COIN, PERP, T0, instrument, open_account, terms

from domain import account, account_state
from domain.account import AccountState, available, margin_needed
from domain.inputs import (
    CancelRejectedReport,
    FillReport,
    FundingReport,
    NoAnswerReport,
    OrderAbsentReport,
    OrderAcceptedReport,
    OrderAmendedReport,
    OrderCancelledReport,
    OrderRejectedReport,
)
from domain.instrument import Instrument, ListInstrument
from domain.order_events import CancelRequested, OrderAllowed, OrderFilled, OrderRefused, OrderSubmitted
from domain.orders import TERMINAL, TRANSITIONS, OrderStatus, Trigger
from domain.record import Record
from domain.rejection import Refusal, Rejection

S, T = OrderStatus, Trigger


class Books:
    """An account by itself, and every posting it made."""

    def __init__(self, *instruments: Instrument, **balances: int) -> None:
        self.state: AccountState = account.initial()
        self.instruments = {one.symbol: one for one in instruments or (COIN,)}
        self.posted: dict[str, int] = defaultdict(int)
        self.events: list[Record] = []
        self.tell(open_account("USD", balances or {"USD": 10_000, "COIN": 100}))
        for one in self.instruments.values():
            self.tell(ListInstrument(instrument=one))

    def ask(self, message: Record) -> Any:
        return account.decide(self.state, T0, message)

    def tell(self, message: Record) -> tuple[Record, ...]:
        decision = self.ask(message)
        assert not isinstance(decision, Rejection), decision
        for event in decision:
            self.state = account.evolve(self.state, event)
            self.events.append(event)
        return decision

    def submit(
        self, order_id: str, side: str, price: int, lots: int, symbol: str = COIN.symbol, **changes: Any
    ) -> Record:
        wanted = terms(order_id, side, price, lots, symbol=symbol, **changes)
        one = self.instruments[symbol]
        worth = price * lots * one.base_per_lot * one.quote_per_tick_base
        (answer,) = self.tell(OrderAllowed(terms=wanted, notional=worth, now_ns=T0))
        return answer

    def wallet(self, asset: str) -> int:
        return self.state.balances.get(f"wallet:{asset}", 0)

    def reserved(self, asset: str) -> int:
        return self.state.reserved.get(asset, 0)


def fill(order_id: str, lots: int, price: int = 50, **changes: Any) -> FillReport:
    fields: dict[str, Any] = {
        "exchange_order_id": "x",
        "fill_id": f"f{lots}",
        "symbol": COIN.symbol,
        "side": "buy",
        "liquidity": "maker",
        "fee_asset": "USD",
        "fee_units": 0,
        "fee_value": 0,
        **changes,
    }
    return FillReport(client_order_id=order_id, lots=lots, price_ticks=price, **fields)


def accepted(order_id: str) -> OrderAcceptedReport:
    return OrderAcceptedReport(client_order_id=order_id, exchange_order_id="x")


def rejected(order_id: str) -> OrderRejectedReport:
    return OrderRejectedReport(client_order_id=order_id, reason="-2010", text="no")


def cancelled(order_id: str, reason: str = "requested") -> OrderCancelledReport:
    return OrderCancelledReport(client_order_id=order_id, reason=reason)


def silence(order_id: str) -> NoAnswerReport:
    return NoAnswerReport(client_order_id=order_id)


def absent(order_id: str) -> OrderAbsentReport:
    return OrderAbsentReport(client_order_id=order_id, evidence="queried")


WAYS: dict[OrderStatus, tuple[Record, ...]] = {
    S.PENDING: (),
    S.OPEN: (accepted("a"),),
    S.PARTIALLY_FILLED: (fill("a", 4),),
    S.FILLED: (fill("a", 10),),
    S.CANCELLED: (cancelled("a"),),
    S.REJECTED: (rejected("a"),),
    S.EXPIRED: (cancelled("a", "expired"),),
    S.UNKNOWN: (silence("a"),),
    S.ABSENT: (silence("a"), absent("a")),
}
"""How an order of 10 lots gets into each status."""


def order_in(status: OrderStatus) -> Books:
    books = Books()
    books.submit("a", "buy", 50, 10)
    for report in WAYS[status]:
        books.tell(report)
    assert books.state.orders["a"].status is status
    return books


# --- the life of an order through reports --------------------------------------------------------------

REPORTS: list[tuple[Trigger, Record]] = [
    (T.ACCEPTED, accepted("a")),
    (T.REJECTED, rejected("a")),
    (T.CANCELLED, cancelled("a")),
    (T.EXPIRED, cancelled("a", "expired")),
    (T.NO_ANSWER, silence("a")),
    (T.NOT_FOUND, OrderAbsentReport(client_order_id="a", evidence="queried")),
]


@pytest.mark.parametrize(("trigger", "report"), REPORTS, ids=[t.value for t, _ in REPORTS])
@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_report_moves_an_order_along_the_table_or_is_refused_and_changes_nothing(
    status: OrderStatus, trigger: Trigger, report: Record
) -> None:
    books = order_in(status)
    expected = TRANSITIONS.get((status, trigger))
    if expected is None:
        answer = books.ask(report)
        assert isinstance(answer, Rejection)
        assert answer.reason is Refusal.ILLEGAL_TRANSITION
        assert status.value in answer.detail
        return
    books.tell(report)
    assert books.state.orders["a"].status is expected


@pytest.mark.parametrize("status", [one for one in OrderStatus if one is not S.FILLED])
def test_a_fill_is_always_booked_and_after_the_end_of_its_order_it_is_late(status: OrderStatus) -> None:
    books = order_in(status)
    before = books.wallet("COIN")
    left = 10 - books.state.orders["a"].filled_lots
    event = next(one for one in books.tell(fill("a", left, fill_id="last")) if type(one) is OrderFilled)
    assert books.wallet("COIN") == before + left
    assert event.late is (status in TERMINAL)
    after = books.state.orders["a"].status
    assert after is (status if status in TERMINAL else S.FILLED)
    assert books.reserved("USD") == 0


def test_an_exchange_that_never_knew_an_unknown_order_can_say_so() -> None:
    books = order_in(S.UNKNOWN)
    books.tell(absent("a"))
    assert books.state.orders["a"].status is S.ABSENT
    assert books.reserved("USD") == 0


def test_every_trigger_is_pulled_by_a_report() -> None:
    source = inspect.getsource(account)
    assert [one for one in Trigger if f"Trigger.{one.name}" not in source] == []


# --- a row per refusal ---------------------------------------------------------------------------------

REFUSED: list[tuple[str, Refusal, OrderStatus, Record]] = [
    ("accepted, unknown order", Refusal.UNKNOWN_ORDER, S.OPEN, accepted("b")),
    ("rejected, unknown order", Refusal.UNKNOWN_ORDER, S.OPEN, rejected("b")),
    ("cancelled, unknown order", Refusal.UNKNOWN_ORDER, S.OPEN, cancelled("b")),
    ("filled, unknown order", Refusal.UNKNOWN_ORDER, S.OPEN, fill("b", 1)),
    ("no answer, unknown order", Refusal.UNKNOWN_ORDER, S.OPEN, silence("b")),
    (
        "amended, unknown order",
        Refusal.UNKNOWN_ORDER,
        S.OPEN,
        OrderAmendedReport(client_order_id="b", price_ticks=1, lots=1),
    ),
    (
        "cancel rejected, unknown order",
        Refusal.UNKNOWN_ORDER,
        S.OPEN,
        CancelRejectedReport(client_order_id="b", reason="-2011", text=""),
    ),
    (
        "cancel, unknown order",
        Refusal.UNKNOWN_ORDER,
        S.OPEN,
        CancelRequested(client_order_id="b", symbol=COIN.symbol, reason="stop"),
    ),
    (
        "cancel of a filled order",
        Refusal.NOT_WORKING,
        S.FILLED,
        CancelRequested(client_order_id="a", symbol=COIN.symbol, reason="stop"),
    ),
    ("the same fill again", Refusal.DUPLICATE_FILL, S.PARTIALLY_FILLED, fill("a", 4)),
    ("the same fill after the end", Refusal.DUPLICATE_FILL, S.FILLED, fill("a", 10)),
    ("a fill of nothing", Refusal.BAD_FILL, S.OPEN, fill("a", 0)),
    ("a fill of less than nothing", Refusal.BAD_FILL, S.OPEN, fill("a", -1)),
    ("a fill for nothing", Refusal.BAD_FILL, S.OPEN, fill("a", 1, price=0)),
    ("a fill on the other side", Refusal.BAD_FILL, S.OPEN, fill("a", 1, side="sell")),
    ("a fill of another symbol", Refusal.BAD_FILL, S.OPEN, fill("a", 1, symbol="OTHER")),
    ("more than was ordered", Refusal.OVERFILL, S.OPEN, fill("a", 11)),
    ("more than was left", Refusal.OVERFILL, S.PARTIALLY_FILLED, fill("a", 7)),
    ("a late fill of more than was left", Refusal.OVERFILL, S.CANCELLED, fill("a", 11)),
    (
        "an unlisted symbol",
        Refusal.UNKNOWN_SYMBOL,
        S.OPEN,
        OrderAllowed(terms=terms("b", "buy", 50, 1, symbol="NONE"), notional=50, now_ns=T0),
    ),
    (
        "funding of an unlisted symbol",
        Refusal.UNKNOWN_SYMBOL,
        S.OPEN,
        FundingReport(funding_id="1", symbol="NONE", rate_ppm=1, price_ticks=1, units=1),
    ),
    (
        "an amend below what is filled",
        Refusal.ILLEGAL_TRANSITION,
        S.PARTIALLY_FILLED,
        OrderAmendedReport(client_order_id="a", price_ticks=50, lots=3),
    ),
    (
        "an amend of an ended order",
        Refusal.ILLEGAL_TRANSITION,
        S.CANCELLED,
        OrderAmendedReport(client_order_id="a", price_ticks=50, lots=20),
    ),
    ("books opened twice", Refusal.ALREADY_OPEN, S.OPEN, open_account("USD", {"USD": 1})),
]


@pytest.mark.parametrize(
    ("reason", "status", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_the_books_refuse_has_a_reason(reason: Refusal, status: OrderStatus, message: Record) -> None:
    answer = order_in(status).ask(message)
    assert isinstance(answer, Rejection)
    assert answer.reason is reason


def test_an_order_id_used_twice_is_refused_so_that_its_sender_hears_of_it() -> None:
    books = order_in(S.CANCELLED)
    answer = books.submit("a", "buy", 50, 1)
    assert isinstance(answer, OrderRefused)
    assert answer.reason == "DUPLICATE_ORDER"
    assert books.state.orders["a"].status is S.CANCELLED


def test_the_same_funding_is_booked_once() -> None:
    books = Books(PERP, USD=1_000)
    report = FundingReport(funding_id="1", symbol=PERP.symbol, rate_ppm=1, price_ticks=1, units=-7)
    books.tell(report)
    assert books.wallet("USD") == 993
    assert books.ask(report) == Rejection(Refusal.DUPLICATE_FUNDING, "1")


ELSEWHERE = {
    Refusal.BAD_CORRECTION,
    Refusal.NO_LEVELS,
    Refusal.NO_MORE_RUNS,
    Refusal.NOT_RUNNING,
    Refusal.TIME_RUNS_BACK,
}
"""Refusals of the grid, the portfolio, the clock and of corrections, which their own tests show."""


def test_every_refusal_of_the_books_has_a_row() -> None:
    shown = {row[1] for row in REFUSED} | {Refusal.ILLEGAL_TRANSITION, Refusal.DUPLICATE_FUNDING}
    assert shown | ELSEWHERE == set(Refusal)


# --- reservations --------------------------------------------------------------------------------------


def test_a_spot_buy_reserves_its_value_and_the_larger_fee_rounded_up() -> None:
    books = Books(instrument(COIN, maker_fee_ppm=1_000, taker_fee_ppm=2_500))
    answer = books.submit("a", "buy", 100, 70)  # 7000 and a fee of 17.5
    assert isinstance(answer, OrderSubmitted)
    assert (answer.reserve_asset, answer.reserved) == ("USD", 7_018)
    assert available(books.state, "USD") == 10_000 - 7_018


def test_a_rebate_is_not_counted_on() -> None:
    books = Books(instrument(COIN, maker_fee_ppm=-1_000, taker_fee_ppm=-1_000))
    assert books.submit("a", "buy", 100, 10).reserved == 1_000  # type: ignore[attr-defined]


def test_a_spot_sell_reserves_what_it_sells() -> None:
    books = Books()
    answer = books.submit("a", "sell", 33, 7)
    assert isinstance(answer, OrderSubmitted)
    assert (answer.reserve_asset, answer.reserved) == ("COIN", 7)


@pytest.mark.parametrize(
    ("side", "price", "lots", "covered"),
    [("buy", 100, 100, True), ("buy", 101, 100, False), ("sell", 1, 100, True), ("sell", 1, 101, False)],
)
def test_an_order_is_covered_up_to_the_last_unit(side: str, price: int, lots: int, covered: bool) -> None:
    answer = Books().submit("a", side, price, lots)
    assert isinstance(answer, OrderSubmitted if covered else OrderRefused)


def test_what_one_order_reserved_no_other_can_use() -> None:
    books = Books()
    assert isinstance(books.submit("a", "buy", 60, 100), OrderSubmitted)
    assert isinstance(books.submit("b", "buy", 41, 100), OrderRefused)
    assert isinstance(books.submit("c", "buy", 40, 100), OrderSubmitted)


def test_a_refused_order_is_not_remembered() -> None:
    books = Books()
    books.submit("a", "buy", 1_000, 100)
    assert "a" not in books.state.orders
    assert books.reserved("USD") == 0


def test_a_partial_fill_frees_its_part_and_the_end_frees_the_rest() -> None:
    books = Books()
    books.submit("a", "buy", 50, 10)
    books.tell(fill("a", 4, price=48))
    assert books.reserved("USD") == 300
    assert books.wallet("USD") == 10_000 - 192
    books.tell(cancelled("a"))
    assert books.reserved("USD") == 0


def test_an_amend_moves_the_reservation_along() -> None:
    books = Books()
    books.submit("a", "buy", 50, 10)
    books.tell(fill("a", 4))
    books.tell(OrderAmendedReport(client_order_id="a", price_ticks=40, lots=12))
    assert books.reserved("USD") == 40 * 8


def test_funds_stay_reserved_while_the_outcome_is_unknown() -> None:
    assert order_in(S.UNKNOWN).reserved("USD") == 500


# --- margin --------------------------------------------------------------------------------------------

LEVERED = instrument(PERP, leverage_ppm=3_000_000)


def test_margin_is_the_worse_side_of_position_and_orders_rounded_up() -> None:
    books = Books(LEVERED, USD=10_000)
    books.submit("a", "buy", 100, 10, symbol=PERP.symbol)  # 1000 / 3
    assert margin_needed(books.state, PERP.symbol) == 334
    books.submit("b", "sell", 100, 9, symbol=PERP.symbol)  # the smaller side costs nothing
    assert margin_needed(books.state, PERP.symbol) == 334
    books.submit("c", "sell", 110, 10, symbol=PERP.symbol)  # 2000 / 3
    assert margin_needed(books.state, PERP.symbol) == 667
    books.tell(fill("a", 10, price=100, symbol=PERP.symbol))
    # Long 1000: sells of 2000 would make it short 1000.
    assert margin_needed(books.state, PERP.symbol) == 334


@pytest.mark.parametrize(("lots", "covered"), [(30, True), (31, False)])
def test_a_perpetual_order_needs_its_margin(lots: int, covered: bool) -> None:
    books = Books(LEVERED, USD=1_000)
    answer = books.submit("a", "buy", 100, lots, symbol=PERP.symbol)
    assert isinstance(answer, OrderSubmitted if covered else OrderRefused)


def test_the_margin_of_all_perpetuals_together_is_covered() -> None:
    other = instrument(LEVERED, symbol="OTHERUSD", base="OTHER")
    books = Books(LEVERED, other, USD=1_000)
    books.submit("a", "buy", 100, 20, symbol=PERP.symbol)
    assert isinstance(books.submit("b", "buy", 100, 11, symbol="OTHERUSD"), OrderRefused)
    assert isinstance(books.submit("c", "buy", 100, 9, symbol="OTHERUSD"), OrderSubmitted)


def test_an_order_that_needs_no_more_margin_passes_even_without_free_margin() -> None:
    books = Books(LEVERED, USD=1_000)
    books.submit("a", "buy", 100, 30, symbol=PERP.symbol)
    books.tell(fill("a", 30, price=100, symbol=PERP.symbol, fee_units=500, fee_value=500))
    assert isinstance(books.submit("b", "sell", 100, 30, symbol=PERP.symbol), OrderSubmitted)
    assert isinstance(books.submit("c", "buy", 100, 1, symbol=PERP.symbol), OrderRefused)


def test_the_margin_of_a_perpetual_cannot_be_spent_on_spot() -> None:
    books = Books(COIN, PERP, USD=1_000)
    books.submit("a", "buy", 100, 10, symbol=PERP.symbol)
    books.tell(fill("a", 10, price=100, symbol=PERP.symbol))
    assert isinstance(books.submit("b", "buy", 100, 10), OrderRefused)


# --- money ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "fee", "expected"),
    [
        ("buy", ("USD", 3, 3), {"USD": 10_000 - 500 - 3, "COIN": 110, "GAS": 0}),
        ("buy", ("COIN", 1, 50), {"USD": 10_000 - 500, "COIN": 109, "GAS": 0}),
        ("buy", ("GAS", 2, 30), {"USD": 10_000 - 500, "COIN": 110, "GAS": -2}),
        ("buy", ("USD", -3, -3), {"USD": 10_000 - 500 + 3, "COIN": 110, "GAS": 0}),
        ("sell", ("USD", 3, 3), {"USD": 10_000 + 500 - 3, "COIN": 90, "GAS": 0}),
        ("sell", ("GAS", 2, 30), {"USD": 10_000 + 500, "COIN": 90, "GAS": -2}),
    ],
)
def test_a_spot_fill_moves_both_assets_and_its_fee(
    side: str, fee: tuple[str, int, int], expected: dict[str, int]
) -> None:
    books = Books()
    books.submit("a", side, 50, 10)
    asset, units, worth = fee
    (event,) = books.tell(fill("a", 10, side=side, fee_asset=asset, fee_units=units, fee_value=worth))
    assert {name: books.wallet(name) for name in expected} == expected
    # What the portfolio hears is worth the same: holding at the fill's price, and everything else as cash.
    sign = 1 if side == "buy" else -1
    assert event.base_units * 50 + event.cash_units == -worth  # type: ignore[attr-defined]
    assert event.base_units == (sign * 10 - units if asset == "COIN" else sign * 10)  # type: ignore[attr-defined]


def test_a_perpetual_fill_moves_the_position_and_only_profit_and_fees_the_money() -> None:
    books = Books(PERP, USD=10_000)
    books.submit("a", "buy", 50, 10, symbol=PERP.symbol)
    books.tell(fill("a", 10, symbol=PERP.symbol, fee_units=5, fee_value=5))
    assert books.wallet("USD") == 9_995
    books.submit("b", "sell", 60, 10, symbol=PERP.symbol)
    (event,) = books.tell(fill("b", 4, price=60, side="sell", symbol=PERP.symbol))
    assert event.realised == 40  # type: ignore[attr-defined]
    assert books.wallet("USD") == 9_995 + 40
    assert books.state.positions[PERP.symbol].units == 6


def postings_of(events: Iterable[Record]) -> list[Any]:
    return [entry for event in events for entry in getattr(event, "postings", ())]


def busy_books() -> Books:
    """Books in which everything happened that makes a posting."""
    books = Books(COIN, PERP, USD=10_000, COIN=50, GAS=100)
    perp = {"symbol": PERP.symbol}
    books.submit("a", "buy", 50, 10)
    books.submit("b", "sell", 55, 5)
    books.submit("c", "buy", 50, 10, **perp)
    books.submit("d", "sell", 45, 15, **perp)
    books.tell(fill("a", 4, fee_asset="COIN", fee_units=1, fee_value=50))
    books.tell(fill("a", 6, fee_asset="GAS", fee_units=2, fee_value=30))
    books.tell(fill("b", 5, price=55, side="sell", fee_units=-3, fee_value=-3))
    books.tell(fill("c", 10, fee_units=2, fee_value=2, **perp))
    books.tell(fill("d", 15, price=45, side="sell", fee_asset="GAS", fee_units=1, fee_value=15, **perp))
    books.tell(FundingReport(funding_id="1", symbol=PERP.symbol, rate_ppm=9, price_ticks=50, units=-4))
    return books


def test_every_posting_takes_from_one_account_what_it_gives_to_another() -> None:
    entries = postings_of(busy_books().events)
    assert len(entries) > 12
    for entry in entries:
        assert entry.amount > 0
        assert entry.debit != entry.credit


def test_all_balances_together_sum_to_nothing() -> None:
    assert sum(busy_books().state.balances.values()) == 0


def test_the_wallets_are_what_the_postings_say() -> None:
    books = busy_books()
    # 10 coins bought at 50 less one as a fee, 5 sold at 55 with a rebate of 3; the perpetual lost 50 on its
    # 10 contracts, paid 2 and a funding of 4; three gas went as fees.
    assert books.wallet("USD") == 10_000 - 500 + 275 + 3 - 2 - 50 - 4
    assert (books.wallet("COIN"), books.wallet("GAS")) == (50 + 9 - 5, 97)
    assert books.state.positions[PERP.symbol].units == -5


def test_no_account_of_the_books_mixes_two_assets() -> None:
    books = busy_books()
    net: dict[tuple[str, str], int] = defaultdict(int)
    for entry in postings_of(books.events):
        net[entry.debit, entry.asset] += entry.amount
        net[entry.credit, entry.asset] -= entry.amount
    balances = books.state.balances
    for (name, asset), amount in sorted(net.items()):
        assert balances.get(f"{name}:{asset}", balances.get(name)) == amount, (name, asset)


# --- memory of ended orders ----------------------------------------------------------------------------


def test_the_oldest_ended_orders_are_forgotten_and_working_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_state, "REMEMBERED_ORDERS", 2)
    books = Books()
    for order_id in ("working", "first", "second", "third"):
        books.submit(order_id, "buy", 10, 1)
    for order_id in ("first", "second", "third"):
        books.tell(cancelled(order_id))
    assert set(books.state.orders) == {"working", "second", "third"}
    assert books.ask(fill("first", 1)) == Rejection(Refusal.UNKNOWN_ORDER, "first")
    assert len(books.state.ended) == 2


def test_a_late_fill_does_not_end_an_order_a_second_time() -> None:
    books = order_in(S.CANCELLED)
    books.tell(fill("a", 3))
    assert books.state.ended_count == 1
