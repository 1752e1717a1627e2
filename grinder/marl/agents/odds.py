"""Vectors of probabilities: how they are made, mixed and chosen from.

Law: pure arithmetic on tuples of float; every vector returned sums to 1.  A choice between equals follows a
written order, so that one observation has one answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Odds = tuple[float, ...]
"""Probabilities of a fixed list of choices; they sum to 1."""

DIRECTIONS = ("short", "neutral", "long")
SHORT, NEUTRAL, LONG = range(3)
SIGN = (-1, 0, 1)
"""The sign of a direction by its index."""

CAREFUL = (NEUTRAL, SHORT, LONG)
"""Between equal directions: neutral, then short, then long."""

STEEPNESS = 4.0
SHARPNESS = 8.0


def softmax(logits: Sequence[float]) -> Odds:
    """``exp(x) / sum of exp(x)``."""
    most = max(logits)
    masses = [math.exp(one - most) for one in logits]
    return normalised(masses)


def normalised(masses: Sequence[float]) -> Odds:
    """Masses, not negative and not all 0, as shares of their sum."""
    total = math.fsum(masses)
    return tuple(one / total for one in masses)


def mixed(weights: Sequence[float], vectors: Sequence[Odds]) -> Odds:
    """Weighted mean of vectors; the weights sum to 1."""
    return normalised(
        [math.fsum(w * p for w, p in zip(weights, at, strict=True)) for at in zip(*vectors, strict=True)]
    )


def choose(odds: Odds, order: Sequence[int] | None = None) -> int:
    """Index of the largest probability; between equals the first in `order` (None: the first)."""
    most = max(odds)
    return next(at for at in (order or range(len(odds))) if odds[at] == most)


def within(value: float, low: float, high: float) -> float:
    """The value, or the bound it lies beyond."""
    return max(low, min(high, value))


def leaning(score: float, caution: float = 1.0) -> Odds:
    """Directions from a score between −1 (short) and +1 (long): ``softmax(−4s, caution, 4s)``.

    P(long) rises and P(short) falls with the score, whatever the caution.
    """
    score = within(score, -1.0, 1.0)
    return softmax((-STEEPNESS * score, caution, STEEPNESS * score))


def tilted(odds: Odds, direction: int, strength: float) -> Odds:
    """Directions with the odds of one side multiplied by ``exp(strength)``; a direction 0 tilts nothing."""
    if not direction:
        return odds
    side = SIGN.index(direction)
    return normalised([one * (math.exp(strength) if at == side else 1.0) for at, one in enumerate(odds)])


def nearest(wanted: float, choices: Sequence[float], sharpness: float = SHARPNESS) -> Odds:
    """Odds of each choice by its distance from what is wanted: ``softmax(−sharpness·|wanted − choice|)``."""
    return softmax([-sharpness * abs(wanted - one) for one in choices])


def through(direction: Odds, passing: float) -> Odds:
    """What an agent without a view of direction says on the direction axis.

    It says what `direction` says with the share it lets pass, and neutral with the rest.
    """
    restrained = (0.0, 1.0, 0.0)
    return mixed((passing, 1.0 - passing), (direction, restrained))
