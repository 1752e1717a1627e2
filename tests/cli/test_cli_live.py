"""Live runs as they are used: real processes, killed, stopped, spoken to, and replayed afterwards."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from small_ledgers import trades_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from live_runs import Running, process_of, status_of, trading, wait_for, write_config

from grinder.cli import main
from grinder.errors import ExitStatus
from grinder.ledger.reading import connect, rows

FEED = "generated:7@300"


def said(*arguments: str, status: int = 0) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == status, (ended.output, ended.exception)
    found = orjson.loads(ended.stdout)
    assert isinstance(found, dict)
    return found


def held(run: Path) -> list[Any]:
    with closing(connect(run / "ledger.db")) as connection:
        return list(rows(connection))


def topic_at(run: Path, position: int) -> str:
    return str(held(run)[position - 1].topic)


def paper(folder: Path, *extra: str, feed: str = FEED, name: str = "run") -> Running:
    config = folder / "grinder.yaml"
    if not config.exists():
        write_config(config)
    return Running("paper", "-c", str(config), "--out", name, "--feed", feed, "--json", *extra, cwd=folder)


def ended_well(running: Running, status: int = 0) -> dict[str, Any]:
    code, out, err = running.ended()
    assert code == status, err.decode()[-2000:]
    found: dict[str, Any] = orjson.loads(out)
    return found


def test_every_command_reaches_the_ledger_before_it_is_acknowledged_and_the_stop_leaves_no_order(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with paper(tmp_path) as running:
        found = trading(run)
        assert found["symbols"]["BTCUSDT"]["status"] == "running"
        for command, topic in (
            ("pause", "PauseTrading/1"),
            ("resume", "ResumeTrading/1"),
            ("kill", "HaltTrading/1"),
            ("reset", "ResetHalt/1"),
        ):
            position = said(command, str(run))["position"]
            assert topic_at(run, position) == topic
            if command == "pause":
                assert said("status", str(run))["pauses"] == ["operator"]
            if command == "kill":
                assert said("status", str(run))["halted"] == "operator"
        shown = said("status", str(run))
        assert Decimal(shown["pnl"]["identity_residual"]) == 0
        assert shown["restarts"] == 0
        assert not (run / "control.sock").stat().st_mode & 0o077
        assert not (run / "control.json").stat().st_mode & 0o077
        refused = said("pause", str(run), "--symbol", "ETHUSDT", status=2)
        assert refused["error"]["code"] == "control.symbol"
        position = said("stop", str(run), "--cancel")["position"]
        result = ended_well(running)
    assert topic_at(run, position) == "PauseTrading/1"
    assert result["bots"][0]["restarts"] == 0
    assert Decimal(result["bots"][0]["identity_residual"]) == 0
    last = held(run)[-1]
    assert (last.topic, orjson.loads(last.state)["phase"]) == ("RunReport/1", "stopped")
    assert not (run / "control.json").exists()
    assert not (run / "ledger.db-wal").exists() or not (run / "ledger.db-wal").stat().st_size
    assert said("replay", str(run))["identical"]
    refused = said("pause", str(run), status=5)
    assert refused["error"]["code"] == "control.not_running"


def test_a_run_that_is_killed_starts_again_by_replay_with_its_orders_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with paper(tmp_path) as running:
        before = trading(run, orders=10)
        acknowledged = said("pause", str(run), "--symbol", "BTCUSDT")["position"]
        first = process_of(run)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: status_of(run).get("resumed_records"), why="a new process")
        after = trading(run, orders=10)
        assert process_of(run) != first
        assert after["resumed_records"] >= acknowledged
        assert after["symbols"]["BTCUSDT"]["pauses"] == ["operator"], "a pause survives"
        ids = {one["client_order_id"] for one in before["orders"]}
        assert len(ids & {one["client_order_id"] for one in after["orders"]}) >= len(ids) - 2
        assert said("status", str(run))["restarts"] == 1
        running.process.send_signal(signal.SIGINT)
        assert ended_well(running)["bots"][0]["restarts"] == 1
    assert said("replay", str(run))["identical"]
    phases = [orjson.loads(row.state)["phase"] for row in held(run) if row.topic == "RunReport/1"]
    assert phases == ["started", "ready", "started", "ready", "stopping", "stopped"]


def test_a_second_instance_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with paper(tmp_path) as running:
        trading(run)
        with paper(tmp_path) as second:
            code, _, err = second.ended()
        assert code == ExitStatus.ENVIRONMENT
        assert b"ledger.locked" in err
        assert status_of(run)["phase"] == "trading"
        running.process.send_signal(signal.SIGTERM)
        ended_well(running)


def test_the_run_ends_in_order_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with paper(tmp_path) as running:
        trading(run)
        child = process_of(run)
        running.process.kill()
        wait_for(lambda: not Path(f"/proc/{child}").exists() or not status_of(run), why="the run's end")
        wait_for(lambda: held(run)[-1].topic == "RunReport/1", why="the last record")
    assert orjson.loads(held(run)[-1].state)["phase"] == "stopped"


def test_a_second_signal_does_not_wait_for_orders(tmp_path: Path) -> None:
    """The first asks for a graceful stop, the second skips what is still to be waited for."""
    run = tmp_path / "run"
    write_config(tmp_path / "grinder.yaml", fills={"order_latency_ms": 3_600_000})
    with paper(tmp_path, feed="generated:7@1000") as running:
        wait_for(lambda: status_of(run).get("phase") in ("starting", "trading"), why="a process")
        began = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGINT)
        code, _, err = running.ended(15)
        assert time.monotonic() - began < 12
        assert code in (ExitStatus.DONE, ExitStatus.ORDERS_LEFT), err.decode()[-2000:]


def test_a_paper_run_ends_with_its_feed_and_the_same_command_does_not_repeat_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trades_file(tmp_path / "trades.csv", 4_000)
    feed = f"tape:{tmp_path / 'trades.csv'}@2000"
    with paper(tmp_path, "--until-end", feed=feed) as running:
        first = ended_well(running)["bots"][0]
    assert first["fills"] > 0
    records = len(held(run))
    with paper(tmp_path, "--until-end", feed=feed) as running:
        second = ended_well(running)["bots"][0]
    assert second["fills"] == first["fills"]
    assert len(held(run)) > records
    assert said("replay", str(run))["identical"]


def test_another_configuration_on_the_folder_is_refused_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with paper(tmp_path, "--until-end", feed="generated:7@100000") as running:
        ended_well(running)
    before = (run / "manifest.json").read_bytes(), len(held(run))
    write_config(tmp_path / "grinder.yaml", account={"balance": "9000"})
    with paper(tmp_path, "--until-end") as running:
        code, _, err = running.ended()
    assert code == ExitStatus.DAMAGED
    assert b"ledger.other_run" in err
    assert before == ((run / "manifest.json").read_bytes(), len(held(run)))


def test_two_bots_run_beside_each_other_and_one_that_dies_leaves_the_other(tmp_path: Path) -> None:
    one, two = (write_config(tmp_path / f"{name}.yaml") for name in ("one", "two"))
    arguments = ("--bot", f"one={one}", "--bot", f"two={two}", "--out", "bots", "--feed", FEED, "--json")
    with Running("paper", *arguments, cwd=tmp_path) as running:
        folders = [tmp_path / "bots" / name for name in ("one", "two")]
        for folder in folders:
            trading(folder)
        survivor = process_of(folders[1])
        os.kill(process_of(folders[0]), signal.SIGKILL)
        wait_for(lambda: status_of(folders[0]).get("resumed_records"), why="a new process of the first")
        assert process_of(folders[1]) == survivor
        running.process.send_signal(signal.SIGINT)
        found = ended_well(running)
    assert [(bot["name"], bot["status"]) for bot in found["bots"]] == [("one", 0), ("two", 0)]
    assert [bot["restarts"] for bot in found["bots"]] == [1, 0]


REFUSED = {
    "no feed for the simulated exchange": (("paper", "--feed", "exchange"), {}, "exchange.no_market"),
    "a feed that is none": (("paper", "--feed", "tape"), {}, "usage.feed"),
    "a recording that is not there": (("paper", "--feed", "tape:nowhere@2"), {}, "usage.feed"),
    "a run on the simulated exchange": (("run",), {}, "exchange.simulated"),
    "live without saying so twice": (
        ("run", "--live"),
        {"account": {"balance": "1", "exchange": "kraken"}},
        "usage.understand",
    ),
    "live and a test network": (
        ("run", "--live", "--testnet"),
        {"account": {"balance": "1", "exchange": "kraken"}},
        "usage.mode",
    ),
    "neither live nor a test network": (
        ("run",),
        {"account": {"balance": "1", "exchange": "binance"}},
        "exchange.mode",
    ),
    "an address on this machine with a test network": (
        ("run", "--testnet"),
        {
            "account": {
                "balance": "1",
                "exchange": "binance",
                "endpoint": {"rest": "http://127.0.0.1:9", "ws": "ws://127.0.0.1:9"},
            }
        },
        "exchange.endpoint",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_said_clearly_is_refused_before_anything_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command, *options), sections, code = REFUSED[name]
    config = write_config(tmp_path / "grinder.yaml", **sections)
    monkeypatch.setenv("GRINDER_SECRETS_FILE", str(tmp_path / "none.json"))
    out = tmp_path / "run"
    found = said(command, "-c", str(config), "--out", str(out), *options, status=2)
    assert found["error"]["code"] == code
    assert not out.exists()
