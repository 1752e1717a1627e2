"""What happens to a grid: the events of a symbol's actor.

Law: names and fields are the storage format of the grid's stream; the rules that write them are in
`domain/symbol.py`, what they do to its state in `domain/grid_state.py`.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from domain.grids.ladder import Ladder
from domain.inputs import SettingChange, StartGrid
from domain.record import Record, record


@record("GridConfigured/1")
class GridConfigured(Record):
    """A grid is laid out and waits for its first price; `run` counts its starts from 0.

    `kept`: base units (signed) it takes over from the grid before it; part of `existing_units`.
    """

    symbol: str
    grid_id: str
    run: int
    mode: str
    initial_inventory: str
    existing_units: int
    stop_loss_ticks: int
    take_profit_ticks: int
    on_stop: str
    post_only: bool
    ladder: Ladder
    kept: int | UnsetType = UNSET


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
    """A level takes over holdings the account had before the grid, at the price of the start.

    `base_units` and `cost` are negative for a short position: a level that opens with a sell takes it over.
    """

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


@record("GridPaused/1")
class GridPaused(Record):
    """The grid asks for nothing while paused; `scope` is the symbol, or empty for a pause of everything."""

    symbol: str
    scope: str
    reason: str


@record("GridResumed/1")
class GridResumed(Record):
    """Pauses ended; with the last of them (`free`) every waiting level may ask at once."""

    symbol: str
    scope: str
    reasons: tuple[str, ...]
    free: bool


@record("ConfigChanged/1")
class ConfigChanged(Record):
    """An operator changed the terms of a symbol's grid; they hold from here on, whether it runs or not."""

    symbol: str
    operator: str
    changes: tuple[SettingChange, ...]


@record("DeploymentBegun/1")
class DeploymentBegun(Record):
    """A grid is to follow under these terms as soon as no order of the one before it works."""

    symbol: str
    operator: str
    start: StartGrid


@record("DeploymentAbandoned/1")
class DeploymentAbandoned(Record):
    """A stop overtook a deployment: its grid is not started."""

    symbol: str
    reason: str


@record("GridRebalancing/1")
class GridRebalancing(Record):
    """The grid asks for nothing until the orders of its levels have ended."""

    symbol: str
    operator: str


@record("GridRebalanced/1")
class GridRebalanced(Record):
    """No order of the grid works any more: every level may ask at once."""

    symbol: str


@record("SpareClosed/1")
class SpareClosed(Record):
    """An execution of the whole grid moved what no level held, by `base_units` (signed)."""

    symbol: str
    base_units: int
