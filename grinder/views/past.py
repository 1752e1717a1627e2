"""What rows of the views were before they changed, so that views can be shown as of any record.

Law: written in the transaction that changes the rows, so it can be neither ahead of them nor behind, and
thrown away with them.  Boundaries lie `STEP` records apart; of a row that changed between two of them, what
it was at the first is kept once, with the boundaries it was so at.  Whatever is not kept is as it is now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from projections.view import Key, Table

LAYOUT: Final = 1
"""Raise it when what is kept changes its form."""

STEP: Final = 1000
"""Records between two boundaries: at most so many are applied to go from one to a record."""

MOST: Final = 4_000_000
"""Kept rows, about 1 GB; beyond it every second boundary is given up."""

_LOOK_EVERY: Final = 64
"""Boundaries between two looks at how many rows are kept."""

NAME: Final = "past"

_STATEMENTS: Final = (
    f"CREATE TABLE {NAME} (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL,"
    " since INTEGER NOT NULL, until INTEGER NOT NULL, state TEXT)",
    f"CREATE UNIQUE INDEX {NAME}_rows ON {NAME} (kind, key, until)",
    f"CREATE INDEX {NAME}_times ON {NAME} (until, since)",
    f"CREATE TABLE {NAME}_apart (id INTEGER PRIMARY KEY CHECK (id = 1), boundaries INTEGER NOT NULL)",
    f"INSERT INTO {NAME}_apart VALUES (1, 1)",
)

# The first to tell of a row between two boundaries tells what it was at the first of them.
_INSERT: Final = (
    f"INSERT OR IGNORE INTO {NAME} (kind, key, since, until, state) VALUES (?1, ?2,"
    f" ifnull((SELECT max(until) + 1 FROM {NAME} WHERE kind = ?1 AND key = ?2), ?3), ?4, CAST(?5 AS TEXT))"
)

_SELECT: Final = (
    "SELECT id, kind, key, CAST(state AS BLOB) FROM {schema}." + NAME + " INDEXED BY " + NAME + "_times"
    " WHERE until >= ? AND since <= ? AND id > ?"
)

Change = tuple[Key, Mapping[str, Any] | None, Mapping[str, Any] | None]
"""(key, row at the boundary or None, row now or None)."""

Kept = tuple[int, int, Key, list[Any] | None]
"""(number, place of the table in the registry, key, stored row or None if there was none)."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, empty."""
    for statement in _STATEMENTS:
        connection.execute(statement)


def boundary_before(position: int) -> int:
    """Number of the last boundary at or before the state that the record at `position` changes."""
    return (position - 1) // STEP


def next_boundary(position: int) -> int:
    """The first position after this one that is a boundary."""
    return (position // STEP + 1) * STEP


def keep(
    connection: sqlite3.Connection,
    kind: int,
    table: Table,
    changes: Iterable[Change],
    boundary: int,
    stored: Callable[[Table, Mapping[str, Any]], Sequence[object]],
) -> None:
    """Keep what rows were at a boundary.

    Args:
        changes: (key, row at the boundary or None, row now or None); all of them after this boundary and not
            after the next.
    """
    connection.executemany(_INSERT, _told(kind, table, changes, boundary, stored))


def _told(
    kind: int,
    table: Table,
    changes: Iterable[Change],
    boundary: int,
    stored: Callable[[Table, Mapping[str, Any]], Sequence[object]],
) -> Iterator[tuple[int, str, int, int, bytes | None]]:
    for key, before, after in changes:
        if before == after:
            continue
        since = 0
        if table.born:
            # A row that was made since needs no note: its own column says that it was not there.
            if before is None or before[table.born] > boundary * STEP:
                continue
            since = boundary_before(before[table.born]) + 1
        state = None if before is None else orjson.dumps(stored(table, before))
        yield kind, orjson.dumps(key).decode(), since, boundary, state


def limit(connection: sqlite3.Connection, position: int) -> None:
    """Give up every second boundary while too much is kept; looked at now and then."""
    if position % (STEP * _LOOK_EVERY):
        return
    while connection.execute(f"SELECT count(*) FROM {NAME}").fetchone()[0] > MOST:
        apart = boundaries_apart(connection, "main") * 2
        connection.execute(f"UPDATE {NAME}_apart SET boundaries = ?", (apart,))
        connection.execute(f"DELETE FROM {NAME} WHERE until / ? * ? < since", (apart, apart))


def boundaries_apart(connection: sqlite3.Connection, schema: str) -> int:
    """Every how many boundaries rows are kept."""
    return int(connection.execute(f"SELECT boundaries FROM {schema}.{NAME}_apart").fetchone()[0])


def kept_at(connection: sqlite3.Connection, schema: str, boundary: int, after: int = 0) -> Iterator[Kept]:
    """Every row that is different now from what it was at a boundary, kept later than number `after`."""
    for number, kind, key, state in connection.execute(
        _SELECT.format(schema=schema), (boundary, boundary, after)
    ):
        yield number, kind, tuple(orjson.loads(key)), None if state is None else orjson.loads(state)
