"""Two processes of one run on a simulated exchange: whatever happens to the one that trades, one goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from exchange_runs import LONGEST_S, OnExchange, exchange
from fault_runs import played, records_of
from live_runs import Running, process_of, status_of, wait_for

from domain.notes import FailoverReport, HandOver
from grinder.cli import main
from grinder.errors import ExitStatus
from grinder.run_folder import RunFolder
from grinder.standby import waiting
from grinder.standby.beats import STANDBY, read_beat
from grinder.standby.lease import STOPPED, read_lease
from grinder.standby.processes import is_alive
from replay.replayer import replay

ORDERS = 10

STEPS = ["lease", "cancel", "sync", "activate", "alert"]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[OnExchange]:
    with exchange("binance", tmp_path) as found:
        yield found


@contextmanager
def standing_by(on: OnExchange, *options: str) -> Iterator[Running]:
    """A standby that follows the run."""
    with Running("standby", "run", *options, "--json", cwd=on.folder, env=on.env) as running:
        wait_for(lambda: follows(on, "standby"), timeout_s=LONGEST_S, why="a standby")
        yield running


def follows(on: OnExchange, node: str) -> bool:
    lease = status_of(on.run).get("lease") or {}
    return any(one["node"] == node and one["behind"] == 0 for one in lease.get("standbys", ()))


def holder(on: OnExchange) -> str:
    """The node that trades."""
    found = status_of(on.run)
    return str((found.get("lease") or {}).get("node", "")) if found.get("phase") == "trading" else ""


def taken_over(on: OnExchange, node: str) -> None:
    wait_for(lambda: holder(on) == node, timeout_s=LONGEST_S, why=f"{node} to trade")
    on.trading(ORDERS)


def told(on: OnExchange, topic: str) -> list[dict[str, Any]]:
    return [orjson.loads(row.state) for row in records_of(on.run / "ledger.db") if row.topic == topic]


def steps(on: OnExchange, epoch: int) -> list[str]:
    return [one["step"] for one in told(on, FailoverReport.TOPIC) if one["epoch"] == epoch]


def said(*arguments: str) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def one_order_a_level(on: OnExchange) -> bool:
    """The exchange holds what the books hold, and nothing twice."""
    there = on.open_orders()
    known = {one["client_order_id"] for one in status_of(on.run)["orders"]}
    places = [(one.side, one.price_ticks) for one in there]
    return {one.client_order_id for one in there} == known and len(set(places)) == len(places)


def ends_in_order(on: OnExchange, *runnings: Running) -> None:
    """Stop the run: every process of it ends, nothing is left there, and the ledger replays."""
    assert "position" in said("stop", str(on.run))
    for running in runnings:
        code, _, err = running.ended(LONGEST_S)
        assert code == ExitStatus.DONE, err.decode()[-3000:]
    assert on.open_orders() == []
    assert replay(records_of(on.run / "ledger.db")).identical


def test_an_operator_hands_the_run_over_to_and_fro_and_each_step_is_in_the_ledger(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        assert said("failover", str(on.run))["error"]["code"] == "failover.no_standby"
        with standing_by(on) as second:
            mine, its = read_beat(on.run, "main"), read_beat(on.run, "standby")
            assert mine is not None and its is not None and its.role == STANDBY
            chains = {row.position: row.chain.hex() for row in records_of(on.run / "ledger.db")}
            assert mine.chain == chains[mine.position] and its.chain == chains[its.position]
            found = said("failover", str(on.run))
            assert found["node"] == "standby"
            taken_over(on, "standby")
            assert steps(on, epoch=2) == STEPS
            assert told(on, HandOver.TOPIC) == [{"node": "standby", "operator": found_operator(on)}]
            assert one_order_a_level(on)
            wait_for(lambda: follows(on, "main"), timeout_s=LONGEST_S, why="the first to stand by")
            assert said("failover", str(on.run))["node"] == "main"
            taken_over(on, "main")
            assert steps(on, epoch=3) == STEPS
            assert one_order_a_level(on)
            wait_for(lambda: follows(on, "standby"), timeout_s=LONGEST_S, why="the second to stand by")
            ends_in_order(on, first, second)


def found_operator(on: OnExchange) -> str:
    from grinder.live.control import who

    return who()


def test_a_process_that_hangs_is_killed_and_its_orders_are_placed_anew_by_the_standby(
    on: OnExchange,
) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            lease = read_lease(on.run)
            assert lease is not None
            before = set(on.ids())
            os.kill(first.process.pid, signal.SIGSTOP)  # or its supervisor would be sooner one day
            os.kill(process_of(on.run), signal.SIGSTOP)
            taken_over(on, "standby")
            assert not is_alive(lease.process)
            (reason,) = [one["reason"] for one in told(on, FailoverReport.TOPIC) if one["step"] == "lease"]
            assert reason.startswith("no heartbeat of main for 5.")
            assert steps(on, epoch=2) == STEPS
            assert not before & set(on.ids()), "orders of the process before are gone"
            assert one_order_a_level(on)
            os.kill(first.process.pid, signal.SIGCONT)
            wait_for(lambda: follows(on, "main"), timeout_s=LONGEST_S, why="the first to stand by")
            assert first.process.poll() is None
            ends_in_order(on, first, second)


def test_a_run_whose_processes_all_died_goes_on_in_the_standby(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            on.kill(first)
            taken_over(on, "standby")
            assert steps(on, epoch=2) == STEPS
            assert one_order_a_level(on)
            with on.started() as again:
                wait_for(lambda: follows(on, "main"), timeout_s=LONGEST_S, why="the first to stand by")
                assert holder(on) == "standby", "nobody goes back by himself"
                ends_in_order(on, again, second)


def test_a_standby_that_is_behind_reads_to_the_head_before_it_trades(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            beat = read_beat(on.run, "standby")
            assert beat is not None
            for process in (second.process.pid, beat.process.number):
                os.kill(process, signal.SIGSTOP)
            for _ in range(20):
                said("pause", str(on.run))
                said("resume", str(on.run))
            on.kill(first)
            stored = len(records_of(on.run / "ledger.db"))
            assert stored >= beat.position + 20
            for process in (beat.process.number, second.process.pid):
                os.kill(process, signal.SIGCONT)
            taken_over(on, "standby")
            rows = records_of(on.run / "ledger.db")
            assert rows[stored].topic == "RunReport/1", "it goes on after the last record"
            assert steps(on, epoch=2) == STEPS
            ends_in_order(on, second)


def test_a_standby_that_trades_and_dies_is_started_again_and_goes_on(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            assert said("failover", str(on.run))["node"] == "standby"
            taken_over(on, "standby")
            wait_for(lambda: follows(on, "main"), timeout_s=LONGEST_S, why="the first to stand by")
            os.kill(process_of(on.run), signal.SIGKILL)
            before = read_lease(on.run)
            assert before is not None
            wait_for(lambda: (read_lease(on.run) or before).epoch > before.epoch, LONGEST_S, "a new holder")
            after = read_lease(on.run)
            assert after is not None and after.node == "standby", "its own supervisor is sooner"
            taken_over(on, "standby")
            assert one_order_a_level(on)
            wait_for(lambda: follows(on, "main"), timeout_s=LONGEST_S, why="the first to stand by")
            second.process.kill()
            os.kill(process_of(on.run), signal.SIGKILL)
            taken_over(on, "main")
            assert one_order_a_level(on)
            ends_in_order(on, first)


def test_a_run_that_is_stopped_while_its_process_is_down_is_not_taken_over(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            os.kill(process_of(on.run), signal.SIGKILL)
            first.process.send_signal(signal.SIGINT)
            code, _, err = first.ended(LONGEST_S)
            assert code in (ExitStatus.DONE, ExitStatus.ORDERS_LEFT), err.decode()[-3000:]
            code, _, err = second.ended(LONGEST_S)
            assert code == ExitStatus.DONE, err.decode()[-3000:]
            lease = read_lease(on.run)
            assert lease is not None and (lease.node, lease.ended) == ("main", STOPPED)
            assert on.open_orders() == [], "cancelled by its supervisor"
            assert told(on, FailoverReport.TOPIC) == []


def test_a_run_whose_supervisor_died_is_handed_over(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            first.process.kill()
            taken_over(on, "standby")
            (reason,) = [one["reason"] for one in told(on, FailoverReport.TOPIC) if one["step"] == "lease"]
            assert reason == "handed over by main"
            ends_in_order(on, second)


def test_a_process_that_cannot_be_killed_and_wakes_up_sends_nothing_and_stands_down(
    on: OnExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_end_for_good", lambda process: None)  # as if it were another user's
    with on.started() as first:
        on.trading(ORDERS)
        child = process_of(on.run)
        before, position = set(on.ids()), status_of(on.run)["durable_position"]
        os.kill(child, signal.SIGSTOP)
        os.kill(first.process.pid, signal.SIGSTOP)
        awake: list[float] = []

        def wake_up() -> None:
            """Once the lease has been taken, let it go on."""
            wait_for(lambda: (found := read_lease(on.run)) and found.epoch == 2, LONGEST_S, "the lease")
            time.sleep(1.0)
            awake.append(time.monotonic())
            os.kill(child, signal.SIGCONT)

        thread = threading.Thread(target=wake_up)
        thread.start()
        taken = waiting.take_or_stand_by(RunFolder(on.run), "standby", waiting.Asked(standby=True))
        try:
            thread.join()
            assert awake, "its lock was ours only after it had woken up and ended"
            assert set(on.ids()) == before, "not one order placed, not one cancelled"
            stored = records_of(on.run / "ledger.db")
            late = [row.topic for row in stored if row.position > position]
            assert not [one for one in late if one in ("OrderSubmitted/1", "CancelSubmitted/1")]
            assert taken.rebuilt is not None and taken.rebuilt.records == len(stored), "read to the head"
        finally:
            taken.lock.__exit__(None, None, None)
            first.process.kill()


def test_the_end_of_a_standby_is_no_end_of_the_run(on: OnExchange) -> None:
    with on.started() as first:
        on.trading(ORDERS)
        with standing_by(on) as second:
            second.process.send_signal(signal.SIGINT)
            code, _, err = second.ended(LONGEST_S)
            assert code == ExitStatus.DONE, err.decode()[-2000:]
        assert holder(on) == "main"
        assert len(on.open_orders()) >= ORDERS
        ends_in_order(on, first)


def test_what_cannot_be_taken_over_has_no_standby(tmp_path: Path) -> None:
    run = tmp_path / "paper"
    played(run)
    assert said("standby", str(run))["error"]["code"] == "standby.paper"
    assert said("standby", str(tmp_path / "none"))["error"]["code"] == "ledger.missing"
