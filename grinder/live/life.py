"""What all parts of a run share: its core, what runs beside it, and that it ends.

Law: the core learns here and nowhere else.  A core that fails, a journal that fails, or a part that ends
unasked ends the process: it is rebuilt by replay, never resumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import attrs
from pykka import ActorRef

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import Connector
from actors.sequencer import CoreFailure
from domain.account_state import AccountState
from domain.inputs import PORTFOLIO
from domain.portfolio_state import PortfolioState
from domain.record import Record
from grinder.ledger.recorder import LedgerApplication
from grinder.ledger.writer import WriterActor
from grinder.live.accounts import TradingAccount, symbols_of
from grinder.live.chain_watch import ChainWatch
from grinder.live.clock import NS, Clock
from grinder.live.control import ControlServer
from grinder.live.core_loop import CoreLoop
from grinder.live.disk import DiskWatch
from grinder.live.error_actions import ErrorActions
from grinder.live.gate import Gate
from grinder.live.noting import Noted
from grinder.live.patience import pace_of
from grinder.live.rebuild import Rebuilt
from grinder.live.session import LiveSession
from grinder.live.spec import RunSpec
from grinder.log import logger
from grinder.run_folder import RunFolder
from grinder.standby.lease import LeaseLost
from grinder.standby.tenure import Tenure

LOOK_BACK_NS = 600 * NS

STARTING, TRADING, STOPPING, STOPPED = "starting", "trading", "stopping", "stopped"


@attrs.define
class Stop:
    """How a run is to end.

    Attributes:
        orders: ``cancel``, ``keep-orders`` or ``flatten``.
        heir: the node that is to take over; empty when the run itself ends.
        hurried: set by a second request: wait for nothing any more.
    """

    orders: str = "cancel"
    heir: str = ""
    hurried: asyncio.Event = attrs.field(factory=asyncio.Event)

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self.hurried.set()


class Life:
    """One process's run, from the point of view of its parts.

    Args:
        broke: told once what ends the run at once, and whether the ledger could be written until then.

    Attributes:
        phase: where in its life it is.
        pace: seconds of the loop in one of ours.
        resumed: records the ledger held when this process took it over.
        known_ns: the ledger holds every execution up to here.
        ending: set once the run is to end; stop_request: how.
        broken: what made it end at once, without a graceful stop.
        tenure: of the lease that lets it trade; None where a run needs none.
        tasks: what runs beside the core, by name.

    The parts without a value here are there once the start has come to them.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        rebuilt: Rebuilt | None,
        account: TradingAccount,
        clock: Clock,
        broke: Callable[[BaseException, bool], None],
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.clock = clock
        self.account = account
        self._broke = broke
        self.core = rebuilt.core if rebuilt else Core(MemoryJournal())
        self.resumed = rebuilt.records if rebuilt else 0
        # An execution may be some time on its way to a list, so a restart looks back beyond its last record.
        self.known_ns = rebuilt.last_ns - LOOK_BACK_NS if rebuilt and rebuilt.last_ns else clock()
        self.symbols = symbols_of(spec.config)
        self.pace = pace_of(spec)
        self.phase = STARTING
        self.ending = asyncio.Event()
        self.stop_request = Stop()
        self.broken: BaseException | None = None
        self.tenure: Tenure | None = None
        self.noted = Noted()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.loop_core: CoreLoop
        self.gate: Gate
        self.disk: DiskWatch
        self.errors: ErrorActions
        self.chain: ChainWatch
        self.application: LedgerApplication
        self.writer: ActorRef[WriterActor] | None = None
        self.session: LiveSession | None = None
        self.connector: Connector | None = None
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

    async def command(self, command: Record) -> int:
        """Learn a command; its position, when it is durable."""
        position = self.learn(command)
        await self.loop_core.durable(position)
        return position

    def submit(self, intent: Record, now_ns: int) -> None:
        """Hand an intent that is durable to the session."""
        if self.session is not None and self.broken is None:
            self.session.submit(intent, now_ns)

    def books(self) -> AccountState:
        """The account as it is now."""
        state: AccountState = self.core.state_of("account")
        return state

    def portfolio(self) -> PortfolioState:
        """The portfolio as it is now."""
        state: PortfolioState = self.core.state_of(PORTFOLIO)
        return state

    # --- beside the core -------------------------------------------------------------------------------

    def run_beside(self, name: str, work: Callable[[], Awaitable[None]], *, ends: bool = False) -> None:
        """Keep a part running; one that ends unasked ends the run (`ends`: it may, as a feed does)."""

        async def guarded() -> None:
            await work()

        task = asyncio.create_task(guarded(), name=name)
        self.tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done, ends))

    def _ended(self, name: str, task: asyncio.Task[None], ends: bool) -> None:
        if task.cancelled():
            return
        failure = task.exception()
        if self.ending.is_set() and not isinstance(failure, LeaseLost):
            return
        if failure is not None:
            self.breaks(failure)
        elif not ends:
            self.breaks(RuntimeError(f"{name} ended by itself"))
        elif self.spec.until_end:
            logger().info("the feed has ended")
            self.request_stop("cancel")

    # --- the end ---------------------------------------------------------------------------------------

    def request_stop(self, orders: str, heir: str = "") -> None:
        """End the run, doing with its orders as asked; asked twice, it ends without waiting for them.

        Args:
            heir: the node that goes on with it; empty when nobody is to.
        """
        if self.ending.is_set():
            self.stop_request.hurry()
            return
        self.stop_request.orders = orders
        self.stop_request.heir = heir
        self.ending.set()

    def breaks(self, failure: BaseException) -> None:
        """End the run at once: nothing more is sent, nothing is put in order."""
        if self.broken is None:
            self.broken = failure
            self._broke(failure, not self.journal_failed())
        if self.session is not None:
            self.session.stop()
        if hasattr(self, "gate"):
            self.gate.close()
        self.ending.set()

    def journal_failed(self) -> bool:
        """Whether it is the ledger that could not be written."""
        return hasattr(self, "loop_core") and self.loop_core.failure is not None
