"""Keeps the lookup of a run current while it goes on, so that `explain` and `audit` need not make it.

Law: a cache, kept by the supervisor's process, never by the one that trades, and rarely: a question reads the
last few thousand records in a moment.  A failure is told once and is nobody else's trouble.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from grinder.errors import UserError
from grinder.inspection.lookup import FILE, catch_up
from grinder.ledger.reading import connect
from grinder.log import logger
from grinder.run_folder import RunFolder

EVERY_S = 30.0

BEHIND = 20_000
"""So many records later it is brought up to date; to read them takes less than a tenth of a second."""


class LookupKeeper:
    """Looks after one run's lookup on a thread, from `start` to `stop`."""

    def __init__(self, run: Path, every_s: float = EVERY_S, behind: int = BEHIND) -> None:
        self._run = run
        self._every_s = every_s
        self._behind = behind
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lookup {run.name}", daemon=True)
        self._failed = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is under way is done."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Bring the lookup up to date if it is far behind; whether it was."""
        try:
            if self._stored() - self._made() < self._behind:
                return False
            catch_up(self._run)
        except (UserError, sqlite3.Error, OSError) as error:
            if str(error) != self._failed:
                self._failed = str(error)
                logger().warning("the lookup is not current", run=str(self._run), reason=self._failed)
            return False
        return True

    def _keep(self) -> None:
        while not self._ended.wait(self._every_s):
            self.look()

    def _stored(self) -> int:
        ledger = RunFolder(self._run).ledger
        if not ledger.exists():
            return 0
        with closing(connect(ledger)) as connection:
            return int(connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0)

    def _made(self) -> int:
        path = self._run / FILE
        with suppress(sqlite3.Error):
            name = f"file:{quote(str(path))}?mode=ro"
            with closing(sqlite3.connect(name, uri=True)) as connection:
                return int(connection.execute("SELECT position FROM made").fetchone()[0])
        return 0  # not made yet, or by another version: it is made anew
