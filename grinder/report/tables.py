"""The page's tables: symbols, days, cycles, fills, what was not sent, halts.

Law: one column, one field of a view; the few sums are made by `grinder.report.collect`.
"""

from __future__ import annotations

from collections.abc import Iterator

from grinder.report.collect import net_of, trading_result
from grinder.report.elements import (
    NOTHING,
    Column,
    Html,
    Show,
    amounts,
    listing,
    plain,
    span,
    table,
    tag,
    times,
)
from grinder.report.model import Row, RunReport, SymbolReport

_TOOK: Show = span

SYMBOLS = (
    Column("symbol", "symbol"),
    amounts("holding", "quantity"),
    amounts("average price", "avg_entry_price"),
    amounts("mark", "mark_price"),
    amounts("grid profit", "grid_profit", signed=True),
    amounts("unpaired PnL", "unpaired_pnl", signed=True),
    amounts("fees", "fees", signed=True),
    amounts("funding", "funding", signed=True),
    amounts("result", trading_result, signed=True),
    amounts("realised", "realised", signed=True),
    amounts("unrealised", "unrealised", signed=True),
)

DAYS = (
    Column("day", "day"),
    Column("symbol", "symbol"),
    amounts("grid profit", "grid_profit", signed=True),
    amounts("unpaired PnL", "unpaired_pnl", signed=True),
    amounts("fees", "fees", signed=True),
    amounts("funding", "funding", signed=True),
    amounts("result", trading_result, signed=True),
)

CYCLES = (
    times("closed, UTC", "closed_at_ns"),
    Column("symbol", "symbol"),
    amounts("level", "grid_level"),
    amounts("cycle", "cycle"),
    Column("opened by", "side"),
    amounts("quantity", "quantity_closed"),
    amounts("opened at", "open_price_avg"),
    amounts("closed at", "close_price_avg"),
    amounts("profit", "profit", signed=True),
    amounts("fees", "fees", signed=True),
    amounts("after fees", net_of, signed=True),
    Column("took", lambda row: row["closed_at_ns"] - row["opened_at_ns"], _TOOK, "num"),
)

FILLS = (
    times("time, UTC", "executed_at_ns"),
    Column("symbol", "symbol"),
    Column("side", "side"),
    Column("role", "role"),
    amounts("level", "grid_level"),
    amounts("price", "price"),
    amounts("quantity", "quantity"),
    amounts("value", "total"),
    amounts("fee", "fee"),
    Column("fee in", "fee_asset"),
    amounts("profit", "pnl", signed=True),
    Column("liquidity", "liquidity"),
    Column("fill", "exchange_trade_id"),
)

UNSENT = (
    Column("symbol", "symbol"),
    Column("what", "status"),
    Column("reason", "reason"),
    amounts("orders", "orders"),
    times("last, UTC", "last_at_ns"),
    Column("latest detail", "detail", kind="text"),
)

HALTS = (
    times("time, UTC", "ts_ns"),
    Column("what", lambda row: row["kind"].replace("_", " ")),
    Column("symbol", "symbol"),
    Column("reason", "reason"),
    amounts("equity", "equity"),
    amounts("high", "high_water"),
    amounts("price", "price"),
    Column("operator", "operator"),
)

SKIPPED = (
    amounts("ladder place", "ladder_index"),
    amounts("buy", "buy_price"),
    amounts("sell", "sell_price"),
    amounts("quantity", "quantity"),
    Column("reason", "reason", kind="text"),
)


def per_symbol(report: RunReport) -> Html:
    """The totals of every symbol."""
    rows: list[Row] = [
        {**symbol.position, **symbol.pnl} for symbol in report.symbols if symbol.pnl and symbol.position
    ]
    if not rows:
        return NOTHING
    return tag("section", f"<h3>Symbols</h3>{table(SYMBOLS, rows)}", "card")


def skipped_levels(symbol: SymbolReport) -> Html:
    """The levels that the ladder left out, and why."""
    title = f"Skipped levels of {symbol.name}"
    return listing(title, SKIPPED, symbol.skipped, len(symbol.skipped), opened=True)


def run_tables(report: RunReport) -> Iterator[Html]:
    """The tables of the run."""
    if report.halts:
        yield listing("Halts", HALTS, report.halts, len(report.halts), opened=True)
    kept_back = sum(row["orders"] for row in report.unsent)
    title = f"{kept_back:,} orders blocked, refused or rejected, by reason"
    yield listing(title, UNSENT, report.unsent, None, opened=True)
    if len(report.symbols) == 1:
        yield per_symbol(report)
    yield listing("Days", DAYS, report.days.rows, report.days.total, opened=False)
    yield listing("Cycles", CYCLES, report.cycles.rows, report.cycles.total, opened=False)
    yield listing("Fills", FILLS, report.fills.rows, report.fills.total, opened=False)
    if not report.fills.total:
        yield tag("p", plain("Nothing was filled in this run."), "note")
