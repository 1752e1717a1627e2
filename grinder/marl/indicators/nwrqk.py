"""NW-RQK: Nadaraya-Watson regression of the close with a rational quadratic kernel.

Law: only closes up to the bar itself are regressed.  The window is the one the published indicator walks: 27
closes, from the bar itself to x0 + 1 bars ago, not the whole history.  Read on Heikin-Ashi closes.

Sources: Nadaraya (1964), Watson (1964) for the estimate; Rasmussen and Williams, Gaussian Processes for
Machine Learning, eq. 4.19, for the kernel.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.bars.heikin_ashi import heikin_ashi
from grinder.marl.indicators.mlmi import crosses
from grinder.marl.indicators.rolling import rolling


@attrs.frozen(kw_only=True)
class NwRqkSettings:
    """Attributes:
    bandwidth: h, bars over which the past fades.
    alpha: r, how the kernel mixes short and long scales.
    x0: the window ends x0 + 1 bars ago.
    lag: the second estimate has the bandwidth h - lag and turns earlier.
    smooth: the signal is a cross of the two estimates instead of a turn of the first.
    warm_up: bars without value and signal; at least the window.
    """

    bandwidth: float = 8.0
    alpha: float = 8.0
    x0: int = 25
    lag: float = 2.0
    smooth: bool = False
    warm_up: int = 50

    def __attrs_post_init__(self) -> None:
        if self.warm_up < self.x0 + 2:
            raise ValueError(f"a warm-up covers the window of {self.x0 + 2} bars")


WIDE = NwRqkSettings(bandwidth=46.0)
"""The preset of bandwidth 46."""


@attrs.frozen(eq=False, kw_only=True)
class NwRqk:
    """Shape (n,) each.

    Attributes:
        value: estimate with bandwidth h, quote units; NaN in the warm-up.
        early: estimate with bandwidth h - lag.
        slope: (value - the value before) / close * 100, percent per bar; NaN until two values are there.
        signal: +1 where the slope turns from falling to rising (or `early` crosses `value` upward), -1
            mirrored.
    """

    value: Floats
    early: Floats
    slope: Floats
    signal: Floats


def weights(bandwidth: float, alpha: float, terms: int) -> Floats:
    """Kernel weights of the closes 0..terms-1 bars ago: (1 + i^2 / (2 alpha h^2)) ^ -alpha."""
    ago = np.arange(terms, dtype=np.float64)
    return np.asarray((1.0 + ago**2 / (2.0 * alpha * bandwidth**2)) ** -alpha, dtype=np.float64)


def estimate(closes: Floats, bandwidth: float, alpha: float, x0: int) -> Floats:
    """Kernel mean of the closes 0..min(t, x0 + 1) bars ago; shape (n,)."""
    newest_first = weights(bandwidth, alpha, x0 + 2)

    def mean(rows: Floats) -> Floats:
        used = newest_first[: rows.shape[1]][::-1]
        return np.asarray((rows * used).sum(axis=1) / used.sum(), dtype=np.float64)

    return rolling(closes, x0 + 2, mean, 1)


def nwrqk(bars: Bars, settings: NwRqkSettings | None = None) -> NwRqk:
    """The regression of raw bars, which it turns into Heikin-Ashi itself."""
    return nwrqk_of_closes(heikin_ashi(bars).close, settings)


def nwrqk_of_closes(closes: Floats, settings: NwRqkSettings | None = None) -> NwRqk:
    """The regression of closes of shape (n,)."""
    chosen = settings or NwRqkSettings()
    value = estimate(closes, chosen.bandwidth, chosen.alpha, chosen.x0)
    early = estimate(closes, chosen.bandwidth - chosen.lag, chosen.alpha, chosen.x0)
    value[: chosen.warm_up], early[: chosen.warm_up] = np.nan, np.nan
    slope = np.full(len(closes), np.nan)
    slope[1:] = np.diff(value) / closes[1:] * 100.0
    signal = crosses(early, value) if chosen.smooth else turns(slope)
    return NwRqk(value=value, early=early, slope=slope, signal=signal)


def turns(slope: Floats) -> Floats:
    """+1 where a slope above zero follows one below, -1 mirrored; slopes of exactly zero in between are
    passed over.

    A series that stands still (bars without trades) must not swallow a turn.
    """
    out = np.zeros(len(slope))
    moving = np.flatnonzero(np.nan_to_num(slope) != 0)
    signs = np.sign(slope[moving])
    turned = np.flatnonzero(signs[1:] != signs[:-1]) + 1
    out[moving[turned]] = signs[turned]
    return out
