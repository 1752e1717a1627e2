"""The regime as the last rows of the matrices tell it, for an observation that gives no probabilities.

Law: the transforms of the matrix columns are undone, then thresholds decide; nothing else is known here.
There is no history of regimes, so the part of the answer that a history would shape is uniform.

A saturated column says only "at least this much": its sign and the thresholds below it still hold.
Volatility is cut at 3 in its column, so the 3.5 of a crisis cannot be seen from it: such a row is VOLATILE,
and CRISIS takes a burst of volume together with a changed distribution.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grinder.marl.schema import REGIME, REGIMES, STRATEGIC, TACTICAL

CERTAIN = 0.7
"""Share of the regime the thresholds name; the rest is spread evenly over all."""

CRISIS_VOLUME, CRISIS_MMD = 5.0, 1.0
VOLATILE_VOLATILITY, VOLATILE_VOLUME, VOLATILE_MMD = 2.5, 2.0, 0.5
TREND_MOMENTUM = 0.05
"""Mean of the 20-bar and the 50-bar return beyond which the market trends.  Fixed: the matrices hold no
absolute volatility to scale it by."""

_ALMOST_ONE = 1 - 1e-7


def _atanh(value: float) -> float:
    return math.atanh(max(-_ALMOST_ONE, min(_ALMOST_ONE, value)))


def volume_ratio(column: float) -> float:
    """Volume over its mean, at least 1, from ``tanh(ln(1 + max(0, ratio - 1)))``."""
    return math.exp(_atanh(max(0.0, column)))


def mean_momentum(momentum_20: float, momentum_50: float) -> float:
    """Mean of two returns from ``tanh(20 x)`` and ``tanh(10 x)``."""
    return (_atanh(momentum_20) / 20 + _atanh(momentum_50) / 10) / 2


def regime_named(volatility: float, volume: float, mmd: float, momentum: float) -> str:
    """The regime by threshold, the worst first."""
    if volume > CRISIS_VOLUME and mmd > CRISIS_MMD:
        return "CRISIS"
    if volatility > VOLATILE_VOLATILITY or (volume > VOLATILE_VOLUME and mmd > VOLATILE_MMD):
        return "VOLATILE"
    return "TRENDING" if abs(momentum) > TREND_MOMENTUM else "RANGING"


def regime_from_rows(
    strategic: NDArray[np.float32], tactical: NDArray[np.float32], regime: NDArray[np.float32]
) -> tuple[float, float, float, float]:
    """In the order of `REGIMES`: 0.775 for the one the thresholds name, 0.075 for each other."""
    slow = {name: float(strategic[-1, at]) for at, name in enumerate(STRATEGIC.columns)}
    named = regime_named(
        volatility=float(regime[-1, REGIME.column("volatility_30")]),
        volume=volume_ratio(float(tactical[-1, TACTICAL.column("volume_ratio")])),
        mmd=float(regime[-1, REGIME.column("mmd_score")]),
        momentum=mean_momentum(slow["momentum_20"], slow["momentum_50"]),
    )
    rest = (1 - CERTAIN) / len(REGIMES)
    trending, ranging, volatile, crisis = (round(rest + CERTAIN * (name == named), 9) for name in REGIMES)
    return trending, ranging, volatile, crisis
