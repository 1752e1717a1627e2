"""Checks of the machine grinder runs on.

Law: looks, changes nothing outside a temporary folder, and says for every finding what to do about it.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import attrs

from grinder.ledger.engine import FIX, has_wal_reset_bug
from grinder.ledger.place import is_network, mounted_kind

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 37, 0)
LEAST_FREE_BYTES = 1 << 30
SLOW_FSYNC_MS = 20


@attrs.frozen
class Check:
    """One finding; `fix` is empty when there is nothing to do.

    Attributes:
        warns: it is good enough to run on, and better could be had.
    """

    name: str
    ok: bool
    finding: str
    fix: str = ""
    warns: bool = False

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return attrs.asdict(self)


def examine() -> list[Check]:
    """All checks, in the order in which they matter."""
    return [_python(), _sqlite(), _place(), _durability(), _disk(), *_extras()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info[:2] >= OLDEST_PYTHON, version, "install Python 3.11 or later")


def _sqlite() -> Check:
    version = sqlite3.sqlite_version_info
    if version < OLDEST_SQLITE:
        fix = "use a Python built with SQLite 3.37 or later"
        return Check("sqlite", ok=False, finding=sqlite3.sqlite_version, fix=fix)
    if not has_wal_reset_bug(version):
        return Check("sqlite", ok=True, finding=sqlite3.sqlite_version)
    note = (
        "a bug of its write-ahead log can lose a commit when two connections write or checkpoint at once; "
        "one process writes a ledger and all others open it read-only"
    )
    return Check("sqlite", ok=True, finding=f"{sqlite3.sqlite_version}: {note}", fix=FIX, warns=True)


def _place() -> Check:
    kind = mounted_kind(Path.cwd())
    return Check(
        "file system",
        not is_network(kind),
        f"{kind or 'of an unknown kind'} here",
        "keep run folders on a disk of this machine" if is_network(kind) else "",
    )


def _durability() -> Check:
    """Time of one durable write, the price of every commit in a live run."""
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        file = os.open(Path(folder) / "probe", os.O_CREAT | os.O_WRONLY)
        try:
            for _ in range(15):
                os.write(file, b"x" * 4096)
                started = time.perf_counter()
                os.fsync(file)
                samples.append((time.perf_counter() - started) * 1000)
        finally:
            os.close(file)
    median = sorted(samples)[len(samples) // 2]
    return Check(
        "fsync",
        median < SLOW_FSYNC_MS,
        f"{median:.2f} ms median",
        "use a local disk for run folders, not a network share",
    )


def _disk() -> Check:
    stat = os.statvfs(Path.cwd())
    free = stat.f_bavail * stat.f_frsize
    return Check("disk", free > LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free here", "free some space")


def _extras() -> list[Check]:
    extras = (("data", "pyarrow", "feather and parquet files"), ("report", "plotly", "grinder report"))
    return [
        Check(
            f"extra {name}",
            True,
            f"{module} is {'there' if importlib.util.find_spec(module) else 'absent'}, needed for {use}",
            "" if importlib.util.find_spec(module) else f"pip install 'grinder[{name}]'",
        )
        for name, module, use in extras
    ]
