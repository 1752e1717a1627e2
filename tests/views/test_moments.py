"""The views as of any record are those of the ledger cut there, however they were made and kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_files import LedgerFile
from small_runs import SmallRun, decided, long_spot, neutral_linear

from actors.records import LedgerRow
from grinder.views import past, schema
from grinder.views.moment import AnewError, Moment, NotThereError
from grinder.views.store import rebuild, update
from projections.registry import TABLES

Make = Callable[..., LedgerFile]
Contents = dict[str, list[tuple[Any, ...]]]


@cache
def recorded(kind: str) -> tuple[LedgerRow, ...]:
    runs: dict[str, Callable[[], SmallRun]] = {
        "base": lambda: long_spot(rows=500, fee_asset="base"),
        "neutral": lambda: neutral_linear(rows=700),
        "decided": lambda: decided(long_spot(rows=500)),
    }
    return tuple(runs[kind]().run().rows)


def contents(connection: sqlite3.Connection) -> Contents:
    """Every row of every table, and where they stand."""
    found = {t.name: connection.execute(schema.select_all(t)).fetchall() for t in TABLES}
    return {**found, "place": connection.execute("SELECT position, chain FROM view_source").fetchall()}


def cut(ledger_file: Make, kind: str, position: int) -> Contents:
    """The views of a ledger that ends at a position, made in the ordinary way."""
    made = ledger_file(f"cut-{kind}")
    made.append(recorded(kind)[:position])
    rebuild(made.folder)
    with sqlite3.connect(made.folder / "views.db") as views:
        return contents(views)


@contextmanager
def moment(folder: Path, position: int) -> Iterator[Moment]:
    made = Moment(folder / "views.db", folder / "ledger.db", position)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["base", "neutral", "decided"])
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_moment_has_the_rows_of_a_rebuild_of_the_ledger_cut_there(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch, kind: str, data: st.DataObject
) -> None:
    rows = recorded(kind)
    monkeypatch.setattr(past, "STEP", data.draw(st.sampled_from([1, 7, 40, 5000]), label="step"))
    batches = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=5), label="batches"))
    made = ledger_file(kind)
    for begin, end in pairwise([0, *batches, len(rows)]):
        made.append(rows[begin:end])
        update(made.folder)
    for position in data.draw(st.lists(st.integers(0, len(rows)), min_size=1, max_size=4), label="positions"):
        with moment(made.folder, position) as then:
            assert then.read(contents) == cut(ledger_file, kind, position)


def test_a_moment_stays_what_it_is_while_the_views_go_on(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "STEP", 50)
    rows, made = recorded("neutral"), ledger_file()
    middle = len(rows) // 2
    made.append(rows[:middle])
    update(made.folder)
    positions = [0, middle // 3, middle - 60, middle - 1, middle]
    expected = {position: cut(ledger_file, "neutral", position) for position in positions}
    moments = [Moment(made.folder / "views.db", made.folder / "ledger.db", one) for one in positions]
    for begin, end in pairwise([*range(middle, len(rows), 17), len(rows)]):
        made.append(rows[begin:end])
        update(made.folder)
        for one in moments:
            assert one.read(contents) == expected[one.position], (one.position, end)
    for one in moments:
        one.close()


def test_with_boundaries_given_up_the_past_is_the_same(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "STEP", 5)
    monkeypatch.setattr(past, "MOST", 150)
    monkeypatch.setattr(past, "_LOOK_EVERY", 4)
    rows, made = recorded("neutral"), ledger_file()
    made.append(rows[:200])
    update(made.folder)
    early = Moment(made.folder / "views.db", made.folder / "ledger.db", 33)
    made.append(rows[200:])
    update(made.folder)
    with sqlite3.connect(made.folder / "views.db") as views:
        assert past.boundaries_apart(views, "main") > 1
        (kept,) = views.execute("SELECT count(*) FROM past").fetchone()
        assert kept < 150 + 20 * len(TABLES)
    with pytest.raises(AnewError):
        early.read(contents)
    early.close()
    for position in (3, 33, 199, 201, len(rows) // 2, len(rows) - 1):
        with moment(made.folder, position) as then:
            assert then.read(contents) == cut(ledger_file, "neutral", position), position


def test_a_moment_of_views_that_were_begun_anew_says_so(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    update(made.folder)
    with moment(made.folder, 100) as then:
        before = then.read(contents)
        rebuild(made.folder)
        with pytest.raises(AnewError):
            then.read(contents)
    with moment(made.folder, 100) as again:
        assert again.read(contents) == before


def test_views_that_have_not_come_so_far_have_no_such_moment(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base")[:100])
    with pytest.raises(NotThereError):
        Moment(made.folder / "views.db", made.folder / "ledger.db", 50)
    update(made.folder)
    made.append(recorded("base")[100:])
    with pytest.raises(NotThereError):
        Moment(made.folder / "views.db", made.folder / "ledger.db", 101)
    with moment(made.folder, 100) as then:
        assert then.read(contents)["place"][0][0] == 100


def test_nothing_can_be_written_through_a_moment(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    update(made.folder)
    with moment(made.folder, 100) as then, pytest.raises(sqlite3.OperationalError):
        then.read(lambda connection: connection.execute("DELETE FROM now.trades"))
