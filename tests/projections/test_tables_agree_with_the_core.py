"""What the tables show is what the actors decided, at the end of runs of every kind."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from small_runs import (
    HOUR,
    QUOTE_UNIT,
    START,
    SmallRun,
    decided,
    decision,
    instrument,
    long_spot,
    neutral_linear,
    project,
    record_of,
    start_grid,
    ticks,
    walk,
)

from domain.grid_events import LevelFilled
from domain.inputs import (
    DeployGrid,
    HaltTrading,
    NoAnswerReport,
    RebalanceGrid,
    ResetHalt,
    SettingChange,
    StopGrid,
    TickReport,
)
from domain.order_events import OrderFilled, OrderSubmitted
from domain.orders import BUY, SIGN
from domain.units import from_units
from projections.amounts import ZERO
from projections.changes import CHANGES
from projections.counts import COUNTS
from projections.cycles import CYCLES
from projections.decisions import DECISIONS
from projections.equity import CURVE
from projections.fills import TRADES
from projections.grids import CONFIGS
from projections.inventory import POSITIONS
from projections.levels import LEVELS, SKIPPED, phase_of
from projections.orders import ORDERS
from projections.pnl_rows import SYMBOLS, TOTAL
from projections.registry import PROJECTIONS, TABLES, apply_all, fresh
from projections.risk_rows import ACCOUNT_SCOPE, BLOCKS, HALTS, RISK
from projections.view import AMOUNT, INT, TEXT, View

SYMBOL = "BTCUSDT"


def limited() -> SmallRun:
    """A run into its inventory limit and its order rate."""
    return long_spot(rows=900, inventory_max=600 * QUOTE_UNIT, orders_per_minute=2)


def changed(run: SmallRun) -> SmallRun:
    """A run whose grid is given other terms after a while, is rebalanced, and given other terms again."""
    rules = run.core.state_of(f"symbol/{SYMBOL}").instrument
    mode = run.core.state_of(f"symbol/{SYMBOL}").mode
    backtest = run.backtest
    learn = backtest.runtime.learn
    for count, hours in ((16, 2), (0, 4), (6, 6)):
        while backtest.step(START + hours * HOUR):
            pass
        if not count:
            learn(RebalanceGrid(symbol=SYMBOL, operator="anna"), backtest.now_ns)
            continue
        change = SettingChange(setting="grids.BTCUSDT.grid_number", old="10", new=str(count))
        start = start_grid(rules, mode=mode, count=count, lots=120)
        deploy = DeployGrid(start=start, changes=(change,), operator="anna", replaces=True)
        learn(deploy, backtest.now_ns)
    return run


RUNS = {
    "long": lambda: long_spot(rows=900),
    "fees in base": lambda: long_spot(rows=900, fee_asset="base"),
    "neutral": neutral_linear,
    "limited": limited,
    "changed long": lambda: changed(long_spot(rows=900)),
    "decided": lambda: decided(long_spot(rows=900)),
    "changed neutral": lambda: changed(neutral_linear()),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> SmallRun:
    return RUNS[request.param]().run()


@pytest.fixture(scope="module")
def view(run: SmallRun) -> View:
    return project(run.rows)


def test_levels_are_those_of_the_symbols_actor(run: SmallRun, view: View) -> None:
    state = run.core.state_of(f"symbol/{SYMBOL}")
    rows = list(view.of(LEVELS).rows())
    assert len(rows) == len(state.levels)
    for row, level in zip(rows, state.levels, strict=True):
        assert row["opening"] == level.opening
        assert phase_of(row["opening"], row["phase"]) == level.phase
        assert row["held"] == from_units(level.held, 4)
        assert row["held_cost"] == from_units(level.cost, 6)
        assert (row["order_id"] or "") == level.order_id
        assert (row["cycle"], row["refusals"]) == (level.cycle, level.refusals)
        assert bool(row["waiting"]) == level.waiting
        assert (row["retry_at_ns"] or 0) == level.retry_at_ns


def test_orders_are_those_of_the_account(run: SmallRun, view: View) -> None:
    known = run.core.state_of("account").orders
    rows = {row["client_order_id"]: row for row in view.of(ORDERS).rows()}
    for order_id, order in known.items():
        row = rows[order_id]
        assert row["status"] == order.status
        assert row["filled"] == from_units(order.filled_lots * 100, 4)
        assert (row["exchange_order_id"] or "") == order.exchange_order_id
        assert (row["closed_position"] is None) == (order.status in ("open", "pending", "partially_filled"))
    never_left = [row for order_id, row in rows.items() if order_id not in known]
    assert all(row["status"] in ("blocked", "refused") and row["reason"] for row in never_left)


def test_fills_are_complete_and_taken_by_levels(run: SmallRun, view: View) -> None:
    told = [e for e in (record_of(row).event for row in run.rows) if isinstance(e, OrderFilled)]
    rows = list(view.of(TRADES).rows())
    assert len(rows) == len(told)
    assert all(row["assigned_quantity"] == row["net_quantity"] for row in rows)
    assert sum((row["fee_value"] for row in rows), ZERO) == from_units(sum(e.fee_value for e in told), 6)


def test_cycles_add_up_to_their_fills(run: SmallRun, view: View) -> None:
    told = [e for e in (record_of(row).event for row in run.rows) if isinstance(e, LevelFilled)]
    cycles, trades = list(view.of(CYCLES).rows()), list(view.of(TRADES).rows())
    assert sum(row["fills"] for row in cycles) == len(told)
    assert sum((row["profit"] for row in cycles), ZERO) == from_units(sum(e.profit for e in told), 6)
    assert sum((row["fees"] for row in cycles), ZERO) == -sum((row["fee_value"] for row in trades), ZERO)
    for row in cycles:
        assert row["carried_in"] + row["quantity_opened"] - row["quantity_closed"] == row["residual"]
        assert (row["status"] == "closed") == (row["closed_at_ns"] is not None)


def test_a_residual_is_carried_into_the_next_cycle(run: SmallRun, view: View) -> None:
    rows = {(row["run"], row["grid_level"], row["cycle"]): row for row in view.of(CYCLES).rows()}
    for (start, level, cycle), row in rows.items():
        after = rows.get((start, level, cycle + 1))
        if after is not None:
            assert after["carried_in"] == row["residual"]


def test_risk_has_the_portfolios_marks_and_counts(run: SmallRun, view: View) -> None:
    state = run.core.state_of("portfolio")
    row = view.of(RISK).get(ACCOUNT_SCOPE)
    assert row is not None
    assert row["session_high"] == from_units(state.session_high, 6)
    assert row["day_high"] == from_units(state.day_high, 6)
    symbol, risk = view.of(RISK).get(SYMBOL), state.symbols[SYMBOL]
    assert symbol is not None
    assert symbol["resting_buys"] == from_units(risk.resting_buys, 6)
    assert symbol["resting_sells"] == from_units(risk.resting_sells, 6)
    blocked = sum(one["orders"] for one in view.of(BLOCKS).rows())
    assert row["orders_blocked"] == blocked == symbol["orders_blocked"]
    assert row["orders_allowed"] + blocked == len(view.of(ORDERS))


def test_the_position_is_the_portfolios(run: SmallRun, view: View) -> None:
    risk = run.core.state_of("portfolio").symbols[SYMBOL]
    row = view.of(POSITIONS).get(SYMBOL)
    assert row is not None
    assert row["quantity"] == from_units(risk.inventory, 4)
    assert row["mark_price"] == Decimal(risk.mark_ticks) / 10


def test_profit_and_loss_add_up_and_own_what_the_levels_hold(run: SmallRun, view: View) -> None:
    total, symbol = view.of(TOTAL).get(1), view.of(SYMBOLS).get(SYMBOL)
    assert total is not None and symbol is not None
    assert total["identity_residual"] == 0
    grid = run.core.state_of(f"symbol/{SYMBOL}")
    held = from_units(sum(SIGN[level.opening] * level.held for level in grid.levels), 4)
    assert symbol["level_quantity"] == held
    assert symbol["level_quantity"] + symbol["unowned_quantity"] == symbol["inventory"]


def test_the_grid_is_the_one_that_runs(run: SmallRun, view: View) -> None:
    grid, row = run.core.state_of(f"symbol/{SYMBOL}"), view.of(CONFIGS).get(SYMBOL)
    assert row is not None
    assert (row["status"], row["run"], row["grid_count"]) == (grid.status, grid.runs, len(grid.levels))


def test_the_curve_has_a_point_for_every_mark_and_fill(run: SmallRun, view: View) -> None:
    expected = [row.position for row in run.rows if row.topic in ("EquityMarked/1", "InventoryChanged/1")]
    assert [row["position"] for row in view.of(CURVE).rows()] == expected


def test_every_value_has_the_type_of_its_column(view: View) -> None:
    for table in TABLES:
        for row in view.of(table).rows():
            assert list(row) == list(table.columns)
            for name, kind in table.columns.items():
                allowed: type = {INT: int, TEXT: str, AMOUNT: Decimal}[kind]
                assert row[name] is None or isinstance(row[name], allowed), (table.name, name)


def test_telling_each_projection_by_itself_is_the_same(run: SmallRun, view: View) -> None:
    single = fresh()
    for record in map(record_of, run.rows):
        for projection in PROJECTIONS.values():
            projection.apply(single, record)
    for table in TABLES:
        assert list(single.of(table).rows()) == list(view.of(table).rows())


# --- single stories ------------------------------------------------------------------------------------


def test_a_limit_that_blocks_is_named_and_counted() -> None:
    view = project(limited().run().rows)
    reasons = [row["reason"] for row in view.of(BLOCKS).rows()]
    assert reasons == ["PAUSE_INV_CAP", "THROTTLE_ORDERS_PER_MINUTE"]
    blocked = [row for row in view.of(ORDERS).rows() if row["status"] == "blocked"]
    assert all(row["reason"] in reasons and row["detail"] for row in blocked)


def test_a_halt_and_its_reset_are_told_with_their_equity() -> None:
    run = neutral_linear(rows=300)
    learn, backtest = run.backtest.runtime.learn, run.backtest
    while backtest.step(START + HOUR):
        pass
    learn(HaltTrading(reason="by hand"), backtest.now_ns)
    halted = project(run.rows).of(RISK).get(ACCOUNT_SCOPE)
    assert halted is not None
    assert (halted["state"], halted["halt_reason"]) == ("halted", "by hand")
    learn(ResetHalt(operator="anna"), backtest.now_ns)
    view = project(run.run().rows)
    kinds = [(row["kind"], row["operator"]) for row in view.of(HALTS).rows()]
    assert kinds == [("trading_halted", None), ("halt_reset", "anna")]
    assert all(row["equity"] > 0 for row in view.of(HALTS).rows())


def test_a_stop_loss_halts_the_symbol_and_stops_its_grid() -> None:
    rules = instrument()
    grid = start_grid(rules, stop_loss_ticks=880, on_stop="flatten")
    prices = [1000, 960, 910, 890, 880, 875, 870]
    view = project(SmallRun({SYMBOL: ticks(prices)}, [rules], [grid]).run().rows)
    (halt,) = view.of(HALTS).rows()
    assert (halt["kind"], halt["symbol"], halt["price"]) == ("symbol_halted", SYMBOL, Decimal(88))
    config = view.of(CONFIGS).get(SYMBOL)
    assert config is not None
    assert (config["status"], config["stop_reason"]) == ("stopped", "PAUSE_STOP_LOSS")
    assert (config["inventory_left"], config["stop_loss"]) == (0, 88)


def test_a_neutral_grid_shows_its_hole_and_both_words() -> None:
    rules = instrument(kind="linear", leverage=5)
    run = SmallRun({SYMBOL: ticks([1000, 1000])}, [rules], [start_grid(rules, mode="neutral")]).run()
    view = project(run.rows)
    config = view.of(CONFIGS).get(SYMBOL)
    assert config is not None
    assert (config["hole_price"], config["start_price"], config["mode"]) == (100, 100, "neutral")
    words = [row["phase"] for row in view.of(LEVELS).rows()]
    assert words == ["BUY_PLACED"] * 5 + ["SELL_PLACED"] * 5


def test_a_change_of_terms_is_told_with_who_and_from_what_to_what() -> None:
    rows = list(project(changed(long_spot(rows=300)).run().rows).of(CHANGES).rows())
    said = [(one["symbol"], one["operator"], one["setting"], one["old"], one["new"]) for one in rows]
    setting = "grids.BTCUSDT.grid_number"
    assert said == [(SYMBOL, "anna", setting, "10", "16"), (SYMBOL, "anna", setting, "10", "6")]
    assert rows[0]["ts_ns"] < rows[1]["ts_ns"] and rows[0]["place"] == 0


def test_a_decision_is_a_row_with_its_votes_and_who_asked_and_moves_nothing_else() -> None:
    alone, run = long_spot(rows=900).run(), decided(long_spot(rows=900)).run()
    view = project(run.rows)
    told = list(view.of(DECISIONS).rows())
    assert [(row["action"], row["size_ppm"], row["operator"]) for row in told] == [
        ("LONG", 250_000, "anna"),
        ("HOLD", 0, "anna"),
        ("BLOCKED", 0, "otto"),
    ]
    first = decision()
    assert json.loads(told[0]["votes"]) == [list(one) for one in first.votes]
    assert json.loads(told[0]["reasons"]) == [list(one) for one in first.reasons]
    assert json.loads(told[2]["gates"]) == ["kill switch (MANUAL)"]
    assert [run.rows[row["position"] - 1].topic for row in told] == ["DecisionReport/1"] * 3
    (count,) = view.of(COUNTS).rows()
    assert count["decisions"] == 3
    others = [row for row in run.rows if row.topic != "DecisionReport/1"]
    assert [(row.stream, row.topic, row.state) for row in others if row.stream != "input/run"] == [
        (row.stream, row.topic, row.state) for row in alone.rows if row.stream != "input/run"
    ], "a decision leads to no event and changes none"


def test_a_kill_by_a_person_names_the_person() -> None:
    run = neutral_linear(rows=50)
    run.backtest.runtime.learn(HaltTrading(reason="MANUAL", operator="anna"), run.backtest.now_ns)
    (halt,) = project(run.rows).of(HALTS).rows()
    assert (halt["reason"], halt["operator"]) == ("MANUAL", "anna")


def test_a_level_left_out_is_shown_with_its_reason() -> None:
    rules = instrument()
    run = SmallRun({SYMBOL: ticks([1000, 1000])}, [rules], [start_grid(rules, lower=480, lots=10)]).run()
    view = project(run.rows)
    gaps = list(view.of(SKIPPED).rows())
    assert gaps
    assert {row["reason"] for row in gaps} == {"SKIP_SIZE_BELOW_MIN"}
    config = view.of(CONFIGS).get(SYMBOL)
    assert config is not None
    assert config["skipped_count"] == len(gaps)


def test_a_second_run_of_a_grid_replaces_levels_and_begins_new_cycles() -> None:
    rules = instrument()
    run = SmallRun({SYMBOL: ticks(walk(3, 400))}, [rules], [start_grid(rules)])
    backtest = run.backtest
    while backtest.step(START + 2 * HOUR):
        pass
    learn = backtest.runtime.learn
    learn(StopGrid(symbol=SYMBOL, on_stop="cancel", reason="test"), backtest.now_ns)
    while backtest.step(backtest.now_ns):
        pass  # the cancels arrive and are confirmed
    learn(start_grid(rules, count=4), backtest.now_ns)
    view = project(run.rows)
    config = view.of(CONFIGS).get(SYMBOL)
    assert config is not None
    assert (config["run"], config["grid_count"], config["status"]) == (2, 4, "initialized")
    assert len(list(view.of(LEVELS).rows())) == 4


def test_an_order_without_an_answer_is_unknown() -> None:
    run = long_spot(rows=50)
    run.backtest.runtime.learn(TickReport(symbol=SYMBOL, price_ticks=1000), START)
    sent = [e for e in (record_of(row).event for row in run.rows) if isinstance(e, OrderSubmitted)]
    order_id = sent[0].terms.client_order_id
    run.backtest.runtime.learn(NoAnswerReport(client_order_id=order_id), START)
    view = fresh()
    apply_all(view, map(record_of, run.rows))
    row = view.of(ORDERS).get(order_id)
    assert row is not None
    assert (row["status"], row["side"]) == ("unknown", BUY)
