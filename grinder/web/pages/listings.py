"""Long lists, in parts: orders and executions, newest first.

Law: a part says where the one before it begins, so a list that grows meanwhile is neither skipped nor shown
twice.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from grinder.web.pages.asked import Asked, AskedList
from grinder.web.pages.questions import WORKING, Parts, account
from grinder.web.pages.rows import number, rows


def _part(
    connection: sqlite3.Connection, table: str, place: str, asked: AskedList, where: list[str]
) -> dict[str, Any]:
    values: list[object] = []
    if asked.symbol:
        where.append("symbol = ?")
        values.append(asked.symbol.upper())
    total = number(connection, f"SELECT count(*) FROM {table} WHERE {' AND '.join(where)}", *values)
    if asked.before is not None:
        where.append(f"{place} < ?")
        values.append(asked.before)
    sql = f"SELECT * FROM {table} WHERE {' AND '.join(where)} ORDER BY {place} DESC LIMIT ?"
    found = rows(connection, sql, *values, asked.limit)
    return {
        "rows": found,
        "total": total,
        "next": found[-1][place] if len(found) == asked.limit else None,
        "symbols": [
            one["symbol"] for one in rows(connection, "SELECT symbol FROM instruments ORDER BY symbol")
        ],
    }


def orders(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Orders: those that work, those that ended, or all."""
    assert isinstance(asked, AskedList)
    where = ["requested_position IS NOT NULL"]
    if asked.status:
        where.append(WORKING if asked.status == "working" else f"NOT ({WORKING})")
    return {**account(connection), **_part(connection, "grid_orders", "requested_position", asked, where)}


def fills(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Executions."""
    assert isinstance(asked, AskedList)
    return {**account(connection), **_part(connection, "trades", "position", asked, ["1"])}
