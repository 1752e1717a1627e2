"""What is observed of a recorded market by somebody who holds nothing in it.

Law: whatever bars tell comes from the bars; whatever they do not tell (the account, the book) has the value
of an account at rest in a market that is easily left, and is named in `ASSUMED`.
"""

from __future__ import annotations

import math
from typing import Final

from grinder.marl.matrices.assembling import Matrices
from grinder.marl.matrices.features import Features
from grinder.marl.matrices.regime import Regime, RegimeBounds
from grinder.marl.matrices.synergy import Synergy as FoundSynergy
from grinder.marl.observing.observation import Observation
from grinder.marl.observing.parts import Market, Position, RiskFigures, Synergy

WIDEST_RANGE: Final = 0.2
"""What an observation takes of an average true range at most (`grinder.marl.observing.parts.Market`)."""

ASSUMED: Final = (
    "nothing is held",
    "an account without a loss, a margin or other positions",
    "a book that leans to neither side",
)
"""What no bar tells, in words."""


def observed(
    found: Features,
    matrices: Matrices,
    regime: Regime,
    synergy: FoundSynergy | None,
    *,
    price: str,
    spread_bps: float,
) -> Observation:
    """The observation at the close of the last bar.

    Args:
        synergy: the one that stands at that close.
        price: the last price, decimal text.
        spread_bps: ask less bid over their middle; bars do not tell it.

    Raises:
        UserError: a figure is out of its range.
    """
    trending, ranging, volatile, crisis = (round(float(one), 9) for one in regime.probabilities)
    range_14 = float(found.others_5m.atr_14[-1] / found.bars_5m.close[-1])
    return Observation(
        strategic=matrices.strategic,
        tactical=matrices.tactical,
        regime=matrices.regime,
        regime_probabilities=(trending, ranging, volatile, crisis),
        synergy=Synergy(0, 0.0) if synergy is None else _told(synergy),
        position=Position(0, 0.0, 0.0),
        market=Market(spread_bps, min(range_14, WIDEST_RANGE), 0.0, price),
        risk=RiskFigures(
            equity_ratio=1.0,
            open_positions=0,
            volatility_regime=volatility_regime(found),
            correlation=0.0,
            var_5pct=0.0,
            drawdown=0.0,
            margin_use=0.0,
            time_of_day_risk=0.0,
            stress=0.0,
            liquidity=1.0,
        ),
    )


def volatility_regime(found: Features) -> float:
    """Volatility from none, 0, to what the rule of the regimes calls a crisis, 1; usual where unknown."""
    told = float(found.others_30m.volatility_30[int(found.closed[-1])])
    return min((told if math.isfinite(told) else 1.0) / RegimeBounds().crisis_volatility, 1.0)


def _told(synergy: FoundSynergy) -> Synergy:
    return Synergy(synergy.direction, synergy.confidence, synergy.type)
