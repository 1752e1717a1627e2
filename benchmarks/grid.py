"""Ticks per second of a backtest whose ledger is durable, and the memory it adds.

Law: the clock runs from before the ledger file exists until it is durable and folded.  Beside it, in the same
run, one pass for the minimum and maximum of the price column: the least anybody must do.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.setting import SYMBOL, config, market
from grinder.commands.backtest import execute
from grinder.run_folder import RunFolder

ROUNDS = 5


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(path: Path | None) -> dict[str, Any]:
    """Both ladders of the project's goal: 10 levels a side at 20 bps, 100 at 2 bps."""
    ticks, center = market(path)
    before = _peak_mb()
    found: dict[str, Any] = {"ticks": len(ticks), "columns_mb": round(ticks.nbytes / 2**20, 1)}
    for levels, bps in ((10, "20"), (100, "2")):
        rates, passes, records = [], [], 0
        for _ in range(ROUNDS):
            started = perf_counter()
            ticks.price.min(), ticks.price.max()
            passes.append(len(ticks) / (perf_counter() - started))
            with tempfile.TemporaryDirectory() as folder:
                done = execute(
                    config(levels, bps, center),
                    {SYMBOL: ticks},
                    RunFolder(Path(folder)),
                    "00000000",
                    0,
                    {},
                    lambda stage, at, total: None,
                )
            rates.append(len(ticks) / done.seconds)
            records = done.records
        found[f"{levels}x{bps}bps"] = {
            "ticks_per_s": round(statistics.median(rates)),
            "records": records,
            "records_per_s": round(records * statistics.median(rates) / len(ticks)),
            "ratio_to_min_max_pass": round(statistics.median(rates) / statistics.median(passes), 4),
        }
    found["memory_added_mb"] = round(_peak_mb() - before, 1)
    return found
