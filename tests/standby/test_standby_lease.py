"""The lease: one holder at a time, an epoch that only grows, and a holder that knows when it has lost it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import attrs
import pytest
from live_runs import wait_for

from grinder.standby.beats import ACTIVE, age_ns, beats, read_beat, write_beat
from grinder.standby.lease import HANDED_OVER, STOPPED, Lease, LeaseLost, end, read_lease, take
from grinder.standby.processes import ProcessId, boot_id, boot_ns, is_alive, this_process
from grinder.standby.sight import holder_alive
from grinder.standby.tenure import Tenure

S = 10**9


def test_the_epoch_grows_with_every_taking_and_outlives_the_end_of_a_holder(tmp_path: Path) -> None:
    assert read_lease(tmp_path) is None
    first = take(tmp_path, None, "main")
    assert (first.epoch, first.node, first.process) == (1, "main", this_process())
    end(tmp_path, first, STOPPED)
    ended = read_lease(tmp_path)
    assert ended is not None and ended.ended == STOPPED and ended.epoch == 1
    assert take(tmp_path, ended, "standby").epoch == 2


def test_of_many_who_saw_the_same_lease_one_becomes_the_holder(tmp_path: Path) -> None:
    seen = take(tmp_path, None, "main")

    def try_to(node: str) -> Lease | None:
        try:
            return take(tmp_path, seen, node)
        except LeaseLost:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = [one for one in pool.map(try_to, [f"standby-{at}" for at in range(40)]) if one]
    assert [one.epoch for one in found] == [2]
    assert read_lease(tmp_path) == found[0]


def test_a_lease_that_ended_meanwhile_is_not_the_one_that_was_seen(tmp_path: Path) -> None:
    seen = take(tmp_path, None, "main")
    end(tmp_path, seen, STOPPED)
    with pytest.raises(LeaseLost):
        take(tmp_path, seen, "standby")


def test_who_is_stopped_in_the_middle_of_a_taking_keeps_nobody_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grinder.standby.lease.PATIENCE_S", 0.1)
    lease = take(tmp_path, None, "main")
    with (tmp_path / "nodes" / "lease.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            take(tmp_path, lease, "standby")
        assert read_lease(tmp_path) == lease, "reading needs no lock"


def test_a_holder_of_before_cannot_end_the_lease_of_another(tmp_path: Path) -> None:
    first = take(tmp_path, None, "main")
    second = take(tmp_path, first, "standby")
    end(tmp_path, first, HANDED_OVER, "third")
    assert read_lease(tmp_path) == second


def test_a_holder_that_was_taken_over_from_knows_at_its_next_heartbeat_and_for_good(tmp_path: Path) -> None:
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    tenure.beat(ACTIVE, 7, "ab")
    assert tenure.holds()
    take(tmp_path, tenure.lease, "standby")
    with pytest.raises(LeaseLost, match="standby holds it in epoch 2"):
        tenure.beat()
    assert not tenure.holds()


def test_a_lease_that_somebody_removed_is_its_holders_still(tmp_path: Path) -> None:
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    shutil.rmtree(tmp_path / "nodes")
    tenure.beat()
    assert tenure.holds()
    assert read_lease(tmp_path) == tenure.lease
    assert [one.node for one in beats(tmp_path)] == ["main"]


def test_a_process_that_slept_past_its_lease_may_send_nothing_before_it_has_looked(tmp_path: Path) -> None:
    now_ns = boot_ns()
    lease = take(tmp_path, None, "main")
    tenure = Tenure(tmp_path, lease, clock=lambda: now_ns)
    now_ns += 5 * S
    assert tenure.holds()
    now_ns += 1
    assert not tenure.holds(), "it may be another's by now"
    tenure.beat()
    assert tenure.holds(), "it was not: nobody had taken it"
    now_ns += 6 * S
    take(tmp_path, lease, "standby")
    with pytest.raises(LeaseLost):
        tenure.beat()
    assert not tenure.holds()


def test_a_heartbeat_says_how_far_the_ledger_is_and_is_read_without_a_lock(tmp_path: Path) -> None:
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    tenure.beat(ACTIVE, 4_711, "c0ffee")
    told = read_beat(tmp_path, "main")
    assert told is not None
    assert (told.position, told.chain, told.role, told.epoch) == (4_711, "c0ffee", ACTIVE, 1)
    age = age_ns(told, boot_id(), boot_ns())
    assert age is not None and 0 <= age < 60 * S
    assert age_ns(told, "another boot", boot_ns()) is None
    assert (tmp_path / "nodes" / "main.beat").stat().st_mode & 0o077 == 0
    other = attrs.evolve(told, node="other")
    write_beat(tmp_path, other)
    (tmp_path / "nodes" / "torn.beat").write_bytes((tmp_path / "nodes" / "other.beat").read_bytes()[:100])
    (tmp_path / "nodes" / "empty.beat").touch()
    newer = b'{"boot": "x", "process": 1, "started": 2, "a_later_field": 1}'
    (tmp_path / "nodes" / "newer.beat").write_bytes(f"{crc32(newer):08x} ".encode() + newer)
    assert beats(tmp_path) == (told, other)


def test_a_reader_in_the_middle_of_a_writing_looks_again(tmp_path: Path) -> None:
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for chain in ("a" * 64, "b" * 64):
                tenure.beat(ACTIVE, 1, chain)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = [read_beat(tmp_path, "main") for _ in range(3_000)]
    finally:
        done.set()
        thread.join()
    assert {one.chain for one in seen if one is not None} >= {"a" * 64, "b" * 64}
    assert None not in seen


def test_a_holder_that_cannot_write_goes_on_until_another_has_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", full)
        tenure.beat()
        assert tenure.holds(), "orders have to be cancelled on a full disk too"
    take(tmp_path, tenure.lease, "standby")
    with monkeypatch.context() as patched, pytest.raises(LeaseLost):
        patched.setattr("os.pwrite", full)
        tenure.beat()


def test_the_lease_is_kept_while_the_ledger_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grinder.standby.tenure.EVERY_S", 0.01)
    tenure = Tenure(tmp_path, take(tmp_path, None, "main"))
    first = read_beat(tmp_path, "main")
    tenure.beat_by_thread()
    wait_for(lambda: read_beat(tmp_path, "main") != first, why="a heartbeat of the thread")
    tenure.beat_by_hand()
    last = read_beat(tmp_path, "main")
    time.sleep(0.1)
    assert read_beat(tmp_path, "main") == last, "from here on by hand"
    assert tenure.holds()


def test_a_process_is_alive_until_it_is_dead_even_if_nobody_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        told = Path(f"/proc/{child.pid}/stat").read_text()
        process = ProcessId(child.pid, int(told[told.rindex(")") + 2 :].split()[19]))
        assert is_alive(process)
        assert not is_alive(attrs.evolve(process, started=process.started + 1)), "its number was used again"
        os.kill(child.pid, signal.SIGSTOP)
        assert is_alive(process), "it could go on"
        os.kill(child.pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(process), why="the end of a process nobody waits for")
        assert Path(f"/proc/{child.pid}").exists()
    finally:
        child.kill()
        child.wait()


def test_the_holder_is_named_while_it_lives_and_was_heard_of(tmp_path: Path) -> None:
    assert holder_alive(tmp_path) == ""
    lease = take(tmp_path, None, "main")
    Tenure(tmp_path, lease)
    assert holder_alive(tmp_path) == "main"
    end(tmp_path, lease, STOPPED)
    assert holder_alive(tmp_path) == ""
