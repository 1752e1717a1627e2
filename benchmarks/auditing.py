"""`grinder audit` with filters that an index answers.

Law: until the last record is found and decoded; each filter alone, in a program that has the ledger open, and
one as a process.  Beside it: one pass over the ledger's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.explaining import commands
from benchmarks.long_ledger import long_ledger
from benchmarks.serving import in_ms
from benchmarks.setting import SYMBOL
from grinder.inspection.filters import Filter, select
from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records
from grinder.ledger.reading import connect, plain_rows

ROUNDS = 5


def _filters(opened: Records) -> Mapping[str, Filter]:
    head = opened.head()
    late = opened.row(head * 9 // 10)
    return {
        "type, every one": Filter(types=("OrderFilled/1",), limit=0),
        "type, newest hundred": Filter(types=("OrderFilled/1",), newest=True),
        "two types, newest thousand": Filter(
            types=("OrderAccepted/1", "OrderFilled/1"), limit=1000, newest=True
        ),
        "symbol, newest thousand": Filter(symbols=(SYMBOL,), limit=1000, newest=True),
        "actor and type, newest thousand": Filter(
            actors=("input/exchange",), types=("FillReport/1",), limit=1000, newest=True
        ),
        "positions, 5,000": Filter(since=head // 2, until=head // 2 + 5000, limit=0),
        "time, thousand": Filter(since=opened.at_time(late.ts_ns) if late else 1, limit=1000),
        "cause of": Filter(cause_of=head // 2),
        "caused by": Filter(caused_by=head // 2),
    }


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of an audit, by filter."""
    found: dict[str, Any] = {}
    with Records(folder) as opened:
        lookup = Lookup(opened)
        found["records"] = opened.head()
        for name, wanted in _filters(opened).items():
            spent, passed = [], 0
            for _ in range(rounds):
                started = perf_counter()
                passed = sum(1 for _ in select(opened, lookup, wanted))
                spent.append(perf_counter() - started)
            found[name] = {"passed": passed, **in_ms(spent)}
        lookup.close()
    process = ("audit", str(folder), "--type", "OrderFilled", "--newest", "--json")
    found["process, newest hundred"] = commands([process] * rounds)
    started = perf_counter()
    for _ in plain_rows(connect(folder / "ledger.db")):
        pass
    found["one_pass_ms"] = round((perf_counter() - started) * 1e3, 1)
    return found


def run(path: Path | None) -> dict[str, Any]:
    """On the ledger of a million records."""
    return measure(long_ledger(), ROUNDS)
