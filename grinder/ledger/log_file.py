"""The write-ahead log of a ledger that is written live.

Law: nothing here is needed for durability, only for its speed, and none of it happens within a commit.  A
file that grows makes every sync write the file system's own journal as well, which takes twice as long; so
the log is grown once, with zeros, which SQLite takes for the end of what was logged.  Moving what was logged
into the ledger's file takes many times as long as a commit; so it is asked for between two groups, of the
writer's thread.  It is the appending connection that moves: SQLite before 3.51.3 can lose a commit when two
connections append and move at one moment.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

from grinder.ledger.appending import BEGIN, Connection
from grinder.log import logger

GROWN_BYTES: Final = 8 * 1024 * 1024
"""Twice what is logged between two calls of `empty` as it should be."""

RECORDS: Final = 800
"""Records after which the log is emptied: about a thousand pages, SQLite's own measure."""

_ZEROS = bytes(64 * 1024)


class LogFile:
    """The log beside one ledger, whose only writer this process is."""

    def __init__(self, ledger: Path, appender: Connection) -> None:
        self._ledger = ledger
        self._appender = appender

    def prepare(self, size: int = GROWN_BYTES) -> None:
        """Grow the log, and take the moving out of the commits.

        Raises:
            sqlite3.Error: another process is writing.
            OSError: the disk failed; for want of room the log only stays as it was.
        """
        # Whoever holds the write lock knows that nobody appends to the log meanwhile.
        self._appender.execute(BEGIN)
        try:
            self._grow(size)
        finally:
            self._appender.execute("ROLLBACK")
        self._appender.execute("PRAGMA wal_autocheckpoint = 0")

    def _grow(self, size: int) -> None:
        with self._ledger.with_name(self._ledger.name + "-wal").open("r+b", buffering=0) as file:
            before = at = file.seek(0, os.SEEK_END)
            try:
                while at < size:
                    at += file.write(_ZEROS[: size - at])
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise  # a disk that fails is not written on
                file.truncate(before)
                logger().warning("the log was not grown; commits take longer", reason=str(error))

    def empty(self) -> None:
        """Move what was logged into the ledger's file: the log begins again.  Nobody appends meanwhile.

        A disk without room, or a reader that holds on, leaves it longer and nothing lost.

        Raises:
            sqlite3.Error: the disk failed; what was logged must not be given up.
        """
        try:
            self._appender.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
                raise
            logger().warning("the log was not emptied", reason=str(error))
