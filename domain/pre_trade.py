"""Pre-trade checks: what an order must pass before it is allowed.

Law: the first limit an order fails decides, in the order of `BlockReason`.  Limits are held against the
portfolio's own state; an order that strictly reduces a holding passes those that stop it from growing.
"""

from __future__ import annotations

from functools import partial

from domain.instrument import PPM, value
from domain.order_events import OrderRequested
from domain.orders import BUY, SIGN
from domain.portfolio_state import PortfolioState, SymbolRisk, equity
from domain.risk_events import BlockReason
from domain.units import units_text

MINUTE_NS = 60 * 10**9

Block = tuple[BlockReason, str, int]
"""Reason, detail and the time at which asking again can help (0: time alone will not)."""


def drawdown_floor(high_water: int, limit_ppm: int) -> int:
    """Highest equity that breaches a drawdown limit: ``(high - equity) / high >= limit``."""
    return high_water * (PPM - limit_ppm) // PPM


def breached_limit(state: PortfolioState, worth: int) -> BlockReason | None:
    """The drawdown limit that equity of `worth` breaches, if any: it is at or below the `drawdown_floor`."""
    session, daily = state.session_drawdown_ppm, state.daily_drawdown_ppm
    if session and worth * PPM <= state.session_high * (PPM - session):
        return BlockReason.SESSION_DRAWDOWN
    if daily and worth * PPM <= state.day_high * (PPM - daily):
        return BlockReason.DAILY_DRAWDOWN
    return None


def _reduces(risk: SymbolRisk, side: str, lots: int) -> bool:
    """Whether an order, together with those resting on its side, lowers the holding without flipping it."""
    resting = risk.resting_buy_lots if side == BUY else risk.resting_sell_lots
    units = (resting + lots) * risk.instrument.base_per_lot
    return risk.inventory * SIGN[side] < 0 and units <= abs(risk.inventory)


def _velocity_block(state: PortfolioState, now_ns: int) -> Block | None:
    limit = state.orders_per_minute
    if not limit or len(state.allowed_at) < limit:
        return None
    oldest = state.allowed_at[-limit]
    if oldest <= now_ns - MINUTE_NS:
        return None
    return BlockReason.VELOCITY, f"{limit} orders in the last 60 s", oldest + MINUTE_NS


def stop_price_block(risk: SymbolRisk) -> Block | None:
    """The block of a symbol whose last price is beyond its stop loss or its take profit."""
    mark = risk.mark_ticks
    if risk.stop_loss_ticks and mark and mark <= risk.stop_loss_ticks:
        return BlockReason.STOP_LOSS, f"price {mark}, stop {risk.stop_loss_ticks} ticks", 0
    if risk.take_profit_ticks and mark >= risk.take_profit_ticks:
        return BlockReason.TAKE_PROFIT, f"price {mark}, target {risk.take_profit_ticks} ticks", 0
    return None


def _inventory_block(
    state: PortfolioState, risk: SymbolRisk, side: str, price: int, worth: int
) -> Block | None:
    if not state.inventory_max:
        return None
    resting = risk.resting_buys if side == BUY else risk.resting_sells
    held = value(risk.instrument, price, risk.inventory) * SIGN[side]
    total = held + resting + worth
    if total <= state.inventory_max:
        return None
    show = partial(units_text, decimals=risk.instrument.quote_decimals)
    parts = f"{show(held)} held + {show(resting)} resting + {show(worth)} ordered"
    return BlockReason.INVENTORY, f"{parts} > {show(state.inventory_max)} {risk.instrument.quote}", 0


def _drawdown_block(state: PortfolioState, risk: SymbolRisk) -> Block | None:
    if not (state.session_drawdown_ppm or state.daily_drawdown_ppm):
        return None
    if not state.session_high:
        return BlockReason.NO_MARK, "equity was never marked", 0
    worth = equity(state)
    reason = breached_limit(state, worth)
    if reason is None:
        return None
    show = partial(units_text, decimals=risk.instrument.quote_decimals)
    parts = f"equity {show(worth)}, session high {show(state.session_high)}, day high {show(state.day_high)}"
    return reason, parts, 0


def pauses_of(state: PortfolioState, symbol: str) -> tuple[str, ...]:
    """Reasons for which a symbol is paused, those for all symbols included."""
    if not state.pauses:
        return ()
    return (*state.pauses.get("", ()), *state.pauses.get(symbol, ()))


def block_of(
    state: PortfolioState, risk: SymbolRisk, now_ns: int, message: OrderRequested, worth: int
) -> Block | None:
    """The first limit an order fails, the order of `BlockReason`."""
    terms = message.terms
    reducing = _reduces(risk, terms.side, terms.lots)
    if reducing and terms.reduce_only:
        return None  # the way out is never throttled
    # A halt lets only the way out pass: a grid's own closing order would outlive the stop that follows.
    if state.halted:
        return BlockReason.HALTED, state.halted, 0
    if paused := pauses_of(state, terms.symbol):
        return BlockReason.PAUSED, ", ".join(paused), 0
    if risk.halted:
        return BlockReason.SYMBOL_HALTED, terms.symbol, 0
    if not reducing and (stopped := stop_price_block(risk)):
        return stopped
    if fast := _velocity_block(state, now_ns):
        return fast
    if reducing:
        return None
    return _inventory_block(state, risk, terms.side, terms.price_ticks, worth) or _drawdown_block(state, risk)
