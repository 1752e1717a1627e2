"""How much of the last thirty days a stream was connected.

Law: computed from the moments a stream went up or down and the time asked for; no clock of its own.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from grinder.observation.alerts import NS

WINDOW_NS: Final = 30 * 86_400 * NS
TARGET: Final = 0.999


class Uptime:
    """One stream's connection over a rolling window; down until it is said to be up."""

    def __init__(self, began_ns: int, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._began_ns = began_ns
        self._down_since: int | None = began_ns
        self._outages: deque[tuple[int, int]] = deque()

    @property
    def is_up(self) -> bool:
        """Whether it is connected now."""
        return self._down_since is None

    def up(self, now_ns: int) -> None:
        """It is connected."""
        if self._down_since is not None:
            self._outages.append((self._down_since, now_ns))
            self._down_since = None

    def down(self, now_ns: int) -> None:
        """It is not."""
        if self._down_since is None:
            self._down_since = now_ns

    def share(self, now_ns: int) -> float:
        """1 less the time it was down, as a part of the window (or of the time since the beginning)."""
        since = max(self._began_ns, now_ns - self._window_ns)
        while self._outages and self._outages[0][1] <= since:
            self._outages.popleft()
        down = sum(end - max(begin, since) for begin, end in self._outages)
        if self._down_since is not None:
            down += now_ns - max(self._down_since, since)
        elapsed = now_ns - since
        return 1 - down / elapsed if elapsed > 0 else float(self.is_up)
