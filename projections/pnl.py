"""Profit and loss, in parts that must add up to the change of equity exactly.

Law: ``equity_end - equity_start = grid_profit + unpaired_pnl + fees + funding + transfers``.  The right side
comes from executions and from what levels say of them, the left side from the portfolio's cash, holdings and
marks; neither is computed from the other, and `identity_residual` is the difference: 0, always.

* grid_profit: what closing executions of levels made, gross.
* unpaired_pnl: everything held at its mark less what it cost: per symbol, what the levels hold and what no
  level owns (a holding of the start, valued at its first mark; an execution no level has taken).
* fees: in quote value at the fill; negative was paid.  funding: positive was received.
* transfers: value that came into the account's equity without trading: a holding that gets its first price
  after equity was first marked, and what an operator's correction took over.
* realised, unrealised: the same gross profit split by average cost instead of by level; so
  ``realised + unrealised = grid_profit + unpaired_pnl``.

equity_start is the opening cash and every opening holding at its first mark: the first `EquityMarked` when
nothing was traded before it.  Between an execution and the portfolio's answer, which is the next record but
a few, the residual is that of the moment before.
"""

from __future__ import annotations

from domain.clock import DayStarted
from domain.grid_events import GridConfigured, InventoryAdopted, LevelFilled
from domain.inputs import OpenAccount
from domain.instrument import InstrumentListed
from domain.order_events import FundingPaid, OrderFilled
from domain.orders import OPPOSITE, SIGN
from domain.risk_events import (
    CashChanged,
    EquityMarked,
    HoldingCorrected,
    InventoryChanged,
    PortfolioOpened,
    SymbolHalted,
)
from projections.amounts import ZERO, amount
from projections.listings import quote_decimals, scale
from projections.pnl_rows import (
    DAYS,
    FIGURES,
    SYMBOLS,
    TOTAL,
    add_up,
    day_row,
    flow,
    priced,
    symbol_row,
    total_row,
    value,
)
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import Row, Table, View

TABLES: tuple[Table, ...] = (SYMBOLS, DAYS, TOTAL)


def initial() -> tuple[tuple[Table, Row], ...]:
    """The total's one row."""
    row = TOTAL.blank(id=1, cash=ZERO, held_value=ZERO, **dict.fromkeys(FIGURES, ZERO))
    return ((TOTAL, row),)


def _on_portfolio(view: View, record: LedgerRecord, event: PortfolioOpened) -> None:
    total_row(view)["opening_cash_units"] = event.cash
    _opening(view)


def _on_scale(view: View, record: LedgerRecord, event: OpenAccount | InstrumentListed) -> None:
    _opening(view)


def _opening(view: View) -> None:
    """Take the opening cash up as soon as both it and the scale of the quote currency are known."""
    total, decimals = total_row(view), quote_decimals(view)
    if total["opening_cash_units"] is None or decimals is None:
        return
    cash = amount(total["opening_cash_units"], decimals)
    total["opening_cash_units"] = None
    total["cash"] = cash
    total["equity_start"] += cash
    total["equity_end"] += cash


def _on_filled(view: View, record: LedgerRecord, event: OrderFilled) -> None:
    to = scale(view, event.symbol)
    row = flow(view, record, event.symbol, "fees", -to.quote(event.fee_value))
    moved = to.base(event.base_units)
    row["unowned_quantity"] += moved
    row["unowned_cost"] += moved * to.price(event.price_ticks)


def _on_inventory(view: View, record: LedgerRecord, event: InventoryChanged) -> None:
    to = scale(view, event.symbol)
    row, total = priced(view, record, event.symbol), total_row(view)
    cash = to.quote(event.cash)
    row["cash"] += cash - total["cash"]
    total["cash"] = cash
    row["inventory"] = to.base(event.inventory)
    value(view, record, event.symbol)
    add_up(view, record)


def _on_level(view: View, record: LedgerRecord, event: LevelFilled) -> None:
    """A level takes an execution from the unowned, or gives what it held for it."""
    to = scale(view, event.symbol)
    profit = to.quote(event.profit)
    row = flow(view, record, event.symbol, "grid_profit", profit)
    opens = event.role == "open"
    sign = SIGN[event.side if opens else OPPOSITE[event.side]]
    quantity, cost = sign * to.base(event.base_units), sign * to.quote(event.cost)
    worth = quantity * to.price(event.price_ticks)
    if not opens:
        quantity, cost, worth = -quantity, -cost, -worth
    row["level_quantity"] += quantity
    row["level_cost"] += cost
    row["unowned_quantity"] -= quantity
    row["unowned_cost"] -= worth
    value(view, record, event.symbol)
    add_up(view, record)


def _on_configured(view: View, record: LedgerRecord, event: GridConfigured) -> None:
    """What the levels of the grid before held is no level's, until the new ones take it over."""
    held = view.of(SYMBOLS).get(event.symbol)
    if held is None or not (held["level_quantity"] or held["level_cost"]):
        return
    row = symbol_row(view, event.symbol)
    for name in ("quantity", "cost"):
        row[f"unowned_{name}"] += row[f"level_{name}"]
        row[f"level_{name}"] = ZERO


def _on_adopted(view: View, record: LedgerRecord, event: InventoryAdopted) -> None:
    to, row = scale(view, event.symbol), priced(view, record, event.symbol)
    quantity, cost = to.base(event.base_units), to.quote(event.cost)
    row["level_quantity"] += quantity
    row["level_cost"] += cost
    row["unowned_quantity"] -= quantity
    row["unowned_cost"] -= cost


def _on_funding(view: View, record: LedgerRecord, event: FundingPaid) -> None:
    paid = scale(view, event.symbol).quote(event.units)
    flow(view, record, event.symbol, "funding", paid)["cash"] += paid
    value(view, record, event.symbol)


def _on_cash(view: View, record: LedgerRecord, event: CashChanged) -> None:
    decimals = quote_decimals(view)
    if decimals is not None:
        total_row(view)["cash"] = amount(event.cash, decimals)
        add_up(view, record)


def _on_corrected(view: View, record: LedgerRecord, event: HoldingCorrected) -> None:
    """What a correction brought or took is a transfer: the holding at its mark, and the cash."""
    decimals, total = quote_decimals(view), total_row(view)
    if decimals is None:
        return
    cash, worth = amount(event.cash, decimals), amount(event.worth, decimals)
    moved_cash, total["cash"] = cash - total["cash"], cash
    rows = [total]
    if event.symbol:
        row = symbol_row(view, event.symbol)
        moved = scale(view, event.symbol).base(event.base_units)
        row["inventory"] += moved
        row["unowned_quantity"] += moved
        row["unowned_cost"] += worth - moved_cash
        row["cash"] += moved_cash
        if row["equity_start"] is not None:
            rows += [row, day_row(view, record, row)]
    for one in rows:
        one["transfers"] += worth
    if event.symbol:
        value(view, record, event.symbol)
    add_up(view, record)


def _on_halted(view: View, record: LedgerRecord, event: SymbolHalted) -> None:
    value(view, record, event.symbol)
    add_up(view, record)


def _on_day(view: View, record: LedgerRecord, event: DayStarted) -> None:
    if total_row(view)["started_at_ns"] is not None:
        for symbol, _ in event.marks:
            value(view, record, symbol)
    total_row(view)["day"] = event.day


def _on_marked(view: View, record: LedgerRecord, event: EquityMarked) -> None:
    for symbol, _ in event.marks:
        value(view, record, symbol)
    total = total_row(view)
    if total["started_at_ns"] is None:
        total["started_at_ns"] = record.ts_ns
    add_up(view, record)


HANDLERS: Handlers = {
    OpenAccount: _on_scale,
    InstrumentListed: _on_scale,
    PortfolioOpened: _on_portfolio,
    OrderFilled: _on_filled,
    InventoryChanged: _on_inventory,
    LevelFilled: _on_level,
    GridConfigured: _on_configured,
    InventoryAdopted: _on_adopted,
    FundingPaid: _on_funding,
    CashChanged: _on_cash,
    HoldingCorrected: _on_corrected,
    SymbolHalted: _on_halted,
    DayStarted: _on_day,
    EquityMarked: _on_marked,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
