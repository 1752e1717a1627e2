"""Gathering a report out of a run's views and ledger.

Law: everything comes from one moment: the views are read in one transaction, the ledger up to the record they
stand at.  The few sums that no view holds (change of equity, a cycle's profit after fees) are exact.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any

from domain.instrument import Instrument
from domain.units import text
from grinder.ledger.reading import connect
from grinder.report.market import read_markets
from grinder.report.model import (
    MOST_MARKERS,
    CycleResults,
    Listing,
    Market,
    Points,
    Row,
    RunReport,
    SymbolReport,
)
from grinder.report.thinning import kept
from grinder.run_folder import RunFolder
from grinder.views.store import open_views
from projections.amounts import EXACT, ZERO, quotient
from projections.listings import Scale

LAST_ROWS = 500
"""Rows of the long tables."""

_COUNTS = """
    SELECT (SELECT count(*) FROM grid_orders WHERE status NOT IN ('blocked', 'refused')) AS orders,
           (SELECT count(*) FROM grid_orders WHERE status IN ('blocked', 'refused')) AS kept_back,
           (SELECT count(*) FROM trades) AS fills,
           (SELECT count(*) FROM cycles WHERE status = 'closed') AS cycles
"""

# With max() SQLite takes the other columns from the row that holds the maximum: the latest detail.
_UNSENT = """
    SELECT symbol, status, ifnull(reason, '') AS reason, count(*) AS orders,
           max(updated_at_ns) AS last_at_ns, ifnull(detail, '') AS detail
    FROM grid_orders WHERE status IN ('blocked', 'refused', 'rejected')
    GROUP BY symbol, status, reason ORDER BY symbol, status, reason
"""

_CYCLES = "SELECT * FROM cycles WHERE status = 'closed' ORDER BY closed_at_ns DESC, last_position DESC"
_FILLS = "SELECT * FROM trades ORDER BY executed_at_ns DESC, position DESC"
_DAYS = "SELECT * FROM pnl_daily ORDER BY day DESC, symbol"


class _Views:
    """The views of a run, read in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.row_factory = None
        connection.execute("BEGIN")

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, *values: object) -> dict[str, Any]:
        """The first row, empty when there is none."""
        found = self.rows(sql, *values)
        return found[0] if found else {}

    def column(self, sql: str, *values: object) -> list[Any]:
        return [row[0] for row in self._connection.execute(sql, values)]

    def listing(self, sql: str, table: str, where: str = "1") -> Listing:
        total = self.column(f"SELECT count(*) FROM {table} WHERE {where}")[0]
        return Listing(tuple(self.rows(f"{sql} LIMIT {LAST_ROWS}")), total)


def collect(folder: RunFolder) -> RunReport:
    """Everything a report of the run shows.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        EnvironmentFault: there are no views.
    """
    with closing(open_views(folder.path)) as db, closing(connect(folder.ledger)) as ledger:
        return _collect(folder, _Views(db.conn), ledger)


def _collect(folder: RunFolder, views: _Views, ledger: sqlite3.Connection) -> RunReport:
    manifest = folder.read_manifest()
    source = views.row("SELECT position, chain FROM view_source")
    position, head = source.get("position", 0), source.get("chain", "")
    finished = bool(manifest.get("finished"))
    last = ledger.execute("SELECT ts_ns FROM stored_events WHERE rowid = ?", (position,)).fetchone()
    account, total = views.row("SELECT * FROM accounts"), views.row("SELECT * FROM pnl_total")
    change, change_pct = _change(total)
    risk = views.row("SELECT session_drawdown_max_ppm FROM risk WHERE scope = '*'")
    equity, drawdown = _curve(views)
    return RunReport(
        name=folder.path.resolve().name,
        manifest=manifest,
        finished=finished,
        as_recorded=not finished or (manifest.get("records"), manifest.get("head")) == (position, head),
        position=position,
        head=head,
        account=account,
        started_ns=account.get("opened_at_ns"),
        ended_ns=last[0] if last else None,
        total=total,
        change=change,
        change_pct=change_pct,
        drawdown_max_ppm=risk.get("session_drawdown_max_ppm"),
        counts=views.row(_COUNTS),
        equity=equity,
        drawdown=drawdown,
        results=_results(views),
        symbols=_symbols(views, ledger, position, manifest),
        days=views.listing(_DAYS, "pnl_daily"),
        cycles=views.listing(_CYCLES, "cycles", "status = 'closed'"),
        fills=views.listing(_FILLS, "trades"),
        unsent=tuple(views.rows(_UNSENT)),
        halts=tuple(views.rows("SELECT * FROM halts ORDER BY position")),
    )


def _change(total: Row) -> tuple[str, str]:
    if not total:
        return "0", "0"
    start, end = Decimal(total["equity_start"]), Decimal(total["equity_end"])
    change = EXACT.subtract(end, start)
    return text(change), text(quotient(EXACT.multiply(change, Decimal(100)), start, 2))


def _curve(views: _Views) -> tuple[Points, Points]:
    rows = views.rows("SELECT ts_ns, equity, drawdown_ppm FROM equity_curve ORDER BY position")
    times = [row["ts_ns"] for row in rows]
    equity, drawdown = [row["equity"] for row in rows], [row["drawdown_ppm"] or 0 for row in rows]
    tops, depths = kept(equity, key=Decimal), kept(drawdown)
    return (
        ([times[at] for at in tops], [equity[at] for at in tops]),
        ([times[at] for at in depths], [str(drawdown[at]) for at in depths]),
    )


def _results(views: _Views) -> CycleResults:
    rows = views.rows("SELECT profit, fees, opened_at_ns, closed_at_ns FROM cycles WHERE status = 'closed'")
    return CycleResults(
        profits=[net_of(row) for row in rows],
        durations_ns=[row["closed_at_ns"] - row["opened_at_ns"] for row in rows],
    )


def net_of(cycle: Row) -> str:
    """What a cycle made after fees; fees are negative when paid."""
    return _sum_of(cycle, ("profit", "fees"))


def trading_result(day: Row) -> str:
    """What trading changed equity by in a day or a run."""
    return _sum_of(day, ("grid_profit", "unpaired_pnl", "fees", "funding"))


def _sum_of(row: Row, names: tuple[str, ...]) -> str:
    total = ZERO
    for name in names:
        total = EXACT.add(total, Decimal(row[name]))
    return text(total)


# --- symbols -------------------------------------------------------------------------------------------


def _symbols(
    views: _Views, ledger: sqlite3.Connection, position: int, manifest: Mapping[str, Any]
) -> tuple[SymbolReport, ...]:
    listed = {row["symbol"]: row for row in views.rows("SELECT * FROM instruments ORDER BY symbol")}
    scales = {symbol: Scale(Instrument(**row)) for symbol, row in listed.items()}
    opening = views.rows("SELECT symbol, base_units FROM opening_holdings")
    held = {row["symbol"]: row["base_units"] for row in opening}
    markets = read_markets(ledger, position, scales, held)
    notes = manifest.get("data", {}).get("symbols", {})
    return tuple(
        _symbol(views, symbol, listed[symbol], markets[symbol], notes.get(symbol, {})) for symbol in listed
    )


def _symbol(
    views: _Views, symbol: str, instrument: Row, market: Market, note: Mapping[str, Any]
) -> SymbolReport:
    levels = views.rows("SELECT buy_price, sell_price FROM grid_levels WHERE symbol = ?", symbol)
    prices = {price for level in levels for price in level.values()}
    fills = views.rows("SELECT * FROM trades WHERE symbol = ? ORDER BY position", symbol)
    step = -(-len(fills) // MOST_MARKERS) or 1
    return SymbolReport(
        name=symbol,
        instrument=instrument,
        grid=views.row("SELECT * FROM grid_configs WHERE symbol = ?", symbol) or None,
        pnl=views.row("SELECT * FROM pnl WHERE symbol = ?", symbol),
        position=views.row("SELECT * FROM positions WHERE symbol = ?", symbol),
        prices_of_levels=tuple(sorted(prices, key=Decimal)),
        fills=tuple(fills[::step]),
        fills_step=step,
        skipped=tuple(views.rows("SELECT * FROM skipped_levels WHERE symbol = ? ORDER BY place", symbol)),
        market=market,
        note=note,
    )
