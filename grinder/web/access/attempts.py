"""Failed logins: five in a quarter of an hour lock the name for a quarter of an hour.

Law: names that belong to nobody are counted and locked like any other, so that a lock tells nothing.
"""

from __future__ import annotations

from typing import Final

from grinder.web.access.store import AccessStore

NS: Final = 10**9
MOST: Final = 5
WINDOW_NS: Final = 15 * 60 * NS
LOCK_NS: Final = 15 * 60 * NS


class Attempts:
    """Counts failures by subject, such as a user's name."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    def locked_for_s(self, subject: str) -> int:
        """Seconds until a lock ends; 0 when there is none."""
        row = self._store.one("SELECT until_ns FROM locks WHERE subject = ?", subject)
        left_ns = (row["until_ns"] if row else 0) - self._store.clock()
        return max(0, -(-left_ns // NS))

    def failed(self, subject: str) -> bool:
        """Count a failure; whether the subject is locked now."""
        now = self._store.clock()
        with self._store.transaction():
            self._store.run("DELETE FROM failures WHERE ts_ns <= ?", now - WINDOW_NS)
            self._store.run("DELETE FROM locks WHERE until_ns <= ?", now)
            self._store.run("INSERT INTO failures VALUES (?, ?)", subject, now)
            found = self._store.one("SELECT count(*) AS n FROM failures WHERE subject = ?", subject)
            if found is None or found["n"] < MOST:
                return False
            self._store.run("DELETE FROM failures WHERE subject = ?", subject)
            self._store.run("INSERT OR REPLACE INTO locks VALUES (?, ?)", subject, now + LOCK_NS)
        return True

    def succeeded(self, subject: str) -> None:
        """Forget what failed before."""
        self._store.run("DELETE FROM failures WHERE subject = ?", subject)
