"""How many requests a client may still make: windows, and bans for who does not stop.

Law: counts what it is told, on the clock it is given; what a request weighs and how a refusal is worded is
the protocol's business.
"""

from __future__ import annotations

from collections import deque

NS = 1_000_000_000


class RequestLimiter:
    """A sliding window of request weights.

    Args:
        capacity: weight allowed in any window; 0 is no limit.
        window_s: its length.
        ban_s: how long a client is shut out that goes on although refused; 0 is never.
        patience: refusals within a window before the ban.

    Attributes:
        banned_until: ns; 0 when never banned.
    """

    def __init__(self, capacity: int, window_s: float, *, ban_s: float = 0.0, patience: int = 10) -> None:
        self.capacity = capacity
        self.window_ns = int(window_s * NS)
        self.ban_ns = int(ban_s * NS)
        self.patience = patience
        self.banned_until = 0
        self._taken: deque[tuple[int, int]] = deque()
        self._used = 0
        self._refused: deque[int] = deque()

    def used(self, now_ns: int) -> int:
        """Weight used in the window that ends now."""
        self._forget(now_ns)
        return self._used

    def take(self, weight: int, now_ns: int) -> float:
        """Take a request's weight.

        Returns:
            0 when it is allowed; else the seconds after which it would be (nothing is taken then).
        """
        self._forget(now_ns)
        if now_ns < self.banned_until:
            return (self.banned_until - now_ns) / NS
        if not self.capacity or self._used + weight <= self.capacity:
            self._taken.append((now_ns, weight))
            self._used += weight
            return 0.0
        self._refused.append(now_ns)
        if self.ban_ns and len(self._refused) >= self.patience:
            self.banned_until = now_ns + self.ban_ns
            self._refused.clear()
            return self.ban_ns / NS
        oldest = self._taken[0][0] if self._taken else now_ns
        return max(oldest + self.window_ns - now_ns, 1) / NS

    def banned(self, now_ns: int) -> bool:
        """Whether the client is shut out now."""
        return now_ns < self.banned_until

    def _forget(self, now_ns: int) -> None:
        before = now_ns - self.window_ns
        while self._taken and self._taken[0][0] <= before:
            self._used -= self._taken.popleft()[1]
        while self._refused and self._refused[0] <= before:
            self._refused.popleft()
