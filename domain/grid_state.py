"""What a symbol's actor knows of its grid, and how its events change that.

Law: total: every event of `domain/grid_events.py` leads to a state, whatever the state was; guards are in
`domain/symbol.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.grid_events import (
    DeploymentAbandoned,
    DeploymentBegun,
    GridConfigured,
    GridPaused,
    GridRebalanced,
    GridRebalancing,
    GridResumed,
    GridStarted,
    GridStopped,
    GridStopping,
    InventoryAdopted,
    LevelDeferred,
    LevelFilled,
    LevelReleased,
    SpareClosed,
)
from domain.inputs import StartGrid
from domain.instrument import Instrument, InstrumentListed, notional, whole_lots
from domain.levels import LEVEL_TRANSITIONS, Level, LevelPhase, LevelTrigger, price_of
from domain.order_events import OrderRequested
from domain.orders import NO_LEVEL, OPPOSITE, SIGN, Purpose, purpose_of
from domain.record import Record, value_or

LONG = "long"
NEUTRAL = "neutral"


class GridStatus(StrEnum):
    """Where a grid is in its life."""

    NEW = "new"
    INITIALIZED = "initialized"
    RUNNING = "running"
    REBALANCING = "rebalancing"
    """Its levels' orders are being cancelled, to be placed anew."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class SymbolState(msgspec.Struct, frozen=True):
    """Everything a symbol's actor knows.

    Attributes:
        grid_id: what its order ids begin with.
        runs: how often it was started.
        waiting: indices (into `levels`) of the levels that want an order.
        stock_from: index of the first level that was at or above the price of the start.
        grid_order: id of the working order of the whole grid (initial inventory, flatten), or empty.
        stop_reason, stop_action: why and how the grid stops.
        pauses: (scope, reason) of every pause in force.
        pending: the terms under which a grid follows as soon as no order of this one works.
        spare: base units (signed) taken over from the grid before that no level has taken.
    """

    instrument: Instrument | None = None
    grid_id: str = ""
    runs: int = 0
    mode: str = LONG
    initial_inventory: str = "none"
    existing_units: int = 0
    on_stop: str = "cancel"
    post_only: bool = True
    status: GridStatus = GridStatus.NEW
    levels: tuple[Level, ...] = ()
    waiting: tuple[int, ...] = ()
    stock_from: int = 0
    grid_order: str = ""
    grid_attempt: int = 0
    stop_reason: str = ""
    stop_action: str = ""
    pauses: tuple[tuple[str, str], ...] = ()
    pending: StartGrid | None = None
    spare: int = 0


def initial() -> SymbolState:
    """The state before any record."""
    return SymbolState()


def inventory(state: SymbolState) -> int:
    """Base units the grid holds, signed."""
    return state.spare + sum(SIGN[level.opening] * level.held for level in state.levels)


def working(state: SymbolState) -> list[str]:
    """Ids of the grid's working orders."""
    ids = [level.order_id for level in state.levels if level.order_id]
    return [*ids, state.grid_order] if state.grid_order else ids


def _with_level(state: SymbolState, at: int, level: Level) -> SymbolState:
    levels = state.levels[:at] + (level,) + state.levels[at + 1 :]  # noqa: RUF005  twice as fast as unpacking
    if level.waiting == state.levels[at].waiting:
        return replace(state, levels=levels)
    if level.waiting:
        return replace(state, levels=levels, waiting=tuple(sorted((*state.waiting, at))))
    waiting = state.waiting
    place = waiting.index(at)
    return replace(state, levels=levels, waiting=waiting[:place] + waiting[place + 1 :])


def _on_listed(state: SymbolState, event: InstrumentListed) -> SymbolState:
    return replace(state, instrument=event.instrument)


def _on_configured(state: SymbolState, event: GridConfigured) -> SymbolState:
    levels = tuple(
        Level(index=at, buy_ticks=rung.buy_ticks, sell_ticks=rung.sell_ticks, lots=rung.lots)
        for at, rung in enumerate(event.ladder.levels)
    )
    return replace(
        state,
        grid_id=event.grid_id,
        runs=event.run + 1,
        mode=event.mode,
        initial_inventory=event.initial_inventory,
        existing_units=event.existing_units,
        on_stop=event.on_stop,
        post_only=event.post_only,
        status=GridStatus.INITIALIZED,
        levels=levels,
        waiting=(),
        grid_order="",
        pending=None,
        spare=value_or(event.kept, 0),
    )


def _on_started(state: SymbolState, event: GridStarted) -> SymbolState:
    levels = tuple(
        replace(level, opening=opening, waiting=True)
        for level, opening in zip(state.levels, event.openings, strict=True)
    )
    return replace(
        state,
        status=GridStatus.RUNNING,
        levels=levels,
        waiting=tuple(range(len(levels))),
        stock_from=sum(level.buy_ticks < event.price_ticks for level in levels),
    )


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
    held, cost = level.held + abs(event.base_units), level.cost + abs(event.cost)
    state = _with_level(state, event.level, replace(level, phase=LevelPhase.HOLDING, held=held, cost=cost))
    if not state.spare:
        return state
    left = state.spare - event.base_units
    return replace(state, spare=max(left, 0) if state.spare > 0 else min(left, 0))


def level_after(state: SymbolState, event: LevelFilled) -> Level:
    """The level of an execution as it is after it."""
    level = state.levels[event.level]
    stocking = purpose_of(event.client_order_id) in (Purpose.INITIAL_INVENTORY, Purpose.FLATTEN)
    changes: dict[str, Any] = {"held": event.held, "cost": event.held_cost, "refusals": 0}
    if stocking:
        after = replace(level, held=event.held)
        changes["phase"] = LevelPhase.HOLDING if closable(state, after) else LevelPhase.INITIAL
    elif event.order_done and level.order_id == event.client_order_id:
        after = replace(level, held=event.held)
        opened_too_little = event.role == "open" and not closable(state, after)
        trigger = LevelTrigger.ENDED_EMPTY if opened_too_little else LevelTrigger.FILLED
        phase = LEVEL_TRANSITIONS.get((level.phase, trigger), level.phase)
        changes.update(phase=phase, order_id="")
    if event.cycle_done:
        changes.update(cycle=level.cycle + 1, attempt=0)
    return replace(level, **changes)


def _on_filled(state: SymbolState, event: LevelFilled) -> SymbolState:
    return _with_level(state, event.level, level_after(state, event))


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
    return LevelTrigger.ENDED_HOLDING if closable(state, level) else LevelTrigger.ENDED_EMPTY


def closable(state: SymbolState, level: Level) -> int:
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


def _on_paused(state: SymbolState, event: GridPaused) -> SymbolState:
    return replace(state, pauses=(*state.pauses, (event.scope, event.reason)))


def _on_resumed(state: SymbolState, event: GridResumed) -> SymbolState:
    left = tuple(one for one in state.pauses if one[0] != event.scope or one[1] not in event.reasons)
    if not event.free:
        return replace(state, pauses=left)
    levels = tuple(
        replace(level, retry_at_ns=0) if level.waiting and level.retry_at_ns else level
        for level in state.levels
    )
    return replace(state, pauses=left, levels=levels)


def _on_begun(state: SymbolState, event: DeploymentBegun) -> SymbolState:
    return replace(state, pending=event.start)


def _on_abandoned(state: SymbolState, event: DeploymentAbandoned) -> SymbolState:
    return replace(state, pending=None)


def _on_rebalancing(state: SymbolState, event: GridRebalancing) -> SymbolState:
    levels = tuple(replace(level, waiting=False) for level in state.levels)
    return replace(state, status=GridStatus.REBALANCING, levels=levels, waiting=())


def _on_rebalanced(state: SymbolState, event: GridRebalanced) -> SymbolState:
    levels = tuple(replace(level, waiting=True, retry_at_ns=0, refusals=0) for level in state.levels)
    return replace(state, status=GridStatus.RUNNING, levels=levels, waiting=tuple(range(len(levels))))


def _on_spare(state: SymbolState, event: SpareClosed) -> SymbolState:
    return replace(state, spare=state.spare + event.base_units)


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
    GridPaused: _on_paused,
    GridResumed: _on_resumed,
    DeploymentBegun: _on_begun,
    DeploymentAbandoned: _on_abandoned,
    GridRebalancing: _on_rebalancing,
    GridRebalanced: _on_rebalanced,
    SpareClosed: _on_spare,
}


def evolve(state: SymbolState, event: Record) -> SymbolState:
    """The state after an event; events that change nothing here leave it as it is."""
    step = _EVOLVE.get(type(event))
    return step(state, event) if step else state
