"""The start of a run: ledger, control, exchange, books, session, key, streams, reconciliation, trading.

Law: in this order, each answering before the next begins.  Nothing is traded before books and exchange were
compared, and every command of the start is in the ledger.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import attrs
from pykka import ActorRef

from actors.ports import Connector, ExchangeError
from domain.inputs import OpenAccount, ResumeTrading
from domain.notes import RunReport
from grinder import __version__
from grinder.ledger.quick import store_on
from grinder.ledger.reading import first_time_ns
from grinder.ledger.recorder import open_writer
from grinder.ledger.writer import KEEP_HEAD, WriterActor
from grinder.live.chain_watch import EVERY_S as CHAIN_EVERY_S
from grinder.live.chain_watch import ChainWatch
from grinder.live.control import Controlled, ControlServer
from grinder.live.core_loop import CoreLoop
from grinder.live.disk import REASON as DISK_FULL
from grinder.live.disk import DiskWatch
from grinder.live.error_actions import CONNECTION, ErrorActions
from grinder.live.errors import ErrorTally
from grinder.live.failing_over import PAUSE, Takeover, keep_lease
from grinder.live.gate import Gate
from grinder.live.life import TRADING, Life
from grinder.live.listening import Dispatcher
from grinder.live.patience import settings_of
from grinder.live.session import LiveSession
from grinder.live.spec import PAPER
from grinder.live.terms import request_budget
from grinder.live.watching import Watching
from grinder.log import logger
from grinder.observation.tracing import Tracing, begin

ENDED_BY_A_START = ("stopped", PAUSE)
"""Pauses that are over when a process trades again."""

HEAD_EVERY_S = 5.0
"""After this the ledger's head is kept beside it also when nothing more is recorded."""


async def start(run: Life, watching: Watching, operated: Controlled) -> None:
    """Bring a run to where it trades.

    Args:
        operated: the run as its operator sees it, for the control socket.

    Raises:
        UserError: it cannot start.
        ExchangeError: the exchange does not answer.
    """
    sequence = _Sequence(run, watching, operated)
    for name, step in sequence.steps():
        logger().info("starting", step=name)
        await step()


class _Sequence:
    """The steps, on one run."""

    def __init__(self, run: Life, watching: Watching, operated: Controlled) -> None:
        self._run = run
        self._watching = watching
        self._operated = operated
        self._connector: Connector
        self._session: LiveSession
        self._tracing: Tracing | None = None
        self._takeover = Takeover(run, watching)

    def steps(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """Their names and what they do, in order."""
        return (
            ("ledger", self._ledger),
            ("control", self._control),
            ("exchange", self._run.account.open),
            ("books", self._books),
            ("session", self._open_session),
            ("key", self._run.account.judge),
            ("leftovers", lambda: self._takeover.cancel(self._connector, self._session)),
            ("streams", self._streams),
            ("reconcile", self._reconcile),
            ("trade", self._trade),
        )

    # --- ledger and core -------------------------------------------------------------------------------

    async def _ledger(self) -> None:
        run, watching = self._run, self._watching
        path = run.folder.ledger
        run.application, epoch = open_writer(path)
        recorder = run.application.ledger_recorder
        run.disk = DiskWatch(
            run.folder.path,
            run.spec.config.live.disk_free_mb,
            run.tell,
            paused=DISK_FULL in run.portfolio().pauses.get("", ()),
        )
        run.disk.keep_reserve()
        writer, here = store_on(recorder, epoch, path, run.disk.make_room)
        run.writer = writer
        self._tracing = begin(os.environ, run.clock, run.folder.path.name)
        submit = self._tracing.around(run.submit) if self._tracing else run.submit
        loop_core = run.loop_core = CoreLoop(run.core, writer, run.clock, submit, run.breaks, here)
        if self._tracing is not None:
            loop_core.after_learn.append(self._tracing.learned)
        loop_core.after_learn.append(lambda one: run.noted.learned(one, run.core.now_ns))
        tally = ErrorTally(run.clock, run.learn_soon, watching.notify, run.pace)
        # Before trading, orders an earlier process left open are not errors of this one.
        loop_core.after_learn.append(lambda one: tally.learned(one) if run.phase == TRADING else None)
        self._errors()
        loop_core.measured = watching.group_stored
        watching.measured.watch(run.core)
        loop_core.decided = watching.measured.decided
        loop_core.written = watching.records.rows
        gate = run.gate = Gate(run.core, run.learn, run.clock, run.symbols)
        loop_core.after_learn.append(gate.learned)
        gate.admitted = watching.measured.let_in
        gate.flushing = lambda now_ns, turn: watching.looked(now_ns, turn, run.core.position)
        if run.resumed:
            watching.restore(path)
        if run.tenure is not None:
            run.run_beside("lease", lambda: keep_lease(run, watching))
        await self._report("started", f"resumed {run.resumed} records" if run.resumed else "new ledger")
        await self._takeover.leased()
        run.disk.look()

    def _errors(self) -> None:
        """What follows from errors, and the chain on the disk, checked from where this process took over."""
        run = self._run
        paused = CONNECTION in run.portfolio().pauses.get("", ())
        run.errors = ErrorActions(run.clock, run.learn_soon, self._watching.notify, run.pace, paused=paused)
        run.loop_core.after_learn.append(run.errors.learned)
        run.chain = ChainWatch(
            run.folder.ledger,
            run.core.position,
            run.core.chain,
            lambda: run.loop_core.durable_position,
            run.errors.alert,
        )

    async def _report(self, phase: str, detail: str) -> None:
        report = RunReport(phase=phase, mode=self._run.spec.mode, program=__version__, detail=detail)
        await self._run.command(report)

    async def _control(self) -> None:
        control = self._run.control = ControlServer(self._run.folder.path, self._operated)
        await control.start()
        await self._watching.start(self._run)

    # --- the exchange ----------------------------------------------------------------------------------

    async def _books(self) -> None:
        run = self._run
        if not run.books().opened:
            opening = await run.account.opening(run.spec.ledger_id)
            for command in opening.commands:
                run.learn(command)
        connector = run.account.connect(run.books())
        self._connector = run.connector = self._tracing.connected(connector) if self._tracing else connector
        budget = request_budget(run.spec.config.live, self._connector.capabilities)
        now = run.books().budget
        known = (now.requests, now.window_ns) if now else (0, budget.window_ns)
        if (budget.requests, budget.window_ns) != known:
            run.learn(budget)
        await run.loop_core.durable(run.core.position)

    async def _open_session(self) -> None:
        run, watching = self._run, self._watching
        session = self._session = run.session = LiveSession(
            self._connector,
            run.books,
            run.tell,
            run.clock,
            attrs.evolve(
                settings_of(run.spec, run.books(), run.known_ns),
                opened_ns=first_time_ns(run.folder.ledger, OpenAccount.TOPIC),
            ),
            run.errors.alert,
            inherited=self._inherited,
        )
        if run.tenure is not None:
            session.wire.may_send = run.tenure.holds
        session.wire.on_error = self._request_failed
        session.wire.on_success = run.errors.answered
        run.loop_core.after_learn.append(session.learned)
        watching.measured.attach(session)
        watching.measured.drift_ns = self._drift_ns
        if not run.spec.config.live.dead_man_seconds or run.pace > 1:
            session.dead_man.there = False
        if run.spec.mode == PAPER:
            await self._connector.open()
        await session.open()

    def _request_failed(self, what: str, error: ExchangeError) -> None:
        self._run.errors.failed(error)
        self._watching.measured.failed(what, error)

    def _drift_ns(self) -> int:
        """The clock of the exchange the market comes from, less ours."""
        own = self._run.account.drift_ns
        return self._session.clock_check.drift_ns if own is None else own

    def _inherited(self) -> list[tuple[str, str]]:
        pauses = self._run.portfolio().pauses
        return [(reason, symbol) for symbol in sorted(pauses) for reason in pauses[symbol]]

    async def _streams(self) -> None:
        run = self._run
        tape = await self._watching.open_tape(run)
        dispatcher = Dispatcher(self._session, run.gate, tape, self._watching.measured, run.loop_core.store)
        run.run_beside("streams", lambda: self._connector.listen(dispatcher))
        for number, feed in enumerate(run.account.feeds(dispatcher)):
            run.run_beside(f"feed {number}", feed, ends=True)

    async def _reconcile(self) -> None:
        done = await self._session.reconcile("start")
        logger().info("reconciled", open_orders=done.open_orders, differences=list(done.differences))
        await self._takeover.synchronised(len(done.differences))

    # --- trading ---------------------------------------------------------------------------------------

    async def _trade(self) -> None:
        run = self._run
        if run.tenure is not None and run.tenure.finish:
            logger().warning("the run was being stopped when its process ended: it is stopped now")
            run.request_stop("cancel")
            return
        run.run_beside("session", self._session.run)
        run.run_beside("disk", run.disk.run)
        run.run_beside("ping", self._keep_in_touch)
        run.run_beside("chain", lambda: run.chain.run(CHAIN_EVERY_S * run.pace))
        run.run_beside("head", self._keep_head)
        for reason, symbol in self._inherited():
            if reason in ENDED_BY_A_START:
                run.learn(ResumeTrading(reason=reason, symbol=symbol, operator="start"))
        run.phase = TRADING
        await self._report("ready", "")
        run.gate.open()
        await self._takeover.activated()

    async def _keep_in_touch(self) -> None:
        """See at least every twenty seconds whether the exchange answers."""
        while True:
            await asyncio.sleep(self._session.settings.ping_s)
            await self._session.ping()

    async def _keep_head(self) -> None:
        writer: ActorRef[WriterActor] | None = self._run.writer
        assert writer is not None
        while True:
            await asyncio.sleep(HEAD_EVERY_S * self._run.pace)
            writer.tell(KEEP_HEAD)
