"""The time of a live run.

Law: time never runs back within a run and never begins before the ledger's last record.  On a market that is
played faster, the whole loop runs faster: every time-out and every pause is in the market's time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

NS = 10**9

Clock = Callable[[], int]
"""Nanoseconds since 1970, never less than at the call before."""


class RealClock:
    """The machine's clock, held monotone.

    When the machine's clock is set forward this one follows; when it is set back this one goes on as a
    stopwatch would, so a run stays ahead of it until the next start.
    """

    def __init__(
        self,
        not_before_ns: int = 0,
        wall: Callable[[], int] = time.time_ns,
        stopwatch: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._stopwatch = stopwatch
        self._last = not_before_ns
        self._offset = max(wall(), not_before_ns) - stopwatch()

    def __call__(self) -> int:
        since = self._stopwatch()
        wall = self._wall()
        if wall > since + self._offset:
            self._offset = wall - since
        self._last = max(self._last, since + self._offset)
        return self._last

    def ahead_ns(self) -> int:
        """How far this clock is before the machine's, ns; more than a moment means that one was set back."""
        return max(0, self() - self._wall())


class LoopClock:
    """A clock that starts anywhere and follows a loop's time: a market played from its own past."""

    def __init__(self, loop_time: Callable[[], float], start_ns: int) -> None:
        self._loop_time = loop_time
        self._zero = loop_time()
        self._start_ns = start_ns
        self._last = start_ns

    def __call__(self) -> int:
        passed_ns = round((self._loop_time() - self._zero) * NS)
        self._last = max(self._last, self._start_ns + passed_ns)
        return self._last


class _FastSelector(selectors.DefaultSelector):
    """Waits a fraction of what it is asked to."""

    speed = 1.0

    def select(self, timeout: float | None = None) -> Any:
        """As inherited, sooner."""
        return super().select(None if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes `speed` times as fast as the machine's.

    Not for real exchanges: their time-outs would pass as fast.
    """

    def __init__(self, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"a speed above 0, not {speed}")
        selector = _FastSelector()
        selector.speed = speed
        self._speed = speed
        self._began = time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        """Seconds of the loop's own time."""
        return self._began + (time.monotonic() - self._began) * self._speed
