"""Paper runs in this process, and what is left of one that was killed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs
from live_runs import SETTINGS

from actors.records import LedgerRow
from grinder.config import load_config
from grinder.errors import ExitStatus
from grinder.ledger.head import Head, HeadKeeper, write_head
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import LedgerApplication, open_application
from grinder.live import process
from grinder.live.clock import FastLoop
from grinder.live.rebuild import rebuild
from grinder.live.run import LiveRun
from grinder.live.spec import PAPER, RunSpec, prepare
from grinder.run_folder import RunFolder

SPEED = 2_000
LONGEST_S = 30
"""A run in a test takes no longer, in our time."""


def paper_spec(rows: int = 2_000, speed: int = SPEED, settings: Mapping[str, Any] = SETTINGS) -> RunSpec:
    """A paper run on a generated market, that ends with it."""
    return RunSpec(
        mode=PAPER,
        ledger_id="",
        config=load_config([], {}, settings),
        feed=f"generated:7@{speed}",
        rows=rows,
        until_end=True,
    )


def played(
    path: Path, during: Callable[[LiveRun], Any] = lambda run: None, spec: RunSpec | None = None
) -> ExitStatus:
    """A paper run in this process, to its end."""
    folder = RunFolder(path)
    spec = prepare(folder, spec or paper_spec())
    rebuilt = rebuild(folder.ledger) if folder.ledger.exists() else None

    class Watched(LiveRun):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            during(self)

    with patch.object(process, "LiveRun", Watched), fast_runner() as runner:
        return runner.run(
            asyncio.wait_for(process._main(folder, spec, rebuilt, None, False), LONGEST_S * SPEED)
        )


def fast_runner() -> asyncio.Runner:
    """A runner on whose loop time passes fast."""
    return asyncio.Runner(loop_factory=lambda: FastLoop(SPEED))


def records_of(ledger: Path) -> list[LedgerRow]:
    """Every record of a ledger file."""
    with closing(connect(ledger)) as connection:
        return list(rows(connection))


def groups_of(records: Sequence[LedgerRow], size: int) -> list[list[LedgerRow]]:
    """Records in groups of whole inputs, as a journal hands them over."""
    groups: list[list[LedgerRow]] = [[]]
    for row in records:
        if len(groups[-1]) >= size and row.cause == row.position:
            groups.append([])
        groups[-1].append(row)
    return groups


@attrs.frozen
class Killed:
    """A run folder as a kill leaves it: part of the ledger is in the write-ahead log alone."""

    folder: Path
    records: list[LedgerRow]

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def log(self) -> Path:
        return self.folder / "ledger.db-wal"

    def lose_log(self) -> None:
        """What a copy tool or a tidy person does."""
        self.log.unlink()
        self.folder.joinpath("ledger.db-shm").unlink(missing_ok=True)


def killed_run(folder: Path, records: Sequence[LedgerRow], in_file: int, *, head: bool = True) -> Killed:
    """A killed paper run: `in_file` records in the file, the rest in the write-ahead log."""
    prepare(RunFolder(folder), paper_spec())
    making = folder / "making"
    making.mkdir()
    path = making / "ledger.db"
    application: LedgerApplication = open_application(path, create=True)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    keeper = HeadKeeper(folder / "ledger.db", every_s=0)
    if in_file:
        recorder.append_rows(records[:in_file], epoch)
        with recorder.datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for group in groups_of(records[in_file:], 8):
        recorder.append_rows(group, epoch)
        if head:
            keeper.stored(group[-1].position, group[-1].chain)
    # A connection that is closed would fold the log into the file, so it is copied before.
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(making / name, folder / name)
    application.close()
    shutil.rmtree(making)
    if not head:
        (folder / "head.json").unlink(missing_ok=True)
    return Killed(folder, list(records))


def keep(ledger: Path, row: LedgerRow) -> Head:
    """Keep a record's head beside a ledger, as its writer does."""
    head = Head(row.position, row.chain.hex())
    write_head(ledger, head)
    return head
