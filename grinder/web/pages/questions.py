"""What the pages ask of the views: one function a page, all of its figures from one state.

Law: reads rows that projections made; adds nothing up that a projection has not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from grinder.web.pages.asked import Asked
from grinder.web.pages.rows import number, row, rows
from grinder.web.problems import Problem
from projections.orders import WORKING

COUNT_WORKING = f"SELECT count(*) FROM grid_orders WHERE {WORKING} AND symbol IN (SELECT symbol FROM counts)"

NEWEST_FILLS = "SELECT * FROM trades ORDER BY position DESC LIMIT 12"

_GRIDS = f"""
    SELECT c.*, p.quantity AS inventory, p.mark_price, p.avg_entry_price,
           n.grid_profit, n.unpaired_pnl, n.fees, n.funding, n.held_value, n.equity_start, n.equity_end,
           i.base, i.quote, i.kind, i.tick, i.lot,
           (SELECT state FROM risk r WHERE r.scope = c.symbol) AS risk_state,
           (SELECT halt_reason FROM risk r WHERE r.scope = c.symbol) AS halt_reason,
           ifnull(m.fills, 0) AS fills, ifnull(m.cycles_closed, 0) AS cycles_closed,
           (SELECT count(*) FROM grid_orders o WHERE o.symbol = c.symbol AND o.side = 'buy' AND {WORKING})
               AS pending_buys,
           (SELECT count(*) FROM grid_orders o WHERE o.symbol = c.symbol AND o.side = 'sell' AND {WORKING})
               AS pending_sells,
           (SELECT count(*) FROM grid_levels l WHERE l.symbol = c.symbol
               AND l.phase IN ('HOLDING', 'SELL_PLACED') AND l.opening = 'buy'
               OR l.symbol = c.symbol AND l.phase IN ('HOLDING', 'BUY_PLACED') AND l.opening = 'sell')
               AS filled_levels
    FROM grid_configs c
    LEFT JOIN positions p USING (symbol) LEFT JOIN pnl n USING (symbol) LEFT JOIN instruments i USING (symbol)
    LEFT JOIN counts m USING (symbol)
"""

_PAUSES = """
    SELECT h.* FROM halts h WHERE h.kind = 'paused' AND NOT EXISTS (
        SELECT 1 FROM halts r WHERE r.kind = 'resumed' AND r.position > h.position
        AND ifnull(r.symbol, '') = ifnull(h.symbol, '')) ORDER BY h.position DESC LIMIT 20
"""

Parts = Mapping[str, str]


def account(connection: sqlite3.Connection) -> dict[str, Any]:
    """What every page's head shows: money, risk and the time of the last figure."""
    return {
        "account": row(connection, "SELECT * FROM accounts") or {},
        "total": row(connection, "SELECT * FROM pnl_total") or {},
        "limits": row(connection, "SELECT * FROM risk WHERE scope = '*'") or {},
        "pauses": rows(connection, _PAUSES),
    }


def overview(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """The account at a glance."""
    return {
        **account(connection),
        "grids": rows(connection, f"{_GRIDS} ORDER BY c.symbol"),
        "fills": rows(connection, NEWEST_FILLS),
        "counts": {
            "working": number(connection, COUNT_WORKING),
            "unknown": number(connection, "SELECT count(*) FROM grid_orders WHERE status = 'unknown'"),
            "fills": number(connection, "SELECT sum(fills) FROM counts"),
            "cycles": number(connection, "SELECT sum(cycles_closed) FROM counts"),
            "differences": number(connection, "SELECT count(*) FROM differences"),
        },
        "days": rows(connection, "SELECT * FROM pnl_daily ORDER BY day DESC, symbol LIMIT 60"),
    }


def grids(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Every grid."""
    return {**account(connection), "grids": rows(connection, f"{_GRIDS} ORDER BY c.symbol")}


def grid(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """One grid."""
    symbol = parts["symbol"].upper()
    found = row(connection, f"{_GRIDS} WHERE c.symbol = ?", symbol)
    if found is None:
        raise Problem(404, "grid.unknown", "there is no such grid at this record", value=symbol)
    return {
        **account(connection),
        "grid": found,
        "levels": rows(connection, "SELECT * FROM grid_levels WHERE symbol = ? ORDER BY grid_level", symbol),
        "skipped": rows(connection, "SELECT * FROM skipped_levels WHERE symbol = ? ORDER BY place", symbol),
        "cycles": rows(
            connection, "SELECT * FROM cycles WHERE symbol = ? ORDER BY last_position DESC LIMIT 60", symbol
        ),
        "fills": rows(
            connection,
            "SELECT * FROM trades WHERE symbol = ? ORDER BY position DESC LIMIT 60",
            symbol,
        ),
        "orders": working_orders(connection, symbol),
    }


def working_orders(connection: sqlite3.Connection, symbol: str) -> list[dict[str, Any]]:
    """Orders of a symbol that may still be executed."""
    sql = f"SELECT * FROM grid_orders WHERE symbol = ? AND {WORKING} ORDER BY grid_level"
    return rows(connection, sql, symbol)


def balances(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """What the books hold: money, and every symbol's holding at its mark."""
    sql = """
        SELECT i.symbol, i.base, i.quote, i.kind, p.quantity, p.opening_quantity, p.avg_entry_price,
               p.mark_price, p.total_invested, p.realized_pnl, p.unrealized_pnl, p.updated_at_ns,
               n.cash, n.held_value, n.fees, n.funding, n.transfers
        FROM instruments i LEFT JOIN positions p USING (symbol) LEFT JOIN pnl n USING (symbol)
        ORDER BY i.symbol
    """
    return {
        **account(connection),
        "holdings": rows(connection, sql),
        "assets": rows(connection, "SELECT * FROM assets ORDER BY asset"),
    }


def risk(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Limits, how much of them is used, what they stopped."""
    return {
        **account(connection),
        "scopes": rows(connection, "SELECT * FROM risk ORDER BY scope"),
        "blocks": rows(connection, "SELECT * FROM order_blocks ORDER BY last_at_ns DESC"),
        "halts": rows(connection, "SELECT * FROM halts ORDER BY position DESC LIMIT 200"),
    }


def reconciliation(connection: sqlite3.Connection, asked: Asked, parts: Parts) -> dict[str, Any]:
    """Comparisons with the exchange and what they found."""
    return {
        **account(connection),
        "comparisons": rows(connection, "SELECT * FROM reconciliations ORDER BY position DESC LIMIT 200"),
        "compared": number(connection, "SELECT count(*) FROM reconciliations"),
        "differences": rows(connection, "SELECT * FROM differences ORDER BY position DESC LIMIT 200"),
        "streams": rows(connection, "SELECT * FROM streams ORDER BY stream"),
        "tape": rows(connection, "SELECT * FROM tape_segments ORDER BY first_ns DESC LIMIT 100"),
    }
