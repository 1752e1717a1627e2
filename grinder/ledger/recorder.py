"""Storing and reading through eventsourcing: recorder, mapper, transcoder and the application around them.

Law: plugged in through eventsourcing's own settings, nothing of it patched.  Records come from the core's
journal, already chained; `Application.save` is not a way in, because it would write records without a cause.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from eventsourcing.application import Application
from eventsourcing.persistence import (
    Mapper,
    Notification,
    PersistenceError,
    ProgrammingError,
    StoredEvent,
    Transcoder,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteFactory,
)
from tenacity import RetryError, retry, retry_if_result, stop_after_delay, wait_exponential

from actors.records import LedgerRow
from domain.codec import decode, encode
from domain.record import Record
from grinder.errors import EnvironmentFault
from grinder.ledger.appending import BEGIN, DURABLE, MAKE, append
from grinder.ledger.appending import FencedError as FencedError
from grinder.ledger.schema import TABLE

BUSY_TIMEOUT_S = 5


class _LedgerConnection(SQLiteConnection):
    """A connection whose write transactions take the write lock at once.

    A deferred BEGIN may fail with SQLITE_BUSY in the middle, after reads have been relied on.
    """

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        if not commit:
            with super().transaction(commit=False) as cursor:
                yield cursor
            return
        cursor = self.cursor()
        cursor.execute(BEGIN)
        try:
            with cursor:
                yield cursor
        except BaseException:
            self.rollback()
            raise
        self.commit()


class _LedgerPool(SQLiteConnectionPool):
    """Connections that are durable at commit: WAL with `synchronous=FULL`."""

    def _create_connection(self) -> SQLiteConnection:
        made = super()._create_connection()
        raw = made._sqlite_conn
        raw.execute(DURABLE)
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        return _LedgerConnection(sqlite_conn=raw, max_age=self.max_age)


class _LedgerDatastore(SQLiteDatastore):
    def __init__(self, db_name: str, **options: Any) -> None:
        super().__init__(db_name, **options)
        self.pool.close()
        self.pool = _LedgerPool(db_name=db_name, lock_timeout=BUSY_TIMEOUT_S)
        self._appender: sqlite3.Connection | None = None

    def appender(self) -> sqlite3.Connection:
        """The one connection that appends: the pool's way to a connection costs as much as the commit."""
        if self._appender is None:
            made = sqlite3.connect(
                self.pool.db_name, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            made.execute(DURABLE)
            self._appender = made
        return self._appender

    def close(self) -> None:
        if self._appender is not None:
            self._appender.close()
            self._appender = None
        super().close()


class LedgerFactory(SQLiteFactory):
    """eventsourcing's persistence module for ledgers (`PERSISTENCE_MODULE`)."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        db_name = self.datastore.pool.db_name
        self.datastore.close()
        self.datastore = _LedgerDatastore(db_name, originator_id_type="text")


class CanonicalTranscoder(Transcoder):
    """Canonical JSON, as in `domain.codec`; eventsourcing hands it whole records."""

    def encode(self, obj: Any) -> bytes:
        return encode(obj)

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError("a state is decoded with its topic: use CanonicalMapper")


class LedgerEvent:
    """A record as eventsourcing passes events around: with its stream and version."""

    __slots__ = ("originator_id", "originator_version", "record")

    def __init__(self, originator_id: str, originator_version: int, record: Record) -> None:
        self.originator_id = originator_id
        self.originator_version = originator_version
        self.record = record


class CanonicalMapper(Mapper[str]):
    """Between `LedgerEvent` and stored events: the topic is the record's own, the state canonical bytes."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        record = domain_event.record
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=record.TOPIC,
            state=encode(record),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        made = decode(stored_event.topic, stored_event.state)
        return LedgerEvent(str(stored_event.originator_id), stored_event.originator_version, made)


class LedgerRecorder(SQLiteApplicationRecorder):
    """eventsourcing's recorder on the ledger's table (`APPLICATION_RECORDER_TOPIC`)."""

    def construct_create_table_statements(self) -> list[str]:
        """The ledger's own table, triggers and epoch."""
        return list(MAKE)

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Any:
        raise ProgrammingError("a ledger takes chained rows from its journal: use append_rows")

    def append_rows(self, rows: Sequence[LedgerRow], epoch: int) -> None:
        """Store chained rows durably in one transaction.

        Raises:
            FencedError: the ledger was taken over by a writer with a later epoch.
            eventsourcing.persistence.PersistenceError, sqlite3.Error: nothing of it was stored.
        """
        append(self.appender(), rows, epoch)

    def appender(self) -> sqlite3.Connection:
        """The connection that appends; one thread at a time may use it."""
        return cast(_LedgerDatastore, self.datastore).appender()

    def take_epoch(self) -> int:
        """Become the writer: every earlier epoch is refused from now on."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute("UPDATE writer_epoch SET epoch = epoch + 1 RETURNING epoch")
            return int(cursor.fetchone()[0])

    def select_notifications(self, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        """As inherited, with states as the bytes eventsourcing expects."""
        found = super().select_notifications(*args, **kwargs)
        return [_with_bytes(n) for n in found]

    def select_events(self, *args: Any, **kwargs: Any) -> Sequence[StoredEvent]:
        """As inherited, with states as the bytes eventsourcing expects."""
        return [_with_bytes(e) for e in super().select_events(*args, **kwargs)]


def _with_bytes(stored: Any) -> Any:
    if isinstance(stored.state, str):
        object.__setattr__(stored, "state", stored.state.encode())
    return stored


class LedgerApplication(Application[str]):
    """eventsourcing's application over one ledger file."""

    name = "ledger"

    @property
    def ledger_recorder(self) -> LedgerRecorder:
        """The recorder with its own type."""
        return cast(LedgerRecorder, self.recorder)

    def head_row(self) -> tuple[int, bytes] | None:
        """(position, chain) of the last record; None when the ledger is empty."""
        with self.ledger_recorder.datastore.transaction(commit=False) as cursor:
            cursor.execute(f"SELECT rowid, chain FROM {TABLE} ORDER BY rowid DESC LIMIT 1")
            row = cursor.fetchone()
        return (int(row[0]), bytes(row[1])) if row else None


def open_application(path: Path, *, create: bool = False) -> LedgerApplication:
    """The application over a ledger file; creates the tables when asked to.

    Raises:
        eventsourcing.persistence.PersistenceError, sqlite3.Error: the file cannot be opened as a ledger.
    """
    return LedgerApplication(
        env={
            "PERSISTENCE_MODULE": "grinder.ledger.recorder:LedgerFactory",
            "APPLICATION_RECORDER_TOPIC": "grinder.ledger.recorder:LedgerRecorder",
            "MAPPER_TOPIC": "grinder.ledger.recorder:CanonicalMapper",
            "TRANSCODER_TOPIC": "grinder.ledger.recorder:CanonicalTranscoder",
            "ORIGINATOR_ID_TYPE": "text",
            "SQLITE_DBNAME": str(path),
            "CREATE_TABLE": "yes" if create else "no",
        }
    )


def open_writer(path: Path) -> tuple[LedgerApplication, int]:
    """The application over a ledger file, made if need be, and the epoch in which it may be written.

    Raises:
        EnvironmentFault: another program holds the ledger's write lock, or the file cannot be written.
    """
    application = None
    try:
        application = open_application(path, create=True)
        return application, application.ledger_recorder.take_epoch()
    except (PersistenceError, sqlite3.Error) as failure:
        if application is not None:
            application.close()
        if "locked" in str(failure):
            raise EnvironmentFault(
                "ledger.busy",
                f"another program has held the ledger's write lock for {BUSY_TIMEOUT_S} seconds: {failure}",
                place=str(path),
                fix="end the program that writes to ledger.db (a database shell, perhaps), then start again",
            ) from failure
        raise EnvironmentFault(
            "ledger.not_stored",
            f"the ledger cannot be opened for writing: {failure}",
            place=str(path),
            fix="make room, mend the disk or choose a folder you may write to",
        ) from failure


@retry(stop=stop_after_delay(2), wait=wait_exponential(0.01, max=0.2), retry=retry_if_result(bool))
def _fold(connection: sqlite3.Connection) -> bool:
    """Whether a reader of another process still holds the write-ahead log; asked again for two seconds."""
    return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def checkpoint(path: Path) -> None:
    """Fold the write-ahead log into the file, so that the file alone is the ledger.

    A reader that does not let go only postpones it: the log is part of the ledger and just as durable.
    """
    with closing(sqlite3.connect(path)) as connection, suppress(RetryError):
        _fold(connection)
