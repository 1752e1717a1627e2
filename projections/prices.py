"""Prices: every price the run acted on, in order.

Law: a price is one that a record carries; nothing is made up between two of them.  Whole ticks, as recorded.
"""

from __future__ import annotations

from domain.inputs import ClockReport, TickReport
from domain.risk_events import InventoryChanged
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import INT, TEXT, Row, Table, View

PRICES = Table(
    "prices",
    {"symbol": TEXT, "position": INT, "ts_ns": INT, "price_ticks": INT},
    ("symbol", "position"),
    born="position",
    settled=True,
)

TABLES: tuple[Table, ...] = (PRICES,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No price."""
    return ()


def _put(view: View, record: LedgerRecord, symbol: str, ticks: int) -> None:
    view.of(PRICES).put(
        {"symbol": symbol, "position": record.position, "ts_ns": record.ts_ns, "price_ticks": ticks}
    )


def _on_price(view: View, record: LedgerRecord, event: TickReport | InventoryChanged) -> None:
    _put(view, record, event.symbol, event.price_ticks)


def _on_marks(view: View, record: LedgerRecord, event: ClockReport) -> None:
    for symbol, ticks in event.marks:
        _put(view, record, symbol, ticks)


HANDLERS: Handlers = {TickReport: _on_price, InventoryChanged: _on_price, ClockReport: _on_marks}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
