"""Long lists, in parts: orders, executions and decisions, newest first.

Law: a part says where the one before it begins, so a list that grows meanwhile is neither skipped nor shown
twice.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from grinder.web.pages.asked import Asked, AskedList
from grinder.web.pages.questions import COUNT_WORKING, Parts, account
from grinder.web.pages.rows import number, rows
from projections.decisions import LISTS
from projections.orders import WORKING


def _part(
    connection: sqlite3.Connection,
    table: str,
    place: str,
    asked: AskedList,
    condition: str,
    total: int,
    *of_condition: object,
) -> dict[str, Any]:
    where, values = [condition], list(of_condition)
    if asked.symbol:
        where.append("symbol = ?")
        values.append(asked.symbol.upper())
    if asked.before is not None:
        where.append(f"{place} < ?")
        values.append(asked.before)
    # The few that work are found by their index and sorted; all others are read in the order of theirs.
    order = f"+{place}" if condition == WORKING else place
    sql = f"SELECT * FROM {table} WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?"
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
    condition, total = "1", _counted(connection, "orders", asked)
    if asked.status:
        working = _working(connection, asked)
        condition, total = (
            (WORKING, working) if asked.status == "working" else (f"NOT ({WORKING})", total - working)
        )
    part = _part(connection, "grid_orders", "requested_position", asked, condition, total)
    return {**account(connection), **part}


def _working(connection: sqlite3.Connection, asked: AskedList) -> int:
    if asked.symbol:
        return number(connection, f"{COUNT_WORKING} AND symbol = ?", asked.symbol.upper())
    return number(connection, COUNT_WORKING)


def _counted(connection: sqlite3.Connection, name: str, asked: AskedList) -> int:
    sql = f"SELECT sum({name}) FROM counts"
    if asked.symbol:
        return number(connection, f"{sql} WHERE symbol = ?", asked.symbol.upper())
    return number(connection, sql)


def fills(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Executions."""
    assert isinstance(asked, AskedList)
    part = _part(connection, "trades", "position", asked, "1", _counted(connection, "fills", asked))
    return {**account(connection), **part}


def decisions(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Decisions, of one action where one is asked for."""
    assert isinstance(asked, AskedList)
    condition, wanted, total = "1", list[object](), _counted(connection, "decisions", asked)
    if asked.status:
        condition, wanted = "action = ?", [asked.status]
        total = _acted(connection, asked)
    part = _part(connection, "decisions", "position", asked, condition, total, *wanted)
    for row in part["rows"]:
        row.update({name: msgspec.json.decode(row[name]) for name in LISTS})
    return {**account(connection), **part}


def _acted(connection: sqlite3.Connection, asked: AskedList) -> int:
    sql = "SELECT count(*) FROM decisions WHERE action = ?"
    if asked.symbol:
        return number(connection, f"{sql} AND symbol = ?", asked.status, asked.symbol.upper())
    return number(connection, sql, asked.status)
