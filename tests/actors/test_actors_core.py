"""The core: the same inputs give the same rows, and intents leave only when they are durable."""

from __future__ import annotations

import datetime
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from freezegun import freeze_time
from worlds import COIN, SECOND, T0, World, bounded, open_account, open_portfolio, start_grid

from actors.core import Core
from actors.journal import MemoryJournal
from actors.records import GENESIS, LedgerRow, chained
from actors.runtime import Runtime
from actors.sequencer import CoreFailure
from domain import portfolio
from domain.codec import decode
from domain.inputs import STREAM, StartClock, TakeCheckpoint, TickReport
from domain.instrument import ListInstrument
from domain.record import Record

REPO = Path(__file__).resolve().parents[2]

# --- the same inputs, the same rows --------------------------------------------------------------------


def history() -> World:
    """A run in which a bit of everything happens."""
    world = World(balances={"USD": 10_000}, orders_per_minute=5, session_drawdown_ppm=200_000)
    world.mark(COINUSD=105)
    world.start(bounded(80, 120, 4, lots=2), stop_loss_ticks=50)
    orders = world.tick(105, after_ns=SECOND)
    world.accept(*(one.client_order_id for one in orders))
    world.fill(orders[0].client_order_id, lots=1)
    world.fill(orders[0].client_order_id, lots=1)
    world.reject(orders[1].client_order_id)
    world.cancelled(orders[2].client_order_id)
    world.tick(111, after_ns=70 * SECOND)
    world.mark(COINUSD=111)
    world.tick(45, after_ns=SECOND)
    world.learn(TakeCheckpoint(reason="test"))
    return world


def test_the_same_inputs_write_the_same_rows() -> None:
    one, other = history(), history()
    assert len(one.journal.rows) > 60
    assert one.journal.rows == other.journal.rows
    assert one.core.chain == other.core.chain != GENESIS


def test_the_inputs_of_a_ledger_are_enough_to_write_it_again() -> None:
    first = history()
    again = Core(MemoryJournal())
    for row in first.journal.rows:
        if row.stream.startswith("input/"):
            again.learn(decode(row.topic, row.state), row.ts_ns)
    assert again.journal.rows == first.journal.rows  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", ["1999-12-31", "2038-01-19 03:14:08", "2024-02-29 23:59:59"])
def test_rows_do_not_depend_on_the_time_of_day(at: str) -> None:
    expected = history().journal.rows
    with freeze_time(at, auto_tick_seconds=3_600):
        assert datetime.datetime.now(datetime.UTC).year != 2023
        assert history().journal.rows == expected


@pytest.mark.parametrize(
    ("seed", "zone"), [("0", "UTC"), ("1", "Asia/Kathmandu"), ("4242", "America/St_Johns")]
)
def test_rows_do_not_depend_on_the_process_its_hash_seed_or_time_zone(seed: str, zone: str) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import test_actors_core\n"
        "print(test_actors_core.history().core.chain.hex())"
    )
    paths = [str(REPO), str(REPO / "tests" / "domain"), str(REPO / "tests" / "actors")]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
    found = subprocess.run(
        [sys.executable, "-c", program, *paths], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == history().core.chain.hex()


# --- rows ----------------------------------------------------------------------------------------------


def test_positions_and_versions_count_without_gaps_and_causes_look_back() -> None:
    rows = history().journal.rows
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    seen: dict[str, int] = {}
    for row in rows:
        seen[row.stream] = seen.get(row.stream, 0) + 1
        assert row.version == seen[row.stream]
        assert row.cause <= row.position
        assert (row.cause == row.position) is row.stream.startswith("input/")


def test_an_input_is_written_before_anything_that_follows_from_it() -> None:
    cause = 0
    for row in history().journal.rows:
        if row.cause == row.position:
            cause = row.position
        assert row.cause >= cause


def test_the_chain_runs_over_everything_that_is_stored() -> None:
    previous = GENESIS
    for row in history().journal.rows:
        assert row.chain == chained(
            previous, row.stream, row.version, row.topic, row.ts_ns, row.cause, row.state
        )
        previous = row.chain


def test_the_chain_is_the_hash_that_the_law_writes_down() -> None:
    stream, topic, state = "account", "OrderAccepted/1", b'{"a":1}'
    head = struct.pack(">32sHHIqqq", GENESIS, len(stream), len(topic), len(state), 3, T0, 7)
    expected = hashlib.sha256(head + stream.encode() + topic.encode() + state).digest()
    assert chained(GENESIS, stream, 3, topic, T0, 7, state) == expected


def test_no_change_of_a_row_keeps_the_chain() -> None:
    fields: dict[str, Any] = {
        "previous": GENESIS,
        "stream": "ab",
        "version": 1,
        "topic": "Cd/1",
        "ts_ns": 5,
        "cause": 1,
        "state": b"{}",
    }
    changes = [
        {},
        {"previous": b"\1" * 32},
        {"stream": "abC", "topic": "d/1"},
        {"stream": "ac"},
        {"version": 2},
        {"topic": "Ce/1"},
        {"topic": "Cd/1{", "state": b"}"},
        {"ts_ns": 6},
        {"cause": 2},
        {"state": b"[]"},
    ]
    chains = [chained(**{**fields, **change}) for change in changes]
    assert len(set(chains)) == len(changes)


def test_a_checkpoint_hashes_every_actor_in_the_order_of_their_names() -> None:
    rows = history().journal.rows
    hashed = [row.stream for row in rows if row.topic == "StateHashed/1"]
    assert hashed == sorted(hashed) == ["account", "clock", "portfolio", "symbol/COINUSD"]


def test_a_refused_message_is_recorded_and_changes_nothing() -> None:
    world = history()
    before = {name: world.core.state_of(name) for name in world.core.names()}
    world.learn(StartClock(mark_interval_ns=5))
    assert [one.topic for one in world.said("MessageRefused")][-1:] == ["StartClock/1"]
    assert {name: world.core.state_of(name) for name in world.core.names()} == before


def test_an_actor_that_raises_fails_the_core_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("an invariant is broken")

    monkeypatch.setitem(portfolio._DECIDE, TickReport, broken)
    with pytest.raises(CoreFailure, match="actor portfolio failed: ZeroDivisionError") as caught:
        world.tick(105)
    assert caught.value.stream == "portfolio"


def test_every_input_class_can_be_learned_by_a_core() -> None:
    """No input names an actor that does not know it."""
    from goldens import example

    for kind in STREAM:
        world = World()
        try:
            world.learn(example(kind))
        except CoreFailure as failure:
            # An example's figures need not make sense, its class must be known to whoever receives it.
            assert not (isinstance(failure.__cause__, KeyError) and kind in failure.__cause__.args), failure


# --- the way out ---------------------------------------------------------------------------------------


class NotingJournal:
    """Notes what it is asked to do, in order; fails on the commit it is told to fail on."""

    def __init__(self, log: list[str], fails_at: int = 0) -> None:
        self.log = log
        self.rows: list[LedgerRow] = []
        self.commits = 0
        self.fails_at = fails_at

    def append(self, row: LedgerRow) -> None:
        self.rows.append(row)
        self.log.append(f"append {row.topic}")

    def commit(self) -> None:
        self.commits += 1
        if self.commits == self.fails_at:
            raise OSError("the disk is full")
        self.log.append("commit")


class RealSession:
    """A session whose orders stay when this process dies."""

    outlives_process: ClassVar[bool] = True

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def submit(self, intent: Record, now_ns: int) -> None:
        self.log.append(f"submit {intent.TOPIC} {now_ns - T0}")


class PassingSession(RealSession):
    """A session that lives and dies with this process."""

    outlives_process: ClassVar[bool] = False


def traded(session: type[RealSession], fails_at: int = 0) -> tuple[list[str], NotingJournal]:
    """What happened, in order, until the first three orders and their grid's stop."""
    log: list[str] = []
    journal = NotingJournal(log, fails_at)
    runtime = Runtime(Core(journal), session(log))
    commands = [
        open_account("USD", {"USD": 10_000}),
        open_portfolio(10_000),
        ListInstrument(instrument=COIN),
        start_grid(COIN.symbol, bounded(80, 110, 3), stop_loss_ticks=70),
        TickReport(symbol=COIN.symbol, price_ticks=105),
        TickReport(symbol=COIN.symbol, price_ticks=70),
    ]
    try:
        for number, command in enumerate(commands):
            runtime.learn(command, T0 + number)
    except OSError as error:
        log.append(str(error))
    return log, journal


def submits(log: list[str]) -> list[str]:
    return [line for line in log if line.startswith("submit")]


def test_no_intent_leaves_before_the_records_it_rests_on_are_durable() -> None:
    log, journal = traded(RealSession)
    assert len(submits(log)) == 6
    durable = True
    for line in log:
        durable = line == "commit" or (durable and not line.startswith("append"))
        assert durable or not line.startswith("submit"), log
    assert journal.commits == 2, "a commit for each input that led to intents"


@pytest.mark.parametrize(("fails_at", "left"), [(1, 0), (2, 3)])
def test_when_a_commit_fails_its_intents_stay(fails_at: int, left: int) -> None:
    log, _ = traded(RealSession, fails_at)
    assert log[-1] == "the disk is full"
    assert len(submits(log)) == left


def test_a_session_that_dies_with_the_process_is_given_the_same_intents_in_the_same_order() -> None:
    real, journal = traded(RealSession)
    passing, memory = traded(PassingSession)
    assert submits(passing) == submits(real)
    assert [line for line in passing if line.startswith("append")] == [
        line for line in real if line.startswith("append")
    ]
    assert memory.rows == journal.rows
    assert memory.commits == 0


def test_an_input_that_leads_to_no_intent_needs_no_commit() -> None:
    log: list[str] = []
    runtime = Runtime(Core(NotingJournal(log)), RealSession(log))
    runtime.learn(StartClock(mark_interval_ns=1), T0)
    assert "commit" not in log


def test_intents_are_handed_out_once() -> None:
    world = World()
    world.start(bounded(90, 110, 2))
    world.core.learn(TickReport(symbol=COIN.symbol, price_ticks=105), world.now_ns)
    assert len(world.core.take_intents()) == 2
    assert world.core.take_intents() == []


def test_a_memory_journal_knows_what_was_committed() -> None:
    journal = MemoryJournal()
    core = Core(journal)
    core.learn(StartClock(mark_interval_ns=1), T0)
    assert (len(journal.rows), journal.committed) == (2, 0)
    journal.commit()
    assert journal.committed == 2
