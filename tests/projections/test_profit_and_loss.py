"""The parts of profit and loss add up to the change of equity, to the last unit, at every mark."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import (
    HOUR,
    QUOTE_UNIT,
    SECOND,
    START,
    SmallRun,
    instrument,
    long_spot,
    neutral_linear,
    record_of,
    start_grid,
    ticks,
    walk,
)

from domain.inputs import CorrectBalance, FundingReport, PauseTrading, ResumeTrading, StopGrid
from domain.risk_events import EquityMarked, HoldingCorrected
from domain.units import from_units
from projections.amounts import ZERO
from projections.inventory import POSITIONS
from projections.levels import LEVELS
from projections.pnl_rows import DAYS, SYMBOLS, TOTAL
from projections.registry import apply_all, fresh
from projections.risk_rows import HALTS
from projections.view import View
from replay.exchange.rules import ExchangeRules

RUNS: dict[str, Callable[..., SmallRun]] = {
    "long, fees in quote": long_spot,
    "long, fees in base": lambda **more: long_spot(fee_asset="base", **more),
    "long, fees in a third asset": lambda **more: long_spot(fee_asset="BNB", **more),
    "neutral perpetual with funding": neutral_linear,
}


def checked(run: SmallRun) -> View:
    """The view of a run, after checking the identity at every mark on the way."""
    view, marks, cash = fresh(), 0, ZERO
    for row in run.rows:
        record = record_of(row)
        apply_all(view, [record])
        if isinstance(record.event, HoldingCorrected) and not record.event.symbol:
            cash += from_units(record.event.worth, 6)
        if isinstance(record.event, EquityMarked):
            marks += 1
            total = view.of(TOTAL).get(1)
            assert total is not None
            assert total["equity_end"] == from_units(record.event.equity, 6)
            check_sums(view, cash)
    assert marks
    return view


def check_sums(view: View, cash_transfers: Decimal = ZERO) -> None:
    """The parts add up; cash that came or went belongs to the account alone."""
    total = view.of(TOTAL).get(1)
    assert total is not None
    symbols = list(view.of(SYMBOLS).rows())
    days = list(view.of(DAYS).rows())
    for row in (total, *symbols, *days):
        assert row["identity_residual"] == 0
        assert row["realised"] + row["unrealised"] == row["grid_profit"] + row["unpaired_pnl"]
    for name in ("grid_profit", "unpaired_pnl", "fees", "funding", "transfers", "realised", "unrealised"):
        of_account = cash_transfers if name == "transfers" else ZERO
        assert sum((row[name] for row in symbols), of_account) == total[name]
        assert sum((row[name] for row in days), of_account) == total[name]


def figures(view: View) -> dict[str, Any]:
    row = view.of(TOTAL).get(1)
    assert row is not None
    return dict(row)


@pytest.mark.parametrize("name", RUNS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_the_residual_is_zero_at_every_mark(name: str, seed: int) -> None:
    total = figures(checked(RUNS[name](seed=seed, rows=400).run()))
    assert total["fees"] < 0


@pytest.mark.parametrize("name", RUNS)
def test_every_part_is_exercised_by_these_runs(name: str) -> None:
    total = figures(checked(RUNS[name](seed=1, rows=900).run()))
    assert total["grid_profit"] > 0
    assert total["unpaired_pnl"] != 0
    assert (total["funding"] != 0) == name.startswith("neutral")


def test_equity_starts_at_the_first_mark() -> None:
    run = long_spot(rows=200).run()
    marks = [e for e in (record_of(row).event for row in run.rows) if isinstance(e, EquityMarked)]
    total = figures(checked(run))
    assert total["equity_start"] == from_units(marks[0].equity, 6)
    assert total["equity_end"] == from_units(marks[-1].equity, 6)


def test_a_holding_of_the_start_counts_from_its_first_mark_whether_adopted_or_not() -> None:
    rules = instrument()
    grid = start_grid(rules, initial_inventory="existing", existing_units=40_000)
    run = SmallRun({"BTCUSDT": ticks(walk(5, 500))}, [rules], [grid], base={"BTCUSDT": 90_000}).run()
    view = checked(run)
    row = view.of(SYMBOLS).get("BTCUSDT")
    assert row is not None
    assert row["equity_start"] == Decimal(9) * Decimal(1000 + walk(5, 1)[0] - 1000) / 10
    assert row["unowned_quantity"] == 5


def test_a_grid_that_flattens_leaves_nothing_unpaired() -> None:
    rules = instrument()
    run = SmallRun({"BTCUSDT": ticks(walk(2, 300))}, [rules], [start_grid(rules, initial_inventory="buy")])
    backtest = run.backtest
    while backtest.step(START + 2 * HOUR):
        pass
    backtest.runtime.learn(StopGrid(symbol="BTCUSDT", on_stop="flatten", reason="test"), backtest.now_ns)
    run.run()
    view = checked(run)
    held = view.of(POSITIONS).get("BTCUSDT")
    assert held is not None
    assert held["quantity"] == 0
    assert figures(view)["unpaired_pnl"] == 0


def test_without_a_clock_executions_alone_keep_the_sum() -> None:
    view = fresh()
    run = long_spot(clock=False).run()
    apply_all(view, [record_of(row) for row in run.rows if row.topic != "EquityMarked/1"])
    check_sums(view)
    assert figures(view)["equity_start"] == 100_000


def test_two_symbols_share_one_cash() -> None:
    one, two = instrument(), instrument("ETHUSDT")
    markets = {
        "BTCUSDT": ticks(walk(7, 500)),
        "ETHUSDT": ticks(walk(8, 500), "ETHUSDT", step_ns=45 * SECOND),
    }
    grids = [start_grid(one, initial_inventory="buy"), start_grid(two, 1, initial_inventory="buy")]
    view = checked(SmallRun(markets, [one, two], grids).run())
    assert len(list(view.of(SYMBOLS).rows())) == 2


def test_equity_is_first_marked_when_every_holding_has_a_price() -> None:
    one, two = instrument(), instrument("ETHUSDT")
    late = ticks(walk(8, 300), "ETHUSDT", start_ns=START + 3 * HOUR)
    markets = {"BTCUSDT": ticks(walk(7, 500)), "ETHUSDT": late}
    run = SmallRun(markets, [one, two], [start_grid(one)], base={"ETHUSDT": 20_000}).run()
    view = checked(run)
    row = view.of(SYMBOLS).get("ETHUSDT")
    assert row is not None
    assert row["transfers"] == 0
    assert row["equity_start"] > 0
    assert figures(view)["equity_start"] == 100_000 + row["equity_start"]


def test_funding_is_signed_as_it_moved_equity() -> None:
    run = neutral_linear(rows=60)
    backtest = run.backtest
    while backtest.step(START + HOUR // 2):
        pass
    for number, units in enumerate((-3 * QUOTE_UNIT, QUOTE_UNIT)):
        report = FundingReport(
            funding_id=f"f{number}", symbol="BTCUSDT", rate_ppm=100, price_ticks=1000, units=units
        )
        backtest.runtime.learn(report, backtest.now_ns)
    assert figures(checked(run.run()))["funding"] == -2


def test_a_day_ends_with_the_marks_of_midnight() -> None:
    view = checked(neutral_linear(rows=3000).run())
    days = list(view.of(DAYS).rows())
    assert len(days) >= 3
    for before, after in pairwise(days):
        assert before["equity_end"] == after["equity_start"]


def test_volume_discounts_and_rebates_keep_the_sum() -> None:
    rules = instrument()
    rules.maker_fee_ppm = -250  # type: ignore[misc]
    exchange = ExchangeRules(fee_asset="base")
    run = SmallRun({"BTCUSDT": ticks(walk(4, 600))}, [rules], [start_grid(rules)], exchange=exchange).run()
    assert figures(checked(run))["fees"] > 0


@pytest.mark.parametrize("make", [long_spot, neutral_linear], ids=["spot", "perpetual"])
def test_what_an_operator_takes_over_is_a_transfer_and_neither_profit_nor_loss(
    make: Callable[..., SmallRun],
) -> None:
    run = make()
    backtest = run.backtest
    while backtest.step(START + 2 * HOUR):
        pass
    spot = make is long_spot
    subject, price = ("BTC", 0) if spot else ("BTCUSDT", 1000)
    for what, units in ((subject, 700), ("USDT", -250 * QUOTE_UNIT), (subject, -200)):
        correction = CorrectBalance(
            subject=what, units=units, price_ticks=price, reason="found", operator="ann"
        )
        backtest.runtime.learn(correction, backtest.now_ns)
    view = checked(run.run())
    held = view.of(POSITIONS).get("BTCUSDT")
    risk = run.core.state_of("portfolio").symbols["BTCUSDT"]
    assert held is not None
    assert held["quantity"] == from_units(risk.inventory, 4)
    transfers = figures(view)["transfers"]
    assert transfers != -250  # the holding was worth something
    assert -250 - 10 < transfers < -250 + 10


def test_pauses_leave_levels_as_the_core_has_them() -> None:
    run = long_spot()
    backtest = run.backtest
    while backtest.step(START + HOUR):
        pass
    backtest.runtime.learn(PauseTrading(reason="operator", symbol="", operator="ann"), backtest.now_ns)
    while backtest.step(START + 3 * HOUR):
        pass
    backtest.runtime.learn(ResumeTrading(reason="", symbol="", operator="ann"), backtest.now_ns)
    view = checked(run.run())
    kinds = [row["kind"] for row in view.of(HALTS).rows()]
    assert kinds == ["paused", "resumed"]
    waiting = {row["grid_level"]: row["retry_at_ns"] or 0 for row in view.of(LEVELS).rows() if row["waiting"]}
    levels = run.core.state_of("symbol/BTCUSDT").levels
    assert waiting == {level.index: level.retry_at_ns for level in levels if level.waiting}
