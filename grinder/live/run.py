"""A live run: everything wired, started in order, and watched until it is to end.

Law: ledger, core, session, key, reconciliation, trading, each answering before the next starts; and back in
reverse.  A core that fails, a journal that fails, or a part that ends unasked ends the process: it is rebuilt
by replay, never resumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import Connector, ExchangeError
from actors.sequencer import CoreFailure
from domain.account_state import AccountState
from domain.inputs import (
    CorrectBalance,
    ReconciliationReport,
    ResumeTrading,
    RunReport,
    StreamReport,
)
from domain.instrument import LINEAR
from domain.portfolio_state import PortfolioState
from domain.record import Record
from grinder import __version__
from grinder.errors import ExitStatus
from grinder.ledger.head import HeadKeeper
from grinder.ledger.recorder import LedgerApplication, open_writer
from grinder.ledger.writer import KEEP_HEAD, JournalFailed, WriterActor
from grinder.live.accounts import TradingAccount, symbols_of
from grinder.live.chain_watch import EVERY_S as CHAIN_EVERY_S
from grinder.live.chain_watch import ChainWatch
from grinder.live.clock import NS, Clock
from grinder.live.control import ControlServer
from grinder.live.core_loop import CoreLoop
from grinder.live.disk import REASON as DISK_FULL
from grinder.live.disk import DiskWatch
from grinder.live.error_actions import CONNECTION, ErrorActions
from grinder.live.errors import ErrorTally
from grinder.live.feeds import parse_feed
from grinder.live.gate import Gate
from grinder.live.listening import Dispatcher
from grinder.live.rebuild import Rebuilt
from grinder.live.session import LiveSession, SessionSettings
from grinder.live.spec import PAPER, RunSpec
from grinder.live.status import core_status
from grinder.live.stopping import Stop, stop
from grinder.live.terms import request_budget
from grinder.live.watching import Watching
from grinder.log import logger
from grinder.run_folder import RunFolder
from grinder.scaling import FEWEST_DECIMALS

LOOK_BACK_NS = 600 * NS

HEAD_EVERY_S = 5.0
"""After this the ledger's head is kept beside it also when nothing more is recorded."""

STARTING, TRADING, STOPPING, STOPPED = "starting", "trading", "stopping", "stopped"


class LiveRun:
    """One process's run.

    Attributes:
        phase: where in its life it is.
        pace: seconds of the loop in one of ours.
        ending: set once the run is to end.
        broken: what made it end at once, without a graceful stop.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        rebuilt: Rebuilt | None,
        account: TradingAccount,
        clock: Clock,
        watching: Watching,
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.clock = clock
        self.account = account
        self.watching = watching
        self.core = rebuilt.core if rebuilt else Core(MemoryJournal())
        self.resumed = rebuilt.records if rebuilt else 0
        # An execution may be some time on its way to a list, so a restart looks back beyond its last record.
        self.known_ns = rebuilt.last_ns - LOOK_BACK_NS if rebuilt and rebuilt.last_ns else clock()
        self.symbols = symbols_of(spec.config)
        self.pace = max(1.0, parse_feed(spec.feed).speed) if spec.mode == PAPER else 1.0
        self.phase = STARTING
        self.ending = asyncio.Event()
        self.stop_request = Stop()
        self.broken: BaseException | None = None
        self.fills = 0
        self.last_reconciled_ns = 0
        self.amounts: ReconciliationReport | None = None
        self.streams: dict[str, str] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.loop_core: CoreLoop
        self.session: LiveSession | None = None
        self.connector: Connector | None = None
        self.gate: Gate
        self.disk: DiskWatch
        self.errors: ErrorActions
        self.chain: ChainWatch
        self.application: LedgerApplication
        self.writer: Any = None
        self.control: ControlServer | None = None

    # --- the core --------------------------------------------------------------------------------------

    def learn(self, report: Record) -> int:
        """Let the core learn; a failure ends the run."""
        try:
            return self.loop_core.learn(report)
        except CoreFailure as failure:
            self.breaks(failure)
            raise

    def tell(self, report: Record) -> None:
        """The session's way to the core."""
        self.learn(report)

    def note(self, report: Record) -> None:
        """Record a note, as long as there is a ledger to hold it."""
        if self.broken is None and self.phase != STOPPED:
            self.learn(report)

    def learn_soon(self, report: Record) -> None:
        """Record something that was found out in the middle of another input."""
        asyncio.get_running_loop().call_soon(self.note, report)

    def books(self) -> AccountState:
        """The account as it is now."""
        state: AccountState = self.core.state_of("account")
        return state

    def breaks(self, failure: BaseException) -> None:
        """End the run at once: nothing more is sent, nothing is put in order."""
        if self.broken is None:
            self.broken = failure
            stored = not hasattr(self, "loop_core") or self.loop_core.failure is None
            self.watching.broke(failure, stored)
        if self.session is not None:
            self.session.stop()
        if self.gate_exists():
            self.gate.close()
        self.ending.set()

    def gate_exists(self) -> bool:
        """Whether the start came as far as the gate."""
        return hasattr(self, "gate")

    def _submit(self, intent: Record, now_ns: int) -> None:
        if self.session is not None and self.broken is None:
            self.session.submit(intent, now_ns)

    def _note(self, report: Record) -> None:
        """What the status shows of the inputs that went by."""
        name = type(report).__name__
        if name == "FillReport":
            self.fills += 1
        elif isinstance(report, ReconciliationReport):
            self.last_reconciled_ns = self.core.now_ns
            if not report.in_flight:
                self.amounts = report
        elif isinstance(report, StreamReport) and report.state in ("up", "down"):
            self.streams[report.stream] = report.state  # after a gap it is up as before

    # --- the start -------------------------------------------------------------------------------------

    async def main(self) -> ExitStatus:
        """Run from the start to the end; how it ended."""
        starting = asyncio.create_task(self._start(), name="start")
        ending = asyncio.create_task(self.ending.wait())
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                try:
                    await starting  # a start that failed says why
                except JournalFailed:
                    if self.broken is None:
                        raise  # the journal itself has said already why the run ends
                await ending
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        finally:
            ending.cancel()
            status = await stop(self)
        return status

    async def _start(self) -> None:
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("ledger", self._start_ledger),
            ("control", self._start_control),
            ("exchange", self.account.open),
            ("books", self._open_books),
            ("session", self._start_session),
            ("key", self.account.judge),
            ("streams", self._start_streams),
            ("reconcile", self._reconcile),
            ("trade", self._trade),
        )
        for name, step in steps:
            logger().info("starting", step=name)
            await step()

    async def _start_ledger(self) -> None:
        path = self.folder.ledger
        self.application, epoch = open_writer(path)
        recorder = self.application.ledger_recorder
        portfolio = self.core.state_of("portfolio")
        self.disk = DiskWatch(
            self.folder.path,
            self.spec.config.live.disk_free_mb,
            self.tell,
            paused=DISK_FULL in portfolio.pauses.get("", ()),
        )
        self.disk.keep_reserve()
        self.writer = WriterActor.start(recorder, epoch, self.disk.make_room, HeadKeeper(path))
        self.loop_core = CoreLoop(self.core, self.writer, self.clock, self._submit, self.breaks)
        self.loop_core.after_learn.append(self._note)
        self.loop_core.after_learn.append(self.watching.learned)
        tally = ErrorTally(self.clock, self.learn_soon, self.watching.notify, self.pace)
        # Before trading, orders an earlier process left open are not errors of this one.
        self.loop_core.after_learn.append(lambda one: tally.learned(one) if self.phase == TRADING else None)
        self._start_errors(portfolio)
        self.loop_core.measured = self.watching.group_stored
        self.watching.measured.watch(self.core)
        self.loop_core.decided = self.watching.measured.decided
        self.loop_core.written = self.watching.records.rows
        self.gate = Gate(self.core, self.learn, self.clock, self.symbols)
        self.loop_core.after_learn.append(self.gate.learned)
        self.gate.admitted = self.watching.measured.let_in
        self.gate.flushing = lambda now_ns, turn: self.watching.looked(now_ns, turn, self.core.position)
        if self.resumed:
            self.watching.restore(path)
        detail = f"resumed {self.resumed} records" if self.resumed else "new ledger"
        await self.command(
            RunReport(phase="started", mode=self.spec.mode, program=__version__, detail=detail)
        )
        self.disk.look()

    def _start_errors(self, portfolio: PortfolioState) -> None:
        """What follows from errors, and the chain on the disk, checked from where this process took over."""
        paused = CONNECTION in portfolio.pauses.get("", ())
        notify, core = self.watching.notify, self.core
        self.errors = ErrorActions(self.clock, self.learn_soon, notify, self.pace, paused=paused)
        self.loop_core.after_learn.append(self.errors.learned)
        self.chain = ChainWatch(
            self.folder.ledger,
            core.position,
            core.chain,
            lambda: self.loop_core.durable_position,
            self.errors.alert,
        )

    def _request_failed(self, what: str, error: ExchangeError) -> None:
        self.errors.failed(error)
        self.watching.measured.failed(what, error)

    async def _start_control(self) -> None:
        self.control = ControlServer(self.folder.path, self)
        await self.control.start()
        await self.watching.start(self)

    async def _open_books(self) -> None:
        if not self.books().opened:
            opening = await self.account.opening(self.spec.ledger_id)
            for command in opening.commands:
                self.learn(command)
        self.connector = self.account.connect(self.books())
        budget = request_budget(self.spec.config.live, self.connector.capabilities)
        now = self.books().budget
        if (budget.requests, budget.window_ns) != (
            (now.requests, now.window_ns) if now else (0, budget.window_ns)
        ):
            self.learn(budget)
        await self.loop_core.durable(self.core.position)

    async def _start_session(self) -> None:
        assert self.connector is not None
        self.session = LiveSession(
            self.connector,
            self.books,
            self.tell,
            self.clock,
            settings_of(self.spec, self.books(), self.known_ns),
            self.errors.alert,
            inherited=self._inherited,
        )
        self.session.wire.on_error = self._request_failed
        self.session.wire.on_success = self.errors.answered
        self.watching.measured.attach(self.session)
        self.watching.measured.drift_ns = self._drift_ns
        if not self.spec.config.live.dead_man_seconds or self.pace > 1:
            self.session.dead_man.there = False
        if self.spec.mode == PAPER:
            await self.connector.open()
        await self.session.open()

    def _drift_ns(self) -> int:
        """The clock of the exchange the market comes from, less ours."""
        assert self.session is not None
        own = self.account.drift_ns
        return self.session.clock_check.drift_ns if own is None else own

    def _inherited(self) -> list[tuple[str, str]]:
        pauses = self.core.state_of("portfolio").pauses
        return [(reason, symbol) for symbol in sorted(pauses) for reason in pauses[symbol]]

    async def _start_streams(self) -> None:
        assert self.connector is not None and self.session is not None
        tape = await self.watching.open_tape(self)
        dispatcher = Dispatcher(self.session, self.gate, tape, self.watching.measured)
        connector = self.connector
        self.run_beside("streams", lambda: connector.listen(dispatcher))
        for number, feed in enumerate(self.account.feeds(dispatcher)):
            self.run_beside(f"feed {number}", feed, ends=True)

    async def _reconcile(self) -> None:
        assert self.session is not None
        done = await self.session.reconcile("start")
        logger().info("reconciled", open_orders=done.open_orders, differences=list(done.differences))

    async def _trade(self) -> None:
        session = self.session
        assert session is not None
        self.run_beside("session", session.run)
        self.run_beside("disk", self.disk.run)
        self.run_beside("ping", self._keep_in_touch)
        self.run_beside("chain", lambda: self.chain.run(CHAIN_EVERY_S * self.pace))
        self.run_beside("head", self._keep_head)
        for reason, symbol in self._inherited():
            if reason == "stopped":
                self.learn(ResumeTrading(reason=reason, symbol=symbol, operator="start"))
        self.phase = TRADING
        await self.command(RunReport(phase="ready", mode=self.spec.mode, program=__version__, detail=""))
        self.gate.open()

    async def _keep_in_touch(self) -> None:
        """See at least every twenty seconds whether the exchange answers."""
        assert self.session is not None
        while True:
            await asyncio.sleep(self.session.settings.ping_s)
            await self.session.ping()

    async def _keep_head(self) -> None:
        while True:
            await asyncio.sleep(HEAD_EVERY_S * self.pace)
            self.writer.tell(KEEP_HEAD)

    # --- beside the core -------------------------------------------------------------------------------

    def run_beside(self, name: str, work: Callable[[], Awaitable[None]], *, ends: bool = False) -> None:
        """Keep a part running; one that ends unasked ends the run (`ends`: it may, as a feed does)."""

        async def guarded() -> None:
            await work()

        task = asyncio.create_task(guarded(), name=name)
        self.tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done, ends))

    def _ended(self, name: str, task: asyncio.Task[None], ends: bool) -> None:
        if task.cancelled() or self.ending.is_set():
            return
        failure = task.exception()
        if failure is not None:
            self.breaks(failure)
        elif not ends:
            self.breaks(RuntimeError(f"{name} ended by itself"))
        elif self.spec.until_end:
            logger().info("the feed has ended")
            self.request_stop("cancel")

    # --- for the operator ------------------------------------------------------------------------------

    async def command(self, command: Record) -> int:
        """Learn a command; its position, when it is durable."""
        position = self.learn(command)
        await self.loop_core.durable(position)
        return position

    def request_stop(self, orders: str) -> None:
        """End the run, doing with its orders as asked; asked twice, it ends without waiting for them."""
        if self.ending.is_set():
            self.stop_request.hurry()
            return
        self.stop_request.orders = orders
        self.ending.set()

    async def differences(self, symbol: str) -> list[CorrectBalance]:
        """What makes the books of a symbol agree with the exchange, asked now."""
        assert self.session is not None
        await self.session.reconcile("operator")
        books, seen = self.books(), self.amounts
        if seen is None:
            return []
        instrument = books.instruments[symbol]
        found = []
        positions, balances = dict(seen.positions), dict(seen.balances)
        if instrument.kind == LINEAR and symbol in positions:
            held = books.positions.get(symbol)
            units = positions[symbol] - (held.units if held else 0)
            found.append((symbol, units, self.gate.prices.get(symbol, 0)))
        assets = (instrument.quote,) if instrument.kind == LINEAR else (instrument.base, instrument.quote)
        found += [
            (asset, balances[asset] - books.balances.get(f"wallet:{asset}", 0), 0)
            for asset in assets
            if asset in balances
        ]
        return [
            CorrectBalance(
                subject=subject,
                units=units,
                price_ticks=price,
                reason="accepted after a difference",
                operator="operator",
            )
            for subject, units, price in found
            if units
        ]

    def status(self) -> dict[str, Any]:
        """Everything there is to see."""
        return {
            "run": str(self.folder.path),
            "mode": self.spec.mode,
            "feed": self.spec.feed,
            "exchange": self.spec.config.account.exchange.value,
            "phase": self.phase,
            "now_ns": self.clock(),
            "durable_position": self.loop_core.durable_position,
            "resumed_records": self.resumed,
            "fills": self.fills,
            "prices_seen": self.gate.seen,
            "prices_let_in": self.gate.let_in,
            "last_reconciliation_ns": self.last_reconciled_ns,
            "streams": dict(self.streams),
            "dead_man_seconds": self._dead_man(),
            "disk_low": self.disk.is_low,
            "errors": self.errors.counts(),
            **core_status(self.core, self.gate.prices),
        }

    def _dead_man(self) -> int:
        there = self.session is not None and self.session.dead_man.there
        return self.spec.config.live.dead_man_seconds if there else 0

    async def health(self) -> dict[str, Any]:
        """Whether all is well."""
        return await self.watching.health(self)


PATIENCE = (
    "request_timeout_s",
    "acknowledgement_s",
    "cancel_confirm_s",
    "cancel_all_s",
    "fills_every_s",
    "degraded_every_s",
    "stale_after_s",
    "stuck_every_s",
    "pending_s",
    "stuck_s",
    "missing_s",
    "difference_s",
    "quote_pause_s",
    "quote_cancel_s",
    "clock_every_s",
    "rules_every_s",
    "ping_s",
)
"""Settings of the session that say how long something may be silent or how often to look."""


def settings_of(spec: RunSpec, books: AccountState, known_ns: int) -> SessionSettings:
    """The session's settings of a configuration; the ledger holds every execution up to `known_ns`."""
    live = spec.config.live
    # On a market that is played fast, a hiccup of this machine is hours there: silence is judged by our time.
    pace = max(1.0, parse_feed(spec.feed).speed) if spec.mode == PAPER else 1.0
    usual = SessionSettings(
        ledger_id=spec.ledger_id,
        known_until_ns=known_ns,
        reconcile_every_s=max(float(live.reconcile_seconds), pace / 4),
        stale_after_s=float(live.stale_seconds),
        quote_pause_s=float(live.stale_seconds),
        quote_cancel_s=float(max(120, 4 * live.stale_seconds)),
        dead_man_s=live.dead_man_seconds,
        drift_max_ms=live.clock_drift_ms,
        decimals=dict.fromkeys(_third_assets(spec, books), FEWEST_DECIMALS),
    )
    return attrs.evolve(usual, **{name: getattr(usual, name) * pace for name in PATIENCE})


def _third_assets(spec: RunSpec, books: AccountState) -> list[str]:
    named = {one.base for one in books.instruments.values()} | {
        one.quote for one in books.instruments.values()
    }
    wallets = [name.removeprefix("wallet:") for name in books.balances if name.startswith("wallet:")]
    return sorted(asset for asset in wallets if asset not in named)
