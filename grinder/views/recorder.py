"""Rows and position in one transaction: eventsourcing's tracking with sqlite-utils inside.

Law: a batch is stored only on top of the very position it was made from.  Two processes may update the same
views: the slower one finds its ground moved, stores nothing and starts again from there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import sqlite_utils
from eventsourcing.persistence import PersistenceError, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore, SQLiteTrackingRecorder

from grinder.errors import EnvironmentFault
from grinder.views import past
from grinder.views.schema import SOURCE, create_tables, drop_tables, save, stored, version, wrap
from projections.view import View

APPLICATION = "ledger"
"""Name under which eventsourcing tracks the position."""

BUSY_TIMEOUT_S = 10


class OvertakenError(Exception):
    """Another process has moved the views on; nothing of this batch was stored."""


class ViewsRecorder(SQLiteTrackingRecorder):
    """eventsourcing's tracking recorder on a views database."""

    def is_current(self) -> bool:
        """Whether the database has the tables of this program."""
        with self._reading() as cursor:
            cursor.execute("PRAGMA user_version")
            return bool(cursor.fetchone()[0] == version())

    def source(self) -> tuple[int, str]:
        """(position, chain in hex) the views stand at."""
        with self._reading() as cursor:
            cursor.execute(f"SELECT position, chain FROM {SOURCE}")
            row = cursor.fetchone()
        return int(row[0]), str(row[1])

    def reset(self) -> None:
        """Drop everything and begin before the first record, in one transaction."""
        with self._writing() as (cursor, db):
            drop_tables(db)
            self.tracking_table_exists = False
            self._create_table(cursor)
            create_tables(db)

    def store(self, view: View, expected: int, position: int, chain: bytes) -> None:
        """Store what changed in a view together with the position it now stands at, and what it was.

        Args:
            view: changed by the records after `expected` up to `position`; between them lies no boundary.

        Raises:
            OvertakenError: the views no longer stand at `expected`.
        """
        with self._writing() as (cursor, db):
            # First, so that the write lock is taken before anything is relied on.
            cursor.execute(
                f"UPDATE {SOURCE} SET position = ?, chain = ? WHERE position = ?",
                (position, chain.hex(), expected),
            )
            if cursor.sqlite_cursor.rowcount != 1:
                raise OvertakenError(f"the views do not stand at {expected}")
            self._insert_tracking(cursor, Tracking(APPLICATION, position))
            boundary = past.boundary_before(position)
            for kind, rows in enumerate(view.tables()):
                before = rows.take_before()
                changed, deleted = rows.take_changes()
                if changed or deleted:
                    moved = ((key, old, rows.get(*key)) for key, old in before.items())
                    past.keep(db.conn, kind, rows.table, moved, boundary, stored)
                    save(db, rows.table, changed, deleted)
            past.limit(db.conn, position)

    @contextmanager
    def _writing(self) -> Iterator[tuple[SQLiteCursor, sqlite_utils.Database]]:
        with self.datastore.transaction(commit=True) as cursor:
            db = wrap(cursor.sqlite_cursor.connection)
            with db.atomic():
                yield cursor, db

    @contextmanager
    def _reading(self) -> Iterator[SQLiteCursor]:
        with self.datastore.transaction(commit=False) as cursor:
            yield cursor


class OpenRecorder:
    """A recorder on a file, open from `__enter__` to `__exit__`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> ViewsRecorder:
        self._datastore = SQLiteDatastore(str(self.path), lock_timeout=BUSY_TIMEOUT_S)
        # What a loss of power takes is made again from the ledger, whose writer needs the disk's syncs.
        with self._datastore.get_connection(commit=True) as connection:
            connection.cursor().execute("PRAGMA synchronous=NORMAL")
        return ViewsRecorder(self._datastore)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._datastore.close()


@contextmanager
def writing_faults(path: Path) -> Iterator[None]:
    """Turns what the disk or the database says into an error with a place and a fix."""
    try:
        yield
    except (sqlite3.Error, PersistenceError, OSError) as error:
        raise EnvironmentFault(
            "views.not_written",
            f"the views could not be written: {error}",
            place=str(path),
            fix="make room and allow writing there, or delete the file: it is made again from the ledger",
        ) from error
