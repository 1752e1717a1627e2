"""What a views database is, and how a row looks in it.

Law: an amount is stored as plain decimal text, without exponent or trailing zeros: one value has one
spelling, so equal views are equal byte for byte.  Times and counts are integers.  No column is a float.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from decimal import Decimal
from zlib import crc32

import orjson
import sqlite_utils

from domain.units import text
from projections.registry import MEANING, TABLES
from projections.view import AMOUNT, INT, Key, Row, Table

SOURCE = "view_source"
"""One row: the position the views stand at, and the ledger's chain there, so that views of another ledger are
noticed."""


def version() -> int:
    """`PRAGMA user_version` of views this program makes: changes with any table or with `MEANING`."""
    layout = [[t.name, list(t.columns.items()), t.key, t.indexes] for t in TABLES]
    return crc32(orjson.dumps([MEANING, layout])) & 0x7FFFFFFF


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
    db.table(SOURCE).create({"id": int, "position": int, "chain": str}, pk="id")
    db.table(SOURCE).insert({"id": 1, "position": 0, "chain": ""})
    db.execute(f"PRAGMA user_version = {version()}")


def save(db: sqlite_utils.Database, table: Table, rows: Sequence[Row], deleted: Sequence[Key]) -> None:
    """Write changed rows of a table and remove deleted ones."""
    target = db.table(table.name)
    for key in deleted:
        target.delete_where(" and ".join(f'"{name}" = ?' for name in table.key), list(key))
    if rows:
        names = list(table.columns)
        # The first of a list of lists names the columns; nothing is inferred from the data.
        values: list[Sequence[object]] = [names]
        values += [[text(v) if type(v := row[name]) is Decimal else v for name in names] for row in rows]
        target.insert_all(values, replace=True, batch_size=1000)


def loader(connection: sqlite3.Connection) -> Callable[[Table, Key], Row | None]:
    """Fetches single rows for a view."""

    def load(table: Table, key: Key) -> Row | None:
        where = " AND ".join(f'"{name}" = ?' for name in table.key)
        found = connection.execute(
            f'SELECT {_columns(table)} FROM "{table.name}" WHERE {where}', key
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
    return f'SELECT {_columns(table)} FROM "{table.name}" ORDER BY {order}'


def _columns(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.columns)
