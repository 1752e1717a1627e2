"""A run on an exchange over the wire: the simulated one, spoken to by the real connector, in processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from live_runs import REPO, Running, process_of, status_of, trading, wait_for, write_config

from actors.ports import OrderSnapshot
from domain.order_events import OrderTerms
from grinder.cli import main
from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.errors import ExitStatus
from grinder.live.clock import RealClock
from grinder.live.rebuild import rebuild
from grinder.secrets import Credentials

KEYS = {"GRINDER_BINANCE_KEY": "sim-key", "GRINDER_BINANCE_SECRET": "sim-secret"}


@attrs.frozen
class Exchange:
    """A running `grinder sim-exchange`."""

    line: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> dict[str, str]:
        return {name: self.line[name] for name in ("rest", "ws", "ws_private") if self.line.get(name)}


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    arguments = (
        "--protocol binance --generated --speed 60 --balance USDT=20000 --key sim-key --secret sim-secret"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *arguments.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    yield Exchange(orjson.loads(process.stdout.readline()), process)
    process.kill()
    process.communicate()


def started(exchange: Exchange, folder: Path, balance: str = "10000", **env: str) -> Running:
    config = write_config(
        folder / "grinder.yaml",
        account={"exchange": "binance", "balance": balance, "endpoint": exchange.endpoint},
        record={"tape": True},
    )
    secrets = {"GRINDER_SECRETS_FILE": str(folder / "none.json"), **KEYS, **env}
    return Running("run", "-c", str(config), "--out", "run", "--json", cwd=folder, env=secrets)


def on_exchange(exchange: Exchange, run: Path, foreign: bool = False) -> list[OrderSnapshot]:
    """What is open there; with `foreign`, after somebody else placed an order by hand."""

    async def main() -> list[OrderSnapshot]:
        connector = registry.find("binance").make(
            Endpoint(**exchange.endpoint), Credentials("sim-key", "sim-secret"), RealClock()
        )
        await connector.open()
        try:
            connector.list_instruments(rebuild(run / "ledger.db").core.state_of("account").instruments, {})
            if foreign:
                terms = OrderTerms(
                    client_order_id="f" * 32,
                    symbol="BTCUSDT",
                    side="buy",
                    order_type="limit",
                    time_in_force="gtc",
                    reduce_only=False,
                    price_ticks=500_000,
                    lots=1,
                )
                await connector.place([terms])
            return await connector.open_orders()
        finally:
            await connector.close()

    return asyncio.run(asyncio.wait_for(main(), 20))


def said(*arguments: str) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def test_a_run_on_an_exchange_survives_a_kill_adopts_its_orders_and_leaves_none(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(exchange, tmp_path) as running:
        before = trading(run, orders=10)
        assert before["mode"] == "local"
        assert Decimal(before["balances"]["USDT"]) < 20_000, "books open with the exchange's balance"
        os.kill(process_of(run), signal.SIGKILL)
        wait_for(lambda: status_of(run).get("resumed_records"), why="a new process")
        after = trading(run, orders=10)
        there = on_exchange(exchange, run, foreign=True)
        ours = [
            one
            for one in there
            if one.client_order_id.startswith(str(after["orders"][0]["client_order_id"])[:8])
        ]
        assert len({(one.side, one.price_ticks) for one in ours}) == len(ours), "one order a level"
        accepted = said("accept", str(run), "BTCUSDT")
        assert accepted["corrected"] == {}
        said("stop", str(run), "--cancel")
        code, out, err = running.ended()
    assert code == ExitStatus.DONE, err.decode()[-2000:]
    assert orjson.loads(out)["bots"][0]["restarts"] == 1
    assert [one.client_order_id for one in on_exchange(exchange, run)] == ["f" * 32], "not ours: left alone"
    assert said("replay", str(run))["identical"]


def test_orders_of_a_run_whose_processes_are_all_dead_are_cancelled_in_an_emergency_and_no_others(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(exchange, tmp_path) as running:
        trading(run, orders=10)
        child = process_of(run)
        os.kill(child, signal.SIGSTOP)  # or it would stop in order, as its supervisor is gone
        running.process.kill()
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{child}").exists(), why="the end of the run process")
    assert len(on_exchange(exchange, run, foreign=True)) > 10
    ended = subprocess.run(
        [sys.executable, "-m", "grinder.live.emergency", str(run)],
        cwd=REPO,
        env={**os.environ, **KEYS},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert [one.client_order_id for one in on_exchange(exchange, run)] == ["f" * 32]


def test_orders_that_are_to_be_kept_stay_on_the_exchange(exchange: Exchange, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started(exchange, tmp_path) as running:
        trading(run, orders=10)
        said("stop", str(run), "--keep-orders")
        code, _, err = running.ended()
    assert code == ExitStatus.DONE, err.decode()[-2000:]
    assert len(on_exchange(exchange, run)) >= 10


def test_capital_above_the_balance_is_refused_before_anything_is_opened(
    exchange: Exchange, tmp_path: Path
) -> None:
    with started(exchange, tmp_path, balance="20000.01") as running:
        code, _, err = running.ended()
    assert code == ExitStatus.USAGE
    assert b"exchange.capital_above_balance" in err


def test_a_key_the_exchange_does_not_know_is_refused_at_once(exchange: Exchange, tmp_path: Path) -> None:
    with started(exchange, tmp_path, GRINDER_BINANCE_KEY="somebody-elses") as running:
        code, _, err = running.ended()
    assert code == ExitStatus.USAGE
    assert b"exchange.key_refused" in err
    assert b"sim-secret" not in err
