"""Small live cores, and configurations for live runs of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from actors.core import Core
from actors.journal import MemoryJournal
from domain.record import Record
from grinder.config import load_config
from grinder.errors import UserError
from grinder.live.asking import ask
from grinder.opening import build_opening

REPO = Path(__file__).resolve().parents[2]

SETTINGS: dict[str, Any] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {"BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
    "live": {"disk_free_mb": 16},
    "record": {"tape": False},
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

LEDGER_ID = "0123abcd"


def opening_commands(inventory: str = "buy") -> tuple[Record, ...]:
    """The opening commands of `SETTINGS`."""
    scales = {"BTCUSDT": (Decimal("0.1"), Decimal("0.001"))}
    (grid,) = SETTINGS["grids"]
    settings = {**SETTINGS, "grids": [{**grid, "initial_inventory": inventory}]}
    return build_opening(load_config([], {}, settings), scales, LEDGER_ID).commands


def opened_core(inventory: str = "buy") -> Core:
    """A core that has learned the opening commands and waits for its first price."""
    core = Core(MemoryJournal())
    for command in opening_commands(inventory):
        core.learn(command, 1)
    core.take_intents()
    return core


def write_config(path: Path, **sections: Any) -> Path:
    """A configuration file (JSON is YAML)."""
    path.write_bytes(orjson.dumps({**SETTINGS, **sections}))
    return path


class Running:
    """A `grinder` command in a process of its own, ended by the test."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grinder", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPO), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.communicate()

    def ended(self, timeout_s: float = 20.0) -> tuple[int, bytes, bytes]:
        """(status, standard output, standard error), once it has ended."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


def wait_for(what: Callable[[], Any], timeout_s: float = 15.0, why: str = "") -> Any:
    """What a function answers, as soon as that is true."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not come within {timeout_s} s: {why or what}")


def status_of(run: Path) -> dict[str, Any]:
    """A run's status; empty while nothing answers."""
    try:
        return ask(run, "/status", timeout_s=5)
    except UserError:
        return {}


def trading(run: Path, orders: int = 1) -> dict[str, Any]:
    """A run's status once it trades and has orders resting."""

    def look() -> dict[str, Any]:
        found = status_of(run)
        rests = [one for one in found.get("orders", ()) if one["status"] == "open"]
        return found if found.get("phase") == "trading" and len(rests) >= orders else {}

    found: dict[str, Any] = wait_for(look, why="trading with orders")
    return found


def process_of(run: Path) -> int:
    """The run process's id."""
    return int(orjson.loads((run / "control.json").read_bytes())["process"])
