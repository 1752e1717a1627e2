"""A grid at work: a core learns prices and reports, and the orders that leave are what the grid wants."""

from __future__ import annotations

import pytest
from worlds import COIN, FINE, PERP, SECOND, World, bounded, centered, instrument, start_grid

from domain.inputs import HaltTrading, ResetHalt, StopGrid
from domain.levels import LevelPhase, retry_delay_ns
from domain.order_events import OrderTerms
from domain.orders import Purpose, level_of, purpose_of
from domain.rejection import Refusal
from domain.symbol import inventory


def sides(orders: list[OrderTerms]) -> list[tuple[str, int, int]]:
    """(side, price, lots) of orders, as they left."""
    return [(one.side, one.price_ticks, one.lots) for one in orders]


def only(orders: list[OrderTerms]) -> OrderTerms:
    (one,) = orders
    return one


def at(orders: list[OrderTerms], price: int) -> str:
    """Id of the order at a price."""
    return next(one.client_order_id for one in orders if one.price_ticks == price)


# --- starting ------------------------------------------------------------------------------------------


def test_before_its_first_price_a_grid_orders_nothing() -> None:
    world = World()
    assert world.start(bounded(90, 110, 2)) == []
    assert world.tick(105) != []


def test_a_long_grid_places_buys_below_the_price_nearest_first() -> None:
    world = World()
    world.start(bounded(80, 120, 4))
    assert sides(world.tick(105)) == [("buy", 100, 1), ("buy", 90, 1), ("buy", 80, 1)]


def test_a_level_at_the_price_itself_waits_until_the_price_has_left_it() -> None:
    world = World()
    world.start(bounded(90, 110, 2))
    assert sides(world.tick(100)) == [("buy", 90, 1)]
    assert world.tick(100) == []
    assert sides(world.tick(101)) == [("buy", 100, 1)]


def test_a_long_grid_with_initial_inventory_buys_what_the_levels_above_can_sell() -> None:
    world = World()
    world.start(bounded(80, 120, 4, lots=3), initial_inventory="buy")
    orders = world.tick(95)
    stock = orders[0]
    assert (stock.side, stock.order_type, stock.lots) == ("buy", "market", 6)
    assert purpose_of(stock.client_order_id) is Purpose.INITIAL_INVENTORY
    assert sides(orders[1:]) == [("buy", 90, 3), ("buy", 80, 3)]
    placed = world.fill(stock.client_order_id, price=95)
    assert sides(placed) == [("sell", 110, 3), ("sell", 120, 3)]
    assert inventory(world.grid()) == 6


def test_initial_inventory_is_reserved_above_the_last_price() -> None:
    world = World(balances={"USD": 10**6})
    world.start(bounded(1_000, 2_000, 1), initial_inventory="buy")
    # Half a percent above 1000, and a tick.
    assert only(world.tick(1_000)).price_ticks == 1_006


def test_existing_holdings_are_given_to_the_levels_above_lowest_first() -> None:
    world = World(balances={"USD": 10_000, "COIN": 5})
    world.start(bounded(80, 120, 4, lots=3), initial_inventory="existing", existing_units=5)
    assert sorted(sides(world.tick(95))) == [
        ("buy", 80, 3),
        ("buy", 90, 3),
        ("sell", 110, 3),
        ("sell", 120, 2),
    ]
    assert inventory(world.grid()) == 5


def test_a_neutral_grid_leaves_a_hole_at_the_price_buys_below_and_sells_above() -> None:
    world = World(PERP)
    world.start(bounded(80, 120, 4), mode="neutral")
    assert sorted(sides(world.tick(101))) == [
        ("buy", 80, 1),
        ("buy", 90, 1),
        ("sell", 110, 1),
        ("sell", 120, 1),
    ]


def test_a_fill_of_a_neutral_grid_moves_the_hole() -> None:
    world = World(PERP)
    world.start(bounded(80, 120, 4), mode="neutral")
    orders = world.tick(100)
    assert sides(world.fill(at(orders, 90))) == [("sell", 100, 1)]
    second = world.fill(at(orders, 110))
    assert sides(second) == [("buy", 100, 1)]


@pytest.mark.parametrize(
    ("price", "opening"),
    [
        (104, ["buy", "buy", "sell", "sell"]),
        (106, ["buy", "buy", "buy", "sell"]),
        (105, ["buy", "buy", "sell", "sell"]),
    ],
)
def test_the_hole_is_the_boundary_nearest_to_the_price_ties_to_the_lower(
    price: int, opening: list[str]
) -> None:
    world = World(PERP)
    world.start(bounded(80, 120, 4), mode="neutral")
    world.tick(price)
    assert [level.opening for level in world.grid().levels] == opening


def test_a_grid_of_an_unlisted_symbol_is_refused() -> None:
    world = World()
    world.start(bounded(90, 110, 2), symbol="NONE")
    assert {one.reason for one in world.said("MessageRefused")} == {Refusal.UNKNOWN_SYMBOL.value}


def test_a_running_grid_is_not_started_again() -> None:
    world = World()
    world.start(bounded(90, 110, 2))
    world.tick(105)
    world.start(bounded(90, 110, 2))
    assert [one.reason for one in world.said("MessageRefused")] == [Refusal.ALREADY_OPEN.value]


def test_a_grid_whose_every_level_is_skipped_is_refused() -> None:
    world = World(instrument(COIN, min_notional=10**6))
    world.start(bounded(90, 110, 2))
    assert [one.reason for one in world.said("MessageRefused")] == [Refusal.NO_LEVELS.value]


# --- cycles --------------------------------------------------------------------------------------------


def test_a_level_buys_and_sells_in_turn_and_books_the_difference_of_its_own_prices() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=3))
    order = only(world.tick(105))
    for cycle in range(3):
        order = only(world.fill(order.client_order_id))
        assert sides([order]) == [("sell", 110, 3)]
        order = only(world.fill(order.client_order_id))
        assert sides([order]) == [("buy", 100, 3)]
        closing = world.said("LevelFilled")[-1]
        assert (closing.cycle, closing.profit, closing.held) == (cycle, 30, 0)
    assert world.wallet("USD") == 1_000_000 + 90


def test_every_order_has_an_id_of_its_own() -> None:
    world = World()
    world.start(bounded(80, 120, 4))
    order = world.tick(105)[0]
    for _ in range(4):
        order = only(world.fill(order.client_order_id))
    ids = [one.terms.client_order_id for one in world.said("OrderSubmitted")]
    assert len(set(ids)) == len(ids) == 7
    assert {level_of(one) for one in ids} == {0, 1, 2}


def test_a_partial_fill_asks_for_nothing_until_the_order_is_complete() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=5))
    order = only(world.tick(105))
    assert world.fill(order.client_order_id, lots=2) == []
    assert world.grid().levels[0].phase is LevelPhase.OPENING
    assert sides(world.fill(order.client_order_id, lots=3)) == [("sell", 110, 5)]


def test_a_partly_filled_order_that_is_cancelled_leaves_a_level_that_sells_what_it_holds() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=5))
    order = only(world.tick(105))
    world.fill(order.client_order_id, lots=2)
    world.cancelled(order.client_order_id)
    assert world.grid().levels[0].phase is LevelPhase.HOLDING
    assert sides(world.tick(105, after_ns=retry_delay_ns(0))) == [("sell", 110, 2)]


def test_a_closing_order_that_is_cancelled_is_placed_again_for_the_rest() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=5))
    closing = only(world.fill(only(world.tick(105)).client_order_id))
    world.fill(closing.client_order_id, lots=3)
    world.cancelled(closing.client_order_id)
    assert sides(world.tick(105, after_ns=retry_delay_ns(0))) == [("sell", 110, 2)]


def test_a_fee_taken_in_the_base_leaves_a_residual_that_goes_with_a_later_cycle() -> None:
    # 10 lots of 100_000 units less a fee of 40_000 are 9 whole lots and 60_000 units.
    world = World(instrument(FINE, min_notional=0), balances={"USDT": 10**15})
    world.start(bounded(1_000, 1_100, 1, lots=10))
    order = only(world.tick(1_050))
    closing = only(world.fill(order.client_order_id, fee=("BTC", 40_000, 1)))
    assert closing.lots == 9
    opening = only(world.fill(closing.client_order_id))
    assert world.grid().levels[0].held == 60_000
    # 60_000 left and 960_000 bought: ten whole lots again.
    assert only(world.fill(opening.client_order_id, fee=("BTC", 40_000, 1))).lots == 10


def test_a_level_whose_entry_is_too_small_to_close_opens_once_more_and_then_closes() -> None:
    # One lot less its fee is no whole lot: the level buys again, and then holds one whole lot to sell.
    world = World(instrument(FINE, min_notional=0), balances={"USDT": 10**15})
    world.start(bounded(1_000, 1_100, 1, lots=1))
    first = only(world.tick(1_050))
    second = only(world.fill(first.client_order_id, fee=("BTC", 100, 1)))
    assert sides([second]) == [("buy", 1_000, 1)]
    assert world.grid().levels[0].phase is LevelPhase.OPENING
    assert sides(world.fill(second.client_order_id, fee=("BTC", 100, 1))) == [("sell", 1_100, 1)]


def test_a_level_never_holds_less_than_nothing() -> None:
    world = World(instrument(FINE, min_notional=0), balances={"USDT": 10**15, "BTC": 10**6})
    world.start(bounded(1_000, 1_100, 1, lots=10))
    closing = only(world.fill(only(world.tick(1_050)).client_order_id))
    world.fill(closing.client_order_id, fee=("BTC", 100, 1))
    assert world.grid().levels[0].held >= 0


# --- refusals of others --------------------------------------------------------------------------------


def test_a_rejected_order_waits_a_second_then_for_the_price() -> None:
    world = World()
    world.start(bounded(100, 110, 1))
    order = only(world.tick(105))
    assert world.reject(order.client_order_id) == []
    assert world.tick(105, after_ns=SECOND - 1) == []
    # The pause is over but the price has come down to the level: from now on it waits for the price.
    assert world.tick(100, after_ns=1) == []
    assert [one.level for one in world.said("LevelDeferred")] == [0]
    assert world.tick(100, after_ns=SECOND) == []
    assert sides(world.tick(101)) == [("buy", 100, 1)]


def test_the_pause_doubles_with_every_refusal_in_a_row_up_to_an_hour() -> None:
    assert [retry_delay_ns(n) // SECOND for n in (0, 1, 2, 11, 12, 1_000)] == [1, 2, 4, 2_048, 3_600, 3_600]
    world = World()
    world.start(bounded(100, 110, 1))
    order = only(world.tick(105))
    for refusals in range(4):
        world.reject(order.client_order_id)
        pause = (1 << refusals) * SECOND
        assert world.tick(105, after_ns=pause - 1) == []
        order = only(world.tick(105, after_ns=1))
    world.fill(only([order]).client_order_id)
    assert world.grid().levels[0].refusals == 0


def test_an_order_that_the_account_cannot_cover_is_tried_again() -> None:
    world = World(balances={"USD": 150})
    world.start(bounded(80, 120, 4))
    assert sides(world.tick(105)) == [("buy", 100, 1)]
    assert len(world.said("OrderRefused")) == 2
    waiting = [world.grid().levels[i].retry_at_ns for i in world.grid().waiting]
    assert waiting == [world.now_ns + SECOND, world.now_ns + SECOND, 0]


def test_an_order_blocked_by_the_order_rate_is_placed_when_the_window_has_moved() -> None:
    world = World(orders_per_minute=2)
    world.start(bounded(80, 120, 4))
    assert sides(world.tick(111)) == [("buy", 110, 1), ("buy", 100, 1)]
    assert world.tick(111, after_ns=60 * SECOND - 1) == []
    assert sides(world.tick(111, after_ns=1)) == [("buy", 90, 1), ("buy", 80, 1)]


def test_a_report_about_an_order_of_an_earlier_cycle_does_not_disturb_the_level() -> None:
    world = World()
    world.start(bounded(100, 110, 1))
    old = only(world.tick(105)).client_order_id
    world.reject(old)
    new = only(world.tick(105, after_ns=SECOND)).client_order_id
    before = world.grid()
    world.cancelled(old)
    assert world.grid() == before
    assert before.levels[0].order_id == new


# --- late fills ----------------------------------------------------------------------------------------


def test_a_late_fill_is_booked_to_its_level_and_leaves_with_its_next_closing() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=5))
    order = only(world.tick(105))
    world.cancelled(order.client_order_id)
    assert world.fill(order.client_order_id, lots=2) == []
    assert world.said("OrderFilled")[-1].late
    assert world.grid().levels[0].held == 2
    again = only(world.tick(105, after_ns=SECOND))
    assert sides([again]) == [("buy", 100, 5)]
    assert sides(world.fill(again.client_order_id)) == [("sell", 110, 7)]


def test_a_fill_after_the_grid_has_stopped_is_booked_and_orders_nothing() -> None:
    world = World()
    world.start(bounded(100, 110, 1))
    order = only(world.tick(105))
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="keep", reason="test"))
    assert world.fill(order.client_order_id) == []
    assert inventory(world.grid()) == 1
    assert world.wallet("COIN") == 1


# --- stopping ------------------------------------------------------------------------------------------


def holding(on_stop: str) -> tuple[World, str, str]:
    """A running grid that holds one coin: its world, the id of its sell and of its buy."""
    world = World()
    world.start(bounded(90, 110, 2), on_stop=on_stop)
    orders = world.tick(105)
    sell = only(world.fill(at(orders, 100))).client_order_id
    return world, sell, at(orders, 90)


def test_stopping_with_keep_leaves_the_orders_alone() -> None:
    world, _, _ = holding("keep")
    assert world.learn(StopGrid(symbol=COIN.symbol, on_stop="keep", reason="test")) == []
    assert world.said("GridStopped")[-1].inventory == 1


def test_stopping_with_cancel_ends_when_the_exchange_has_cancelled_everything() -> None:
    world, sell, buy = holding("cancel")
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    assert sorted(world.cancels()) == sorted([sell, buy])
    world.cancelled(buy)
    assert world.said("GridStopped") == []
    world.cancelled(sell)
    assert world.said("GridStopped")[-1].inventory == 1


def test_stopping_with_flatten_sells_what_is_held_once_no_order_works() -> None:
    world, sell, buy = holding("flatten")
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="flatten", reason="test"))
    world.cancelled(buy)
    world.cancelled(sell)
    flatten = world.said("OrderSubmitted")[-1].terms
    assert (flatten.side, flatten.order_type, flatten.reduce_only, flatten.lots) == (
        "sell",
        "market",
        True,
        1,
    )
    world.fill(flatten.client_order_id, price=104)
    assert world.said("GridStopped")[-1].inventory == 0
    assert world.said("LevelFilled")[-1].profit == 4


def test_a_flatten_order_that_fails_is_not_tried_again() -> None:
    world, sell, buy = holding("flatten")
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="flatten", reason="test"))
    world.cancelled(buy)
    world.cancelled(sell)
    flatten = world.said("OrderSubmitted")[-1].terms
    assert world.reject(flatten.client_order_id) == []
    assert world.said("GridStopped")[-1].inventory == 1


def test_an_order_that_fills_while_the_grid_stops_ends_the_stop_as_well() -> None:
    world, sell, buy = holding("cancel")
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    world.cancelled(buy)
    world.cancel_refused(sell)
    assert world.fill(sell) == []
    assert world.said("GridStopped")[-1].inventory == 0


def test_a_cancel_that_overtook_its_order_is_sent_again() -> None:
    world = World()
    world.start(bounded(100, 110, 1))
    order_id = only(world.tick(105)).client_order_id
    world.learn(HaltTrading(reason="MANUAL"))
    assert world.cancels() == [order_id]
    # The exchange did not know the order yet when the cancel came, and takes the order afterwards.
    world.cancel_refused(order_id)
    world.accept(order_id)
    for _ in range(3):
        world.tick(105, after_ns=60 * SECOND)
        world.mark(COINUSD=105)
    assert len(world.cancels()) > 1


@pytest.mark.parametrize("price", [90, 85])
def test_the_stop_loss_stops_the_grid_as_it_was_told(price: int) -> None:
    world = World()
    world.start(bounded(100, 110, 1), stop_loss_ticks=90, on_stop="cancel")
    order = only(world.tick(105))
    assert world.tick(91) == []
    world.tick(price)
    assert world.cancels() == [order.client_order_id]
    assert world.said("GridStopping")[-1].reason == "PAUSE_STOP_LOSS"


def test_the_take_profit_stops_the_grid() -> None:
    world = World()
    world.start(bounded(100, 110, 1), take_profit_ticks=120, on_stop="cancel")
    world.tick(105)
    world.tick(120)
    assert len(world.cancels()) == 1
    assert world.said("GridStopping")[-1].reason == "PAUSE_TAKE_PROFIT"


def test_the_kill_switch_cancels_even_where_a_stop_would_keep() -> None:
    world, sell, buy = holding("keep")
    world.learn(HaltTrading(reason="MANUAL"))
    assert sorted(world.cancels()) == sorted([sell, buy])


def test_a_grid_that_is_not_running_cannot_be_stopped() -> None:
    world = World()
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="keep", reason="test"))
    assert [one.reason for one in world.said("MessageRefused")] == [Refusal.NOT_RUNNING.value]


def test_a_grid_may_be_stopped_before_its_first_price() -> None:
    world = World()
    world.start(bounded(100, 110, 1))
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    assert [one.inventory for one in world.said("GridStopped")] == [0]
    assert world.tick(105) == []


def stopped() -> World:
    world = World()
    world.start(bounded(90, 110, 2))
    orders = world.tick(105)
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    for order in orders:
        world.cancelled(order.client_order_id)
    assert world.said("GridStopped") != []
    return world


def test_a_stopped_grid_can_be_started_again() -> None:
    world = stopped()
    world.learn(start_grid(COIN.symbol, bounded(90, 110, 2)))
    assert sides(world.tick(105)) == [("buy", 100, 1), ("buy", 90, 1)]


def test_an_order_that_never_leaves_does_not_count_as_resting() -> None:
    world = stopped()
    world.learn(start_grid(COIN.symbol, bounded(90, 110, 2)))
    submitted = world.tick(105)
    resting = sum(one.price_ticks * one.lots for one in submitted)
    assert world.portfolio.symbols[COIN.symbol].resting_buys == resting


def test_a_late_fill_of_a_larger_ladder_does_not_break_a_smaller_one() -> None:
    world = World()
    world.start(bounded(80, 120, 4))
    orders = world.tick(125)
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    for order in orders:
        world.cancelled(order.client_order_id)
    world.learn(start_grid(COIN.symbol, bounded(90, 110, 1)))
    world.tick(105)
    world.fill(at(orders, 110))
    assert world.wallet("COIN") == 1


# --- what happens in between ---------------------------------------------------------------------------


def test_after_a_reset_of_the_kill_switch_orders_are_allowed_again() -> None:
    world, sell, buy = holding("cancel")
    world.learn(HaltTrading(reason="MANUAL"))
    for order_id in (sell, buy):
        world.cancelled(order_id)
    assert world.said("GridStopped")[-1].reason == "MANUAL"
    world.learn(ResetHalt(operator="me"))
    assert world.portfolio.halted == ""


def test_a_halt_by_a_fill_leaves_no_order_working() -> None:
    # Bought 100 at 100, 90 and 80 with 100_000: the third fill marks 300 coins at 80, a fall of 3 %.
    world = World(balances={"USD": 100_000}, session_drawdown_ppm=25_000)
    world.mark(COINUSD=105)
    world.start(bounded(80, 110, 3, lots=100))
    orders = world.tick(105)
    for price in (100, 90, 80):
        world.fill(at(orders, price))
    assert world.said("TradingHalted") != []
    working = {i for i, one in world.account.orders.items() if one.status.value in ("pending", "open")}
    assert working - set(world.cancels()) == set()


def test_stock_in_flight_belongs_to_its_levels_even_if_the_price_has_moved_on() -> None:
    world = World()
    world.start(bounded(80, 120, 4), initial_inventory="buy")
    stock = world.tick(95)[0]
    world.tick(105)  # the level 100..110 now stands below the price; its coin is under way
    world.fill(stock.client_order_id, price=95)
    assert inventory(world.grid()) == world.wallet("COIN") == 2


def test_stock_goes_to_the_levels_above_the_price_even_when_those_below_were_blocked() -> None:
    world = World(orders_per_minute=1)
    world.start(bounded(80, 120, 4), initial_inventory="buy")
    stock = only(world.tick(95))
    world.fill(stock.client_order_id, price=95)
    assert [level.held for level in world.grid().levels] == [0, 0, 1, 1]


def test_without_post_only_initial_inventory_is_bought_once() -> None:
    world = World()
    world.start(bounded(80, 120, 4), initial_inventory="buy", post_only=False)
    bought = sum(one.lots for one in world.tick(95) if one.price_ticks > 95)
    assert bought == 2


def test_without_post_only_a_level_waits_for_the_price_all_the_same() -> None:
    world = World()
    world.start(bounded(90, 110, 2), post_only=False)
    (order,) = world.tick(95)
    assert (order.price_ticks, order.time_in_force) == (90, "gtc")
    assert sides(world.tick(101)) == [("buy", 100, 1)]


def test_a_centered_ladder_has_one_price_without_an_order() -> None:
    world = World(PERP)
    world.start(centered(1_000, 10_000, 3), mode="neutral")
    assert sorted(sides(world.tick(1_000))) == [
        ("buy", 971, 1),
        ("buy", 980, 1),
        ("buy", 990, 1),
        ("sell", 1_010, 1),
        ("sell", 1_020, 1),
        ("sell", 1_030, 1),
    ]
