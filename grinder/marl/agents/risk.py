"""The risk agent: whether to let others act, and how much of their size.

Law: it reads ten figures of the account and has no view of direction.  Each figure is a danger between 0
(calm) and a ceiling (its worst); the greatest decides, because one broken limit is not mended by nine that
hold.  A figure that grows worse never makes the answer milder.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from grinder.marl.agents.odds import Odds, choose, nearest, within
from grinder.marl.observing.parts import RiskFigures

ACTIONS = ("none", "alert", "reduce", "flatten", "emergency_stop")
"""From the mildest to the hardest; between equals the hardest.  `reduce` halves what is held, `flatten`
hedges or closes it."""

NONE, ALERT, REDUCE, FLATTEN, EMERGENCY_STOP = range(5)

MULTIPLIERS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the size; between equals the smallest."""

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The danger at which each of `ACTIONS` is likeliest."""

SHARPNESS = 12.0


@attrs.frozen
class Danger:
    """When a figure is dangerous.

    Attributes:
        calm: value up to which it is none.
        worst: value from which it is `ceiling`.
        ceiling: the most danger this figure alone can be; 0.25 an alert, 1 an emergency.
    """

    calm: float
    worst: float
    ceiling: float

    def of(self, value: float) -> float:
        """Danger of a value: linear between `calm` and `worst`, which may lie on either side."""
        return self.ceiling * within((value - self.calm) / (self.worst - self.calm), 0.0, 1.0)


DANGERS: Mapping[str, Danger] = {
    "equity_ratio": Danger(0.95, 0.7, 1.0),
    "open_positions": Danger(5, 20, 0.5),
    "volatility_regime": Danger(0.6, 1.0, 0.75),
    "correlation": Danger(0.5, 1.0, 0.5),
    "var_5pct": Danger(0.02, 0.10, 1.0),
    "drawdown": Danger(0.05, 0.20, 1.0),
    "margin_use": Danger(0.5, 0.9, 1.0),
    "time_of_day_risk": Danger(0.7, 1.0, 0.35),
    "stress": Danger(0.5, 1.0, 1.0),
    "liquidity": Danger(0.5, 0.0, 0.75),
}
"""By figure.  An hour of the day alerts and does no more; a market can flatten a position, not stop an
account; only the account's own losses, its margin and a market-wide stress can."""


@attrs.frozen
class RiskOutput:
    """What the risk agent proposes, before anything is chosen.

    Attributes:
        control: odds of `ACTIONS`.
        multiplier: odds of `MULTIPLIERS`.
        dangers: danger of each figure; empty for a network, which does not tell.
    """

    control: Odds
    multiplier: Odds
    dangers: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def chosen(self) -> int:
        """Index into `ACTIONS`."""
        return choose(self.control, range(EMERGENCY_STOP, -1, -1))

    @property
    def chosen_multiplier(self) -> float:
        """Multiplier of the size."""
        return MULTIPLIERS[choose(self.multiplier)]

    @property
    def confidence(self) -> float:
        """Probability of the chosen action."""
        return max(self.control)

    @property
    def passing(self) -> float:
        """Probability that it lets others act: none or alert."""
        return self.control[NONE] + self.control[ALERT]

    @property
    def action(self) -> str:
        """The choice in words."""
        return f"{ACTIONS[self.chosen]}, multiplier {self.chosen_multiplier:g}"


def dangers(figures: RiskFigures) -> dict[str, float]:
    """Danger of each figure, 0 to its ceiling."""
    return {name: danger.of(getattr(figures, name)) for name, danger in DANGERS.items()}


def control_odds(danger: float) -> Odds:
    """Odds of `ACTIONS` at the greatest danger, by distance from `LEVELS`."""
    return nearest(danger, LEVELS, SHARPNESS)


def multiplier_odds(danger: float) -> Odds:
    """Odds of `MULTIPLIERS`: what danger leaves, ``1 − danger``."""
    return nearest(1.0 - danger, MULTIPLIERS, SHARPNESS)
