"""Start again, deploy, rebalance: what becomes of orders, holdings and ids when a grid's terms change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_symbol import at, only, sides
from worlds import COIN, PERP, QUICK, SECOND, World, bounded, centered, start_grid

from domain.codec import state_from, state_hash, state_text
from domain.grid_life import DEPLOY
from domain.grid_state import GridStatus, SymbolState, inventory, working
from domain.grids.spec import GridSpec
from domain.inputs import (
    DeployGrid,
    HaltTrading,
    OrderAbsentReport,
    PauseTrading,
    RebalanceGrid,
    ResetHalt,
    ResumeTrading,
    SettingChange,
    StopGrid,
)
from domain.orders import MOST_RUNS, Purpose, grid_of, purpose_of
from domain.record import Record

CHANGE = SettingChange(setting="grids.COINUSD.grid_number", old="2", new="4")


def deploy(world: World, spec: GridSpec, *, replaces: bool = True, **changes: Any) -> list[Record]:
    """Deploy terms by an operator; the intents that left."""
    start = start_grid(world.symbol, spec, **changes)
    named = (CHANGE,) if replaces else ()
    return world.learn(DeployGrid(start=start, changes=named, operator="ann", replaces=replaces))


def running(spec: GridSpec | None = None, **changes: Any) -> tuple[World, list[Any]]:
    """A world whose grid 90..110 runs at 105, and the orders it has."""
    world = World()
    world.start(spec or bounded(90, 110, 2), **changes)
    return world, world.tick(105)


def end_all(world: World) -> None:
    """The exchange confirms every cancel that is under way."""
    for order_id in working(world.grid()):
        world.cancelled(order_id)


# --- start again ---------------------------------------------------------------------------------------


def test_a_stopped_grid_is_started_again_with_what_it_holds() -> None:
    world, orders = running()
    world.fill(at(orders, 100))
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    end_all(world)
    assert world.grid().status is GridStatus.STOPPED
    deploy(world, bounded(90, 110, 2), replaces=False)
    again = world.said("GridConfigured")[-1]
    assert (again.run, again.initial_inventory, again.existing_units, again.kept) == (1, "existing", 1, 1)
    assert sorted(sides(world.tick(99))) == [("buy", 90, 1), ("sell", 110, 1)]
    assert inventory(world.grid()) == world.wallet("COIN") == 1


def test_a_grid_that_holds_nothing_begins_as_its_terms_say() -> None:
    world, _ = running(bounded(80, 120, 4))
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    end_all(world)
    deploy(world, bounded(80, 120, 4), replaces=False, initial_inventory="buy")
    stock = world.tick(95)[0]
    assert (purpose_of(stock.client_order_id), stock.lots) == (Purpose.INITIAL_INVENTORY, 2)


def test_a_running_grid_is_not_started_again() -> None:
    world, _ = running()
    assert deploy(world, bounded(90, 110, 2), replaces=False) == []
    assert world.said("MessageRefused")[-1].reason == "already_open"


def test_no_order_id_comes_twice_over_all_the_starts_of_a_symbol() -> None:
    world, _ = running()
    for number in range(5):
        # Whatever the command says of ledger and place: the ids go on from the symbol's first grid.
        deploy(world, bounded(90, 110, 2), symbol_index=number, ledger_id=f"{number:08x}")
        end_all(world)
        world.tick(105)
        world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
        end_all(world)
        world.tick(105)
    asked = [one.terms.client_order_id for one in world.said("OrderRequested")]
    assert len(asked) == len(set(asked)) == 2 + 5 * 4
    grids = {grid_of(one) for one in asked}
    assert len(grids) == 6 and len({one[:11] for one in grids}) == 1


def test_starts_end_when_the_ids_of_a_symbol_are_used_up() -> None:
    world, _ = running()
    actor = world.core._actors[f"symbol/{COIN.symbol}"]
    actor.state = SymbolState(instrument=COIN, grid_id="c0ffee00000fff", runs=MOST_RUNS)
    deploy(world, bounded(90, 110, 2))
    world.start(bounded(90, 110, 2))
    assert [one.reason for one in world.said("MessageRefused")] == ["no_more_runs"] * 2


# --- deploy --------------------------------------------------------------------------------------------


def test_a_deployment_waits_for_the_last_order_of_the_old_grid() -> None:
    world, orders = running()
    sent = deploy(world, bounded(80, 120, 4))
    assert sorted(one.client_order_id for one in sent) == sorted(one.client_order_id for one in orders)
    assert world.grid().status is GridStatus.STOPPING and world.grid().pending is not None
    assert world.tick(105) == []
    world.cancelled(at(orders, 100))
    assert world.said("GridConfigured")[-1].run == 0
    world.cancelled(at(orders, 90))
    assert world.grid().pending is None
    assert sorted(price for _, price, _ in sides(world.tick(105))) == [80, 90, 100]
    changed = only(world.said("ConfigChanged"))
    assert (changed.operator, changed.changes) == ("ann", (CHANGE,))


def test_what_fills_while_a_deployment_waits_goes_along() -> None:
    world, orders = running()
    deploy(world, bounded(90, 130, 4))
    world.fill(at(orders, 100))
    world.cancelled(at(orders, 90))
    assert world.said("GridStopped")[-1].inventory == 1
    assert ("sell", 120, 1) not in (sold := sides(world.tick(99)))
    assert ("sell", 110, 1) in sold


def test_an_order_of_unknown_outcome_keeps_a_deployment_waiting() -> None:
    world, orders = running()
    world.silence(at(orders, 100))
    deploy(world, bounded(80, 120, 4))
    world.cancelled(at(orders, 90))
    assert world.grid().status is GridStatus.STOPPING
    world.learn(OrderAbsentReport(client_order_id=at(orders, 100), evidence="not listed"))
    assert world.grid().status is GridStatus.INITIALIZED


def test_a_deployment_that_waits_is_part_of_the_state() -> None:
    world, _ = running()
    before = state_hash(world.grid())
    deploy(world, bounded(80, 120, 4))
    kept = state_from(SymbolState, state_text(world.grid()))
    assert kept == world.grid() and kept.pending is not None
    assert state_hash(kept) == state_hash(world.grid()) != before


def test_the_newer_of_two_deployments_is_the_one_that_follows() -> None:
    world, _ = running()
    deploy(world, bounded(80, 120, 4))
    assert deploy(world, bounded(60, 140, 8)) == []
    end_all(world)
    assert len(world.grid().levels) == 8
    assert len(world.said("GridConfigured")) == 2


def test_a_grid_whose_orders_were_kept_is_replaced_after_they_are_gone() -> None:
    world, orders = running()
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="keep", reason="test"))
    sent = deploy(world, bounded(80, 120, 4), replaces=False)
    assert len(sent) == len(orders) == 2
    world.fill(at(orders, 100))
    assert world.grid().status is GridStatus.STOPPED
    world.cancelled(at(orders, 90))
    assert (world.grid().status, inventory(world.grid())) == (GridStatus.INITIALIZED, 1)


def test_a_grid_that_has_seen_no_price_is_replaced_at_once() -> None:
    world = World()
    world.start(bounded(90, 110, 2))
    deploy(world, bounded(80, 120, 4))
    assert (world.grid().status, world.grid().runs) == (GridStatus.INITIALIZED, 2)


def test_a_ladder_without_levels_is_refused_and_changes_nothing() -> None:
    world, _ = running()
    before = world.grid()
    deploy(world, bounded(100, 101, 2, lots=0, level_quote=1))
    assert world.said("MessageRefused")[-1].reason == "no_levels"
    assert world.grid() == before and world.said("ConfigChanged") == []


def test_a_symbol_that_was_never_listed_is_refused() -> None:
    world, _ = running()
    start = start_grid("OTHER", bounded(90, 110, 2))
    world.learn(DeployGrid(start=start, changes=(), operator="ann", replaces=True))
    world.learn(RebalanceGrid(symbol="OTHER", operator="ann"))
    assert [one.reason for one in world.said("MessageRefused")] == ["unknown_symbol"] * 2


# --- what a deployment takes over ----------------------------------------------------------------------


def test_a_holding_that_no_new_level_takes_is_still_the_grids() -> None:
    world, orders = running(bounded(80, 120, 4))
    for price in (100, 90, 80):
        world.fill(at(orders, price))
    deploy(world, bounded(60, 80, 2))  # nothing of it lies above 85
    end_all(world)
    world.tick(85)
    assert [level.held for level in world.grid().levels] == [0, 0]
    assert (world.grid().spare, inventory(world.grid())) == (3, 3)
    deploy(world, bounded(80, 120, 4))
    end_all(world)
    world.tick(85)
    assert [level.held for level in world.grid().levels] == [0, 1, 1, 1]
    assert (world.grid().spare, inventory(world.grid()), world.wallet("COIN")) == (0, 3, 3)


def test_flattening_closes_what_no_level_took_as_well() -> None:
    world, orders = running(bounded(80, 120, 4))
    for price in (100, 90, 80):
        world.fill(at(orders, price))
    deploy(world, bounded(80, 100, 2))
    end_all(world)
    world.tick(85)
    assert ([level.held for level in world.grid().levels], world.grid().spare) == ([0, 1], 2)
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="flatten", reason="test"))
    end_all(world)
    flat = [one for one in world.said("OrderRequested") if one.terms.order_type == "market"][-1].terms
    assert (flat.side, flat.lots) == ("sell", 3)
    world.fill(flat.client_order_id, price=85)
    assert (inventory(world.grid()), world.wallet("COIN")) == (0, 0)
    assert world.grid().status is GridStatus.STOPPED


@pytest.mark.parametrize("bought", [True, False])
def test_a_neutral_grid_takes_a_position_over_and_has_the_orders_it_would_have(bought: bool) -> None:
    fresh = World(PERP)
    fresh.start(bounded(60, 140, 8), mode="neutral")
    expected = sorted(sides(fresh.tick(80 if bought else 120)))
    world = World(PERP)
    world.start(bounded(60, 140, 8), mode="neutral")
    orders = world.tick(100)
    for price in (90, 80) if bought else (110, 120):
        world.fill(at(orders, price))
    deploy(world, bounded(60, 140, 8), mode="neutral")
    end_all(world)
    orders = world.tick(80 if bought else 120)
    assert sorted(sides(orders)) == expected
    held = 2 if bought else -2
    assert inventory(world.grid()) == world.portfolio.symbols[PERP.symbol].inventory == held
    closing = next(one for one in orders if one.side == ("sell" if bought else "buy"))
    world.fill(closing.client_order_id)
    assert inventory(world.grid()) == world.portfolio.symbols[PERP.symbol].inventory == held - held // 2
    assert world.said("LevelFilled")[-1].role == "close"


def test_what_is_held_beyond_the_grid_is_taken_over_where_the_terms_say_so() -> None:
    world, orders = running(bounded(80, 120, 4))
    world.fill(at(orders, 100))
    deploy(world, bounded(80, 120, 4), initial_inventory="existing", existing_units=1)
    end_all(world)
    configured = world.said("GridConfigured")[-1]
    assert (configured.existing_units, configured.kept) == (2, 1)


@QUICK
@given(
    st.lists(st.sampled_from([100, 90, 80]), unique=True),
    st.integers(1, 6),
    st.integers(60, 140),
    st.booleans(),
)
def test_a_deployment_neither_loses_nor_invents_a_holding(
    filled: list[int], count: int, price: int, fills_late: bool
) -> None:
    world, orders = running(bounded(80, 120, 4))
    early = filled[1:] if fills_late else filled
    for one in early:
        world.fill(at(orders, one))
    deploy(world, bounded(70, 130, count, lots=2))
    if fills_late and filled:
        world.fill(at(orders, filled[0]))
    end_all(world)
    assert inventory(world.grid()) == world.wallet("COIN") == len(filled)
    world.tick(price)
    assert inventory(world.grid()) == len(filled)
    assert world.grid().status is GridStatus.RUNNING


# --- risk ----------------------------------------------------------------------------------------------


def test_nothing_is_deployed_started_or_rebalanced_while_the_kill_switch_is_latched() -> None:
    world, _ = running()
    world.learn(HaltTrading(reason="MANUAL", operator="ann"))
    end_all(world)
    before = world.grid()
    deploy(world, bounded(80, 120, 4))
    deploy(world, bounded(80, 120, 4), replaces=False)
    world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    blocks = world.said("GridBlocked")
    assert [(one.command, one.reason) for one in blocks] == [
        ("deploy", "PAUSE_HALTED"),
        ("start", "PAUSE_HALTED"),
        ("rebalance", "PAUSE_HALTED"),
    ]
    assert world.grid() == before and {one.operator for one in blocks} == {"ann"}


def test_after_the_reset_of_the_kill_switch_a_grid_is_started_again() -> None:
    world, _ = running()
    world.learn(HaltTrading(reason="MANUAL"))
    end_all(world)
    world.learn(ResetHalt(operator="ann"))
    deploy(world, bounded(90, 110, 2), replaces=False)
    assert len(world.tick(105)) == 2


def test_a_kill_overtakes_a_deployment() -> None:
    world, orders = running()
    deploy(world, bounded(80, 120, 4))
    world.learn(HaltTrading(reason="MANUAL"))
    end_all(world)
    assert world.said("DeploymentAbandoned")[-1].reason == "MANUAL"
    assert (world.grid().status, world.grid().pending) == (GridStatus.STOPPED, None)
    assert world.said("GridStopped")[-1].reason == "MANUAL"
    assert len(orders) == len(world.cancels())


def test_a_stop_that_flattens_overtakes_a_deployment_and_flattens() -> None:
    world, orders = running()
    world.fill(at(orders, 100))
    deploy(world, bounded(80, 120, 4))
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="flatten", reason="enough"))
    end_all(world)
    flat = only([one for one in world.sent if getattr(getattr(one, "terms", None), "reduce_only", False)])
    world.fill(flat.terms.client_order_id, price=99)  # type: ignore[attr-defined]
    assert (world.grid().status, world.wallet("COIN")) == (GridStatus.STOPPED, 0)


def test_a_start_whose_stop_loss_is_reached_already_is_blocked() -> None:
    world, _ = running(stop_loss_ticks=85)
    world.mark(COINUSD=84)
    world.tick(84)
    end_all(world)
    assert world.grid().status is GridStatus.STOPPED
    deploy(world, bounded(90, 110, 2), replaces=False, stop_loss_ticks=85)
    assert world.said("GridBlocked")[-1].reason == "PAUSE_STOP_LOSS"
    deploy(world, bounded(90, 110, 2), replaces=False, stop_loss_ticks=70)
    assert world.grid().status is GridStatus.INITIALIZED
    assert not world.portfolio.symbols[COIN.symbol].halted


def test_a_paused_grid_is_not_started_but_may_be_given_other_terms() -> None:
    world, _ = running()
    world.learn(PauseTrading(reason="operator", symbol=COIN.symbol, operator="ann"))
    deploy(world, bounded(80, 120, 4))
    end_all(world)
    assert world.tick(105) == []
    world.learn(ResumeTrading(reason="operator", symbol=COIN.symbol, operator="ann"))
    assert len(world.tick(105)) == 3
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    end_all(world)
    world.learn(PauseTrading(reason="operator", symbol="", operator="ann"))
    deploy(world, bounded(80, 120, 4), replaces=False)
    assert world.said("GridBlocked")[-1].reason == "PAUSED"


# --- rebalance -----------------------------------------------------------------------------------------


def test_a_rebalance_cancels_every_level_order_and_places_the_ladder_anew() -> None:
    world, orders = running(bounded(80, 120, 4))
    world.fill(at(orders, 100))  # holds one, with a sell at 110
    held = [(level.held, level.cost, level.cycle) for level in world.grid().levels]
    sent = world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    assert len(sent) == 3 and world.grid().status is GridStatus.REBALANCING
    assert world.tick(105) == []
    end_all(world)
    assert world.grid().status is GridStatus.RUNNING
    assert sorted(sides(world.tick(99))) == [("buy", 80, 1), ("buy", 90, 1), ("sell", 110, 1)]
    assert [(level.held, level.cost, level.cycle) for level in world.grid().levels] == held
    assert len(world.said("GridConfigured")) == 1


def test_a_fill_during_a_rebalance_counts_and_its_level_closes_afterwards() -> None:
    world, orders = running()
    world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    assert world.fill(at(orders, 100)) == []
    world.cancelled(at(orders, 90))
    assert sorted(sides(world.tick(99))) == [("buy", 90, 1), ("sell", 110, 1)]


def test_a_rebalance_frees_levels_that_were_waiting_after_refusals() -> None:
    world, orders = running()
    for _ in range(3):
        order = world.grid().levels[1].order_id
        world.reject(order)
        world.tick(105, after_ns=10 * SECOND)
    world.reject(world.grid().levels[1].order_id)
    assert world.grid().levels[1].retry_at_ns > world.now_ns
    world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    end_all(world)
    assert len(world.tick(105)) == 2
    assert len(orders) == 2


def test_a_rebalance_waits_for_the_initial_inventory() -> None:
    world = World()
    world.start(bounded(80, 120, 4), initial_inventory="buy")
    stock = world.tick(95)[0]
    world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    for level in world.grid().levels:
        if level.order_id:
            world.cancelled(level.order_id)
    assert world.grid().status is GridStatus.REBALANCING
    world.fill(stock.client_order_id, price=95)
    assert sorted(side for side, _, _ in sides(world.tick(95))) == ["buy", "buy", "sell", "sell"]


def test_a_grid_that_does_not_run_is_not_rebalanced() -> None:
    world, _ = running()
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    end_all(world)
    world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
    assert world.said("MessageRefused")[-1].reason == "not_running"


def test_a_stop_and_a_deployment_overtake_a_rebalance() -> None:
    for then in ("stop", "deploy"):
        world, _ = running()
        world.learn(RebalanceGrid(symbol=COIN.symbol, operator="ann"))
        if then == "stop":
            world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason=DEPLOY))
        else:
            deploy(world, bounded(80, 120, 4))
        end_all(world)
        assert world.grid().status is (GridStatus.STOPPED if then == "stop" else GridStatus.INITIALIZED)
        assert world.said("GridRebalanced") == []


def test_a_centered_grid_keeps_its_center_when_it_is_rebalanced() -> None:
    world = World(PERP)
    world.start(centered(100, 50_000, 3), mode="neutral")
    before = world.tick(100)
    prices = [(level.buy_ticks, level.sell_ticks) for level in world.grid().levels]
    world.learn(RebalanceGrid(symbol=PERP.symbol, operator="ann"))
    end_all(world)
    assert sorted(sides(world.tick(102))) == sorted(sides(before))
    assert [(level.buy_ticks, level.sell_ticks) for level in world.grid().levels] == prices


# --- a stop while stock is bought ----------------------------------------------------------------------


def test_a_stop_ends_also_when_the_initial_inventory_is_bought_before_its_cancel() -> None:
    world = World()
    world.start(bounded(80, 120, 4), initial_inventory="buy")
    stock = world.tick(95)[0]
    world.learn(StopGrid(symbol=COIN.symbol, on_stop="cancel", reason="test"))
    for level in world.grid().levels:
        if level.order_id:
            world.cancelled(level.order_id)
    world.fill(stock.client_order_id, price=95)
    assert world.grid().status is GridStatus.STOPPED
    assert world.said("GridStopped")[-1].inventory == 2
