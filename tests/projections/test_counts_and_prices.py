"""Counts are those of the rows, prices those of the records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_runs import SmallRun, long_spot, neutral_linear

from domain.codec import decode
from domain.inputs import ClockReport, TickReport
from domain.risk_events import InventoryChanged
from projections.counts import COUNTS
from projections.cycles import CYCLES
from projections.fills import TRADES
from projections.orders import ORDERS
from projections.prices import PRICES
from projections.record import LedgerRecord
from projections.registry import apply_all, fresh, is_read
from projections.view import View

RUNS = {"spot": lambda: long_spot(rows=600, fee_asset="base"), "linear": lambda: neutral_linear(rows=700)}


def folded(run: SmallRun) -> tuple[View, list[LedgerRecord]]:
    """The view of a run's records, and the records."""
    records = [
        LedgerRecord(one.position, one.stream, one.version, one.topic, one.ts_ns, one.cause,
                     decode(one.topic, one.state))
        for one in run.rows if is_read(one.topic)
    ]  # fmt: skip
    view = fresh()
    apply_all(view, records)
    return view, records


@pytest.mark.parametrize("kind", RUNS)
def test_counts_are_what_counting_the_rows_gives(kind: str) -> None:
    made: Callable[[], SmallRun] = RUNS[kind]
    view, _ = folded(made().run())
    trades = list(view.of(TRADES).rows())
    (row,) = view.of(COUNTS).rows()
    assert row["fills"] == len(trades) > 10
    assert row["buys"] == sum(one["side"] == "buy" for one in trades)
    assert row["sells"] == sum(one["side"] == "sell" for one in trades)
    assert row["orders"] == len(list(view.of(ORDERS).rows()))
    assert row["cycles_closed"] == sum(one["status"] == "closed" for one in view.of(CYCLES).rows()) > 3
    by_position = sorted(trades, key=lambda one: int(one["position"]))
    assert [one["number"] for one in by_position] == list(range(1, len(trades) + 1))


@pytest.mark.parametrize("kind", RUNS)
def test_prices_are_those_the_records_carry(kind: str) -> None:
    made: Callable[[], SmallRun] = RUNS[kind]
    view, records = folded(made().run())
    expected = []
    for one in records:
        if isinstance(one.event, (TickReport, InventoryChanged)):
            expected.append((one.event.symbol, one.position, one.ts_ns, one.event.price_ticks))
        elif isinstance(one.event, ClockReport):
            expected += [(symbol, one.position, one.ts_ns, ticks) for symbol, ticks in one.event.marks]
    assert [tuple(one.values()) for one in view.of(PRICES).rows()] == sorted(expected)
    assert len(expected) > 10
