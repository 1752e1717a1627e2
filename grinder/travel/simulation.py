"""A world on made-up time: core, session, simulated exchange and market, moved by whoever holds the clock.

Law: nothing happens between two moves.  Everything runs on one loop whose time jumps to what comes next, no
thread and no real clock takes part in it, so the same moves over the same market give the same ledger.  The
parts are those of a live run: its session, its gate, its exchange with its faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from actors.core import Core
from actors.journal import Journal
from domain.account_state import AccountState
from domain.inputs import TakeCheckpoint
from domain.notes import RunReport
from domain.record import Record
from grinder import __version__
from grinder.config import Config
from grinder.connectors.simulated import SimulatedConnector
from grinder.live.accounts import fee_prices
from grinder.live.feeds import Playback, RowFeed
from grinder.live.gate import Gate
from grinder.live.listening import Dispatcher, NoTape
from grinder.live.patience import settings_of
from grinder.live.session import LiveSession
from grinder.live.spec import PAPER, RunSpec
from grinder.observation.alerts import Alert
from grinder.opening import build_opening
from replay.exchange.desk import Desk
from replay.faults import FaultPlan
from replay.virtual_time import VirtualTimeLoop

NS = 10**9
DURABLE_AFTER_S = 0.002
"""What a commit takes in this world: intents leave so much later."""
LONGEST_STEP_NS = 7 * 86_400 * NS
"""How far a step looks for what it waits for."""

Goal = Callable[[Record, list[Record]], bool]
"""Whether an input, with the intents it led to, is what is waited for."""


class Simulation:
    """The world.

    Attributes:
        over: the market has ended.
        alerts: everything that would have been sent to somebody.
        counts: inputs by class.
    """

    def __init__(
        self,
        config: Config,
        playback: Playback,
        ledger_id: str,
        seed: int,
        faults: FaultPlan,
        journal: Journal,
    ) -> None:
        self._config = config
        self._playback = playback
        self._opening = build_opening(config, playback.scales, ledger_id)
        self.loop = VirtualTimeLoop(playback.start_ns - NS)
        self.clock = self.loop.now_ns
        self.core = Core(journal)
        self.faults = faults
        self.over = False
        self.alerts: list[Alert] = []
        self.counts: dict[str, int] = {}
        self._spec = RunSpec(mode=PAPER, ledger_id=ledger_id, config=config, feed="generated:0@1", seed=seed)
        self._intents: list[Record] = []
        self._committing = False
        self._goal: Goal | None = None
        self._found = False
        self._tasks: list[asyncio.Task[Any]] = []
        self.gate: Gate
        self.session: LiveSession
        self.connector: SimulatedConnector

    # --- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the books, connect, reconcile, and trade from the first price on."""
        self._do(self._start())

    async def _start(self) -> None:
        opening = self._opening
        rules = opening.rules
        desk = Desk(dict(opening.instruments), dict(opening.balances), rules, self._spec.seed)
        latency_s = self._config.fills.order_latency_ms / 1000
        self.connector = SimulatedConnector(desk, self.faults, clock=self.clock, latency_s=latency_s)
        self.gate = Gate(self.core, self.learn, self.clock, opening.instruments, self.loop)
        self.note("started")
        for command in opening.commands:
            self.learn(command)
        books = self._books()
        self.connector.list_instruments(dict(books.instruments), fee_prices(self._config, books))
        settings = settings_of(self._spec, books, self.clock())
        self.session = LiveSession(
            self.connector, self._books, self._tell, self.clock, settings, self.alerts.append
        )
        if not self._config.live.dead_man_seconds:
            self.session.dead_man.there = False
        await self.connector.open()
        await self.session.open()
        self._beside(self.connector.listen(Dispatcher(self.session, self.gate, NoTape())))
        await self.session.reconcile("start")
        self._beside(self.session.run())
        self.note("ready")
        self.gate.open()
        feed = RowFeed(self._playback, self.clock, self.connector.on_row)
        self._beside(feed.run()).add_done_callback(self._ended)

    def end(self) -> None:
        """Send nothing more, take a checkpoint, and let go of everything."""
        if hasattr(self, "session"):
            self.session.stop()
            self.gate.close()
            self.note("stopped")
            self.learn(TakeCheckpoint(reason="end of run"))

    def close(self) -> None:
        """Let go of the loop, whatever state the world is in."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            self.loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        if hasattr(self, "connector"):
            self.loop.run_until_complete(self.connector.close())
        self.loop.close()
        asyncio.set_event_loop(None)

    # --- moves -----------------------------------------------------------------------------------------

    def run_until(self, at_ns: int, goal: Goal = lambda report, intents: False) -> bool:
        """Let time pass up to a moment, or to what is waited for; whether that came."""
        wait_ns = at_ns - self.clock()
        if wait_ns <= 0:
            return False
        asyncio.set_event_loop(self.loop)
        self._goal, self._found = goal, False
        timer = self.loop.call_later(wait_ns / NS, self.loop.stop)
        try:
            self.loop.run_forever()
        finally:
            timer.cancel()
            self._goal = None
        return self._found

    def step(self, goal: Goal) -> bool:
        """Let time pass until what is waited for comes; False when the market ends before."""
        return self.run_until(min(self.clock() + LONGEST_STEP_NS, self._playback.end_ns + NS), goal)

    def learn(self, report: Record) -> int:
        """Let the core learn something now."""
        position = self.core.learn(report, self.clock())
        intents = self.core.take_intents()
        name = type(report).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        self._intents += intents
        if intents and not self._committing:
            self._committing = True
            self.loop.call_later(DURABLE_AFTER_S, self._commit)
        self.gate.learned(report)
        if self._goal is not None and not self._found and self._goal(report, intents):
            self._found = True
            self.loop.stop()  # once this turn is over: what happens in one instant happens together
        return position

    def note(self, phase: str) -> None:
        """Record where in its life this world is."""
        self.learn(RunReport(phase=phase, mode="simulation", program=__version__, detail=""))

    # --- inside ----------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(work)

    def _commit(self) -> None:
        self._committing = False
        intents, self._intents = self._intents, []
        for intent in intents:
            self.session.submit(intent, self.clock())

    def _books(self) -> AccountState:
        state: AccountState = self.core.state_of("account")
        return state

    def _tell(self, report: Record) -> None:
        self.learn(report)

    def _beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            self.over = True
            if self._goal is not None:
                self.loop.stop()
