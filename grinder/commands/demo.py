"""The demonstration: a supervised paper run on a generated market at speed, then a replay of its own ledger.

Law: the same processes, core, exchange, ledger and replayer as any run; only the market is made up and its
time passes faster.  It ends by itself.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table

from grinder.commands.inspect import replay_run
from grinder.commands.paper import Asked, supervised
from grinder.commands.screen import Screen
from grinder.config import load_config
from grinder.errors import ExitStatus, UserError
from grinder.live.spec import PAPER, RunSpec
from grinder.run_folder import RunFolder
from grinder.show import out, pairs
from grinder.views.store import update
from grinder.views.summary import summary

WATCHED_SECONDS = 11.0
"""How long the market is shown at speed 1."""

QUIET_SECONDS = 4.0
"""How long it takes when nobody watches."""

ROWS = 30_000

MARKET_SECONDS = ROWS * 0.72
"""The generator's mean time between two trades is 720 ms."""

SETTINGS: dict[str, object] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {"BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
    "risk": {"session_drawdown_pct": "20", "daily_drawdown_pct": "20", "inventory_max_quote": "9000"},
    "live": {"reconcile_seconds": 600, "disk_free_mb": 16},
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "long",
            "spacing": "geometric",
            "lower_price": "59400",
            "upper_price": "62600",
            "grid_number": 16,
            "quote_investment": "8000",
            "initial_inventory": "buy",
        }
    ],
}


def run_demo(folder: Path | None, *, seed: int, speed: float, quiet: bool) -> dict[str, Any]:
    """Run, show, summarise, replay; returns the summary and the replay's result.

    Raises:
        UserError: the run did not end as it should; its own words are on standard error.
    """
    if folder is not None:
        return _run(RunFolder(folder), seed, speed, quiet)
    with tempfile.TemporaryDirectory(prefix="grinder-demo-") as temporary:
        return _run(RunFolder(Path(temporary)), seed, speed, quiet)


def _run(folder: RunFolder, seed: int, speed: float, quiet: bool) -> dict[str, Any]:
    config = load_config([], {}, SETTINGS)
    seconds = (QUIET_SECONDS if quiet or not out.is_terminal else WATCHED_SECONDS) / min(
        max(speed, 0.01), 100
    )
    spec = RunSpec(
        mode=PAPER,
        ledger_id="",
        config=config,
        feed=f"generated:{seed}@{MARKET_SECONDS / seconds:g}",
        rows=ROWS,
        until_end=True,
    )
    supervisor, alerts = supervised([(Asked(name="demo", config=config, folder=folder.path), spec)])
    try:
        with Screen(supervisor.bots, quiet) as screen:
            status = supervisor.run(screen.look)
    finally:
        alerts.close()
    screen.show_last()
    if status is not ExitStatus.DONE:
        raise UserError("demo.failed", f"the run ended with status {int(status)}", place=str(folder.path))
    update(folder.path)
    totals = summary(folder.path)
    replayed = replay_run(folder.path, lambda stage, at, total: None)
    result = {
        "run": str(folder.path),
        **totals.in_short(),
        "head": replayed["head"],
    }
    if not quiet:
        out.print(_summary_table(result))
        out.print(f"chain head {result['head']}", soft_wrap=True)
        if replayed["identical"]:
            out.print(f"replay identical: {replayed['records']} records")
        else:
            out.print(f"replay diverged: {replayed['divergence']}")
    return {**result, "replay": replayed}


def _summary_table(result: dict[str, Any]) -> Table:
    (figures,) = result["symbols"].values()
    change = Decimal(result["equity_end"]) - Decimal(result["equity_start"])
    return pairs(
        "Summary",
        [
            ("fills", str(result["fills"])),
            ("cycles", str(result["cycles"])),
            ("grid profit", figures["grid_profit"]),
            ("unpaired PnL", figures["unpaired_pnl"]),
            ("fees", figures["fees"]),
            ("change of equity", f"{change:f}"),
            ("identity residual", result["identity_residual"]),
        ],
    )
