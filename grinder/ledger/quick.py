"""Storing groups without a hop to another thread, while the disk is quick.

Law: one group at a time, in order, whoever stores it; a return is an acknowledgement.  Handing a group to the
writer's thread and hearing of it again costs as much as the commit of a quick disk; but whoever waits for a
slow disk keeps the market waiting.  So groups are stored where they were made for as long as every commit was
quick, and by the writer's thread for a while after one was not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from eventsourcing.persistence import PersistenceError
from pykka import ActorRef

from actors.records import LedgerRow
from grinder.ledger.head import HeadKeeper
from grinder.ledger.log_file import RECORDS, LogFile
from grinder.ledger.recorder import LedgerRecorder
from grinder.ledger.writer import KEEP_HEAD, WriterActor, append_making_room

QUICK_S: Final = 0.003
"""A commit that takes longer is not waited for again soon."""

PATIENCE_S: Final = 1.0
"""How long the writer's thread does the work after a slow commit."""

MOST: Final = 256
"""Records of a group that may be stored at once; more take a while on any disk."""

NOT_STORED: Final = (PersistenceError, sqlite3.Error, OSError)
"""What a commit that failed raises; nothing of it was acknowledged."""


class QuickStore:
    """Stores groups on the caller's thread.

    Args:
        append: stores rows durably, or raises one of `NOT_STORED`.
        heads, writer: who keeps the ledger's head, and the thread that writes it down.
        stopwatch: seconds.
    """

    def __init__(
        self,
        append: Callable[[list[LedgerRow]], None],
        heads: HeadKeeper,
        writer: ActorRef[Any],
        stopwatch: Callable[[], float] = perf_counter,
    ) -> None:
        self._append = append
        self._heads = heads
        self._writer = writer
        self._stopwatch = stopwatch
        self._quick_from = stopwatch()
        self._logged = 0

    def takes(self, records: int) -> bool:
        """Whether a group of so many records is better stored here than on the writer's thread."""
        return records <= MOST and self._stopwatch() >= self._quick_from

    def was_stored(self, records: int, seconds: float) -> bool:
        """A commit, wherever it was done, took so long; whether it is time to empty the log."""
        if seconds > QUICK_S:
            self._quick_from = self._stopwatch() + PATIENCE_S
        self._logged += records
        if self._logged < RECORDS:
            return False
        self._logged = 0
        return True

    def store(self, rows: list[LedgerRow]) -> None:
        """Store a group; it is durable when this returns.

        Raises:
            PersistenceError, sqlite3.Error, OSError: nothing of it was acknowledged.
        """
        self._append(rows)
        last = rows[-1]
        if self._heads.known(last.position, last.chain):
            self._writer.tell(KEEP_HEAD)


def store_on(
    recorder: LedgerRecorder, epoch: int, ledger: Path, make_room: Callable[[], bool] = lambda: False
) -> tuple[ActorRef[WriterActor], QuickStore]:
    """Who stores a live run's records: the writer's thread, and whoever makes them.

    Raises:
        sqlite3.Error, OSError: the ledger cannot be written.
    """
    heads, log = HeadKeeper(ledger), LogFile(ledger, recorder.appender())
    log.prepare()
    writer = WriterActor.start(recorder, epoch, make_room, heads, log)
    return writer, QuickStore(partial(append_making_room, recorder, epoch, make_room), heads, writer)
