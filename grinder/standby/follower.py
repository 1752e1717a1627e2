"""A core that follows a ledger another process writes: every record replayed and compared as it is stored.

Law: what is followed is proven, record by record, as at a restart; so whoever takes over has nothing left to
read but the last moment.  Intents are taken away: they left, or will be asked for by reconciling.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from actors.core import Core
from actors.journal import MemoryJournal
from grinder.ledger.reading import connect, is_begun, plain_rows
from grinder.live.rebuild import Diverged, Rebuilt, rebuild
from replay.compare import ReplayJournal
from replay.replayer import follow


class Follower:
    """Follows one ledger; `catch_up` as often as one likes."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._connection: sqlite3.Connection | None = None
        self.core = Core(MemoryJournal())

    @property
    def position(self) -> int:
        """The last record that was followed; 0 before any."""
        return self.core.position

    @property
    def chain(self) -> str:
        """The chain after it, hex."""
        return self.core.chain.hex()

    def catch_up(self) -> int:
        """Follow what was stored since the last time; how many records that was.

        Raises:
            LedgerError: the ledger is damaged, or no ledger.
            Diverged: this program decides otherwise than the one that writes.
            CoreFailure: an actor raised.
            sqlite3.DatabaseError: it cannot be read.
        """
        if self._connection is None and not self._begin():
            return 0
        assert self._connection is not None
        before = self.core.position
        # One statement sees one moment of the ledger, and a commit holds whole inputs.
        stored = list(plain_rows(self._connection, before))
        if stored:
            journal = ReplayJournal(iter(stored))
            self.core.journal = journal
            follow(self.core, journal)
            self.core.journal = MemoryJournal()
            if journal.divergence is not None:
                raise Diverged(journal.divergence, self._ledger)
        return self.core.position - before

    def _begin(self) -> bool:
        if not (self._ledger.exists() and is_begun(self._ledger)):
            return False
        self.core = rebuild(self._ledger).core
        self._connection = connect(self._ledger)
        return True

    def rebuilt(self) -> Rebuilt | None:
        """The core as the ledger left it; None of a ledger that was never begun."""
        return Rebuilt(self.core, self.position, self.core.now_ns) if self._connection else None

    def close(self) -> None:
        """Let go of the ledger."""
        if self._connection is not None:
            with closing(self._connection):
                self._connection = None
