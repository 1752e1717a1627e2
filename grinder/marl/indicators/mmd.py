"""MMD, the maximum mean discrepancy: how unlike its own past the market of the last days is.

Law: the past it compares with moves along: the 500 bars before the last 100.  Everything is a function of
these bars and of nothing random; the width of the kernel comes from reference points taken by equal stride.

Source: Gretton, Borgwardt, Rasch, Schoelkopf and Smola, A Kernel Two-Sample Test, JMLR 13 (2012), lemma 6
(the unbiased estimate, which may be below zero) and the median heuristic for the width.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.indicators.rolling import rolling_std

YEAR_NS = 365 * 86_400_000_000_000
STD_LEAST = 1e-8


@attrs.frozen(kw_only=True)
class MmdSettings:
    """Attributes:
    reference, test: bars of the two samples; the test sample ends at the bar itself.
    std_window: returns of the volatility that is one of the four figures of a bar.
    width_points: reference points from which the width of the kernel is taken.
    """

    reference: int = 500
    test: int = 100
    std_window: int = 20
    width_points: int = 200

    @property
    def bars_needed(self) -> int:
        """How many bars the first score needs."""
        return self.std_window + self.reference + self.test


def mmd_score(bars: Bars, settings: MmdSettings | None = None, last: int | None = None) -> Floats:
    """sqrt(max(0, MMD^2)) at every bar, 0 where bars are too few; shape (n,).

    Args:
        bars: raw, of one length.
        last: computes only that many of the newest bars and leaves 0 before; a score costs some milliseconds.
    """
    chosen = settings or MmdSettings()
    out = np.zeros(len(bars))
    first = chosen.bars_needed - 1
    if last is not None:
        first = max(first, len(bars) - last)
    if first < len(bars):
        figures = vectors(bars, chosen.std_window)
        for index in range(first, len(bars)):
            split = index + 1 - chosen.test
            reference, test = figures[split - chosen.reference : split], figures[split : index + 1]
            out[index] = score(reference, test, chosen.width_points)
    return out


def vectors(bars: Bars, std_window: int = 20) -> Floats:
    """Simple return, log return, range over the close before, annualised deviation of returns; shape (n, 4).

    NaN where the bars before are too few.
    """
    out = np.full((len(bars), 4), np.nan)
    before = bars.close[:-1]
    out[1:, 0] = bars.close[1:] / before - 1.0
    out[1:, 1] = np.log(bars.close[1:] / before)
    out[1:, 2] = (bars.high[1:] - bars.low[1:]) / before
    out[:, 3] = rolling_std(out[:, 0], std_window) * np.sqrt(YEAR_NS / bars.bar_ns)
    return out


def score(reference: Floats, test: Floats, width_points: int = 200) -> float:
    """Score of two samples (rows are points), standardised by the reference's mean and deviation."""
    mean, std = reference.mean(axis=0), np.maximum(reference.std(axis=0), STD_LEAST)
    left, right = (reference - mean) / std, (test - mean) / std
    return float(np.sqrt(max(0.0, mmd_squared(left, right, kernel_width(left, width_points)))))


def kernel_width(points: Floats, width_points: int = 200) -> float:
    """Root of the median squared distance between points taken by equal stride; 1 when they coincide."""
    count = min(width_points, len(points))
    taken = points[np.arange(count) * len(points) // count]
    above = np.triu_indices(count, 1)
    median = float(np.median(_squared_distances(taken, taken)[above])) if count > 1 else 0.0
    return float(np.sqrt(median)) if median > 0 else 1.0


def mmd_squared(left: Floats, right: Floats, width: float) -> float:
    """Unbiased MMD^2 of two samples of shape (points, figures), Gaussian kernel exp(-d^2 / (2 width^2))."""
    within_left = _mean_of_others(_kernel(left, left, width))
    within_right = _mean_of_others(_kernel(right, right, width))
    return within_left + within_right - 2.0 * float(_kernel(left, right, width).mean())


def _kernel(left: Floats, right: Floats, width: float) -> Floats:
    return np.asarray(np.exp(_squared_distances(left, right) / (-2.0 * width**2)), dtype=np.float64)


def _mean_of_others(kernel: Floats) -> float:
    """Mean without the diagonal, which is 1."""
    count = len(kernel)
    return (float(kernel.sum()) - float(np.trace(kernel))) / (count * (count - 1))


def _squared_distances(left: Floats, right: Floats) -> Floats:
    distance = np.zeros((len(left), len(right)))
    for figure in range(left.shape[1]):
        distance += (left[:, None, figure] - right[None, :, figure]) ** 2
    return distance
