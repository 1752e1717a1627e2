"""Momentum, volatility against its usual, volume against its usual, acceleration, average true range.

Law: the same figures for bars of any length; which of them a matrix carries is not known here.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.indicators.averages import ema, wilder
from grinder.marl.indicators.rolling import FLAT, rolling_mean, rolling_std

VOLATILITY_BARS = 30
USUAL_BARS = 480
VOLUME_BARS = 20
ATR_BARS = 14


@attrs.frozen(eq=False, kw_only=True)
class Others:
    """Shape (n,) each; NaN where bars are too few.

    Attributes:
        momentum_5, momentum_20, momentum_50: close over the close that many bars ago, less 1.
        usual_volatility: mean of the 30-bar deviation of log returns over the last 480 bars (fewer at the
            start).
        volatility_30: the 30-bar deviation over its usual; 1 is normal, also where nothing ever moved.
        volume_ratio: volume over its 20-bar exponential mean; 1 where nothing was ever traded.
        price_acceleration: simple return less the one before.
        atr_14: Wilder's average true range, quote units.
    """

    momentum_5: Floats
    momentum_20: Floats
    momentum_50: Floats
    usual_volatility: Floats
    volatility_30: Floats
    volume_ratio: Floats
    price_acceleration: Floats
    atr_14: Floats


def others(bars: Bars) -> Others:
    """All of them, of raw bars."""
    deviation = rolling_std(log_returns(bars.close), VOLATILITY_BARS)
    usual = rolling_mean(deviation, USUAL_BARS, 1)
    usual_volume = ema(bars.volume, VOLUME_BARS)
    moves = momentum(bars.close, 1)
    acceleration = np.full(len(bars), np.nan)
    acceleration[1:] = np.diff(moves)
    return Others(
        momentum_5=momentum(bars.close, 5),
        momentum_20=momentum(bars.close, 20),
        momentum_50=momentum(bars.close, 50),
        usual_volatility=usual,
        volatility_30=_over(deviation, usual),
        volume_ratio=_over(bars.volume, usual_volume),
        price_acceleration=acceleration,
        atr_14=average_true_range(bars, ATR_BARS),
    )


def momentum(closes: Floats, bars_ago: int) -> Floats:
    """Close over the close `bars_ago`, less 1."""
    out = np.full(len(closes), np.nan)
    out[bars_ago:] = closes[bars_ago:] / closes[: max(len(closes) - bars_ago, 0)] - 1.0
    return out


def log_returns(closes: Floats) -> Floats:
    """ln of the close over the one before; NaN at the first bar."""
    out = np.full(len(closes), np.nan)
    out[1:] = np.diff(np.log(closes))
    return out


def average_true_range(bars: Bars, length: int) -> Floats:
    """Wilder's mean of the true range; the first bar's is its own high less low."""
    reach = bars.high - bars.low
    reach[1:] = np.maximum(bars.high[1:], bars.close[:-1]) - np.minimum(bars.low[1:], bars.close[:-1])
    return wilder(reach, length)


def _over(figure: Floats, usual: Floats) -> Floats:
    """Ratio to the usual; 1 where the usual is nothing but rounding, so the figure is nothing too."""
    return np.where(usual < FLAT, 1.0, figure / np.where(usual < FLAT, 1.0, usual))
