"""A ledger of a million records answers at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from small_ledgers import altered, copy_run

from grinder.inspection.absence import explain_absence
from grinder.inspection.explaining import Explainer
from grinder.inspection.filters import Filter, select
from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records

RECORDS = 1_000_000
SLACK = 3
"""The machine of the tests may be busy with others."""

_COPY = """INSERT INTO stored_events
    SELECT rowid + :shift, originator_id, originator_version + :shift, topic,
           replace(state, :ledger, :other), ts_ns + :shift, cause + :shift, chain
    FROM stored_events WHERE rowid <= :records"""


@pytest.fixture(scope="module")
def million(capped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million records: a run again and again, each time with other order ids."""
    run = copy_run(capped, tmp_path_factory.mktemp("million") / "run")
    for name in ("lookup.db", "views.db"):
        (run / name).unlink(missing_ok=True)
    with altered(run / "ledger.db") as connection:
        connection.execute("DROP TRIGGER stored_events_no_replace")
        (records,) = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()
        (ledger,) = connection.execute(
            "SELECT state ->> '$.ledger_id' FROM stored_events WHERE rowid = 1"
        ).fetchone()
        connection.execute("BEGIN")
        for number in range(1, RECORDS // records + 1):
            values = {
                "shift": number * records,
                "ledger": ledger,
                "other": f"{number:08x}",
                "records": records,
            }
            connection.execute(_COPY, values)
        connection.execute("COMMIT")
    return run


def quickest(do: Callable[[], Any], times: int = 3) -> float:
    """Seconds of the quickest of a few runs."""
    found = []
    for _ in range(times):
        started = perf_counter()
        do()
        found.append(perf_counter() - started)
    return min(found)


@pytest.mark.slow
def test_a_million_records_are_explained_and_audited_at_once(million: Path) -> None:
    with Records(million) as records:
        assert records.head() >= RECORDS - 2_000
        lookup = Lookup(records)
        with closing(sqlite3.connect(million / "ledger.db")) as connection:
            fill = "SELECT state ->> '$.client_order_id' FROM stored_events WHERE topic = ? AND rowid > ?"
            (order,) = connection.execute(fill, ("FillReport/1", RECORDS // 2)).fetchone()
        assert quickest(lambda: Explainer(records, Lookup(records)).explain(order)) < 0.2 * SLACK
        assert quickest(lambda: Explainer(records, lookup).explain(f"#{RECORDS // 2}")) < 0.2 * SLACK
        assert quickest(lambda: explain_absence(Explainer(records, lookup), "30", "")) < 0.2 * SLACK
        for wanted in (
            Filter(types=("OrderFilled/1",), limit=0),
            Filter(symbols=("BTCUSDT",), limit=1000),
            Filter(actors=("input/exchange",), types=("FillReport/1",), limit=0, newest=True),
            Filter(since=RECORDS // 2, until=RECORDS // 2 + 5000, limit=0),
            Filter(since=records.at_time(records.row(RECORDS - 5000).ts_ns), limit=1000),  # type: ignore[union-attr]
            Filter(cause_of=RECORDS // 2),
        ):
            assert quickest(lambda wanted=wanted: list(select(records, lookup, wanted)), 1) < 1.0 * SLACK
        lookup.close()
