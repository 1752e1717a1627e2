"""A process that lost its lease sends nothing more, not even a cancel, and leaves the run as it is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from fault_runs import paper_spec, played, records_of
from live_runs import wait_for
from session_rig import Rig, play

from domain.notes import RunReport
from domain.orders import ENDED
from domain.record import Record
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.ledger.recorder import LedgerRecorder
from grinder.live import process
from grinder.live.rebuild import Diverged, rebuild
from grinder.live.run import LiveRun
from grinder.observation.health import DataFreshness
from grinder.run_folder import RunFolder
from grinder.standby.beats import read_beat
from grinder.standby.lease import GAVE_UP, STOPPED, LeaseLost, read_lease, take
from grinder.standby.tenure import Tenure
from grinder.standby.waiting import Asked
from replay.compare import Divergence


def phases(path: Path) -> list[str]:
    found = [row for row in records_of(path / "ledger.db") if row.topic == RunReport.TOPIC]
    return [orjson.loads(row.state)["phase"] for row in found]


def test_a_run_whose_lease_is_taken_ends_at_once_and_cancels_nothing(tmp_path: Path) -> None:
    taken: list[int] = []

    def robbed(run: LiveRun) -> None:
        run.tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
        submit = run.submit

        def submitting(intent: Record, now_ns: int) -> None:
            submit(intent, now_ns)
            if not taken and len(run.books().orders) > 10:
                taken.append(run.core.position)
                take(tmp_path, read_lease(tmp_path), "standby")

        run.submit = submitting  # type: ignore[method-assign]

    assert played(tmp_path, robbed) is ExitStatus.STOOD_DOWN
    assert taken
    assert phases(tmp_path) == ["started", "ready"], "no stop: nothing was put in order"
    after = [row.topic for row in records_of(tmp_path / "ledger.db") if row.position > taken[0]]
    assert "CancelSubmitted/1" not in after and "TakeCheckpoint/1" not in after
    books = rebuild(tmp_path / "ledger.db").core.state_of("account")
    assert [one for one in books.orders.values() if one.status not in ENDED], "its orders are the other's now"
    lease = read_lease(tmp_path)
    assert lease is not None
    assert (lease.node, lease.epoch, lease.ended) == ("standby", 2, ""), "the other's lease is untouched"


def test_a_run_that_ends_in_order_says_so_and_a_failed_start_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leased(run: LiveRun) -> None:
        run.tenure = Tenure(run.folder.path, take(run.folder.path, read_lease(run.folder.path), "main"))

    async def refuse(*_: object) -> None:
        raise OSError("the exchange is away")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="away"):
        patched.setattr("grinder.live.session.LiveSession.reconcile", refuse)
        played(tmp_path, leased)
    failed = read_lease(tmp_path)
    assert failed is not None and failed.ended == "", (
        "its supervisor starts it again, or a standby takes over"
    )
    assert played(tmp_path, leased) is ExitStatus.DONE
    ended = read_lease(tmp_path)
    assert ended is not None and (ended.ended, ended.epoch) == (STOPPED, 2)


def test_a_run_whose_ledger_cannot_be_written_is_nobody_elses_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = LedgerRecorder.append_rows

    def failing(self: LedgerRecorder, rows: Any, epoch: int) -> None:
        if any(row.topic == "TickReport/1" for row in rows):
            raise sqlite3.OperationalError("disk I/O error")
        append(self, rows, epoch)

    def leased(run: LiveRun) -> None:
        run.tenure = Tenure(tmp_path, take(tmp_path, None, "main"))

    with monkeypatch.context() as patched:
        patched.setattr(LedgerRecorder, "append_rows", failing)
        assert played(tmp_path, leased) is ExitStatus.NOT_STORED
    lease = read_lease(tmp_path)
    assert lease is not None and lease.ended == GAVE_UP, "its supervisor cancels; no standby goes on with it"


def test_heartbeats_tell_of_health_checks_that_fail_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, bool]] = []
    rounds = 0

    async def sometimes(self: DataFreshness) -> str:
        nonlocal rounds
        rounds += 1
        return "too old" if rounds > 3 else ""

    def watched(run: LiveRun) -> None:
        tenure = run.tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
        beat = tenure.beat

        def beating(*given: Any) -> None:
            beat(*given)
            seen = read_beat(tmp_path, "main")
            assert seen is not None
            told.append((seen.failed_rounds, seen.was_well))

        tenure.beat = beating  # type: ignore[method-assign]

    monkeypatch.setattr(DataFreshness, "fault", sometimes)
    monkeypatch.setattr("grinder.live.watching.EVERY_S", 0.001)  # of our time: the market is played fast
    played(tmp_path, watched)
    failed = [one for one, _ in told]
    assert failed[0] == 0 and max(failed) >= 3
    assert failed == sorted(failed), "one round after the other"
    assert told[-1][1], "it was well before"


def test_a_run_asks_its_lease_before_each_order(tmp_path: Path) -> None:
    sent: list[bool] = []
    lost: list[bool] = []

    def robbed(run: LiveRun) -> None:
        tenure = run.tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
        run.account.connect = watched(run.account.connect)  # type: ignore[method-assign]
        holds = tenure.holds

        def holding() -> bool:
            if len(run.books().orders) > 10:
                lost.append(True)
            return holds() and not (lost and run.phase == "trading")

        tenure.holds = holding  # type: ignore[method-assign]

    def watched(connect: Any) -> Any:
        def connecting(*given: Any) -> Any:
            connector = connect(*given)
            place = connector.place

            async def placing(orders: Any) -> Any:
                sent.append(bool(lost))
                return await place(orders)

            connector.place = placing
            return connector

        return connecting

    played(tmp_path, robbed)
    assert lost and sent, "it traded, and then it was not its turn any more"
    assert not any(sent), "no order left after that"


LEFT = {
    ExitStatus.DONE: "",
    ExitStatus.STOOD_DOWN: "",
    ExitStatus.DIVERGED: "",  # a standby with the program that wrote the ledger may go on
    ExitStatus.DAMAGED: GAVE_UP,
}


@pytest.mark.parametrize("ends", LEFT)
def test_the_lease_is_kept_while_the_ledger_is_read_and_given_up_where_nobody_is_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: ExitStatus
) -> None:
    monkeypatch.setattr("grinder.standby.tenure.EVERY_S", 0.01)
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    first = read_beat(tmp_path, "main")

    def reading(*_: object, **__: object) -> ExitStatus:
        wait_for(lambda: read_beat(tmp_path, "main") != first, why="a heartbeat meanwhile")
        if ends is ExitStatus.STOOD_DOWN:
            raise LeaseLost(None)
        if ends is ExitStatus.DIVERGED:
            raise Diverged(Divergence(1, "account", "state", "a", "b", 1), tmp_path / "ledger.db")
        if ends is ExitStatus.DAMAGED:
            raise LedgerError("ledger.damaged", "a record is not whole")
        return ends

    monkeypatch.setattr(process, "_traded", reading)
    spec = paper_spec()
    if ends in (ExitStatus.DIVERGED, ExitStatus.DAMAGED):
        with pytest.raises(UserError):
            process._held(RunFolder(tmp_path), spec, tenure, Asked(), None)
    else:
        assert process._held(RunFolder(tmp_path), spec, tenure, Asked(), None) is ends
    lease = read_lease(tmp_path)
    assert lease is not None
    assert lease.ended == LEFT[ends]
    last = read_beat(tmp_path, "main")
    time.sleep(0.1)
    assert read_beat(tmp_path, "main") == last, "no thread is left behind"


def test_a_run_that_was_being_stopped_is_stopped_by_who_takes_it_over(tmp_path: Path) -> None:
    def taking_over(run: LiveRun) -> None:
        lease = take(tmp_path, read_lease(tmp_path), "standby", "no heartbeat")
        run.tenure = Tenure(tmp_path, lease, "no heartbeat", finish=True)

    assert played(tmp_path, taking_over) is ExitStatus.DONE
    topics = [row.topic for row in records_of(tmp_path / "ledger.db")]
    assert "ReconciliationReport/1" in topics and "OrderSubmitted/1" not in topics
    assert phases(tmp_path) == ["started", "stopping", "stopped"], "it was never ready"
    ended = read_lease(tmp_path)
    assert ended is not None and ended.ended == STOPPED


def test_without_the_lease_no_request_leaves_whatever_its_kind() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=3)
        assert rig.exchange.resting()
        rig.session.wire.may_send = lambda: False
        asked = len(rig.exchange.asked)
        rig.stop_grid()
        await asyncio.sleep(120)
        assert rig.exchange.asked[asked:] == [], "no order, no cancel, no question, no dead-man switch"
        assert rig.exchange.resting()
        rig.session.wire.may_send = lambda: True
        await asyncio.sleep(120)
        assert not rig.exchange.resting(), "it was its own again: the cancels leave now"

    play(story)
