"""What risk knows, and how its events change that.

Law: total: every event of `domain/risk_events.py` leads to a state, whatever the state was; guards are in
`domain/portfolio.py`.  High-water marks exist from the first mark on and only rise, until a day or an
operator starts them again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from domain.instrument import Instrument, InstrumentListed, value
from domain.order_events import OrderAllowed
from domain.orders import BUY
from domain.record import Record
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


class SymbolRisk(msgspec.Struct, frozen=True):
    """What risk knows of one symbol; values in quote units, holding in base units, prices in ticks."""

    instrument: Instrument
    inventory: int = 0
    resting_buys: int = 0
    resting_sells: int = 0
    resting_buy_lots: int = 0
    resting_sell_lots: int = 0
    mark_ticks: int = 0
    stop_loss_ticks: int = 0
    take_profit_ticks: int = 0
    on_stop: str = "cancel"
    halted: bool = False


class PortfolioState(msgspec.Struct, frozen=True):
    """Everything risk knows.  A high-water mark of 0 means equity was never marked.

    `pauses` are the reasons for which a symbol is paused, by symbol; those of the empty symbol are for all.
    """

    opened: bool = False
    session_drawdown_ppm: int = 0
    daily_drawdown_ppm: int = 0
    inventory_max: int = 0
    orders_per_minute: int = 0
    cash: int = 0
    holdings: Map[str, int] = Map()
    symbols: Map[str, SymbolRisk] = Map()
    session_high: int = 0
    day_high: int = 0
    allowed_at: tuple[int, ...] = ()
    halted: str = ""
    pauses: Map[str, tuple[str, ...]] = Map()


def initial() -> PortfolioState:
    """The state before any record."""
    return PortfolioState()


def equity(state: PortfolioState) -> int:
    """Cash plus every holding at its last price, quote units."""
    total = state.cash
    for risk in state.symbols.values():  # a sum does not depend on the map's order
        if risk.inventory:
            total += value(risk.instrument, risk.mark_ticks, risk.inventory)
    return total


def _set(state: PortfolioState, symbol: str, risk: SymbolRisk) -> Map[str, SymbolRisk]:
    return state.symbols.set(symbol, risk)


def _raised(state: PortfolioState, worth: int) -> PortfolioState:
    """State with the high-water marks raised to `worth`, once they exist."""
    if state.session_high and (worth > state.session_high or worth > state.day_high):
        return replace(
            state, session_high=max(state.session_high, worth), day_high=max(state.day_high, worth)
        )
    return state


def _on_opened(state: PortfolioState, event: PortfolioOpened) -> PortfolioState:
    return replace(
        state,
        opened=True,
        session_drawdown_ppm=event.session_drawdown_ppm,
        daily_drawdown_ppm=event.daily_drawdown_ppm,
        inventory_max=event.inventory_max,
        orders_per_minute=event.orders_per_minute,
        cash=event.cash,
        holdings=Map(event.holdings),
    )


def _on_limits(state: PortfolioState, event: LimitsChanged) -> PortfolioState:
    return replace(
        state,
        session_drawdown_ppm=event.session_drawdown_ppm,
        daily_drawdown_ppm=event.daily_drawdown_ppm,
        inventory_max=event.inventory_max,
        orders_per_minute=event.orders_per_minute,
    )


def _on_listed(state: PortfolioState, event: InstrumentListed) -> PortfolioState:
    symbol = event.instrument.symbol
    known = state.symbols.get(symbol)
    if known is None:
        known = SymbolRisk(event.instrument, inventory=state.holdings.get(symbol, 0))
    return replace(state, symbols=_set(state, symbol, replace(known, instrument=event.instrument)))


def _on_stops(state: PortfolioState, event: StopPricesSet) -> PortfolioState:
    risk = replace(
        state.symbols[event.symbol],
        stop_loss_ticks=event.stop_loss_ticks,
        take_profit_ticks=event.take_profit_ticks,
        on_stop=event.on_stop,
        halted=False,
    )
    return replace(state, symbols=_set(state, event.symbol, risk))


def _rest(risk: SymbolRisk, side: str, change: int, lots: int) -> SymbolRisk:
    if side == BUY:
        return replace(
            risk, resting_buys=risk.resting_buys + change, resting_buy_lots=risk.resting_buy_lots + lots
        )
    return replace(
        risk, resting_sells=risk.resting_sells + change, resting_sell_lots=risk.resting_sell_lots + lots
    )


def _on_allowed(state: PortfolioState, event: OrderAllowed) -> PortfolioState:
    terms = event.terms
    risk = _rest(state.symbols[terms.symbol], terms.side, event.notional, terms.lots)
    symbols = _set(state, terms.symbol, risk)
    if not state.orders_per_minute:
        return replace(state, symbols=symbols)
    recent = (*state.allowed_at, event.now_ns)[-state.orders_per_minute :]
    return replace(state, symbols=symbols, allowed_at=recent)


def _on_inventory(state: PortfolioState, event: InventoryChanged) -> PortfolioState:
    risk = _rest(
        state.symbols[event.symbol], event.side, -event.resting_released, -event.resting_lots_released
    )
    risk = replace(risk, inventory=event.inventory, mark_ticks=event.price_ticks)
    state = replace(state, cash=event.cash, symbols=_set(state, event.symbol, risk))
    return _raised(state, equity(state))


def _on_released(state: PortfolioState, event: ExposureReleased) -> PortfolioState:
    risk = _rest(state.symbols[event.symbol], event.side, -event.notional, -event.lots)
    return replace(state, symbols=_set(state, event.symbol, risk))


def _on_cash(state: PortfolioState, event: CashChanged) -> PortfolioState:
    state = replace(state, cash=event.cash)
    return _raised(state, equity(state))


def marked(state: PortfolioState, marks: tuple[tuple[str, int], ...]) -> PortfolioState:
    symbols = state.symbols
    for symbol, ticks in marks:
        risk = symbols.get(symbol)
        if risk is not None and risk.mark_ticks != ticks:
            symbols = symbols.set(symbol, replace(risk, mark_ticks=ticks))
    return replace(state, symbols=symbols)


def _on_marked(state: PortfolioState, event: EquityMarked) -> PortfolioState:
    state = marked(state, event.marks)
    if not state.session_high:
        return replace(state, session_high=event.equity, day_high=event.equity)
    return _raised(state, event.equity)


def _on_day(state: PortfolioState, event: DayOpened) -> PortfolioState:
    return replace(state, day_high=event.equity)


def _on_symbol_halted(state: PortfolioState, event: SymbolHalted) -> PortfolioState:
    risk = replace(state.symbols[event.symbol], halted=True, mark_ticks=event.price_ticks)
    return replace(state, symbols=_set(state, event.symbol, risk))


def _on_halted(state: PortfolioState, event: TradingHalted) -> PortfolioState:
    return replace(state, halted=event.reason)


def _on_reset(state: PortfolioState, event: HaltReset) -> PortfolioState:
    return replace(state, halted="", session_high=event.equity, day_high=event.equity)


def _on_paused(state: PortfolioState, event: TradingPaused) -> PortfolioState:
    reasons = (*state.pauses.get(event.symbol, ()), event.reason)
    return replace(state, pauses=state.pauses.set(event.symbol, reasons))


def _on_resumed(state: PortfolioState, event: TradingResumed) -> PortfolioState:
    left = tuple(one for one in state.pauses.get(event.symbol, ()) if one not in event.reasons)
    if left:
        return replace(state, pauses=state.pauses.set(event.symbol, left))
    if event.symbol in state.pauses:
        return replace(state, pauses=state.pauses.delete(event.symbol))
    return state


def _on_corrected(state: PortfolioState, event: HoldingCorrected) -> PortfolioState:
    state = replace(state, cash=event.cash)
    risk = state.symbols.get(event.symbol)
    if risk is not None:
        state = replace(state, symbols=_set(state, event.symbol, replace(risk, inventory=event.inventory)))
    if not state.session_high:
        return state
    return replace(
        state, session_high=state.session_high + event.worth, day_high=state.day_high + event.worth
    )


_EVOLVE: dict[type, Callable[[PortfolioState, Any], PortfolioState]] = {
    PortfolioOpened: _on_opened,
    LimitsChanged: _on_limits,
    InstrumentListed: _on_listed,
    StopPricesSet: _on_stops,
    OrderAllowed: _on_allowed,
    InventoryChanged: _on_inventory,
    ExposureReleased: _on_released,
    CashChanged: _on_cash,
    EquityMarked: _on_marked,
    DayOpened: _on_day,
    SymbolHalted: _on_symbol_halted,
    TradingHalted: _on_halted,
    HaltReset: _on_reset,
    TradingPaused: _on_paused,
    TradingResumed: _on_resumed,
    HoldingCorrected: _on_corrected,
}


def evolve(state: PortfolioState, event: Record) -> PortfolioState:
    """The state after an event; events that change nothing here leave it as it is."""
    step = _EVOLVE.get(type(event))
    return step(state, event) if step else state
