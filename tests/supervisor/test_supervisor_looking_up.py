"""The lookup is kept by the supervisor: seldom, never in the way, and of a ledger that grows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fault_runs import played, records_of
from live_runs import wait_for

from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records
from grinder.supervisor.looking_up import LookupKeeper


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    played(folder)
    return folder


def made(run: Path) -> int:
    with closing(sqlite3.connect(run / "lookup.db")) as connection:
        return int(connection.execute("SELECT position FROM made").fetchone()[0])


def test_a_lookup_far_behind_is_brought_up_to_date_and_one_close_behind_is_left(run: Path) -> None:
    records = len(records_of(run / "ledger.db"))
    (run / "lookup.db").unlink(missing_ok=True)
    assert not LookupKeeper(run, behind=records + 1).look()
    assert not (run / "lookup.db").exists()
    assert LookupKeeper(run, behind=records).look()
    assert made(run) == records
    assert not LookupKeeper(run, behind=1).look(), "nothing came since"
    with Records(run) as found:
        lookup = Lookup(found)
        assert lookup.made_now == 0, "a question finds it made"
        lookup.close()


def test_a_lookup_of_another_kind_of_file_is_made_anew_and_no_ledger_is_no_trouble(
    run: Path, tmp_path: Path
) -> None:
    (run / "lookup.db").write_bytes(b"not a database, not at all" * 100)
    assert LookupKeeper(run, behind=1).look()
    assert made(run) == len(records_of(run / "ledger.db"))
    assert not LookupKeeper(tmp_path, behind=0).look()
    (tmp_path / "ledger.db").write_bytes(b"x" * 5_000)
    assert not LookupKeeper(tmp_path, behind=0).look(), "told in the log, and that is all"


def test_it_ends_with_its_supervisor(run: Path) -> None:
    (run / "lookup.db").unlink(missing_ok=True)
    keeper = LookupKeeper(run, every_s=0.01, behind=1)
    keeper.start()
    wait_for((run / "lookup.db").exists, why="a lookup")
    keeper.stop()
    assert made(run) == len(records_of(run / "ledger.db")), "what was under way was done"
    LookupKeeper(run).stop()
