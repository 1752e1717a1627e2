"""The strategic agent: which way, how much, how sure.

Law: it reads the 30-minute matrix, the regime, the synergy and what is held.  Three sub-experts each read
their own columns of the last row and answer with odds of short, neutral and long; the ensemble is their
mean, weighted by the regime.  A synergy tilts the ensemble.  A larger `mlmi_value` never lowers P(long) and
never raises P(short).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from grinder.marl.agents.odds import CAREFUL, DIRECTIONS, SIGN, Odds, choose, leaning, mixed, softmax, within

SIZES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the largest position; between equals the smallest."""

EXPERTS = ("mlmi", "nwrqk", "regime")

EXPERT_LOGITS: Mapping[str, tuple[float, float, float]] = {
    "TRENDING": (1.0, 1.0, 0.0),
    "RANGING": (0.5, 1.0, 0.0),
    "VOLATILE": (0.5, 0.5, 0.5),
    "CRISIS": (0.0, 0.0, 1.5),
}
"""How much the experts (MLMI, NW-RQK, regime) are heard, by regime: momentum counts in a trend, the kernel
regression also in a range, the state of the market most in a crisis."""

SYNERGY_STRENGTH = 1.0
"""Log-odds that a synergy of confidence 1 adds to its direction."""

Row = Mapping[str, float]
"""The last row of a matrix by column."""


@attrs.frozen
class StrategicOutput:
    """What the strategic agent proposes, before anything is chosen.

    Attributes:
        direction: odds of `DIRECTIONS`.
        size: odds of `SIZES`.
        experts: odds of `DIRECTIONS` of each sub-expert by name; empty for a network, which has none.
    """

    direction: Odds
    size: Odds
    experts: Mapping[str, Odds] = attrs.field(factory=dict)

    @property
    def chosen_direction(self) -> int:
        """Index into `DIRECTIONS`; between equals neutral, then short."""
        return choose(self.direction, CAREFUL)

    @property
    def chosen_size(self) -> float:
        """Share of the largest position."""
        return SIZES[choose(self.size)]

    @property
    def conviction(self) -> float:
        """The largest probability of a direction."""
        return max(self.direction)

    @property
    def action(self) -> str:
        """The choice in words."""
        return f"{DIRECTIONS[self.chosen_direction]} {self.chosen_size:g}"


def mlmi_expert(row: Row) -> Odds:
    """Momentum: ``0.5·value + 0.3·signal + 0.1·momentum_20 + 0.1·momentum_50``, all of them within ±1."""
    weights = {"mlmi_value": 0.5, "mlmi_signal": 0.3, "momentum_20": 0.1, "momentum_50": 0.1}
    return leaning(math.fsum(weight * within(row[name], -1.0, 1.0) for name, weight in weights.items()))


def nwrqk_expert(row: Row) -> Odds:
    """Kernel regression: the sign and steepness of its slope, heard more where little was traded.

    ``slope · (0.6 + 0.2·(distance·strength) + 0.2·|value|)``: a low-volume node that is close (distance 1)
    and strong holds no price up, and a price far from the regression has room to follow the slope.
    `nwrqk_value` enters by its size only: a price away from the regression argues for both a return and a
    break.
    """
    slope = within(row["nwrqk_slope"], -1.0, 1.0)
    node = within(row["lvn_distance"], 0.0, 1.0) * within(row["lvn_strength"], 0.0, 1.0)
    room = within(abs(row["nwrqk_value"]), 0.0, 1.0)
    return leaning(slope * (0.6 + 0.2 * node + 0.2 * room))


def regime_expert(row: Row) -> Odds:
    """The state of the market: mostly how careful to be.

    Caution is ``1 + max(0, volatility − 1) + 0.5·mmd``, 1 in a normal market.  The lean is a quarter of the
    skew of the volume profile: a long tail of prices above the traded mass (positive) leans long.
    """
    caution = 1.0 + max(0.0, row["volatility_30"] - 1.0) + 0.5 * max(0.0, row["mmd_score"])
    return leaning(0.25 * within(row["volume_profile_skew"], -1.0, 1.0), caution)


def expert_weights(regime: Mapping[str, float]) -> Odds:
    """Weights of `EXPERTS`: softmax of their logits, averaged over the probabilities of the regimes."""
    logits = [
        math.fsum(share * EXPERT_LOGITS[name][at] for name, share in regime.items())
        for at in range(len(EXPERTS))
    ]
    return softmax(logits)


def ensemble(row: Row, regime: Mapping[str, float]) -> tuple[Odds, dict[str, Odds]]:
    """Odds of the directions, and of each expert by name."""
    said = {"mlmi": mlmi_expert(row), "nwrqk": nwrqk_expert(row), "regime": regime_expert(row)}
    return mixed(expert_weights(regime), list(said.values())), said


def wanted_size(direction: Odds, regime: Mapping[str, float], held_at_a_loss: bool) -> float:
    """The share of the largest position to ask for, 0 to 1, before it is put to the choices.

    Conviction, halved by a certain VOLATILE and emptied by a certain CRISIS; halved again where a loss is
    held in the same direction, because a losing position is not built up.
    """
    calm = 1.0 - 0.5 * regime["VOLATILE"] - regime["CRISIS"]
    return max(direction) * within(calm, 0.0, 1.0) * (0.5 if held_at_a_loss else 1.0)


def adds_to_a_loss(direction: Odds, held: int, unrealised: float) -> bool:
    """Whether the chosen direction is the one in which a loss is held."""
    return unrealised < 0 and held != 0 and SIGN[choose(direction, CAREFUL)] == held
