"""Run a backtest into a folder, or go on with one that was interrupted.

Law: the ledger is durable when this returns.  Run again on the same folder with the same configuration, data
and seed, it executes again, compares every record the ledger already holds and appends what is missing: an
interrupted run ends as an undisturbed one would have, and a complete one is proven once more.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs

from actors.core import Core
from actors.journal import Journal
from grinder import __version__
from grinder.collecting import rare_collections
from grinder.config import Config, config_as_dict
from grinder.data import DataArgument, InstrumentScale, load
from grinder.errors import DataError
from grinder.inspection.lookup import catch_up
from grinder.interruption import Interruption
from grinder.ledger.lock import WriterLock
from grinder.log import logger
from grinder.plan import check_plan
from grinder.run_folder import RunFolder
from grinder.storing import Executed, RunDiverged, store_run
from grinder.views.store import update
from grinder.views.summary import summary
from grinder.wiring import Wired, data_digest, ledger_id_of, wire_backtest
from replay.ticks import Ticks

__all__ = [
    "BacktestResult",
    "Executed",
    "Progress",
    "RunDiverged",
    "backtest",
    "execute",
    "load_markets",
    "scales_of",
]

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) now and then."""


def _silent(stage: str, done: int, total: int) -> None:
    """Progress nobody watches."""


@attrs.frozen(kw_only=True)
class BacktestResult:
    """What a backtest came to; see `as_dict` for the published names."""

    run: str
    ticks: int
    records: int
    inputs: int
    events: int
    head: str
    resumed_records: int
    data: dict[str, Any]
    summary: Any
    seconds: dict[str, float]
    peak_rss_mb: float

    def as_dict(self) -> dict[str, Any]:
        """The command's JSON object."""
        totals = self.summary
        run_s = self.seconds["run"]
        return {
            "run": self.run,
            "ticks": self.ticks,
            "records": self.records,
            "inputs": self.inputs,
            "events": self.events,
            "orders": totals.orders,
            "blocked": totals.blocked,
            "fills": totals.fills,
            "cycles": totals.cycles,
            "symbols": totals.symbols,
            "halts": totals.halts,
            "equity_start": totals.equity_start,
            "equity_end": totals.equity_end,
            "identity_residual": totals.identity_residual,
            "head": self.head,
            "data": self.data,
            "resumed_records": self.resumed_records,
            "seconds": {name: round(value, 6) for name, value in self.seconds.items()},
            "ticks_per_s": round(self.ticks / run_s) if run_s else 0,
            "peak_rss_mb": self.peak_rss_mb,
        }


def load_markets(config: Config, data: Sequence[DataArgument]) -> dict[str, Ticks]:
    """Rows of every symbol the configuration trades.

    Raises:
        DataError: a file is wrong, or a traded symbol has no rows.
    """
    traded = [grid.symbol for grid in config.grids]
    scales = {
        symbol: InstrumentScale(tick=one.tick, lot=one.lot) for symbol, one in config.instruments.items()
    }
    sizes = (
        config.fills.model.value == "queue"
        or config.fills.partial.value == "volume"
        or any(config.instruments[symbol].lot is None for symbol in traded)
    )
    default = traded[0] if len(traded) == 1 else None
    loaded = load(data, symbols=scales, default_symbol=default, sizes=sizes)
    for symbol in traded:
        if symbol not in loaded or not len(loaded[symbol]):
            raise DataError(
                "data.symbol_missing",
                "a grid's symbol has no rows in the data",
                value=symbol,
                fix=f"add --data {symbol}=PATH, or remove the grid",
            )
    markets = {symbol: loaded[symbol] for symbol in sorted(traded)}
    _check_model(config, markets)
    return markets


def _check_model(config: Config, markets: Mapping[str, Ticks]) -> None:
    for symbol, ticks in markets.items():
        if config.fills.model.value == "queue" and (ticks.bid_qty is None or ticks.qty is None):
            raise DataError(
                "data.no_queue",
                "the queue model needs trades and the size at the best quotes, and the data has no such rows",
                value=f"{symbol}: {ticks.origin.value}",
                fix="use fills.model: through, or data with trades and quotes",
            )


def scales_of(markets: Mapping[str, Ticks]) -> dict[str, tuple[Decimal, Decimal]]:
    """(tick, lot) of every market, as configured or as guessed from the data."""
    return {symbol: (ticks.tick, ticks.lot) for symbol, ticks in markets.items()}


def backtest(
    config: Config,
    data: Sequence[DataArgument],
    out: Path,
    *,
    seed: int = 0,
    progress: Progress = _silent,
) -> BacktestResult:
    """Load, run, project.

    Raises:
        ConfigError, DataError: the input is wrong; nothing was written.
        LedgerError: the folder holds another run, or a damaged one.
        RunDiverged: an interrupted run does not come out as its ledger says.
    """
    started = perf_counter()
    markets = load_markets(config, data)
    check_plan(config, scales_of(markets))
    digest = data_digest(markets)
    loaded = perf_counter()
    for symbol, ticks in markets.items():
        logger().info("data loaded", symbol=symbol, **_data_note(ticks))
    ledger_id = ledger_id_of(config, digest, seed)
    manifest = {
        "kind": "backtest",
        "program": __version__,
        "ledger_id": ledger_id,
        "seed": seed,
        "config": config_as_dict(config),
        "data": {
            "sha256": digest,
            "arguments": [argument_text(argument) for argument in data],
            "symbols": {symbol: _data_note(ticks) for symbol, ticks in markets.items()},
        },
    }
    folder = RunFolder(out)
    folder.create()
    with WriterLock(folder.path):
        outcome = execute(config, markets, folder, ledger_id, seed, manifest, progress)
    ran = perf_counter()
    note = {"records": outcome.records, "resumed": outcome.resumed_records, "head": outcome.head}
    logger().info("run durable", run=str(out), **note)
    update(folder.path, progress=lambda done: progress("projections", done, outcome.records))
    catch_up(folder.path, lambda done, total: progress("lookup", done, total))
    projected = perf_counter()
    return BacktestResult(
        run=str(out),
        ticks=sum(len(ticks) for ticks in markets.values()),
        records=outcome.records,
        inputs=outcome.inputs,
        events=outcome.records - outcome.inputs,
        head=outcome.head,
        resumed_records=outcome.resumed_records,
        data={symbol: _data_note(ticks) for symbol, ticks in markets.items()},
        summary=summary(folder.path),
        seconds={"load": loaded - started, "run": outcome.seconds, "projections": projected - ran},
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MB, 1),
    )


def argument_text(argument: DataArgument) -> str:
    """A data argument as it is written on a command line."""
    return f"{argument.symbol}={argument.path}" if argument.symbol else str(argument.path)


_RSS_PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


def _data_note(ticks: Ticks) -> dict[str, Any]:
    return {
        "origin": ticks.origin.value,
        "rows": len(ticks),
        "bar_seconds": ticks.bar_ns // 10**9,
        "off_tick_rows": ticks.off_tick_rows,
    }


@rare_collections()
def execute(
    config: Config,
    markets: Mapping[str, Ticks],
    folder: RunFolder,
    ledger_id: str,
    seed: int,
    manifest: dict[str, Any],
    progress: Progress,
    watch: Callable[[Wired], None] = lambda wired: None,
    steps_per_progress: int = 256,
) -> Executed:
    """Run into a folder whose lock is held; returns when the ledger is durable.

    `watch` is handed the wired run before it starts, for those who want to look at its states on the way.
    """
    scales = scales_of(markets)

    def produce(journal: Journal, interruption: Interruption) -> Core:
        wired = wire_backtest(config, markets, scales, journal, ledger_id=ledger_id, seed=seed)
        watch(wired)
        _drive(wired, progress, steps_per_progress, interruption)
        return wired.core

    return store_run(folder, ledger_id, manifest, produce)


def _drive(wired: Wired, progress: Progress, every: int, interruption: Interruption) -> None:
    run = wired.backtest
    total = max(1, run.end_ns - run.start_ns)
    run.open(wired.opening.commands)
    run.run(
        lambda now_ns, position: progress("run", min(now_ns - run.start_ns, total), total),
        every,
        interruption.obey,
    )
