"""Views as they stood at any record of a ledger.

Law: made from the ledger alone, in scratch databases that nobody keeps: the same rows a rebuild of the ledger
cut at that record would make.  Snapshots on the way only save time; losing them loses nothing.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from actors.records import LedgerRow
from domain.codec import UnknownTopicError, decode
from grinder.errors import LedgerError
from grinder.ledger import reading
from grinder.views.schema import SOURCE, create_tables, loader, save, wrap
from projections.record import LedgerRecord
from projections.registry import TABLES, apply_all, fresh, is_read
from projections.view import View

T = TypeVar("T")

STEP: Final = 4000
"""Records between two snapshots, at first."""

MOST_SNAPSHOTS: Final = 128
MOST_BYTES: Final = 512 * 1024 * 1024
MOST_RECENT: Final = 8
"""Positions held ready in memory: whoever looks at one asks several questions about it."""


class TimeTravel:
    """Views of a ledger at positions.  Safe to use from several threads, one at a time."""

    def __init__(self, ledger: Path, step: int = STEP, snapshots: int = MOST_SNAPSHOTS) -> None:
        self._ledger = ledger
        self._step = step
        self._most = snapshots
        self._lock = Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="grinder-views-")
        self._snapshots: dict[int, Path] = {}
        self._recent: OrderedDict[int, sqlite3.Connection] = OrderedDict()

    def read(self, position: int, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the views as they stood after a record; 0 is before the first.

        Raises:
            LedgerError: the ledger cannot be read up to there.
        """
        with self._lock:
            return question(self._at(position))

    def prepare(self, head: int) -> bool:
        """Make the next snapshot a ledger of this length should have; False if there is none to make."""
        with self._lock:
            following = max(self._snapshots, default=0) + self._step
            if following > head:
                return False
            self._at(following)
            return True

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            for connection in self._recent.values():
                connection.close()
            self._recent.clear()
            self._folder.cleanup()

    # --- making --------------------------------------------------------------------------------------------

    def _at(self, position: int) -> sqlite3.Connection:
        found = self._recent.get(position)
        if found is None:
            found = self._recent[position] = self._make(position)
            if len(self._recent) > MOST_RECENT:
                self._recent.popitem(last=False)[1].close()
        self._recent.move_to_end(position)
        return found

    def _make(self, position: int) -> sqlite3.Connection:
        base = max((one for one in (*self._recent, *self._snapshots) if one <= position), default=0)
        made = sqlite3.connect(":memory:", check_same_thread=False)
        if base in self._recent:
            self._recent[base].backup(made)
        elif base in self._snapshots:
            with closing(sqlite3.connect(self._snapshots[base])) as snapshot:
                snapshot.backup(made)
        else:
            create_tables(wrap(made))
        made.commit()
        self._advance(made, base, position)
        return made

    def _advance(self, made: sqlite3.Connection, base: int, position: int) -> None:
        """Apply the records after `base`, keeping a snapshot at every step on the way."""
        with closing(reading.connect(self._ledger)) as ledger:
            source = reading.rows(ledger, after=base)
            load = loader(made)
            view = View(TABLES, load) if base else fresh()
            while base < position:
                until = min(position, (base // self._step + 1) * self._step)
                batch = list(islice(source, until - base))
                if len(batch) != until - base:
                    raise LedgerError("ledger.short", "the ledger has no such record", value=str(position))
                apply_all(view, _decoded(batch, self._ledger))
                self._store(made, view, batch[-1])
                view.fetch_with(load)
                base = until
                if base % self._step == 0 and base not in self._snapshots:
                    self._keep(base, made)

    @staticmethod
    def _store(made: sqlite3.Connection, view: View, last: LedgerRow) -> None:
        db = wrap(made)
        for rows in view.tables():
            changed, deleted = rows.take_changes()
            if changed or deleted:
                save(db, rows.table, changed, deleted)
        made.execute(f"UPDATE {SOURCE} SET position = ?, chain = ?", (last.position, last.chain.hex()))
        made.commit()

    def _keep(self, position: int, made: sqlite3.Connection) -> None:
        path = Path(self._folder.name) / f"{position}.db"
        with closing(sqlite3.connect(path)) as snapshot:
            snapshot.execute("PRAGMA synchronous = OFF")
            made.backup(snapshot)
        self._snapshots[position] = path
        size = sum(one.stat().st_size for one in self._snapshots.values())
        if len(self._snapshots) > self._most or size > MOST_BYTES:
            self._step *= 2
            for one in [at for at in self._snapshots if at % self._step]:
                self._snapshots.pop(one).unlink()


def _decoded(batch: Sequence[LedgerRow], path: Path) -> Iterator[LedgerRecord]:
    for position, stream, version, topic, state, ts_ns, cause, _ in batch:
        if not is_read(topic):
            continue
        try:
            event = decode(topic, state)
        except (UnknownTopicError, ValueError) as error:
            raise LedgerError(
                "ledger.damaged",
                f"the ledger cannot be read: {error}",
                place=f"{path} position {position}",
                fix="run `grinder verify`",
            ) from error
        yield LedgerRecord(position, stream, version, topic, ts_ns, cause, event)
