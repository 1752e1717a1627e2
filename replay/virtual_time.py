"""An asyncio loop whose time is made up: nothing waits, everything happens in the order of its time.

Law: when nothing is ready, time jumps to the next timer; it never passes otherwise, so equal programs see
equal times.  The loop's time is a whole number of nanoseconds underneath; `asyncio.sleep`, time-outs and
`call_later` follow it unchanged.

What runs outside the loop (a thread that commits, a real socket) takes no virtual time.  While it is
under way time must not jump past it: `outside` holds the clock still; `run_in_executor` does so by itself.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

NS = 1_000_000_000
PATIENCE_S = 30.0
"""Real seconds to wait for work outside the loop before saying that nothing can happen any more."""


class NothingLeft(RuntimeError):
    """The loop waits for something that cannot come: no timer, no socket, no work outside."""


class _Jumping(selectors.DefaultSelector):
    """A selector that moves a virtual clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.held = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is not None and not self.held:
            self.now_ns += max(1, round(timeout * NS))
            return ready
        # Held, or without a timer: only the world outside can go on.
        ready = super().select(PATIENCE_S)
        if not ready:
            raise NothingLeft("nothing is ready, and nothing will be: a future that nobody completes")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at `start_ns` (ns since 1970)."""

    def __init__(self, start_ns: int = 0) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        # asyncio fires a timer once `time + resolution` is beyond it.  A year is 3e7 s, and a float of that
        # size no longer holds the usual 1 ns: the timer that is due would never be beyond.
        self._clock_resolution = 1e-7
        self._start_ns = start_ns

    def time(self) -> float:
        """Seconds since the loop began."""
        return self._jumping.now_ns / NS

    def now_ns(self) -> int:
        """The virtual clock: ns since 1970, for everything that is given a clock."""
        return self._start_ns + self._jumping.now_ns

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Hold the clock still while something outside the loop is waited for."""
        self._jumping.held += 1
        try:
            yield
        finally:
            self._jumping.held -= 1

    def hold(self) -> Callable[[], None]:
        """Hold the clock still until the returned function is called (once)."""
        self._jumping.held += 1
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._jumping.held -= 1

        return release

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run in a thread; the clock stands still until it is done."""
        release = self.hold()
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda done: release())
        return future


def run(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]], start_ns: int = 0) -> T:
    """Run a coroutine on a fresh virtual-time loop, which it is given, and clean up as `asyncio.run` does."""
    loop = VirtualTimeLoop(start_ns)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
