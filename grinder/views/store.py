"""Keeping the views of a run up to date, and proving that they are nothing but the ledger.

Law: reads the ledger, never writes it.  Views of another version of this program, or of another ledger, are
dropped and made anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import attrs
import orjson
import sqlite_utils

from actors.records import LedgerRow
from domain.inputs import CarryState
from grinder.errors import EnvironmentFault, LedgerError
from grinder.ledger import reading
from grinder.ledger.faults import damaged
from grinder.views import past
from grinder.views.decoding import decoded
from grinder.views.recorder import OpenRecorder, OvertakenError, ViewsRecorder, writing_faults
from grinder.views.schema import SOURCE, loader, select_all, version, wrap
from projections.registry import TABLES, apply_all, fresh
from projections.view import View

LEDGER_FILE = "ledger.db"
VIEWS_FILE = "views.db"

BATCH = 8000
"""Records between two commits of a catch-up; a boundary of the past is always one of them."""

ROWS_IN_MEMORY = 200_000
"""When a view holds more, it lets go of all stored rows and fetches again those it needs."""

Progress = Callable[[int], None]
"""Called with the position reached after every batch."""


@attrs.frozen
class RebuildResult:
    """What a rebuild made; equal digests mean equal rows in every table."""

    tables: int
    rows: int
    digest: str


def update(run_folder: Path, progress: Progress | None = None) -> int:
    """Apply the records the views have not seen yet; returns how many that were.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        EnvironmentFault: the views cannot be written.
    """
    with closing(reading.connect(run_folder / LEDGER_FILE)) as ledger:
        return _in_step(run_folder / VIEWS_FILE, ledger, progress, anew=False)


def rebuild(run_folder: Path, progress: Progress | None = None) -> RebuildResult:
    """Drop the views, make them again from the first record and describe them.

    Raises:
        LedgerError, EnvironmentFault: as `update`.
    """
    with closing(reading.connect(run_folder / LEDGER_FILE)) as ledger:
        _in_step(run_folder / VIEWS_FILE, ledger, progress, anew=True)
    rows, found = _describe(run_folder)
    return RebuildResult(tables=len(TABLES), rows=rows, digest=found)


def digest(run_folder: Path) -> str:
    """SHA-256 (hex) over the canonical rows of every table, in order of table and key.

    Raises:
        EnvironmentFault: there are no views.
    """
    return _describe(run_folder)[1]


def standing(run_folder: Path, ledger: sqlite3.Connection) -> int:
    """Position the views stand at; 0 where there are none, or none that this program can go on with."""
    try:
        with closing(open_views(run_folder)) as db:
            if db.conn.execute("PRAGMA user_version").fetchone()[0] != version():
                return 0
            position, chain = db.conn.execute(f"SELECT position, chain FROM {SOURCE}").fetchone()
    except (EnvironmentFault, sqlite3.Error):
        return 0
    return int(position) if _made_from(ledger, int(position), str(chain)) else 0


def open_views(run_folder: Path) -> sqlite_utils.Database:
    """The views of a run, to be read only; the caller closes it.

    Raises:
        EnvironmentFault: there are none, or they cannot be read.
    """
    path = run_folder / VIEWS_FILE
    if not path.is_file():
        raise EnvironmentFault(
            "views.missing",
            "there are no views here yet",
            place=str(path),
            fix="update them from the ledger first",
        )
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("PRAGMA user_version")
    except sqlite3.Error as error:
        raise EnvironmentFault(
            "views.not_readable",
            f"the views cannot be read: {error}",
            place=str(path),
            fix="delete the file: it is made again from the ledger",
        ) from error
    return wrap(connection)


# --- catching up ---------------------------------------------------------------------------------------


def _in_step(path: Path, ledger: sqlite3.Connection, progress: Progress | None, *, anew: bool) -> int:
    _refuse_slice(ledger, path)
    with writing_faults(path):
        _discard_debris(path)
        with OpenRecorder(path) as recorder:
            if anew or not recorder.is_current() or not _same_ledger(recorder, ledger):
                recorder.reset()
            applied = 0
            while True:
                try:
                    return applied + _catch_up(path, recorder, ledger, progress)
                except OvertakenError:
                    continue  # another process is ahead; go on from where it is


def _refuse_slice(ledger: sqlite3.Connection, path: Path) -> None:
    """A slice begins in the middle: what its views would count and value lies before it."""
    try:
        first = ledger.execute("SELECT topic FROM stored_events WHERE rowid = 1").fetchone()
    except sqlite3.DatabaseError as error:
        raise damaged(path.with_name(LEDGER_FILE), error) from error
    if first is not None and first[0] == CarryState.TOPIC:
        raise LedgerError(
            "views.slice",
            "this is a slice of a run; it replays and verifies, but views and reports need the whole run",
            place=str(path.parent),
            fix="use the run the slice was cut from",
        )


def _discard_debris(path: Path) -> None:
    """Remove a file that is no database: a crash or a full disk left it, and it holds nothing of its own."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(16)
    if head and head != b"SQLite format 3\0":
        path.unlink()


def _same_ledger(recorder: ViewsRecorder, ledger: sqlite3.Connection) -> bool:
    """Whether the views were made from this ledger and not from one that stood here before."""
    return _made_from(ledger, *recorder.source())


def _made_from(ledger: sqlite3.Connection, position: int, chain: str) -> bool:
    if not position:
        return True
    row = ledger.execute("SELECT chain FROM stored_events WHERE rowid = ?", (position,)).fetchone()
    return row is not None and bytes(row[0]).hex() == chain


def _catch_up(
    path: Path, recorder: ViewsRecorder, ledger: sqlite3.Connection, progress: Progress | None
) -> int:
    position, _ = recorder.source()
    applied = 0
    with closing(sqlite3.connect(path)) as stored:
        load = loader(stored)
        view = View(TABLES, load) if position else fresh()
        view.remember()
        source = _undamaged(reading.rows(ledger, after=position), path.with_name(LEDGER_FILE))
        while batch := list(islice(source, min(BATCH, past.next_boundary(position) - position))):
            apply_all(view, decoded(batch, path.with_name(LEDGER_FILE)))
            last = batch[-1]
            recorder.store(view, position, last.position, last.chain)
            position = last.position
            applied += len(batch)
            if len(view) > ROWS_IN_MEMORY:
                view.fetch_with(load)
                for rows in view.tables():
                    rows.forget()
            if progress:
                progress(position)
    return applied


def _undamaged(rows: Iterator[LedgerRow], path: Path) -> Iterator[LedgerRow]:
    """Rows of the ledger; a page that cannot be read is the ledger's fault, not that of the views."""
    try:
        yield from rows
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error


# --- describing ----------------------------------------------------------------------------------------


def _describe(run_folder: Path) -> tuple[int, str]:
    """(rows, digest) of the views."""
    total, hashed = 0, sha256()
    with closing(open_views(run_folder)) as db:
        for table in TABLES:
            hashed.update(orjson.dumps([table.name, list(table.columns)]) + b"\n")
            for row in db.conn.execute(select_all(table)):
                hashed.update(orjson.dumps(row) + b"\n")
                total += 1
    return total, hashed.hexdigest()
