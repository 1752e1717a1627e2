"""Copying a run while it goes on.

Law: through SQLite's own backup, in one step, so the copy is the ledger at one moment, with what is still in
the write-ahead log; the run is neither stopped nor slowed.  The copy is verified before it gets its name: the
folder is there whole and proven, or not at all.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

from grinder.errors import EnvironmentFault, LedgerError, UserError
from grinder.ledger.head import RESTORE, Head, missing_after, read_head, write_head
from grinder.ledger.reading import connect
from grinder.ledger.verify import Verdict, verify
from grinder.run_folder import RunFolder

Progress = Callable[[str, int, int], None]


def backup_run(run: Path, destination: Path, progress: Progress) -> dict[str, Any]:
    """Copy ledger, manifest and head of a run into a new folder; see the command contract for the keys.

    Raises:
        LedgerError: there is no run, or its ledger does not verify; no copy is left.
        UserError: the folder to copy into exists and holds something.
        EnvironmentFault: it cannot be written.
    """
    started = perf_counter()
    source = RunFolder(run)
    source.require()
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(
            "backup.exists",
            "the folder to copy into holds something already",
            place=str(destination),
            fix="name a new folder",
        )
    partial = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        copy = RunFolder(partial)
        kept = read_head(source.ledger)
        _copy_ledger(source.ledger, copy.ledger)
        verdict = verify(copy.ledger, None, lambda done: progress("verify", done, done))
        _require(verdict, copy.ledger, source.ledger, kept)
        if source.manifest.is_file():
            shutil.copyfile(source.manifest, copy.manifest)
        write_head(copy.ledger, Head(verdict.records, verdict.head))
        size = copy.ledger.stat().st_size
        _sync(partial)
        partial.replace(destination)
        _sync_folder(destination.parent)
    except (OSError, sqlite3.Error) as error:
        raise EnvironmentFault(
            "backup.failed",
            f"the copy could not be made: {error}",
            place=str(destination),
            fix="name a folder you may write to, with room for the ledger",
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return {
        "run": str(run),
        "backup": str(destination),
        "records": verdict.records,
        "head": verdict.head,
        "bytes": size,
        "seconds": round(perf_counter() - started, 6),
    }


def _copy_ledger(source: Path, copy: Path) -> None:
    """The ledger at one moment, as a file that needs none beside it."""
    with closing(connect(source)) as reading, closing(sqlite3.connect(copy)) as writing:
        # All pages in one step: with smaller ones every commit of the run would start the copy anew.
        reading.backup(writing, pages=-1)
        writing.execute("PRAGMA journal_mode=DELETE")


def _require(verdict: Verdict, copy: Path, source: Path, kept: Head | None) -> None:
    reason = verdict.reason
    if verdict.ok and kept is not None:
        reason = missing_after(copy, kept)
    if reason:
        at = f" record {verdict.first_bad}" if verdict.first_bad else ""
        raise LedgerError("ledger.damaged", reason, place=f"{source}{at}", fix=RESTORE)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
