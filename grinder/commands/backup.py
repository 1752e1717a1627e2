"""Copying a run while it goes on, and making a run of a copy.

Law: through SQLite's own backup, in one step, so the copy is the ledger at one moment, with what is still in
the write-ahead log; the run is neither stopped nor slowed.  The copy is verified before it gets its name: the
folder is there whole and proven, or not at all.  With a key nothing that can be read reaches the place of the
copy.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from grinder.errors import EnvironmentFault, LedgerError, UserError
from grinder.ledger.head import RESTORE, Head, head_file, missing_after, read_head, write_head
from grinder.ledger.reading import connect
from grinder.ledger.sealing import ENDING, key_id, seal, unseal
from grinder.ledger.verify import Verdict, verify
from grinder.run_folder import RunFolder

Progress = Callable[[str, int, int], None]


def backup_run(run: Path, destination: Path, progress: Progress, key: bytes | None = None) -> dict[str, Any]:
    """Copy ledger, manifest and head of a run into a new folder; see the command contract for the keys.

    Args:
        key: seals every file of the copy; without one it can be read.

    Raises:
        LedgerError: there is no run, or its ledger does not verify; no copy is left.
        UserError: the folder to copy into exists and holds something.
        EnvironmentFault: it cannot be written.
    """
    started = perf_counter()
    source = RunFolder(run)
    source.require()
    with _made(destination, run if key else destination) as copy:
        kept = read_head(source.ledger)
        _copy_ledger(source.ledger, copy.ledger)
        verdict = verify(copy.ledger, None, lambda done: progress("verify", done, done))
        _require(verdict, copy.ledger, source.ledger, kept)
        if source.manifest.is_file():
            shutil.copyfile(source.manifest, copy.manifest)
        write_head(copy.ledger, Head(verdict.records, verdict.head))
        size = copy.ledger.stat().st_size
        if key is None:
            _name(copy.path, destination)
        else:
            with _made(destination, destination) as sealed:
                for file in sorted(copy.path.iterdir()):
                    seal(file, sealed.path / (file.name + ENDING), key)
                _name(sealed.path, destination)
    return {
        "run": str(run),
        "backup": str(destination),
        "records": verdict.records,
        "head": verdict.head,
        "bytes": size,
        "key": key_id(key) if key else "",
        "seconds": round(perf_counter() - started, 6),
    }


def restore_run(
    backup: Path, destination: Path, progress: Progress, key: bytes | None = None
) -> dict[str, Any]:
    """Make a run of a copy that `backup_run` made, in a new folder, verified; the copy stays as it is.

    Raises:
        LedgerError: there is no copy, or it is damaged; nothing is left of the new folder.
        UserError: the folder exists and holds something, the copy is sealed and there is no key, or another.
        EnvironmentFault: it cannot be written.
    """
    started = perf_counter()
    names = [RunFolder(backup).ledger.name, head_file(backup / "ledger.db").name]
    is_sealed = (backup / (names[0] + ENDING)).is_file()
    if is_sealed and key is None:
        raise UserError(
            "backup.sealed", "the copy is sealed", place=str(backup), fix="name its key: --key FILE"
        )
    if not is_sealed:
        RunFolder(backup).require()
    with _made(destination, destination) as made:
        for name in (*names, made.manifest.name):
            _bring(backup / name, made.path / name, key if is_sealed else None)
        verdict = verify(made.ledger, None, lambda done: progress("verify", done, done))
        _require(verdict, made.ledger, backup, read_head(made.ledger))
        _name(made.path, destination)
    return {
        "backup": str(backup),
        "run": str(destination),
        "records": verdict.records,
        "head": verdict.head,
        "seconds": round(perf_counter() - started, 6),
    }


def _bring(source: Path, target: Path, key: bytes | None) -> None:
    """One file of a copy; a copy of a run that never had it has none."""
    if key is not None:
        sealed = source.with_name(source.name + ENDING)
        if sealed.is_file():
            unseal(sealed, target, key)
    elif source.is_file():
        shutil.copyfile(source, target)


@contextmanager
def _made(destination: Path, beside: Path) -> Iterator[RunFolder]:
    """A folder on the disk of `beside` that is gone afterwards, unless it got its name.

    Raises:
        UserError: the destination holds something.
        EnvironmentFault: something cannot be written.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(
            "backup.exists",
            "the folder to copy into holds something already",
            place=str(destination),
            fix="name a new folder",
        )
    partial = None
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{beside.name}.", dir=beside.parent))
        yield RunFolder(partial)
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


def _name(made: Path, destination: Path) -> None:
    """Give a folder its name, durably."""
    _sync(made)
    made.replace(destination)
    _sync_folder(destination.parent)


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
