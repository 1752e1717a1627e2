"""The lookup: where orders, fills, levels, types and symbols are mentioned in a ledger.

Law: a cache beside the ledger, made from it alone, brought up to date when a tool is used, and made again
when it is not of this ledger or this program.  Deleting the file costs only the time to make it.  Where it
cannot be written it is kept in memory.

Positions of a kind (all `OrderFilled/1`, all of a symbol, all of a level) are stored as packed lists, one a
batch: a filter of an audit reads a few of those instead of a million rows.
"""

from __future__ import annotations

import sqlite3
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from grinder.inspection.records import Records
from grinder.ledger.schema import APPLICATION_ID

FILE = "lookup.db"
MEANING = 1
"""Raise it when the tables or what they hold change."""

BATCH = 50_000
BUSY_S = 10

TYPE, SYMBOL, LEVEL, ACTOR = "type", "symbol", "level", "actor"

_TABLES = (
    "CREATE TABLE made (only INTEGER PRIMARY KEY CHECK (only = 1), position INTEGER, chain BLOB)",
    "INSERT INTO made VALUES (1, 0, x'')",
    "CREATE TABLE positions (kind TEXT, key TEXT, first INTEGER, last INTEGER, packed BLOB,"
    " PRIMARY KEY (kind, key, first)) WITHOUT ROWID",
    "CREATE TABLE mentions (key TEXT, position INTEGER, PRIMARY KEY (key, position)) WITHOUT ROWID",
)

# What an order is found by; what follows from these inside the core is written right behind them.
_MENTIONING = frozenset(
    {
        "OrderRequested",
        "OrderAcceptedReport",
        "OrderRejectedReport",
        "OrderCancelledReport",
        "CancelRejectedReport",
        "OrderAmendedReport",
        "FillReport",
        "NoAnswerReport",
        "OrderAbsentReport",
        "OrphanOrderReport",
        "CancelRequested",
        "CancelSubmitted",
        "OrderAccepted",
        "OrderReappeared",
    }
)


class _Terms(msgspec.Struct):
    client_order_id: str = ""
    symbol: str = ""


class _Instrument(msgspec.Struct):
    symbol: str = ""


class _Fields(msgspec.Struct):
    """The fields a record is looked up by; the rest is skipped unread."""

    client_order_id: str = ""
    exchange_order_id: str = ""
    fill_id: str = ""
    symbol: str = ""
    grid_id: str = ""
    level: int = -1
    terms: _Terms | None = None
    instrument: _Instrument | None = None


_read: Callable[[bytes | str], _Fields] = msgspec.json.Decoder(_Fields, strict=False).decode
_SCAN = "SELECT rowid, originator_id, topic, state FROM stored_events WHERE rowid > ? ORDER BY rowid LIMIT ?"

Told = Callable[[int, int], None]
"""Called with (records read, records there are)."""


def catch_up(run: Path, told: Told | None = None) -> None:
    """Bring the lookup of a run up to date, so that the first question need not.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    with Records(run) as records:
        Lookup(records, told).close()


class Lookup:
    """Answers where in a ledger something is mentioned."""

    def __init__(self, records: Records, told: Told | None = None) -> None:
        self.records = records
        self.path = records.folder.path / FILE
        self.made_now = 0
        self._grids: dict[str, str] = {}
        self.db = self._opened()
        self._catch_up(told)

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    # --- questions -------------------------------------------------------------------------------------

    def mentions(self, key: str) -> list[int]:
        """Positions of the inputs and requests about an order or a fill, in order."""
        return [
            row[0]
            for row in self.db.execute(
                "SELECT position FROM mentions WHERE key = ? ORDER BY position", (key,)
            )
        ]

    def starting_with(self, prefix: str, most: int = 10) -> list[str]:
        """Known ids that begin with a text, at most so many."""
        upper = prefix + "\U0010ffff"
        found = self.db.execute(
            "SELECT DISTINCT key FROM mentions WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (prefix, upper, most),
        )
        return [row[0] for row in found]

    def keys(self, kind: str) -> list[str]:
        """Everything there is of a kind, sorted."""
        found = self.db.execute("SELECT DISTINCT key FROM positions WHERE kind = ? ORDER BY key", (kind,))
        return [row[0] for row in found]

    def listed(self, kind: str, key: str, since: int = 1, until: int | None = None) -> array[int]:
        """Positions of a kind within bounds (both included), ascending."""
        last = sys.maxsize if until is None else until
        found: array[int] = array("q")
        rows = self.db.execute(
            "SELECT packed FROM positions WHERE kind = ? AND key = ? AND last >= ? AND first <= ?"
            " ORDER BY first",
            (kind, key, since, last),
        )
        for (packed,) in rows:
            found.frombytes(packed)
        return found[bisect_left(found, since) : bisect_right(found, last)]

    def latest(self, kind: str, key: str, until: int | None = None) -> Iterator[int]:
        """Positions of a kind at or before one, newest first, without reading more than is asked for."""
        last = sys.maxsize if until is None else until
        rows = self.db.execute(
            "SELECT packed FROM positions WHERE kind = ? AND key = ? AND first <= ? ORDER BY first DESC",
            (kind, key, last),
        )
        for (packed,) in rows:
            found: array[int] = array("q")
            found.frombytes(packed)
            yield from reversed(found[: bisect_right(found, last)])

    # --- making it -------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        for _ in range(2):
            try:
                made = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
                try:
                    return self._current(made)
                except sqlite3.DatabaseError as error:
                    made.close()
                    if isinstance(error, sqlite3.OperationalError):
                        break  # no room, no right to write, or in use for long: memory serves as well
                    self.path.unlink(missing_ok=True)  # not a database: a crash or a stranger left it
            except (sqlite3.OperationalError, OSError):
                break
        return self._current(sqlite3.connect(":memory:", isolation_level=None))

    def _current(self, db: sqlite3.Connection) -> sqlite3.Connection:
        db.execute("PRAGMA synchronous=OFF")  # a lost cache is made again
        db.execute("BEGIN IMMEDIATE")
        version = (MEANING << 1) ^ (APPLICATION_ID & 0xFFFF)
        if db.execute("PRAGMA user_version").fetchone()[0] != version or not self._of_this_ledger(db):
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f'DROP TABLE "{name}"')
            for statement in _TABLES:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
        return db

    def _of_this_ledger(self, db: sqlite3.Connection) -> bool:
        position, chain = db.execute("SELECT position, chain FROM made").fetchone()
        row = self.records.row(position) if position else None
        return not position or (row is not None and row.chain == chain)

    def _catch_up(self, told: Told | None) -> None:
        head = self.records.head()
        while True:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                (position,) = self.db.execute("SELECT position FROM made").fetchone()
                if position >= head:
                    self.db.execute("ROLLBACK")
                    return
                rows = self.records.connection.execute(_SCAN, (position, BATCH)).fetchall()
                self._store(rows)
                last = self.records.row(rows[-1][0])
                assert last is not None
                self.db.execute("UPDATE made SET position = ?, chain = ?", (last.position, last.chain))
                self.db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")
                raise
            self.made_now += len(rows)
            if told:
                told(last.position, head)

    def _store(self, rows: list[tuple[int, str, str, str]]) -> None:
        kept: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        mentions: list[tuple[str, int]] = []
        for position, stream, topic, state in rows:
            kept[TYPE, topic].append(position)
            kept[ACTOR, stream].append(position)
            try:
                fields = _read(state)
            except msgspec.MsgspecError:
                continue  # not a record of this program; `grinder verify` says so, a lookup need not
            symbol = self._symbol(stream, fields)
            if symbol:
                kept[SYMBOL, symbol].append(position)
            terms = fields.terms
            if fields.level >= 0:
                kept[LEVEL, f"{symbol}/{fields.level}"].append(position)
            if topic.partition("/")[0] in _MENTIONING:
                ids = (
                    fields.client_order_id or (terms.client_order_id if terms else ""),
                    fields.exchange_order_id,
                    fields.fill_id,
                )
                mentions += [(one, position) for one in ids if one]
        self.db.executemany(
            "INSERT INTO positions VALUES (?, ?, ?, ?, ?)",
            [(*key, found[0], found[-1], found.tobytes()) for key, found in kept.items()],
        )
        self.db.executemany("INSERT OR IGNORE INTO mentions VALUES (?, ?)", sorted(mentions))

    def _symbol(self, stream: str, fields: _Fields) -> str:
        if fields.symbol:
            if fields.grid_id:
                self._grids[fields.grid_id] = fields.symbol
            return fields.symbol
        if fields.terms is not None:
            return fields.terms.symbol
        if fields.instrument is not None:
            return fields.instrument.symbol
        if stream.startswith("symbol/"):
            return stream[7:]
        if not fields.client_order_id:
            return ""
        grid = fields.client_order_id[:14]
        if grid not in self._grids:
            self._grids.update(self._known_grids())
        return self._grids.setdefault(grid, "")

    def _known_grids(self) -> Iterable[tuple[str, str]]:
        """The grids of batches before this one; few, so they are read from the ledger when one is missed."""
        for position in self.listed(TYPE, "GridConfigured/1"):
            row = self.records.row(position)
            if row is not None:
                configured: Any = self.records.decoded(row)
                yield configured.grid_id, configured.symbol
