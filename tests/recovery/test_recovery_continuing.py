"""Going on with a run: every record is compared, none written over; an interruption is an ordinary stop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from small_ledgers import (
    SETTINGS,
    altered,
    contents,
    copy_run,
    ledger_rows,
    rechained,
    replace_records,
    run_into,
    trades_file,
    yaml_of,
)

from actors.core import Core
from actors.core_actor import CoreActor
from actors.records import LedgerRow, chained
from grinder import storing
from grinder.cli import main
from grinder.commands.backtest import RunDiverged
from grinder.commands.inspect import replay_run
from grinder.errors import ExitStatus
from grinder.ledger.recorder import LedgerRecorder
from grinder.ledger.verify import verify
from grinder.ledger.writer import LedgerJournal


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a market, a configuration and a finished run of both."""
    folder = tmp_path_factory.mktemp("home")
    run_into(folder / "run", trades_file(folder / "trades.csv", 20_000))
    (folder / "grinder.yaml").write_text(yaml_of(SETTINGS))
    return folder


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Path:
    return copy_run(home / "run", tmp_path / "run")


def go_on(home: Path, run: Path) -> Result:
    """The command line, in this process."""
    arguments = ["-c", str(home / "grinder.yaml"), "--data", str(home / "trades.csv"), "--out", str(run)]
    return CliRunner().invoke(main, ["backtest", *arguments, "--json"])


def head_of(run: Path) -> str:
    return ledger_rows(run / "ledger.db")[-1].chain.hex()


def cut(run: Path, records: int) -> None:
    """Leave what a run that was killed there would have left."""
    replace_records(run / "ledger.db", ledger_rows(run / "ledger.db")[:records])


# --- the same run --------------------------------------------------------------------------------------


def test_a_finished_run_is_proven_once_more(home: Path, run: Path) -> None:
    before = ledger_rows(run / "ledger.db")
    ended = go_on(home, run)
    assert ended.exit_code == 0, ended.output
    result = orjson.loads(ended.stdout)
    assert (result["resumed_records"], result["records"]) == (len(before), len(before))
    assert ledger_rows(run / "ledger.db") == before


@pytest.mark.parametrize("left", [0, 1, 2, 13, 100, 300, -1])
def test_a_cut_run_is_completed_to_the_same_records(home: Path, run: Path, left: int) -> None:
    before = ledger_rows(run / "ledger.db")
    cut(run, left)
    ended = go_on(home, run)
    assert ended.exit_code == 0, ended.output
    result = orjson.loads(ended.stdout)
    assert result["resumed_records"] == len(before[:left])
    assert result["head"] == before[-1].chain.hex()
    assert ledger_rows(run / "ledger.db") == before


@pytest.mark.parametrize("name", ["manifest.json", "views.db"])
def test_a_lost_view_or_manifest_does_not_lose_the_run(home: Path, run: Path, name: str) -> None:
    """The ledger alone is the run; without the manifest nobody can say whose it is, so it is not touched."""
    before = ledger_rows(run / "ledger.db")
    for path in run.glob(f"{name}*"):
        path.unlink()
    ended = go_on(home, run)
    assert ended.exit_code == (0 if name == "views.db" else 4)
    assert ledger_rows(run / "ledger.db") == before


# --- other rules ---------------------------------------------------------------------------------------


def changed(row: LedgerRow, **fields: Any) -> LedgerRow:
    return row._replace(
        state=orjson.dumps({**orjson.loads(row.state), **fields}, option=orjson.OPT_SORT_KEYS)
    )


def test_a_run_whose_ledger_was_made_by_other_rules_ends_with_status_3(home: Path, run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    at = next(row for row in records if row.topic == "EquityMarked/1" and row.position > 50)
    other = changed(at, equity=1)
    replace_records(run / "ledger.db", rechained(other if row is at else row for row in records))
    assert verify(run / "ledger.db").ok, "the forged chain holds"
    before = contents(run)
    ended = go_on(home, run)
    assert ended.exit_code == 3
    error = orjson.loads(ended.stdout)["error"]
    assert error["code"] == "run.diverged"
    assert f"record {at.position} of {at.stream} differs in state" in error["what"]
    assert '"equity":1,' in error["value"]
    assert at.state.decode()[:40] in error["value"]
    assert error["place"] == str(run)
    assert error["fix"]
    assert f"record {at.position} of {at.stream} differs" in ended.stderr
    assert contents(run)["manifest.json"] == before["manifest.json"]
    assert (
        ledger_rows(run / "ledger.db")[at.position - 1] == rechained([*records[: at.position - 1], other])[-1]
    )


@pytest.mark.parametrize("field", ["ts_ns", "cause", "topic", "stream"])
def test_the_field_in_which_a_continued_run_differs_is_named(home: Path, run: Path, field: str) -> None:
    records = ledger_rows(run / "ledger.db")
    at = records[59]
    value = {"ts_ns": at.ts_ns + 1, "cause": at.cause - 1, "topic": "MarkDue/1", "stream": "symbol/OTHER"}[
        field
    ]
    version = 1 if field == "stream" else at.version
    forged = [at._replace(**{field: value, "version": version}) if row is at else row for row in records[:60]]
    replace_records(run / "ledger.db", rechained(forged))
    with pytest.raises(RunDiverged) as raised:
        run_into(run, home / "trades.csv")
    assert raised.value.status is ExitStatus.DIVERGED
    found = raised.value.divergence
    assert (found.position, found.field) == (60, field)
    assert (found.expected, found.actual) == (str(value), str(getattr(at, field)))


def test_a_ledger_that_goes_on_after_the_end_of_the_run_ends_with_status_3(home: Path, run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    last = records[-1]
    version = 1 + sum(row.stream == "input/operator" for row in records)
    parts = ("input/operator", version, "TakeCheckpoint/1", last.ts_ns, last.position + 1, b'{"reason":"x"}')
    added = LedgerRow(
        last.position + 1, *parts[:3], parts[5], last.ts_ns, last.position + 1, chained(last.chain, *parts)
    )
    replace_records(run / "ledger.db", [*records, added])
    assert verify(run / "ledger.db").ok
    before = contents(run)["manifest.json"]
    ended = go_on(home, run)
    assert ended.exit_code == 3
    assert contents(run)["manifest.json"] == before


# --- interrupted ---------------------------------------------------------------------------------------


def interrupting(original: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The same function, into whose n-th call Ctrl-C falls."""
    calls = 0

    def call(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return original(*args)

    return call


@pytest.mark.parametrize(
    ("where", "name", "at"),
    [
        pytest.param(Core, "learn", 40, id="between two inputs"),
        pytest.param(CoreActor, "on_receive", 60, id="in an actor"),
        pytest.param(Core, "tell", 5, id="between an input and its events"),
    ],
)
def test_an_interrupted_run_ends_with_130_and_goes_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: type, name: str, at: int
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupting(getattr(where, name), at))
        ended = go_on(home, out)
    assert ended.exit_code == 130, repr(ended.exception)
    assert "run the same command again to go on" in ended.stderr
    verdict = verify(out / "ledger.db")
    assert verdict.ok
    assert 0 < verdict.records < len(ledger_rows(home / "run" / "ledger.db"))
    assert replay_run(out, lambda *_: None)["identical"], "what was committed does not replay"
    assert go_on(home, out).exit_code == 0
    assert head_of(out) == head_of(home / "run")


@pytest.mark.parametrize(
    ("where", "name", "at"),
    [
        pytest.param(Core, "learn", 40, id="between two inputs"),
        pytest.param(CoreActor, "on_receive", 60, id="in an actor"),
        pytest.param(Core, "tell", 5, id="between an input and its events"),
    ],
)
def test_an_interrupted_check_of_a_finished_run_is_no_divergence(
    home: Path, run: Path, monkeypatch: pytest.MonkeyPatch, where: type, name: str, at: int
) -> None:
    before = ledger_rows(run / "ledger.db")
    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupting(getattr(where, name), at))
        ended = go_on(home, run)
    assert ended.exit_code == 130, (ended.stderr, ended.exception)
    assert ledger_rows(run / "ledger.db") == before
    with altered(run / "ledger.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# --- what fails on the way -----------------------------------------------------------------------------


def test_a_failing_actor_ends_the_run_and_what_was_stored_verifies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def failing(*args: Any) -> Any:
        raise RuntimeError("an invariant is broken")

    with monkeypatch.context() as patch:
        original, calls = Core.write, iter(range(10**9))
        patch.setattr(Core, "write", lambda *a: failing() if next(calls) == 120 else original(*a))
        ended = go_on(home, out)
    assert ended.exit_code == 1
    assert "an invariant is broken" in repr(ended.exception)
    assert verify(out / "ledger.db").ok
    assert go_on(home, out).exit_code == 0
    assert head_of(out) == head_of(home / "run")


@pytest.mark.parametrize("text", ["disk I/O error", "database or disk is full", "database is locked"])
@pytest.mark.parametrize("group", [1, 2, 3])
def test_a_failing_disk_ends_the_run_and_leaves_a_ledger_that_can_be_gone_on_with(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, group: int
) -> None:
    out = tmp_path / "run"
    ended, asked = ended_by_disk(home, out, monkeypatch, text, group)
    assert ended.exit_code != 0
    assert asked == group, "nothing is retried"
    assert verify(out / "ledger.db").ok
    assert replay_run(out, lambda *_: None)["identical"]
    assert go_on(home, out).exit_code == 0
    assert head_of(out) == head_of(home / "run")


def test_a_full_disk_is_the_machines_fault_and_the_message_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, _ = ended_by_disk(home, tmp_path / "run", monkeypatch, "database or disk is full", 2)
    assert ended.exit_code == 5
    assert "database or disk is full" in ended.stderr
    assert str(tmp_path / "run") in ended.stderr
    assert "fix:" in ended.stderr


def ended_by_disk(
    home: Path, out: Path, monkeypatch: pytest.MonkeyPatch, text: str, group: int
) -> tuple[Result, int]:
    """A run whose disk fails once, at the n-th transaction; and how often it was asked to store."""
    asked = 0
    store = LedgerRecorder.append_rows

    def append_rows(self: LedgerRecorder, rows: Any, epoch: int) -> None:
        nonlocal asked
        asked += 1
        if asked == group:
            raise sqlite3.OperationalError(text)
        store(self, rows, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(LedgerRecorder, "append_rows", append_rows)
        patch.setattr(storing, "LedgerJournal", partial(LedgerJournal, group=60))
        ended = go_on(home, out)
    return ended, asked
