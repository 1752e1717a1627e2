"""`grinder explain`: why an order, an execution or a record is there.

Law: the command as a process, from its start to its end, and the same question inside a program that has the
ledger open; orders and records are drawn from the whole ledger.  Beside the process: `grinder --help`.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.long_ledger import long_ledger, records_of
from benchmarks.serving import in_ms
from grinder.inspection.explaining import Explainer
from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records

PROCESSES = 15
QUESTIONS = 300

_ORDER = (
    "SELECT state ->> '$.client_order_id' FROM stored_events WHERE topic = 'OrderFilled/1' AND rowid > ?"
    " ORDER BY rowid LIMIT 1"
)


def commands(asked: Sequence[Sequence[str]]) -> dict[str, float]:
    """Commands as processes: ms from start to end, and ms of processor time, which other programs of a busy
    machine add little to."""
    program = str(Path(sys.executable).with_name("grinder"))
    spent, used = [], []
    for arguments in asked:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
        subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
        spent.append(perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return {**in_ms(spent), "least_ms": round(min(spent) * 1e3, 1), "cpu_ms": round(median(used) * 1e3, 1)}


def _subjects(folder: Path, count: int) -> list[str]:
    records, draw = records_of(folder), random.Random(3)
    found = []
    with Records(folder) as opened:
        for number in range(count):
            position = draw.randrange(1, records * 9 // 10)
            order = opened.connection.execute(_ORDER, (position,)).fetchone()
            found.append(order[0] if number % 2 and order else f"#{position}")
    return found


def measure(folder: Path, processes: int, questions: int) -> dict[str, Any]:
    """Milliseconds of an explanation."""
    subjects = _subjects(folder, questions)
    (folder / "lookup.db").unlink(missing_ok=True)
    with Records(folder) as opened:
        started = perf_counter()
        Lookup(opened).close()
        made = perf_counter() - started
        lookup = Lookup(opened)
        spent = []
        for subject in subjects:
            started = perf_counter()
            Explainer(opened, lookup).explain(subject)
            spent.append(perf_counter() - started)
        lookup.close()
    asked = [subjects[at % len(subjects)] for at in range(processes)]
    return {
        "records": records_of(folder),
        "index_made_s": round(made, 2),
        "in_a_program": in_ms(spent),
        "process": commands([("explain", str(folder), one) for one in asked]),
        "help_process": commands([("--help",)] * processes),
    }


def run(path: Path | None) -> dict[str, Any]:
    """On the ledger of a million records."""
    return measure(long_ledger(), PROCESSES, QUESTIONS)
