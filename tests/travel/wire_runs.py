"""Runs recorded over an exchange's wire protocol: the simulated exchange, spoken to by the real connector.

Law: exchange, run and supervisor are processes, as a user starts them; what is left is a folder with a ledger
and a tape of raw frames.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from live_runs import REPO, Running, process_of, status_of, wait_for, write_config

from domain.inputs import FillReport
from grinder.travel.parents import read_parent

PROTOCOLS = ("binance", "bybit", "okx", "kraken", "binance-usdm", "okx-swap")

PERPETUALS = ("binance-usdm", "okx-swap")

SPOT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "mode": "long",
    "spacing": "geometric",
    "lower_price": "59800",
    "upper_price": "61400",
    "grid_number": 30,
    "quote_investment": "8000",
    "initial_inventory": "buy",
}

PERPETUAL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "mode": "neutral",
    "spacing": "geometric",
    "center_price": "60700",
    "spacing_bps": "8",
    "levels_per_side": 16,
    "quantity": "0.005",
}

LINEAR = {"BTCUSDT": {"kind": "linear", "tick": "0.1", "lot": "0.001", "leverage": "5"}}


@contextmanager
def exchange(protocol: str) -> Iterator[dict[str, Any]]:
    """A running `grinder sim-exchange`: the line it printed."""
    kind = "--kind linear" if protocol in PERPETUALS else ""
    spoken = protocol.removesuffix("-swap")
    arguments = (
        f"--protocol {spoken} {kind} --generated --speed 100 --balance USDT=10000 --maker-bps 1 --port 0"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *arguments.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def keys(protocol: str) -> dict[str, str]:
    """What a run signs with."""
    name = protocol.upper().replace("-", "_")
    secret = "Z3JpbmRlcg==" if protocol == "kraken" else "grinder"
    signed = {"KEY": "grinder", "SECRET": secret, "PASSPHRASE": "grinder"}
    return {f"GRINDER_{name}_{part}": value for part, value in signed.items()}


def config_for(protocol: str, line: dict[str, Any], folder: Path) -> Path:
    account = {
        "exchange": protocol,
        "balance": "10000",
        "fees": {"maker_bps": "1", "taker_bps": "5"},
        "endpoint": {name: line[name] for name in ("rest", "ws", "ws_private") if line.get(name)},
    }
    sections: dict[str, Any] = {"account": account, "record": {"tape": True}, "grids": [SPOT]}
    if protocol in PERPETUALS:
        sections.update(grids=[PERPETUAL], instruments=LINEAR)
    return write_config(folder / "grinder.yaml", **sections)


def fills_in(run: Path) -> int:
    """Executions in a ledger that may be written just now."""
    import sqlite3
    from contextlib import closing

    if not (run / "ledger.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{run / 'ledger.db'}?mode=ro", uri=True)) as db:
        try:
            return int(
                db.execute(
                    "SELECT count(*) FROM stored_events WHERE topic = ?", (FillReport.TOPIC,)
                ).fetchone()[0]
            )
        except sqlite3.OperationalError:
            return 0  # not made yet


@contextmanager
def trading_run(protocol: str, folder: Path) -> Iterator[tuple[Path, Running]]:
    """A run that trades on an exchange of its own; stopped in order at the end."""
    run = folder / "run"
    with exchange(protocol) as line:
        secrets = {"GRINDER_SECRETS_FILE": str(folder / "none.json"), **keys(protocol)}
        config = config_for(protocol, line, folder)
        with Running("run", "-c", str(config), "--out", "run", "--json", cwd=folder, env=secrets) as running:
            yield run, running
            running.process.send_signal(signal.SIGTERM)
            code, _, err = running.ended(60.0)
            assert code == 0, err.decode()[-2000:]


def recorded(protocol: str, folder: Path, fills: int = 6, *, killed: bool = False) -> Path:
    """A run that has ended, with at least so many executions; with `killed`, by two processes."""
    with trading_run(protocol, folder) as (run, _):
        wait_for(lambda: fills_in(run) >= fills, timeout_s=40, why="executions")
        if killed:
            os.kill(process_of(run), signal.SIGKILL)
            wait_for(lambda: status_of(run).get("resumed_records"), why="a new process")
            before = fills_in(run)
            wait_for(lambda: fills_in(run) >= before + fills, timeout_s=40, why="executions of the second")
    assert read_parent(run).kind == "live"
    return run
