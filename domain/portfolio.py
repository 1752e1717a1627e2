"""Risk: what may be ordered, and when everything stops.

Law: no order leaves without an `OrderAllowed` of this actor.  Limits are checked against what the portfolio
has been told in events, never against a view.  A halt is latched: only an operator releases it.  Orders that
strictly reduce a holding pass the limits that exist to stop it from growing.

Equity is ``cash + sum(holding * price)`` for spot and perpetuals alike: the cash of a perpetual is its
signed cost, so the sum is the same as balance plus unrealised profit.

Prices of a symbol are known from its fills, from marks and from the ticks inside this actor's wake.  The
high-water marks move with marks and fills; a breach is watched on every tick, because the price at which the
drawdown limit is reached can be solved for and is part of the wake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from domain.clock import DayStarted, MarkDue
from domain.grid_events import GridConfigured
from domain.inputs import (
    ACCOUNT,
    ChangeLimits,
    DeployGrid,
    HaltTrading,
    OpenPortfolio,
    PauseTrading,
    RebalanceGrid,
    ResetHalt,
    ResumeTrading,
    TickReport,
    symbol_actor,
)
from domain.instrument import InstrumentListed, ListInstrument, notional, value
from domain.order_events import (
    BalanceCorrected,
    DifferenceFound,
    FundingPaid,
    OrderAllowed,
    OrderAmended,
    OrderBlocked,
    OrderClosed,
    OrderFilled,
    OrderReappeared,
    OrderRefused,
    OrderRequested,
    OrderThrottled,
)
from domain.portfolio_state import PortfolioState, SymbolRisk, equity, evolve, initial, marked
from domain.pre_trade import Block, block_of, breached_limit, drawdown_floor, pauses_of, stop_price_block
from domain.record import Record
from domain.rejection import Refusal, Rejection
from domain.risk_events import (
    BlockReason,
    CashChanged,
    DayOpened,
    EquityMarked,
    ExposureReleased,
    GridAllowed,
    GridBlocked,
    HaltReset,
    HoldingCorrected,
    InventoryChanged,
    LimitsChanged,
    PortfolioOpened,
    RebalanceAllowed,
    StopPricesSet,
    SymbolHalted,
    TradingHalted,
    TradingPaused,
    TradingResumed,
)
from domain.units import ceil_div
from domain.wake import ASLEEP, Wake

__all__ = ["PortfolioState", "SymbolRisk", "decide", "equity", "evolve", "initial", "route", "wake"]

# --- decide --------------------------------------------------------------------------------------------

Decision = tuple[Record, ...] | Rejection


def _decide_order(state: PortfolioState, now_ns: int, message: OrderRequested) -> Decision:
    terms = message.terms
    risk = state.symbols.get(terms.symbol)
    if risk is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, terms.symbol)
    worth = notional(risk.instrument, terms.price_ticks, terms.lots)
    block = block_of(state, risk, now_ns, message, worth)
    if block is None:
        return (OrderAllowed(terms=terms, notional=worth, now_ns=now_ns),)
    reason, detail, retry_at_ns = block
    return (
        OrderBlocked(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            reason=reason.value,
            detail=detail,
            retry_at_ns=retry_at_ns,
        ),
    )


def _decide_fill(state: PortfolioState, now_ns: int, message: OrderFilled) -> Decision:
    risk = state.symbols.get(message.symbol)
    if risk is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    # A late fill's value was released when its order ended.
    released = 0 if message.late else notional(risk.instrument, message.order_price_ticks, message.lots)
    changed = InventoryChanged(
        symbol=message.symbol,
        side=message.side,
        inventory=risk.inventory + message.base_units,
        cash=state.cash + message.cash_units,
        price_ticks=message.price_ticks,
        resting_released=released,
        resting_lots_released=0 if message.late else message.lots,
    )
    one, price = risk.instrument, message.price_ticks
    worth = equity(state) + message.cash_units
    worth += value(one, price, changed.inventory) - value(one, risk.mark_ticks, risk.inventory)
    return (changed, *_halt_at(state, worth))


def _halt_at(state: PortfolioState, worth: int) -> tuple[Record, ...]:
    """The halt that follows from equity of `worth`, if it breaches a drawdown limit.

    Equity above the high-water marks raises them and cannot breach, so the marks before it serve.
    """
    if state.halted or not state.session_high:
        return ()
    reason = breached_limit(state, worth)
    return (_halted(state, reason.value, worth),) if reason else ()


def _halted(
    state: PortfolioState, reason: str, worth: int, operator: str | UnsetType = UNSET
) -> TradingHalted:
    high = state.day_high if reason == BlockReason.DAILY_DRAWDOWN else state.session_high
    symbols = tuple(sorted(state.symbols))
    return TradingHalted(reason=reason, equity=worth, high_water=high, symbols=symbols, operator=operator)


def _decide_released(state: PortfolioState, now_ns: int, message: OrderClosed) -> Decision:
    if message.symbol not in state.symbols:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    return (
        ExposureReleased(
            symbol=message.symbol,
            side=message.side,
            notional=message.unfilled_notional,
            lots=message.unfilled_lots,
        ),
    )


def _decide_refused(state: PortfolioState, now_ns: int, message: OrderRefused | OrderThrottled) -> Decision:
    return (
        ExposureReleased(
            symbol=message.symbol, side=message.side, notional=message.notional, lots=message.lots
        ),
    )


def _decide_reappeared(state: PortfolioState, now_ns: int, message: OrderReappeared) -> Decision:
    return (
        ExposureReleased(
            symbol=message.symbol, side=message.side, notional=-message.notional, lots=-message.lots
        ),
    )


def _concerned(state: PortfolioState, symbol: str) -> tuple[str, ...]:
    return (symbol,) if symbol else tuple(sorted(state.symbols))


def _paused(state: PortfolioState, symbol: str, reason: str, operator: str) -> tuple[Record, ...]:
    if reason in state.pauses.get(symbol, ()):
        return ()
    symbols = _concerned(state, symbol)
    return (TradingPaused(symbol=symbol, reason=reason, operator=operator, symbols=symbols),)


def _decide_pause(state: PortfolioState, now_ns: int, message: PauseTrading) -> Decision:
    if message.symbol and message.symbol not in state.symbols:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    return _paused(state, message.symbol, message.reason, message.operator)


def _decide_resume(state: PortfolioState, now_ns: int, message: ResumeTrading) -> Decision:
    held = state.pauses.get(message.symbol, ())
    ended = tuple(one for one in held if message.reason in ("", one))
    if not ended:
        return ()
    symbols = _concerned(state, message.symbol)
    return (TradingResumed(symbol=message.symbol, reasons=ended, operator=message.operator, symbols=symbols),)


DRIFT_PAUSE_PPM = 100_000
"""A holding that differs from the books by more than this (10 %) pauses its symbols, whenever it is found."""


def _decide_difference(state: PortfolioState, now_ns: int, message: DifferenceFound) -> Decision:
    """A holding differs from the books, at the start or by much later on: its symbols wait for a person."""
    if message.cause != "start" and message.drift_ppm <= DRIFT_PAUSE_PPM:
        return ()
    events: list[Record] = []
    for symbol in message.symbols:
        if symbol in state.symbols:
            events += _paused(state, symbol, "difference", "reconciliation")
    return tuple(events)


def _decide_correction(state: PortfolioState, now_ns: int, message: BalanceCorrected) -> Decision:
    risk = state.symbols.get(message.symbol)
    worth = message.cash_units
    if risk is not None:
        worth += value(risk.instrument, risk.mark_ticks, message.base_units)
    return (
        HoldingCorrected(
            symbol=message.symbol if risk else "",
            base_units=message.base_units if risk else 0,
            inventory=risk.inventory + message.base_units if risk else 0,
            cash=state.cash + message.cash_units,
            worth=worth,
        ),
    )


def _decide_amended(state: PortfolioState, now_ns: int, message: OrderAmended) -> Decision:
    return (
        ExposureReleased(
            symbol=message.symbol,
            side=message.side,
            notional=-message.notional_change,
            lots=-message.lots_change,
        ),
    )


def _decide_funding(state: PortfolioState, now_ns: int, message: FundingPaid) -> Decision:
    changed = CashChanged(symbol=message.symbol, cash=state.cash + message.units)
    return (changed, *_halt_at(state, equity(state) + message.units))


def _decide_mark(state: PortfolioState, now_ns: int, message: MarkDue) -> Decision:
    if not state.opened:
        return ()
    after = marked(state, message.marks)
    for risk in after.symbols.values():
        if risk.inventory and not risk.mark_ticks:
            return ()  # a holding without a price has no value yet: equity is not known
    worth = equity(after)
    return (EquityMarked(equity=worth, marks=message.marks), *_halt_at(state, worth))


def _decide_day(state: PortfolioState, now_ns: int, message: DayStarted) -> Decision:
    if not state.session_high:
        return ()  # the first mark of the session opens the day as well
    return (DayOpened(day=message.day, equity=equity(marked(state, message.marks))),)


def _decide_tick(state: PortfolioState, now_ns: int, message: TickReport) -> Decision:
    risk = state.symbols.get(message.symbol)
    if risk is None or state.halted:
        return ()
    events: list[Record] = []
    price = message.price_ticks
    if not risk.halted:
        reason = None
        if risk.stop_loss_ticks and price <= risk.stop_loss_ticks:
            reason = BlockReason.STOP_LOSS
        elif risk.take_profit_ticks and price >= risk.take_profit_ticks:
            reason = BlockReason.TAKE_PROFIT
        if reason:
            events.append(
                SymbolHalted(
                    symbol=message.symbol, reason=reason.value, price_ticks=price, on_stop=risk.on_stop
                )
            )
    if state.session_high:
        one, held = risk.instrument, risk.inventory
        worth = equity(state) + value(one, price, held) - value(one, risk.mark_ticks, held)
        breach = breached_limit(state, worth)
        if breach:
            events.append(_halted(state, breach.value, worth))
    return tuple(events)


def _decide_open(state: PortfolioState, now_ns: int, message: OpenPortfolio) -> Decision:
    if state.opened:
        return Rejection(Refusal.ALREADY_OPEN)
    return (
        PortfolioOpened(
            session_drawdown_ppm=message.session_drawdown_ppm,
            daily_drawdown_ppm=message.daily_drawdown_ppm,
            inventory_max=message.inventory_max,
            orders_per_minute=message.orders_per_minute,
            cash=message.cash,
            holdings=message.holdings,
        ),
    )


def _decide_limits(state: PortfolioState, now_ns: int, message: ChangeLimits) -> Decision:
    """New limits hold at once: equity that is below one of them already halts trading now."""
    if not state.opened:
        return Rejection(Refusal.NOT_RUNNING, "the portfolio is not open")
    changed = LimitsChanged(
        session_drawdown_ppm=message.session_drawdown_ppm,
        daily_drawdown_ppm=message.daily_drawdown_ppm,
        inventory_max=message.inventory_max,
        orders_per_minute=message.orders_per_minute,
    )
    return (changed, *_halt_at(evolve(state, changed), equity(state)))


def _decide_list(state: PortfolioState, now_ns: int, message: ListInstrument) -> Decision:
    return (InstrumentListed(instrument=message.instrument),)


def _decide_start(state: PortfolioState, now_ns: int, message: GridConfigured) -> Decision:
    if message.symbol not in state.symbols:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    return (
        StopPricesSet(
            symbol=message.symbol,
            stop_loss_ticks=message.stop_loss_ticks,
            take_profit_ticks=message.take_profit_ticks,
            on_stop=message.on_stop,
        ),
    )


def _deploy_block(state: PortfolioState, risk: SymbolRisk, message: DeployGrid) -> Block | None:
    """What speaks against a start: a grid that would halt or be halted at once, and an order to wait.

    A pause holds up a start, which would place nothing; terms may be changed meanwhile.
    """
    start = message.start
    if state.halted:
        return BlockReason.HALTED, state.halted, 0
    if not message.replaces and (paused := pauses_of(state, start.symbol)):
        return BlockReason.PAUSED, ", ".join(paused), 0
    after = replace(risk, stop_loss_ticks=start.stop_loss_ticks, take_profit_ticks=start.take_profit_ticks)
    if stopped := stop_price_block(after):
        return stopped
    breach = breached_limit(state, equity(state)) if state.session_high else None
    return (breach, "equity is below the limit", 0) if breach else None


def _grid_blocked(symbol: str, command: str, operator: str, block: Block) -> tuple[Record, ...]:
    reason, detail, _ = block
    return (
        GridBlocked(symbol=symbol, command=command, operator=operator, reason=reason.value, detail=detail),
    )


def _decide_deploy(state: PortfolioState, now_ns: int, message: DeployGrid) -> Decision:
    symbol = message.start.symbol
    risk = state.symbols.get(symbol)
    if risk is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, symbol)
    if block := _deploy_block(state, risk, message):
        return _grid_blocked(symbol, "deploy" if message.replaces else "start", message.operator, block)
    return (GridAllowed(deploy=message),)


def _decide_rebalance(state: PortfolioState, now_ns: int, message: RebalanceGrid) -> Decision:
    risk = state.symbols.get(message.symbol)
    if risk is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    block: Block | None = None
    if state.halted:
        block = BlockReason.HALTED, state.halted, 0
    elif paused := pauses_of(state, message.symbol):
        block = BlockReason.PAUSED, ", ".join(paused), 0
    elif risk.halted:
        block = BlockReason.SYMBOL_HALTED, message.symbol, 0
    if block:
        return _grid_blocked(message.symbol, "rebalance", message.operator, block)
    return (RebalanceAllowed(symbol=message.symbol, operator=message.operator),)


def _decide_halt(state: PortfolioState, now_ns: int, message: HaltTrading) -> Decision:
    if state.halted:
        return ()
    return (_halted(state, message.reason, equity(state), message.operator),)


def _decide_reset(state: PortfolioState, now_ns: int, message: ResetHalt) -> Decision:
    if not state.halted:
        return Rejection(Refusal.NOT_RUNNING, "trading is not halted")
    return (HaltReset(operator=message.operator, equity=equity(state)),)


_DECIDE: dict[type, Callable[[PortfolioState, int, Any], Decision]] = {
    OrderRequested: _decide_order,
    OrderFilled: _decide_fill,
    OrderClosed: _decide_released,
    OrderRefused: _decide_refused,
    OrderAmended: _decide_amended,
    FundingPaid: _decide_funding,
    MarkDue: _decide_mark,
    DayStarted: _decide_day,
    TickReport: _decide_tick,
    OpenPortfolio: _decide_open,
    ChangeLimits: _decide_limits,
    ListInstrument: _decide_list,
    GridConfigured: _decide_start,
    DeployGrid: _decide_deploy,
    RebalanceGrid: _decide_rebalance,
    HaltTrading: _decide_halt,
    ResetHalt: _decide_reset,
    OrderThrottled: _decide_refused,
    OrderReappeared: _decide_reappeared,
    PauseTrading: _decide_pause,
    ResumeTrading: _decide_resume,
    DifferenceFound: _decide_difference,
    BalanceCorrected: _decide_correction,
}


def decide(state: PortfolioState, now_ns: int, message: Record) -> Decision:
    """What follows from a message: events to record, or why it is refused."""
    return _DECIDE[type(message)](state, now_ns, message)


# --- route and wake ------------------------------------------------------------------------------------


def route(event: Record) -> tuple[str, ...]:
    """Actors that hear of an event."""
    kind = type(event)
    if kind is OrderAllowed:
        return (ACCOUNT,)
    if kind is InventoryChanged or kind is EquityMarked:
        return ()
    if isinstance(event, (OrderBlocked, SymbolHalted, RebalanceAllowed)):
        return (symbol_actor(event.symbol),)
    if isinstance(event, GridAllowed):
        return (symbol_actor(event.deploy.start.symbol),)
    if isinstance(event, (TradingHalted, TradingPaused, TradingResumed)):
        return tuple(symbol_actor(symbol) for symbol in event.symbols)
    return ()


def _floor_of_all(state: PortfolioState) -> int | None:
    """The highest equity at which a drawdown limit is breached; None without limits or marks."""
    if not state.session_high:
        return None
    floors = [
        drawdown_floor(high, limit)
        for high, limit in (
            (state.session_high, state.session_drawdown_ppm),
            (state.day_high, state.daily_drawdown_ppm),
        )
        if limit
    ]
    return max(floors) if floors else None


def wake(state: PortfolioState, symbol: str) -> Wake:
    """Prices of `symbol` at which something must be decided: its stop prices, and the price at which equity
    (with every other symbol at its last price) falls to a drawdown limit, solved exactly."""
    risk = state.symbols.get(symbol)
    if risk is None or state.halted:
        return ASLEEP
    below: list[int] = []
    above: list[int] = []
    if not risk.halted:
        if risk.stop_loss_ticks:
            below.append(risk.stop_loss_ticks)
        if risk.take_profit_ticks:
            above.append(risk.take_profit_ticks)
    floor = _floor_of_all(state)
    if floor is not None:
        per_tick = value(risk.instrument, 1, risk.inventory)
        room = floor - (equity(state) - per_tick * risk.mark_ticks)
        if per_tick > 0:
            below.append(room // per_tick)
        elif per_tick < 0:
            above.append(ceil_div(-room, -per_tick))
        elif room >= 0:
            below.append(_ANY_PRICE)
    return Wake(max(below) if below else None, min(above) if above else None, None)


_ANY_PRICE = (1 << 63) - 1
