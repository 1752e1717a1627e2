"""Several bots under one supervisor, from the first start to the last end.

Law: each bot has its folder, its process and its lock; the supervisor passes signals on and waits.  A second
supervisor on a folder is refused.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from grinder.errors import ExitStatus
from grinder.ledger.lock import WriterLock
from grinder.live.places import MAIN, supervisor_lock
from grinder.supervisor.bot import Bot
from grinder.supervisor.looking_up import LookupKeeper

LOOK_S = 0.1


class SupervisorLock(WriterLock):
    """Holds a node of a run for one supervisor."""

    def __init__(self, folder: Path, node: str = MAIN) -> None:
        super().__init__(folder)
        self.path = supervisor_lock(folder, node)


class Supervisor:
    """Keeps bots up until all have ended."""

    def __init__(self, bots: Sequence[Bot]) -> None:
        self.bots = list(bots)
        self._signals = 0

    def run(self, look: Callable[[], None] = lambda: None, every_s: float = LOOK_S) -> ExitStatus:
        """Start every bot and wait for all; SIGINT and SIGTERM stop them, the second time at once.

        Args:
            look: called now and then on this thread, to show how things are.

        Raises:
            EnvironmentFault: another supervisor holds one of the folders.
        """
        with ExitStack() as held:
            for bot in self.bots:
                held.enter_context(SupervisorLock(bot.folder, bot.node))
            before = self._catch_signals()
            keepers = [LookupKeeper(bot.folder) for bot in self.bots]
            try:
                for bot in self.bots:
                    bot.start()
                for keeper in keepers:
                    keeper.start()
                while not all(bot.join(0) for bot in self.bots):
                    look()
                    time.sleep(every_s)
            finally:
                for keeper in keepers:
                    keeper.stop()
                for number, handler in before.items():
                    # Who asked for the end may ask again until the process is gone: it has ended.
                    signal.signal(number, signal.SIG_IGN if self._signals else handler)
        return self.status()

    def status(self) -> ExitStatus:
        """The worst end of all bots."""
        ends = [
            ExitStatus(bot.status) if bot.status in set(ExitStatus) else ExitStatus.UNEXPECTED
            for bot in self.bots
        ]
        return max(ends, default=ExitStatus.DONE)

    def stop(self) -> None:
        """Stop every bot; asked twice, none waits for its orders."""
        for bot in self.bots:
            bot.stop()

    def _catch_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.stop()
