"""Records per second of a replay, every record compared, against only reading the rows.

Law: reading, executing, encoding, hashing and comparing are all inside the clock; so is the start of the
second process, where there is a processor for it.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.setting import SYMBOL, config, market
from grinder.commands.backtest import execute
from grinder.ledger.reading import connect, plain_rows
from grinder.replaying import replay_ledger
from grinder.run_folder import RunFolder

ROUNDS = 5


def run(path: Path | None) -> dict[str, Any]:
    """Replay of the ledger that 100 levels a side at 2 bps write."""
    ticks, center = market(path)
    replays, alone, reads = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name))
        wanted = config(100, "2", center)
        execute(wanted, {SYMBOL: ticks}, folder, "00000000", 0, {}, lambda stage, at, total: None)
        for _ in range(ROUNDS):
            started = perf_counter()
            count = sum(1 for _ in plain_rows(connect(folder.ledger)))
            reads.append(count / (perf_counter() - started))
            for processes, rates in ((None, replays), (1, alone)):
                started = perf_counter()
                result = replay_ledger(folder.ledger, processes=processes)
                rates.append(result.records / (perf_counter() - started))
                assert result.identical
    return {
        "records": result.records,
        "records_per_s": round(statistics.median(replays)),
        "one_process_per_s": round(statistics.median(alone)),
        "read_only_per_s": round(statistics.median(reads)),
        "ratio_to_reading": round(statistics.median(replays) / statistics.median(reads), 3),
    }
