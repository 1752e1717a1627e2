"""One run in this process: it starts in order, and whatever breaks in it ends it without disorder."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pykka
import pytest
from live_runs import SETTINGS

from actors.sequencer import CoreFailure
from domain import symbol as symbol_rules
from domain.inputs import NoAnswerReport, OrderRejectedReport, PauseTrading, TickReport
from domain.notes import RunReport
from domain.record import Record
from grinder.config import load_config
from grinder.errors import ExitStatus
from grinder.ledger.reading import connect, plain_rows, rows
from grinder.ledger.recorder import LedgerRecorder
from grinder.live.accounts import PaperAccount, load_playback
from grinder.live.clock import FastLoop, LoopClock
from grinder.live.errors import MOST, ErrorTally
from grinder.live.rebuild import rebuild
from grinder.live.run import LiveRun
from grinder.live.spec import PAPER, RunSpec, prepare
from grinder.live.watching import Watching
from grinder.observation.alerts import Alert
from grinder.run_folder import RunFolder
from replay.replayer import replay

SPEED = 2_000


def played(path: Path, during: Callable[[LiveRun], Any] = lambda run: None) -> ExitStatus:
    """A paper run in this process, to its end."""
    folder = RunFolder(path)
    config = load_config([], {}, SETTINGS)
    feed = f"generated:7@{SPEED}"
    spec = prepare(
        folder,
        RunSpec(mode=PAPER, ledger_id="", config=config, feed=feed, rows=3_000, until_end=True),
    )
    rebuilt = rebuild(folder.ledger) if folder.ledger.exists() else None

    async def main() -> ExitStatus:
        playback = load_playback(spec)
        assert playback is not None
        last_ns = rebuilt.last_ns if rebuilt else 0
        clock = LoopClock(asyncio.get_running_loop().time, max(playback.start_ns, last_ns))
        watching = Watching(folder, spec)
        account = PaperAccount(spec, playback, clock, last_ns)
        run = LiveRun(folder, spec, rebuilt, account, clock, watching)
        during(run)
        return await asyncio.wait_for(run.main(), 20 * SPEED)

    with asyncio.Runner(loop_factory=lambda: FastLoop(SPEED)) as runner:
        return runner.run(main())


def topics(path: Path) -> list[str]:
    with closing(connect(path / "ledger.db")) as connection:
        return [row.topic for row in rows(connection)]


def replays(path: Path) -> bool:
    with closing(connect(path / "ledger.db")) as connection:
        return replay(plain_rows(connection)).identical


def test_a_run_goes_from_the_first_record_to_the_last_in_order_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    assert played(tmp_path) is ExitStatus.DONE
    with closing(connect(tmp_path / "ledger.db")) as connection:
        found = list(rows(connection))
    phases = [orjson.loads(row.state)["phase"] for row in found if row.topic == RunReport.TOPIC]
    assert phases == ["started", "ready", "stopping", "stopped"]
    order = [row.topic for row in found]
    assert order.index("OpenAccount/1") < order.index("ReconciliationReport/1") < order.index("TickReport/1")
    assert order[-1] == RunReport.TOPIC
    assert "TakeCheckpoint/1" in order
    assert pykka.ActorRegistry.get_all() == []
    assert replays(tmp_path)
    account = rebuild(tmp_path / "ledger.db").core.state_of("account")
    assert not [one for one in account.orders.values() if one.status.value in ("open", "pending", "unknown")]


@pytest.mark.parametrize("failure", [ValueError("a rule is broken"), MemoryError("no room")])
def test_a_core_actor_that_fails_ends_the_run_and_the_next_is_rebuilt_from_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    decide = symbol_rules.decide
    seen = 0

    def failing(state: Any, now_ns: int, message: Record) -> Any:
        nonlocal seen
        seen += isinstance(message, TickReport)
        if seen == 1 and isinstance(message, TickReport):
            raise failure
        return decide(state, now_ns, message)

    with monkeypatch.context() as patched:
        patched.setattr(symbol_rules, "decide", failing)
        with pytest.raises(CoreFailure):
            played(tmp_path)
    assert pykka.ActorRegistry.get_all() == []
    assert RunReport.TOPIC in topics(tmp_path)
    before = topics(tmp_path)
    assert "TickReport/1" not in before, "half an input does not reach the ledger"
    assert replays(tmp_path)
    assert played(tmp_path) is ExitStatus.DONE
    assert topics(tmp_path)[: len(before)] == before
    assert replays(tmp_path)


def test_a_journal_that_fails_ends_the_run_at_once_with_a_status_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = LedgerRecorder.append_rows

    def failing(self: LedgerRecorder, given: Any, epoch: int) -> None:
        if any(row.topic == "TickReport/1" for row in given):
            raise sqlite3.OperationalError("disk I/O error")
        append(self, given, epoch)

    sent: list[Record] = []

    def watch(run: LiveRun) -> None:
        submit = run.submit
        run.submit = lambda intent, now: (sent.append(intent), submit(intent, now))[1]  # type: ignore[method-assign]

    with monkeypatch.context() as patched:
        patched.setattr(LedgerRecorder, "append_rows", failing)
        assert played(tmp_path, watch) is ExitStatus.NOT_STORED
    assert sent == [], "nothing of it left"
    assert "TickReport/1" not in topics(tmp_path)
    assert replays(tmp_path)
    assert played(tmp_path) is ExitStatus.DONE
    assert replays(tmp_path)


def test_a_part_that_ends_unasked_ends_the_run(tmp_path: Path) -> None:
    async def short() -> None:
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="part ended by itself"):
        played(tmp_path, lambda run: run.run_beside("part", short))
    assert replays(tmp_path)


# --- errors that repeat --------------------------------------------------------------------------------


def rejected(number: int, reason: str = "-2010") -> OrderRejectedReport:
    return OrderRejectedReport(client_order_id=f"{number:032x}", reason=reason, text="")


class Tallied:
    def __init__(self) -> None:
        self.now = 0
        self.learned: list[Record] = []
        self.alerts: list[Alert] = []
        self.tally = ErrorTally(lambda: self.now, self.learned.append, self.alerts.append)


def test_more_than_ten_errors_of_one_kind_in_a_minute_pause_trading_once() -> None:
    world = Tallied()
    for number in range(MOST):
        world.now += 10**9
        world.tally.learned(rejected(number))
        world.tally.learned(NoAnswerReport(client_order_id=f"{number:032x}"))
    assert world.learned == []
    world.tally.learned(rejected(99))
    assert world.learned == [PauseTrading(reason="errors", symbol="", operator="errors")]
    assert [alert.level for alert in world.alerts] == ["CRITICAL"]


def test_errors_of_several_kinds_or_far_apart_do_not_pause() -> None:
    world = Tallied()
    for number in range(40):
        world.now += 10**9
        world.tally.learned(rejected(number, reason=str(number % 5)))
    for number in range(40):
        world.now += 7 * 10**9
        world.tally.learned(rejected(number))
    assert world.learned == []


def test_a_failing_risk_actor_ends_the_process_with_the_status_after_which_nobody_starts_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grinder.live import process

    def failing(path: Path, *_: Any) -> ExitStatus:
        raise CoreFailure(path.name, ValueError("a limit is broken"))

    monkeypatch.setattr(process, "run_process", failing)
    monkeypatch.setattr(process, "configure", lambda verbose, as_json: None)
    assert process.main(["portfolio"]) == ExitStatus.GAVE_UP
    with pytest.raises(CoreFailure):
        process.main(["symbol"])
