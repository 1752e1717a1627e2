"""Ctrl-C during a run: noted at once, obeyed between two inputs.

Law: an interruption never falls into the middle of a message, a queue or a transaction.  The second one ends
the process where it is: whoever presses Ctrl-C twice does not want to wait, and the ledger survives it as it
survives a kill.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """While entered, the first SIGINT only sets `requested`.  Outside the main thread it does nothing."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def obey(self) -> None:
        """Raises KeyboardInterrupt: one was requested."""
        if self.requested:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            # Raising here could leave a queue half told, and the process waiting for ever: end it outright.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        self.requested = True
