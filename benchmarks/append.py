"""Appending records with codec and chain, against a bare `executemany` on the same table.

Law: the two alternate within one run on the same file system; the ratio is of medians.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from actors.records import GENESIS, chained, new_row
from domain.codec import encode
from domain.order_events import OrderAllowed, OrderTerms
from grinder.ledger.recorder import open_application
from grinder.ledger.schema import INSERT, STATEMENTS

BATCH, BATCHES, ROUNDS = 1000, 30, 5


def _events() -> list[OrderAllowed]:
    return [
        OrderAllowed(
            terms=OrderTerms(
                client_order_id=f"{n:032x}",
                symbol="BTCUSDT",
                side="buy",
                order_type="limit",
                time_in_force="post_only",
                reduce_only=False,
                price_ticks=500_000 + n,
                lots=1,
            ),
            notional=5_000_000_000 + n,
            now_ns=1_700_006_400_000_000_000 + n,
        )
        for n in range(BATCH)
    ]


def _ours(folder: Path, events: list[OrderAllowed]) -> float:
    application = open_application(folder / "ours.db", create=True)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    chain, position = GENESIS, 0
    started = perf_counter()
    for _ in range(BATCHES):
        rows = []
        for event in events:
            position += 1
            state = encode(event)
            chain = chained(chain, "portfolio", position, event.TOPIC, position, position, state)
            rows.append(
                new_row((position, "portfolio", position, event.TOPIC, state, position, position, chain))
            )
        recorder.append_rows(rows, epoch)
    seconds = perf_counter() - started
    application.close()
    return BATCH * BATCHES / seconds


def _raw(folder: Path, events: list[OrderAllowed]) -> float:
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for statement in STATEMENTS:
        connection.execute(statement)
    states = [encode(event) for event in events]
    position = 0
    started = perf_counter()
    for _ in range(BATCHES):
        rows = []
        for state in states:
            position += 1
            rows.append(
                (position, "portfolio", position, "OrderAllowed/1", state, position, position, GENESIS)
            )
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
    seconds = perf_counter() - started
    connection.close()
    return BATCH * BATCHES / seconds


def run(path: Path | None) -> dict[str, Any]:
    """Records per second at 1000 a commit, `synchronous=FULL`."""
    events = _events()
    ours, raw = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            raw.append(_raw(Path(folder), events))
            ours.append(_ours(Path(folder), events))
    pairs = [mine / bare for mine, bare in zip(ours, raw, strict=True)]
    return {
        "records_per_s": round(statistics.median(ours)),
        "raw_executemany_per_s": round(statistics.median(raw)),
        "ratio": round(statistics.median(pairs), 3),
    }
