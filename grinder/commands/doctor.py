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

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 37, 0)
WAL_RESET_FIXED = (3, 51, 3)
"""SQLite before this can, in rare races of a checkpoint with a writer, lose a WAL commit."""

LEAST_FREE_BYTES = 1 << 30
SLOW_FSYNC_MS = 20


@attrs.frozen
class Check:
    """One finding; `fix` is empty when there is nothing to do."""

    name: str
    ok: bool
    finding: str
    fix: str = ""

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return attrs.asdict(self)


def examine() -> list[Check]:
    """All checks, in the order in which they matter."""
    return [_python(), _sqlite(), _durability(), _disk(), *_extras()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info[:2] >= OLDEST_PYTHON, version, "install Python 3.11 or later")


def _sqlite() -> Check:
    version = sqlite3.sqlite_version_info
    note = "" if version >= WAL_RESET_FIXED else "; keep one process per ledger (it is, by its lock)"
    return Check(
        "sqlite",
        version >= OLDEST_SQLITE,
        f"{sqlite3.sqlite_version}{note}",
        "use a Python built with SQLite 3.37 or later",
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
