"""Markets for the tests of bars and indicators: seeded walks and bars written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grinder.marl.bars.closed import Bars, Floats, from_candles
from grinder.marl.schema import STRATEGIC_NS, TACTICAL_NS

MONDAY_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC, a multiple of every length of bar."""


def walk(count: int, seed: int, bar_ns: int = TACTICAL_NS, step: float = 0.002) -> Bars:
    """Bars of a geometric walk that starts at 100; `step` is the deviation of a bar's log return."""
    draw = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, step, count)))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(draw.normal(0.0, step / 4, count))
    high = np.maximum(opened, close) * (1.0 + np.abs(draw.normal(0.0, step / 2, count)))
    low = np.minimum(opened, close) * (1.0 - np.abs(draw.normal(0.0, step / 2, count)))
    return candles((opened, high, low, close), draw.gamma(2.0, 5.0, count), bar_ns)


def candles(
    prices: tuple[Floats, Floats, Floats, Floats], volume: Floats | None = None, bar_ns: int = TACTICAL_NS
) -> Bars:
    """Bars from `MONDAY_NS` on of open, high, low and close columns; volume 1 each when none is given."""
    count = len(prices[0])
    starts = MONDAY_NS + np.arange(count, dtype=np.int64) * bar_ns
    return from_candles(bar_ns, starts, prices, np.ones(count) if volume is None else volume)


def written(rows: Sequence[tuple[float, float, float, float]], bar_ns: int = TACTICAL_NS) -> Bars:
    """Bars of rows (open, high, low, close)."""
    columns = np.array(rows, dtype=np.float64).T
    return candles((columns[0], columns[1], columns[2], columns[3]), bar_ns=bar_ns)


def of_closes(closes: Floats, bar_ns: int = STRATEGIC_NS) -> Bars:
    """Bars without a range: every price of one is its close."""
    return candles((closes, closes, closes, closes), bar_ns=bar_ns)
