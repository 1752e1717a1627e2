"""Why a decision is what it is: a stable code and a sentence with its figures.

Law: a reason has a code from this table.  Figures in a sentence have a fixed number of digits, so that one
decision has one text.
"""

from __future__ import annotations

from typing import Final

import attrs

REASONS: Final[dict[str, str]] = {
    "risk.emergency": "The risk agent calls for an emergency stop.",
    "risk.veto": "The risk agent vetoes: it wants the position reduced or closed, not built.",
    "risk.no_size": "The risk agent leaves no size.",
    "risk.worst": "The figure that is in the greatest danger.",
    "gate.in_force": "A halt or a pause is in force.",
    "vote.neutral": "The agents want no position.",
    "vote.below_threshold": "The winning direction has too small a score.",
    "vote.opposed": "Two of three agents vote for the opposite direction.",
    "vote.not_strategic": "The winning direction is not that of the strategic agent.",
    "vote.won": "The winning direction has a score that suffices.",
    "vote.against_synergy": "A direction was marked down because a synergy points the other way.",
    "timing.wait": "The tactical agent waits.",
    "timing.enter": "The tactical agent enters.",
    "size.no_range": "The market has no range to place a stop by.",
    "size.full": "The position has its largest size already.",
    "size.capped": "The size is cut to what the limit leaves.",
    "kelly.sized": "The Kelly fraction of the edge, halved.",
    "kelly.few_round_trips": "Too few round trips to measure an edge: the fixed share is used.",
    "kelly.no_edge": "The Kelly fraction is not above 0.",
    "kelly.win_rate_cut": "The win rate is far from its own mean and was cut.",
    "kelly.invalid": "Win rate or payoff are no figures to compute with.",
}


@attrs.frozen
class Reason:
    """One reason.

    Attributes:
        code: from `REASONS`, or a code of `grinder.marl.refusals` for a model that was refused.
        text: one sentence with the figures of this case.
    """

    code: str
    text: str


def reason(code: str, text: str) -> Reason:
    """A reason of the table.  A code missing from it is a bug (KeyError)."""
    REASONS[code]
    return Reason(code, text)
