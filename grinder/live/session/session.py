"""The session: one account on one exchange, between the core and the wire.

Law: it decides nothing about trading.  It carries out intents, finds out what became of them, and tells; it
pauses trading when it cannot see or cannot speak, and says so.  Everything runs on one event loop with an
injected clock.  After `stop` nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from actors.ports import ClockSkewed, Connector, ExchangeError, Expired, Gap, OrderSnapshot, Quote, Signal
from domain.account import AccountState
from domain.inputs import CorrectBalance, FillReport, FundingReport
from domain.notes import StreamReport
from domain.order_events import CancelSubmitted, OrderSubmitted, OrphanCancelSubmitted
from domain.orders import OrderStatus
from domain.record import Record
from grinder.live.session.backfilling import Backfilling
from grinder.live.session.cancelling import Cancelling
from grinder.live.session.checking import ClockCheck, RulesCheck, StuckCheck
from grinder.live.session.guarding import STOPPING, Circuit, DataAge, DeadMan
from grinder.live.session.merging import STREAM, Merger
from grinder.live.session.pausing import OWN, Pauses
from grinder.live.session.placing import Placing
from grinder.live.session.reconciling import OPERATOR, PERIODIC, RECONNECT, START, Reconciled, Reconciling
from grinder.live.session.resolving import Resolving
from grinder.live.session.settings import NS, SessionSettings
from grinder.live.session.wire import MAINTENANCE, Wire
from grinder.observation.alerts import Notify

_DATA_AGE_EVERY_S = 5.0
_AUDIT_EVERY_S = 5.0
_KEEP_TRIES = 3


class LiveSession:
    """An `ExchangeSession` on a `Connector`, and the `Listener` of its private streams.

    Args:
        books: the account's state as it is now.
        tell: hands a report to the core and returns when the books show it.
        inherited: pauses in force at the start, as (reason, symbol); None resumes all of ours, unasked.
    """

    outlives_process: ClassVar[bool] = True

    def __init__(
        self,
        connector: Connector,
        books: Callable[[], AccountState],
        tell: Callable[[Record], None],
        clock: Callable[[], int],
        settings: SessionSettings,
        notify: Notify,
        *,
        inherited: Callable[[], list[tuple[str, str]]] | None = None,
    ) -> None:
        self.wire = wire = Wire(connector, books, tell, clock, settings, notify)
        self.settings = settings
        self.pauses = Pauses(wire)
        self.placing = Placing(wire)
        self.merger = Merger(wire)
        self.resolving = Resolving(wire, self.merger, self.placing)
        self.cancelling = Cancelling(wire, self.merger, self.placing)
        self.backfilling = Backfilling(wire, self.merger, self.resolving)
        self.reconciling = Reconciling(
            wire, self.merger, self.placing, self.cancelling, self.resolving, self.backfilling
        )
        self.dead_man = DeadMan(wire)
        self.circuit = Circuit(wire, self.pauses, self.dead_man)
        self.data_age = DataAge(wire, self.pauses)
        self.clock_check = ClockCheck(wire, self.pauses)
        self.rules_check = RulesCheck(wire, self.pauses)
        self.stuck_check = StuckCheck(wire, self.placing, self.cancelling, self.resolving)
        self.degraded = False
        """The private stream is down or owes us something: executions are fetched more often."""
        self._inherited = inherited
        self._private: dict[str, bool] = {}
        self._wanted: dict[str, bool] = {}
        self._pumped = False
        self._connect()

    def _connect(self) -> None:
        """Who tells whom; the parts know each other only by what they need."""
        wire = self.wire
        wire.on_failure = self._failed
        self.placing.resolve = self.resolving.resolve
        self.placing.resolve_soon = self.resolving.expect
        self.placing.ask = self.resolving.look
        self.placing.on_filter = self.rules_check.soon
        self.placing.guards = self.dead_man.guards
        self.placing.on_answer = self._pump
        self.merger.want_fills = self.backfilling.soon
        self.merger.want_query = self.resolving.look
        self.merger.want_reconciliation = lambda why: self._reconcile_soon(OPERATOR)
        self.merger.cancel_wanted = self.cancelling.wants
        self.merger.on_late_fill = self.backfilling.late
        self.merger.on_stream_fill = self.backfilling.delivered
        self.cancelling.resolve = self._missing
        self.resolving.backfill = self.backfilling.symbol
        self.backfilling.on_stale = self._stale
        self.circuit.cancel_working = self._cancel_all
        self.circuit.reconcile = self._reconciled_well
        self.data_age.cancel_working = self._cancel_all

    # --- the core's side -------------------------------------------------------------------------------

    def submit(self, intent: Record, now_ns: int) -> None:
        """Carry out an intent; cancels leave before orders that were decided at the same time."""
        if self.wire.stopped:
            self.wire.log.warning("intent_after_stop", topic=intent.TOPIC)
            return
        self.wire.log.info("intent", topic=intent.TOPIC, order=_order_of(intent))
        if isinstance(intent, OrderSubmitted):
            self.placing.add(intent.terms)
        elif isinstance(intent, CancelSubmitted):
            self.cancelling.want(intent.client_order_id, intent.symbol)
        elif isinstance(intent, OrphanCancelSubmitted):
            self.cancelling.want_orphan(intent.client_order_id, intent.exchange_order_id, intent.symbol)
        self._pump_soon()

    def learned(self, report: Record) -> None:
        """Look at an input of somebody else that the core has learned."""
        if isinstance(report, CorrectBalance):
            self.reconciling.corrected(report.subject)

    def _pump_soon(self) -> None:
        if not self._pumped:
            self._pumped = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pumped = False
        self.cancelling.pump()
        self.placing.pump()

    # --- the streams' side -----------------------------------------------------------------------------

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Raw frames are for the tape."""

    def signal(self, stream: str, signal: Signal) -> None:
        """What a frame meant."""
        if self.wire.stopped:
            return
        if isinstance(signal, Quote):
            self.data_age.quoted(signal.symbol)
        elif isinstance(signal, OrderSnapshot):
            self._private[stream] = True
            self.merger.observe(signal, STREAM)
            self._pump_soon()
        elif isinstance(signal, FillReport):
            self._private[stream] = True
            self.merger.fill(signal, STREAM)
        elif isinstance(signal, FundingReport):
            self.merger.funding(signal)
        elif isinstance(signal, Gap):
            self._gap(stream, signal.detail)
        elif isinstance(signal, Expired):
            self._gap(stream, f"expired: {signal.detail}")

    def frame_end(self, stream: str) -> None:
        """What a frame led to is the core's to look at."""

    def stream_up(self, stream: str) -> None:
        """A stream is connected: a private one is filled in from REST at once."""
        self.wire.tell(StreamReport(stream=stream, state="up", detail=""))
        if not self._is_private(stream):
            return
        self.backfilling.stream_up_ns = self.wire.clock()
        self.degraded = False
        if self.wire.ready:
            self._reconcile_soon(RECONNECT)

    def stream_down(self, stream: str, reason: str) -> None:
        """A stream is gone: until it is back, executions come by REST."""
        self.wire.tell(StreamReport(stream=stream, state="down", detail=reason))
        if self._is_private(stream):
            self.backfilling.stream_up_ns = 0
            self.degraded = True

    def _is_private(self, stream: str) -> bool:
        name = stream.lower()
        if "private" in name or "user" in name or "execution" in name:
            self._private[stream] = True
        return stream in self._private

    def _gap(self, stream: str, detail: str) -> None:
        self.wire.tell(StreamReport(stream=stream, state="gap", detail=detail))
        if MAINTENANCE in detail.lower() and self.wire.ready:
            self.wire.spawn(self.expect_maintenance(detail))
        if self._is_private(stream):
            if self.backfilling.stream_up_ns:  # what was before the gap it does not owe us any more
                self.backfilling.stream_up_ns = self.wire.clock()
            for symbol in self.backfilling.symbols():
                self.backfilling.soon(symbol)
            self._reconcile_soon(RECONNECT)

    def _stale(self, detail: str) -> None:
        """The private stream answers pings and says nothing: renew it."""
        names = sorted(self._private) or [""]
        self.degraded = True
        for stream in names:
            self.wire.tell(StreamReport(stream=stream or "private", state="stale", detail=detail))
            self.wire.connector.reconnect(stream)
        self.backfilling.stream_up_ns = 0
        self.wire.alert("WARNING", "private_stream_stale", detail)

    # --- requests gone wrong ---------------------------------------------------------------------------

    def _failed(self, error: ExchangeError) -> None:
        if isinstance(error, ClockSkewed):
            self.clock_check.soon()
        self.circuit.failed(error)

    def _missing(self, order_id: str) -> None:
        """A query says that an order is not known, as it was cancelled."""
        order = self.wire.order(order_id)
        if order is None:
            return
        if order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
            self.resolving.resolve(order_id)
        else:
            self._reconcile_soon(OPERATOR)

    def _cancel_all(self, symbol: str, why: str) -> None:
        """Cancel what works on a symbol, or everything."""
        for order_id, order in self.wire.working():
            if symbol in ("", order.symbol):
                self.cancelling.want(order_id, order.symbol)
        self.wire.alert("WARNING", "cancelling_orders", why, symbol)
        self.cancelling.pump()

    # --- life ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Measure the clock, read the rules and arm the dead-man switch; nothing is traded yet."""
        await self.clock_check.check()
        await self.rules_check.check()
        await self.dead_man.refresh()

    async def reconcile(self, cause: str = OPERATOR) -> Reconciled:
        """Compare books and exchange; ``start`` repeats itself until complete, and orders leave after it."""
        done = await self.reconciling.reconcile(cause)
        if cause == START and done.complete and not self.wire.ready:
            await self._settle()
            self._inherit()
            self.wire.ready = True
            self.circuit.resume_probing()
            await self.clock_check.check()
            await self.rules_check.check()
            self._pump()
        return done

    async def _settle(self) -> None:
        """What an earlier process left open is settled before anything new leaves.

        An order of unknown outcome is waited for so long and no longer: it keeps its level, and is asked for
        on.  An orphan works beside the levels, so it must be gone.
        """
        wire = self.wire
        patience_ns = int(self.settings.start_settle_s * NS)
        deadline = wire.clock() + patience_ns
        while not wire.stopped:
            unknown = [order_id for order_id, order in wire.working() if order.status is OrderStatus.UNKNOWN]
            orphans = [seen.client_order_id for seen in self.merger.orphans.values()]
            if not unknown and not orphans:
                return
            if wire.clock() >= deadline:
                if not orphans:
                    text = f"trading starts although nobody knows of these: {', '.join(unknown[:10])}"
                    wire.alert("WARNING", "unsettled_start", text)
                    return
                text = f"trading does not start before these are cancelled: {', '.join(orphans[:10])}"
                wire.alert("CRITICAL", "unsettled_start", text)
                deadline = wire.clock() + patience_ns
                await self.reconciling.reconcile(OPERATOR)  # those nobody cancels are reported again
            await asyncio.sleep(0.25)

    def _inherit(self) -> None:
        """Pauses of an earlier process: resumed here unless their cause is found again."""
        if self._inherited is not None:
            inherited = self._inherited()
        elif self.wire.books().orders:
            symbols = ["", *self.backfilling.symbols()]
            inherited = [(reason, symbol) for reason in sorted(OWN) for symbol in symbols]
        else:
            inherited = []
        self.pauses.inherit(inherited)
        for reason, symbol in inherited:
            if reason in OWN:
                self.pauses.resume(reason, symbol)

    async def run(self) -> None:
        """The periodic work, until cancelled.

        Raises:
            Exception: whatever a task of the session failed with unexpectedly; the run must end.
        """
        loop = asyncio.get_running_loop()
        self.wire.failure = failure = loop.create_future()
        if self.wire.broken is not None:
            raise self.wire.broken
        settings = self.settings
        self.wire.spawn(self._every(lambda: settings.reconcile_every_s, self._periodic))
        self.wire.spawn(self._every(self._fills_every_s, self._fetch))
        self.wire.spawn(self._every(lambda: settings.stuck_every_s, self._check_stuck))
        self.wire.spawn(self._every(lambda: _AUDIT_EVERY_S, self._audit))
        self.wire.spawn(self._every(lambda: settings.clock_every_s, self.clock_check.check))
        self.wire.spawn(self._every(lambda: settings.rules_every_s, self.rules_check.check))
        if self.dead_man.there:
            self.wire.spawn(self._every(self.dead_man.every_s, self.dead_man.refresh))
        await failure

    async def _every(self, period_s: Callable[[], float], work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(period_s())
            await work()

    def _fills_every_s(self) -> float:
        return self.settings.degraded_every_s if self.degraded else self.settings.fills_every_s

    async def _periodic(self) -> None:
        await self.reconcile(PERIODIC)
        self.placing.forget_ended()

    async def _fetch(self) -> None:
        await self.backfilling.all()

    async def _check_stuck(self) -> None:
        self.stuck_check.check()

    async def ping(self) -> None:
        """Ask the exchange for something when nothing was answered for a while."""
        if self.wire.clock() - self.wire.answered_ns >= int(self.settings.ping_s * NS):
            await self.clock_check.check()

    async def _audit(self) -> None:
        self.backfilling.audit()
        self.data_age.check()
        self._pump()

    def _reconcile_soon(self, cause: str) -> None:
        if cause not in self._wanted:
            self._wanted[cause] = True
            self.wire.spawn(self._reconcile(cause))

    async def _reconcile(self, cause: str) -> None:
        delay_s = self.settings.fill_grace_s
        try:
            while True:
                await asyncio.sleep(delay_s)
                free_in_s = (self.wire.free_at_ns() - self.wire.clock()) / NS
                if free_in_s > 0:
                    delay_s = min(free_in_s, 3_600.0)
                elif (await self.reconcile(cause)).complete:
                    return
                else:
                    delay_s = min(30.0, max(1.0, delay_s * 2))
        finally:
            self._wanted.pop(cause, None)

    async def _reconciled_well(self) -> bool:
        return (await self.reconcile(RECONNECT)).complete

    # --- the end ---------------------------------------------------------------------------------------

    async def expect_maintenance(self, text: str) -> None:
        """Announced maintenance: pause, and take the dead-man switch off before it fires."""
        await self.circuit.expect_maintenance(text)

    async def cancel_working(self) -> tuple[str, ...]:
        """Cancel every order of ours and see that none is left; returns the ids that are."""
        wire = self.wire
        deadline = wire.clock() + int(self.settings.cancel_all_s * NS)
        ending = wire.refuses(STOPPING)
        wire.refuse(STOPPING)
        self._pump()
        try:
            while not wire.stopped:
                for order_id, order in wire.working():
                    self.cancelling.want(order_id, order.symbol)
                self.cancelling.pump()
                if not wire.working() and not self.cancelling.busy() and await self._none_listed():
                    return ()
                if wire.clock() >= deadline:
                    break
                await asyncio.sleep(0.25)
        finally:
            if not ending:
                wire.accept(STOPPING)
        left = [order_id for order_id, _ in wire.working()]
        left += sorted(seen.client_order_id for seen in self.merger.orphans.values())
        wire.alert("CRITICAL", "orders_left", f"{len(left)} orders may still work: {', '.join(left[:10])}")
        return tuple(left)

    async def _none_listed(self) -> bool:
        """Whether the exchange lists no order of ours; one that it lists is taken in."""
        try:
            listed = await self.wire.read("open_orders", self.wire.connector.open_orders)
        except ExchangeError:
            await asyncio.sleep(1.0)
            return False
        ours = [one for one in listed if self.wire.ours(one.client_order_id)]
        for one in ours:
            order = self.wire.order(one.client_order_id)
            if order is None or order.status is not OrderStatus.ABSENT:
                self.cancelling.want_orphan(one.client_order_id, one.exchange_order_id, one.symbol)
            else:
                self.merger.observe(one, STREAM)
        return not ours

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        deadline = self.wire.clock() + int(timeout_s * NS)
        self.wire.refuse(STOPPING)
        self._pump()
        while self.placing.busy() or self.cancelling.under_way():
            if self.wire.clock() >= deadline or self.wire.stopped:
                return False
            await asyncio.sleep(0.1)
        return True

    async def release(self, *, keep_orders: bool = False) -> bool:
        """Take the dead-man switch off, as the last request of all; whether it is off.

        It stays armed while an order of ours may work, unless orders are to be kept: it would cancel them.
        """
        self.wire.refuse(STOPPING)
        if keep_orders:
            await self.dead_man.disarm("orders are kept", tries=_KEEP_TRIES)
        elif not self.wire.working() and not self.merger.orphans:
            await self.dead_man.disarm("stopped")
        return not self.dead_man.armed

    def stop(self) -> None:
        """From here on nothing is sent."""
        self.wire.stop()

    async def close(self) -> None:
        """Stop, and wait for what was under way to let go.  The connector is closed by whoever opened it."""
        self.stop()
        await self.wire.ended()


def _order_of(intent: Record) -> str:
    """The order an intent is about."""
    return (
        intent.terms.client_order_id
        if isinstance(intent, OrderSubmitted)
        else str(getattr(intent, "client_order_id", ""))
    )
