"""How long a restart takes: a ledger read and replayed into a fresh core, every record compared.

Law: the very function a run starts with, on a ledger made by a backtest of two grids of two hundred levels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.setting import SYMBOL, config, market
from grinder.commands.backtest import scales_of
from grinder.ledger.recorder import open_application
from grinder.ledger.writer import LedgerJournal
from grinder.live.rebuild import rebuild
from grinder.wiring import wire_backtest

LEVELS = 100
"""A side, at 2 bps: nearly every record belongs to a fill, which is the slowest to replay."""


def run(path: Path | None) -> dict[str, Any]:
    """Seconds of a restart, and what that is for half a million records."""
    ticks, center = market(path)
    markets = {SYMBOL: ticks}
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "ledger.db"
        application = open_application(file, create=True)
        recorder = application.ledger_recorder
        journal = LedgerJournal(recorder, recorder.take_epoch())
        wired = wire_backtest(
            config(LEVELS, "2", center), markets, scales_of(markets), journal, ledger_id="bench000", seed=0
        )
        wired.backtest.open(wired.opening.commands)
        wired.backtest.run()
        journal.close()
        application.close()
        started = perf_counter()
        rebuilt = rebuild(file)
        seconds = perf_counter() - started
    return {
        "records": rebuilt.records,
        "restart_s": round(seconds, 2),
        "records_per_s": round(rebuilt.records / seconds),
        "half_a_million_s": round(500_000 * seconds / rebuilt.records, 2),
    }
