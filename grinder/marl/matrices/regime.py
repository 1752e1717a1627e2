"""Which of four regimes the market is in, and the probabilities that go with it.

Law: the rule says the regime of a closed 30-minute bar from four of its figures; the probabilities are 0.7 of
that and 0.3 of what followed it lately.  They are ordered as `grinder.marl.schema.REGIMES` and sum to 1.  A
figure that does not exist yet exceeds no bound, so a market without history is RANGING.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from grinder.marl.bars.closed import Floats, Ints
from grinder.marl.matrices.features import Features
from grinder.marl.matrices.markov import WINDOW, transition_row
from grinder.marl.schema import REGIMES, STRATEGIC_NS

TRENDING, RANGING, VOLATILE, CRISIS = range(len(REGIMES))

RULE_SHARE = 0.7
BARS_PER_DAY = 86_400_000_000_000 // STRATEGIC_NS

STAYING = 0.6
PRIOR: Floats = np.full((4, 4), (1.0 - STAYING) / 3.0) + np.eye(4) * (STAYING - (1.0 - STAYING) / 3.0)
"""Before a regime was left once: it stays with 0.6 (two and a half bars on average), and each other one is
equally likely to follow."""


@attrs.frozen(kw_only=True)
class RegimeBounds:
    """What a figure must exceed.

    Attributes:
        crisis_volatility, volatile_volatility: volatility against its usual.
        crisis_volume, crisis_mmd: volume against its usual and discrepancy, both needed.
        volatile_volume, volatile_mmd: likewise.
        trend: mean of the momenta over 20 and 50 bars, as a share of the price.  None scales it to the asset:
            twice its usual deviation of a day, which is near 0.05 for large cryptocurrencies.
    """

    crisis_volatility: float = 3.5
    crisis_volume: float = 5.0
    crisis_mmd: float = 1.0
    volatile_volatility: float = 2.5
    volatile_volume: float = 2.0
    volatile_mmd: float = 0.5
    trend: float | None = None


@attrs.frozen(eq=False, kw_only=True)
class RegimeFigures:
    """What the rule looks at; shape (m,) each.

    Attributes:
        volatility_30: 30-bar deviation over its usual.
        volume_ratio: volume over its usual, of 30-minute bars.
        mmd: discrepancy with the past.
        momentum: mean of the momenta over 20 and 50 bars.
        usual_volatility: usual deviation of a bar's log return.
    """

    volatility_30: Floats
    volume_ratio: Floats
    mmd: Floats
    momentum: Floats
    usual_volatility: Floats


@attrs.frozen(eq=False, kw_only=True)
class Regime:
    """The regime at the close of one 30-minute bar.

    Attributes:
        state: index into `REGIMES`.
        probabilities: shape (4,), sums to 1.
    """

    state: int
    probabilities: Floats

    @property
    def name(self) -> str:
        """As `REGIMES` spells it."""
        return REGIMES[self.state]


def figures_of(found: Features) -> RegimeFigures:
    """The figures of every 30-minute bar."""
    ofs = found.others_30m
    return RegimeFigures(
        volatility_30=ofs.volatility_30,
        volume_ratio=ofs.volume_ratio,
        mmd=found.mmd,
        momentum=(ofs.momentum_20 + ofs.momentum_50) / 2.0,
        usual_volatility=ofs.usual_volatility,
    )


def classify(figures: RegimeFigures, bounds: RegimeBounds | None = None) -> Ints:
    """The regime of every bar by the rule, worst first: CRISIS, VOLATILE, TRENDING, else RANGING."""
    chosen = bounds or RegimeBounds()
    volatility, volume, mmd = figures.volatility_30, figures.volume_ratio, figures.mmd
    crisis = (volatility > chosen.crisis_volatility) | (
        (volume > chosen.crisis_volume) & (mmd > chosen.crisis_mmd)
    )
    volatile = (volatility > chosen.volatile_volatility) | (
        (volume > chosen.volatile_volume) & (mmd > chosen.volatile_mmd)
    )
    of_a_day = figures.usual_volatility * np.sqrt(BARS_PER_DAY)
    trending = np.abs(figures.momentum) > (2.0 * of_a_day if chosen.trend is None else chosen.trend)
    return np.select([crisis, volatile, trending], [CRISIS, VOLATILE, TRENDING], RANGING).astype(np.int64)


def regime(states: Sequence[int] | Ints) -> Regime:
    """The regime after the last of `states` (30-minute bars, oldest first, at least one)."""
    chain = [int(state) for state in states[-WINDOW:]]
    probabilities = (1.0 - RULE_SHARE) * transition_row(chain, PRIOR)
    probabilities[chain[-1]] += RULE_SHARE
    return Regime(state=chain[-1], probabilities=probabilities / probabilities.sum())


def regime_at(found: Features, index: int, bounds: RegimeBounds | None = None) -> Regime | None:
    """The regime at the close of 5-minute bar `index`, of half hours closed by then; None without any."""
    newest = int(found.closed[index])
    if newest < 0:
        return None
    return regime(classify(figures_of(found), bounds)[: newest + 1])
