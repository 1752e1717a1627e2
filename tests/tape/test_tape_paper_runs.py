"""Paper runs of real processes are proven from what they recorded, whatever market they were played on."""

from __future__ import annotations

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
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from live_runs import REPO, Running, process_of, status_of, trading, wait_for, write_config
from small_ledgers import trades_file

from grinder.cli import main
from grinder.ledger.reading import connect
from grinder.tape.layout import FOLDER, Frame, Header, segments
from grinder.tape.reader import Segment

RECORD = {"record": {"tape": True}}


def paper(folder: Path, feed: str, *extra: str, **sections: Any) -> Running:
    config = write_config(folder / "grinder.yaml", **RECORD, **sections)
    return Running("paper", "-c", str(config), "--out", "run", "--feed", feed, "--json", *extra, cwd=folder)


def proven(run: Path) -> dict[str, Any]:
    ended = CliRunner().invoke(main, ["replay", str(run), "--from-tape", "--json"])
    assert ended.exit_code == 0, (ended.stdout, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    assert found["identical"] is True
    return found


def ended_well(running: Running) -> None:
    code, _, err = running.ended(30)
    assert code == 0, err.decode()[-2000:]


def entries(run: Path) -> list[Any]:
    return [entry for path in segments(run / FOLDER) for entry in Segment(path).entries()]


def executions_and_prices(found: dict[str, Any]) -> None:
    """Everything of the market and every execution came out of frames; orders are confirmed by frames."""
    assert found["inputs_from_frames"] > 3
    assert found["orders_from_frames"] > 10
    assert found["uncovered"] == 0
    assert found["untaped"] == found["unrecorded"] == []
    alone = set(found["inputs_from_ledger"])
    assert not alone & {"TickReport", "ClockReport", "FillReport", "OrderAcceptedReport"}, alone


def test_a_paper_run_on_a_generated_market_is_proven_from_its_tape(tmp_path: Path) -> None:
    with paper(tmp_path, "generated:7@600") as running:
        trading(tmp_path / "run", orders=5)
        time.sleep(1.0)
        running.process.send_signal(signal.SIGINT)
        ended_well(running)
    found = proven(tmp_path / "run")
    executions_and_prices(found)
    header = entries(tmp_path / "run")[0]
    assert isinstance(header, Header)
    assert header.exchange == "simulated"


def test_a_paper_run_on_a_recording_is_proven_to_the_end_of_its_feed(tmp_path: Path) -> None:
    trades_file(tmp_path / "trades.csv", 4_000)
    with paper(tmp_path, f"tape:{tmp_path / 'trades.csv'}@2000", "--until-end") as running:
        ended_well(running)
    executions_and_prices(proven(tmp_path / "run"))


def test_the_run_the_demonstration_leaves_is_proven_from_its_tape(tmp_path: Path) -> None:
    with Running("demo", "--out", "demo", "--json", cwd=tmp_path) as running:
        ended_well(running)
    executions_and_prices(proven(tmp_path / "demo"))


@pytest.fixture(params=["binance", "kraken"])
def market(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A running `grinder sim-exchange`, as the section `account` that names it."""
    options = f"sim-exchange --protocol {request.param} --generated --speed 60 --balance USDT=20000"
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", *options.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = orjson.loads(process.stdout.readline())
    endpoint = {name: line[name] for name in ("rest", "ws", "ws_private") if line.get(name)}
    yield {"exchange": request.param, "balance": "10000", "endpoint": endpoint}
    process.kill()
    process.communicate()


def test_a_paper_run_on_an_exchange_s_prices_keeps_its_raw_frames_and_is_proven_from_them(
    market: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with paper(tmp_path, "exchange", account=market) as running:
        trading(run, orders=5)
        time.sleep(1.0)
        running.process.send_signal(signal.SIGINT)
        ended_well(running)
    found = proven(run)
    with closing(connect(run / "ledger.db")) as connection:
        (told,) = connection.execute(
            "SELECT count(*) FROM stored_events WHERE topic = 'TickReport/1'"
        ).fetchone()
    assert found["inputs_from_frames"] >= told > 0, "every price the core was told comes from a frame"
    assert found["orders_from_frames"] > 10
    kept = entries(run)
    assert kept[0].exchange == market["exchange"], "whose frames, and whose decoder reads them"
    streams = {entry.stream for entry in kept if isinstance(entry, Frame)}
    assert "simulated/private" in streams, "the paper exchange's private reports are frames as well"
    assert any(not one.startswith("simulated/") for one in streams), "the exchange's own market frames"
    raw = [one for one in kept if isinstance(one, Frame) and not one.stream.startswith("simulated/")]
    assert len(raw) > 20


def test_a_process_killed_as_soon_as_it_trades_leaves_whose_frames_it_heard_and_the_rest_is_proven(
    tmp_path: Path,
) -> None:
    """A kill costs at most the frames of the last second; that is told apart from a frame that is missing."""
    run = tmp_path / "run"
    with paper(tmp_path, "generated:7@300") as running:
        wait_for(lambda: status_of(run).get("phase") == "trading", why="the first process")
        os.kill(process_of(run), signal.SIGKILL)
        wait_for(lambda: status_of(run).get("resumed_records"), why="the second process")
        trading(run, orders=5)
        running.process.send_signal(signal.SIGINT)
        ended_well(running)
    found = proven(run)
    assert found["untaped"] == []
    sessions = {entry.session for entry in entries(run) if isinstance(entry, Header)}
    assert len(sessions) == 2, "the killed process left its header"
    assert found["uncovered"] <= 40
