"""What follows from errors by their class, and a chain that is checked while the run goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import OrderRefused, RateLimited, Unavailable
from actors.records import GENESIS
from domain.inputs import HaltTrading, OrderRejectedReport, PauseTrading, ResumeTrading
from domain.notes import RunReport, StreamReport
from domain.record import Record
from grinder.ledger.recorder import open_writer
from grinder.ledger.writer import LedgerJournal
from grinder.live.chain_watch import ChainWatch
from grinder.live.error_actions import CONNECTION, MOST_ATTEMPTS, ErrorActions
from grinder.live.errors import ErrorTally
from grinder.live.session.settings import SessionSettings
from grinder.live.session.wire import Wire
from grinder.observation.alerts import Alert, Alerts, LogSink

SECOND = 10**9


class Rig:
    """Error actions whose clock, core and people are the test's."""

    def __init__(self, paused: bool = False) -> None:
        self.now_ns = 1_000 * SECOND
        self.learned: list[Record] = []
        self.told: list[Alert] = []
        self.actions = ErrorActions(lambda: self.now_ns, self.learned.append, self.told.append, paused=paused)

    def stream(self, state: str, stream: str = "market", times: int = 1) -> None:
        for _ in range(times):
            self.now_ns += SECOND
            self.actions.learned(StreamReport(stream=stream, state=state, detail="x"))


@pytest.mark.parametrize("kind", ["sent_twice", "ledger_damaged"])
def test_a_critical_error_is_told_and_latches_the_kill_switch(kind: str) -> None:
    rig = Rig()
    rig.actions.alert(Alert(level="CRITICAL", kind=kind, text="must never be"))
    assert [one.kind for one in rig.told] == [kind]
    assert rig.learned == [HaltTrading(reason=kind)]


def test_another_alert_is_only_told() -> None:
    rig = Rig()
    rig.actions.alert(Alert(level="CRITICAL", kind="difference", text="pauses by itself"))
    assert rig.learned == []


def test_a_stream_that_cannot_be_brought_back_pauses_until_every_stream_is_back() -> None:
    rig = Rig()
    rig.stream("down", times=MOST_ATTEMPTS)
    assert rig.learned == []
    rig.stream("down")
    assert rig.learned == [PauseTrading(reason=CONNECTION, symbol="", operator="errors")]
    rig.stream("down", times=20)
    rig.stream("down", "private", times=MOST_ATTEMPTS + 1)
    assert len(rig.learned) == 1
    rig.stream("up", "private")
    assert len(rig.learned) == 1, "the other one is still away"
    rig.stream("up")
    assert rig.learned[1:] == [ResumeTrading(reason=CONNECTION, symbol="", operator="errors")]
    assert [one.kind for one in rig.told] == [CONNECTION, f"{CONNECTION}_over"]


def test_a_success_ends_the_count_of_a_connection() -> None:
    rig = Rig()
    for _ in range(10):
        rig.stream("down", times=MOST_ATTEMPTS)
        rig.stream("up")
    assert rig.learned == []
    assert rig.actions.counts() == {}


def test_a_pause_of_an_earlier_process_ends_when_the_stream_is_up() -> None:
    rig = Rig(paused=True)
    rig.stream("up")
    assert rig.learned == [ResumeTrading(reason=CONNECTION, symbol="", operator="errors")]


def test_losses_that_come_again_and_again_pause_until_the_operator_has_looked() -> None:
    rig = Rig()
    rig.stream("gap", times=10)
    rig.now_ns += 60 * SECOND
    rig.stream("gap", times=10)
    assert rig.learned == []
    rig.stream("gap")
    assert rig.learned == [PauseTrading(reason="errors", symbol="", operator="errors")]
    assert [(one.level, one.kind) for one in rig.told] == [("CRITICAL", "errors_repeat")]


REFUSED = OrderRejectedReport(client_order_id="0" * 32, reason="-2010", text="insufficient balance")

DOWN = StreamReport(stream="market", state="down", detail="x")


@pytest.mark.parametrize(
    ("errors", "action"),
    [
        ([Alert(level="CRITICAL", kind="ledger_damaged", text="x")], [HaltTrading]),
        ([DOWN] * MOST_ATTEMPTS, []),
        ([DOWN] * (MOST_ATTEMPTS + 1), [PauseTrading]),
        ([REFUSED], []),
        ([StreamReport(stream="market", state="gap", detail="x")] * 10, []),
        ([StreamReport(stream="market", state="gap", detail="x")] * 11, [PauseTrading]),
    ],
    ids=["critical halts", "connection is retried", "and then pauses", "an order is skipped", "another is "
         "counted", "and then pauses as well"],
)  # fmt: skip
def test_each_class_of_error_has_its_action(errors: list[Any], action: list[type[Record]]) -> None:
    rig = Rig()
    tally = ErrorTally(lambda: rig.now_ns, rig.learned.append, rig.told.append)
    for one in errors:
        rig.now_ns += SECOND
        if isinstance(one, Alert):
            rig.actions.alert(one)
        else:
            rig.actions.learned(one)
            tally.learned(one)
    assert [type(one) for one in rig.learned] == action


def test_errors_are_counted_by_kind_and_each_count_begins_anew_by_its_own_rule() -> None:
    rig = Rig()
    for _ in range(3):
        rig.actions.failed(OrderRefused("-2010"))
    rig.actions.failed(Unavailable("timeout"))
    rig.actions.failed(RateLimited("429", "slow down", 1.0))
    assert rig.actions.counts() == {"OrderRefused": 3, "RateLimited": 1, "Unavailable": 1}
    rig.actions.answered()
    assert rig.actions.counts() == {"OrderRefused": 3, "RateLimited": 1}
    rig.now_ns += 299 * SECOND
    rig.actions.failed(OrderRefused("-2010"))
    rig.now_ns += 2 * SECOND
    assert rig.actions.counts() == {"OrderRefused": 4}, "five minutes without the other kind"
    rig.now_ns += 300 * SECOND
    rig.actions.failed(OrderRefused("-2010"))
    assert rig.actions.counts() == {"OrderRefused": 1}
    assert rig.learned == []


# --- the chain -----------------------------------------------------------------------------------------


def ledger_with(path: Path, records: int, after: int = 0) -> None:
    application, epoch = open_writer(path)
    journal = LedgerJournal(application.ledger_recorder, epoch)
    core = Core(MemoryJournal())
    for number in range(after + records):
        if number == after:
            core.journal = journal
        core.learn(RunReport(phase="ready", mode="paper", program="t", detail=str(number)), number + 1)
    journal.close()
    application.close()


def test_what_is_new_on_the_disk_is_checked_and_a_changed_record_is_a_critical_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger_with(path, 20)
    durable = [10]
    rig = Rig()
    watch = ChainWatch(path, 0, GENESIS, lambda: durable[0], rig.actions.alert)

    async def look() -> bool:
        return await watch.look()

    assert asyncio.run(look())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER stored_events_no_update")
        connection.execute(
            "UPDATE stored_events SET state = replace(state, '\"15\"', '\"99\"') WHERE rowid = 16"
        )
        connection.commit()
    assert asyncio.run(look()), "nothing new was asked for"
    durable[0] = 20
    assert not asyncio.run(look())
    assert (watch.whole, watch.failures) == (False, 1)
    assert "record 16" in rig.told[0].text
    assert rig.learned == [HaltTrading(reason="ledger_damaged")]


# --- the log -------------------------------------------------------------------------------------------


def test_an_alert_of_the_session_is_logged_each_time_and_once_and_goes_out_once_a_minute() -> None:
    class Kept:
        name, level = "kept", "INFO"

        def __init__(self) -> None:
            self.batches: list[Any] = []

        def deliver(self, batch: list[Any]) -> None:
            self.batches += batch

    kept = Kept()
    alerts = Alerts((LogSink(), kept), batch_s=0.0)

    class NoConnector:
        pass

    async def main() -> None:
        wire: Any = Wire
        made = wire(NoConnector(), dict, list, lambda: 0, SessionSettings(ledger_id="0" * 8), alerts)
        for number in range(3):
            made.alert("WARNING", "order_refused", f"order {number}", "BTCUSDT")

    with capture_logs() as lines:
        asyncio.run(main())
    alerts.close()
    assert [line["text"] for line in lines] == ["order 0", "order 1", "order 2"]
    assert [line["event"] for line in lines] == ["alert"] * 3
    assert [one.alert.text for one in kept.batches] == ["order 0"]
