"""Groups stored on the loop's own thread while the disk is quick: the same promises, without a hop."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from live_runs import opened_core, opening_commands

from actors.core import Core
from actors.journal import MemoryJournal
from actors.records import LedgerRow
from domain.inputs import TickReport
from domain.notes import RunReport
from domain.record import Record
from grinder.ledger import log_file
from grinder.ledger.head import read_head
from grinder.ledger.log_file import GROWN_BYTES, RECORDS
from grinder.ledger.quick import MOST, PATIENCE_S, QUICK_S, QuickStore, store_on
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import open_application
from grinder.ledger.writer import EmptyLog, Group, JournalFailed
from grinder.live.core_loop import CoreLoop


class Here:
    """Stores at once what it takes, in a list."""

    def __init__(self) -> None:
        self.quick = True
        self.failure: BaseException | None = None
        self.stored: list[list[LedgerRow]] = []
        self.is_long = False

    def takes(self, records: int) -> bool:
        return self.quick

    def was_stored(self, records: int, seconds: float) -> bool:
        return self.is_long

    def store(self, rows: list[LedgerRow]) -> None:
        if self.failure is not None:
            raise self.failure
        self.stored.append(rows)


class Thread:
    """The writer's thread, in the test's hand."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, message: Any) -> None:
        self.told.append(message)

    def store(self) -> None:
        group: Group = self.told.pop(0)
        group.stored(group.rows[-1].position)


class World:
    """A core loop over both."""

    def __init__(self) -> None:
        self.here, self.thread = Here(), Thread()
        self.sent: list[Record] = []
        self.failures: list[BaseException] = []
        self.on_submit: Callable[[], None] = lambda: None
        self.loop = CoreLoop(
            opened_core(), self.thread, lambda: 11, self.submit, self.failures.append, self.here
        )

    def submit(self, intent: Record, now_ns: int) -> None:
        self.sent.append(intent)
        self.on_submit()


def note(detail: str = "") -> RunReport:
    return RunReport(phase="started", mode="test", program="0", detail=detail)


TICK = TickReport(symbol="BTCUSDT", price_ticks=610_000)


def running(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(World()), 10)

    asyncio.run(main())


def test_an_intent_leaves_after_the_commit_in_the_next_turn_of_the_loop_and_no_thread_is_asked() -> None:
    async def test(world: World) -> None:
        world.loop.learn(TICK)
        assert world.sent == []
        assert world.here.stored == []
        await asyncio.sleep(0)
        assert world.here.stored
        assert [type(one).__name__ for one in world.sent] == ["OrderSubmitted"] * len(world.sent)
        assert world.sent
        assert world.thread.told == []

    running(test)


def test_all_that_is_learned_in_one_turn_shares_a_commit() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            last = world.loop.learn(note(str(number)))
        await world.loop.durable(last)
        assert [len(group) for group in world.here.stored] == [5]

    running(test)


def test_where_a_frame_ends_what_it_led_to_is_stored_and_leaves_without_a_turn_of_the_loop() -> None:
    async def test(world: World) -> None:
        world.loop.learn(TICK)
        assert world.sent == []
        world.loop.store()
        assert world.here.stored
        assert world.sent
        stored = len(world.here.stored)
        world.loop.store()  # a frame that led to nothing
        await asyncio.sleep(0.01)
        assert len(world.here.stored) == stored

    running(test)


def test_the_frames_after_the_first_between_two_turns_share_a_commit() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            last = world.loop.learn(note(str(number)))
            world.loop.store()
        assert [len(group) for group in world.here.stored] == [1]
        await world.loop.durable(last)
        assert [len(group) for group in world.here.stored] == [1, 4]
        last = world.loop.learn(note("in the next turn"))
        world.loop.store()
        assert world.loop.durable_position == last

    running(test)


def test_no_frame_is_stored_here_while_the_thread_empties_the_log() -> None:
    async def test(world: World) -> None:
        world.here.is_long = True
        world.loop.learn(note())
        world.loop.store()
        (message,) = world.thread.told
        assert isinstance(message, EmptyLog)
        world.here.is_long = False
        position = world.loop.learn(note("meanwhile"))
        world.loop.store()
        await asyncio.sleep(0.01)
        assert len(world.here.stored) == 1
        message.emptied()
        await world.loop.durable(position)
        assert len(world.here.stored) == 2

    running(test)


def test_what_is_learned_while_intents_leave_is_stored_next() -> None:
    async def test(world: World) -> None:
        def answer() -> None:
            world.on_submit = lambda: None
            world.loop.learn(note("from within"))

        world.on_submit = answer
        world.loop.learn(TICK)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(world.here.stored) == 2
        stored = [row.position for group in world.here.stored for row in group]
        assert stored == list(range(stored[0], world.loop.durable_position + 1))

    running(test)


def test_a_disk_that_is_no_longer_quick_is_left_to_the_thread_and_taken_back_when_it_is_again() -> None:
    async def test(world: World) -> None:
        world.loop.learn(note("one"))
        world.here.quick = False
        await asyncio.sleep(0)
        assert world.here.stored == [], "it was to be stored here, and is not any more"
        world.loop.learn(note("two"))
        assert [len(group.rows) for group in world.thread.told] == [1]
        world.here.quick = True
        world.thread.store()
        await asyncio.sleep(0.01)
        assert [len(group) for group in world.here.stored] == [1]
        assert not world.thread.told

    running(test)


@pytest.mark.parametrize("failure", [sqlite3.OperationalError("disk I/O error"), OSError("gone")])
def test_a_commit_that_fails_here_stops_learning_and_lets_nothing_leave(failure: Exception) -> None:
    async def test(world: World) -> None:
        world.here.failure = failure
        waiting = asyncio.create_task(world.loop.durable(world.loop.learn(TICK)))
        await asyncio.sleep(0.01)
        assert world.failures == [failure]
        with pytest.raises(JournalFailed):
            await waiting
        with pytest.raises(JournalFailed):
            world.loop.learn(note())
        assert world.sent == []

    running(test)


def test_a_long_log_is_emptied_by_the_thread_while_learning_goes_on_and_nothing_is_stored() -> None:
    async def test(world: World) -> None:
        world.here.is_long = True
        await world.loop.learn_durably(note())
        (message,) = world.thread.told
        assert isinstance(message, EmptyLog)
        world.here.is_long = False
        position = world.loop.learn(note("meanwhile"))
        await asyncio.sleep(0.01)
        assert world.loop.durable_position < position
        assert len(world.here.stored) == 1
        message.emptied()
        await world.loop.durable(position)
        assert len(world.here.stored) == 2

    running(test)


def test_a_disk_that_fails_while_the_log_is_emptied_stops_learning() -> None:
    async def test(world: World) -> None:
        world.here.is_long = True
        await world.loop.learn_durably(note())
        world.thread.told[0].failed(sqlite3.OperationalError("disk I/O error"))
        await asyncio.sleep(0.01)
        assert [str(one) for one in world.failures] == ["disk I/O error"]
        with pytest.raises(JournalFailed):
            world.loop.learn(note())

    running(test)


# --- over a real ledger --------------------------------------------------------------------------------


def test_a_slow_commit_and_a_large_group_are_for_the_thread_and_the_log_is_long_after_so_many_records() -> (
    None
):
    now = [100.0]
    store = QuickStore(lambda rows: None, Any, Any, lambda: now[0])  # type: ignore[arg-type]
    assert store.takes(MOST)
    assert not store.takes(MOST + 1)
    assert not store.was_stored(1, QUICK_S)
    assert store.takes(1)
    store.was_stored(1, QUICK_S * 1.01)
    assert not store.takes(1)
    now[0] += PATIENCE_S
    assert store.takes(1)
    assert not store.was_stored(RECORDS - 3, 0.0)
    assert store.was_stored(1, 0.0)
    assert not store.was_stored(1, 0.0)


def test_the_ledger_holds_everything_its_log_stays_as_it_was_grown_and_its_head_is_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    log = tmp_path / "ledger.db-wal"
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    writer, here = store_on(recorder, recorder.take_epoch(), path)
    failures: list[BaseException] = []
    sent: list[Record] = []
    taken: list[int] = []

    async def main() -> int:
        core = Core(MemoryJournal())
        loop = CoreLoop(core, writer, lambda: 7, lambda one, now: sent.append(one), failures.append, here)
        for command in opening_commands():
            loop.learn(command)
        position = await loop.learn_durably(TICK)
        for number in range(4 * RECORDS):
            position = loop.learn(note(str(number)))
            if number % 8 == 0:
                await loop.durable(position)
                taken.append(log.stat().st_size)
        await loop.durable(position)
        return position

    position = asyncio.run(asyncio.wait_for(main(), 60))
    writer.stop(block=True)
    head = read_head(path)
    assert head is not None
    assert head.position == position
    assert set(taken) == {GROWN_BYTES}
    application.close()
    connection = connect(path)
    stored = list(rows(connection))
    connection.close()
    assert failures == []
    assert sent
    assert [row.position for row in stored] == list(range(1, position + 1))
    assert stored[-1].chain.hex() == head.chain


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
def test_a_log_that_finds_no_room_to_grow_stays_as_it_was_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    application = open_application(tmp_path / "ledger.db", create=True)
    recorder = application.ledger_recorder
    epoch, before = recorder.take_epoch(), (tmp_path / "ledger.db-wal").stat().st_size
    monkeypatch.setattr(log_file.os, "fsync", failing_with(full))
    writer, here = store_on(recorder, epoch, tmp_path / "ledger.db")
    monkeypatch.undo()
    assert (tmp_path / "ledger.db-wal").stat().st_size == before
    core = Core(journal := MemoryJournal())
    core.learn(note(), 1)
    here.store(journal.rows)
    writer.stop(block=True)
    application.close()
    assert [row.position for row in rows(connect(tmp_path / "ledger.db"))] == [1]


def test_a_disk_that_fails_while_the_log_grows_is_not_written_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = open_application(tmp_path / "ledger.db", create=True)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    monkeypatch.setattr(log_file.os, "fsync", failing_with(errno.EIO))
    with pytest.raises(OSError, match="the disk"):
        store_on(recorder, epoch, tmp_path / "ledger.db")
    application.close()


def failing_with(code: int) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        raise OSError(code, "the disk")

    return fsync
