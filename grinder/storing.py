"""Storing a run: into a folder whose ledger is new, or compared with what it already holds and gone on with.

Law: the ledger is durable when this returns.  Every record the ledger already holds must come out again; only
what is missing is appended.  An interruption keeps complete inputs only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
from eventsourcing.persistence import PersistenceError

from actors.core import Core
from actors.journal import Journal
from actors.records import LedgerRow
from grinder.errors import EnvironmentFault, ExitStatus, LedgerError, UserError
from grinder.interruption import Interruption
from grinder.ledger.faults import require_whole
from grinder.ledger.reading import connect, is_begun, rows
from grinder.ledger.recorder import checkpoint, open_writer
from grinder.ledger.writer import JournalFailed, LedgerJournal
from grinder.run_folder import RunFolder
from replay.compare import ComparingJournal, Divergence, difference

Produce = Callable[[Journal, Interruption], Core]
"""Runs from the first record on into a journal; obeys the interruption between two inputs."""


class RunDiverged(UserError):
    """An interrupted run was continued, and came out differently from what its ledger holds."""

    status = ExitStatus.DIVERGED

    def __init__(self, divergence: Divergence, folder: Path) -> None:
        self.divergence = divergence
        super().__init__(
            "run.diverged",
            f"record {divergence.position} of {divergence.stream} differs in {divergence.field}",
            place=str(folder),
            value=f"expected {divergence.expected[:200]}, produced {divergence.actual[:200]}",
            fix="use the version of grinder that wrote the ledger, or a new folder",
        )


@attrs.frozen
class Executed:
    """What the run itself wrote."""

    records: int
    inputs: int
    head: str
    resumed_records: int
    seconds: float


class _CountingJournal:
    """Counts inputs on the way to another journal."""

    def __init__(self, then: Journal) -> None:
        self._then = then
        self.inputs = 0

    def append(self, row: LedgerRow) -> None:
        if row.cause == row.position:
            self.inputs += 1
        self._then.append(row)

    def commit(self) -> None:
        self._then.commit()


def store_run(folder: RunFolder, ledger_id: str, manifest: dict[str, Any], produce: Produce) -> Executed:
    """Run into a folder whose lock is held; returns when the ledger is durable.

    Raises:
        LedgerError: the folder holds another run, or a damaged one.
        RunDiverged: what is there does not come out again.
        EnvironmentFault: the ledger could not be stored.
    """
    existing = _check_existing(folder, ledger_id)
    started = perf_counter()
    if not existing:
        folder.write_manifest({**manifest, "finished": False})
    application, epoch = open_writer(folder.ledger)
    writer = LedgerJournal(application.ledger_recorder, epoch)
    connection = connect(folder.ledger) if existing else None
    try:
        comparing = ComparingJournal(rows(connection), writer) if connection else None
        journal = _CountingJournal(comparing or writer)
        with Interruption() as interruption:
            core = produce(journal, interruption)
            if comparing and (found := comparing.divergence or difference(comparing.expected, None)):
                raise RunDiverged(found, folder.path)
            writer.close()
    except (PersistenceError, sqlite3.Error, JournalFailed) as failure:
        writer.stop()
        raise EnvironmentFault(
            "ledger.not_stored",
            f"the ledger could not be stored: {failure}",
            place=str(folder.path),
            fix="make room or mend the disk, then run the same command again to go on",
        ) from failure
    except BaseException:
        writer.abandon()
        raise
    finally:
        application.close()
        if connection:
            connection.close()
    checkpoint(folder.ledger)
    seconds = perf_counter() - started
    folder.write_manifest({**manifest, "finished": True, "records": core.position, "head": core.chain.hex()})
    resumed = comparing.compared if comparing else 0
    return Executed(core.position, journal.inputs, core.chain.hex(), resumed, seconds)


def _check_existing(folder: RunFolder, ledger_id: str) -> int:
    """Records already in the folder's ledger; 0 for a new run.

    Raises:
        LedgerError: it is another run's folder, or its ledger is damaged.
    """
    if not folder.ledger.exists():
        return 0
    found = folder.read_manifest().get("ledger_id")
    if found != ledger_id:
        raise LedgerError(
            "ledger.other_run",
            "the folder holds another run (other configuration, data or seed)",
            place=str(folder.path),
            value=f"ledger {found or 'unknown'}, this run is {ledger_id}",
            fix="use another --out folder",
        )
    if not is_begun(folder.ledger):
        return 0
    return require_whole(folder.ledger).records
