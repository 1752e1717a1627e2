"""What a views database is, and how a row looks in it.

Law: an amount is stored as plain decimal text, without exponent or trailing zeros: one value has one
spelling, so equal views are equal byte for byte.  Times and counts are integers.  No column is a float.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from secrets import token_hex
from typing import Any
from zlib import crc32

import orjson
import sqlite_utils

from domain.units import text
from grinder.views import past
from projections.registry import MEANING, TABLES
from projections.view import AMOUNT, INT, Key, Row, Table

SOURCE = "view_source"
"""One row: the position the views stand at, and the ledger's chain there, so that views of another ledger are
noticed; `made` is another each time the views begin anew."""


def version() -> int:
    """`PRAGMA user_version` of views this program makes: changes with any table or with `MEANING`."""
    layout = [
        [t.name, list(t.columns.items()), t.key, t.indexes, t.born, t.settled, t.partial] for t in TABLES
    ]
    return crc32(orjson.dumps([MEANING, past.LAYOUT, layout])) & 0x7FFFFFFF


def wrap(connection: sqlite3.Connection) -> sqlite_utils.Database:
    """sqlite-utils on a connection, without anything that plugins of other programs may add to it."""
    return sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False, strict=True)


def drop_tables(db: sqlite_utils.Database) -> None:
    """Drop every table there is."""
    for name in db.table_names():
        if not name.startswith("sqlite_"):
            db.execute(f'DROP TABLE "{name}"')


def create_tables(db: sqlite_utils.Database) -> None:
    """Create all tables, empty, standing before the first record."""
    for table in TABLES:
        columns = {name: int if kind == INT else str for name, kind in table.columns.items()}
        made = db.table(table.name).create(columns, pk=table.key if len(table.key) > 1 else table.key[0])
        for index in table.indexes:
            made.create_index(list(index))
        for columns_, condition in table.partial:
            name = f"idx_{table.name}_some_{'_'.join(columns_)}"
            db.execute(f'CREATE INDEX "{name}" ON "{table.name}" ({", ".join(columns_)}) WHERE {condition}')
    db.table(SOURCE).create({"id": int, "position": int, "chain": str, "made": str}, pk="id")
    db.table(SOURCE).insert({"id": 1, "position": 0, "chain": "", "made": token_hex(16)})
    past.create(db.conn)
    db.execute(f"PRAGMA user_version = {version()}")


def save(db: sqlite_utils.Database, table: Table, rows: Sequence[Row], deleted: Sequence[Key]) -> None:
    """Write changed rows of a table and remove deleted ones."""
    for key in deleted:
        db.table(table.name).delete_where(" and ".join(f'"{name}" = ?' for name in table.key), list(key))
    if rows:
        marks = ", ".join("?" * len(table.columns))
        # A sixth of the time of sqlite-utils, which looks at every value for what it cannot be here.
        db.conn.executemany(
            f'INSERT OR REPLACE INTO "{table.name}" ({columns_of(table)}) VALUES ({marks})',
            [stored(table, row) for row in rows],
        )


def stored(table: Table, row: Mapping[str, Any]) -> list[object]:
    """A row as it is stored, in the order of the columns."""
    return [text(v) if type(v := row[name]) is Decimal else v for name in table.columns]


def loader(connection: sqlite3.Connection) -> Callable[[Table, Key], Row | None]:
    """Fetches single rows for a view."""

    def load(table: Table, key: Key) -> Row | None:
        where = " AND ".join(f'"{name}" = ?' for name in table.key)
        found = connection.execute(
            f'SELECT {columns_of(table)} FROM "{table.name}" WHERE {where}', key
        ).fetchone()
        return None if found is None else row_of(table, found)

    return load


def row_of(table: Table, stored: Sequence[object]) -> Row:
    """A stored row as projections know it."""
    return {
        name: Decimal(str(value)) if kind == AMOUNT and value is not None else value
        for (name, kind), value in zip(table.columns.items(), stored, strict=True)
    }


def select_all(table: Table) -> str:
    """All rows of a table in the order of its key."""
    order = ", ".join(f'"{name}"' for name in table.key)
    return f'SELECT {columns_of(table)} FROM "{table.name}" ORDER BY {order}'


def columns_of(table: Table) -> str:
    """The columns of a table, as SQL."""
    return ", ".join(f'"{name}"' for name in table.columns)
