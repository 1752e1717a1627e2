"""Which SQLite this process runs on, and whether it has a known way to lose a commit.

Law: knows versions, opens nothing.

The bug: while one connection checkpoints, another commits and starts the write-ahead log anew; a later
checkpoint may then leave out pages that were committed.  It takes two connections that write or checkpoint
the same file at the same time.  A ledger has one of those: the writer holds the folder's lock, and whoever
reads or copies opens the file read-only, which never checkpoints.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from grinder.log import logger

FIRST_AFFECTED = (3, 7, 0)
FIXED = (3, 51, 3)
FIXED_IN_BRANCH = {(3, 44): 6, (3, 50): 7}
"""Branches that were mended after the fact: from which patch on."""

FIX = "use a Python built with SQLite 3.51.3 or later; 3.50.7 and 3.44.6 are mended too"


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can lose a commit to a checkpoint that runs at the same moment."""
    if not FIRST_AFFECTED <= version < FIXED:
        return False
    patch = FIXED_IN_BRANCH.get((version[0], version[1]))
    return patch is None or version[2] < patch


@cache
def warn_of_engine() -> None:
    """Log once in a process that its SQLite has the bug."""
    if not has_wal_reset_bug(sqlite3.sqlite_version_info):
        return
    logger().warning(
        "this SQLite has a bug in its write-ahead log",
        version=sqlite3.sqlite_version,
        why_it_is_unlikely_here="one process writes a ledger, all others open it read-only",
        fix=FIX,
    )
