"""A ledger file that a test fills row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.records import LedgerRow
from grinder.ledger.recorder import open_application


class LedgerFile:
    """A ledger file that grows row by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.application = open_application(folder / "ledger.db", create=True)
        self.epoch = self.application.ledger_recorder.take_epoch()

    def append(self, rows: Sequence[LedgerRow]) -> None:
        if rows:
            self.application.ledger_recorder.append_rows(rows, self.epoch)
