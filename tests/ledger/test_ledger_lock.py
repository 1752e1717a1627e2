"""One ledger, one writer: a second process is refused, and a dead holder leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_ledgers import REPO

from grinder.errors import EnvironmentFault, ExitStatus
from grinder.ledger.lock import WriterLock

HOLD = """
import sys
from pathlib import Path
from grinder.ledger.lock import WriterLock
with WriterLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        process.stdin.close()


def test_a_second_process_is_refused_and_the_holder_is_named(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(EnvironmentFault) as refused, WriterLock(tmp_path):
            raise AssertionError("two writers")
        assert refused.value.code == "ledger.locked"
        assert refused.value.status is ExitStatus.ENVIRONMENT
        assert f"process {process.pid}" in refused.value.what
        assert refused.value.place == str(tmp_path)
        assert refused.value.fix


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with WriterLock(tmp_path):
            assert (tmp_path / "ledger.lock").read_text() == f"process {os.getpid()}\n"


def test_a_stopped_holder_still_holds(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(EnvironmentFault, match="locked"), WriterLock(tmp_path):
            raise AssertionError("two writers")


def test_an_ended_holder_gives_the_lock_back(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
        with WriterLock(tmp_path), pytest.raises(EnvironmentFault, match="locked"), WriterLock(tmp_path):
            raise AssertionError("two writers in one process")
        with WriterLock(tmp_path) as again:
            assert again.path.read_text() == f"process {os.getpid()}\n"


def test_two_folders_have_two_locks(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with holder(tmp_path), WriterLock(other):
        assert (other / "ledger.lock").is_file()


@pytest.mark.parametrize("folder", ["/proc/self", "/nowhere/at/all"])
def test_a_folder_that_cannot_be_written_is_named(folder: str) -> None:
    with pytest.raises(EnvironmentFault) as refused, WriterLock(Path(folder)):
        raise AssertionError("it cannot be written")
    assert (refused.value.code, refused.value.place) == ("ledger.not_writable", folder)
