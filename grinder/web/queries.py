"""Questions to the views: lists with pages, and the figures that are put together from several tables.

Law: SQL with bound values only; names of columns come from the projections' own tables.  Amounts stay the
decimal text they are stored as.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from grinder.web.runs import position_of
from projections.counts import COUNTS
from projections.cycles import CYCLES
from projections.decisions import DECISIONS, LISTS
from projections.equity import CURVE
from projections.fills import TRADES
from projections.grids import CONFIGS
from projections.inventory import POSITIONS
from projections.levels import LEVELS, SKIPPED
from projections.listings import INSTRUMENTS
from projections.orders import ORDERS, WORKING
from projections.pnl_rows import DAYS, SYMBOLS, TOTAL
from projections.reconciliation import COMPARISONS, DIFFERENCES, STREAMS
from projections.risk_rows import ACCOUNT_SCOPE, BLOCKS, HALTS, RISK
from projections.view import Table

LARGEST_PAGE: Final = 1000

Row = dict[str, Any]


@attrs.frozen
class Listing:
    """A table that is read in pages.

    Attributes:
        order: the column that orders it, a record's position; unique.
        filters: columns a request may ask an exact value of.
        lists: columns that hold a list as JSON, answered as lists.
    """

    table: Table
    order: str
    filters: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


LISTINGS: Final[dict[str, Listing]] = {
    "orders": Listing(ORDERS, "requested_position", ("symbol", "status", "side")),
    "trades": Listing(TRADES, "position", ("symbol", "side")),
    "cycles": Listing(CYCLES, "first_position", ("symbol", "status")),
    "equity": Listing(CURVE, "position", ("kind",)),
    "reconciliations": Listing(COMPARISONS, "position"),
    "decisions": Listing(DECISIONS, "position", ("symbol", "action"), LISTS),
    "halts": Listing(HALTS, "position", ("symbol", "kind")),
}


def rows(connection: sqlite3.Connection, statement: str, values: Sequence[Any] = ()) -> list[Row]:
    """Rows by column name."""
    cursor = connection.execute(statement, values)
    names = [one[0] for one in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def whole(
    connection: sqlite3.Connection, table: Table, where: str = "", values: Sequence[Any] = ()
) -> list[Row]:
    """All rows of a small table, by its key."""
    order = ", ".join(table.key)
    return rows(
        connection, f"SELECT * FROM {table.name} {where} ORDER BY {order} LIMIT {LARGEST_PAGE}", values
    )


def page(
    connection: sqlite3.Connection,
    listing: Listing,
    *,
    limit: int,
    cursor: int | None,
    oldest_first: bool,
    only: Mapping[str, str],
) -> dict[str, Any]:
    """One page of a listing: ``items``, and ``next`` to go on with (None at the end)."""
    column, table = listing.order, listing.table
    asked = {name: only[name] for name in listing.filters if only.get(name)}
    where = [f"{name} = ?" for name in asked]
    values: list[Any] = list(asked.values())
    if cursor is not None:
        where.append(f"{column} {'>' if oldest_first else '<'} ?")
        values.append(cursor)
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    direction = "ASC" if oldest_first else "DESC"
    found = rows(
        connection,
        f"SELECT * FROM {table.name} {condition} ORDER BY {column} {direction} LIMIT ?",
        (*values, limit + 1),
    )
    items = found[:limit]
    for row in items:
        row.update({name: msgspec.json.decode(row[name]) for name in listing.lists})
    return {"items": items, "next": items[-1][column] if len(found) > limit else None}


# --- figures -----------------------------------------------------------------------------------------------

_WORKING = """
    (SELECT count(*) FROM grid_orders o WHERE o.symbol = g.symbol AND o.closed_position IS NULL
        AND o.side = '{side}' AND {working}
        AND o.status IN ('open', 'partially_filled', 'pending', 'unknown'))"""

_GRIDS = f"""
    SELECT g.symbol AS symbol, g.status AS status, p.mark_price AS current_price,
        g.lower_price AS lower, g.upper_price AS upper, g.grid_count AS grid_count,
        (SELECT count(*) FROM {LEVELS.name} l WHERE l.symbol = g.symbol AND l.held <> '0') AS filled_levels,
        {_WORKING.format(side="buy", working=WORKING)} AS pending_buys,
        {_WORKING.format(side="sell", working=WORKING)} AS pending_sells,
        ifnull(m.buys, 0) AS total_buys, ifnull(m.sells, 0) AS total_sells,
        ifnull(n.realised, '0') AS realized_pnl, ifnull(n.grid_profit, '0') AS grid_profit,
        ifnull(n.unpaired_pnl, '0') AS unpaired_pnl, ifnull(p.quantity, '0') AS inventory,
        ifnull(m.cycles_closed, 0) AS cycles,
        g.stop_reason AS stop_reason, max(g.updated_at_ns, ifnull(p.updated_at_ns, 0)) AS last_update
    FROM {CONFIGS.name} g
    LEFT JOIN {POSITIONS.name} p ON p.symbol = g.symbol
    LEFT JOIN {SYMBOLS.name} n ON n.symbol = g.symbol
    LEFT JOIN {COUNTS.name} m ON m.symbol = g.symbol
"""


def grids(connection: sqlite3.Connection, symbol: str = "") -> list[Row]:
    """The state of every grid, or of one; a grid that may not order is ``paused``."""
    where, values = ("WHERE g.symbol = ?", (symbol,)) if symbol else ("", ())
    found = rows(connection, f"{_GRIDS} {where} ORDER BY g.symbol", values)
    held = pauses(connection)
    for row in found:
        row["pauses"] = [*held.get("", ()), *held.get(row["symbol"], ())]
        if row["pauses"] and row["status"] in ("running", "initialized"):
            row["status"] = "paused"
    return found


def grid(connection: sqlite3.Connection, symbol: str) -> Row | None:
    """One grid with its levels, its configuration and what is skipped; None when there is none."""
    found = grids(connection, symbol)
    if not found:
        return None
    only, values = "WHERE symbol = ?", (symbol,)
    return {
        **found[0],
        "config": whole(connection, CONFIGS, only, values)[0],
        "levels": whole(connection, LEVELS, only, values),
        "skipped": whole(connection, SKIPPED, only, values),
        "instrument": next(iter(whole(connection, INSTRUMENTS, only, values)), None),
    }


def pauses(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Reasons that hold orders back, by symbol; an empty symbol is all of them."""
    held: dict[str, list[str]] = {}
    found = rows(
        connection,
        f"SELECT kind, symbol, reason FROM {HALTS.name}"
        " WHERE kind IN ('paused', 'resumed') ORDER BY position",
    )
    for row in found:
        reasons = held.setdefault(row["symbol"] or "", [])
        if row["kind"] == "paused":
            if row["reason"] not in reasons:
                reasons.append(row["reason"])
        else:
            ended = str(row["reason"]).split(", ")
            reasons[:] = [one for one in reasons if one not in ended]
    return {symbol: reasons for symbol, reasons in held.items() if reasons}


def total(connection: sqlite3.Connection) -> Row:
    """Profit and loss of the account; empty before the first record."""
    return next(iter(rows(connection, f"SELECT * FROM {TOTAL.name}")), {})


def pnl(connection: sqlite3.Connection, days: int) -> dict[str, Any]:
    """Profit and loss: in all, by symbol, and of the latest days."""
    daily = rows(connection, f"SELECT * FROM {DAYS.name} ORDER BY day DESC, symbol LIMIT ?", (days,))
    return {"total": total(connection), "symbols": whole(connection, SYMBOLS), "daily": daily}


def risk(connection: sqlite3.Connection) -> dict[str, Any]:
    """Equity, drawdown, limits and how far they are used, halts and pauses."""
    found = whole(connection, RISK)
    account = next((row for row in found if row["scope"] == ACCOUNT_SCOPE), {})
    totals = total(connection)
    return {
        "equity": totals.get("equity_end"),
        "initial": totals.get("equity_start"),
        "drawdown_ppm": account.get("session_drawdown_ppm"),
        "daily_drawdown_ppm": account.get("daily_drawdown_ppm"),
        "kill_switch": account.get("state") == "halted",
        "halt_reason": account.get("halt_reason"),
        "pauses": pauses(connection),
        "account": account,
        "symbols": [row for row in found if row["scope"] != ACCOUNT_SCOPE],
        "limits_use": _use(account, found),
        "blocks": whole(connection, BLOCKS),
        "halts": rows(connection, f"SELECT * FROM {HALTS.name} ORDER BY position DESC LIMIT 100"),
    }


def _use(account: Row, found: Sequence[Row]) -> dict[str, Any]:
    """Used and allowed, of every limit that is set."""
    use: dict[str, Any] = {}
    for name in ("session_drawdown", "daily_drawdown"):
        if account.get(f"{name}_limit_ppm"):
            use[f"{name}_ppm"] = {"used": account[f"{name}_ppm"], "limit": account[f"{name}_limit_ppm"]}
    if account.get("inventory_limit"):
        used = [Decimal(row["inventory_used"] or 0) for row in found if row["scope"] != ACCOUNT_SCOPE]
        use["inventory"] = {"used": f"{max(used, default=Decimal(0)):f}", "limit": account["inventory_limit"]}
    return use


def reconciliation(connection: sqlite3.Connection) -> dict[str, Any]:
    """The last comparison, what differed, and the state of every stream."""
    return {
        "differences": rows(connection, f"SELECT * FROM {DIFFERENCES.name} ORDER BY position DESC LIMIT 200"),
        "streams": whole(connection, STREAMS),
    }


def prices(connection: sqlite3.Connection) -> list[Row]:
    """The price every holding is valued at."""
    return rows(
        connection,
        f"SELECT symbol, mark_price AS price, updated_at_ns AS ts_ns FROM {POSITIONS.name} ORDER BY symbol",
    )


def is_open(connection: sqlite3.Connection) -> bool:
    """Whether the books of an account were opened."""
    found = connection.execute("SELECT opened_at_ns FROM accounts").fetchone()
    return found is not None and found[0] is not None


def place(connection: sqlite3.Connection) -> int:
    """The record these views stand at."""
    return position_of(connection)
