"""The regime as the last rows of the matrices tell it, for an observation that gives no probabilities.

Law: the transforms of the matrix columns are undone; what follows is the one rule of
`grinder.marl.matrices.regime`, under its bounds.  Rows tell no chain of regimes, so what may follow is as
the rule has it before a regime was left once.

A saturated column says only "at least this much": its sign and the bounds below it still hold.  Volatility is
cut at 3 in its column, so the 3.5 of a crisis cannot be seen from it: such a row is VOLATILE, and CRISIS
takes a burst of volume together with a changed distribution.  The volume is that of five minutes, because no
column tells that of half hours, and there is no absolute volatility a trend could be scaled by.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grinder.marl.bars.closed import Floats
from grinder.marl.matrices.regime import Regime, RegimeBounds, RegimeFigures, classify, regime
from grinder.marl.schema import REGIME, STRATEGIC, TACTICAL, MatrixSchema

TREND = 0.05
"""Mean of the returns over 20 and 50 bars beyond which the market trends: what the bound that scales itself
comes to for large cryptocurrencies."""

_BOUNDS = RegimeBounds(trend=TREND)
_ALMOST_ONE = 1 - 1e-7


def regime_of_rows(
    strategic: NDArray[np.float32], tactical: NDArray[np.float32], regime_rows: NDArray[np.float32]
) -> Regime:
    """The regime after the last row of the three matrices."""
    slow, fast, market = (
        _last(schema, matrix)
        for schema, matrix in ((STRATEGIC, strategic), (TACTICAL, tactical), (REGIME, regime_rows))
    )
    figures = RegimeFigures(
        volatility_30=market["volatility_30"],
        volume_ratio=volume_ratio(fast["volume_ratio"]),
        mmd=market["mmd_score"],
        momentum=mean_momentum(slow["momentum_20"], slow["momentum_50"]),
        usual_volatility=np.zeros(1),
    )
    return regime(classify(figures, _BOUNDS))


def volume_ratio(column: Floats) -> Floats:
    """Volume over its mean, at least 1, from ``tanh(ln(1 + max(0, ratio - 1)))``."""
    return np.asarray(np.exp(_atanh(np.maximum(0.0, column))))


def mean_momentum(momentum_20: Floats, momentum_50: Floats) -> Floats:
    """Mean of two returns from ``tanh(20 x)`` and ``tanh(10 x)``."""
    return np.asarray((_atanh(momentum_20) / 20 + _atanh(momentum_50) / 10) / 2)


def _atanh(column: Floats) -> Floats:
    return np.asarray(np.arctanh(np.clip(column, -_ALMOST_ONE, _ALMOST_ONE)))


def _last(schema: MatrixSchema, matrix: NDArray[np.float32]) -> dict[str, Floats]:
    """The last row by column, shape (1,) each."""
    last = matrix[-1].astype(np.float64)
    return {name: last[at : at + 1] for at, name in enumerate(schema.columns)}
