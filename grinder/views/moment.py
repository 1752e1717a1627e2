"""The views as they stood after a record.

Law: the same rows a rebuild of the ledger cut at that record would make.  Rows that are now what they were
then are read where they are; the others come from what is kept of the past and from the records since the
last boundary.  Nothing is written but to memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from actors.records import LedgerRow
from grinder.errors import EnvironmentFault, LedgerError
from grinder.ledger import reading
from grinder.views import past
from grinder.views.decoding import decoded
from grinder.views.schema import SOURCE, columns_of, row_of, stored, version
from projections.registry import TABLES, apply_all, fresh
from projections.view import INT, Key, Row, Table, View

T = TypeVar("T")

_NOW: Final = "now"
"""Name under which the views on disk are attached."""

_HERE: Final = "here"
"""Name of the rows of a growing table that are not now what they were."""


class AnewError(Exception):
    """The views were begun anew since, or gave up boundaries: what was made from them is of no use."""


class NotThereError(Exception):
    """The views do not reach this record (yet)."""


class Moment:
    """The views as of one record.  Safe to use from one thread at a time.

    Args:
        views, ledger: files of the run.
        position: the record; 0 is before the first.

    Raises:
        NotThereError: the views on disk do not stand at or after it.
        LedgerError: the ledger cannot be read up to there.
        EnvironmentFault: the views cannot be read.
    """

    def __init__(self, views: Path, ledger: Path, position: int) -> None:
        self.position = position
        self._path = views
        self._connection = _attached(views)
        self._told: set[tuple[int, Key]] = set()
        try:
            with self._reading():
                self._made = self._source()[1]
                self._apart = past.boundaries_apart(self._connection, _NOW)
                self._begin = position // (self._apart * past.STEP) * self._apart * past.STEP
                self._seen = 0
                self._make(ledger)
        except BaseException:
            self._connection.close()
            raise

    def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask; every answer of one question is of one state.

        Raises:
            AnewError: make another moment.
        """
        with self._reading():
            apart = past.boundaries_apart(self._connection, _NOW)
            if self._source()[1] != self._made or apart != self._apart:
                raise AnewError
            if self.position:
                self._take_kept()
            return question(self._connection)

    def close(self) -> None:
        """Forget it."""
        self._connection.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One state of the views on disk, whoever writes them meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _source(self) -> tuple[int, str]:
        try:
            (found,) = self._connection.execute(f"PRAGMA {_NOW}.user_version").fetchone()
            if found != version():
                raise NotThereError
            position, made = self._connection.execute(
                f"SELECT position, made FROM {_NOW}.{SOURCE}"
            ).fetchone()
        except sqlite3.OperationalError as error:
            raise EnvironmentFault(
                "views.not_readable",
                f"the views cannot be read: {error}",
                place=str(self._path),
                fix="delete the file: it is made again from the ledger",
            ) from error
        if position < self.position:
            raise NotThereError
        return int(position), str(made)

    # --- making --------------------------------------------------------------------------------------------

    def _make(self, ledger: Path) -> None:
        for statement in _shape(self._begin, self.position):
            self._connection.execute(statement)
        if not self.position:
            self._empty()
            return
        # First what the records changed, so that what is kept of the past does not hide it.
        kept = {(kind, key): row for _, kind, key, row in self._kept()}
        last = self._apply(ledger, kept)
        self._take_kept()
        chain = "" if last is None else last.chain.hex()
        self._connection.execute(f"UPDATE main.{SOURCE} SET position = ?, chain = ?", (self.position, chain))

    def _empty(self) -> None:
        """Before the first record there are no rows at all."""
        for table in TABLES:
            if not table.born:
                self._connection.execute(f'DELETE FROM main."{table.name}"')

    def _kept(self) -> Iterator[past.Kept]:
        return past.kept_at(self._connection, _NOW, self._begin // past.STEP, self._seen)

    def _apply(self, path: Path, kept: dict[tuple[int, Key], list[object] | None]) -> LedgerRow | None:
        """Apply the records since the boundary; the last of them."""
        view = View(TABLES, self._loader(kept)) if self._begin else fresh()
        with closing(reading.connect(path)) as ledger:
            # At the boundary itself nothing is applied; the record there is read for its chain alone.
            after = self._begin if self.position > self._begin else max(0, self._begin - 1)
            batch = list(islice(reading.rows(ledger, after=after), self.position - after))
        if len(batch) != self.position - after:
            raise LedgerError("ledger.short", "the ledger has no such record", value=str(self.position))
        if self.position > self._begin:
            apply_all(view, decoded(batch, path))
        for kind, rows in enumerate(view.tables()):
            changed, deleted = rows.take_changes()
            if rows.table.settled:
                continue
            for row in changed:
                key = tuple(row[name] for name in rows.table.key)
                self._put(kind, key, stored(rows.table, row))
            for key in deleted:
                self._put(kind, key, None)
        return batch[-1] if batch else None

    def _take_kept(self) -> None:
        """Take over what was kept of the past since the last look."""
        for number, kind, key, row in list(self._kept()):
            self._seen = max(self._seen, number)
            if (kind, key) not in self._told:
                self._put(kind, key, row)

    def _put(self, kind: int, key: Key, row: list[object] | None) -> None:
        table = TABLES[kind]
        self._told.add((kind, key))
        if row is not None:
            marks = ", ".join("?" * len(row))
            self._connection.execute(f'INSERT OR REPLACE INTO main."{_own(table)}" VALUES ({marks})', row)
        else:
            where = " AND ".join(f'"{name}" = ?' for name in table.key)
            self._connection.execute(f'DELETE FROM main."{_own(table)}" WHERE {where}', key)

    def _loader(self, kept: dict[tuple[int, Key], list[object] | None]) -> Callable[[Table, Key], Row | None]:
        kinds = {table.name: kind for kind, table in enumerate(TABLES)}

        def load(table: Table, key: Key) -> Row | None:
            place = (kinds[table.name], key)
            if place in kept:
                found = kept[place]
                return None if found is None else row_of(table, found)
            where = " AND ".join(f'"{name}" = ?' for name in table.key)
            if table.born:
                where += f' AND "{table.born}" <= {self._begin}'
            sql = f'SELECT {columns_of(table)} FROM {_NOW}."{table.name}" WHERE {where}'
            row = self._connection.execute(sql, key).fetchone()
            return None if row is None else row_of(table, row)

        return load


# --- the shape of the connection -----------------------------------------------------------------------


def _attached(views: Path) -> sqlite3.Connection:
    if not views.is_file():
        raise NotThereError
    connection = sqlite3.connect("file::memory:", uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"ATTACH ? AS {_NOW}", (f"file:{quote(str(views))}?mode=ro",))
    except sqlite3.Error as error:
        connection.close()
        raise EnvironmentFault(
            "views.not_readable",
            f"the views cannot be read: {error}",
            place=str(views),
            fix="delete the file: it is made again from the ledger",
        ) from error
    return connection


def _own(table: Table) -> str:
    """The table in memory that holds rows of a table as they were."""
    return f"{table.name}_{_HERE}" if table.born else table.name


@cache
def _tables() -> tuple[str, ...]:
    """Tables in memory: of growing ones for the rows that differ, of the others for all."""
    made = [f"CREATE TABLE main.{SOURCE} (id INTEGER PRIMARY KEY, position INTEGER, chain TEXT)"]
    made.append(f"INSERT INTO main.{SOURCE} VALUES (1, 0, '')")
    for table in TABLES:
        if table.settled:
            continue
        columns = [f'"{name}" {"INTEGER" if kind == INT else "TEXT"}' for name, kind in table.columns.items()]
        key = ", ".join(f'"{name}"' for name in table.key)
        made.append(f'CREATE TABLE main."{_own(table)}" ({", ".join(columns)}, PRIMARY KEY ({key}))')
        if table.born and table.key != (table.born,):
            made.append(f'CREATE INDEX main."{_own(table)}_born" ON "{_own(table)}" ("{table.born}")')
        if not table.born:
            made.append(
                f'INSERT INTO main."{table.name}" SELECT {columns_of(table)} FROM {_NOW}."{table.name}"'
            )
    return tuple(made)


def _shape(begin: int, position: int) -> Iterator[str]:
    """Tables in memory, and what makes one table of those and of what is on disk.

    The sign before a column keeps SQLite from searching by it: a question's own bounds are closer.
    """
    yield from _tables()
    for table in TABLES:
        columns, own, born = columns_of(table), f'main."{_own(table)}"', f'"{table.born}"'
        made = f'CREATE TEMP VIEW "{table.name}" AS SELECT {columns} FROM {_NOW}."{table.name}"'
        if table.settled:
            yield f"{made} WHERE +{born} <= {position}"
        elif table.born:
            yield (
                f"{made} WHERE +{born} <= {begin} AND {born} NOT IN (SELECT {born} FROM {own})"
                f" UNION ALL SELECT {columns} FROM {own}"
            )
