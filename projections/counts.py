"""How many: orders, executions, cycles and decisions of every symbol.

Law: counted where their rows are made, so a count is what counting the rows would give, without doing it.
"""

from __future__ import annotations

from projections.record import Handlers, LedgerRecord
from projections.view import INT, TEXT, Row, Table, View

NAMES = ("orders", "fills", "buys", "sells", "cycles_closed", "decisions")

COUNTS = Table("counts", {"symbol": TEXT, **dict.fromkeys(NAMES, INT)}, ("symbol",))
"""`orders` that were ever wanted; `fills`, and how many of them were `buys` and `sells`."""

TABLES: tuple[Table, ...] = (COUNTS,)

HANDLERS: Handlers = {}


def initial() -> tuple[tuple[Table, Row], ...]:
    """Nothing counted."""
    return ()


def apply(view: View, record: LedgerRecord) -> None:
    """Nothing: the projections that make the rows count them."""


def one_more(view: View, symbol: str, *names: str) -> Row:
    """Count one; the symbol's row."""
    row = view.of(COUNTS).edit(symbol)
    if row is None:
        row = view.of(COUNTS).put({"symbol": symbol, **dict.fromkeys(NAMES, 0)})
    for name in names:
        row[name] += 1
    return row
