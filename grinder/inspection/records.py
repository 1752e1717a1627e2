"""A ledger as the reading tools see it: records by position, by time and by the input they belong to.

Law: read-only, and never more of a ledger in memory than a question needs.  A ledger that is being written
may be read: every call sees what is committed by then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import actors.core_actor  # noqa: F401  registers its record
from actors.records import LedgerRow, new_row
from domain import account, clock, portfolio, symbol  # noqa: F401  register every other record
from domain.codec import UnknownTopicError, decode
from domain.record import Record
from grinder.errors import UserError
from grinder.ledger.faults import damaged, unknown_record
from grinder.ledger.reading import connect
from grinder.run_folder import RunFolder

COLUMNS = "rowid, originator_id, originator_version, topic, CAST(state AS BLOB), ts_ns, cause, chain"
_ONE = f"SELECT {COLUMNS} FROM stored_events WHERE rowid = ?"
_FROM = f"SELECT {COLUMNS} FROM stored_events WHERE rowid >= ? ORDER BY rowid"
_BACK = f"SELECT {COLUMNS} FROM stored_events WHERE rowid <= ? ORDER BY rowid DESC"
_OF_STREAM = (
    f"SELECT {COLUMNS} FROM stored_events WHERE originator_id = ? AND originator_version <= ?"
    " ORDER BY originator_version DESC"
)
SECOND_NS = 10**9


class Records:
    """The records of one run; a context manager."""

    def __init__(self, run: Path) -> None:
        """Raises LedgerError: there is no run here, or its ledger cannot be read."""
        self.folder = RunFolder(run)
        self.folder.require()
        self.connection = connect(self.folder.ledger)

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def head(self) -> int:
        """Position of the last record; 0 when there is none."""
        found = self.connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0]
        return int(found or 0)

    def row(self, position: int) -> LedgerRow | None:
        """The record at a position."""
        found = self.connection.execute(_ONE, (position,)).fetchone()
        return new_row(found) if found else None

    def since(self, position: int) -> Iterator[LedgerRow]:
        """Records from a position on."""
        return map(new_row, self.connection.execute(_FROM, (position,)))

    def before(self, position: int) -> Iterator[LedgerRow]:
        """Records from a position backwards."""
        return map(new_row, self.connection.execute(_BACK, (position,)))

    def stream_back(self, stream: str, position: int) -> Iterator[LedgerRow]:
        """Records of a stream that lie at or before a position, newest first."""
        near = next((row for row in self.before(position) if row.stream == stream), None)
        if near is not None:
            yield from map(new_row, self.connection.execute(_OF_STREAM, (stream, near.version)))

    def input_of(self, position: int) -> LedgerRow | None:
        """The input whose handling wrote the record at a position."""
        return next((row for row in self.before(position) if row.cause == row.position), None)

    def turn(self, position: int) -> list[LedgerRow]:
        """The input at or before a position and everything that was decided from it, in order.

        What an input leads to is written at once, before the next input is.
        """
        first = self.input_of(position)
        if first is None:
            return []
        found = [first]
        for row in self.since(first.position + 1):
            if row.cause == row.position:
                break
            found.append(row)
        return found

    def path(self, position: int) -> list[LedgerRow]:
        """From a record back to the input that started it, nearest first."""
        found: list[LedgerRow] = []
        row = self.row(position)
        while row is not None:
            found.append(row)
            row = self.row(row.cause) if row.cause != row.position else None
        return found

    def at_time(self, ts_ns: int) -> int:
        """Position of the first record at or after a time; one past the head when there is none.

        Times rise along the ledger, so this is a search by halves.
        """
        low, high = 1, self.head() + 1
        while low < high:
            middle = (low + high) // 2
            found = self.connection.execute(
                "SELECT ts_ns FROM stored_events WHERE rowid = ?", (middle,)
            ).fetchone()
            if found is not None and found[0] < ts_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def place(self, text: str, option: str = "--at") -> int:
        """A position out of a position or a time as people write them; see `when`.

        Raises:
            UserError: it is neither.
        """
        plain = text.replace(",", "").replace("_", "").removeprefix("#")
        if plain.isdigit() and len(plain) < 16:
            return int(plain)
        return self.at_time(when(text, option))

    def decoded(self, row: LedgerRow) -> Record:
        """The record itself.

        Raises:
            LedgerError: a newer program wrote it, or its bytes are not a record.
        """
        try:
            found: Record = decode(row.topic, row.state)
        except UnknownTopicError as error:
            raise unknown_record(f"{self.folder.ledger} record {row.position}", error) from error
        except ValueError as error:
            raise damaged(self.folder.ledger, error) from error
        return found


@contextmanager
def reading_faults(folder: RunFolder) -> Iterator[None]:
    """Turns what SQLite says of a damaged file into an error with a place and a fix."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "interrupt" in str(error):
            raise KeyboardInterrupt from error
        raise damaged(folder.ledger, error) from error


def interruptible(connection: sqlite3.Connection) -> None:
    """Let Ctrl-C end a long statement: SQLite asks now and then, and Python's handler runs when it does."""
    connection.set_progress_handler(lambda: 0, 20_000)


def when(text: str, option: str) -> int:
    """A time in ns: nanoseconds since 1970 (16 digits and more), or ISO 8601 (UTC unless it says otherwise).

    Raises:
        UserError: it is neither.
    """
    if text.isdigit() and len(text) >= 16:
        return int(text)
    whole, _, fraction = text.strip().partition(".")
    digits = "".join(iter_while(fraction, str.isdigit))
    zone = fraction[len(digits) :]
    with suppress(ValueError):
        found = datetime.fromisoformat(whole + zone)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        seconds = found - datetime(1970, 1, 1, tzinfo=UTC)
        whole_ns = (seconds.days * 86_400 + seconds.seconds) * SECOND_NS + seconds.microseconds * 1000
        return whole_ns + int((digits + "0" * 9)[:9])
    raise UserError(
        "usage.place",
        f"{option} takes a position or a time",
        value=text,
        fix="write a number such as 1200, or a time such as 2026-03-01T12:00:00 or 2026-03-01",
    )


def iter_while(text: str, holds: Callable[[str], bool]) -> Iterator[str]:
    """Characters of a text as long as a condition holds."""
    for one in text:
        if not holds(one):
            return
        yield one


def iso(ts_ns: int) -> str:
    """A time as ISO 8601 in UTC with nine digits, exact."""
    seconds, rest = divmod(ts_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def span(ns: int) -> str:
    """A difference of times in the unit people read it in; exact to three digits after the point."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    if ns == 0:
        return "0"
    for unit, size in (("us", 1_000), ("ms", 1_000_000), ("s", SECOND_NS)):
        if ns < size * 1000:
            whole, rest = divmod(ns, size)
            return f"{sign}{whole}.{rest * 1000 // size:03d} {unit}"
    seconds = ns // SECOND_NS
    if seconds < 86_400:
        return f"{sign}{seconds // 3600}h{seconds // 60 % 60:02d}m{seconds % 60:02d}s"
    return f"{sign}{seconds // 86_400}d{seconds // 3600 % 24:02d}h"


def plain(record: Any) -> Any:
    """A record as JSON would hold it, with its own field names."""
    from domain.codec import encode

    import orjson  # isort: skip

    return orjson.loads(encode(record))
