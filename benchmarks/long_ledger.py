"""A ledger of a million records, made once and kept in a temporary folder.

Law: a backtest of the grid of all benchmarks over a generated market, so that everybody's is the same; it is
whole or not there.  `GRINDER_BENCH_FOLDER` names another place to keep it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from benchmarks.setting import SYMBOL, config
from grinder.commands.backtest import execute
from grinder.ledger.reading import connect
from grinder.run_folder import RunFolder
from grinder.views.store import update
from replay.generated import MarketShape, generate

ROWS: Final = 516_000
"""Rows of the market over which 200 levels a side at 1 bp write a million records."""

LEVELS: Final = 200
SPACING_BPS: Final = "1"


def make(folder: Path, rows: int) -> Path:
    """A run of so many rows of a market, with its views; returns the folder."""
    folder.mkdir(parents=True)
    ticks = generate(MarketShape(symbol=SYMBOL, start_ticks=500_000, rows=rows), seed=5)
    grid = config(LEVELS, SPACING_BPS, "50000")
    execute(grid, {SYMBOL: ticks}, RunFolder(folder), "00000000", 0, {}, lambda stage, at, total: None)
    update(folder)
    return folder


def long_ledger() -> Path:
    """The run folder; the first call makes it, which takes a minute or two."""
    named = os.environ.get("GRINDER_BENCH_FOLDER")
    home = Path(named) if named else Path(tempfile.gettempdir()) / "grinder-benchmarks"
    found = home / f"long-{ROWS}"
    if not found.is_dir():
        unfinished = home / f"long-{ROWS}.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        make(unfinished, ROWS).rename(found)
    update(found)  # the views of an older program are of no use to this one
    return found


def records_of(folder: Path) -> int:
    """Length of a run's ledger."""
    ledger = connect(folder / "ledger.db")
    try:
        return int(ledger.execute("SELECT max(rowid) FROM stored_events").fetchone()[0])
    finally:
        ledger.close()


def run(path: Path | None) -> dict[str, Any]:
    """Make the ledger if it is not there, and its views anew."""
    folder = long_ledger()
    (folder / "views.db").unlink()
    started = perf_counter()
    records = update(folder)
    seconds = perf_counter() - started
    return {
        "folder": str(folder),
        "records": records,
        "ledger_mb": round((folder / "ledger.db").stat().st_size / 2**20, 1),
        "views_mb": round((folder / "views.db").stat().st_size / 2**20, 1),
        "views_made_s": round(seconds, 1),
        "views_records_per_s": round(records / seconds),
    }
