"""Inventory: what is held of each symbol, at average cost.

Law: increasing a holding adds its price to the cost; reducing it realises the closed share of the cost; a
flip through zero closes everything and opens the rest at the execution's price (`domain.books.reduce`, so
spot and perpetuals share one rule and nothing is lost to rounding).  Fees are not in it: a fee in the base
asset only makes the holding smaller.  What was held at the start costs what it was worth at the first mark.
"""

from __future__ import annotations

from decimal import Decimal

from domain.books import Position, reduce
from domain.clock import DayStarted
from domain.instrument import InstrumentListed
from domain.order_events import OrderFilled
from domain.risk_events import (
    EquityMarked,
    HoldingCorrected,
    InventoryChanged,
    PortfolioOpened,
    SymbolHalted,
)
from projections.amounts import ZERO, quotient
from projections.listings import Scale, scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

HOLDINGS = Table("opening_holdings", {"symbol": TEXT, "base_units": INT}, ("symbol",))
"""What the operator said was held at the start, in base units: told before the instrument is known."""

POSITIONS = Table(
    "positions",
    {
        "symbol": TEXT,
        "quantity": AMOUNT,
        "opening_quantity": AMOUNT,
        "avg_entry_price": AMOUNT,
        "total_invested": AMOUNT,
        "realized_pnl": AMOUNT,
        "unrealized_pnl": AMOUNT,
        "mark_price": AMOUNT,
        "updated_at_ns": INT,
    },
    ("symbol",),
)
"""`total_invested` is the exact signed cost of the holding, from which everything else follows; the average
price is rounded to two digits more than the instrument's.  `mark_price` is NULL before the first price."""

TABLES: tuple[Table, ...] = (HOLDINGS, POSITIONS)


def initial() -> tuple[tuple[Table, Row], ...]:
    """Nothing held."""
    return ()


def _on_opened(view: View, record: LedgerRecord, event: PortfolioOpened) -> None:
    for symbol, units in event.holdings:
        view.of(HOLDINGS).put({"symbol": symbol, "base_units": units})


def _on_listed(view: View, record: LedgerRecord, event: InstrumentListed) -> None:
    symbol = event.instrument.symbol
    if record.stream != "portfolio" or view.of(POSITIONS).get(symbol) is not None:
        return  # the portfolio's listing is the one that takes the opening holding up
    holding = view.of(HOLDINGS).get(symbol)
    held = scale(view, symbol).base(holding["base_units"]) if holding else ZERO
    row = POSITIONS.blank(symbol=symbol, quantity=held, opening_quantity=held, updated_at_ns=record.ts_ns)
    row.update(avg_entry_price=ZERO, total_invested=ZERO, realized_pnl=ZERO, unrealized_pnl=ZERO)
    view.of(POSITIONS).put(row)


def _on_filled(view: View, record: LedgerRecord, event: OrderFilled) -> None:
    row = view.of(POSITIONS).edit(event.symbol)
    if row is None:
        return
    to = scale(view, event.symbol)
    if row["mark_price"] is None:
        _mark(row, to, to.price(event.price_ticks))
    position = Position(to.base_units(row["quantity"]), to.quote_units(row["total_invested"]))
    cost = event.price_ticks * event.base_units * to.instrument.quote_per_tick_base
    after, realised = reduce(position, event.base_units, cost)
    row["quantity"], row["total_invested"] = to.base(after.units), to.quote(after.cost)
    row["realized_pnl"] += to.quote(realised)
    row["updated_at_ns"] = record.ts_ns
    _mark(row, to, row["mark_price"])


def _mark(row: Row, to: Scale, price: Decimal) -> None:
    if row["mark_price"] is None:
        row["total_invested"] += row["opening_quantity"] * price
    row["mark_price"] = price
    row["unrealized_pnl"] = row["quantity"] * price - row["total_invested"]
    row["avg_entry_price"] = quotient(row["total_invested"], row["quantity"], to.price_decimals + 2)


def _marked(view: View, record: LedgerRecord, symbol: str, price_ticks: int) -> None:
    row = view.of(POSITIONS).edit(symbol)
    if row is not None:
        to = scale(view, symbol)
        _mark(row, to, to.price(price_ticks))
        row["updated_at_ns"] = record.ts_ns


def _on_price(view: View, record: LedgerRecord, event: InventoryChanged | SymbolHalted) -> None:
    _marked(view, record, event.symbol, event.price_ticks)


def _on_marks(view: View, record: LedgerRecord, event: EquityMarked | DayStarted) -> None:
    for symbol, ticks in event.marks:
        _marked(view, record, symbol, ticks)


def _on_corrected(view: View, record: LedgerRecord, event: HoldingCorrected) -> None:
    """A corrected amount costs what it is worth now: taking it over makes neither profit nor loss."""
    row = view.of(POSITIONS).edit(event.symbol)
    if row is None:
        return
    to, mark = scale(view, event.symbol), row["mark_price"]
    moved = to.base(event.base_units)
    row["quantity"] += moved
    row["updated_at_ns"] = record.ts_ns
    if mark is None:
        row["opening_quantity"] += moved
        return
    row["total_invested"] += moved * mark
    _mark(row, to, mark)


HANDLERS: Handlers = {
    PortfolioOpened: _on_opened,
    InstrumentListed: _on_listed,
    OrderFilled: _on_filled,
    InventoryChanged: _on_price,
    HoldingCorrected: _on_corrected,
    SymbolHalted: _on_price,
    EquityMarked: _on_marks,
    DayStarted: _on_marks,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
