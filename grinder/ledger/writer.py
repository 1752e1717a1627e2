"""The journal writer: the one thread that appends to the ledger.

Law: first in, first out, no lingering.  `append` hands full groups to the thread and goes on; `commit`
returns when everything is on disk.  Any failure is final: memory is ahead of the ledger, so the process must
stop; nothing is retried.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

import pykka
from eventsourcing.persistence import PersistenceError

from actors.records import LedgerRow
from grinder.ledger.head import HeadKeeper
from grinder.ledger.log_file import LogFile
from grinder.ledger.recorder import LedgerRecorder

GROUP = 1024
"""Records handed to the thread at a time when nobody asks for a commit earlier."""

GROUPS_UNDER_WAY = 8
"""Groups that may wait for the thread; then the core waits too, so memory stays bounded."""


KEEP_HEAD = "keep the head"
"""A message to the writer: write the head that is known, for nothing may come for a while."""


class JournalFailed(Exception):
    """The journal has failed before; nothing is stored any more."""

    def __init__(self, first: Exception) -> None:
        super().__init__(f"the journal failed earlier: {first!r}")


class Group(NamedTuple):
    """Records to store, and who is told on the writer's thread: how far they went, or why they failed."""

    rows: list[LedgerRow]
    stored: Callable[[int], None]
    failed: Callable[[BaseException], None]


class EmptyLog(NamedTuple):
    """A message to the writer: the log is long; who is told when it is empty, or that the disk failed."""

    emptied: Callable[[], None]
    failed: Callable[[BaseException], None]


def is_full(failure: BaseException) -> bool:
    """Whether a commit failed for want of room: nothing of it was stored, and nothing is in doubt."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            return True
        cause = cause.__cause__
    return False


def advice(failure: BaseException) -> str:
    """What a person does about a journal that failed."""
    if is_full(failure):
        return "make room on the disk, then start again"
    if "locked" in str(failure):
        return "end the other program that writes to ledger.db, then start again"
    return "find out what is wrong with the disk before starting again; the ledger is whole as far as it goes"


def append_making_room(
    recorder: LedgerRecorder, epoch: int, make_room: Callable[[], bool], rows: list[LedgerRow]
) -> None:
    """Store rows durably; on a full disk once more, if `make_room` could free what is kept back for that.

    Raises:
        PersistenceError, sqlite3.Error: nothing of it was acknowledged.
    """
    try:
        recorder.append_rows(rows, epoch)
    except (PersistenceError, sqlite3.Error) as failure:
        # A full disk refuses before anything is in doubt; a failed fsync is never tried again.
        if not (is_full(failure) and make_room()):
            raise
        recorder.append_rows(rows, epoch)


class WriterActor(pykka.ThreadingActor):
    """The edge actor that stores on its own thread.

    `make_room` may free space kept back for a full disk; it says whether it did.  `heads` keeps the ledger's
    head beside it, after the commit was acknowledged.  `log` is emptied when that is asked for.
    """

    use_daemon_thread = True

    def __init__(
        self,
        recorder: LedgerRecorder,
        epoch: int,
        make_room: Callable[[], bool] = lambda: False,
        heads: HeadKeeper | None = None,
        log: LogFile | None = None,
    ) -> None:
        super().__init__()
        self._heads = heads
        self._log = log
        self._recorder = recorder
        self._epoch = epoch
        self._make_room = make_room
        self._failure: Exception | None = None
        self._told: Callable[[BaseException], None] | None = None

    def on_receive(self, message: list[LedgerRow] | Group | EmptyLog | str) -> int:
        """Store one group; the reply is the last position stored.

        Raises:
            JournalFailed: an earlier group was not stored, so this one would leave a hole before it.
        """
        if isinstance(message, Group):
            return self._store_and_tell(message)
        if isinstance(message, EmptyLog):
            self._told = message.failed
            if self._log is not None:
                self._log.empty()
            message.emptied()
            return 0
        if isinstance(message, str):
            self._keep_head()
            return 0
        if self._failure is not None:
            raise JournalFailed(self._failure) from self._failure
        try:
            self._recorder.append_rows(message, self._epoch)
        except Exception as failure:
            self._failure = failure
            raise
        return message[-1].position

    def on_stop(self) -> None:
        """Keep the head of what is on disk."""
        self._keep_head()

    def _keep_head(self) -> None:
        if self._heads is not None:
            self._heads.keep()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """A failure nobody foresaw ends the thread: whoever waits for a commit has to hear of it."""
        if self._told is not None:
            self._told(exception_value or RuntimeError("the journal's thread failed"))

    def _store_and_tell(self, group: Group) -> int:
        self._told = group.failed
        if self._failure is not None:
            group.failed(JournalFailed(self._failure))
            return 0
        try:
            append_making_room(self._recorder, self._epoch, self._make_room, group.rows)
        except (PersistenceError, sqlite3.Error, OSError) as failure:
            self._failure = failure
            group.failed(failure)
            return 0
        last = group.rows[-1]
        group.stored(last.position)
        if self._heads is not None:
            self._heads.stored(last.position, last.chain)
        return last.position


class LedgerJournal:
    """A `Journal` over a ledger file."""

    def __init__(self, recorder: LedgerRecorder, epoch: int, group: int = GROUP) -> None:
        self._writer = WriterActor.start(recorder, epoch)
        self._pending: list[LedgerRow] = []
        self._under_way: deque[pykka.Future[Any]] = deque()
        self._group = group
        self._failure: Exception | None = None

    def append(self, row: LedgerRow) -> None:
        """Take one record.  Groups end where an input ends, so no crash can cut an input's events apart."""
        if len(self._pending) >= self._group and row.cause == row.position:
            self._hand_over()
        self._pending.append(row)

    def commit(self) -> None:
        """Return when every appended record is durable.

        Raises:
            Exception: whatever kept the thread from storing a group; nothing after it was stored.
            JournalFailed: that happened at an earlier call.
        """
        if self._failure is not None:
            raise JournalFailed(self._failure) from self._failure
        if self._pending:
            self._hand_over()
        while self._under_way:
            self._wait()

    def close(self) -> None:
        """Commit what is left and end the thread."""
        try:
            self.commit()
        finally:
            self._writer.stop()

    def abandon(self) -> None:
        """End the thread after an interruption: inputs that are complete are kept, the last one is not.

        Whether the core was done with its last input nobody knows, and half an input does not replay.
        """
        inputs = [at for at, row in enumerate(self._pending) if row.cause == row.position]
        self._pending = self._pending[: inputs[-1]] if inputs else []
        self.close()

    def stop(self) -> None:
        """End the thread after a failure; nothing more is stored."""
        self._pending = []
        self._writer.stop()

    def _hand_over(self) -> None:
        rows, self._pending = self._pending, []
        while len(self._under_way) >= GROUPS_UNDER_WAY:
            self._wait()
        self._under_way.append(self._writer.ask(rows, block=False))

    def _wait(self) -> None:
        try:
            self._under_way.popleft().get()
        except Exception as failure:
            self._failure = failure
            raise
