"""How much of the largest position an edge is worth: the Kelly fraction, cut and halved.

Law: a figure that cannot be computed with gives size 0 and says so; nothing is raised.

``f = (p·b − q) / b`` with p the win rate, q = 1 − p, b the mean win over the mean loss (J. L. Kelly, A New
Interpretation of Information Rate, 1956).  The size is ``clip(f, 0, 0.25) · 0.5``: the estimate of an edge is
wrong more often than it is too small.  Below 30 closed round trips there is no estimate: the share is 2 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from grinder.marl.reasons import Reason, reason

FRACTION_MOST = 0.25
SAFETY = 0.5
ROUND_TRIPS_LEAST = 30
FIXED_SHARE = 0.02
HISTORY_LEAST = 100
"""Earlier win rates needed before one can be called unusual; the last so many are looked at."""

DEVIATIONS_MOST = 3.0


@attrs.frozen
class Kelly:
    """What the edge is worth.

    Attributes:
        size: share of the largest position, 0 to 0.125, or 0.02 without an estimate.
        fraction: f before the cut; negative for a losing edge, 0 where it could not be computed.
        reasons: how it came about; the first decides.
    """

    size: float
    fraction: float
    reasons: tuple[Reason, ...]


def kelly_fraction(win_rate: float, payoff: float) -> float:
    """``(p·b − q) / b``, neither cut nor halved."""
    return (win_rate * payoff - (1.0 - win_rate)) / payoff


def cut_win_rate(win_rate: float, history: Sequence[float]) -> float:
    """The win rate, at most three standard deviations from the mean of the last 100; as it is with fewer."""
    if len(history) < HISTORY_LEAST:
        return win_rate
    last = history[-HISTORY_LEAST:]
    mean = math.fsum(last) / len(last)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in last) / len(last))
    return max(mean - DEVIATIONS_MOST * deviation, min(mean + DEVIATIONS_MOST * deviation, win_rate))


def _usable(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def kelly(
    win_rate: object,
    payoff: object,
    round_trips: int = ROUND_TRIPS_LEAST,
    history: Sequence[float] = (),
    confidence: float = 1.0,
) -> Kelly:
    """The size an edge is worth.

    Args:
        win_rate: share of round trips that won; anything but a number above 0 and below 1 is invalid.
        payoff: mean win over mean loss; anything but a finite number above 0 is invalid.
        round_trips: how many both rest on.
        history: earlier win rates, oldest first.
        confidence: of the decision; the win rate counts at most so much.
    """
    p, b = _usable(win_rate), _usable(payoff)
    if p is None or b is None or p >= 1 or not math.isfinite(confidence):
        return Kelly(
            0.0, 0.0, (reason("kelly.invalid", "Win rate or payoff are no figures to compute with."),)
        )
    if round_trips < ROUND_TRIPS_LEAST:
        text = (
            f"{round_trips} round trips are fewer than {ROUND_TRIPS_LEAST}: the share is {FIXED_SHARE:.2f}."
        )
        return Kelly(FIXED_SHARE, 0.0, (reason("kelly.few_round_trips", text),))
    kept = cut_win_rate(p, history)
    cut: tuple[Reason, ...] = ()
    if kept != p:
        cut = (reason("kelly.win_rate_cut", f"The win rate {p:.4f} is cut to {kept:.4f}, 3 deviations off."),)
    used = min(kept, confidence)
    fraction = kelly_fraction(used, b)
    told = f"win rate {used:.4f}, payoff {b:.4f}: Kelly fraction {fraction:.4f}"
    if fraction <= 0:
        return Kelly(0.0, fraction, (reason("kelly.no_edge", f"There is no edge: {told}."), *cut))
    size = min(fraction, FRACTION_MOST) * SAFETY
    return Kelly(size, fraction, (reason("kelly.sized", f"At {told}, size {size:.4f}."), *cut))
