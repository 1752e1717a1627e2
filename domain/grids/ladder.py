"""From a specification to the levels of a grid: rounded, sized and checked.

Law: a level is a pair of neighbouring prices with a quantity.  It buys at the lower one and sells at the
upper one, in turn, for ever; which comes first is the business of `domain/symbol.py`.  Buys are rounded down
to a tick and sells up (never worse for us than the exact price), centered ladders to the nearest tick (half
to even), so that one price serves both sides and the ladder has a single hole.

A level that cannot trade is skipped with a reason; it is never silently missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from domain.grids.registry import GRID_KINDS
from domain.grids.spec import CENTERED, GridSpec
from domain.instrument import Instrument, notional
from domain.record import Record, record


class SkipReason(StrEnum):
    """Why a level of the ladder gets no orders."""

    DUPLICATE = "SKIP_DUPLICATE_AFTER_ROUNDING"
    """One of its prices falls on the tick of its neighbour's below; that one stays."""
    TOO_SMALL = "SKIP_SIZE_BELOW_MIN"
    """Its value is below the exchange's minimum, or its quantity below one lot."""


@record("LadderLevel/1")
class LadderLevel(Record):
    """One level: buy at `buy_ticks`, sell at `sell_ticks`, `lots` each time."""

    index: int
    buy_ticks: int
    sell_ticks: int
    lots: int


@record("SkippedLevel/1")
class SkippedLevel(Record):
    """A level left out, and why (`SkipReason`)."""

    index: int
    buy_ticks: int
    sell_ticks: int
    lots: int
    reason: str


@record("Ladder/1")
class Ladder(Record):
    """Every level of a grid, ascending, and those that were skipped."""

    levels: tuple[LadderLevel, ...]
    skipped: tuple[SkippedLevel, ...]


def _pairs(spec: GridSpec) -> list[tuple[int, int]]:
    """(buy, sell) in ticks of every interval of the ladder, ascending."""
    prices = GRID_KINDS[spec.spacing].prices(spec)
    if spec.form == CENTERED:
        nearest = [round(p) for p in prices]  # Fraction rounds half to even
        return list(pairwise(nearest))
    lower = [p.numerator // p.denominator for p in prices]
    upper = [-(-p.numerator // p.denominator) for p in prices]
    return list(zip(lower, upper[1:], strict=False))


def _lots(spec: GridSpec, instrument: Instrument, buy_ticks: int) -> int:
    if spec.lots:
        return spec.lots
    one_lot = notional(instrument, buy_ticks, 1)
    return spec.level_quote // one_lot if one_lot > 0 else 0


def build(spec: GridSpec, instrument: Instrument) -> Ladder:
    """The ladder of a specification under an instrument's rules.

    Sizes: `lots` as given, or the whole lots that `level_quote` buys at the level's lower price, so the
    investment is never exceeded.
    """
    levels: list[LadderLevel] = []
    skipped: list[SkippedLevel] = []
    below = (0, 0)
    for index, (buy, sell) in enumerate(_pairs(spec)):
        lots = _lots(spec, instrument, buy)
        reason = None
        if buy <= below[0] or sell <= max(below[1], buy):
            reason = SkipReason.DUPLICATE
        elif lots < 1 or notional(instrument, buy, lots) < instrument.min_notional:
            reason = SkipReason.TOO_SMALL
        if reason:
            skipped.append(
                SkippedLevel(index=index, buy_ticks=buy, sell_ticks=sell, lots=lots, reason=reason.value)
            )
        else:
            levels.append(LadderLevel(index=index, buy_ticks=buy, sell_ticks=sell, lots=lots))
        if reason is not SkipReason.DUPLICATE:
            below = (buy, sell)
    return Ladder(levels=tuple(levels), skipped=tuple(skipped))


def nearest_boundary(prices: Sequence[int], price_ticks: int) -> int:
    """Index of the ladder price nearest to the market (ties to the lower): where the hole starts."""
    return min(range(len(prices)), key=lambda k: (abs(prices[k] - price_ticks), k))
