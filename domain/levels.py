"""One level of a grid: a table of what may happen to it, and the figures it carries.

Law: a level opens on one side and closes on the other, for ever; it has at most one working order.  What it
holds, and what that cost, is its own: profit of a cycle is the difference of its own two sides, whatever the
rest of the grid does.  What a closing order cannot sell (less than a lot, after a fee in the base asset)
stays in the level as a residual and leaves with a later cycle.

A long level opens with a buy (``INITIAL -> BUY_PLACED -> HOLDING -> SELL_PLACED -> PROFIT_CAPTURED`` in the
words of hosted grid bots); a short level, above the market of a neutral grid, opens with a sell.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from domain.orders import BUY, OPPOSITE


class LevelPhase(StrEnum):
    """Where a level is in its cycle."""

    INITIAL = "initial"
    """No order, nothing held for this cycle."""
    OPENING = "opening"
    """Its opening order works (BUY_PLACED for a long level)."""
    HOLDING = "holding"
    """It holds its entry and has no order."""
    CLOSING = "closing"
    """Its closing order works (SELL_PLACED for a long level)."""


class LevelTrigger(StrEnum):
    """What moves a level."""

    ORDERED = "ordered"
    FILLED = "filled"
    """The working order is completely filled."""
    ENDED_EMPTY = "ended_empty"
    """The working order ended and this cycle holds nothing to close."""
    ENDED_HOLDING = "ended_holding"
    """The working order ended and there is something to close."""


P, T = LevelPhase, LevelTrigger

LEVEL_TRANSITIONS: dict[tuple[LevelPhase, LevelTrigger], LevelPhase] = {
    (P.INITIAL, T.ORDERED): P.OPENING,
    (P.OPENING, T.FILLED): P.HOLDING,
    (P.OPENING, T.ENDED_EMPTY): P.INITIAL,
    (P.OPENING, T.ENDED_HOLDING): P.HOLDING,
    (P.HOLDING, T.ORDERED): P.CLOSING,
    (P.CLOSING, T.FILLED): P.INITIAL,  # profit captured
    (P.CLOSING, T.ENDED_HOLDING): P.HOLDING,
    (P.CLOSING, T.ENDED_EMPTY): P.INITIAL,
}


class Level(msgspec.Struct, frozen=True):
    """State of one level.

    Attributes:
        index: place in the ladder, counted from the lowest.
        buy_ticks, sell_ticks: its two prices.
        lots: quantity of its opening order.
        opening: side of its opening order.
        held: base units entered and not closed yet (unsigned; a short level holds what it owes).
        cost: what they cost, or brought, in quote units.
        cycle, attempt: counters in the ids of its orders.
        waiting: it wants an order and waits for the price, or for `retry_at_ns` when that is not 0.
        refusals: how often in a row its order was refused.
    """

    index: int
    buy_ticks: int
    sell_ticks: int
    lots: int
    opening: str = BUY
    phase: LevelPhase = LevelPhase.INITIAL
    order_id: str = ""
    held: int = 0
    cost: int = 0
    cycle: int = 0
    attempt: int = 0
    waiting: bool = False
    retry_at_ns: int = 0
    refusals: int = 0


CLOSES = frozenset({LevelPhase.HOLDING, LevelPhase.CLOSING})
"""Phases in which the order a level has, or wants next, is its closing one."""


def next_side(level: Level) -> str:
    """Side of the order the level has, or wants next."""
    return OPPOSITE[level.opening] if level.phase in CLOSES else level.opening


def price_of(level: Level, side: str) -> int:
    """The level's price on a side, in ticks."""
    return level.buy_ticks if side == BUY else level.sell_ticks


def rests(level: Level, price_ticks: int) -> bool:
    """Whether the order the level has, or wants next, would rest, not take, at a market price."""
    opens = level.phase not in CLOSES
    buys = (level.opening == BUY) is opens
    return price_ticks > level.buy_ticks if buys else price_ticks < level.sell_ticks


FIRST_RETRY_NS = 10**9
LONGEST_RETRY_NS = 3_600 * 10**9


def retry_delay_ns(refusals: int) -> int:
    """Pause after the n-th refusal in a row: 1 s doubled each time, at most an hour, so that an order the
    exchange will never take cannot become a hot loop."""
    return min(FIRST_RETRY_NS << min(refusals, 20), LONGEST_RETRY_NS)
