"""A backup is taken while the run goes on, is proven before it has a name, and can be gone on with."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from fault_runs import killed_run, played, records_of

from actors.records import LedgerRow
from grinder.cli import main
from grinder.commands.backup import backup_run
from grinder.commands.inspect import verify_run
from grinder.errors import EnvironmentFault, ExitStatus, LedgerError, UserError
from grinder.ledger.head import HeadKeeper, read_head
from grinder.ledger.recorder import open_writer
from grinder.ledger.verify import verify
from grinder.live.rebuild import rebuild


def silent(stage: str, done: int, total: int) -> None:
    """Progress nobody watches."""


def test_a_backup_of_a_finished_run_is_the_same_ledger(paper_run: Path, tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["backup", str(paper_run), str(tmp_path / "copy"), "--json"])
    assert ended.exit_code == 0, ended.output
    found = orjson.loads(ended.stdout)
    assert records_of(tmp_path / "copy" / "ledger.db") == records_of(paper_run / "ledger.db")
    assert found["records"] == len(records_of(paper_run / "ledger.db"))
    assert found["head"] == verify(paper_run / "ledger.db").head
    assert sorted(one.name for one in (tmp_path / "copy").iterdir() if "db-" not in one.name) == [
        "head.json",
        "ledger.db",
        "manifest.json",
    ]
    spoken = CliRunner().invoke(main, ["backup", str(paper_run), str(tmp_path / "again")])
    assert f"{found['records']}:{found['head']}" in spoken.stdout, "what to keep elsewhere"


def test_backups_taken_while_records_are_written_are_whole_and_lose_nothing_durable(
    tmp_path: Path, recorded: list[LedgerRow]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    application, epoch = open_writer(run / "ledger.db")
    keeper = HeadKeeper(run / "ledger.db", every_s=0)
    durable, ended, failures = [0], threading.Event(), []

    def write() -> None:
        try:
            for row in recorded:
                application.ledger_recorder.append_rows([row], epoch)
                durable[0] = row.position
                keeper.stored(row.position, row.chain)
        except BaseException as failure:
            failures.append(failure)
            raise
        finally:
            ended.set()

    writing = threading.Thread(target=write)
    writing.start()
    taken = []
    while not ended.is_set():
        before = durable[0]
        if not before:
            continue
        copy = tmp_path / f"copy-{len(taken)}"
        found = backup_run(run, copy, silent)
        assert before <= found["records"] <= len(recorded)
        taken.append(found["records"])
        assert records_of(copy / "ledger.db") == recorded[: found["records"]]
    writing.join(10)
    application.close()
    assert failures == []
    assert len(set(taken)) > 3, "several were taken on the way"


def test_a_run_lives_on_from_its_backup(paper_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    before = backup_run(paper_run, copy, silent)["records"]
    assert rebuild(copy / "ledger.db").records == before
    assert played(copy) is ExitStatus.DONE
    after = verify_run(copy, None, silent)
    assert after["ok"]
    assert after["records"] > before
    head = read_head(copy / "ledger.db")
    assert head is not None
    assert head.position == after["records"]


def test_what_is_in_the_write_ahead_log_alone_is_in_the_backup(
    tmp_path: Path, recorded: list[LedgerRow]
) -> None:
    killed = killed_run(tmp_path / "run", recorded[:200], 60)
    found = backup_run(killed.folder, tmp_path / "copy", silent)
    assert found["records"] == 200
    assert not (tmp_path / "copy" / "ledger.db-wal").exists(), "the copy is one file"
    shutil.copyfile(killed.ledger, tmp_path / "file-alone.db")
    assert verify(tmp_path / "file-alone.db").records == 60, "and not in a copy of the file"


def test_a_damaged_ledger_or_one_that_lost_records_is_not_backed_up(
    tmp_path: Path, recorded: list[LedgerRow]
) -> None:
    killed = killed_run(tmp_path / "run", recorded[:200], 60)
    killed.lose_log()
    with pytest.raises(LedgerError, match="ends at record 60") as refused:
        backup_run(killed.folder, tmp_path / "copy", silent)
    assert refused.value.fix
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run"], "nothing is left of it"
    content = bytearray(killed.ledger.read_bytes())
    content[content.find(recorded[20].chain)] ^= 1
    killed.ledger.write_bytes(content)
    with pytest.raises(LedgerError, match="record 21"):
        backup_run(killed.folder, tmp_path / "copy", silent)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run"]


def test_a_folder_that_holds_something_is_left_as_it_is(paper_run: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    with pytest.raises(UserError) as refused:
        backup_run(paper_run, there, silent)
    assert refused.value.code == "backup.exists"
    assert [one.name for one in there.iterdir()] == ["mine.txt"]
    assert backup_run(paper_run, tmp_path / "empty", silent)["records"] > 0
    with pytest.raises(UserError):
        backup_run(paper_run, tmp_path / "empty", silent)


def test_a_place_that_cannot_be_written_is_named(paper_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EnvironmentFault) as refused:
        backup_run(paper_run, tmp_path / "file" / "copy", silent)
    assert str(tmp_path / "file" / "copy") in refused.value.place
    with pytest.raises(LedgerError):
        backup_run(tmp_path, tmp_path / "copy", silent)
    assert not (tmp_path / "copy").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
