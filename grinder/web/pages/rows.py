"""Rows of a view as they are answered.

Law: amounts stay the decimal text they are stored as; times stay whole nanoseconds, as text, because a
browser's numbers cannot hold them.
"""

from __future__ import annotations

import sqlite3
from typing import Any

Row = dict[str, Any]


def told(row: Row) -> Row:
    """A row with its times as text."""
    return {
        name: str(value) if isinstance(value, int) and name.endswith(("_ns", "_units")) else value
        for name, value in row.items()
    }


def rows(connection: sqlite3.Connection, sql: str, *values: object) -> list[Row]:
    """Every row of a question."""
    found = connection.execute(sql, values)
    names = [column[0] for column in found.description]
    return [told(dict(zip(names, row, strict=True))) for row in found]


def row(connection: sqlite3.Connection, sql: str, *values: object) -> Row | None:
    """The first row, if there is one."""
    return next(iter(rows(connection, sql, *values)), None)


def number(connection: sqlite3.Connection, sql: str, *values: object) -> int:
    """A single count; 0 where there is none."""
    found = connection.execute(sql, values).fetchone()
    return int(found[0] or 0) if found else 0
