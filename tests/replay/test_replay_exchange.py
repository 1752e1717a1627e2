"""The simulated exchange by itself: a row per refusal, and executions computed by hand."""

from __future__ import annotations

from typing import Any

import pytest
from at_the_exchange import GTC, IOC, TAKE, Desk, fills, kinds
from markets import Quote, quotes, trades
from worlds import COIN, PERP, T0, instrument, terms

from domain.inputs import (
    CancelRejectedReport,
    FillReport,
    OrderAcceptedReport,
    OrderCancelledReport,
    OrderRejectedReport,
)
from domain.order_events import OrderSubmitted
from replay.exchange.rules import ExchangeRules, Reject
from replay.exchange.session import SimulatedExchange

# --- refusals ------------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, Reject, dict[str, Any], dict[str, Any]]] = [
    ("an unlisted symbol", Reject.UNKNOWN_SYMBOL, {"symbol": "NONE"}, {}),
    ("a price of zero", Reject.PRICE_FILTER, {"price": 0}, {}),
    ("a negative price", Reject.PRICE_FILTER, {"price": -1}, {}),
    ("no lots", Reject.LOT_SIZE, {"lots": 0}, {}),
    ("a value below the minimum", Reject.NOTIONAL, {"lots": 1, "price": 49}, {"min_notional": 50}),
    ("a post-only buy above the market", Reject.WOULD_TAKE, {"price": 101}, {}),
    ("a post-only sell below the market", Reject.WOULD_TAKE, {"side": "sell", "price": 99}, {}),
    ("a buy without the money", Reject.BALANCE, {"lots": 1_001}, {}),
    (
        "a buy without the money for its fee",
        Reject.BALANCE,
        {"lots": 1_000},
        {"maker_fee_ppm": 1, "taker_fee_ppm": 1},
    ),
    ("a sell of more than is held", Reject.BALANCE, {"side": "sell", "lots": 101, "price": 101}, {}),
    ("a perpetual without the margin", Reject.MARGIN, {"lots": 1_001}, {"kind": "linear"}),
    ("a reduce-only buy of spot", Reject.REDUCE_ONLY, {"reduce_only": True}, {}),
    (
        "a reduce-only order without a position",
        Reject.REDUCE_ONLY,
        {"side": "sell", "price": 101, "reduce_only": True},
        {"kind": "linear"},
    ),
]


@pytest.mark.parametrize(
    ("reject", "order", "rules"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_an_order_is_refused_in_the_words_of_a_real_exchange(
    reject: Reject, order: dict[str, Any], rules: dict[str, Any]
) -> None:
    desk = Desk(one=instrument(COIN, **rules))
    order = {"side": "buy", "price": 100, "lots": 1, **order}
    reports = desk.place("a", **order)
    assert reports == [OrderRejectedReport(client_order_id="a", reason=reject.code, text=reject.text)]
    assert desk.exchange.books[COIN.symbol].by_id == {}
    assert desk.exchange.wallet.free("USD") == 100_000


ACCEPTED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("exactly the minimum", {"lots": 1, "price": 50}, {"min_notional": 50}),
    ("all the money", {"lots": 1_000}, {}),
    ("all that is held", {"side": "sell", "lots": 100, "price": 101}, {}),
    ("all the margin", {"lots": 1_000}, {"kind": "linear"}),
    ("leverage carries more", {"lots": 3_000}, {"kind": "linear", "leverage_ppm": 3_000_000}),
    ("post-only at the last price", {"price": 100}, {}),
    (
        "reduce-only below the minimum",
        {"side": "sell", "price": 101, "reduce_only": True},
        {"min_notional": 10**6},
    ),
]


@pytest.mark.parametrize(("order", "rules"), [r[1:] for r in ACCEPTED], ids=[r[0] for r in ACCEPTED])
def test_an_order_on_the_edge_of_a_rule_is_taken(order: dict[str, Any], rules: dict[str, Any]) -> None:
    desk = Desk(one=instrument(COIN, **rules))
    reports = desk.place("a", **{"side": "buy", "price": 100, "lots": 1, **order})
    assert reports == [OrderAcceptedReport(client_order_id="a", exchange_order_id="1")]


def test_a_client_order_id_is_taken_once_even_after_its_order_ended() -> None:
    desk = Desk()
    desk.place("a", "buy", 90, 1)
    assert desk.place("a", "buy", 90, 1)[0].text == Reject.DUPLICATE.text  # type: ignore[attr-defined]
    desk.cancel("a")
    assert desk.place("a", "buy", 90, 1)[0].text == Reject.DUPLICATE.text  # type: ignore[attr-defined]


def test_before_the_first_row_there_is_no_market() -> None:
    exchange = SimulatedExchange(
        {COIN.symbol: COIN}, {COIN.symbol: trades(COIN.symbol, [100])}, {}, ExchangeRules()
    )
    exchange.submit(OrderSubmitted(terms=terms("a", "buy", 1, 1), reserve_asset="USD", reserved=0), T0)
    exchange.handle_request()
    assert exchange.take_report().reason == Reject.UNKNOWN_SYMBOL.code  # type: ignore[attr-defined]


@pytest.mark.parametrize("order_id", ["never placed", "filled", "cancelled"])
def test_a_cancel_for_an_order_that_does_not_work_is_refused(order_id: str) -> None:
    desk = Desk()
    desk.place("filled", "buy", 100, 1)
    assert fills(desk.row(0)) == [("filled", 100, 1)]
    desk.place("cancelled", "buy", 90, 1)
    desk.cancel("cancelled")
    refused = CancelRejectedReport(client_order_id=order_id, reason="-2011", text="Unknown order sent.")
    assert desk.cancel(order_id) == [refused]


def test_a_cancel_of_an_unknown_symbol_is_refused() -> None:
    assert kinds(Desk().cancel("a", symbol="NONE")) == [CancelRejectedReport]


def test_a_cancelled_order_frees_its_money_and_is_not_filled() -> None:
    desk = Desk(trades(COIN.symbol, [100, 80]))
    desk.place("a", "buy", 90, 10)
    assert desk.exchange.wallet.free("USD") == 100_000 - 900
    assert desk.cancel("a") == [OrderCancelledReport(client_order_id="a", reason="requested")]
    assert desk.exchange.wallet.free("USD") == 100_000
    assert desk.row(1) == []


# --- taking --------------------------------------------------------------------------------------------

BOOK: Quote = (99, 101, 5, 4)


@pytest.mark.parametrize(
    ("side", "price", "rests"),
    [("buy", 100, True), ("buy", 101, False), ("sell", 100, True), ("sell", 99, False), ("buy", 99, True)],
)
def test_with_quotes_a_post_only_order_rests_inside_the_spread_and_never_at_the_other_side(
    side: str, price: int, rests: bool
) -> None:
    desk = Desk(quotes(COIN.symbol, [BOOK]))
    assert kinds(desk.place("a", side, price, 1)) == [OrderAcceptedReport if rests else OrderRejectedReport]


@pytest.mark.parametrize(("side", "got"), [("buy", 101), ("sell", 99)])
def test_a_crossing_limit_order_takes_at_the_other_side_not_at_its_own_price(side: str, got: int) -> None:
    desk = Desk(quotes(COIN.symbol, [BOOK]))
    reports = desk.place("a", side, 101 if side == "buy" else 99, 3, **GTC)
    assert kinds(reports) == [OrderAcceptedReport, FillReport]
    assert fills(reports) == [("a", got, 3)]
    assert reports[1].liquidity == "taker"  # type: ignore[attr-defined]


def test_limited_by_volume_a_taker_gets_what_is_shown_and_the_rest_waits() -> None:
    desk = Desk(quotes(COIN.symbol, [BOOK]), volume_limited=True)
    assert fills(desk.place("a", "buy", 101, 10, **GTC)) == [("a", 101, 4)]
    assert desk.exchange.books[COIN.symbol].by_id["a"].left == 6


def test_an_ioc_order_takes_what_is_shown_and_the_rest_expires() -> None:
    desk = Desk(quotes(COIN.symbol, [BOOK]), volume_limited=True)
    reports = desk.place("a", "buy", 101, 10, **IOC)
    assert kinds(reports) == [OrderAcceptedReport, FillReport, OrderCancelledReport]
    assert fills(reports) == [("a", 101, 4)]
    assert reports[2].reason == "expired"  # type: ignore[attr-defined]
    assert desk.exchange.books[COIN.symbol].by_id == {}


def test_an_ioc_order_that_crosses_nothing_expires_whole() -> None:
    reports = Desk(quotes(COIN.symbol, [BOOK])).place("a", "buy", 100, 10, **IOC)
    assert kinds(reports) == [OrderAcceptedReport, OrderCancelledReport]


@pytest.mark.parametrize(("side", "got"), [("buy", 101), ("sell", 99)])
def test_a_market_order_completes_at_the_best_price_whatever_its_own(side: str, got: int) -> None:
    desk = Desk(quotes(COIN.symbol, [BOOK]), volume_limited=True)
    assert fills(desk.place("a", side, 1, 10, **TAKE)) == [("a", got, 10)]


def test_a_reduce_only_order_may_close_a_position_and_not_more() -> None:
    desk = Desk(one=PERP)
    desk.place("in", "buy", 100, 5, **TAKE)
    assert kinds(desk.place("more", "sell", 101, 6, reduce_only=True)) == [OrderRejectedReport]
    assert fills(desk.place("out", "sell", 1, 5, reduce_only=True, **TAKE)) == [("out", 100, 5)]
    assert desk.exchange.wallet.position[PERP.symbol] == 0


def test_a_resting_reduce_only_order_is_cancelled_when_there_is_nothing_left_to_reduce() -> None:
    desk = Desk(trades(PERP.symbol, [100, 110]), one=PERP)
    desk.place("in", "buy", 100, 5, **TAKE)
    desk.place("rest", "sell", 105, 5, reduce_only=True)
    desk.place("out", "sell", 100, 5, **TAKE)
    assert desk.row(1) == [OrderCancelledReport(client_order_id="rest", reason="reduce_only")]


# --- fees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "side", "expected"),
    [
        # 10 coins at 90 are 900; a maker pays 1 %: 9.
        ("quote", "buy", ("USD", 9, 9)),
        ("quote", "sell", ("USD", 11, 11)),
        # In coins: 9 / 90 is 0.1, rounded up to a whole coin, worth 90.
        ("base", "buy", ("COIN", 1, 90)),
        ("base", "sell", ("USD", 11, 11)),
        # In a third asset at 40 each, with one decimal: 0.225 rounded up to 0.3, worth 12; 0.275 likewise.
        ("GAS", "buy", ("GAS", 3, 12)),
        ("GAS", "sell", ("GAS", 3, 12)),
    ],
)
def test_a_fee_is_charged_in_its_asset_and_valued_in_the_quote(
    where: str, side: str, expected: tuple[str, int, int]
) -> None:
    one = instrument(COIN, maker_fee_ppm=10_000, taker_fee_ppm=20_000)
    price = 90 if side == "buy" else 110
    balances = {"USD": 100_000, "COIN": 100, "GAS": 50}
    desk = Desk(
        trades(COIN.symbol, [100, price]),
        one,
        balances,
        fee_asset=where,
        fee_asset_price=40,
        fee_asset_decimals=1,
    )
    desk.place("a", side, price, 10)
    report = desk.row(1)[0]
    assert isinstance(report, FillReport)
    asset, units, _ = expected
    assert (report.fee_asset, report.fee_units, report.fee_value, report.liquidity) == (*expected, "maker")
    sign = 1 if side == "buy" else -1
    after = dict(balances)
    after["COIN"] += sign * 10
    after["USD"] -= sign * price * 10
    after[asset] -= units
    assert {name: desk.exchange.wallet.total[name] for name in after} == after


def test_a_taker_pays_the_taker_fee() -> None:
    one = instrument(COIN, maker_fee_ppm=10_000, taker_fee_ppm=20_000)
    report = Desk(one=one).place("a", "buy", 1, 10, **TAKE)[1]
    assert report.fee_units == 20  # type: ignore[attr-defined]


def test_a_rebate_is_received() -> None:
    desk = Desk(one=instrument(COIN, maker_fee_ppm=-10_000))
    desk.place("a", "buy", 100, 10)
    assert desk.row(0)[0].fee_units == -10  # type: ignore[attr-defined]
    assert desk.exchange.wallet.total["USD"] == 100_000 - 1_000 + 10


def test_an_order_filled_in_parts_unlocks_exactly_what_it_locked() -> None:
    # 4 coins at 90 lock 360 and a fee of 0.36, rounded up to 1; each half unlocks 180 and 0.18, rounded to 1.
    one = instrument(COIN, maker_fee_ppm=1_000, taker_fee_ppm=1_000)
    desk = Desk(trades(COIN.symbol, [100, 90, 90], qty=[1, 2, 2]), one, volume_limited=True)
    desk.place("a", "buy", 90, 4)
    desk.row(1)
    assert fills(desk.row(2)) == [("a", 90, 2)]
    assert desk.exchange.wallet.locked["USD"] == 0


# --- perpetuals ----------------------------------------------------------------------------------------


def test_a_flip_realises_the_closed_part_and_opens_the_rest_at_the_new_price() -> None:
    desk = Desk(trades(PERP.symbol, [100, 120]), one=PERP)
    desk.place("in", "buy", 100, 5, **TAKE)
    desk.row(1)
    desk.place("flip", "sell", 120, 8, **TAKE)
    wallet = desk.exchange.wallet
    assert wallet.total["USD"] == 100_000 + 5 * 20
    assert (wallet.position[PERP.symbol], wallet.cost[PERP.symbol]) == (-3, -360)


def test_both_sides_of_a_neutral_ladder_need_margin_once() -> None:
    desk = Desk(one=PERP, balances={"USD": 1_000})
    assert kinds(desk.place("buy", "buy", 100, 10)) == [OrderAcceptedReport]
    assert kinds(desk.place("sell", "sell", 100, 10)) == [OrderAcceptedReport]
    assert kinds(desk.place("more", "sell", 101, 1)) == [OrderRejectedReport]


# --- latency -------------------------------------------------------------------------------------------


def test_a_request_and_its_report_each_take_the_order_latency() -> None:
    desk = Desk(order_latency_ns=30)
    desk.exchange.submit(
        OrderSubmitted(terms=terms("a", "buy", 90, 1), reserve_asset="USD", reserved=90), T0 + 5
    )
    assert desk.exchange.next_request_symbol() == COIN.symbol
    assert desk.exchange.next_request_ns() == T0 + 35
    desk.exchange.handle_request()
    assert desk.exchange.next_request_ns() is None
    assert desk.exchange.next_report_ns() == T0 + 65


def test_requests_of_one_instant_are_handled_in_the_order_they_were_sent() -> None:
    desk = Desk(one=instrument(COIN))
    for order_id in ("first", "second"):
        order = terms(order_id, "buy", 100, 600)
        desk.exchange.submit(OrderSubmitted(terms=order, reserve_asset="USD", reserved=60_000), T0)
    desk.exchange.handle_request()
    desk.exchange.handle_request()
    answers = [(type(one).__name__, one.client_order_id) for one in desk.reports()]  # type: ignore[attr-defined]
    assert answers == [("OrderAcceptedReport", "first"), ("OrderRejectedReport", "second")]


BY_THE_DESK = {Reject.MARKET_CLOSED, Reject.MAX_ORDERS}
REACHABLE = {row[1] for row in REFUSALS} | {Reject.DUPLICATE, Reject.UNKNOWN_ORDER} | BY_THE_DESK


def test_every_refusal_can_be_met() -> None:
    assert set(Reject) - REACHABLE == set()
