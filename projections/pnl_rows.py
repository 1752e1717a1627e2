"""The rows of profit and loss: a symbol's, its day's and the account's, kept in step with each other.

Law: a figure changes in all three at once.  What the figures mean is said in `projections.pnl`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache

from domain.clock import DAY_NS
from projections.amounts import ZERO
from projections.inventory import POSITIONS
from projections.record import LedgerRecord
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

FIGURES = (
    "grid_profit",
    "unpaired_pnl",
    "fees",
    "funding",
    "transfers",
    "realised",
    "unrealised",
    "equity_start",
    "equity_end",
    "identity_residual",
)
_COLUMNS = dict.fromkeys(FIGURES, AMOUNT)
_STANDING = ("unpaired_pnl", "realised", "unrealised")
"""Figures that are values at a time; a day shows how much they changed in it."""

HELD = ("level_quantity", "level_cost", "unowned_quantity", "unowned_cost", "cash", "inventory", "held_value")

SYMBOLS = Table("pnl", {"symbol": TEXT, **_COLUMNS, **dict.fromkeys(HELD, AMOUNT)}, ("symbol",))
"""`equity_*` of a symbol: the cash its executions moved, and its holding at the mark; NULL before a mark."""

DAYS = Table(
    "pnl_daily",
    {"day": TEXT, "symbol": TEXT, **_COLUMNS, **{f"{name}_before": AMOUNT for name in _STANDING}},
    ("day", "symbol"),
)
"""A day begins with the clock's `DayStarted`; the marks of midnight still belong to the day before."""

TOTAL = Table(
    "pnl_total",
    {
        "id": INT,
        **_COLUMNS,
        "cash": AMOUNT,
        "held_value": AMOUNT,
        "opening_cash_units": INT,
        "started_at_ns": INT,
        "updated_at_ns": INT,
        "day": INT,
    },
    ("id",),
)


def total_row(view: View) -> Row:
    row = view.of(TOTAL).edit(1)
    assert row is not None  # `initial` made it
    return row


def residual(row: Row) -> Decimal:
    explained: Decimal = row["grid_profit"] + row["unpaired_pnl"] + row["fees"] + row["funding"]
    residual: Decimal = row["equity_end"] - row["equity_start"] - explained - row["transfers"]
    return residual


def symbol_row(view: View, symbol: str) -> Row:
    row = view.of(SYMBOLS).edit(symbol)
    if row is not None:
        return row
    held = view.of(POSITIONS).get(symbol)
    opening = held["opening_quantity"] if held else ZERO
    row = SYMBOLS.blank(symbol=symbol, **dict.fromkeys(FIGURES, ZERO), **dict.fromkeys(HELD, ZERO))
    row.update(unowned_quantity=opening, inventory=opening, equity_start=None, equity_end=None)
    return view.of(SYMBOLS).put(row)


def day_row(view: View, record: LedgerRecord, row: Row) -> Row:
    """The symbol's row of the day; a new one begins where the symbol stands now."""
    days = view.of(TOTAL).get(1)
    number = days["day"] if days and days["day"] is not None else record.ts_ns // DAY_NS
    day = _day_name(number)
    found = view.of(DAYS).edit(day, row["symbol"])
    if found is not None:
        return found
    made = DAYS.blank(day=day, symbol=row["symbol"], **dict.fromkeys(FIGURES, ZERO))
    for name in _STANDING:
        made[f"{name}_before"] = row[name]
    made["equity_start"] = made["equity_end"] = row["equity_end"]
    return view.of(DAYS).put(made)


_EPOCH = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=8)
def _day_name(number: int) -> str:
    return date.fromordinal(_EPOCH + number).isoformat()


def first_mark(view: View, record: LedgerRecord, row: Row, mark: Decimal) -> None:
    """A symbol gets its first price: what was held at the start now has a value."""
    total = total_row(view)
    worth = row["inventory"] * mark
    row["unowned_cost"] += worth
    row["held_value"] = worth
    total["held_value"] += worth
    if total["started_at_ns"] is None:
        row["equity_start"] = row["equity_end"] = worth
        total["equity_start"] += worth
        return
    row["equity_start"] = row["equity_end"] = ZERO
    for one in (row, day_row(view, record, row), total):
        one["transfers"] += worth


def flow(view: View, record: LedgerRecord, symbol: str, figure: str, change: Decimal) -> Row:
    """Add to one figure of the symbol, of its day and of the total."""
    row = priced(view, record, symbol)
    day_row(view, record, row)[figure] += change
    row[figure] += change
    total_row(view)[figure] += change
    return row


def priced(view: View, record: LedgerRecord, symbol: str) -> Row:
    """The symbol's row, after taking note of its first price."""
    row = symbol_row(view, symbol)
    if row["equity_start"] is None:
        held = view.of(POSITIONS).get(symbol)
        mark = held["mark_price"] if held else None
        if mark is None:
            mark = ZERO  # money moved for a symbol without any price: it can only hold nothing
        first_mark(view, record, row, mark)
    return row


def value(view: View, record: LedgerRecord, symbol: str) -> None:
    """Value a symbol at its mark, and what follows from it for the day and the total."""
    held = view.of(POSITIONS).get(symbol)
    if held is None or held["mark_price"] is None:
        return
    row, mark = priced(view, record, symbol), held["mark_price"]
    day, total = day_row(view, record, row), total_row(view)
    value = row["inventory"] * mark
    total["held_value"] += value - row["held_value"]
    row["held_value"] = value
    row["equity_end"] = day["equity_end"] = row["cash"] + value
    quantity = row["level_quantity"] + row["unowned_quantity"]
    unpaired = quantity * mark - row["level_cost"] - row["unowned_cost"]
    for name, now in zip(_STANDING, (unpaired, held["realized_pnl"], held["unrealized_pnl"]), strict=True):
        total[name] += now - row[name]
        row[name] = now
        day[name] = now - day[f"{name}_before"]
    row["identity_residual"] = residual(row)
    day["identity_residual"] = residual(day)


def add_up(view: View, record: LedgerRecord) -> None:
    total = total_row(view)
    total["equity_end"] = total["cash"] + total["held_value"]
    total["identity_residual"] = residual(total)
    total["updated_at_ns"] = record.ts_ns
