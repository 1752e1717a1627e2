"""The ledger as a file: append-only, durable, readable through eventsourcing and through SQLite alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from eventsourcing.persistence import ProgrammingError, StoredEvent
from small_ledgers import ledger_rows, write_ledger

from actors.records import LedgerRow, chained
from domain.codec import encode
from domain.inputs import StartClock
from domain.record import TOPICS
from grinder.ledger.reading import connect, is_begun, rows
from grinder.ledger.recorder import FencedError, LedgerApplication, LedgerRecorder, open_application
from grinder.ledger.schema import APPLICATION_ID, FORMAT


@pytest.fixture
def ledger(finished_run: Path, tmp_path: Path) -> Path:
    """A ledger file of some hundred records, to be written to."""
    return write_ledger(tmp_path / "ledger.db", ledger_rows(finished_run / "ledger.db"))


@pytest.fixture
def application(ledger: Path) -> Iterator[LedgerApplication]:
    opened = open_application(ledger)
    yield opened
    opened.close()


def next_row(records: list[LedgerRow]) -> LedgerRow:
    """A record that continues a ledger."""
    last = records[-1]
    version = 1 + sum(row.stream == "input/operator" for row in records)
    state = encode(StartClock(mark_interval_ns=1))
    position = last.position + 1
    fields = ("input/operator", version, "StartClock/1", last.ts_ns, position, state)
    return LedgerRow(
        position,
        "input/operator",
        version,
        "StartClock/1",
        state,
        last.ts_ns,
        position,
        chained(last.chain, *fields),
    )


# --- append-only ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET ts_ns = ts_ns + 1 WHERE rowid = 3",
        "UPDATE stored_events SET state = '{}'",
        "UPDATE OR REPLACE stored_events SET rowid = 900 WHERE rowid = 3",
        "DELETE FROM stored_events WHERE rowid = 3",
        "DELETE FROM stored_events",
    ],
)
def test_a_person_with_a_shell_can_change_nothing(ledger: Path, statement: str) -> None:
    before = ledger_rows(ledger)
    with closing(sqlite3.connect(ledger)) as shell:
        with pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"):
            shell.execute(statement)
        shell.commit()
    assert ledger_rows(ledger) == before


def test_a_record_cannot_be_replaced_by_inserting_over_it(ledger: Path) -> None:
    before = ledger_rows(ledger)
    with (
        closing(sqlite3.connect(ledger, isolation_level=None)) as shell,
        pytest.raises(sqlite3.DatabaseError),
    ):
        shell.execute("REPLACE INTO stored_events VALUES (3, 'x', 1, 'x', '{}', 0, 1, x'00')")
    assert ledger_rows(ledger) == before


def test_a_position_and_a_version_are_taken_once(application: LedgerApplication, ledger: Path) -> None:
    records = ledger_rows(ledger)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    fresh = next_row(records)
    for again in (fresh._replace(position=7), fresh._replace(version=1)):
        with pytest.raises(Exception, match=r"append-only|UNIQUE constraint"):
            recorder.append_rows([fresh, again], epoch)
    assert ledger_rows(ledger) == records, "a transaction that fails stores nothing of its group"
    recorder.append_rows([fresh], epoch)
    assert ledger_rows(ledger) == [*records, fresh]


# --- through eventsourcing -----------------------------------------------------------------------------


def test_notifications_have_ids_without_gaps_and_carry_the_records(
    application: LedgerApplication, ledger: Path
) -> None:
    records = ledger_rows(ledger)
    found, start = [], 1
    while batch := application.recorder.select_notifications(start=start, limit=100):
        found += batch
        start = batch[-1].id + 1
    assert [n.id for n in found] == list(range(1, len(records) + 1))
    assert application.recorder.max_notification_id() == len(records)
    for notification, row in zip(found, records, strict=True):
        assert (notification.originator_id, notification.originator_version) == (row.stream, row.version)
        assert (notification.topic, notification.state) == (row.topic, row.state)


def test_notifications_can_be_asked_for_by_topic(application: LedgerApplication, ledger: Path) -> None:
    wanted = [row.position for row in ledger_rows(ledger) if row.topic == "StateHashed/1"]
    found = application.recorder.select_notifications(start=1, limit=99, topics=["StateHashed/1"])
    assert [n.id for n in found] == wanted != []


def test_a_stream_reads_back_in_order_and_becomes_records_again(
    application: LedgerApplication, ledger: Path
) -> None:
    records = ledger_rows(ledger)
    for stream in {row.stream for row in records}:
        expected = [row for row in records if row.stream == stream]
        stored = application.recorder.select_events(stream)
        assert [event.originator_version for event in stored] == list(range(1, len(expected) + 1))
        for event, row in zip(stored, expected, strict=True):
            made = application.mapper.to_domain_event(event)
            assert type(made.record) is TOPICS[row.topic]
            assert (made.originator_id, made.originator_version) == (row.stream, row.version)
            back = application.mapper.to_stored_event(made)
            assert back == StoredEvent(row.stream, row.version, row.topic, row.state)


def test_a_stream_reads_in_parts_and_backwards(application: LedgerApplication) -> None:
    recorder = application.recorder
    whole = [event.originator_version for event in recorder.select_events("portfolio")]
    assert len(whole) > 5
    backwards = recorder.select_events("portfolio", desc=True, limit=2)
    assert [event.originator_version for event in backwards] == whole[:-3:-1]
    part = recorder.select_events("portfolio", gt=2, lte=5)
    assert [event.originator_version for event in part] == [3, 4, 5]


def test_eventsourcings_own_way_in_is_closed(application: LedgerApplication, ledger: Path) -> None:
    before = ledger_rows(ledger)
    with pytest.raises(ProgrammingError, match="append_rows"):
        application.recorder.insert_events([StoredEvent("x", 1, "StartClock/1", b"{}")])
    assert ledger_rows(ledger) == before


def test_appended_rows_are_read_back_as_they_were(tmp_path: Path, finished_run: Path) -> None:
    records = ledger_rows(finished_run / "ledger.db")
    path = write_ledger(tmp_path / "copy.db", records)
    assert ledger_rows(path) == records
    with closing(connect(path)) as connection:
        assert list(rows(connection, after=len(records) - 3)) == records[-3:]


def test_the_head_is_the_last_record_and_absent_when_there_is_none(
    application: LedgerApplication, ledger: Path, tmp_path: Path
) -> None:
    last = ledger_rows(ledger)[-1]
    assert application.head_row() == (last.position, last.chain)
    empty = open_application(tmp_path / "empty.db", create=True)
    assert empty.head_row() is None
    empty.close()


# --- through SQLite alone ------------------------------------------------------------------------------


def test_states_can_be_queried_with_the_arrow_of_sqlite(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as shell:
        counted = dict(
            shell.execute(
                "SELECT state ->> '$.symbol', sum(state ->> '$.lots') FROM stored_events "
                "WHERE topic LIKE 'OrderFilled/%' AND state ->> '$.side' = 'buy' GROUP BY 1"
            )
        )
        kinds = shell.execute("SELECT DISTINCT typeof(state), typeof(chain) FROM stored_events").fetchall()
    fills = [orjson.loads(row.state) for row in ledger_rows(ledger) if row.topic.startswith("OrderFilled/")]
    bought = sum(fill["lots"] for fill in fills if fill["side"] == "buy")
    assert counted == {"BTCUSDT": bought}
    assert bought > 0
    assert kinds == [("text", "blob")]


def test_the_file_says_what_it_is(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as shell:
        assert shell.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert shell.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert APPLICATION_ID.to_bytes(4, "big") == b"grnd"


def test_a_file_without_tables_is_not_begun(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "nothing.db").touch()
    assert not is_begun(tmp_path / "nothing.db")
    assert is_begun(ledger)


# --- durability ----------------------------------------------------------------------------------------


def pragma(application: LedgerApplication, name: str) -> object:
    with application.ledger_recorder.datastore.transaction(commit=True) as cursor:
        cursor.execute(f"PRAGMA {name}")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(("name", "value"), [("synchronous", 2), ("journal_mode", "wal")])
def test_the_write_connection_is_durable_at_every_commit(
    application: LedgerApplication, name: str, value: object
) -> None:
    assert pragma(application, name) == value


def test_a_write_transaction_takes_the_write_lock_at_once(
    application: LedgerApplication, ledger: Path
) -> None:
    with (
        application.ledger_recorder.datastore.transaction(commit=True),
        closing(sqlite3.connect(ledger, timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_a_second_writer_waits_a_bounded_time_and_then_fails(
    application: LedgerApplication, ledger: Path
) -> None:
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    pragma(application, "busy_timeout=50")
    before = ledger_rows(ledger)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="locked"):
            recorder.append_rows([next_row(before)], epoch)
        other.execute("ROLLBACK")
    assert ledger_rows(ledger) == before


# --- the epoch -----------------------------------------------------------------------------------------


def test_an_older_epoch_is_refused_and_stores_nothing(application: LedgerApplication, ledger: Path) -> None:
    records = ledger_rows(ledger)
    old = application.ledger_recorder
    old_epoch = old.take_epoch()
    usurper = open_application(ledger)
    new_epoch = usurper.ledger_recorder.take_epoch()
    assert new_epoch == old_epoch + 1
    with pytest.raises(FencedError, match=f"epoch {old_epoch}, the ledger {new_epoch}"):
        old.append_rows([next_row(records)], old_epoch)
    assert ledger_rows(ledger) == records
    usurper.ledger_recorder.append_rows([next_row(records)], new_epoch)
    usurper.close()
    assert ledger_rows(ledger) == [*records, next_row(records)]


def test_an_epoch_from_the_future_is_refused_too(application: LedgerApplication, ledger: Path) -> None:
    records = ledger_rows(ledger)
    recorder: LedgerRecorder = application.ledger_recorder
    with pytest.raises(FencedError):
        recorder.append_rows([next_row(records)], recorder.take_epoch() + 1)
    assert ledger_rows(ledger) == records


def test_epochs_grow_with_every_writer(application: LedgerApplication) -> None:
    taken = [application.ledger_recorder.take_epoch() for _ in range(4)]
    assert all(later == earlier + 1 for earlier, later in pairwise(taken))
