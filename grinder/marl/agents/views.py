"""What a network is shown: an observation as one vector per agent.

Law: the order and the scaling of every entry is said here and nowhere else; every entry lies within ±3, as
the figures of the matrices do.  A change here makes another input of a network: its sizes, and with them
the manifests of all models, change too, or the new entry takes the place and the meaning of the old.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grinder.marl.agents.odds import within
from grinder.marl.agents.strategic import StrategicOutput
from grinder.marl.observing.observation import Observation
from grinder.marl.observing.parts import RiskFigures
from grinder.marl.schema import LARGEST, STRATEGIC, SYNERGIES, TACTICAL

Vector = NDArray[np.float32]

STRATEGIC_LENGTH = STRATEGIC.rows * len(STRATEGIC.columns) + 4 + len(SYNERGIES) + 2 + 3
TACTICAL_LENGTH = TACTICAL.rows * len(TACTICAL.columns) + 5 + 3
RISK_LENGTH = 10


def _vector(parts: Sequence[float]) -> Vector:
    return np.array([within(one, -LARGEST, LARGEST) for one in parts], dtype=np.float32)


def strategic_view(seen: Observation) -> Vector:
    """(637,): the matrix row by row, then the regime probabilities, the synergy and the position.

    The synergy is type one-hot, direction, confidence; the position direction, size, unrealised profit.
    """
    synergy, held = seen.synergy, seen.position
    one_hot = [float(synergy.type == name) for name in SYNERGIES]
    rest = [
        *seen.regime_probabilities,
        *one_hot,
        synergy.direction,
        synergy.confidence,
        held.direction,
        held.size,
        held.unrealised,
    ]
    return np.concatenate([seen.strategic.ravel(), _vector(rest)])


def tactical_view(seen: Observation, strategic: StrategicOutput) -> Vector:
    """(428,): the matrix row by row; the strategic output; spread in percent, range in percent, imbalance.

    The strategic output is its odds of short, neutral and long, its chosen size and its conviction.
    """
    market = seen.market
    said = [*strategic.direction, strategic.chosen_size, strategic.conviction]
    return np.concatenate(
        [seen.tactical.ravel(), _vector([*said, market.spread_bps / 100, market.atr * 100, market.imbalance])]
    )


def risk_view(figures: RiskFigures) -> Vector:
    """(10,): the figures in their order; equity as its distance from 1, positions in tens."""
    return _vector(
        [
            figures.equity_ratio - 1.0,
            figures.open_positions / 10,
            figures.volatility_regime,
            figures.correlation,
            figures.var_5pct,
            figures.drawdown,
            figures.margin_use,
            figures.time_of_day_risk,
            figures.stress,
            figures.liquidity,
        ]
    )
