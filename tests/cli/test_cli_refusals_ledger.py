"""A ledger or a folder that cannot be used never trades: exit status, place and fix, and nothing written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from refusals import backtested, called, check_refused
from small_ledgers import (
    REPO,
    altered,
    contents,
    copy_run,
    ledger_rows,
    rechained,
    replace_records,
    trades_file,
)

# --- ledgers -------------------------------------------------------------------------------------------


def not_a_ledger(run: Path) -> None:
    (run / "ledger.db").write_text("Dear sir,\n" * 100)


def another_database(run: Path) -> None:
    (run / "ledger.db").unlink()
    with closing(sqlite3.connect(run / "ledger.db")) as connection:
        connection.execute("CREATE TABLE notes (text)")


def gap(run: Path) -> None:
    with altered(run / "ledger.db") as connection:
        connection.execute("DELETE FROM stored_events WHERE rowid = 50")


def bad_hash(run: Path) -> None:
    with altered(run / "ledger.db") as connection:
        connection.execute("UPDATE stored_events SET chain = zeroblob(32) WHERE rowid = 50")


def unknown_version(run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    renamed = (r._replace(topic=r.topic.replace("/1", "/9")) if r.position == 50 else r for r in records)
    replace_records(run / "ledger.db", rechained(renamed))


def unknown_type(run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    renamed = (r._replace(topic="MoonLanded/1") if r.position == 50 else r for r in records)
    replace_records(run / "ledger.db", rechained(renamed))


def newer_format(run: Path) -> None:
    with altered(run / "ledger.db") as connection:
        connection.execute("PRAGMA user_version = 7")


def no_ledger(run: Path) -> None:
    for path in run.glob("ledger.db*"):
        path.unlink()


@attrs.frozen
class Spoiled:
    """How a run is spoiled; what verify, replay, rebuild and a continued backtest end with; what is said."""

    how: Callable[[Path], None]
    verify: int
    replay: int
    rebuild: int
    backtest: int
    words: str


LEDGERS = {
    "not a ledger": Spoiled(not_a_ledger, 4, 4, 4, 4, "cannot be read as a ledger"),
    "another application's database": Spoiled(another_database, 4, 4, 4, 4, "a database, but not a ledger"),
    "a gap": Spoiled(gap, 4, 3, 4, 4, "position 51 where 50 belongs"),
    "a bad hash": Spoiled(bad_hash, 4, 3, 4, 4, "the hash does not match"),
    "an unknown version": Spoiled(unknown_version, 4, 3, 4, 4, "/9 is unknown to this version"),
    "an unknown record": Spoiled(unknown_type, 4, 3, 4, 4, "MoonLanded/1 is unknown to this version"),
    "a newer format": Spoiled(newer_format, 4, 4, 4, 4, "has format 7, this program reads up to 1"),
}


@pytest.mark.parametrize("name", LEDGERS)
def test_a_spoiled_ledger_is_refused_by_every_command_and_not_written_to(
    home: Any, tmp_path: Path, name: str
) -> None:
    run = copy_run(Path(home.run), tmp_path / "run")
    case = LEDGERS[name]
    case.how(run)
    before = {n: d for n, d in contents(run).items() if "ledger.db-" not in n}
    arguments = ("-c", home.yaml, "--data", home.data, "--out", str(run))
    for command, status in (
        (("verify", str(run)), case.verify),
        (("replay", str(run)), case.replay),
        (("rebuild", str(run)), case.rebuild),
        (("backtest", *arguments), case.backtest),
    ):
        ended = called(*command)
        assert ended.exit_code == status, (command, ended.output, ended.exception)
        assert "Traceback" not in ended.stderr
        if command[0] != "replay":
            assert case.words in ended.stderr, (command, ended.stderr)
        if command[0] == "backtest":
            assert str(run) in ended.stderr
            assert "fix:" in ended.stderr
    assert {n: d for n, d in contents(run).items() if "ledger.db-" not in n} == before


@pytest.mark.parametrize("command", ["verify", "replay", "rebuild"])
@pytest.mark.parametrize("what", ["a folder without a ledger", "no folder"])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, command: str, what: str) -> None:
    folder = tmp_path / "run"
    if what == "a folder without a ledger":
        folder.mkdir()
    check_refused(
        called(command, str(folder), "--json"), 4, "ledger.missing", str(folder), "", "name the folder"
    )
    assert not folder.exists() or list(folder.iterdir()) == []


def test_another_runs_folder_is_refused_and_unchanged(home: Any, tmp_path: Path) -> None:
    run = copy_run(Path(home.run), tmp_path / "run")
    other = trades_file(tmp_path / "other.csv", 300)
    before = contents(run)
    ended = backtested(Path(home.yaml), other, run)
    check_refused(ended, 4, "ledger.other_run", str(run), "this run is", "use another --out folder")
    assert contents(run) == before


def test_a_manifest_that_is_none_is_refused(home: Any, tmp_path: Path) -> None:
    run = copy_run(Path(home.run), tmp_path / "run")
    for text, words in (("{", "not JSON"), ("[1]", "does not read"), ('{"format": 99}', "does not read")):
        (run / "manifest.json").write_text(text)
        ended = called("verify", str(run), "--json")
        error = check_refused(ended, 4, "run.manifest", "manifest.json", "", "")
        assert words in error["what"]


@pytest.mark.parametrize("out", ["/proc/none", "/dev/null/run"])
def test_a_folder_that_cannot_be_made_is_the_machines_fault(home: Any, out: str) -> None:
    ended = backtested(Path(home.yaml), Path(home.data), Path(out))
    check_refused(ended, 5, "run.folder", out, "", "choose a folder you may write to")


AS_NOBODY = """
import encodings.utf_8_sig, os, sys
sys.argv = ["grinder", *sys.argv[1:]]
import grinder.cli, grinder.show, grinder.commands.inspect, grinder.views.store, grinder.config, grinder.data
import grinder.commands.backtest, grinder.config.document
os.setgid(65534); os.setuid(65534)
grinder.cli.main()
"""


def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user who may read a folder and not write to it."""
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO), "HOME": "/"},
        timeout=60,
        check=False,
    )


@pytest.fixture
def read_only(home: Any, tmp_path: Path) -> Path:
    """A finished run that a user without rights may only read."""
    if os.geteuid() != 0:
        pytest.skip("needs the right to become another user")
    run = copy_run(Path(home.run), tmp_path / "run")
    for log in run.glob("*.db-*"):
        log.unlink()
    for folder in (run, *run.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    for path in (Path(home.path), *Path(home.path).parents):
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    return run


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_run_in_a_read_only_folder_can_be_verified_and_replayed(read_only: Path, command: str) -> None:
    ended = as_nobody(command, str(read_only))
    assert ended.returncode == 0, ended.stderr


def test_a_read_only_folder_cannot_be_run_into(home: Any, read_only: Path) -> None:
    before = contents(read_only)
    ended = as_nobody("backtest", "-c", home.yaml, "--data", home.data, "--out", str(read_only), "--json")
    assert ended.returncode == 5, ended.stderr
    assert orjson.loads(ended.stdout)["error"]["code"] == "ledger.not_writable"
    assert str(read_only) in ended.stderr
    assert contents(read_only) == before


def test_views_that_cannot_be_written_are_the_machines_fault(home: Any, read_only: Path) -> None:
    ended = as_nobody("rebuild", str(read_only))
    assert ended.returncode in (4, 5), ended.stderr
    assert str(read_only) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_run_into_a_folder_in_use_is_refused(home: Any, tmp_path: Path) -> None:
    from grinder.ledger.lock import WriterLock

    run = copy_run(Path(home.run), tmp_path / "run")
    with WriterLock(run):
        before = contents(run)
        ended = backtested(Path(home.yaml), Path(home.data), run)
        check_refused(ended, 5, "ledger.locked", str(run), "", "wait for it to end")
        assert contents(run) == before
        assert called("verify", str(run)).exit_code == 0, "reading needs no lock"
