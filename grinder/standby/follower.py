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
from grinder.ledger.reading import connect, is_begun
from grinder.ledger.schema import SELECT
from grinder.live.rebuild import Diverged, Rebuilt, rebuild
from replay.compare import FIELDS, PlainRow, ReplayJournal
from replay.replayer import follow

MOST = 50_000
"""Records followed at a time, so that a heartbeat comes in between."""

POSITION, CAUSE = FIELDS.index("position"), FIELDS.index("cause")


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

    def begin(self) -> bool:
        """Read what is there; whether there is a ledger.

        Raises:
            LedgerError: it is damaged, or no ledger.
            Diverged: this program decides otherwise than the one that wrote it.
        """
        if self._connection is None and self._ledger.exists() and is_begun(self._ledger):
            self.core = rebuild(self._ledger).core
            self._connection = connect(self._ledger)
        return self._connection is not None

    def catch_up(self, most: int = MOST) -> int:
        """Follow what was stored since the last time, about so many records of it; how many that was.

        Raises:
            LedgerError: the ledger is damaged, or no ledger.
            Diverged: this program decides otherwise than the one that writes.
            CoreFailure: an actor raised.
            sqlite3.DatabaseError: it cannot be read.
        """
        if not self.begin():
            return 0
        before = self.core.position
        stored = self._stored(before, most)
        if stored:
            journal = ReplayJournal(iter(stored))
            self.core.journal = journal
            follow(self.core, journal)
            self.core.journal = MemoryJournal()
            if journal.divergence is not None:
                raise Diverged(journal.divergence, self._ledger)
        return self.core.position - before

    def _stored(self, after: int, most: int) -> list[PlainRow]:
        """The next records: whole inputs, at least one where there is one."""
        assert self._connection is not None
        found: list[PlainRow] = []
        # One statement sees one moment of the ledger, and a commit holds whole inputs.
        with closing(self._connection.execute(SELECT, (after,))) as cursor:
            for row in cursor:
                if len(found) >= most and row[CAUSE] == row[POSITION]:
                    break
                found.append(row)
        return found

    def rebuilt(self) -> Rebuilt | None:
        """The core as the ledger left it; None of a ledger that was never begun."""
        return Rebuilt(self.core, self.position, self.core.now_ns) if self._connection else None

    def close(self) -> None:
        """Let go of the ledger."""
        if self._connection is not None:
            with closing(self._connection):
                self._connection = None
