"""The tactical agent: now or later, how far the stop, how much of the size.

Law: it reads the 5-minute matrix, the market and what the strategic agent proposed.  Three sub-experts
(fair value gap, momentum, entry) answer with odds of short, neutral and long; the type of the synergy
weighs them.  Timing, stop and scale follow from how far their ensemble agrees with the strategic direction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from grinder.marl.agents.odds import LONG, NEUTRAL, SHORT, Odds, choose, leaning, mixed, softmax, within
from grinder.marl.agents.strategic import Row

TIMINGS = ("wait", "enter", "aggressive")
"""Between equals the more patient."""

WAIT = 0

STOPS = (1.0, 1.5, 2.0, 3.0)
"""Distance of the stop in average true ranges; between equals the nearest."""

SCALES = (0.5, 1.0, 1.5)
"""Multiplier of the size; between equals the smallest."""

EXPERTS = ("fvg", "momentum", "entry")

EXPERT_WEIGHTS: Mapping[str | None, tuple[float, float, float]] = {
    "TYPE_1": (0.5, 0.3, 0.2),
    "TYPE_2": (0.4, 0.4, 0.2),
    "TYPE_3": (0.3, 0.5, 0.2),
    "TYPE_4": (0.35, 0.35, 0.3),
    None: (1 / 3, 1 / 3, 1 / 3),
}
"""Weights of `EXPERTS` by the type of the synergy; without one all are heard alike."""

ENTRY_BARS = 6
"""Bars of momentum the entry expert averages: half an hour."""


@attrs.frozen
class TacticalOutput:
    """What the tactical agent proposes, before anything is chosen.

    Attributes:
        timing: odds of `TIMINGS`.
        stop: odds of `STOPS`.
        scale: odds of `SCALES`.
        direction: odds of short, neutral and long: its view on the axis on which the agents negotiate.
        experts: the same of each sub-expert by name; empty for a network, which has none.
    """

    timing: Odds
    stop: Odds
    scale: Odds
    direction: Odds
    experts: Mapping[str, Odds] = attrs.field(factory=dict)

    @property
    def chosen_timing(self) -> int:
        """Index into `TIMINGS`."""
        return choose(self.timing)

    @property
    def chosen_stop(self) -> float:
        """Average true ranges."""
        return STOPS[choose(self.stop)]

    @property
    def chosen_scale(self) -> float:
        """Multiplier of the size."""
        return SCALES[choose(self.scale)]

    @property
    def confidence(self) -> float:
        """Probability of the chosen timing."""
        return max(self.timing)

    @property
    def action(self) -> str:
        """The choice in words."""
        return f"{TIMINGS[self.chosen_timing]}, stop {self.chosen_stop:g} ATR, scale {self.chosen_scale:g}"


def fvg_expert(row: Row) -> Odds:
    """Fair value gaps: ``(bullish − bearish active) · (0.4 + 0.4·age + 0.2·closeness)``.

    A fresh gap (age column 1) counts more than an old one, and a zone at the close more than one 2 % away.  A
    mitigation of a gap confirms the zone: it makes the expert surer of the lean by half.
    """
    lean = within(row["fvg_bullish_active"] - row["fvg_bearish_active"], -1.0, 1.0)
    closeness = 1.0 - within(abs(row["fvg_nearest_level"]), 0.0, 1.0)
    heard = 0.4 + 0.4 * within(row["fvg_age"], 0.0, 1.0) + 0.2 * closeness
    surer = 1.0 + 0.5 * within(abs(row["fvg_mitigation_signal"]), 0.0, 1.0)
    return leaning(lean * heard * surer)


def momentum_expert(row: Row) -> Odds:
    """Momentum of five bars, heard more on volume above its mean: ``momentum · (0.7 + 0.3·volume)``."""
    volume = within(row["volume_ratio"], 0.0, 1.0)
    return leaning(within(row["momentum_5"], -1.0, 1.0) * (0.7 + 0.3 * volume))


def entry_expert(momenta: Sequence[float], imbalance: float, cost: float) -> Odds:
    """The book and the last half hour: ``0.6·imbalance + 0.4·mean momentum``; cost makes it careful.

    Args:
        momenta: `momentum_5` of the last `ENTRY_BARS` rows.
        imbalance: of the book, −1 to 1.
        cost: as `entry_cost` says.
    """
    recent = math.fsum(within(one, -1.0, 1.0) for one in momenta) / len(momenta)
    return leaning(0.6 * imbalance + 0.4 * recent, caution=1.0 + cost)


def entry_cost(spread_bps: float, atr: float) -> float:
    """The spread as a share of an average true range, at most 1; a market without range costs 1."""
    return min(1.0, spread_bps / 10_000 / atr) if atr else 1.0


def agreement(own: Odds, strategic_direction: int) -> float:
    """P(the strategic direction) − P(the opposite), −1 to 1; 0 where the strategic agent is neutral."""
    if strategic_direction == NEUTRAL:
        return 0.0
    lead = own[LONG] - own[SHORT]
    return lead if strategic_direction == LONG else -lead


def timing_odds(agreed: float) -> Odds:
    """Odds of `TIMINGS`: ``softmax(0.5, 3a, 5a − 2)``; waiting is likeliest below an agreement of 1/6."""
    return softmax((0.5, 3.0 * agreed, 5.0 * agreed - 2.0))


def wanted_stop(volatility: float) -> float:
    """Average true ranges: 2 in a normal market, less in a calm one, at most 3."""
    return 1.0 + within(volatility, 0.0, 2.0)


def wanted_scale(agreed: float, cost: float) -> float:
    """Multiplier of the size: half without agreement, 1.5 with all of it, less what the spread costs."""
    return within(0.5 + within(agreed, 0.0, 1.0) - 0.5 * cost, SCALES[0], SCALES[-1])


def ensemble(said: Mapping[str, Odds], synergy: str | None) -> Odds:
    """Mean of the experts, weighted by the type of the synergy."""
    return mixed(EXPERT_WEIGHTS[synergy], [said[name] for name in EXPERTS])
