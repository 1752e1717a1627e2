"""When a resting order is filled: touched, traded through, or by its place in the queue, amended or not."""

from __future__ import annotations

import pytest
from at_the_exchange import Desk, fills, kinds
from markets import Quote, mixed, quotes, trades
from worlds import COIN

from domain.inputs import OrderAmendedReport, OrderRejectedReport
from replay.exchange.rules import FillModel

# --- fill models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "price", "filled"),
    [
        (FillModel.TOUCH, 91, False),
        (FillModel.TOUCH, 90, True),
        (FillModel.THROUGH, 90, False),
        (FillModel.THROUGH, 89, True),
    ],
)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_touch_fills_at_the_price_and_through_only_beyond_it(
    model: FillModel, price: int, filled: bool, side: str
) -> None:
    price = price if side == "buy" else 200 - price
    desk = Desk(trades(COIN.symbol, [100, price]), model=model)
    own = 90 if side == "buy" else 110
    desk.place("a", side, own, 2)
    assert fills(desk.row(1)) == ([("a", own, 2)] if filled else [])


@pytest.mark.parametrize(("ask", "filled"), [(92, False), (91, True)])
def test_a_quote_row_touches_a_buy_when_the_ask_comes_down_to_it(ask: int, filled: bool) -> None:
    desk = Desk(quotes(COIN.symbol, [(99, 101, 1, 1), (ask - 1, ask, 1, 1)]))
    desk.place("a", "buy", 91, 2)
    assert fills(desk.row(1)) == ([("a", 91, 2)] if filled else [])


def test_orders_fill_in_price_then_time_priority_buys_before_sells() -> None:
    desk = Desk(trades(COIN.symbol, [100, 90]))
    for order_id, price in (("low", 90), ("first", 95), ("second", 95), ("high", 99)):
        desk.place(order_id, "buy", price, 1)
    assert [one[0] for one in fills(desk.row(1))] == ["high", "first", "second", "low"]


def test_limited_by_volume_a_row_fills_what_it_traded_best_price_first() -> None:
    desk = Desk(trades(COIN.symbol, [100, 90, 90], qty=[1, 5, 2]), volume_limited=True)
    desk.place("near", "buy", 95, 3)
    desk.place("far", "buy", 90, 9)
    assert fills(desk.row(1)) == [("near", 95, 3), ("far", 90, 2)]
    assert fills(desk.row(2)) == [("far", 90, 2)]
    assert desk.exchange.books[COIN.symbol].by_id["far"].left == 5


def test_in_the_queue_the_volume_at_the_price_first_serves_those_ahead() -> None:
    at_bid: Quote = (99, 101, 10, 10)
    rows = [(at_bid, 100, 1), (at_bid, 99, 6), (at_bid, 99, 3), (at_bid, 99, 3), (at_bid, 99, 9)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE)
    # Ten lots are shown at 99 when the order joins: 6 and 3 leave 1 ahead; of the next 3, two are ours.
    desk.place("a", "buy", 99, 4)
    assert fills(desk.row(1)) == []
    assert fills(desk.row(2)) == []
    assert fills(desk.row(3)) == [("a", 99, 2)]
    assert fills(desk.row(4)) == [("a", 99, 2)]


def test_in_the_queue_a_shrinking_display_moves_the_order_forward() -> None:
    # Ten ahead at first; then only three are shown, so at most three are ahead: of 5 traded, two are ours.
    rows = [((99, 101, 10, 10), 100, 1), ((99, 101, 3, 10), 100, 0), ((99, 101, 3, 10), 99, 5)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE)
    desk.place("a", "buy", 99, 4)
    desk.row(1)
    assert fills(desk.row(2)) == [("a", 99, 2)]


def test_in_the_queue_a_trade_beyond_the_price_executes_the_order_completely() -> None:
    rows = [((99, 101, 10, 10), 100, 1), ((97, 99, 10, 10), 98, 1)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE)
    desk.place("a", "buy", 99, 4)
    assert fills(desk.row(1)) == [("a", 99, 4)]


def test_in_the_queue_an_order_away_from_the_best_price_joins_behind_what_is_shown_when_reached() -> None:
    # At 95 nothing is shown to us; the row before the first trade at 95 shows 7 there.
    rows = [((99, 101, 10, 10), 100, 1), ((95, 101, 7, 10), 100, 0), ((95, 101, 7, 10), 95, 9)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE)
    desk.place("a", "buy", 95, 4)
    desk.row(1)
    assert fills(desk.row(2)) == [("a", 95, 2)]


def test_half_of_the_display_may_be_assumed_ahead() -> None:
    rows = [((99, 101, 10, 10), 100, 1), ((99, 101, 10, 10), 99, 6)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE, queue_ahead_ppm=500_000)
    desk.place("a", "buy", 99, 4)
    assert fills(desk.row(1)) == [("a", 99, 1)]


def test_own_orders_at_one_price_share_the_volume_that_passes_the_queue() -> None:
    rows = [((99, 101, 2, 10), 100, 1), ((99, 101, 2, 10), 99, 6)]
    desk = Desk(mixed(COIN.symbol, rows), model=FillModel.QUEUE)
    desk.place("a", "buy", 99, 3)
    desk.place("b", "buy", 99, 3)
    # Six traded, two were ahead: four are left for us, never six.
    assert sum(lots for _, _, lots in fills(desk.row(1))) <= 4


# --- amending ------------------------------------------------------------------------------------------


def queued(first: str, second: str) -> Desk:
    desk = Desk(trades(COIN.symbol, [100, 90, 90], qty=[1, 2, 9]), volume_limited=True)
    desk.place(first, "buy", 90, 4)
    desk.place(second, "buy", 90, 4)
    return desk


@pytest.mark.parametrize(
    ("price", "lots", "served"),
    [(90, 3, "a"), (90, 4, "a"), (90, 5, "b")],
    ids=["smaller keeps its place", "the same keeps its place", "larger loses its place"],
)
def test_an_amended_order_keeps_or_loses_its_place_in_the_queue(price: int, lots: int, served: str) -> None:
    desk = queued("a", "b")
    assert desk.amend("a", price, lots) == [
        OrderAmendedReport(client_order_id="a", price_ticks=price, lots=lots)
    ]
    assert fills(desk.row(1)) == [(served, 90, 2)]


def test_an_order_amended_to_another_price_and_back_is_last() -> None:
    desk = queued("a", "b")
    desk.amend("a", 91, 4)
    desk.amend("a", 90, 4)
    assert fills(desk.row(1)) == [("b", 90, 2)]


@pytest.mark.parametrize(("order_id", "price", "lots"), [("none", 90, 1), ("a", 101, 4), ("a", 90, 0)])
def test_an_amend_that_cannot_be_done_is_refused_and_the_order_stays(
    order_id: str, price: int, lots: int
) -> None:
    desk = queued("a", "b")
    assert kinds(desk.amend(order_id, price, lots)) == [OrderRejectedReport]
    assert fills(desk.row(1)) == [("a", 90, 2)]


def test_amending_moves_the_locked_money_along() -> None:
    desk = queued("a", "b")
    desk.amend("a", 80, 2)
    assert desk.exchange.wallet.locked["USD"] == 160 + 360


def test_the_quantity_of_an_amend_is_the_total_with_what_is_filled() -> None:
    desk = queued("a", "b")
    assert fills(desk.row(1)) == [("a", 90, 2)]
    desk.amend("a", 90, 3)
    assert desk.exchange.books[COIN.symbol].by_id["a"].left == 1
