"""How a run ends: in six steps, and at once where something is so that must never be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from live_runs import SETTINGS
from structlog.testing import capture_logs

from domain.inputs import HaltTrading, PauseTrading, TakeCheckpoint
from domain.notes import RunReport
from domain.orders import ENDED
from grinder.config import load_config
from grinder.connectors.simulated import SimulatedConnector
from grinder.errors import ExitStatus
from grinder.ledger.reading import connect, rows
from grinder.live.accounts import PaperAccount, load_playback
from grinder.live.clock import FastLoop, LoopClock
from grinder.live.rebuild import rebuild
from grinder.live.run import LiveRun
from grinder.live.session import LiveSession
from grinder.live.spec import PAPER, RunSpec, prepare
from grinder.live.watching import Watching
from grinder.observation.alerts import CRITICAL, Alert
from grinder.run_folder import RunFolder

SPEED = 500

RESTING = 5


def resting(run: LiveRun) -> int:
    """Orders that are open in the books."""
    return sum(one.status.value == "open" for one in run.books().orders.values())


def working(run: LiveRun) -> int:
    """Orders that are open or may be."""
    return sum(one.status not in ENDED for one in run.books().orders.values())


async def nothing(run: LiveRun) -> None:
    """Let the run be stopped as it is."""


def stopped(
    path: Path,
    before: Callable[[LiveRun], Awaitable[None]] = nothing,
    watch: Callable[[LiveRun], None] = lambda run: None,
) -> ExitStatus:
    """A paper run in this process, asked to end once orders rest and what happens `before` is done."""
    folder = RunFolder(path)
    given = RunSpec(
        mode=PAPER,
        ledger_id="",
        config=load_config([], {}, SETTINGS),
        feed=f"generated:7@{SPEED}",
        rows=10**6,
    )
    spec = prepare(folder, given)

    async def end(run: LiveRun) -> None:
        while resting(run) < RESTING:
            await asyncio.sleep(1.0)
        await before(run)
        run.request_stop("cancel")

    async def main() -> ExitStatus:
        playback = load_playback(spec)
        assert playback is not None
        clock = LoopClock(asyncio.get_running_loop().time, playback.start_ns)
        account = PaperAccount(spec, playback, clock, 0)
        run = LiveRun(folder, spec, None, account, clock, Watching(folder, spec))
        watch(run)
        ending = asyncio.create_task(end(run))
        try:
            return await asyncio.wait_for(run.main(), 60 * SPEED)
        finally:
            ending.cancel()

    with asyncio.Runner(loop_factory=lambda: FastLoop(SPEED)) as runner:
        return runner.run(main())


@contextmanager
def logged() -> Iterator[list[Any]]:
    """Every line of the log, whatever level an earlier test has set."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        with capture_logs() as lines:
            yield lines
    finally:
        structlog.configure(**before)


def told(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(topic, fields) of every record."""
    with closing(connect(path / "ledger.db")) as connection:
        return [(row.topic, orjson.loads(row.state)) for row in rows(connection)]


class Watched:
    """What a stopping run does, in order, with the orders that work and the records that are durable then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run: LiveRun | None = None
        self.steps: list[tuple[str, int, int]] = []
        for owner, name in (
            (LiveSession, "cancel_working"),
            (LiveSession, "drain"),
            (LiveSession, "release"),
            (SimulatedConnector, "close"),
        ):
            self._watch(monkeypatch, owner, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        real = getattr(owner, name)

        async def watched(*given: Any, **named: Any) -> Any:
            found = await real(*given, **named)
            run = self.run
            assert run is not None
            self.steps.append((name, working(run), run.loop_core.durable_position))
            return found

        monkeypatch.setattr(owner, name, watched)

    def watch(self, run: LiveRun) -> None:
        self.run = run


def test_a_stop_takes_its_six_steps_in_order_and_leaves_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    with logged() as lines:
        assert stopped(tmp_path, watch=watched.watch) is ExitStatus.DONE
    records = told(tmp_path)
    topics = [topic for topic, _ in records]
    phases = [(at, state["phase"]) for at, (topic, state) in enumerate(records) if topic == RunReport.TOPIC]
    stopping = next(at for at, phase in phases if phase == "stopping")
    paused = topics.index(PauseTrading.TOPIC, stopping)
    cancelled = [at for at, topic in enumerate(topics) if topic == "OrderCancelledReport/1" and at > stopping]
    checkpoint = topics.index(TakeCheckpoint.TOPIC, stopping)
    assert len(cancelled) >= 5, "orders were resting"
    assert stopping < paused < cancelled[0] <= cancelled[-1] < checkpoint < phases[-1][0]
    assert phases[-1] == (len(records) - 1, "stopped"), "the last record of all"
    assert "OrderSubmitted/1" not in topics[paused:], "no new work"
    assert [name for name, _, _ in watched.steps] == ["cancel_working", "drain", "release", "close"]
    assert [left for _, left, _ in watched.steps] == [0, 0, 0, 0]
    durable = {name: position for name, _, position in watched.steps}
    assert durable["drain"] <= checkpoint < durable["release"], "the checkpoint is on disk before the switch"
    assert [line["event"] for line in lines][-1] == "SHUTDOWN_COMPLETE"


def test_a_step_that_fails_is_logged_and_the_next_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)

    async def failing(self: LiveSession) -> tuple[str, ...]:
        raise OSError("no route to the exchange")

    monkeypatch.setattr(LiveSession, "cancel_working", failing)
    with logged() as lines:
        assert stopped(tmp_path, watch=watched.watch) is ExitStatus.ORDERS_LEFT
    assert "no route to the exchange" in str(lines)
    assert [name for name, _, _ in watched.steps] == ["drain", "release", "close"]
    topics = [topic for topic, _ in told(tmp_path)]
    assert topics[-1] == RunReport.TOPIC and TakeCheckpoint.TOPIC in topics
    assert [line["kind"] for line in lines if line.get("log_level") == "critical"] == ["orders_left"]
    assert [line["event"] for line in lines][-1] == "SHUTDOWN_COMPLETE"


def test_a_critical_error_cancels_every_order_and_latches(tmp_path: Path) -> None:
    """The run goes on: only a person releases the switch, and nothing is ordered before."""
    seen: list[Any] = []

    async def damaged(run: LiveRun) -> None:
        run.errors.alert(Alert(CRITICAL, "ledger_damaged", text="record 7 is not what was written"))
        await asyncio.sleep(600)
        seen.append((working(run), run.phase, bool(run.core.state_of("portfolio").halted)))

    with logged():
        assert stopped(tmp_path, damaged) is ExitStatus.DONE
    assert seen == [(0, "trading", True)], "every order was cancelled, and trading is halted"
    topics = [topic for topic, _ in told(tmp_path)]
    halted = topics.index(HaltTrading.TOPIC)
    assert "OrderSubmitted/1" not in topics[halted:]
    assert rebuild(tmp_path / "ledger.db").core.state_of("portfolio").halted, "a restart does not release it"
