"""The statements that make a ledger and append to it, over any connection to SQLite.

Law: every append of every writer goes through `append`, on a connection that `settle` has made durable.  A
return from `append` is an acknowledgement: what was given is on the disk, synced.  Nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from eventsourcing.persistence import OperationalError

from actors.records import LedgerRow
from grinder.ledger.schema import APPLICATION_ID, FORMAT, INSERT, STATEMENTS

WRITE_AHEAD = "PRAGMA journal_mode=WAL"
DURABLE = "PRAGMA synchronous=FULL"
"""In write-ahead mode: the log is synced before COMMIT returns."""

MAKE: tuple[str, ...] = (
    *STATEMENTS,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)
"""What makes an empty file a ledger."""

BEGIN = "BEGIN IMMEDIATE"
"""Takes the write lock at once: a deferred one may be refused after reads have been relied on."""

EPOCH = "SELECT epoch FROM writer_epoch"


class FencedError(OperationalError):
    """Another writer has taken the ledger over: this one's epoch is old and nothing of it was stored."""


class Connection(Protocol):
    """What is needed of a connection in autocommit mode."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, /) -> Any:
        """Run one statement; the answer has `fetchone`."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Run one statement for each of the parameters."""


def settle(connection: Connection) -> None:
    """Make every commit of a connection durable."""
    connection.execute(WRITE_AHEAD)
    connection.execute(DURABLE)


def append(connection: Connection, rows: Sequence[LedgerRow], epoch: int) -> None:
    """Store chained rows durably in one transaction.

    Raises:
        FencedError: the ledger was taken over by a writer with a later epoch.
        Exception: the engine's own error; nothing of it was acknowledged.
    """
    connection.execute(BEGIN)
    try:
        (current,) = connection.execute(EPOCH).fetchone()
        if current != epoch:
            raise FencedError(f"this writer has epoch {epoch}, the ledger {current}")
        # sqlite3 binds a plain tuple a sixth faster than a named one.
        connection.executemany(INSERT, map(tuple, rows))
        connection.execute("COMMIT")
    except BaseException:
        # A failed COMMIT may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
