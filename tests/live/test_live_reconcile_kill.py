"""A crash is an ordinary stop: a process killed while it reconciles leaves the exchange as it was, and so
does the one that comes after it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from live_runs import REPO, SETTINGS, Running, process_of, status_of, trading, wait_for, write_config

from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.ledger.reading import connect, plain_rows, rows
from grinder.live.clock import RealClock
from grinder.live.rebuild import rebuild
from grinder.secrets import Credentials
from replay.replayer import replay

KEYS = {"GRINDER_BINANCE_KEY": "sim-key", "GRINDER_BINANCE_SECRET": "sim-secret"}


@pytest.fixture
def endpoint() -> Iterator[dict[str, str]]:
    """A running exchange whose market stays far from our orders: what changes there, somebody asked for."""
    options = (
        "--protocol binance --generated --speed 1 --balance USDT=20000 --key sim-key --secret sim-secret"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *options.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = orjson.loads(process.stdout.readline())
    yield {name: line[name] for name in ("rest", "ws", "ws_private")}
    process.kill()
    process.communicate()


def on_exchange(endpoint: dict[str, str], run: Path) -> dict[str, Any]:
    """Every open order there, by its id, and the balances."""

    async def main() -> dict[str, Any]:
        connector = registry.find("binance").make(
            Endpoint(**endpoint), Credentials("sim-key", "sim-secret"), RealClock()
        )
        await connector.open()
        try:
            connector.list_instruments(rebuild(run / "ledger.db").core.state_of("account").instruments, {})
            orders = {one.exchange_order_id: one for one in await connector.open_orders()}
            return {"orders": orders, "balances": await connector.balances()}
        finally:
            await connector.close()

    return asyncio.run(asyncio.wait_for(main(), 20))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPO), **KEYS}


def killed_while_it_reconciles(run: Path, after_s: float) -> str:
    """Start the run's process, kill it so long after it began to reconcile; the last step it had begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder.live.process", str(run), "--verbose"],
        cwd=run.parent,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    step = ""
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if b'"starting"' in line:
                step = str(orjson.loads(line)["step"])
            if step == "reconcile":
                break
        time.sleep(after_s)
    finally:
        process.kill()
        rest = process.communicate()[1]
    return "trade" if b'"trade"' in rest else step


def test_a_kill_during_reconciliation_changes_nothing_and_the_second_run_changes_nothing(
    endpoint: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    wide = {**SETTINGS["grids"][0], "lower_price": "40000", "upper_price": "90000"}
    config = write_config(
        tmp_path / "grinder.yaml",
        account={"exchange": "binance", "balance": "10000", "endpoint": endpoint},
        grids=[wide],
    )
    secrets = {"GRINDER_SECRETS_FILE": str(tmp_path / "none.json"), **KEYS}
    arguments = ("run", "-c", str(config), "--out", "run", "--json")
    with Running(*arguments, cwd=tmp_path, env=secrets) as running:
        trading(run, orders=10)
        time.sleep(0.5)
        child = process_of(run)
        os.kill(child, signal.SIGSTOP)  # or it would stop in order, as its supervisor is gone
        running.process.kill()
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{child}").exists(), why="the end of the run process")
    before = on_exchange(endpoint, run)
    assert len(before["orders"]) >= 10
    ends = []
    for after_s in (0.0, 0.004, 0.012):
        ends.append(killed_while_it_reconciles(run, after_s))
        assert on_exchange(endpoint, run) == before
    assert ends.count("reconcile") >= 2, ends
    with Running(*arguments, cwd=tmp_path, env=secrets) as running:
        wait_for(lambda: status_of(run).get("phase") == "trading", why="the second run")
        time.sleep(1.0)
        assert on_exchange(endpoint, run) == before, "it adopted what is there and sent nothing"
        running.process.terminate()
        assert running.ended()[0] == 0
    with closing(connect(run / "ledger.db")) as connection:
        assert replay(plain_rows(connection)).identical
        topics = [row.topic for row in rows(connection)]
    ready = len(topics) - topics[::-1].index("ReconciliationReport/1")
    assert "OrderSubmitted/1" not in topics[ready:]
