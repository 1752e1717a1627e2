"""The rows of the projections' tables in memory, with a note of which have changed.

Law: a row that is changed is marked by the very call that hands it out for changing, so nothing can be
changed and not stored.  A row that is not in memory is fetched when it is asked for; so a long run holds only
the rows it works on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

INT = "int"
"""A whole number: positions, times in ns, counts."""
TEXT = "text"
AMOUNT = "amount"
"""An exact decimal; stored as plain decimal text."""

Key = tuple[Any, ...]
Row = dict[str, Any]
Load = Callable[["Table", Key], Row | None]
"""Fetches one stored row, amounts as `Decimal`; None when there is none."""


@attrs.frozen
class Table:
    """A table's name, columns (name to kind, in order), primary key and indexes.

    Attributes:
        born: of a table that grows with the ledger, the column with the position of the record that made the
            row.  It is never changed, the row is never removed, and no two rows that change later share one.
        settled: whether rows are never changed once the record that made them has been applied.
        partial: further indexes, each with the condition of the rows that are in it.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    born: str = ""
    settled: bool = False
    partial: tuple[tuple[tuple[str, ...], str], ...] = ()

    def blank(self, **values: Any) -> Row:
        """A row of this table with the given values; every other column is None."""
        return {**dict.fromkeys(self.columns), **values}


class Rows:
    """The rows of one table that are in memory."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.load: Load | None = None
        self._rows: dict[Key, Row | None] = {}
        self._changed: dict[Key, None] = {}
        """Keys in the order in which they were first changed: a dict, because sets have no order."""
        self.before: dict[Key, Row | None] | None = None
        """Rows as they were before they were first changed, None for those there were not; None altogether
        where nobody asks."""

    def get(self, *key: Any) -> Mapping[str, Any] | None:
        """A row for reading; None when there is none."""
        found = self._rows.get(key)
        if found is None and self.load is not None and key not in self._rows:
            found = self._rows[key] = self.load(self.table, key)
        return found

    def edit(self, *key: Any) -> Row | None:
        """A row for changing in place (never its key); None when there is none."""
        found = self._rows.get(key)
        if found is None:
            if self.load is None or key in self._rows:
                return None
            found = self._rows[key] = self.load(self.table, key)
            if found is None:
                return None
        if self.before is not None and key not in self.before:
            self.before[key] = dict(found)
        self._changed[key] = None
        return found

    def put(self, row: Row) -> Row:
        """Add a row or replace the one with its key."""
        key = tuple([row[name] for name in self.table.key])
        if self.before is not None and key not in self.before:
            # A row of a growing table is only ever made once, so what was there need not be looked for.
            old = self._rows.get(key) if self.table.born else self.get(*key)
            self.before[key] = None if old is None else dict(old)
        self._rows[key] = row
        self._changed[key] = None
        return row

    def delete(self, *key: Any) -> None:
        """Remove a row; nothing happens when there is none."""
        old = self.get(*key)
        if old is not None:
            if self.before is not None:
                self.before.setdefault(key, dict(old))
            self._rows[key] = None
            self._changed[key] = None

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows in memory, by key; all of them when no row is stored elsewhere."""
        for key in sorted(key for key, row in self._rows.items() if row is not None):
            row = self._rows[key]
            assert row is not None
            yield row

    def __len__(self) -> int:
        return len(self._rows)

    def take_changes(self) -> tuple[list[Row], list[Key]]:
        """(rows to store, keys to delete) since the last call."""
        stored: list[Row] = []
        deleted: list[Key] = []
        for key in self._changed:
            row = self._rows[key]
            if row is None:
                deleted.append(key)
            else:
                stored.append(row)
        self._changed = {}
        return stored, deleted

    def take_before(self) -> dict[Key, Row | None]:
        """Changed rows as they were at the last call; from here on they are kept."""
        found, self.before = self.before or {}, {}
        return found

    def forget(self) -> None:
        """Drop all rows from memory; allowed only when nothing is changed and they can be fetched again."""
        if self._changed or self.load is None:
            raise RuntimeError(f"{self.table.name} has rows that are only in memory")
        self._rows = {}


class View:
    """All tables of all projections."""

    def __init__(self, tables: Sequence[Table], load: Load | None = None) -> None:
        self._tables = {table.name: Rows(table) for table in tables}
        self.memo: dict[str, Any] = {}
        """Values computed from rows and dropped when these change (see `projections.listings.scale`)."""
        self.fetch_with(load)

    def of(self, table: Table) -> Rows:
        """The rows of a table."""
        return self._tables[table.name]

    def tables(self) -> Iterator[Rows]:
        """Every table, in the order of the registry."""
        yield from self._tables.values()

    def fetch_with(self, load: Load | None) -> None:
        """Fetch rows that are not in memory with this from now on."""
        for rows in self._tables.values():
            rows.load = load

    def remember(self) -> None:
        """Keep from now on what rows were before they are changed (see `Rows.take_before`)."""
        for rows in self._tables.values():
            rows.take_before()

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._tables.values())
