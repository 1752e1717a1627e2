"""How often one caller may call: so many requests in any minute.

Law: counted per caller and kind of route; a request over the limit is refused and does not count.  Memory is
bounded: the caller who has been quiet longest is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import attrs

from grinder.web.admission import Rate

NS = 10**9
WINDOW_NS = 60 * NS
MOST_CALLERS = 10_000


@attrs.frozen
class Allowance:
    """What a caller has left.

    Attributes:
        limit: requests in a minute; 0 is no limit.
        remaining: how many more are let through now.
        reset_s: seconds until one more is.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """What the answer says of it."""
        if not self.limit:
            return {}
        found = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }
        return found if self.allowed else {**found, "Retry-After": str(max(1, self.reset_s))}


class Limits:
    """Counts requests."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def take(self, caller: str, rate: Rate) -> Allowance:
        """Count a request if there is room for it."""
        if not rate.per_minute:
            return Allowance(True, 0, 0, 0)
        now, key = self._clock(), (caller, rate.label)
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_CALLERS:
            self._seen.popitem(last=False)
        while seen and seen[0] <= now - WINDOW_NS:
            seen.popleft()
        allowed = len(seen) < rate.per_minute
        if allowed:
            seen.append(now)
        reset_ns = seen[0] + WINDOW_NS - now
        return Allowance(allowed, rate.per_minute, rate.per_minute - len(seen), -(-reset_ns // NS))
