"""Reading a ledger in order, without taking it from its writer.

Law: read-only and streaming; a ledger larger than memory can be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from actors.records import LedgerRow, new_row
from grinder.errors import LedgerError
from grinder.ledger.schema import APPLICATION_ID, FORMAT, SELECT

BATCH = 2048


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection to a ledger file.

    Raises:
        LedgerError: there is no such file, it is not a ledger, or a newer program wrote it.
    """
    if not path.is_file():
        raise LedgerError(
            "ledger.missing", "there is no ledger here", place=str(path), fix="name the folder of a run"
        )
    try:
        connection = _open(path)
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            "ledger.not_a_ledger",
            f"the file cannot be read as a ledger: {error}",
            place=str(path),
            fix="name the folder of a run, or restore the file from a backup",
        ) from error
    if found != APPLICATION_ID:
        connection.close()
        raise LedgerError(
            "ledger.not_a_ledger",
            "the file is a database, but not a ledger",
            place=str(path),
            value=f"application_id {found}",
            fix="name the folder of a run",
        )
    if version > FORMAT:
        connection.close()
        raise LedgerError(
            "ledger.too_new",
            f"the ledger has format {version}, this program reads up to {FORMAT}",
            place=str(path),
            fix="use the version of grinder that wrote it, or a later one",
        )
    return connection


def _open(path: Path) -> sqlite3.Connection:
    """Read-only; a folder that cannot be written gets a connection that needs no files beside the ledger's.

    SQLite reads a write-ahead database through shared files it has to create.  A finished ledger has no
    write-ahead log, so in a read-only folder nothing can change it and it may be read as it is.
    """
    name = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(name, uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        connection = sqlite3.connect(f"{name}&immutable=1", uri=True)
    return connection


def is_begun(path: Path) -> bool:
    """Whether a file holds a ledger's tables; False for one that a crash left before they were made.

    Raises:
        LedgerError: the file is something else.
    """
    try:
        with closing(_open(path)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError:
        tables = 1  # not even a database: let `connect` say so
    if not tables:
        return False
    connect(path).close()
    return True


def first_time_ns(path: Path, topic: str) -> int:
    """Time of the first record of a topic, ns; 0 where there is none."""
    with closing(connect(path)) as connection:
        asked = "SELECT ts_ns FROM stored_events WHERE topic = ? ORDER BY rowid LIMIT 1"
        found = connection.execute(asked, (topic,)).fetchone()
    return int(found[0]) if found else 0


def rows(connection: sqlite3.Connection, after: int = 0) -> Iterator[LedgerRow]:
    """Records after a position, in order.

    Raises:
        sqlite3.DatabaseError: a page of the file is damaged.
    """
    return map(new_row, plain_rows(connection, after))


def plain_rows(connection: sqlite3.Connection, after: int = 0) -> Iterator[tuple[Any, ...]]:
    """The same as plain tuples, for who compares them whole and names no field."""
    cursor = connection.execute(SELECT, (after,))
    while batch := cursor.fetchmany(BATCH):
        yield from batch
