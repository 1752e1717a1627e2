"""What the simulated exchange does a while later, unless it has closed by then.

Law: nothing happens after `cancel`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Work that waits for its time on the running loop."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.TimerHandle] = set()

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Do something after a while; of two with the same time, either may be first."""

        def now() -> None:
            self._waiting.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(seconds, now)
        self._waiting.add(timer)

    def cancel(self) -> None:
        """Let go of everything that waits."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
