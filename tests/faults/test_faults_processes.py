"""Run processes that meet a held ledger, a lost write-ahead log and a backup, as a person would see them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_runs import paper_spec
from live_runs import REPO, status_of, wait_for

from grinder.commands.backup import backup_run
from grinder.commands.inspect import verify_run
from grinder.ledger.head import head_file, read_head
from grinder.ledger.recorder import BUSY_TIMEOUT_S
from grinder.ledger.verify import verify
from grinder.live.spec import prepare
from grinder.run_folder import RunFolder


class RunProcess:
    """A run's process without a supervisor."""

    def __init__(self, run: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grinder.live.process", str(run)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPO)},
        )

    def ended(self, within_s: float = 25) -> tuple[int, str]:
        """(status, what it said)."""
        _, said = self.process.communicate(timeout=within_s)
        return self.process.returncode, said


@contextmanager
def running(*runs: Path) -> Iterator[list[RunProcess]]:
    """Processes of runs, ended whatever happens."""
    started = [RunProcess(run) for run in runs]
    try:
        yield started
    finally:
        for one in started:
            if one.process.poll() is None:
                one.process.kill()
                one.process.communicate()


@contextmanager
def write_lock(ledger: Path) -> Iterator[None]:
    """Another program in the middle of a write."""
    other = sqlite3.connect(ledger, isolation_level=None, timeout=5)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


def prepared(folder: Path) -> Path:
    prepare(RunFolder(folder), paper_spec(rows=50_000, speed=60))
    return folder


def is_trading(run: Path) -> bool:
    return bool(status_of(run).get("phase") == "trading")


@pytest.mark.slow
def test_a_ledger_that_another_program_writes_to_ends_the_run_after_a_bounded_wait(tmp_path: Path) -> None:
    """One run meets the lock at its start, the other in the middle; the latter goes on when it is free."""
    late, early = prepared(tmp_path / "late"), prepared(tmp_path / "early")
    with running(early) as (first,):
        wait_for(lambda: is_trading(early))
        first.process.send_signal(signal.SIGTERM)
        assert first.ended()[0] == 0
    before = verify(early / "ledger.db").records
    with running(late) as (running_late,):
        wait_for(lambda: is_trading(late))
        with write_lock(late / "ledger.db"), write_lock(early / "ledger.db"), running(early) as (at_start,):
            began = time.monotonic()
            status, said = running_late.ended()
            waited = time.monotonic() - began
            assert status == 7, said
            assert "the ledger could not be written" in said
            assert "database is locked" in said
            assert "end the other program that writes to ledger.db" in said
            assert BUSY_TIMEOUT_S - 1 < waited < BUSY_TIMEOUT_S + 8
            status, said = at_start.ended()
            assert status == 5, said
            assert "ledger.busy" in said
            assert "fix:" in said
    assert verify(early / "ledger.db").records == before
    assert verify_run(late, None, lambda *_: None)["ok"]
    with running(late) as (again,):
        wait_for(lambda: is_trading(late))
        again.process.send_signal(signal.SIGTERM)
        assert again.ended()[0] == 0
    assert verify_run(late, None, lambda *_: None)["ok"]


def test_a_killed_run_is_backed_up_on_the_way_and_refused_without_its_write_ahead_log(tmp_path: Path) -> None:
    run = prepared(tmp_path / "run")
    with running(run) as (process,):
        wait_for(lambda: is_trading(run))
        copied = backup_run(run, tmp_path / "copy", lambda *_: None)
        assert process.process.poll() is None, "the run goes on"
        wait_for(lambda: (head := read_head(run / "ledger.db")) and head.position >= copied["records"])
        process.process.kill()
        process.process.wait(10)
    assert verify_run(run, None, lambda *_: None)["ok"]
    whole = verify(run / "ledger.db").records
    assert copied["records"] <= whole
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (run / name).unlink(missing_ok=True)
    with running(run) as (refused,):
        status, said = refused.ended()
    assert status == 4, said
    assert "fix:" in said
    assert "grinder backup" in said or "restore" in said
    # What the message says to do.
    for name in ("ledger.db", "head.json"):
        (run / name).write_bytes((tmp_path / "copy" / name).read_bytes())
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (run / name).unlink(missing_ok=True)
    with running(run) as (restored,):
        wait_for(lambda: is_trading(run))
        restored.process.send_signal(signal.SIGTERM)
        assert restored.ended()[0] == 0
    assert verify_run(run, None, lambda *_: None)["ok"]
    assert head_file(run / "ledger.db").is_file()
