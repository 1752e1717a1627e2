"""Small runs for the tests of this room, and short ways to ask for what is tested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from small_ledgers import SETTINGS, config, ledger_rows, run_into, trades_file

from actors.journal import MemoryJournal
from actors.records import LedgerRow
from grinder.commands.fork import fork
from grinder.commands.simulate import SimulationAsked, simulate
from grinder.run_folder import RunFolder
from replay.replayer import replay

ROWS = 16_000

GRID = {**SETTINGS["grids"][0], "lower_price": "60400", "upper_price": "61800", "grid_number": 50}

SPOT: dict[str, Any] = {**SETTINGS, "grids": [GRID]}

SLOW: dict[str, Any] = {
    **SPOT,
    "fills": {
        "model": "through",
        "partial": "volume",
        "order_latency_ms": 150,
        "feed_latency_ms": 50,
        "latency_jitter_ms": 400,
    },
}

PERPETUAL: dict[str, Any] = {
    "account": {"balance": "2000", "fees": {"maker_bps": "-0.5", "taker_bps": "4"}},
    "instruments": {
        "BTCUSDT": {
            "kind": "linear",
            "tick": "0.1",
            "lot": "0.001",
            "leverage": "5",
            "funding_rate_bps": "1",
            "funding_interval_hours": 1,
        }
    },
    "run": {"mark_interval_seconds": 900},
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "neutral",
            "spacing": "geometric",
            "center_price": "61000",
            "spacing_bps": "8",
            "levels_per_side": 8,
            "quantity": "0.005",
        }
    ],
}


def quiet(stage: str, done: int, total: int) -> None:
    """Progress nobody watches."""


def backtest_into(folder: Path, settings: Mapping[str, object]) -> Path:
    """A backtest in `folder`/run over `folder`/trades.csv."""
    run_into(folder / "run", trades_file(folder / "trades.csv", ROWS), settings)
    return folder / "run"


def paper_into(folder: Path, seed: int = 7) -> Path:
    """What a paper run over a generated market leaves: the same parts on made-up time."""
    asked = SimulationAsked(config=config(SPOT), seed=seed, rows=ROWS)
    simulate(asked, folder, iter(["run 3h"]), lambda said: None)
    run = RunFolder(folder)
    manifest = run.read_manifest()
    manifest.update(kind="paper", mode="paper", feed=f"generated:{seed}@1", rows=ROWS)
    run.write_manifest({name: value for name, value in manifest.items() if name != "format"})
    return folder


def forked(run: Path, at: int, out: Path, until: str = "", **settings: object) -> dict[str, Any]:
    """A fork; settings with ``__`` in the place of the points."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return fork(run, at, named, until, out, [], quiet)


def rows_of(run: Path) -> list[LedgerRow]:
    return ledger_rows(run / "ledger.db")


def manifest_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((run / "manifest.json").read_bytes())
    return found


def replays(rows: list[LedgerRow]) -> bool:
    return replay(rows).identical


def topics(rows: list[LedgerRow]) -> list[str]:
    return [row.topic.partition("/")[0] for row in rows]


__all__ = [
    "MemoryJournal",
    "config",
    "forked",
    "ledger_rows",
    "manifest_of",
    "paper_into",
    "quiet",
    "rows_of",
]
