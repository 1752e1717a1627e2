"""Replaying a ledger file, by two processes when that is sooner.

Law: every field of every record comes out identical, or one process alone finds out what differs.  Two
processes prove the same as one, by induction: the other replays the first part from nothing; this one folds
the first part (believing it) and replays the rest from there.  The proofs join if the first part led to the
very states, of every actor, that the rest began with.  Whatever else happens, this process starts over and
replays everything: it names the difference, or the fault.

    python -m grinder.replaying LEDGER POSITION    # the other process: JSON on its standard output
"""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from actors.core import Core
from actors.journal import Journal
from actors.sequencer import CoreFailure
from domain.codec import UnknownTopicError
from grinder.collecting import rare_collections
from grinder.ledger.reading import connect, plain_rows
from replay.compare import PlainRow, ReplayJournal
from replay.folding import Folded
from replay.replayer import Progress, ReplayResult, follow, outcome

FEWEST: Final = 40_000
"""Records below which another process costs more than it saves."""

FOLDING: Final = 0.3
"""Seconds to fold a record by seconds to replay it (measured: 0.25 to 0.35)."""

STARTING: Final = 9_000
"""Records one process replays while the other starts."""

_FOLD = (
    "SELECT rowid, originator_id, originator_version, topic, CAST(state AS BLOB) FROM stored_events"
    " WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
)
_FOLDED_AT_ONCE = 16_384
_NEXT_INPUT = "SELECT rowid FROM stored_events WHERE rowid > ? AND cause = rowid ORDER BY rowid LIMIT 1"
_AT = "SELECT ts_ns, chain FROM stored_events WHERE rowid = ?"

_FAULTS = (
    CoreFailure, UnknownTopicError, sqlite3.Error, struct.error,
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
"""What a damaged record, believed, may lead to."""


class _NotJoined(Exception):
    """Two processes did not prove the ledger; one has to look."""


def replay_ledger(
    ledger: Path, progress: Progress | None = None, processes: int | None = None
) -> ReplayResult:
    """Replay a whole ledger into a fresh core.

    Args:
        progress: told now and then how many records are done.
        processes: most to use; None is as many as there are processors for this one.

    Raises:
        LedgerError: there is no ledger.
        sqlite3.DatabaseError, ValueError: it cannot be read.
        UnknownTopicError: an input was written by a newer program.
        CoreFailure: an actor raised; the rules cannot read this ledger.
    """
    with closing(connect(ledger)) as connection:
        total = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
        if total >= FEWEST and (processes or _processors()) > 1:
            try:
                return _by_two(connection, ledger, total, progress)
            except _NotJoined as why:
                _tell_of_another_look(ledger, str(why))
        with rare_collections():
            return _replayed(Core, plain_rows(connection), progress)


def _tell_of_another_look(ledger: Path, why: str) -> None:
    from grinder.log import logger  # the other process starts sooner without it

    logger().info("replayed again by one process", ledger=str(ledger), why=why)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _replayed(
    begin: Callable[[Journal], Core], rows: Iterator[PlainRow], progress: Progress | None
) -> ReplayResult:
    journal = ReplayJournal(rows)
    core = begin(journal)
    head = follow(core, journal, progress)
    return outcome(core, journal, head)


# --- by two --------------------------------------------------------------------------------------------


def _by_two(
    connection: sqlite3.Connection, ledger: Path, total: int, progress: Progress | None
) -> ReplayResult:
    """The rest of a ledger, on a first part that another process proves meanwhile.

    Raises:
        _NotJoined: something was not as it should be.
    """
    cut = _cut(connection, total)
    with _another(ledger, cut) as other, rare_collections():
        told = _Telling(other, cut, total, progress)
        try:
            folded = _folded(connection, cut, told)
            began_with = folded.digests()
            rest = _replayed(folded.core, plain_rows(connection, cut), told.replayed)
        except _FAULTS as fault:
            raise _NotJoined(repr(fault)) from fault
        if not rest.identical:
            raise _NotJoined("the second part differs")
        if _answer(other) != {"records": cut, "states": began_with}:
            raise _NotJoined("the first part differs")
    return attrs.evolve(rest, records=cut + rest.records)


def _cut(connection: sqlite3.Connection, total: int) -> int:
    """Position after which this process replays: both are done at the same time, and the core is at rest."""
    near = max(1, int((total - STARTING) / (2 - FOLDING)))
    found = connection.execute(_NEXT_INPUT, (near,)).fetchone()
    if found is None:
        raise _NotJoined("no input comes after the middle")
    return int(found[0]) - 1


def _folded(connection: sqlite3.Connection, cut: int, told: _Telling) -> Folded:
    folded = Folded()
    while folded.position < cut:
        until = min(folded.position + _FOLDED_AT_ONCE, cut)
        folded.take(connection.execute(_FOLD, (folded.position, until)))
        if folded.position != until:
            raise _NotJoined(f"a record is missing before {until}")
        told.folded(until)
    folded.ts_ns, folded.chain = connection.execute(_AT, (cut,)).fetchone()
    return folded


class _Telling:
    """Says how far two processes are, and notices when the other one has found something."""

    def __init__(
        self, other: subprocess.Popen[bytes], cut: int, total: int, progress: Progress | None
    ) -> None:
        self._other = other
        self._cut = cut
        self._total = total
        self._progress = progress
        self._weight = total / (cut * FOLDING + total - cut)

    def folded(self, records: int) -> None:
        self._tell(records * FOLDING)

    def replayed(self, records: int) -> None:
        self._tell(self._cut * FOLDING + records)

    def _tell(self, done: float) -> None:
        if self._other.poll():
            raise _NotJoined("the first part was not proved")
        if self._progress is not None:
            self._progress(min(self._total, int(done * self._weight)))


# --- the other -----------------------------------------------------------------------------------------


@contextmanager
def _another(ledger: Path, cut: int) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that proves the first part; gone when this is left."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(ledger), str(cut)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # whatever it has to say, this process will find out
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(other: subprocess.Popen[bytes]) -> Any:
    said, _ = other.communicate()
    return orjson.loads(said) if other.returncode == 0 else None


def prove_first_part(ledger: Path, cut: int) -> dict[str, Any] | None:
    """Replay the records up to a position; what they led to, or None when they do not come out identical."""
    with closing(connect(ledger)) as connection, rare_collections():
        found = _replayed(Core, islice(plain_rows(connection), cut), None)
    return {"records": found.records, "states": found.digests()} if found.identical else None


if __name__ == "__main__":
    proved = prove_first_part(Path(sys.argv[1]), int(sys.argv[2]))
    if proved is None:
        sys.exit(1)
    sys.stdout.buffer.write(orjson.dumps(proved))
