"""How a grid begins, is replaced, is put in order and ends.

Law: a symbol has one grid at a time.  A grid that is to follow another begins when no order of the other one
works any more, whatever became of them; until then it is `pending` in the state, so nothing forgets it.  What
the grid before it holds, the next one takes over.  A stop of any kind overtakes a pending grid.

A rebalance changes no terms: prices, center and quantities stay; the orders of the levels are cancelled, and
each level asks again for what it wants as it stands.  Its cycles and what it holds go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from domain.grid_events import (
    ConfigChanged,
    DeploymentAbandoned,
    DeploymentBegun,
    GridConfigured,
    GridRebalanced,
    GridRebalancing,
    GridStarted,
    GridStopped,
    GridStopping,
    InventoryAdopted,
)
from domain.grid_orders import grid_order, wanted
from domain.grid_state import (
    LONG,
    GridStatus,
    SymbolState,
    closable,
    evolve,
    inventory,
    working,
)
from domain.grids.ladder import Ladder, build, nearest_boundary
from domain.inputs import StartGrid
from domain.instrument import PPM, Instrument, value, whole_lots
from domain.levels import Level
from domain.order_events import CancelRequested
from domain.orders import BUY, MOST_RUNS, SELL, Purpose, grid_id, next_grid_id
from domain.record import Record
from domain.rejection import Refusal, Rejection
from domain.risk_events import GridAllowed, RebalanceAllowed

MARKET_RESERVE_PPM = 5_000
"""A market buy is reserved at the last price plus this, so that a tick against us does not overdraw."""

DEPLOY = "deploy"
REBALANCE = "rebalance"
"""Why a grid is stopped, and why its orders are cancelled."""

Decision = tuple[Record, ...] | Rejection

_IDLE = (GridStatus.NEW, GridStatus.STOPPED)


# --- the terms -----------------------------------------------------------------------------------------


def _ladder(state: SymbolState, start: StartGrid) -> Ladder | Rejection:
    """The ladder of a start that is not refused."""
    if state.instrument is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, start.symbol)
    if state.runs >= MOST_RUNS:
        return Rejection(Refusal.NO_MORE_RUNS, str(state.runs))
    ladder = build(start.spec, state.instrument)
    if not ladder.levels:
        return Rejection(Refusal.NO_LEVELS, f"{len(ladder.skipped)} skipped")
    return ladder


def configure(state: SymbolState, start: StartGrid) -> Decision:
    """Lay a grid out under terms that say themselves what it begins with."""
    if state.instrument is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, start.symbol)
    if state.status not in _IDLE:
        return Rejection(Refusal.ALREADY_OPEN, state.status)
    if working(state):
        return Rejection(Refusal.ALREADY_OPEN, f"{len(working(state))} orders of its last run still work")
    ladder = _ladder(state, start)
    if isinstance(ladder, Rejection):
        return ladder
    name = grid_id(start.ledger_id, start.symbol_index, state.runs)
    return (_configured(state, start, ladder, name),)


def _configured(
    state: SymbolState, start: StartGrid, ladder: Ladder, name: str, *, kept: int | None = None
) -> GridConfigured:
    takes_over = state.instrument is not None and kept is not None and whole_lots(state.instrument, abs(kept))
    return GridConfigured(
        symbol=start.symbol,
        grid_id=name,
        run=state.runs,
        mode=start.mode,
        initial_inventory="existing" if takes_over else start.initial_inventory,
        existing_units=start.existing_units + (kept or 0),
        stop_loss_ticks=start.stop_loss_ticks,
        take_profit_ticks=start.take_profit_ticks,
        on_stop=start.on_stop,
        post_only=start.post_only,
        ladder=ladder,
        kept=UNSET if kept is None else kept,
    )


def _following(state: SymbolState, start: StartGrid) -> tuple[Record, ...]:
    """The grid that follows on the one whose last order has ended."""
    ladder = _ladder(state, start)
    if isinstance(ladder, Rejection):  # it was checked when it was taken; the instrument has changed since
        return (DeploymentAbandoned(symbol=start.symbol, reason=ladder.reason.value),)
    first = grid_id(start.ledger_id, start.symbol_index, 0)
    name = next_grid_id(state.grid_id or first, state.runs)
    return (_configured(state, start, ladder, name, kept=inventory(state)),)


# --- the start -----------------------------------------------------------------------------------------


def _openings(state: SymbolState, price_ticks: int) -> tuple[str, ...]:
    """Opening side of each level: buys in a long grid; in a neutral one, sells from the hole upwards."""
    if state.mode == LONG:
        return (BUY,) * len(state.levels)
    prices = [level.buy_ticks for level in state.levels] + [state.levels[-1].sell_ticks]
    hole = nearest_boundary(prices, price_ticks)
    return tuple(BUY if level.index < hole else SELL for level in state.levels)


def _takers(state: SymbolState, openings: Sequence[str], price_ticks: int) -> list[Level]:
    """The levels that may take over a holding, in their order: those whose closing order rests at the price.

    Of a neutral ladder a long holding is for the levels above its hole, a short one for those below: each
    then has the order it would have without, and what is held is somebody's.
    """
    if state.mode == LONG:
        return [level for level in state.levels if level.buy_ticks >= price_ticks]
    if state.existing_units > 0:
        return [level for level in state.levels if openings[level.index] == SELL]
    return [level for level in reversed(state.levels) if openings[level.index] == BUY]


def _adoptions(
    state: SymbolState, instrument: Instrument, takers: Sequence[Level], price_ticks: int
) -> Iterator[InventoryAdopted]:
    """Existing holdings given to levels, nearest to the price first."""
    sign = -1 if state.existing_units < 0 else 1
    left = abs(state.existing_units)
    for level in takers:
        take = min(left, level.lots * instrument.base_per_lot)
        # What is left of a grid's holding may be too little for an order; it is not lost in a level.
        small = state.spare and not closable(state, replace(level, held=take))
        if take < instrument.base_per_lot or small:
            continue
        left -= take
        yield InventoryAdopted(
            symbol=instrument.symbol,
            level=level.index,
            base_units=sign * take,
            price_ticks=price_ticks,
            cost=sign * value(instrument, price_ticks, take),
        )


def begin(state: SymbolState, instrument: Instrument, now_ns: int, price_ticks: int) -> tuple[Record, ...]:
    """The first price of a grid that is laid out: its start and its first orders."""
    stocks = state.mode == LONG and state.initial_inventory == "buy"
    stock_lots = sum(level.lots for level in state.levels if stocks and level.buy_ticks >= price_ticks)
    openings = _openings(state, price_ticks)
    adopted: tuple[InventoryAdopted, ...] = ()
    takes_over = state.mode == LONG and state.existing_units > 0
    if state.initial_inventory == "existing" and (takes_over or state.mode != LONG):
        takers = _takers(state, openings, price_ticks)
        adopted = tuple(_adoptions(state, instrument, takers, price_ticks))
        side = BUY if state.existing_units > 0 else SELL
        taken = {one.level for one in adopted}
        openings = tuple(side if at in taken else one for at, one in enumerate(openings))
    events: list[Record] = [
        GridStarted(
            symbol=instrument.symbol,
            price_ticks=price_ticks,
            openings=openings,
            stock_lots=stock_lots,
        ),
        *adopted,
    ]
    after = state
    for event in events:
        after = evolve(after, event)
    if stock_lots:
        reserve_price = price_ticks + price_ticks * MARKET_RESERVE_PPM // PPM + 1
        purpose = Purpose.INITIAL_INVENTORY
        events.append(grid_order(after, instrument, BUY, stock_lots, reserve_price, purpose))
    events += wanted(after, price_ticks, now_ns)
    return tuple(events)


# --- the end -------------------------------------------------------------------------------------------


def stop(state: SymbolState, reason: str, action: str) -> Decision:
    """Stop a grid, doing with its orders and its holding what `action` says."""
    if state.instrument is None:
        return Rejection(Refusal.NOT_RUNNING, state.status)
    symbol = state.instrument.symbol
    if state.pending is not None:
        # Its cancels are under way; what was asked for now decides what follows on the last of them.
        abandoned = DeploymentAbandoned(symbol=symbol, reason=reason)
        action = "cancel" if action == "keep" else action
        stopping = GridStopping(symbol=symbol, reason=reason, on_stop=action)
        return (abandoned, stopping, *finish(_after(state, abandoned, stopping)))
    if state.status in _IDLE:
        return Rejection(Refusal.NOT_RUNNING, state.status)
    if state.status is GridStatus.STOPPING:
        return ()
    if action == "keep":
        stopping = GridStopping(symbol=symbol, reason=reason, on_stop=action)
        return (stopping, GridStopped(symbol=symbol, reason=reason, inventory=inventory(state)))
    return _stopped_by(state, symbol, reason, action)


def _stopped_by(state: SymbolState, symbol: str, reason: str, action: str) -> tuple[Record, ...]:
    stopping = GridStopping(symbol=symbol, reason=reason, on_stop=action)
    cancels = _cancels(symbol, working(state), reason)
    return (stopping, *cancels, *finish(evolve(state, stopping)))


def _cancels(symbol: str, order_ids: Sequence[str], reason: str) -> tuple[Record, ...]:
    return tuple(
        CancelRequested(client_order_id=order_id, symbol=symbol, reason=reason) for order_id in order_ids
    )


def _after(state: SymbolState, *events: Record) -> SymbolState:
    for event in events:
        state = evolve(state, event)
    return state


def finish(state: SymbolState) -> tuple[Record, ...]:
    """What waited for the last order of a grid to end: its flattening, its end, the next grid, new orders."""
    if state.instrument is None or working(state):
        return ()
    symbol = state.instrument.symbol
    if state.status is GridStatus.REBALANCING:
        return (GridRebalanced(symbol=symbol),)
    if state.status is GridStatus.STOPPED:
        return _following(state, state.pending) if state.pending is not None else ()
    if state.status is not GridStatus.STOPPING:
        return ()
    held = whole_lots(state.instrument, inventory(state))
    if state.stop_action == "flatten" and held:
        side = SELL if held > 0 else BUY
        price = max(level.sell_ticks for level in state.levels) if side == BUY else 1
        return (grid_order(state, state.instrument, side, abs(held), price, Purpose.FLATTEN),)
    stopped = GridStopped(symbol=symbol, reason=state.stop_reason, inventory=inventory(state))
    return (stopped, *finish(evolve(state, stopped)))


# --- by an operator ------------------------------------------------------------------------------------


def deploy(state: SymbolState, message: GridAllowed) -> Decision:
    """Begin a grid, at once or as soon as no order of the one before it works."""
    asked = message.deploy
    ladder = _ladder(state, asked.start)
    if isinstance(ladder, Rejection):
        return ladder
    if state.status not in _IDLE and not asked.replaces:
        return Rejection(Refusal.ALREADY_OPEN, state.status)
    symbol = asked.start.symbol
    events: tuple[Record, ...] = ()
    if asked.changes:
        events = (ConfigChanged(symbol=symbol, operator=asked.operator, changes=asked.changes),)
    if state.status in _IDLE and not working(state):
        return (*events, *_following(state, asked.start))
    begun = DeploymentBegun(symbol=symbol, operator=asked.operator, start=asked.start)
    events = (*events, begun)
    if state.pending is not None or state.status is GridStatus.STOPPING:
        return events  # the cancels are under way
    if state.status in _IDLE:  # stopped with its orders left working
        return (*events, *_cancels(symbol, working(state), DEPLOY))
    return (*events, *_stopped_by(evolve(state, begun), symbol, DEPLOY, "cancel"))


def rebalance(state: SymbolState, message: RebalanceAllowed) -> Decision:
    """Cancel what the levels have working; they ask anew when the last of it has ended."""
    if state.status is GridStatus.REBALANCING:
        return ()
    if state.status is not GridStatus.RUNNING or state.instrument is None:
        return Rejection(Refusal.NOT_RUNNING, state.status)
    symbol = state.instrument.symbol
    rebalancing = GridRebalancing(symbol=symbol, operator=message.operator)
    # The market order for the initial inventory ends by itself.
    order_ids = [level.order_id for level in state.levels if level.order_id]
    cancels = _cancels(symbol, order_ids, REBALANCE)
    return (rebalancing, *cancels, *finish(evolve(state, rebalancing)))
