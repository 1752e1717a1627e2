"""The head kept beside a ledger: how far it was known to be on disk.

Law: written after a commit, never before, so a ledger that ends before its kept head has lost records: its
write-ahead log was deleted, or an older copy stands in its place.  The chain alone cannot tell that.

A forger who can write the folder can write this file as well; a head kept elsewhere tells of that.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs
import orjson

from grinder.errors import LedgerError
from grinder.files import replace_file
from grinder.ledger.reading import connect, is_begun

EVERY_S = 1.0
"""Between two writes while records come; each costs a sync, after the commit was acknowledged."""

RESTORE = (
    "restore the folder from a backup (`grinder backup RUN DEST` makes them) and check it with "
    "`grinder verify`; grinder does not write to a damaged ledger"
)


@attrs.frozen
class Head:
    """Position of a record and its chain, hex."""

    position: int
    chain: str


def head_file(ledger: Path) -> Path:
    """Where a ledger's head is kept."""
    return ledger.with_name("head.json")


def write_head(ledger: Path, head: Head) -> None:
    """Keep a head, durably and in one step.

    Raises:
        OSError: it cannot be written.
    """
    replace_file(head_file(ledger), orjson.dumps(attrs.asdict(head)) + b"\n")


def read_head(ledger: Path) -> Head | None:
    """The kept head; None when none was kept.

    Raises:
        LedgerError: the file is there and says something else.
    """
    path = head_file(ledger)
    try:
        found = orjson.loads(path.read_bytes())
        return Head(int(found["position"]), bytes.fromhex(found["chain"]).hex())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            "ledger.head_file",
            f"the head kept beside the ledger cannot be read: {error}",
            place=str(path),
            fix="restore it; or check the ledger with `grinder verify --head`, then delete this file",
        ) from error


def missing_after(ledger: Path, head: Head) -> str:
    """What shows that a ledger is not the one a head was kept of; empty when the head is in it.

    Raises:
        LedgerError: there is no ledger.
    """
    if not head.position:
        return ""
    with closing(connect(ledger)) as connection:
        (last,) = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()
        row = connection.execute(
            "SELECT chain FROM stored_events WHERE rowid = ?", (head.position,)
        ).fetchone()
    if row is None:
        return (
            f"the ledger ends at record {last or 0}, and record {head.position} was known to be on disk: "
            "its end is missing (a deleted write-ahead log, or an older copy)"
        )
    if bytes(row[0]).hex() != head.chain:
        return f"record {head.position} is not the one whose head was kept: the history was rewritten"
    return ""


def require_kept_head(ledger: Path) -> None:
    """Refuse a ledger that has lost what was known to be on disk.

    Raises:
        LedgerError: it has, or the kept head cannot be read.
    """
    head = read_head(ledger)
    if head is None:
        return
    try:
        there = ledger.is_file() and is_begun(ledger)
        reason = missing_after(ledger, head) if there else f"its {head.position} records are gone"
    except sqlite3.DatabaseError as error:
        reason = f"its {head.position} records cannot be read: {error}"
    if reason:
        raise LedgerError(
            "ledger.tail_lost",
            reason,
            place=str(ledger),
            fix=f"{RESTORE}; delete {head_file(ledger).name} only to go on without these records",
        )


class HeadKeeper:
    """Keeps the head of a ledger that is being written, now and then.

    One thread at a time stores records and says so; `keep` is the writer thread's.
    """

    def __init__(
        self, ledger: Path, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._clock = clock
        self._written_at = clock() - every_s
        self._head: tuple[int, bytes] | None = None
        self._written: tuple[int, bytes] | None = None

    def known(self, position: int, chain: bytes) -> bool:
        """A record is on disk, and all before it; whether it is time to write that down."""
        self._head = (position, chain)
        return self._clock() - self._written_at >= self._every_s

    def stored(self, position: int, chain: bytes) -> None:
        """A record is on disk, and all before it."""
        if self.known(position, chain):
            self.keep()

    def keep(self) -> None:
        """Write the head that is known and not written yet.  A failure is told, and is no reason to stop."""
        head = self._head
        if head is None or head == self._written:
            return
        position, chain = self._written = head
        self._written_at = self._clock()
        try:
            write_head(self._ledger, Head(position, chain.hex()))
        except OSError as error:
            from grinder.log import logger  # who only reads a ledger starts sooner without it

            logger().error("the ledger's head could not be kept", reason=str(error))
