"""What risk decides: the events of the portfolio, and the reasons for which it blocks an order.

Law: names and fields are the storage format of the portfolio's stream; the rules that write them are in
`domain/portfolio.py`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, UnsetType

from domain.inputs import DeployGrid
from domain.record import Record, record


class BlockReason(StrEnum):
    """Why an order was not allowed, in the order in which the limits are checked."""

    HALTED = "PAUSE_HALTED"
    """The kill switch is latched."""
    PAUSED = "PAUSED"
    """Trading, or this symbol, is paused; it goes on when the pause ends."""
    SYMBOL_HALTED = "PAUSE_SYMBOL_HALTED"
    """The symbol's stop loss or take profit was reached."""
    STOP_LOSS = "PAUSE_STOP_LOSS"
    """The last price is at or beyond the stop loss."""
    TAKE_PROFIT = "PAUSE_TAKE_PROFIT"
    """The last price is at or beyond the take profit."""
    VELOCITY = "THROTTLE_ORDERS_PER_MINUTE"
    """The orders of the last 60 s reach the limit."""
    INVENTORY = "PAUSE_INV_CAP"
    """Holding, resting orders of the same side and this order together pass the cap."""
    SESSION_DRAWDOWN = "EMERGENCY_DD_SESSION"
    DAILY_DRAWDOWN = "EMERGENCY_DD_DAILY"
    NO_MARK = "PAUSE_NO_MARK"
    """Equity was never marked, so drawdown is undefined."""


@record("PortfolioOpened/1")
class PortfolioOpened(Record):
    """Risk control begins under these limits; 0 switches one off."""

    session_drawdown_ppm: int
    daily_drawdown_ppm: int
    inventory_max: int
    orders_per_minute: int
    cash: int
    holdings: tuple[tuple[str, int], ...]


@record("LimitsChanged/1")
class LimitsChanged(Record):
    """Risk control goes on under these limits (0 is none)."""

    session_drawdown_ppm: int
    daily_drawdown_ppm: int
    inventory_max: int
    orders_per_minute: int


@record("StopPricesSet/1")
class StopPricesSet(Record):
    """Prices at which a symbol halts, in ticks; 0 is none."""

    symbol: str
    stop_loss_ticks: int
    take_profit_ticks: int
    on_stop: str


@record("InventoryChanged/1")
class InventoryChanged(Record):
    """A fill moved a holding; totals after it, and what it freed of the resting orders' value."""

    symbol: str
    side: str
    inventory: int
    cash: int
    price_ticks: int
    resting_released: int
    resting_lots_released: int


@record("ExposureReleased/1")
class ExposureReleased(Record):
    """What rests on a side became less (or, when negative, more) without a fill: an end, or an amendment."""

    symbol: str
    side: str
    notional: int
    lots: int


@record("CashChanged/1")
class CashChanged(Record):
    """Funding changed the cash; total after it."""

    symbol: str
    cash: int


@record("EquityMarked/1")
class EquityMarked(Record):
    """Equity at these prices (symbol, ticks), quote units."""

    equity: int
    marks: tuple[tuple[str, int], ...]


@record("DayOpened/1")
class DayOpened(Record):
    """The daily high-water mark starts again from this equity."""

    day: int
    equity: int


@record("SymbolHalted/1")
class SymbolHalted(Record):
    """A symbol's stop loss or take profit was reached; its grid is to stop."""

    symbol: str
    reason: str
    price_ticks: int
    on_stop: str


@record("TradingHalted/1")
class TradingHalted(Record):
    """The kill switch latched: nothing that increases risk is allowed until an operator resets it.

    `operator` is who latched it, where it was a person.
    """

    reason: str
    equity: int
    high_water: int
    symbols: tuple[str, ...]
    operator: str | UnsetType = UNSET


@record("HaltReset/1")
class HaltReset(Record):
    """An operator released the kill switch; high-water marks start again from this equity."""

    operator: str
    equity: int


@record("TradingPaused/1")
class TradingPaused(Record):
    """No new order leaves, for this reason, until it is resumed; working orders stay.

    Attributes:
        symbol: empty when it is about all of them.
        symbols: those concerned.
    """

    symbol: str
    reason: str
    operator: str
    symbols: tuple[str, ...]


@record("TradingResumed/1")
class TradingResumed(Record):
    """Pauses ended: `reasons` of this symbol, or of all when it is empty."""

    symbol: str
    reasons: tuple[str, ...]
    operator: str
    symbols: tuple[str, ...]


@record("HoldingCorrected/1")
class HoldingCorrected(Record):
    """A correction moved a holding or the cash; totals after it.

    Attributes:
        symbol: empty when only cash moved.
        base_units: change of the holding.
        worth: change of equity at the last price, quote units: a transfer, which moves the high-water marks
            along, so that a deposit hides no loss and a withdrawal is none.
    """

    symbol: str
    base_units: int
    inventory: int
    cash: int
    worth: int


@record("GridAllowed/1")
class GridAllowed(Record):
    """Risk has nothing against a grid's start."""

    deploy: DeployGrid


@record("RebalanceAllowed/1")
class RebalanceAllowed(Record):
    """Risk has nothing against a grid's rebalance."""

    symbol: str
    operator: str


@record("GridBlocked/1")
class GridBlocked(Record):
    """A grid may not be started or rebalanced now: nothing was changed.  `reason` is a `BlockReason`."""

    symbol: str
    command: str
    operator: str
    reason: str
    detail: str
