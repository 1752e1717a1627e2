"""The demonstration: an accelerated simulation on a generated market, then a replay of its own ledger.

Law: the same core, exchange, ledger and replayer as a real run; only the market is made up.  It ends by
itself.  The clock actor sets the pace: the screen follows simulated time, slowed to be watched.
"""

from __future__ import annotations

import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from domain.units import fixed_text, units_text
from grinder import __version__
from grinder.commands.backtest import execute
from grinder.commands.inspect import replay_run
from grinder.config import load_config
from grinder.run_folder import RunFolder
from grinder.show import out, pairs
from grinder.views.store import update
from grinder.views.summary import summary
from grinder.wiring import Wired, data_digest, ledger_id_of
from replay.generated import MarketShape, generate
from replay.ticks import Ticks

WATCHED_SECONDS = 12.0
"""How long the market is shown at speed 1; the simulation itself takes a small part of it."""

FRAMES = 96

SETTINGS: dict[str, object] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {"BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
    "risk": {"session_drawdown_pct": "20", "daily_drawdown_pct": "20", "inventory_max_quote": "9000"},
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
    """Simulate, show, summarise, replay; returns the summary and the replay's result."""
    if folder is not None:
        return _run(RunFolder(folder), seed, speed, quiet)
    with tempfile.TemporaryDirectory(prefix="grinder-demo-") as temporary:
        return _run(RunFolder(Path(temporary)), seed, speed, quiet)


def _run(folder: RunFolder, seed: int, speed: float, quiet: bool) -> dict[str, Any]:
    config = load_config([], {}, SETTINGS)
    ticks = generate(MarketShape(), seed)
    markets = {ticks.symbol: ticks}
    ledger_id = ledger_id_of(config, data_digest(markets), seed)
    manifest = {"kind": "demo", "program": __version__, "ledger_id": ledger_id, "seed": seed}
    folder.create()
    screen = _Screen(ticks, quiet, speed)
    with screen:
        done = execute(
            config,
            markets,
            folder,
            ledger_id,
            seed,
            manifest,
            screen.progress,
            screen.watch,
            steps_per_progress=4,
        )
    screen.show_last()
    update(folder.path)
    totals = summary(folder.path)
    result = {
        "run": str(folder.path),
        "fills": totals.fills,
        "cycles": totals.cycles,
        "symbols": totals.symbols,
        "equity_start": totals.equity_start,
        "equity_end": totals.equity_end,
        "identity_residual": totals.identity_residual,
        "head": done.head,
    }
    if not quiet:
        out.print(_summary_table(result))
        out.print(f"chain head {result['head']}", soft_wrap=True)
    replayed = replay_run(folder.path, lambda stage, at, total: None)
    if not quiet:
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


class _Screen:
    """The live table of the grid, fed between two inputs of the run."""

    def __init__(self, ticks: Ticks, quiet: bool, speed: float) -> None:
        self._ticks = ticks
        self._quiet = quiet
        self._frame_s = WATCHED_SECONDS / FRAMES / max(speed, 0.01)
        self._frame = 0
        self._wired: Wired | None = None
        self._live: Live | None = None

    def __enter__(self) -> _Screen:
        if not self._quiet and out.is_terminal:
            self._live = Live(console=out, refresh_per_second=12, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def watch(self, wired: Wired) -> None:
        """Take the run to look at; its states are immutable, so looking changes nothing."""
        self._wired = wired

    def show_last(self) -> None:
        """The grid as the run left it, to stay on the screen."""
        if not self._quiet and self._wired is not None:
            run = self._wired.backtest
            span = run.end_ns - run.start_ns
            out.print(_picture(self._wired, self._ticks, span, span))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Draw a frame when simulated time has moved by one, at the pace of the demonstration."""
        frame = done * FRAMES // max(total, 1)
        if frame <= self._frame or self._quiet:
            return
        self._frame = frame
        if self._live is not None and self._wired is not None:
            self._live.update(_picture(self._wired, self._ticks, done, total))
            time.sleep(self._frame_s)
        elif frame % (FRAMES // 4) == 0:
            out.print(f"simulated {100 * done // total} %")


def _picture(wired: Wired, ticks: Ticks, done: int, total: int) -> RenderableType:
    symbol = wired.core.state_of(f"symbol/{ticks.symbol}")
    portfolio = wired.core.state_of("portfolio").symbols[ticks.symbol]
    one = portfolio.instrument
    table = Table(title=f"{ticks.symbol}  simulated {done / 3.6e12:.1f} h", title_justify="left")
    for name in ("level", "buy", "sell", "state", "holds", "cycles"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for level in reversed(symbol.levels):
        style = {"opening": "green", "closing": "red"}.get(level.phase.value, "dim")
        table.add_row(
            str(level.index),
            fixed_text(level.buy_ticks * one.tick_size, one.price_decimals),
            fixed_text(level.sell_ticks * one.tick_size, one.price_decimals),
            Text(
                {"opening": "buy rests", "closing": "sell rests"}.get(level.phase.value, level.phase.value),
                style,
            ),
            fixed_text(level.held, one.base_decimals),
            str(level.cycle),
        )
    price = fixed_text(portfolio.mark_ticks * one.tick_size, one.price_decimals)
    line = f"price {price}   inventory {units_text(portfolio.inventory, one.base_decimals)} {one.base}"
    bar = ProgressBar(total=total, completed=done, width=60)
    return Group(bar, Text(""), Text(line), table)
