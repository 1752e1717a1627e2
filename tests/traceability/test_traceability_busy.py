"""A ledger that somebody else keeps locked: the wait is bounded, nothing leaves, and the writer halts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from markets import opening
from small_ledgers import ledger_rows
from worlds import COIN, T0, bounded, start_grid

from actors.core import Core
from actors.runtime import Runtime
from domain.inputs import TickReport
from domain.record import Record
from grinder.ledger.recorder import open_application
from grinder.ledger.verify import verify
from grinder.ledger.writer import JournalFailed, LedgerJournal


class Exchange:
    """A session that outlives the process and notes what reaches it."""

    outlives_process = True

    def __init__(self) -> None:
        self.reached: list[Record] = []

    def submit(self, intent: Record, now_ns: int) -> None:
        self.reached.append(intent)


def test_an_order_never_leaves_while_the_ledger_is_busy_and_after_a_bounded_wait_the_writer_halts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    with recorder.datastore.transaction(commit=True) as cursor:
        cursor.execute("PRAGMA busy_timeout=50")
    journal, exchange = LedgerJournal(recorder, epoch), Exchange()
    runtime = Runtime(Core(journal), exchange)
    for command in opening([COIN], {"USD": 10**6}, [start_grid(COIN.symbol, bounded(90, 110, 2))]):
        runtime.learn(command, T0)
    journal.commit()
    before = ledger_rows(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="locked"):
            runtime.learn(TickReport(symbol=COIN.symbol, price_ticks=105), T0)
        other.execute("ROLLBACK")
    with pytest.raises(JournalFailed):
        journal.commit()
    assert exchange.reached == []
    assert ledger_rows(path) == before
    assert verify(path).ok
    with pytest.raises(JournalFailed):
        journal.close()
    application.close()
