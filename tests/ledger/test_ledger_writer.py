"""The journal writer: groups end at inputs, failures are final, and no intent leaves before its records."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from small_ledgers import config, ledger_rows

from actors.core import Core
from actors.records import LedgerRow
from actors.runtime import Runtime
from domain.inputs import ClockReport, TickReport
from domain.order_events import INTENTS, CancelSubmitted
from domain.record import Record
from grinder.ledger.recorder import FencedError, open_application
from grinder.ledger.writer import GROUPS_UNDER_WAY, JournalFailed, LedgerJournal
from grinder.opening import build_opening

SCALES = {"BTCUSDT": (Decimal("0.1"), Decimal("0.001"))}


class FakeRecorder:
    """Keeps groups in memory; from the n-th on, the listed answers are given instead."""

    def __init__(self, answers: dict[int, Exception] | None = None) -> None:
        self.answers = answers or {}
        self.groups: list[list[LedgerRow]] = []
        self.asked = 0
        self.may_store = threading.Event()
        self.may_store.set()

    def append_rows(self, rows: Sequence[LedgerRow], epoch: int) -> None:
        self.may_store.wait(10)
        self.asked += 1
        if error := self.answers.get(self.asked):
            raise error
        self.groups.append(list(rows))

    @property
    def positions(self) -> list[int]:
        return [row.position for group in self.groups for row in group]


DISK = sqlite3.OperationalError("disk I/O error")
FULL = sqlite3.OperationalError("database or disk is full")


def journal(recorder: Any, group: int = 4) -> LedgerJournal:
    return LedgerJournal(recorder, 1, group=group)


def ended(one: LedgerJournal) -> None:
    """End the thread of a journal that may have failed."""
    try:
        one.close()
    except (sqlite3.Error, FencedError, JournalFailed):
        assert not one._writer.is_alive()


@pytest.fixture(scope="module")
def recorded(finished_run: Path) -> list[LedgerRow]:
    return ledger_rows(finished_run / "ledger.db")


@pytest.mark.parametrize("group", [1, 3, 16, 10_000])
def test_groups_end_where_an_input_ends(recorded: list[LedgerRow], group: int) -> None:
    recorder = FakeRecorder()
    writer = journal(recorder, group)
    for row in recorded:
        writer.append(row)
    writer.close()
    assert recorder.positions == [row.position for row in recorded]
    for stored in recorder.groups:
        assert stored[0].cause == stored[0].position, "a group begins with an input"
    complete = recorder.groups[:-1]
    assert all(len(stored) >= group for stored in complete), "a group is handed over only when it is full"
    assert len(complete) > 20 or group > 3


def test_nothing_is_stored_before_a_group_is_full_or_a_commit_asks(recorded: list[LedgerRow]) -> None:
    recorder = FakeRecorder()
    writer = journal(recorder, 10_000)
    for row in recorded:
        writer.append(row)
    assert recorder.asked == 0
    writer.commit()
    assert len(recorder.positions) == len(recorded)
    writer.close()


def test_a_commit_returns_only_when_everything_is_stored(recorded: list[LedgerRow]) -> None:
    recorder = FakeRecorder()
    recorder.may_store.clear()
    writer = journal(recorder)
    for row in recorded[:12]:
        writer.append(row)
    done = threading.Event()
    waiting = threading.Thread(target=lambda: (writer.commit(), done.set()))
    waiting.start()
    assert not done.wait(0.2)
    recorder.may_store.set()
    assert done.wait(10)
    waiting.join()
    assert recorder.positions == list(range(1, 13))
    writer.close()


def test_the_core_waits_when_too_many_groups_are_under_way() -> None:
    recorder = FakeRecorder()
    recorder.may_store.clear()
    writer = journal(recorder, 1)
    inputs = [LedgerRow(n, "input", n, "T/1", b"{}", 0, n, b"") for n in range(1, 40)]
    appending = threading.Thread(target=lambda: [writer.append(row) for row in inputs])
    appending.start()
    appending.join(0.3)
    assert appending.is_alive(), "it ran ahead without bound"
    assert len(writer._under_way) <= GROUPS_UNDER_WAY
    recorder.may_store.set()
    appending.join(10)
    writer.close()
    assert recorder.positions == list(range(1, 40))


# --- failures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DISK, FULL, FencedError("epoch 1, the ledger 2")], ids=str)
def test_a_failing_recorder_makes_the_commit_raise(recorded: list[LedgerRow], error: Exception) -> None:
    recorder = FakeRecorder({1: error, 2: error})
    writer = journal(recorder, 10_000)
    writer.append(recorded[0])
    with pytest.raises(type(error), match=str(error)):
        writer.commit()
    assert recorder.asked == 1, "nothing is retried"
    ended(writer)


@pytest.mark.parametrize("failing", [1, 2, 5])
def test_after_a_failure_nothing_is_stored_however_often_it_is_asked(
    recorded: list[LedgerRow], failing: int
) -> None:
    recorder = FakeRecorder({failing: DISK})
    writer = journal(recorder, 1)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O"):
        for row in recorded:
            writer.append(row)
        writer.commit()
    with pytest.raises(JournalFailed, match="disk I/O"):
        writer.commit()
    ended(writer)
    assert recorder.asked == failing, "nothing is retried"
    assert len(recorder.groups) == failing - 1
    assert recorder.positions == list(range(1, len(recorder.positions) + 1)), "a hole in the ledger"


def test_a_failed_journal_stores_nothing_when_it_is_closed(recorded: list[LedgerRow]) -> None:
    recorder = FakeRecorder({1: DISK})
    writer = journal(recorder, 10_000)
    writer.append(recorded[0])
    with pytest.raises(sqlite3.OperationalError):
        writer.commit()
    writer.append(recorded[1])
    ended(writer)
    assert recorder.positions == []


def test_a_commit_after_a_failed_one_never_says_that_all_is_durable(recorded: list[LedgerRow]) -> None:
    writer = journal(FakeRecorder({1: DISK}), 10_000)
    writer.append(recorded[0])
    with pytest.raises(sqlite3.OperationalError):
        writer.commit()
    try:
        with pytest.raises(JournalFailed):
            writer.commit()
    finally:
        ended(writer)


def test_closing_stores_what_is_left_and_ends_the_thread(recorded: list[LedgerRow]) -> None:
    recorder = FakeRecorder()
    writer = journal(recorder, 10_000)
    for row in recorded[:9]:
        writer.append(row)
    writer.close()
    assert recorder.positions == list(range(1, 10))
    assert not writer._writer.is_alive()


# --- what leaves ---------------------------------------------------------------------------------------


class FakeSession:
    """An exchange that outlives the process, and writes down what reached it and what was durable then."""

    outlives_process = True

    def __init__(self, recorder: FakeRecorder) -> None:
        self.recorder = recorder
        self.submitted: list[tuple[Record, int]] = []

    def submit(self, intent: Record, now_ns: int) -> None:
        self.submitted.append((intent, len(self.recorder.positions)))


class EphemeralSession(FakeSession):
    """The same, living and dying with the process."""

    outlives_process = False


PRICE = TickReport(symbol="BTCUSDT", price_ticks=610_000)
CANCEL = CancelSubmitted(symbol="BTCUSDT", client_order_id="00c0ffee")
MARK = ClockReport(marks=(("BTCUSDT", 610_000),))
NOW = 1_700_000_100 * 10**9


def opened(recorder: FakeRecorder, session: FakeSession) -> tuple[Runtime, LedgerJournal]:
    """A core that answers `PRICE` with its first orders."""
    writer = journal(recorder, 10_000)
    core = Core(writer)
    runtime = Runtime(core, session)
    for report in (*build_opening(config(), SCALES, "00c0ffee").commands, MARK):
        runtime.learn(report, NOW)
    assert recorder.asked == 0, "nothing left yet, so nothing had to be durable"
    return runtime, writer


def test_intents_leave_after_the_records_they_rest_on_are_stored() -> None:
    recorder = FakeRecorder()
    session = FakeSession(recorder)
    runtime, writer = opened(recorder, session)
    runtime.learn(PRICE, NOW)
    assert session.submitted
    assert all(durable == runtime.core.position for _, durable in session.submitted)
    assert all(type(intent) in INTENTS for intent, _ in session.submitted)
    writer.close()


def test_intents_never_leave_when_the_commit_fails() -> None:
    recorder = FakeRecorder({1: DISK})
    session = FakeSession(recorder)
    runtime, writer = opened(recorder, session)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O"):
        runtime.learn(PRICE, NOW)
    assert session.submitted == []
    ended(writer)


def test_later_intents_never_leave_after_a_failed_commit() -> None:
    recorder = FakeRecorder({1: DISK})
    session = FakeSession(recorder)
    runtime, writer = opened(recorder, session)
    with pytest.raises(sqlite3.OperationalError):
        runtime.learn(PRICE, NOW)
    runtime.core.write("symbol/BTCUSDT", CANCEL, runtime.core.position)
    with pytest.raises(JournalFailed, match="disk I/O"):
        runtime.learn(PRICE, NOW + 1)
    assert session.submitted == []
    ended(writer)


def test_intents_of_a_session_that_dies_with_the_process_may_leave_ahead_of_the_commit() -> None:
    recorder = FakeRecorder()
    session = EphemeralSession(recorder)
    runtime, writer = opened(recorder, session)
    runtime.learn(PRICE, NOW)
    assert session.submitted
    assert {durable for _, durable in session.submitted} == {0}
    writer.close()


def test_a_fenced_writer_fails_its_journal_and_stores_nothing(
    recorded: list[LedgerRow], tmp_path: Path
) -> None:
    first = open_application(tmp_path / "ledger.db", create=True)
    second = open_application(tmp_path / "ledger.db")
    writer = LedgerJournal(first.ledger_recorder, first.ledger_recorder.take_epoch(), group=1)
    for row in recorded[:8]:
        writer.append(row)
    writer.commit()
    second.ledger_recorder.take_epoch()
    writer.append(recorded[8])
    with pytest.raises(FencedError):
        writer.commit()
    ended(writer)
    first.close()
    second.close()
    assert ledger_rows(tmp_path / "ledger.db") == recorded[:8]
