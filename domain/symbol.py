"""A symbol's grid: which orders it wants, and what its fills mean.

Law: one order per level and side.  A fill re-arms its level with the opposite side and nothing else; an order
that ended without a fill is wanted again when the market allows, never in a loop.  The grid asks; the
portfolio and the account decide whether the order leaves.

On a centered or neutral ladder this is the familiar rule of the hole: one price has no order, buys rest below
it and sells above; a fill moves the hole there and puts the opposite order at the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.grids.ladder import Ladder, build, nearest_boundary
from domain.inputs import ACCOUNT, PORTFOLIO, StartGrid, StopGrid, TickReport
from domain.instrument import (
    Instrument,
    InstrumentListed,
    ListInstrument,
    notional,
    value,
    whole_lots,
)
from domain.levels import (
    LEVEL_TRANSITIONS,
    Level,
    LevelPhase,
    LevelTrigger,
    may_rest,
    next_side,
    price_of,
    retry_delay_ns,
)
from domain.order_events import (
    CancelRequested,
    OrderBlocked,
    OrderClosed,
    OrderFilled,
    OrderRefused,
    OrderRequested,
    OrderTerms,
)
from domain.orders import (
    BUY,
    LIMIT,
    MARKET,
    NO_LEVEL,
    OPPOSITE,
    SELL,
    SIGN,
    Purpose,
    TimeInForce,
    client_order_id,
    level_of,
    purpose_of,
)
from domain.portfolio import BlockReason, SymbolHalted, TradingHalted
from domain.record import Record, record
from domain.rejection import Refusal, Rejection
from domain.wake import ALWAYS, ASLEEP, Wake

LONG = "long"
NEUTRAL = "neutral"

MARKET_RESERVE_PPM = 5_000
"""A market buy is reserved at the last price plus this, so that a tick against us does not overdraw."""


class GridStatus(StrEnum):
    """Where a grid is in its life."""

    NEW = "new"
    INITIALIZED = "initialized"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


# --- events --------------------------------------------------------------------------------------------


@record("GridConfigured/1")
class GridConfigured(Record):
    """A grid is laid out and waits for its first price."""

    symbol: str
    symbol_index: int
    ledger_id: str
    mode: str
    initial_inventory: str
    existing_units: int
    on_stop: str
    post_only: bool
    ladder: Ladder


@record("GridStarted/1")
class GridStarted(Record):
    """The first price placed the grid: `openings` names each level's opening side, lowest level first."""

    symbol: str
    price_ticks: int
    openings: tuple[str, ...]
    stock_lots: int
    """Lots to buy at the market, so that the levels above the price have something to sell."""


@record("InventoryAdopted/1")
class InventoryAdopted(Record):
    """A level takes over holdings the account had before the grid, at the price of the start."""

    symbol: str
    level: int
    base_units: int
    price_ticks: int
    cost: int


@record("LevelFilled/1")
class LevelFilled(Record):
    """What an execution did to a level.

    Attributes:
        role: ``open`` or ``close``.
        base_units, cost: what entered (open) or left (close) the level; cost in quote units.
        profit: of the closed part, quote units, before fees; 0 for an opening.
        held, held_cost: what the level holds after it.
        order_done: its order has nothing left to fill.
        cycle_done: the cycle is complete; the next opening belongs to a new one.
    """

    symbol: str
    level: int
    cycle: int
    role: str
    side: str
    client_order_id: str
    fill_id: str
    price_ticks: int
    base_units: int
    cost: int
    profit: int
    held: int
    held_cost: int
    order_done: bool
    cycle_done: bool


@record("LevelReleased/1")
class LevelReleased(Record):
    """A level lost its order without filling it.

    Attributes:
        waiting: it wants another one.
        retry_at_ns: not before this time; 0 as soon as the price allows.
    """

    symbol: str
    level: int
    client_order_id: str
    reason: str
    waiting: bool
    retry_at_ns: int


@record("LevelDeferred/1")
class LevelDeferred(Record):
    """The pause of a level is over but its order would take: it now waits for the price."""

    symbol: str
    level: int


@record("GridStopping/1")
class GridStopping(Record):
    """The grid stops: no new orders; `on_stop` says what happens to the rest."""

    symbol: str
    reason: str
    on_stop: str


@record("GridStopped/1")
class GridStopped(Record):
    """The grid has stopped; `inventory` is what it still holds, in base units (signed)."""

    symbol: str
    reason: str
    inventory: int


# --- state ---------------------------------------------------------------------------------------------


class SymbolState(msgspec.Struct, frozen=True):
    """Everything a symbol's actor knows.

    Attributes:
        waiting: indices (into `levels`) of the levels that want an order.
        grid_order: id of the working order of the whole grid (initial inventory, flatten), or empty.
        stop_reason, stop_action: why and how the grid stops.
    """

    instrument: Instrument | None = None
    symbol_index: int = 0
    ledger_id: str = ""
    mode: str = LONG
    initial_inventory: str = "none"
    existing_units: int = 0
    on_stop: str = "cancel"
    post_only: bool = True
    status: GridStatus = GridStatus.NEW
    levels: tuple[Level, ...] = ()
    waiting: tuple[int, ...] = ()
    grid_order: str = ""
    grid_attempt: int = 0
    stop_reason: str = ""
    stop_action: str = ""


def initial() -> SymbolState:
    """The state before any record."""
    return SymbolState()


def inventory(state: SymbolState) -> int:
    """Base units the grid's levels hold, signed."""
    return sum(SIGN[level.opening] * level.held for level in state.levels)


# --- evolve --------------------------------------------------------------------------------------------


def _with_level(state: SymbolState, at: int, level: Level) -> SymbolState:
    levels = state.levels[:at] + (level,) + state.levels[at + 1 :]  # noqa: RUF005  twice as fast as unpacking
    if level.waiting == state.levels[at].waiting:
        return replace(state, levels=levels)
    if level.waiting:
        return replace(state, levels=levels, waiting=tuple(sorted((*state.waiting, at))))
    return replace(state, levels=levels, waiting=tuple(i for i in state.waiting if i != at))


def _on_listed(state: SymbolState, event: InstrumentListed) -> SymbolState:
    return replace(state, instrument=event.instrument)


def _on_configured(state: SymbolState, event: GridConfigured) -> SymbolState:
    levels = tuple(
        Level(index=at, buy_ticks=rung.buy_ticks, sell_ticks=rung.sell_ticks, lots=rung.lots)
        for at, rung in enumerate(event.ladder.levels)
    )
    return replace(
        state,
        symbol_index=event.symbol_index,
        ledger_id=event.ledger_id,
        mode=event.mode,
        initial_inventory=event.initial_inventory,
        existing_units=event.existing_units,
        on_stop=event.on_stop,
        post_only=event.post_only,
        status=GridStatus.INITIALIZED,
        levels=levels,
    )


def _on_started(state: SymbolState, event: GridStarted) -> SymbolState:
    levels = tuple(
        replace(level, opening=opening, waiting=True)
        for level, opening in zip(state.levels, event.openings, strict=True)
    )
    return replace(state, status=GridStatus.RUNNING, levels=levels, waiting=tuple(range(len(levels))))


def _on_requested(state: SymbolState, event: OrderRequested) -> SymbolState:
    order_id = event.terms.client_order_id
    if event.level == NO_LEVEL:
        return replace(state, grid_order=order_id, grid_attempt=state.grid_attempt + 1)
    level = state.levels[event.level]
    phase = LEVEL_TRANSITIONS.get((level.phase, LevelTrigger.ORDERED), level.phase)
    level = replace(
        level, phase=phase, order_id=order_id, attempt=level.attempt + 1, waiting=False, retry_at_ns=0
    )
    return _with_level(state, event.level, level)


def _on_adopted(state: SymbolState, event: InventoryAdopted) -> SymbolState:
    level = state.levels[event.level]
    level = replace(
        level, phase=LevelPhase.HOLDING, held=level.held + event.base_units, cost=level.cost + event.cost
    )
    return _with_level(state, event.level, level)


def _on_filled(state: SymbolState, event: LevelFilled) -> SymbolState:
    level = state.levels[event.level]
    stocking = purpose_of(event.client_order_id) in (Purpose.INITIAL_INVENTORY, Purpose.FLATTEN)
    changes: dict[str, Any] = {"held": event.held, "cost": event.held_cost, "refusals": 0}
    if stocking:
        after = replace(level, held=event.held)
        changes["phase"] = LevelPhase.HOLDING if _closable(state, after) else LevelPhase.INITIAL
    elif event.order_done and level.order_id == event.client_order_id:
        phase = LEVEL_TRANSITIONS.get((level.phase, LevelTrigger.FILLED), level.phase)
        changes.update(phase=phase, order_id="")
    if event.cycle_done:
        changes.update(cycle=level.cycle + 1, attempt=0)
    return _with_level(state, event.level, replace(level, **changes))


def _on_released(state: SymbolState, event: LevelReleased) -> SymbolState:
    if event.level == NO_LEVEL:
        return replace(state, grid_order="")
    level = state.levels[event.level]
    phase = LEVEL_TRANSITIONS.get((level.phase, _ended(state, level)), level.phase)
    level = replace(
        level,
        phase=phase,
        order_id="",
        waiting=event.waiting,
        retry_at_ns=event.retry_at_ns,
        refusals=level.refusals + 1,
    )
    return _with_level(state, event.level, level)


def _ended(state: SymbolState, level: Level) -> LevelTrigger:
    """Which end of an order leaves the level with something to close."""
    return LevelTrigger.ENDED_HOLDING if _closable(state, level) else LevelTrigger.ENDED_EMPTY


def _closable(state: SymbolState, level: Level) -> int:
    """Lots the level could close now; 0 when what it holds is below a lot or the exchange's minimum."""
    if state.instrument is None:
        return 0
    lots = whole_lots(state.instrument, level.held)
    price = price_of(level, OPPOSITE[level.opening])
    return lots if notional(state.instrument, price, lots) >= max(state.instrument.min_notional, 1) else 0


def _on_deferred(state: SymbolState, event: LevelDeferred) -> SymbolState:
    return _with_level(state, event.level, replace(state.levels[event.level], retry_at_ns=0))


def _on_stopping(state: SymbolState, event: GridStopping) -> SymbolState:
    levels = tuple(replace(level, waiting=False) for level in state.levels)
    return replace(
        state,
        status=GridStatus.STOPPING,
        stop_reason=event.reason,
        stop_action=event.on_stop,
        levels=levels,
        waiting=(),
    )


def _on_stopped(state: SymbolState, event: GridStopped) -> SymbolState:
    return replace(state, status=GridStatus.STOPPED)


_EVOLVE: dict[type, Callable[[SymbolState, Any], SymbolState]] = {
    InstrumentListed: _on_listed,
    GridConfigured: _on_configured,
    GridStarted: _on_started,
    OrderRequested: _on_requested,
    InventoryAdopted: _on_adopted,
    LevelFilled: _on_filled,
    LevelReleased: _on_released,
    LevelDeferred: _on_deferred,
    GridStopping: _on_stopping,
    GridStopped: _on_stopped,
}


def evolve(state: SymbolState, event: Record) -> SymbolState:
    """The state after an event; events that change nothing here leave it as it is."""
    step = _EVOLVE.get(type(event))
    return step(state, event) if step else state


# --- decide: orders ------------------------------------------------------------------------------------

Decision = tuple[Record, ...] | Rejection


def _level_order(state: SymbolState, instrument: Instrument, level: Level) -> OrderRequested:
    """The order a level wants now."""
    side = next_side(level)
    closes = side != level.opening
    lots = whole_lots(instrument, level.held) if closes else level.lots
    purpose = Purpose.LEVEL_BUY if side == BUY else Purpose.LEVEL_SELL
    return OrderRequested(
        terms=OrderTerms(
            client_order_id=client_order_id(
                state.ledger_id, state.symbol_index, level.index, purpose, level.cycle, level.attempt
            ),
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


def _grid_order(
    state: SymbolState, instrument: Instrument, side: str, lots: int, price_ticks: int, purpose: Purpose
) -> OrderRequested:
    """A market order of the whole grid."""
    return OrderRequested(
        terms=OrderTerms(
            client_order_id=client_order_id(
                state.ledger_id, state.symbol_index, NO_LEVEL, purpose, 0, state.grid_attempt
            ),
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


def _wanted(state: SymbolState, price_ticks: int, now_ns: int) -> Iterator[Record]:
    """Orders (or deferrals) of the waiting levels that a price and a time allow, nearest first."""
    if state.instrument is None:
        return
    levels = [state.levels[at] for at in state.waiting]
    levels.sort(key=lambda x: (abs(price_of(x, next_side(x)) - price_ticks), x.index))
    for level in levels:
        rests = not state.post_only or may_rest(level, next_side(level), price_ticks)
        if level.retry_at_ns > now_ns:
            continue
        if rests:
            yield _level_order(state, state.instrument, level)
        elif level.retry_at_ns:
            yield LevelDeferred(symbol=state.instrument.symbol, level=level.index)


# --- decide: start and stop ----------------------------------------------------------------------------


def _decide_list(state: SymbolState, now_ns: int, message: ListInstrument) -> Decision:
    return (InstrumentListed(instrument=message.instrument),)


def _decide_configure(state: SymbolState, now_ns: int, message: StartGrid) -> Decision:
    if state.instrument is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    if state.status not in (GridStatus.NEW, GridStatus.STOPPED):
        return Rejection(Refusal.ALREADY_OPEN, state.status)
    ladder = build(message.spec, state.instrument)
    if not ladder.levels:
        return Rejection(Refusal.NO_LEVELS, f"{len(ladder.skipped)} skipped")
    return (
        GridConfigured(
            symbol=message.symbol,
            symbol_index=message.symbol_index,
            ledger_id=message.ledger_id,
            mode=message.mode,
            initial_inventory=message.initial_inventory,
            existing_units=message.existing_units,
            on_stop=message.on_stop,
            post_only=message.post_only,
            ladder=ladder,
        ),
    )


def _openings(state: SymbolState, price_ticks: int) -> tuple[str, ...]:
    """Opening side of each level: buys in a long grid; in a neutral one, sells from the hole upwards."""
    if state.mode == LONG:
        return (BUY,) * len(state.levels)
    prices = [level.buy_ticks for level in state.levels] + [state.levels[-1].sell_ticks]
    hole = nearest_boundary(prices, price_ticks)
    return tuple(BUY if level.index < hole else SELL for level in state.levels)


def _adoptions(state: SymbolState, instrument: Instrument, price_ticks: int) -> Iterator[InventoryAdopted]:
    """Existing holdings given to the levels above the price, lowest first."""
    left = state.existing_units
    for level in state.levels:
        take = min(left, level.lots * instrument.base_per_lot)
        if level.buy_ticks >= price_ticks and take >= instrument.base_per_lot:
            left -= take
            yield InventoryAdopted(
                symbol=instrument.symbol,
                level=level.index,
                base_units=take,
                price_ticks=price_ticks,
                cost=value(instrument, price_ticks, take),
            )


def _start(state: SymbolState, instrument: Instrument, now_ns: int, price_ticks: int) -> tuple[Record, ...]:
    stocks = state.mode == LONG and state.initial_inventory == "buy"
    stock_lots = sum(level.lots for level in state.levels if stocks and level.buy_ticks >= price_ticks)
    events: list[Record] = [
        GridStarted(
            symbol=instrument.symbol,
            price_ticks=price_ticks,
            openings=_openings(state, price_ticks),
            stock_lots=stock_lots,
        )
    ]
    if state.mode == LONG and state.initial_inventory == "existing":
        events += _adoptions(state, instrument, price_ticks)
    after = state
    for event in events:
        after = evolve(after, event)
    if stock_lots:
        reserve_price = price_ticks + price_ticks * MARKET_RESERVE_PPM // 1_000_000 + 1
        purpose = Purpose.INITIAL_INVENTORY
        events.append(_grid_order(after, instrument, BUY, stock_lots, reserve_price, purpose))
    events += _wanted(after, price_ticks, now_ns)
    return tuple(events)


def _working(state: SymbolState) -> list[str]:
    """Ids of the grid's working orders."""
    ids = [level.order_id for level in state.levels if level.order_id]
    return [*ids, state.grid_order] if state.grid_order else ids


def _stop(state: SymbolState, reason: str, action: str) -> Decision:
    if state.instrument is None or state.status in (GridStatus.NEW, GridStatus.STOPPED):
        return Rejection(Refusal.NOT_RUNNING, state.status)
    if state.status is GridStatus.STOPPING:
        return ()
    symbol = state.instrument.symbol
    stopping = GridStopping(symbol=symbol, reason=reason, on_stop=action)
    if action == "keep":
        return (stopping, GridStopped(symbol=symbol, reason=reason, inventory=inventory(state)))
    cancels = tuple(
        CancelRequested(client_order_id=order_id, symbol=symbol, reason=reason)
        for order_id in _working(state)
    )
    return (stopping, *cancels, *_finish_stop(evolve(state, stopping)))


def _finish_stop(state: SymbolState) -> tuple[Record, ...]:
    """The last steps of a stop once no order works: flatten if asked, then done."""
    if state.status is not GridStatus.STOPPING or state.instrument is None or _working(state):
        return ()
    held = whole_lots(state.instrument, inventory(state))
    if state.stop_action == "flatten" and held:
        side = SELL if held > 0 else BUY
        price = max(level.sell_ticks for level in state.levels) if side == BUY else 1
        return (_grid_order(state, state.instrument, side, abs(held), price, Purpose.FLATTEN),)
    return (
        GridStopped(symbol=state.instrument.symbol, reason=state.stop_reason, inventory=inventory(state)),
    )


def _decide_stop(state: SymbolState, now_ns: int, message: StopGrid) -> Decision:
    return _stop(state, message.reason, message.on_stop)


def _decide_symbol_halted(state: SymbolState, now_ns: int, message: SymbolHalted) -> Decision:
    return _stop(state, message.reason, message.on_stop)


def _decide_trading_halted(state: SymbolState, now_ns: int, message: TradingHalted) -> Decision:
    # The kill switch never leaves orders working, whatever the grid was told for an ordinary stop.
    return _stop(state, message.reason, "cancel" if state.on_stop == "keep" else state.on_stop)


def _decide_tick(state: SymbolState, now_ns: int, message: TickReport) -> Decision:
    if state.status is GridStatus.INITIALIZED and state.instrument is not None:
        return _start(state, state.instrument, now_ns, message.price_ticks)
    if state.status is not GridStatus.RUNNING or not state.waiting:
        return ()
    return tuple(_wanted(state, message.price_ticks, now_ns))


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
    done = message.unfilled_lots == 0
    purpose = purpose_of(message.client_order_id)
    if purpose is Purpose.INITIAL_INVENTORY:
        return _stocked(state, state.instrument, now_ns, message, done)
    if purpose is Purpose.FLATTEN:
        return _flattened(state, state.instrument, message, done)
    level = state.levels[level_of(message.client_order_id)]
    units = abs(message.base_units)
    make = _opened if message.side == level.opening else _closed
    filled = make(level, state.instrument, message, units, done)
    after = evolve(state, filled)
    if after.status is GridStatus.STOPPING:
        return (filled, *_finish_stop(after))
    if not done or message.late or after.status is not GridStatus.RUNNING:
        return (filled,)
    return (filled, *_rearm(after, state.instrument, level.index))


def _rearm(state: SymbolState, instrument: Instrument, at: int) -> tuple[Record, ...]:
    """The order that follows a completed one on its level."""
    level = state.levels[at]
    if level.phase is LevelPhase.HOLDING and not _closable(state, level):
        # A residual too small to close: open again and let it leave with the next cycle.
        level = replace(level, phase=LevelPhase.INITIAL)
    return (_level_order(state, instrument, level),)


def _stocked(
    state: SymbolState, instrument: Instrument, now_ns: int, message: OrderFilled, done: bool
) -> Decision:
    """Initial inventory: fills go to the levels above the price, lowest first."""
    events: list[Record] = []
    left, after = abs(message.base_units), state
    for level in state.levels:
        need = level.lots * instrument.base_per_lot - level.held
        if not left or need <= 0 or level.order_id:
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
    order_id = state.grid_order
    symbol = state.instrument.symbol if state.instrument else ""
    yield LevelReleased(
        symbol=symbol,
        level=NO_LEVEL,
        client_order_id=order_id,
        reason="complete",
        waiting=False,
        retry_at_ns=0,
    )
    if state.status is GridStatus.RUNNING:
        yield from _wanted(replace(state, grid_order=""), price_ticks, now_ns)


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
    if done:
        events += _stock_complete(after, message.price_ticks, 0)
        events += _finish_stop(replace(after, grid_order="", stop_action="done"))
    return tuple(events)


_NO_RETRY = frozenset(
    {BlockReason.HALTED, BlockReason.SYMBOL_HALTED, BlockReason.STOP_LOSS, BlockReason.TAKE_PROFIT}
)
"""A stop follows these; asking again would only add noise."""


def _released(
    state: SymbolState, symbol: str, order_id: str, reason: str, retry_at_ns: int, waiting: bool
) -> Decision:
    at = level_of(order_id)
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
    return (released, *_finish_stop(_after_release(evolve(state, released), at, order_id)))


def _after_release(state: SymbolState, at: int, order_id: str) -> SymbolState:
    """A flatten order that ended unfilled is not tried again: the operator is shown what is left."""
    if at == NO_LEVEL and purpose_of(order_id) is Purpose.FLATTEN:
        return replace(state, stop_action="done")
    return state


def _pause(state: SymbolState, order_id: str, now_ns: int) -> int:
    at = level_of(order_id)
    refusals = state.levels[at].refusals if at != NO_LEVEL else 0
    return now_ns + retry_delay_ns(refusals)


def _decide_order_closed(state: SymbolState, now_ns: int, message: OrderClosed) -> Decision:
    order_id = message.client_order_id
    return _released(state, message.symbol, order_id, message.reason, _pause(state, order_id, now_ns), True)


def _decide_refused(state: SymbolState, now_ns: int, message: OrderRefused) -> Decision:
    order_id = message.client_order_id
    return _released(state, message.symbol, order_id, message.reason, _pause(state, order_id, now_ns), True)


def _decide_blocked(state: SymbolState, now_ns: int, message: OrderBlocked) -> Decision:
    order_id = message.client_order_id
    retry_at = message.retry_at_ns or _pause(state, order_id, now_ns)
    waiting = message.reason not in _NO_RETRY
    return _released(state, message.symbol, order_id, message.reason, retry_at, waiting)


_DECIDE: dict[type, Callable[[SymbolState, int, Any], Decision]] = {
    TickReport: _decide_tick,
    ListInstrument: _decide_list,
    StartGrid: _decide_configure,
    StopGrid: _decide_stop,
    SymbolHalted: _decide_symbol_halted,
    TradingHalted: _decide_trading_halted,
    OrderFilled: _decide_filled,
    OrderClosed: _decide_order_closed,
    OrderRefused: _decide_refused,
    OrderBlocked: _decide_blocked,
}


def decide(state: SymbolState, now_ns: int, message: Record) -> Decision:
    """What follows from a message: events to record, or why it is refused."""
    return _DECIDE[type(message)](state, now_ns, message)


# --- route and wake ------------------------------------------------------------------------------------


def route(event: Record) -> tuple[str, ...]:
    """Actors that hear of an event."""
    return _ROUTES.get(type(event), ())


_ROUTES: dict[type, tuple[str, ...]] = {OrderRequested: (PORTFOLIO,), CancelRequested: (ACCOUNT,)}


def wake(state: SymbolState) -> Wake:
    """The first price, then whatever brings a waiting level its order."""
    if state.status is GridStatus.INITIALIZED:
        return ALWAYS
    if state.status is not GridStatus.RUNNING or not state.waiting:
        return ASLEEP
    below: list[int] = []
    above: list[int] = []
    times: list[int] = []
    for at in state.waiting:
        level = state.levels[at]
        if level.retry_at_ns:
            times.append(level.retry_at_ns)
        elif not state.post_only:
            times.append(0)
        elif next_side(level) == BUY:
            above.append(level.buy_ticks + 1)
        else:
            below.append(level.sell_ticks - 1)
    return Wake(max(below) if below else None, min(above) if above else None, min(times) if times else None)
