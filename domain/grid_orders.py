"""The orders a grid wants.

Law: pure functions of the grid's state; an order's id is derived from the grid, the level and its counters,
so wanting the same order twice names it the same.
"""

from __future__ import annotations

from domain.grid_events import LevelDeferred
from domain.grid_state import SymbolState
from domain.instrument import Instrument, whole_lots
from domain.levels import CLOSES, Level, next_side, price_of, rests
from domain.order_events import OrderRequested, OrderTerms
from domain.orders import BUY, LIMIT, MARKET, NO_LEVEL, Purpose, TimeInForce, client_order_id
from domain.record import Record


def level_order(state: SymbolState, instrument: Instrument, level: Level) -> OrderRequested:
    """The order a level wants now."""
    side = next_side(level)
    closes = side != level.opening
    lots = whole_lots(instrument, level.held) if closes else level.lots
    purpose = Purpose.LEVEL_BUY if side == BUY else Purpose.LEVEL_SELL
    return OrderRequested(
        terms=OrderTerms(
            client_order_id=client_order_id(state.grid_id, level.index, purpose, level.cycle, level.attempt),
            symbol=instrument.symbol,
            side=side,
            order_type=LIMIT,
            time_in_force=TimeInForce.POST_ONLY if state.post_only else TimeInForce.GTC,
            reduce_only=False,
            price_ticks=price_of(level, side),
            lots=lots,
        ),
        level=level.index,
        cycle=level.cycle,
    )


def grid_order(
    state: SymbolState, instrument: Instrument, side: str, lots: int, price_ticks: int, purpose: Purpose
) -> OrderRequested:
    """A market order of the whole grid."""
    return OrderRequested(
        terms=OrderTerms(
            client_order_id=client_order_id(state.grid_id, NO_LEVEL, purpose, 0, state.grid_attempt),
            symbol=instrument.symbol,
            side=side,
            order_type=MARKET,
            time_in_force=TimeInForce.IOC,
            reduce_only=purpose is Purpose.FLATTEN,
            price_ticks=price_ticks,
            lots=lots,
        ),
        level=NO_LEVEL,
        cycle=0,
    )


def wanted(state: SymbolState, price_ticks: int, now_ns: int) -> tuple[Record, ...]:
    """Orders (or deferrals) of the waiting levels that a price and a time allow, nearest first."""
    instrument, levels = state.instrument, state.levels
    if instrument is None:
        return ()
    due = []
    for at in state.waiting:
        level = levels[at]
        if level.retry_at_ns:
            if level.retry_at_ns <= now_ns:
                due.append(level)
        # As `rests` says it, without a call: most levels of a large grid are only passed by.
        elif (
            level.buy_ticks < price_ticks
            if (level.opening == BUY) is (level.phase not in CLOSES)
            else level.sell_ticks > price_ticks
        ):
            due.append(level)
    if len(due) > 1:
        due.sort(key=lambda x: (abs(price_of(x, next_side(x)) - price_ticks), x.index))
    return tuple(
        [
            level_order(state, instrument, level)
            if not level.retry_at_ns or rests(level, price_ticks)
            else LevelDeferred(symbol=instrument.symbol, level=level.index)
            for level in due
        ]
    )
