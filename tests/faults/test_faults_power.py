"""Power fails, syncs fail: what was acknowledged is on the disk, and a failed sync is never tried again."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from fault_runs import groups_of, played
from power import Disk, DiskRecorder, Platter, Step, make_ledger

from actors.records import LedgerRow
from domain.record import Record
from grinder.errors import ExitStatus, LedgerError
from grinder.ledger.appending import DURABLE
from grinder.ledger.log_file import LogFile
from grinder.ledger.recorder import _LedgerDatastore, open_application
from grinder.ledger.verify import verify
from grinder.ledger.writer import EmptyLog, Group, JournalFailed, WriterActor
from grinder.live.run import LiveRun

CUTS = 300
GROWN = 512 * 1024
"""More than is logged between two emptyings, so the log is written over and never grows."""


def history(
    folder: Path,
    records: list[LedgerRow],
    *settings: str,
    failing: int = 0,
    group: int = 3,
    empty_every: int = 0,
) -> tuple[Disk, list[int], list[BaseException]]:
    """The real writer appends records to a disk that is watched; what it acknowledged, and its failures.

    With `empty_every` the log is that of a live run: grown beforehand, and emptied between two groups.
    """
    disk = Disk()
    connection = disk.connect(folder / "ledger.db")
    make_ledger(connection)
    for setting in settings:
        connection.execute(setting)
    disk.failing_sync = disk.syncs + failing if failing else 0
    recorder: Any = DiskRecorder(connection)
    acknowledged: list[int] = []
    failures: list[BaseException] = []

    def stored(position: int) -> None:
        acknowledged.append(position)
        disk.acknowledged(position)

    log = LogFile(folder / "ledger.db", connection)
    if empty_every:
        disk.growing("ledger.db-wal", folder, lambda: log.prepare(GROWN))
    writer = WriterActor.start(recorder, 1, log=log)
    for number, rows in enumerate(groups_of(records, group), 1):
        writer.tell(Group(rows, stored, failures.append))
        if empty_every and number % empty_every == 0:
            writer.tell(EmptyLog(lambda: None, failures.append))
    writer.stop(block=True, timeout=30)
    assert not failing or disk.syncs == disk.failing_sync, "a sync was tried again"
    let_go(disk, connection)
    return disk, acknowledged, failures


def let_go(disk: Disk, connection: apsw.Connection) -> None:
    """Close a connection without its last writes: what it folds into the file then is of no interest."""
    steps = list(disk.steps)
    disk.failing_sync = 0
    connection.close()
    disk.steps = steps


def after_cut(folder: Path, files: dict[str, bytes]) -> tuple[bool, int, str]:
    """(verifies, records, why not) of the ledger a cut left, read with the standard library's SQLite."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(content)
    try:
        # A program that opens it for writing recovers the log and folds it into the file first.
        with closing(sqlite3.connect(folder / "ledger.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        verdict = verify(folder / "ledger.db")
    except (LedgerError, sqlite3.DatabaseError) as error:
        return False, 0, str(error)
    return verdict.ok, verdict.records, verdict.reason


def losses(disk: Disk, folder: Path, cuts: int, seed: int) -> tuple[list[str], set[int]]:
    """What acknowledged records were lost by cuts at drawn moments; and how many records were found."""
    chance = random.Random(seed)
    first = next(at for at, step in enumerate(disk.steps) if step.kind == "acknowledged")
    moments = {chance.randrange(first, len(disk.steps) + 1) for _ in range(cuts)}
    platter, lost, found = Platter(), [], set()
    for at, step in enumerate([*disk.steps, Step("open")]):
        if at in moments:
            ok, records, reason = after_cut(folder, platter.cut(chance))
            found.add(records)
            if not ok or records < platter.acknowledged:
                lost.append(f"step {at}: {records} of {platter.acknowledged} records, {reason}")
        platter.see(step)
    return lost, found


@pytest.mark.parametrize(
    "settings",
    [(), ("PRAGMA wal_autocheckpoint=6",), ("PRAGMA wal_autocheckpoint=1", "PRAGMA cache_size=4")],
    ids=["as it is", "folded often", "folded always, with little memory"],
)
def test_what_was_acknowledged_survives_a_power_cut_at_any_moment(
    tmp_path: Path, recorded: list[LedgerRow], settings: tuple[str, ...]
) -> None:
    disk, acknowledged, failures = history(tmp_path, recorded, *settings)
    assert failures == []
    assert acknowledged[-1] == recorded[-1].position
    lost, found = losses(disk, tmp_path / "after", CUTS, seed=len(settings))
    assert lost == []
    assert len(found) > 100, "the cuts hit many different moments"


@pytest.mark.parametrize("every", [1, 5])
def test_a_log_that_is_grown_and_emptied_between_the_commits_loses_nothing_at_a_power_cut(
    tmp_path: Path, recorded: list[LedgerRow], every: int
) -> None:
    disk, acknowledged, failures = history(tmp_path, recorded, empty_every=every)
    assert failures == []
    assert acknowledged[-1] == recorded[-1].position
    writes = [step for step in disk.steps if step.kind == "write" and step.name == "ledger.db-wal"]
    assert max(step.offset + len(step.data) for step in writes) == GROWN, "no commit made the log longer"
    starts = [step for step in writes if step.offset == 0]
    assert len(starts) > 3, "the log began again, over what it held"
    lost, found = losses(disk, tmp_path / "after", CUTS, seed=every)
    assert lost == []
    assert len(found) > 50, "the cuts hit many different moments"


@pytest.mark.parametrize("weaker", ["PRAGMA synchronous=NORMAL", "PRAGMA synchronous=OFF"])
def test_a_ledger_that_is_not_synced_at_each_commit_does_lose_acknowledged_records(
    tmp_path: Path, recorded: list[LedgerRow], weaker: str
) -> None:
    """The injector bites: the setting the product uses is what keeps the promise."""
    disk, _, _ = history(tmp_path, recorded, weaker)
    lost, _ = losses(disk, tmp_path / "after", 40, seed=3)
    assert lost


def test_every_commit_syncs_the_log_before_it_is_acknowledged(
    tmp_path: Path, recorded: list[LedgerRow]
) -> None:
    disk, acknowledged, _ = history(tmp_path, recorded)
    synced, unsynced, commits = 0, 0, 0
    for step in disk.steps:
        if step.kind == "sync" and step.name.endswith("-wal"):
            synced, unsynced = synced + 1, 0
        elif step.kind == "write" and step.name.endswith("-wal"):
            unsynced += 1
        elif step.kind == "acknowledged":
            commits += 1
            assert synced >= 1, f"nothing was synced for record {step.offset}"
            assert unsynced == 0, f"{unsynced} writes before record {step.offset} were not synced"
            synced = 0
    assert commits == len(acknowledged) > 20


def test_the_products_connection_has_the_settings_that_were_tested(tmp_path: Path) -> None:
    application = open_application(tmp_path / "ledger.db", create=True)
    datastore = application.ledger_recorder.datastore
    assert isinstance(datastore, _LedgerDatastore)
    appender = datastore.appender()
    found = [
        appender.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "locking_mode", "fullfsync")
    ]
    disk = Disk()
    tested = disk.connect(tmp_path / "other.db")
    same = [
        tested.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "locking_mode", "fullfsync")
    ]
    tested.close()
    application.close()
    assert found == same == ["wal", 2, "normal", 0]
    assert DURABLE == "PRAGMA synchronous=FULL"


# --- a sync that fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 9, 20])
def test_a_failed_sync_ends_the_writer_and_nothing_is_tried_again(
    tmp_path: Path, recorded: list[LedgerRow], failing: int
) -> None:
    disk, acknowledged, failures = history(tmp_path, recorded, failing=failing)
    assert disk.failed == 1, "one sync failed, and no other was asked for"
    assert isinstance(failures[0], sqlite3.OperationalError)
    assert getattr(failures[0], "sqlite_errorcode", 0) == apsw.SQLITE_IOERR_FSYNC
    assert all(isinstance(one, JournalFailed) for one in failures[1:])
    assert len(acknowledged) + len(failures) == len(groups_of(recorded, 3))
    assert acknowledged == [g[-1].position for g in groups_of(recorded, 3)[: len(acknowledged)]]
    lost, _ = losses(disk, tmp_path / "after", 30, seed=failing) if acknowledged else ([], set())
    assert lost == [], "what was acknowledged before the failure is there"


def test_a_run_whose_disk_fails_to_sync_stops_at_once_and_sends_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole run in one process: its writer appends to a disk whose syncs begin to fail."""
    disk = Disk()
    (tmp_path / "disk").mkdir()
    connection = disk.connect(tmp_path / "disk" / "ledger.db")
    make_ledger(connection)
    recorder = DiskRecorder(connection)
    submitted: list[int] = []
    learned: list[int] = []

    failed_at: list[int] = []

    def append_rows(self: Any, rows: list[LedgerRow], epoch: int) -> None:
        if submitted and not disk.failing_sync:
            disk.failing_sync = disk.syncs + 1
            failed_at.append(recorder.asked + 1)
        recorder.append_rows(rows, epoch)
        disk.acknowledged(rows[-1].position)

    def during(run: LiveRun) -> None:
        submit = run.submit

        def watched(intent: Record, now_ns: int) -> None:
            submitted.append(disk.failed)
            submit(intent, now_ns)

        run.submit = watched  # type: ignore[method-assign]
        learn = run.learn

        def noted(report: Record) -> int:
            position = learn(report)
            learned.append(disk.failed)
            return position

        run.learn = noted  # type: ignore[method-assign]

    monkeypatch.setattr("grinder.ledger.recorder.LedgerRecorder.append_rows", append_rows)
    assert played(tmp_path / "run", during) is ExitStatus.NOT_STORED
    assert disk.failed == 1
    assert [recorder.asked] == failed_at, "nothing was tried again"
    assert submitted, "orders left before"
    assert set(submitted) == {0}, "and none after"
    let_go(disk, connection)
    lost, _ = losses(disk, tmp_path / "after", 20, seed=1)
    assert lost == []
