"""A real run, watched as an operator's programs do: metrics, health, log, the end of everything it holds."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from live_runs import Running, process_of, status_of, trading, wait_for, write_config

from grinder.cli import main
from grinder.ledger.reading import connect, rows
from grinder.live.asking import ask
from grinder.live.rebuild import rebuild


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def paper(folder: Path, *extra: str, feed: str = "generated:7@60", **sections: Any) -> Running:
    config = write_config(folder / "grinder.yaml", **sections)
    return Running("paper", "-c", str(config), "--out", "run", "--feed", feed, "--json", *extra, cwd=folder)


def fetched(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def scraped(port: int) -> dict[str, float]:
    """Every series by its name and labels, without the prefix."""
    text = fetched(port, "/metrics")[1]
    found = re.findall(r"^grinder_(\S+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


FED = (
    'frames_total{stream="market"}',
    'frames_total{stream="private"}',
    "poll_latency_ms_count",
    'stage_latency_us_count{stage="ws_receive"}',
    'stage_latency_us_count{stage="parse_validate"}',
    'stage_latency_us_count{stage="feature_compute"}',
    'stage_latency_us_count{stage="policy_decision"}',
    'stage_latency_us_count{stage="risk_check"}',
    'stage_latency_us_count{stage="order_placement"}',
    'stage_latency_us_count{stage="total"}',
    "orders_accepted_total",
    'ws_connected{stream="market"}',
)


def test_metrics_and_health_of_a_real_run_are_fed_and_turn_with_it(tmp_path: Path) -> None:
    run, port = tmp_path / "run", free_port()
    with paper(tmp_path, observe={"metrics_port": port, "log_file": "grinder.log"}) as running:
        trading(run, orders=5)
        found = wait_for(lambda: (s := scraped(port)).get('grid_price{symbol="BTCUSDT"}') and s)
        assert [name for name in FED if not found.get(name)] == []
        for name in ("clock_drift_ms", "circuit_state", "kill_switch", "verify_failures_total"):
            assert name in found, name
        assert found["circuit_state"] == found["kill_switch"] == found["verify_failures_total"] == 0
        assert found['drift{subject="USDT"}'] == 0
        # Its own figure, of this machine's time; the other is of the market's, which passes faster here.
        assert (
            found['stage_latency_us_sum{stage="order_placement"}']
            < found['stage_latency_us_sum{stage="total"}']
        )
        assert fetched(port, "/healthz")[0] == 200
        status, body = wait_for(lambda: (a := fetched(port, "/readyz"))[0] == 200 and a, why="ready")
        checks = {one["name"] for one in orjson.loads(body)["checks"]}
        assert checks >= {
            "exchange_connection", "data_freshness", "position_sync", "risk_limits", "disk_space", "ledger",
        }  # fmt: skip
        ask(run, "/kill", {})
        assert scraped(port)["kill_switch"] == 1
        status, body = fetched(port, "/readyz")
        assert status == 503
        wrong = {one["name"] for one in orjson.loads(body)["checks"] if not one["healthy"]}
        assert wrong == {"risk_limits"}
        running.process.terminate()
        assert running.ended()[0] == 0
    assert_log_is_correlated(run)


def assert_log_is_correlated(run: Path) -> None:
    """Lines about what followed from an input carry its position in the ledger."""
    lines = [orjson.loads(line) for line in (run / "grinder.log").read_bytes().splitlines()]
    assert {line["event"] for line in lines} >= {"starting", "SHUTDOWN_COMPLETE"}
    causes: dict[str, int] = {}
    with closing(connect(run / "ledger.db")) as connection:
        for row in rows(connection):
            if row.cause == row.position:
                root = row.position
            if row.topic == "OrderSubmitted/1":
                causes[str(orjson.loads(row.state)["terms"]["client_order_id"])] = root
    intents = {
        line["order"]: line["correlation_id"]
        for line in lines
        if line["event"] == "intent" and line["topic"] == "OrderSubmitted/1"
    }
    assert len(intents) > 5
    assert intents.items() <= causes.items(), "each line names the input that led to the order"


def test_profit_is_shown_from_where_an_earlier_process_left_it(tmp_path: Path) -> None:
    run, port = tmp_path / "run", free_port()
    observe = {"observe": {"metrics_port": port}}
    with paper(tmp_path, feed="generated:7@600", **observe) as running:
        trading(run, orders=5)
        fees = wait_for(lambda: scraped(port).get('pnl_total{kind="fees"}'), why="a fill")
        os.kill(process_of(run), signal.SIGKILL)
        wait_for(lambda: status_of(run).get("resumed_records"), why="the second process")
        found = wait_for(lambda: scraped(port).get('pnl_total{kind="fees"}'), why="restored")
        assert found <= fees < 0
        running.process.terminate()
        assert running.ended()[0] == 0


def test_a_stop_that_flattens_leaves_no_inventory_and_no_orders(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with paper(tmp_path) as running:
        found = trading(run, orders=5)
        assert float(found["symbols"]["BTCUSDT"]["inventory"]) > 0
        ended = CliRunner().invoke(main, ["stop", str(run), "--flatten", "--json"])
        assert ended.exit_code == 0, ended.output
        code, out, err = running.ended(40)
    assert code == 0, err.decode()[-2000:]
    (bot,) = orjson.loads(out)["bots"]
    assert float(bot["symbols"]["BTCUSDT"]["position"]) == 0
    assert float(bot["identity_residual"]) == 0
    core = rebuild(run / "ledger.db").core
    working = [
        one
        for one in core.state_of("account").orders.values()
        if one.status.value in ("open", "pending", "unknown", "partially_filled")
    ]
    assert working == []
    assert core.state_of("portfolio").symbols["BTCUSDT"].inventory == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A disk of 64 MB that only this test writes to."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() != 0:
        pytest.skip("F48 NOT SHOWN: only root can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("F48 NOT SHOWN: this machine lets nobody mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_on_a_full_disk_no_new_order_leaves_cancels_work_and_it_resumes_by_itself(small_disk: Path) -> None:
    run, filler = small_disk / "run", small_disk / "filler"
    with paper(small_disk) as running:
        trading(run, orders=5)
        with filler.open("wb") as file:
            found = os.statvfs(small_disk)
            room = found.f_bavail * found.f_frsize - 14 * 1024 * 1024
            assert room > 0, "more to begin with"
            os.posix_fallocate(file.fileno(), 0, room)
        low = wait_for(lambda: (s := status_of(run)).get("disk_low") and s, why="the disk is found full")
        assert "disk_full" in low["pauses"]
        # Every byte that is left is taken: what was kept back for this moment has to do.
        with filler.open("ab") as file:
            found = os.statvfs(small_disk)
            more = max(0, found.f_bavail * found.f_frsize - 4 * 1024 * 1024)
            os.posix_fallocate(file.fileno(), room, max(more, 1))
        sent = submitted(run)
        ask(run, "/pause", {})
        ask(run, "/kill", {})
        wait_for(lambda: not status_of(run)["orders"], why="cancels are recorded and carried out")
        assert submitted(run) == sent, "no new order"
        filler.unlink()
        wait_for(lambda: not status_of(run)["disk_low"], why="room again")
        ask(run, "/reset", {})
        ask(run, "/resume", {})
        assert status_of(run)["pauses"] == []
        running.process.terminate()
        assert running.ended()[0] == 0
    ended = CliRunner().invoke(main, ["replay", str(run), "--json"])
    assert orjson.loads(ended.stdout)["identical"] is True


def submitted(run: Path) -> int:
    with closing(connect(run / "ledger.db")) as connection:
        return sum(row.topic == "OrderSubmitted/1" for row in rows(connection))
