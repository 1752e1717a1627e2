"""Weighted, exponential and Wilder averages, and the relative strength index.

Law: every function maps (n,) to (n,), NaN until the average has what it needs.
"""

from __future__ import annotations

import numpy as np

from grinder.marl.bars.closed import Floats
from grinder.marl.indicators.rolling import rolling

NEUTRAL = 50.0
"""RSI of a market that did not move."""


def wma(values: Floats, length: int) -> Floats:
    """Linearly weighted mean of the last `length` values: weights `length`..1, newest first."""
    weights = np.arange(1, length + 1, dtype=np.float64)
    return rolling(values, length, lambda rows: (rows * weights).sum(axis=1) / weights.sum())


def ema(values: Floats, length: int) -> Floats:
    """Exponential mean with alpha 2 / (length + 1), starting at the first value."""
    return _smoothed(values, 2.0 / (length + 1), 1)


def wilder(values: Floats, length: int) -> Floats:
    """Wilder's mean: that of the first `length` values, then 1 / length of the way to each new one."""
    return _smoothed(values, 1.0 / length, length)


def rsi(closes: Floats, length: int) -> Floats:
    """Wilder's relative strength index (New Concepts in Technical Trading Systems, 1978), 0 to 100.

    The first value is at bar `length`.  100 with gains only, 0 with losses only, 50 where nothing moved.
    """
    out = np.full(len(closes), np.nan)
    if len(closes) <= length:
        return out
    change = np.diff(closes)
    gain = wilder(np.maximum(change, 0.0), length)
    loss = wilder(np.maximum(-change, 0.0), length)
    both = gain + loss
    out[1:] = np.where(both == 0, NEUTRAL, 100.0 * gain / np.where(both == 0, 1.0, both))
    return out


def _smoothed(values: Floats, step: float, seed: int) -> Floats:
    out = np.full(len(values), np.nan)
    if len(values) < seed:
        return out
    mean = float(values[:seed].mean())
    out[seed - 1] = mean
    for index, value in enumerate(values[seed:].tolist(), seed):
        mean += step * (value - mean)
        out[index] = mean
    return out
