"""Kraken's counters of what a client does.

Law: a counter decays with time and is asked before anything is done.  Adding and amending is refused while
the counter would pass its limit; a cancel is counted and never refused, so it may push the counter beyond.
"""

from __future__ import annotations

import attrs

NS = 1_000_000_000

CANCEL = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""(younger than so many seconds, what cancelling costs)."""

AMEND = ((5, 3), (10, 2), (15, 1))
"""The same for amending, beside the fixed 1."""


@attrs.frozen
class Tier:
    """What an account may do: the counter's limit, and what it loses each second."""

    limit: float
    decay_per_s: float


STARTER = Tier(60, 1.0)
INTERMEDIATE = Tier(125, 2.34)
PRO = Tier(180, 3.75)


class Counter:
    """One decaying counter; it starts at nothing."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._count = 0.0
        self._at_ns = 0

    def count(self, now_ns: int) -> float:
        """Where it stands."""
        if self._at_ns:
            lost = (now_ns - self._at_ns) / NS * self.tier.decay_per_s
            self._count = max(0.0, self._count - max(0.0, lost))
        self._at_ns = now_ns
        return self._count

    def take(self, cost: float, now_ns: int) -> bool:
        """Count something if the limit allows it; whether it did."""
        if self.count(now_ns) + cost > self.tier.limit:
            return False
        self._count += cost
        return True

    def add(self, cost: float, now_ns: int) -> None:
        """Count something that is never refused."""
        self._count = self.count(now_ns) + cost


def penalty(table: tuple[tuple[int, int], ...], age_ns: int) -> int:
    """What touching an order of this age costs."""
    return next((cost for seconds, cost in table if age_ns < seconds * NS), 0)
