"""What a live run teaches the core: pauses, throttles, absent orders that appear, orphans, corrections."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from worlds import COIN, LEDGER, PERP, SECOND, T0, World, bounded

from domain.inputs import (
    CorrectBalance,
    HaltTrading,
    OrderAbsentReport,
    OrderAcceptedReport,
    OrphanOrderReport,
    PauseTrading,
    RateLimitReport,
    ReconciliationReport,
    ResumeTrading,
    SetRequestBudget,
)
from domain.order_events import OrderSubmitted, OrphanCancelSubmitted
from domain.orders import OrderStatus
from domain.portfolio import equity
from domain.rejection import Refusal


def pause(reason: str = "operator", symbol: str = "") -> PauseTrading:
    return PauseTrading(reason=reason, symbol=symbol, operator="ann")


def resume(reason: str = "operator", symbol: str = "") -> ResumeTrading:
    return ResumeTrading(reason=reason, symbol=symbol, operator="ann")


def running(**changes: Any) -> World:
    """A long grid of four levels from 80 to 120, started at 100: buys rest at 80 and 90."""
    world = World(**changes)
    world.start(bounded(80, 120, 4))
    for order in world.tick(100):
        world.accept(order.client_order_id)
    return world


def test_a_pause_keeps_working_orders_and_lets_no_new_one_leave() -> None:
    world = running()
    order = next(one for one in world.orders.values() if one.price_ticks == 90)
    world.learn(pause())
    assert world.cancels() == []
    assert world.fill(order.client_order_id) == []
    assert world.said("OrderBlocked")[-1].reason == "PAUSED"
    assert world.tick(95, after_ns=3_600 * SECOND) == []
    assert world.account.orders[order.client_order_id].status is OrderStatus.FILLED


def test_the_end_of_a_pause_lets_every_waiting_level_ask_at_the_next_price() -> None:
    world = running()
    order = next(one for one in world.orders.values() if one.price_ticks == 90)
    world.learn(pause())
    world.fill(order.client_order_id)
    world.learn(resume())
    (sell,) = world.tick(95)
    assert (sell.side, sell.price_ticks) == ("sell", 100)


def test_pauses_for_several_reasons_add_up() -> None:
    world = World()
    world.start(bounded(80, 120, 4))
    world.learn(pause("operator"))
    world.learn(pause("stream_stale"))
    world.learn(pause("difference", world.symbol))
    for one in (resume("operator"), resume("stream_stale")):
        world.learn(one)
        assert world.tick(100) == []
    world.learn(resume("difference", world.symbol))
    assert len(world.tick(100)) == 2


def test_resuming_without_a_reason_ends_every_pause_of_that_scope_only() -> None:
    world = running()
    world.learn(pause("a"))
    world.learn(pause("b"))
    world.learn(pause("difference", world.symbol))
    world.learn(resume(""))
    assert dict(world.portfolio.pauses) == {world.symbol: ("difference",)}


def test_a_pause_said_twice_is_one_pause() -> None:
    world = running()
    world.learn(pause())
    world.learn(pause())
    assert len(world.said("TradingPaused")) == 1
    world.learn(resume())
    assert not world.portfolio.pauses


def test_a_pause_of_a_symbol_nobody_trades_is_refused() -> None:
    world = running()
    world.learn(pause(symbol="NOPE"))
    assert world.said("MessageRefused")[-1].reason == Refusal.UNKNOWN_SYMBOL


# --- requests ------------------------------------------------------------------------------------------


def test_a_budget_lets_only_as_many_orders_leave_and_the_rest_when_there_is_room() -> None:
    world = World()
    world.learn(SetRequestBudget(requests=4, reserve=1, window_ns=10 * SECOND))
    world.start(bounded(50, 100, 10))
    assert len(world.tick(100)) == 3
    assert world.said("OrderThrottled")[0].reason == "RATE_BUDGET"
    assert world.tick(99, after_ns=9 * SECOND) == []
    assert len(world.tick(99, after_ns=1 * SECOND)) == 3


def test_a_throttled_order_leaves_no_exposure_behind() -> None:
    world = World(inventory_max=10**9)
    world.learn(SetRequestBudget(requests=2, reserve=1, window_ns=10 * SECOND))
    world.start(bounded(50, 100, 10))
    (order,) = world.tick(100)
    assert world.portfolio.symbols[world.symbol].resting_buys == order.price_ticks * order.lots


def test_cancels_leave_although_the_budget_is_used_up() -> None:
    world = World()
    world.learn(SetRequestBudget(requests=2, reserve=1, window_ns=10 * SECOND))
    world.start(bounded(50, 100, 10))
    (order,) = world.tick(100)
    world.accept(order.client_order_id)
    world.learn(HaltTrading(reason="kill"))
    assert world.cancels() == [order.client_order_id]


def test_after_a_rate_limit_no_order_leaves_before_its_time() -> None:
    world = World()
    world.learn(RateLimitReport(until_ns=T0 + 60 * SECOND, code="429", banned=False))
    world.start(bounded(80, 120, 4))
    assert world.tick(100) == []
    assert world.said("OrderThrottled")[0].retry_at_ns == T0 + 60 * SECOND
    assert world.tick(100, after_ns=59 * SECOND) == []
    assert len(world.tick(100, after_ns=1 * SECOND)) == 2


# --- absent orders -------------------------------------------------------------------------------------


def absent_order(world: World) -> str:
    """An order at 90 that was shown not to be there; its level has asked for another."""
    world.start(bounded(80, 120, 4))
    world.tick(100)
    lost = next(one.client_order_id for one in world.orders.values() if one.price_ticks == 90)
    world.silence(lost)
    world.learn(OrderAbsentReport(client_order_id=lost, evidence="order query; open orders"))
    world.tick(100, after_ns=2 * SECOND)
    again = [one for one in world.orders.values() if one.price_ticks == 90]
    assert len(again) == 2
    assert world.account.orders[lost].status is OrderStatus.ABSENT
    return str(lost)


def test_an_absent_order_frees_its_level_and_its_funds() -> None:
    world = World(balances={"USD": 200})
    lost = absent_order(world)
    assert world.account.orders[lost].reserved == 0
    assert world.account.reserved["USD"] == 170


def test_an_absent_order_that_appears_is_taken_back_and_cancelled() -> None:
    world = World()
    lost = absent_order(world)
    sent = world.learn(OrderAcceptedReport(client_order_id=lost, exchange_order_id="late"))
    assert [one.client_order_id for one in sent] == [lost]  # type: ignore[attr-defined]
    assert world.account.orders[lost].status is OrderStatus.OPEN
    assert world.account.reserved["USD"] == 80 + 90 + 90
    world.cancelled(lost)
    assert world.account.reserved["USD"] == 80 + 90
    assert world.portfolio.symbols[world.symbol].resting_buys == 80 + 90


def test_a_fill_of_an_absent_order_is_booked_and_its_level_keeps_its_own_order() -> None:
    world = World()
    lost = absent_order(world)
    before = world.grid().levels[1].order_id
    assert world.fill(lost) == []
    level = world.grid().levels[1]
    assert (level.held, level.order_id) == (1, before)
    assert world.portfolio.symbols[world.symbol].resting_buys == 80 + 90
    (sell,) = world.fill(before)
    assert (sell.side, sell.lots) == ("sell", 2)


def test_a_part_of_an_absent_order_is_booked_and_the_rest_cancelled() -> None:
    world = World()
    world.start(bounded(80, 120, 4, lots=3))
    world.tick(100)
    lost = next(one.client_order_id for one in world.orders.values() if one.price_ticks == 90)
    world.silence(lost)
    world.learn(OrderAbsentReport(client_order_id=lost, evidence="both"))
    world.fill(lost, lots=1)
    assert world.cancels() == [lost]
    assert world.account.orders[lost].status is OrderStatus.PARTIALLY_FILLED


# --- reconciliation ------------------------------------------------------------------------------------


def observation(cause: str = "periodic", **changes: Any) -> ReconciliationReport:
    fields: dict[str, Any] = {
        "open_orders": 0,
        "foreign_orders": (),
        "balances": (),
        "positions": (),
        "in_flight": False,
        **changes,
    }
    return ReconciliationReport(cause=cause, **fields)


def test_an_order_with_our_prefix_that_nobody_knows_is_cancelled() -> None:
    world = running()
    sent = world.learn(
        OrphanOrderReport(
            client_order_id=LEDGER + "0" * 24,
            exchange_order_id="77",
            symbol=world.symbol,
            side="buy",
            price_ticks=70,
            lots=1,
        )
    )
    assert [type(one) for one in sent] == [OrphanCancelSubmitted]
    assert sent[0].exchange_order_id == "77"  # type: ignore[attr-defined]


def test_books_that_agree_with_the_exchange_say_so_and_nothing_else() -> None:
    world = running()
    world.learn(observation(balances=(("USD", 1_000_000),), foreign_orders=("x1",)))
    (seen,) = world.said("AccountReconciled")
    assert (seen.differences, seen.foreign_orders) == (0, ("x1",))
    assert world.said("DifferenceFound") == []


def test_a_holding_that_differs_at_the_start_pauses_its_symbol_until_a_person_accepts_it() -> None:
    world = World(balances={"USD": 1_000, "COIN": 10})
    world.learn(observation("start", balances=(("COIN", 7), ("USD", 1_000))))
    (found,) = world.said("DifferenceFound")
    assert (found.subject, found.books, found.exchange, found.symbols) == ("COIN", 10, 7, (world.symbol,))
    assert world.portfolio.pauses[world.symbol] == ("difference",)
    world.learn(correction("COIN", -3))
    world.learn(resume("difference", world.symbol))
    assert world.wallet("COIN") == 7
    assert world.portfolio.symbols[world.symbol].inventory == 7
    assert not world.portfolio.pauses


@pytest.mark.parametrize(("seen", "pauses"), [(95, False), (89, True)])
def test_a_holding_that_drifts_later_pauses_only_when_it_drifts_by_much(seen: int, pauses: bool) -> None:
    world = World(balances={"USD": 1_000, "COIN": 100})
    world.learn(observation(balances=(("COIN", seen),)))
    assert len(world.said("DifferenceFound")) == 1
    assert bool(world.portfolio.pauses) is pauses


def test_money_that_differs_is_shown_and_pauses_nothing() -> None:
    world = World(balances={"USD": 1_000})
    world.learn(observation("start", balances=(("USD", 500),)))
    assert world.said("DifferenceFound")[0].drift_ppm == 500_000
    assert not world.portfolio.pauses


def test_nothing_is_compared_while_an_order_is_under_way() -> None:
    world = World(balances={"USD": 1_000})
    world.learn(observation("start", balances=(("USD", 1),), in_flight=True))
    assert world.said("DifferenceFound") == []


# --- corrections ---------------------------------------------------------------------------------------


def correction(subject: str, units: int, price: int = 0) -> CorrectBalance:
    return CorrectBalance(subject=subject, units=units, price_ticks=price, reason="deposit", operator="ann")


def test_a_withdrawal_that_is_taken_over_is_no_drawdown() -> None:
    world = World(balances={"USD": 1_000}, session_drawdown_ppm=100_000)
    world.mark(COINUSD=100)
    world.learn(correction("USD", -600))
    world.mark(COINUSD=100)
    assert equity(world.portfolio) == 400
    assert world.portfolio.session_high == 400
    assert not world.portfolio.halted


def test_a_position_is_taken_over_at_a_price_without_profit_or_loss() -> None:
    world = World(PERP, balances={"USD": 1_000})
    world.mark(PERPUSD=100)
    world.learn(correction("PERPUSD", -4, 100))
    assert equity(world.portfolio) == 1_000
    assert world.account.positions["PERPUSD"].units == -4
    world.learn(correction("PERPUSD", 4, 90))
    held = world.account.positions["PERPUSD"]
    assert (held.units, held.cost) == (0, 0)


@pytest.mark.parametrize(
    "wrong",
    [correction("USD", 0), correction("NOPE", 5), correction("PERPUSD", 5)],
    ids=["0", "asset", "price"],
)
def test_a_correction_of_nothing_or_of_what_nobody_knows_is_refused(wrong: CorrectBalance) -> None:
    world = World(PERP, attrs.evolve(COIN, symbol="ZUSD", base="Z"), balances={"USD": 1_000})
    world.learn(wrong)
    assert world.said("MessageRefused")[-1].reason == Refusal.BAD_CORRECTION


def test_no_intent_follows_from_an_observation() -> None:
    world = running()
    sent = world.learn(observation("start", balances=(("USD", 3),)))
    assert not [one for one in sent if isinstance(one, OrderSubmitted)]
