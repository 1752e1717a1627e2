"""Where records go: the port between the core and whatever keeps them.

Law: `append` may buffer, `commit` returns only when everything appended is durable, and whatever is handed
out afterwards may rely on it.  A journal that fails stops the process: memory is ahead of the ledger.
"""

from __future__ import annotations

from typing import Protocol

from actors.records import LedgerRow


class Journal(Protocol):
    """A keeper of records."""

    def append(self, row: LedgerRow) -> None:
        """Take one record; it may stay in memory until `commit`."""

    def commit(self) -> None:
        """Return when every appended record is durable."""


class MemoryJournal:
    """Keeps records in a list: for tests, planning and the examples of the documents."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []
        self.committed = 0

    def append(self, row: LedgerRow) -> None:
        self.rows.append(row)

    def commit(self) -> None:
        self.committed = len(self.rows)
