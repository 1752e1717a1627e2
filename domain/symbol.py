"""A symbol's grid: which orders it wants, and what its fills mean.

Law: one order per level and side.  A fill re-arms its level with the opposite side and nothing else; an order
that ended without a fill is wanted again when the market allows, never in a loop.  The grid asks; the
portfolio and the account decide whether the order leaves.

On a centered or neutral ladder this is the familiar rule of the hole: one price has no order, buys rest below
it and sells above; a fill moves the hole there and puts the opposite order at the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from domain.grid_events import (
    GridConfigured,
    GridPaused,
    GridResumed,
    LevelFilled,
    LevelReleased,
    SpareClosed,
)
from domain.grid_life import begin, configure, deploy, finish, rebalance, stop
from domain.grid_orders import level_order, wanted
from domain.grid_state import (
    NEUTRAL,
    GridStatus,
    SymbolState,
    evolve,
    initial,
    inventory,
    level_after,
)
from domain.inputs import ACCOUNT, PORTFOLIO, StartGrid, StopGrid, TickReport
from domain.instrument import Instrument, InstrumentListed, ListInstrument, value
from domain.levels import CLOSES, Level, retry_delay_ns
from domain.order_events import (
    CancelRequested,
    OrderBlocked,
    OrderClosed,
    OrderFilled,
    OrderRefused,
    OrderRequested,
    OrderThrottled,
)
from domain.orders import (
    BUY,
    NO_LEVEL,
    SIGN,
    Purpose,
    grid_of,
    level_of,
    purpose_of,
)
from domain.record import Record
from domain.rejection import Refusal, Rejection
from domain.risk_events import (
    BlockReason,
    GridAllowed,
    RebalanceAllowed,
    SymbolHalted,
    TradingHalted,
    TradingPaused,
    TradingResumed,
)
from domain.wake import ALWAYS, ASLEEP, Wake

__all__ = ["NEUTRAL", "SymbolState", "decide", "evolve", "initial", "inventory", "route", "wake"]

Decision = tuple[Record, ...] | Rejection


# --- decide: begin and end ----------------------------------------------------------------------------


def _decide_list(state: SymbolState, now_ns: int, message: ListInstrument) -> Decision:
    return (InstrumentListed(instrument=message.instrument),)


def _decide_configure(state: SymbolState, now_ns: int, message: StartGrid) -> Decision:
    return configure(state, message)


def _decide_deploy(state: SymbolState, now_ns: int, message: GridAllowed) -> Decision:
    return deploy(state, message)


def _decide_rebalance(state: SymbolState, now_ns: int, message: RebalanceAllowed) -> Decision:
    return rebalance(state, message)


def _decide_stop(state: SymbolState, now_ns: int, message: StopGrid) -> Decision:
    return stop(state, message.reason, message.on_stop)


def _decide_symbol_halted(state: SymbolState, now_ns: int, message: SymbolHalted) -> Decision:
    return stop(state, message.reason, message.on_stop)


def _decide_trading_halted(state: SymbolState, now_ns: int, message: TradingHalted) -> Decision:
    # The kill switch never leaves orders working, whatever the grid was told for an ordinary stop.
    return stop(state, message.reason, "cancel" if state.on_stop == "keep" else state.on_stop)


def _listens(state: SymbolState) -> bool:
    """Whether a price can bring a level its order.

    Not while the initial inventory is being bought: its fills belong to levels that must still be free; and
    not while it is paused.
    """
    running = state.status is GridStatus.RUNNING and not state.pauses
    return running and bool(state.waiting) and not state.grid_order


def _decide_tick(state: SymbolState, now_ns: int, message: TickReport) -> Decision:
    if state.status is GridStatus.INITIALIZED and state.instrument is not None and not state.pauses:
        return begin(state, state.instrument, now_ns, message.price_ticks)
    if not _listens(state):
        return ()
    return wanted(state, message.price_ticks, now_ns)


# --- decide: fills and ends of orders ------------------------------------------------------------------


def _opened(
    level: Level, instrument: Instrument, message: OrderFilled, units: int, done: bool
) -> LevelFilled:
    cost = value(instrument, message.price_ticks, units)
    return LevelFilled(
        symbol=message.symbol,
        level=level.index,
        cycle=level.cycle,
        role="open",
        side=message.side,
        client_order_id=message.client_order_id,
        fill_id=message.fill_id,
        price_ticks=message.price_ticks,
        base_units=units,
        cost=cost,
        profit=0,
        held=level.held + units,
        held_cost=level.cost + cost,
        order_done=done,
        cycle_done=False,
    )


def _closed(
    level: Level, instrument: Instrument, message: OrderFilled, units: int, done: bool
) -> LevelFilled:
    """A closing execution: the closed share of the cost is floored, so no unit of it is lost."""
    share = level.cost * units // level.held if units < level.held else level.cost
    worth = value(instrument, message.price_ticks, units)
    return LevelFilled(
        symbol=message.symbol,
        level=level.index,
        cycle=level.cycle,
        role="close",
        side=message.side,
        client_order_id=message.client_order_id,
        fill_id=message.fill_id,
        price_ticks=message.price_ticks,
        base_units=units,
        cost=share,
        profit=(worth - share) * SIGN[level.opening],
        held=level.held - units,
        held_cost=level.cost - share,
        order_done=done,
        cycle_done=done,
    )


def _decide_filled(state: SymbolState, now_ns: int, message: OrderFilled) -> Decision:
    if state.instrument is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    if grid_of(message.client_order_id) != state.grid_id:
        return Rejection(Refusal.NOT_RUNNING, f"{message.client_order_id} is of an earlier run")
    done = message.unfilled_lots == 0
    purpose = purpose_of(message.client_order_id)
    if purpose is Purpose.INITIAL_INVENTORY:
        return _stocked(state, state.instrument, now_ns, message, done)
    if purpose is Purpose.FLATTEN:
        return _flattened(state, state.instrument, message, done)
    level = state.levels[level_of(message.client_order_id)]
    units = abs(message.base_units)
    if message.side == level.opening:
        filled = _opened(level, state.instrument, message, units, done)
    else:
        # A fee in the base asset on a sale takes more than the level holds; the rest is the account's.
        filled = _closed(level, state.instrument, message, min(units, level.held), done)
    if state.status is not GridStatus.RUNNING:
        return (filled, *finish(evolve(state, filled)))
    moved_on = level.order_id != message.client_order_id  # a late order, after the level asked for another
    if not done or message.late or moved_on:
        return (filled,)
    # The order that follows a completed one on its level.
    return (filled, level_order(state, state.instrument, level_after(state, filled)))


def _stocked(
    state: SymbolState, instrument: Instrument, now_ns: int, message: OrderFilled, done: bool
) -> Decision:
    """Initial inventory: fills go to the levels above the price, lowest first."""
    events: list[Record] = []
    left, after = abs(message.base_units), state
    for level in state.levels[state.stock_from :]:
        need = level.lots * instrument.base_per_lot - level.held
        if not left or need <= 0:
            continue
        take = min(need, left)
        left -= take
        filled = _opened(level, instrument, message, take, done=False)
        events.append(filled)
        after = evolve(after, filled)
    if done:
        events += _stock_complete(after, message.price_ticks, now_ns)
    return tuple(events)


def _stock_complete(state: SymbolState, price_ticks: int, now_ns: int) -> Iterator[Record]:
    """The grid's own order is over: every level that holds something asks for its closing order."""
    released = _grid_released(state)
    yield released
    after = evolve(state, released)
    if state.status is GridStatus.RUNNING:
        yield from wanted(after, price_ticks, now_ns)
    else:
        yield from finish(after)


def _grid_released(state: SymbolState) -> LevelReleased:
    return LevelReleased(
        symbol=state.instrument.symbol if state.instrument else "",
        level=NO_LEVEL,
        client_order_id=state.grid_order,
        reason="complete",
        waiting=False,
        retry_at_ns=0,
    )


def _flattened(state: SymbolState, instrument: Instrument, message: OrderFilled, done: bool) -> Decision:
    events: list[Record] = []
    left, after = abs(message.base_units), state
    for level in state.levels:
        if not left or not level.held or level.opening == message.side:
            continue
        take = min(level.held, left)
        left -= take
        filled = _closed(level, instrument, message, take, done=take == level.held)
        events.append(filled)
        after = evolve(after, filled)
    sign = SIGN[message.side]
    if left and after.spare * sign < 0:
        spare = SpareClosed(symbol=message.symbol, base_units=sign * min(left, abs(after.spare)))
        events.append(spare)
        after = evolve(after, spare)
    if done:
        events.append(_grid_released(after))
        events += finish(replace(after, grid_order="", stop_action="done"))
    return tuple(events)


_NO_RETRY = frozenset(
    {BlockReason.HALTED, BlockReason.SYMBOL_HALTED, BlockReason.STOP_LOSS, BlockReason.TAKE_PROFIT}
)
"""A stop follows these; asking again would only add noise."""


def _released(
    state: SymbolState, symbol: str, order_id: str, reason: str, retry_at_ns: int, waiting: bool
) -> Decision:
    at = level_of(order_id)
    if grid_of(order_id) != state.grid_id:
        return ()  # an order of an earlier run
    if at != NO_LEVEL and state.levels[at].order_id != order_id:
        return ()  # an order of an earlier cycle; the level has moved on
    released = LevelReleased(
        symbol=symbol,
        level=at,
        client_order_id=order_id,
        reason=reason,
        waiting=waiting and at != NO_LEVEL and state.status is GridStatus.RUNNING,
        retry_at_ns=retry_at_ns if waiting else 0,
    )
    return (released, *finish(_after_release(evolve(state, released), at, order_id)))


def _after_release(state: SymbolState, at: int, order_id: str) -> SymbolState:
    """A flatten order that ended unfilled is not tried again: the operator is shown what is left."""
    if at == NO_LEVEL and purpose_of(order_id) is Purpose.FLATTEN:
        return replace(state, stop_action="done")
    return state


def _pause(state: SymbolState, order_id: str, now_ns: int) -> int:
    at = level_of(order_id)
    ours = at != NO_LEVEL and grid_of(order_id) == state.grid_id
    refusals = state.levels[at].refusals if ours else 0
    return now_ns + retry_delay_ns(refusals)


def _decide_order_closed(state: SymbolState, now_ns: int, message: OrderClosed) -> Decision:
    order_id = message.client_order_id
    return _released(state, message.symbol, order_id, message.reason, _pause(state, order_id, now_ns), True)


def _decide_refused(state: SymbolState, now_ns: int, message: OrderRefused) -> Decision:
    order_id = message.client_order_id
    return _released(state, message.symbol, order_id, message.reason, _pause(state, order_id, now_ns), True)


def _decide_throttled(state: SymbolState, now_ns: int, message: OrderThrottled) -> Decision:
    order_id = message.client_order_id
    return _released(state, message.symbol, order_id, message.reason, message.retry_at_ns, True)


def _decide_paused(state: SymbolState, now_ns: int, message: TradingPaused) -> Decision:
    if state.instrument is None or (message.symbol, message.reason) in state.pauses:
        return ()
    return (GridPaused(symbol=state.instrument.symbol, scope=message.symbol, reason=message.reason),)


def _decide_resumed(state: SymbolState, now_ns: int, message: TradingResumed) -> Decision:
    ended = [one for one in state.pauses if one[0] == message.symbol and one[1] in message.reasons]
    if state.instrument is None or not ended:
        return ()
    return (
        GridResumed(
            symbol=state.instrument.symbol,
            scope=message.symbol,
            reasons=tuple(reason for _, reason in ended),
            free=len(ended) == len(state.pauses),
        ),
    )


def _decide_blocked(state: SymbolState, now_ns: int, message: OrderBlocked) -> Decision:
    order_id = message.client_order_id
    if message.reason == BlockReason.PAUSED and state.pauses:
        retry_at = 0  # the end of the pause is what it waits for
    else:
        retry_at = message.retry_at_ns or _pause(state, order_id, now_ns)
    waiting = message.reason not in _NO_RETRY
    return _released(state, message.symbol, order_id, message.reason, retry_at, waiting)


_DECIDE: dict[type, Callable[[SymbolState, int, Any], Decision]] = {
    TickReport: _decide_tick,
    ListInstrument: _decide_list,
    StartGrid: _decide_configure,
    StopGrid: _decide_stop,
    GridAllowed: _decide_deploy,
    RebalanceAllowed: _decide_rebalance,
    SymbolHalted: _decide_symbol_halted,
    TradingHalted: _decide_trading_halted,
    OrderFilled: _decide_filled,
    OrderClosed: _decide_order_closed,
    OrderRefused: _decide_refused,
    OrderBlocked: _decide_blocked,
    OrderThrottled: _decide_throttled,
    TradingPaused: _decide_paused,
    TradingResumed: _decide_resumed,
}


def decide(state: SymbolState, now_ns: int, message: Record) -> Decision:
    """What follows from a message: events to record, or why it is refused."""
    return _DECIDE[type(message)](state, now_ns, message)


# --- route and wake ------------------------------------------------------------------------------------


def route(event: Record) -> tuple[str, ...]:
    """Actors that hear of an event."""
    return _ROUTES.get(type(event), ())


_ROUTES: dict[type, tuple[str, ...]] = {
    GridConfigured: (PORTFOLIO,),
    OrderRequested: (PORTFOLIO,),
    CancelRequested: (ACCOUNT,),
}


def wake(state: SymbolState) -> Wake:
    """The first price, then whatever brings a waiting level its order."""
    if state.status is GridStatus.INITIALIZED:
        return ASLEEP if state.pauses else ALWAYS
    if not _listens(state):
        return ASLEEP
    below, above, at_ns, levels = 0, _NO_PRICE, _NO_TIME, state.levels
    for at in state.waiting:
        level = levels[at]
        # Compared in place: this runs over every waiting level after every change of the grid.
        if level.retry_at_ns:
            if level.retry_at_ns < at_ns:
                at_ns = level.retry_at_ns
        elif (level.opening == BUY) is (level.phase not in CLOSES):
            if level.buy_ticks < above:
                above = level.buy_ticks
        elif level.sell_ticks > below:
            below = level.sell_ticks
    return Wake(
        below - 1 if below > 0 else None,
        above + 1 if above < _NO_PRICE else None,
        at_ns if at_ns < _NO_TIME else None,
    )


_NO_PRICE = _NO_TIME = 1 << 63
"""Beyond every price and every time."""
