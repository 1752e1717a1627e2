"""Start again, deploy and rebalance on a real process, a real exchange's protocol and a real kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from click.testing import CliRunner
from live_runs import REPO, SETTINGS, Running, process_of, status_of, trading, wait_for, write_config

from domain.inputs import StartGrid
from grinder.cli import main
from grinder.errors import ExitStatus
from grinder.live.rebuild import rebuild

KEYS = {"GRINDER_BINANCE_KEY": "sim-key", "GRINDER_BINANCE_SECRET": "sim-secret"}
SYMBOL = "BTCUSDT"


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
        "--protocol binance --generated --speed 20 --balance USDT=20000 --key sim-key --secret sim-secret"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *arguments.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    yield Exchange(orjson.loads(process.stdout.readline()), process)
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


def on_exchange(exchange: Exchange, folder: Path) -> Running:
    account = {"exchange": "binance", "balance": "10000", "endpoint": exchange.endpoint}
    config = write_config(folder / "grinder.yaml", account=account)
    secrets = {"GRINDER_SECRETS_FILE": str(folder / "none.json"), **KEYS}
    return Running("run", "-c", str(config), "--out", "run", "--json", cwd=folder, env=secrets)


def on_paper(folder: Path, config: Path, feed: str = "generated:7@60") -> Running:
    return Running("paper", "-c", str(config), "--out", "run", "--feed", feed, "--json", cwd=folder)


def give(*arguments: str, status: int = 0) -> dict[str, Any]:
    """A command's answer."""
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == status, ended.output
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def grid_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = status_of(run).get("symbols", {}).get(SYMBOL, {})
    return found


def runs_with(run: Path, levels: int) -> dict[str, Any]:
    """The run's status once its grid runs on so many levels, most of them with an order.

    Not all: where the price has fallen since, a level above it holds nothing to sell and waits.
    """

    def look() -> dict[str, Any]:
        found = status_of(run)
        grid = found.get("symbols", {}).get(SYMBOL, {})
        works = [one for one in found.get("orders", ()) if one["status"] == "open"]
        there = grid.get("status") == "running" and len(grid["levels"]) == levels
        return found if there and len(works) > levels // 2 else {}

    found: dict[str, Any] = wait_for(look, timeout_s=30, why=f"a grid on {levels} levels")
    return found


def records(run: Path, topic: str) -> list[dict[str, Any]]:
    from grinder.ledger.reading import connect

    connection = connect(run / "ledger.db")
    asked = "SELECT state FROM stored_events WHERE topic = ? ORDER BY rowid"
    found = [orjson.loads(row[0]) for row in connection.execute(asked, (topic,))]
    connection.close()
    return found


def assert_sound(run: Path) -> None:
    """Every id was asked for once, the ledger replays, and the profit adds up."""
    asked = [one["terms"]["client_order_id"] for one in records(run, "OrderRequested/1")]
    assert len(asked) == len(set(asked))
    assert give("replay", str(run))["identical"]
    from grinder.views.summary import summary

    assert summary(run).identity_residual == "0"


def test_a_grid_on_an_exchange_is_stopped_started_deployed_and_rebalanced(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with on_exchange(exchange, tmp_path) as running:
        runs_with(run, 16)
        from grinder.commands import control

        control.command(run, "stop-grid", symbol=SYMBOL, on_stop="cancel")
        wait_for(lambda: grid_of(run).get("status") == "stopped", why="the end of the grid")
        held = grid_of(run)["inventory"]
        assert give("start", str(run), SYMBOL)["status"] == "done"
        assert runs_with(run, 16)["symbols"][SYMBOL]["inventory"] == held != "0"

        plan = give("deploy", str(run), "--set", "grid_number=8", "--preview")["grids"][0]
        assert (len(plan["plan"]["levels"]), plan["changes"][0]["old"]) == (8, "16")
        assert grid_of(run)["status"] == "running" and records(run, "ConfigChanged/1") == []
        done = give("deploy", str(run), "--set", "grid_number=8")["grids"][0]
        assert done["changes"] == [{"setting": "grids.BTCUSDT.grid_number", "old": "16", "new": "8"}]
        now = runs_with(run, 8)
        assert now["symbols"][SYMBOL]["inventory"] == held

        before = {one["client_order_id"] for one in now["orders"]}
        assert give("rebalance", str(run), SYMBOL)["symbols"] == [SYMBOL]
        wait_for(lambda: records(run, "GridRebalanced/1"), why="the end of the rebalance")
        after = {one["client_order_id"] for one in runs_with(run, 8)["orders"]}
        assert not before & after
        refused = give("start", str(run), SYMBOL, status=ExitStatus.USAGE)
        assert refused["error"]["code"] == "grid.already_open"
        give("stop", str(run))
        code, _, err = running.ended(30)
    assert code == 0, err.decode()[-2000:]
    assert len(records(run, "GridConfigured/1")) == 3
    assert_sound(run)


def test_a_deployment_goes_on_after_a_kill_between_the_stop_and_the_start(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with on_exchange(exchange, tmp_path) as running:
        before = runs_with(run, 16)
        process = process_of(run)
        exchange.process.send_signal(signal.SIGSTOP)  # no cancel is confirmed any more
        done = give("deploy", str(run), "--set", "grid_number=10")["grids"][0]
        assert done["waits"]
        assert grid_of(run)["status"] == "stopping"
        os.kill(process, signal.SIGKILL)
        exchange.process.send_signal(signal.SIGCONT)
        now = runs_with(run, 10)
        assert process_of(run) != process and now["resumed_records"] > 0
        assert now["symbols"][SYMBOL]["inventory"] == before["symbols"][SYMBOL]["inventory"]
        old = {one["client_order_id"] for one in before["orders"]}
        assert not old & {one["client_order_id"] for one in now["orders"]}
        give("stop", str(run))
        code, _, err = running.ended(30)
    assert code == 0, err.decode()[-2000:]
    assert len(records(run, "DeploymentBegun/1")) == 1
    assert_sound(run)


def test_a_restart_goes_on_with_the_deployed_terms_and_says_what_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    (grid,) = SETTINGS["grids"]
    files = {
        count: write_config(tmp_path / f"{count}.yaml", grids=[{**grid, "grid_number": count}])
        for count in (16, 12, 20)
    }
    with on_paper(tmp_path, files[16]) as running:
        runs_with(run, 16)
        assert len(give("deploy", str(run), "-c", str(files[12]))["grids"]) == 1
        runs_with(run, 12)
        same = give("deploy", str(run), "-c", str(files[12]), status=ExitStatus.USAGE)
        assert same["error"]["code"] == "deploy.nothing_changes"
        give("stop", str(run))
        running.ended(30)
    for count, says in ((16, True), (12, False)):
        with on_paper(tmp_path, files[count]) as running:
            runs_with(run, 12)
            assert give("deploy", str(run), "--set", "grid_number=12", status=ExitStatus.USAGE)
            give("stop", str(run))
            code, _, err = running.ended(30)
        assert code == 0
        assert (b"goes on with what was deployed" in err) is says, err.decode()[-2000:]
        assert (b"grids.BTCUSDT.grid_number 12 (the file: 16)" in err) is says
    with on_paper(tmp_path, files[20]) as running:
        code, _, err = running.ended(30)
    assert code == ExitStatus.DAMAGED and b"ledger.other_terms" in err
    manifest = orjson.loads((run / "manifest.json").read_bytes())
    assert manifest["config"]["grids"][0]["grid_number"] == 16, "the manifest says how it began"
    assert_sound(run)


def test_what_is_killed_stays_down_until_the_reset(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with on_paper(tmp_path, write_config(tmp_path / "grinder.yaml")) as running:
        trading(run)
        give("kill", str(run), "--reason", "too hot")
        wait_for(lambda: grid_of(run).get("status") == "stopped", why="the end of the grid")
        blocked = give("start", str(run), SYMBOL)
        assert (blocked["status"], blocked["reason"]) == ("blocked", "PAUSE_HALTED")
        deploying = give("deploy", str(run), "--set", "grid_number=8")["grids"][0]
        assert (deploying["status"], deploying["reason"]) == ("blocked", "PAUSE_HALTED")
        give("reset", str(run))
        assert give("start", str(run), SYMBOL)["status"] == "done"
        runs_with(run, 16)
        give("stop", str(run))
        running.ended(30)
    (halt,) = records(run, "HaltTrading/1")
    assert halt["reason"] == "too hot" and halt["operator"]
    assert_sound(run)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (("grid_number=oops",), "config.wrong_type"),
        (("grid_numbr=8",), "config.unknown_key"),
        (("symbol=ETHUSDT",), "deploy.not_changeable"),
        (("lower_price=70000",), "config.bounds_order"),
        (("grid_number=200", "lower_price=60900", "upper_price=60910"), "config.step_below_tick"),
        (("grid_number=50", "lower_price=60900", "upper_price=60960"), "config.step_below_fees"),
        (("quote_investment=90000",), "config.capital_above_balance"),
        (("grid_number=16",), "deploy.nothing_changes"),
        ((), "usage.deploy"),
    ],
)
def test_terms_that_are_wrong_change_nothing(one_run: Path, settings: tuple[str, ...], code: str) -> None:
    before = len(records(one_run, StartGrid.TOPIC)), len(records(one_run, "DeployGrid/1"))
    arguments = [part for one in settings for part in ("--set", one)]
    refused = give("deploy", str(one_run), *arguments, status=ExitStatus.USAGE)
    assert refused["error"]["code"] == code, refused
    assert before == (len(records(one_run, StartGrid.TOPIC)), len(records(one_run, "DeployGrid/1")))
    assert grid_of(one_run)["status"] == "running"


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A paper run that nothing of these tests changes."""
    folder = tmp_path_factory.mktemp("deploying")
    with on_paper(folder, write_config(folder / "grinder.yaml")):
        runs_with(folder / "run", 16)
        yield folder / "run"


def test_a_rebuilt_core_is_the_one_that_was_deployed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with on_paper(tmp_path, write_config(tmp_path / "grinder.yaml")) as running:
        runs_with(run, 16)
        give("deploy", str(run), "--set", "grid_number=6", "--symbol", SYMBOL)
        runs_with(run, 6)
        give("stop", str(run))
        running.ended(30)
    rebuilt = rebuild(run / "ledger.db")
    assert len(rebuilt.core.state_of(f"symbol/{SYMBOL}").levels) == 6
    for at, count in ((20, 16), (rebuilt.records, 6)):
        out = tmp_path / f"fork{at}"
        give("fork", str(run), "--at", str(at), "--out", str(out))
        manifest = orjson.loads((out / "manifest.json").read_bytes())
        assert manifest["config"]["grids"][0]["grid_number"] == count, "the terms that held there"
