"""Risk: high-water marks, drawdown, limits and what they stopped.

Law: shows what the portfolio decided and why; decides nothing.  High-water marks move exactly as in
`domain.portfolio`: with marks and fills, anew at a UTC day or a reset.  Drawdown is in parts per million of
the mark, rounded down.
"""

from __future__ import annotations

from domain.inputs import OpenAccount
from domain.instrument import InstrumentListed
from domain.order_events import OrderAllowed, OrderBlocked
from domain.orders import BUY
from domain.record import value_or
from domain.risk_events import (
    CashChanged,
    DayOpened,
    EquityMarked,
    ExposureReleased,
    HaltReset,
    HoldingCorrected,
    InventoryChanged,
    LimitsChanged,
    PortfolioOpened,
    StopPricesSet,
    SymbolHalted,
    TradingHalted,
    TradingPaused,
    TradingResumed,
)
from projections.amounts import amount
from projections.listings import quote_decimals, scale
from projections.pnl_rows import TOTAL
from projections.record import Handlers, LedgerRecord, dispatch
from projections.risk_rows import (
    ACCOUNT_SCOPE,
    BLOCKS,
    COUNTS,
    HALTS,
    RISK,
    measure_drawdown,
    measure_inventory,
    risk_row,
)
from projections.view import Row, Table, View

TABLES: tuple[Table, ...] = (RISK, BLOCKS, HALTS)


def initial() -> tuple[tuple[Table, Row], ...]:
    """The account's row."""
    return ((RISK, RISK.blank(scope=ACCOUNT_SCOPE, state="running", **dict.fromkeys(COUNTS, 0))),)


# --- limits --------------------------------------------------------------------------------------------


def _on_opened(view: View, record: LedgerRecord, event: PortfolioOpened | LimitsChanged) -> None:
    row = risk_row(view, record, ACCOUNT_SCOPE)
    row.update(
        session_drawdown_limit_ppm=event.session_drawdown_ppm,
        daily_drawdown_limit_ppm=event.daily_drawdown_ppm,
        inventory_limit_units=event.inventory_max,
        orders_per_minute_limit=event.orders_per_minute,
    )
    _limit(view, row)


def _on_scale(view: View, record: LedgerRecord, event: OpenAccount | InstrumentListed) -> None:
    _limit(view, risk_row(view, record, ACCOUNT_SCOPE))


def _limit(view: View, row: Row) -> None:
    units, decimals = row["inventory_limit_units"], quote_decimals(view)
    if decimals is not None:
        row["inventory_limit"] = amount(units, decimals) if units else None


def _on_stops(view: View, record: LedgerRecord, event: StopPricesSet) -> None:
    to, row = scale(view, event.symbol), risk_row(view, record, event.symbol)
    row["stop_loss"] = to.price(event.stop_loss_ticks) if event.stop_loss_ticks else None
    row["take_profit"] = to.price(event.take_profit_ticks) if event.take_profit_ticks else None
    row.update(state="running", halt_reason=None, halted_at_ns=None)


# --- orders --------------------------------------------------------------------------------------------


def _on_allowed(view: View, record: LedgerRecord, event: OrderAllowed) -> None:
    symbol = event.terms.symbol
    row = risk_row(view, record, symbol)
    row["orders_allowed"] += 1
    risk_row(view, record, ACCOUNT_SCOPE)["orders_allowed"] += 1
    resting = "resting_buys" if event.terms.side == BUY else "resting_sells"
    row[resting] += scale(view, symbol).quote(event.notional)
    measure_inventory(view, row)


def _on_blocked(view: View, record: LedgerRecord, event: OrderBlocked) -> None:
    risk_row(view, record, event.symbol)["orders_blocked"] += 1
    risk_row(view, record, ACCOUNT_SCOPE)["orders_blocked"] += 1
    found = view.of(BLOCKS).edit(event.symbol, event.reason)
    row = found or view.of(BLOCKS).put(BLOCKS.blank(symbol=event.symbol, reason=event.reason, orders=0))
    row.update(last_detail=event.detail, last_at_ns=record.ts_ns, position=record.position)
    row["orders"] += 1


def _released(view: View, record: LedgerRecord, symbol: str, side: str, units: int) -> None:
    row = risk_row(view, record, symbol)
    row["resting_buys" if side == BUY else "resting_sells"] -= scale(view, symbol).quote(units)
    measure_inventory(view, row)


def _on_released(view: View, record: LedgerRecord, event: ExposureReleased) -> None:
    _released(view, record, event.symbol, event.side, event.notional)


# --- equity --------------------------------------------------------------------------------------------


def _equity(view: View, record: LedgerRecord, raises: bool) -> Row:
    """Take the equity over from profit and loss; the marks exist only once equity was marked."""
    row, total = risk_row(view, record, ACCOUNT_SCOPE), view.of(TOTAL).get(1)
    if total is None or total["started_at_ns"] is None:
        return row
    equity = total["equity_end"]
    if row["session_high"] is None:
        row.update(session_high=equity, day_high=equity)
    elif raises:
        row.update(session_high=max(row["session_high"], equity), day_high=max(row["day_high"], equity))
    measure_drawdown(row, equity)
    return row


def _on_inventory(view: View, record: LedgerRecord, event: InventoryChanged) -> None:
    _released(view, record, event.symbol, event.side, event.resting_released)
    _equity(view, record, raises=True)


def _on_marked(view: View, record: LedgerRecord, event: EquityMarked) -> None:
    for symbol, _ in event.marks:
        measure_inventory(view, risk_row(view, record, symbol))
    _equity(view, record, raises=True)


def _on_cash(view: View, record: LedgerRecord, event: CashChanged) -> None:
    _equity(view, record, raises=False)


def _on_day(view: View, record: LedgerRecord, event: DayOpened) -> None:
    decimals = quote_decimals(view)
    if decimals is not None:
        risk_row(view, record, ACCOUNT_SCOPE)["day_high"] = amount(event.equity, decimals)


# --- halts ---------------------------------------------------------------------------------------------


def _on_halted(view: View, record: LedgerRecord, event: TradingHalted) -> None:
    row, decimals = risk_row(view, record, ACCOUNT_SCOPE), quote_decimals(view) or 0
    equity = amount(event.equity, decimals)
    row.update(state="halted", halt_reason=event.reason, halted_at_ns=record.ts_ns)
    measure_drawdown(row, equity)
    halt = HALTS.blank(position=record.position, ts_ns=record.ts_ns, kind="trading_halted")
    halt.update(reason=event.reason, equity=equity, high_water=amount(event.high_water, decimals))
    halt["operator"] = value_or(event.operator, "") or None
    view.of(HALTS).put(halt)


def _on_symbol_halted(view: View, record: LedgerRecord, event: SymbolHalted) -> None:
    row, total = risk_row(view, record, event.symbol), view.of(TOTAL).get(1)
    row.update(state="halted", halt_reason=event.reason, halted_at_ns=record.ts_ns)
    halt = HALTS.blank(position=record.position, ts_ns=record.ts_ns, kind="symbol_halted")
    halt.update(symbol=event.symbol, reason=event.reason)
    halt["price"] = scale(view, event.symbol).price(event.price_ticks)
    halt["equity"] = total["equity_end"] if total else None
    view.of(HALTS).put(halt)


def _on_paused(view: View, record: LedgerRecord, event: TradingPaused) -> None:
    _pause_row(view, record, "paused", event.symbol, event.reason, event.operator)


def _on_resumed(view: View, record: LedgerRecord, event: TradingResumed) -> None:
    _pause_row(view, record, "resumed", event.symbol, ", ".join(event.reasons), event.operator)


def _pause_row(view: View, record: LedgerRecord, kind: str, symbol: str, reason: str, operator: str) -> None:
    total = view.of(TOTAL).get(1)
    halt = HALTS.blank(position=record.position, ts_ns=record.ts_ns, kind=kind)
    halt.update(symbol=symbol or None, reason=reason, operator=operator)
    halt["equity"] = total["equity_end"] if total else None
    view.of(HALTS).put(halt)


def _on_corrected(view: View, record: LedgerRecord, event: HoldingCorrected) -> None:
    """The high-water marks move along with what was transferred."""
    row, decimals = risk_row(view, record, ACCOUNT_SCOPE), quote_decimals(view)
    if row["session_high"] is None or decimals is None:
        return
    worth = amount(event.worth, decimals)
    row.update(session_high=row["session_high"] + worth, day_high=row["day_high"] + worth)
    _equity(view, record, raises=False)


def _on_reset(view: View, record: LedgerRecord, event: HaltReset) -> None:
    row, equity = risk_row(view, record, ACCOUNT_SCOPE), amount(event.equity, quote_decimals(view) or 0)
    row.update(state="running", halt_reason=None, halted_at_ns=None, session_high=equity, day_high=equity)
    measure_drawdown(row, equity)
    halt = HALTS.blank(position=record.position, ts_ns=record.ts_ns, kind="halt_reset")
    halt.update(reason="", equity=equity, operator=event.operator)
    view.of(HALTS).put(halt)


HANDLERS: Handlers = {
    OpenAccount: _on_scale,
    InstrumentListed: _on_scale,
    PortfolioOpened: _on_opened,
    LimitsChanged: _on_opened,
    StopPricesSet: _on_stops,
    OrderAllowed: _on_allowed,
    OrderBlocked: _on_blocked,
    ExposureReleased: _on_released,
    InventoryChanged: _on_inventory,
    EquityMarked: _on_marked,
    CashChanged: _on_cash,
    DayOpened: _on_day,
    TradingHalted: _on_halted,
    SymbolHalted: _on_symbol_halted,
    HaltReset: _on_reset,
    TradingPaused: _on_paused,
    TradingResumed: _on_resumed,
    HoldingCorrected: _on_corrected,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
