"""A process that waits for the lease: what it asks first, what it does when it cannot, and when it ends."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import attrs
import pytest
from fault_runs import played

from grinder.errors import ConfigError, EnvironmentFault, ExitStatus
from grinder.ledger.lock import WriterLock
from grinder.run_folder import RunFolder
from grinder.standby import waiting
from grinder.standby.beats import read_beat
from grinder.standby.lease import GAVE_UP, HANDED_OVER, STOPPED, STOPPING, end, read_lease, take
from grinder.standby.processes import boot_ns
from grinder.standby.waiting import Asked, RunEnded, Taken, take_or_stand_by

S = 10**9
NODE = "standby"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run; its last process handed it over."""
    played(tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    end(folder.path, take(folder.path, None, "main"), HANDED_OVER, NODE)
    return folder


def released(taken: Taken) -> Taken:
    taken.lock.__exit__(None, None, None)
    return taken


def test_what_it_needs_to_trade_is_asked_for_before_the_lease_is_taken(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "AGAIN_S", 0.05)
    asked: list[tuple[str, int]] = []

    def able(reason: str) -> None:
        lease = read_lease(run.path)
        assert lease is not None
        asked.append((reason, lease.epoch))
        if len(asked) < 3:
            raise ConfigError("secrets.none", "there is no key")

    taken = released(take_or_stand_by(run, NODE, Asked(standby=True), able))
    assert asked == [("handed over by main", 1)] * 3
    assert (taken.lease.epoch, taken.failover, taken.finish) == (2, "handed over by main", False)
    assert taken.rebuilt is not None and taken.rebuilt.records > 100


def test_a_ledger_that_cannot_be_locked_yet_is_tried_again_and_the_lease_is_kept(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ENDS_S", 0.0)
    other = WriterLock(run.path)
    other.__enter__()
    threading.Timer(1.5, lambda: other.__exit__(None, None, None)).start()
    taken = released(take_or_stand_by(run, NODE, Asked(standby=True)))
    beat = read_beat(run.path, NODE)
    assert beat is not None and beat.epoch == taken.lease.epoch == 2, "it said so meanwhile"


@pytest.mark.parametrize(("how", "status"), [(STOPPED, ExitStatus.DONE), (GAVE_UP, ExitStatus.GAVE_UP)])
def test_a_run_that_ended_while_it_was_followed_ends_the_standby(
    run: RunFolder, how: str, status: ExitStatus
) -> None:
    lease = take(run.path, read_lease(run.path), "main")
    threading.Timer(1.0, lambda: end(run.path, lease, how)).start()
    with pytest.raises(RunEnded) as ended:
        take_or_stand_by(run, NODE, Asked(standby=True))
    assert ended.value.status is status


def test_who_is_started_again_knows_that_the_run_ended_meanwhile(run: RunFolder) -> None:
    end(run.path, take(run.path, read_lease(run.path), "main"), STOPPED)
    with pytest.raises(RunEnded):
        take_or_stand_by(run, NODE, Asked(standby=True, again=True))


def test_a_signal_ends_the_wait_and_after_the_taking_with_a_status_that_looks_after_the_orders(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ENDS_S", 0.0)
    with WriterLock(run.path):
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(RunEnded) as ended:
            take_or_stand_by(run, NODE, Asked(standby=True))
        assert ended.value.status is ExitStatus.UNEXPECTED
        lease = read_lease(run.path)
        assert lease is not None and (lease.node, lease.epoch) == (NODE, 2)


def test_a_start_takes_a_free_lease_at_once_and_finishes_a_stop_only_when_started_again(
    run: RunFolder,
) -> None:
    lease = released(take_or_stand_by(run, NODE, Asked())).lease
    end(run.path, lease, STOPPING)
    assert not released(take_or_stand_by(run, NODE, Asked())).finish, "its user starts it anew"
    held = read_lease(run.path)
    assert held is not None
    end(run.path, held, STOPPING)
    assert released(take_or_stand_by(run, NODE, Asked(again=True))).finish


def test_a_folder_that_takes_no_lease_is_told_with_what_to_do(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(EnvironmentFault, match="No space left") as refused:
        take_or_stand_by(run, NODE, Asked())
    assert "make room" in refused.value.fix
    monkeypatch.undo()
    released(take_or_stand_by(run, NODE, Asked()))


def test_a_machine_that_slept_gives_the_holder_its_time_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take(run.path, read_lease(run.path), "main")
    slept_ns = 0
    clock = lambda: boot_ns() + slept_ns  # noqa: E731
    looks = 0

    def wait(self: object, seconds: float) -> None:
        """The first look is an hour after the start."""
        nonlocal slept_ns, looks
        looks += 1
        if looks == 2:
            slept_ns = 3_600 * S
        if looks == 5:
            raise RunEnded(ExitStatus.DONE)

    monkeypatch.setattr(waiting, "boot_ns", clock)
    monkeypatch.setattr(waiting._Ending, "wait", wait)
    with pytest.raises(RunEnded):
        take_or_stand_by(run, NODE, Asked(standby=True))
    assert read_lease(run.path) == lease, "nobody was taken over from"
    assert attrs.asdict(lease)["ended"] == ""
