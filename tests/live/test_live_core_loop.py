"""Learning is immediate, leaving is after the commit, and a journal that fails ends everything."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pykka
import pytest
from live_runs import opened_core, opening_commands

import actors.core
from actors.core import Core
from actors.journal import MemoryJournal
from domain.inputs import TickReport
from domain.notes import RunReport
from domain.order_events import OrderSubmitted
from domain.record import Record
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import open_application
from grinder.ledger.writer import Group, JournalFailed, WriterActor, is_full
from grinder.live.core_loop import CoreLoop


class HeldStore:
    """Keeps groups until the test lets them through."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def tell(self, message: Group) -> None:
        self.groups.append(message)

    def store(self) -> int:
        group = self.groups.pop(0)
        group.stored(group.rows[-1].position)
        return len(group.rows)


class World:
    """A core loop over a held store."""

    def __init__(self, core: Core | None = None) -> None:
        self.store = HeldStore()
        self.sent: list[Record] = []
        self.failures: list[BaseException] = []
        self.now = 10
        self.loop = CoreLoop(
            core or opened_core(),
            self.store,
            self.clock,
            lambda intent, now: self.sent.append(intent),
            self.failures.append,
        )

    def clock(self) -> int:
        self.now += 1
        return self.now


def note(detail: str = "") -> RunReport:
    return RunReport(phase="started", mode="test", program="0", detail=detail)


def running(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(World()), 10)

    asyncio.run(main())


def test_an_intent_leaves_only_when_its_records_are_durable() -> None:
    async def test(world: World) -> None:
        world.loop.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
        assert world.sent == []
        await asyncio.sleep(0)
        assert world.sent == []
        world.store.store()
        await asyncio.sleep(0.01)
        assert [type(one).__name__ for one in world.sent] == ["OrderSubmitted"] * len(world.sent)
        assert world.sent

    running(test)


def test_a_group_is_handed_over_as_soon_as_the_one_before_is_stored_and_holds_all_that_came() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            world.loop.learn(note(str(number)))
        assert [len(group.rows) for group in world.store.groups] == [1]
        world.store.store()
        await asyncio.sleep(0.01)
        assert [len(group.rows) for group in world.store.groups] == [4]
        assert world.store.groups[0].rows[0].cause == world.store.groups[0].rows[0].position

    running(test)


def test_waiting_for_a_position_ends_when_it_is_durable_and_not_before() -> None:
    async def test(world: World) -> None:
        first = world.loop.learn(note())
        second = world.loop.learn(note())
        waiting = asyncio.create_task(world.loop.durable(second))
        world.store.store()
        await asyncio.sleep(0.01)
        assert world.loop.durable_position == first
        assert not waiting.done()
        world.store.store()
        await asyncio.wait_for(waiting, 1)
        await world.loop.durable(first)

    running(test)


def test_an_answer_that_cannot_be_written_down_whole_reaches_no_ledger_and_lets_nothing_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The intents are known before the records are encoded; they may not outlive them."""

    async def test(world: World) -> None:
        spelled = actors.core.encode

        def failing(event: Record) -> bytes:
            if type(event) is OrderSubmitted:
                raise OverflowError("an integer has more than 64 bits")
            return spelled(event)

        monkeypatch.setattr(actors.core, "encode", failing)
        with pytest.raises(OverflowError):
            world.loop.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
        monkeypatch.undo()
        assert world.store.groups == []
        world.loop.learn(note("later"))
        assert [len(group.rows) for group in world.store.groups] == [1]
        world.store.store()
        await asyncio.sleep(0.01)
        assert world.sent == []

    running(test)


def test_a_journal_that_fails_stops_learning_and_lets_nothing_leave() -> None:
    async def test(world: World) -> None:
        position = world.loop.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
        waiting = asyncio.create_task(world.loop.durable(position))
        await asyncio.sleep(0)
        world.store.groups[0].failed(sqlite3.OperationalError("disk I/O error"))
        await asyncio.sleep(0.01)
        assert [str(one) for one in world.failures] == ["disk I/O error"]
        with pytest.raises(JournalFailed):
            await waiting
        with pytest.raises(JournalFailed):
            world.loop.learn(note())
        assert world.sent == []

    running(test)


# --- over a real ledger --------------------------------------------------------------------------------


class StubbornRecorder:
    """A recorder that fails as told, a number of times."""

    def __init__(self, failure: Exception, times: int) -> None:
        self.failure = failure
        self.times = times
        self.stored: list[int] = []

    def append_rows(self, rows: Any, epoch: int) -> None:
        if self.times:
            self.times -= 1
            raise self.failure
        self.stored += [row.position for row in rows]


def error_of(code: int, words: str) -> sqlite3.OperationalError:
    failure = sqlite3.OperationalError(words)
    failure.sqlite_errorcode = code
    return failure


def told_by(recorder: Any, make_room: Callable[[], bool], groups: int = 1) -> list[object]:
    """What a writer tells of groups of one record each."""
    told: list[object] = []
    core = Core(MemoryJournal())
    writer = WriterActor.start(recorder, 1, make_room)
    try:
        for _ in range(groups):
            core.journal = journal = MemoryJournal()
            core.learn(note(), 1)
            writer.tell(Group(journal.rows, told.append, told.append))
    finally:
        writer.stop(block=True, timeout=5)
        assert not pykka.ActorRegistry.get_by_class(WriterActor)
    return told


def test_a_full_disk_is_given_the_kept_room_once_and_the_group_is_stored() -> None:
    made: list[bool] = []
    recorder = StubbornRecorder(error_of(sqlite3.SQLITE_FULL, "database or disk is full"), times=1)
    assert told_by(recorder, lambda: made.append(True) or True) == [1]
    assert made == [True]
    assert recorder.stored == [1]


def test_an_input_output_error_is_never_tried_again() -> None:
    made: list[bool] = []
    recorder = StubbornRecorder(error_of(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"), times=1)
    told = told_by(recorder, lambda: made.append(True) or True, groups=2)
    assert isinstance(told[0], sqlite3.OperationalError)
    assert isinstance(told[1], JournalFailed), "the second group would leave a hole before it"
    assert made == []
    assert recorder.stored == []


def test_only_want_of_room_counts_as_full() -> None:
    assert is_full(error_of(sqlite3.SQLITE_FULL, "full"))
    assert not is_full(error_of(sqlite3.SQLITE_BUSY, "busy"))
    assert not is_full(ValueError("full"))


def test_what_was_durable_is_in_the_ledger_after_the_loop_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    writer = WriterActor.start(recorder, recorder.take_epoch())
    sent: list[Record] = []

    async def main() -> int:
        loop = CoreLoop(
            Core(MemoryJournal()), writer, lambda: 7, lambda intent, now: sent.append(intent), print
        )
        for command in opening_commands():
            loop.learn(command)
        return await loop.learn_durably(TickReport(symbol="BTCUSDT", price_ticks=610_000))

    position = asyncio.run(asyncio.wait_for(main(), 10))
    writer.stop(block=True)
    application.close()
    connection = connect(path)
    stored = list(rows(connection))
    connection.close()
    assert any(row.position == position and row.topic == TickReport.TOPIC for row in stored)
    assert [row.position for row in stored] == list(range(1, len(stored) + 1))
    submitted = [row for row in stored if row.topic.startswith("OrderSubmitted")]
    assert len(sent) == len(submitted) > 0


def test_a_ledger_that_another_writer_holds_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLITE_BUSY: a bounded wait, then the journal fails."""
    monkeypatch.setattr("grinder.ledger.recorder.BUSY_TIMEOUT_S", 0.3)
    path = tmp_path / "ledger.db"
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    assert recorder.take_epoch() == 1
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        (told,) = told_by(recorder, lambda: False)
    finally:
        other.execute("ROLLBACK")
        other.close()
        application.close()
    assert "locked" in str(told)
