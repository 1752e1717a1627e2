"""Views on disk: rebuilt or kept up to date, in one go or in pieces, they are the same rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_files import LedgerFile
from small_runs import SmallRun, decided, long_spot, neutral_linear

from actors.records import LedgerRow
from domain.risk_events import EquityMarked
from grinder.errors import EnvironmentFault, LedgerError
from grinder.views import schema, store
from grinder.views.store import RebuildResult, digest, open_views, rebuild, update
from grinder.views.summary import summary
from projections import registry
from projections.record import LedgerRecord
from projections.registry import TABLES
from projections.view import AMOUNT, View

Make = Callable[..., LedgerFile]


@cache
def recorded(kind: str) -> tuple[LedgerRow, ...]:
    runs: dict[str, Callable[[], SmallRun]] = {
        "base": lambda: long_spot(rows=500, fee_asset="base"),
        "neutral": lambda: neutral_linear(rows=700),
        "decided": lambda: decided(long_spot(rows=500)),
    }
    return tuple(runs[kind]().run().rows)


def contents(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with closing(open_views(folder)) as db:
        return {t.name: [tuple(r) for r in db.conn.execute(schema.select_all(t))] for t in TABLES}


@pytest.mark.parametrize("kind", ["base", "neutral", "decided"])
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_ledger_cut_anywhere_and_continued_gives_the_rows_of_a_rebuild(
    ledger_file: Make, kind: str, data: st.DataObject
) -> None:
    rows = recorded(kind)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6), label="cuts"))
    made = ledger_file(kind)
    applied = 0
    for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        made.append(rows[begin:end])
        applied += update(made.folder)
    assert applied == len(rows)
    piecewise, before = contents(made.folder), digest(made.folder)
    rebuilt = rebuild(made.folder)
    assert contents(made.folder) == piecewise
    assert rebuilt.digest == before
    assert rebuilt == RebuildResult(len(TABLES), sum(map(len, piecewise.values())), before)


def test_small_batches_and_little_memory_change_nothing(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ledger_file()
    made.append(recorded("neutral"))
    whole = rebuild(made.folder)
    monkeypatch.setattr(store, "BATCH", 7)
    monkeypatch.setattr(store, "ROWS_IN_MEMORY", 20)
    assert rebuild(made.folder) == whole


def test_progress_reaches_the_last_record(ledger_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH", 100)
    made, seen = ledger_file(), list[int]()
    made.append(recorded("base"))
    update(made.folder, seen.append)
    assert seen == [*range(100, len(recorded("base")), 100), len(recorded("base"))]


def test_a_projection_that_fails_stores_neither_rows_nor_position(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ledger_file()
    rows = recorded("base")
    made.append(rows[:200])
    update(made.folder)
    before = contents(made.folder)
    made.append(rows[200:])

    def fail(view: View, record: LedgerRecord, event: object) -> None:
        raise RuntimeError("a bug in a projection")

    with monkeypatch.context() as patched:
        patched.setitem(registry._HANDLERS, EquityMarked, (fail,))
        with pytest.raises(RuntimeError):
            update(made.folder)
    assert contents(made.folder) == before
    assert update(made.folder) == len(rows) - 200
    assert digest(made.folder) == rebuild(made.folder).digest


@pytest.mark.parametrize("table", ["trades", "pnl_total", "equity_curve"])
def test_a_crash_while_rows_are_written_takes_the_position_with_it(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    made = ledger_file()
    rows = recorded("neutral")
    made.append(rows[:300])
    update(made.folder)
    before, place = contents(made.folder), _place(made.folder)
    made.append(rows[300:])

    def save(db: Any, target: Any, changed: Any, deleted: Any) -> None:
        schema.save(db, target, changed, deleted)
        if target.name == table:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("grinder.views.recorder.save", save)
        with pytest.raises(KeyboardInterrupt):
            update(made.folder)
    assert contents(made.folder) == before
    assert _place(made.folder) == place
    update(made.folder)
    assert digest(made.folder) == rebuild(made.folder).digest


def _place(folder: Path) -> tuple[int, int]:
    """Position of the rows, and the one eventsourcing tracks."""
    with closing(open_views(folder)) as db:
        tracked = db.conn.execute("SELECT notification_id FROM tracking WHERE application_name = 'ledger'")
        return (
            int(db.conn.execute("SELECT position FROM view_source").fetchone()[0]),
            int(tracked.fetchone()[0]),
        )


def test_rows_and_tracking_stand_at_the_last_record(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    update(made.folder)
    assert _place(made.folder) == (len(recorded("base")),) * 2
    assert update(made.folder) == 0


def test_an_update_overtaken_by_another_goes_on_from_there(
    ledger_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ledger_file()
    rows = recorded("neutral")
    made.append(rows)
    original, overtaken = registry.apply_all, list[bool]()

    def slow(view: View, records: Iterator[LedgerRecord]) -> None:
        original(view, records)
        if not overtaken:
            overtaken.append(True)
            monkeypatch.setattr(store, "BATCH", 123)
            update(made.folder)

    monkeypatch.setattr(store, "apply_all", slow)
    assert update(made.folder) == 0
    monkeypatch.setattr(store, "apply_all", original)
    assert digest(made.folder) == rebuild(made.folder).digest


def test_views_of_another_version_are_made_anew(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    expected = rebuild(made.folder).digest
    with closing(sqlite3.connect(made.folder / "views.db")) as db:
        db.execute("DROP TABLE trades")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    assert update(made.folder) == len(recorded("base"))
    assert digest(made.folder) == expected


def test_views_of_another_ledger_are_made_anew(ledger_file: Make) -> None:
    one, other = ledger_file(), ledger_file()
    one.append(recorded("base"))
    other.append(recorded("neutral"))
    update(one.folder)
    (other.folder / "views.db").write_bytes((one.folder / "views.db").read_bytes())
    assert update(other.folder) == len(recorded("neutral"))
    assert digest(other.folder) == rebuild(other.folder).digest


def test_debris_in_place_of_the_views_is_replaced(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    (made.folder / "views.db").write_bytes(b"half a file" * 100)
    assert update(made.folder) == len(recorded("base"))


def test_amounts_are_plain_decimal_text_and_nothing_is_a_float(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("neutral"))
    update(made.folder)
    plain = re.compile(r"(0|-?(0|[1-9]\d*)(\.\d*[1-9])?)")
    for table in TABLES:
        for row in contents(made.folder)[table.name]:
            for value, (name, kind) in zip(row, table.columns.items(), strict=True):
                assert not isinstance(value, float)
                if kind == AMOUNT and value is not None:
                    assert plain.fullmatch(value), (table.name, name, value)


def test_open_views_cannot_write(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    update(made.folder)
    with closing(open_views(made.folder)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM trades")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.missing"):
        update(tmp_path)
    with pytest.raises(EnvironmentFault, match=r"views\.missing"):
        open_views(tmp_path)


@pytest.mark.parametrize(
    ("topic", "state", "code"),
    [
        pytest.param("OrderFilled/99", b"{}", "ledger.unknown_record", id="a record of a newer program"),
        pytest.param("EquityMarked/1", b'{"equity":', "ledger.damaged", id="a record cut short"),
    ],
)
def test_a_record_that_cannot_be_read_stops_the_update_before_it(
    ledger_file: Make, topic: str, state: bytes, code: str
) -> None:
    made = ledger_file()
    rows = recorded("base")
    made.append(rows[:300])
    update(made.folder)
    made.append([*rows[300:310], rows[310]._replace(topic=topic, state=state)])
    with pytest.raises(LedgerError) as caught:
        update(made.folder)
    assert caught.value.code == code
    assert _place(made.folder) == (300, 300)


def test_a_damaged_page_of_the_ledger_is_not_blamed_on_the_views(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    made.application.close()
    path = made.folder / "ledger.db"
    content = bytearray(path.read_bytes())
    for at in range(4096 * 3, len(content), 4096):
        content[at : at + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        update(made.folder)


def test_views_that_cannot_be_written_name_the_file_and_a_fix(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("base"))
    (made.folder / "views.db").mkdir()
    with pytest.raises(EnvironmentFault, match=r"views\.db.*views\.not_written"):
        update(made.folder)


def test_the_summary_of_an_empty_ledger_is_all_zero(ledger_file: Make) -> None:
    found = summary(ledger_file().folder)
    assert (found.orders, found.fills, found.symbols, found.equity_end) == (0, 0, {}, "0")


def test_the_summary_speaks_of_the_whole_run(ledger_file: Make) -> None:
    made = ledger_file()
    made.append(recorded("neutral"))
    found = summary(made.folder)
    rows = contents(made.folder)
    assert found.fills == len(rows["trades"])
    assert found.orders == len(rows["grid_orders"])
    assert found.cycles > 0
    assert found.identity_residual == "0"
    assert found.symbols["BTCUSDT"]["fees"] == found.fees
    assert found.fees.startswith("-")
    names = "position realised_pnl unrealised_pnl grid_profit unpaired_pnl fees funding"
    assert list(found.symbols["BTCUSDT"]) == names.split()
