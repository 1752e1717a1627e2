"""Books against exchange: at the start, after every reconnect, every minute and when asked.

Law: executions and funding first, then open orders, then amounts.  An order missing from the list is asked
for singly before anything is said of it; one nobody wants is reported as an orphan; orders of others are
reported and never touched.  An amount is called different only when it differs unchanged for a while, because
lists of executions may lag behind balances.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_FLOOR, Decimal

import attrs

from actors.ports import ExchangeError, OrderSnapshot
from domain.books import Position
from domain.inputs import NoAnswerReport, OrderCancelledReport, ReconciliationReport
from domain.instrument import LINEAR
from domain.orders import TERMINAL, OrderStatus
from domain.reconciliation import drift_ppm
from grinder.live.session.backfilling import Backfilling
from grinder.live.session.cancelling import Cancelling
from grinder.live.session.merging import REST, Merger
from grinder.live.session.placing import Placing
from grinder.live.session.resolving import Resolving
from grinder.live.session.settings import FIRST_DELAY_S, NS, next_delay_s
from grinder.live.session.wire import Wire

START, RECONNECT, PERIODIC, OPERATOR = "start", "reconnect", "periodic", "operator"

_WORKING = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


@attrs.frozen(kw_only=True)
class Reconciled:
    """What a reconciliation found.

    Attributes:
        complete: every question was answered; False: try again.
        open_orders: orders of ours that work on the exchange.
        unknown: orders whose outcome is still open.
        foreign: exchange order ids of orders that are not ours.
        differences: assets and symbols on which books and exchange do not agree.
    """

    cause: str
    complete: bool
    open_orders: int = 0
    unknown: int = 0
    foreign: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@attrs.frozen
class _Amounts:
    balances: tuple[tuple[str, int], ...]
    positions: tuple[tuple[str, int], ...]


class Reconciling:
    """One reconciliation at a time."""

    def __init__(
        self,
        wire: Wire,
        merger: Merger,
        placing: Placing,
        cancelling: Cancelling,
        resolving: Resolving,
        backfilling: Backfilling,
    ) -> None:
        self.wire = wire
        self.merger = merger
        self.placing = placing
        self.cancelling = cancelling
        self.resolving = resolving
        self.backfilling = backfilling
        self._lock = asyncio.Lock()
        self._missing_ns: dict[str, int] = {}
        self._zombies_ns: dict[str, int] = {}
        self._suspects: dict[str, tuple[int, int]] = {}
        """Subjects that differ: by how much, and since when, ns."""
        self._drifts: dict[str, int] = {}
        self._last: tuple[object, ...] = ()
        self._foreign: dict[str, bool] = {}
        self.compared_ns = 0
        """When books and exchange were last compared to the end; 0 before the first time."""
        self.drift_ppm = 0
        """The largest difference that was certain then, in parts per million of the larger figure."""

    async def reconcile(self, cause: str) -> Reconciled:
        """Compare and mend; at the start, again and again until every question has been answered."""
        delay = FIRST_DELAY_S
        while True:
            async with self._lock:
                done = await self._once(cause)
            if done.complete or cause != START or self.wire.stopped:
                return done
            free_in_s = (self.wire.free_at_ns() - self.wire.clock()) / NS
            await asyncio.sleep(max(delay, min(free_in_s, 3_600.0)))
            delay = next_delay_s(delay)

    async def _once(self, cause: str) -> Reconciled:
        try:
            if cause == START:
                self._unheard()
            if not await self.backfilling.all() or not await self._funding(cause):
                return Reconciled(cause=cause, complete=False)
            asked_ns = self.wire.clock()
            listed = await self.wire.read("open_orders", self.wire.connector.open_orders)
            ours, foreign = self._listed(listed)
            missing = await self._missing(ours, asked_ns)
            settled = await self._amounts(cause)
        except ExchangeError:
            return Reconciled(cause=cause, complete=False)
        self._report_foreign(foreign)
        self._report(cause, len(ours), foreign, settled)
        self._cancels_again()
        self.compared_ns = self.wire.clock()
        self.drift_ppm = max((self._drifts.get(name, 0) for name in self._confirmed(cause)), default=0)
        unknown = sum(order.status in _UNHEARD for _, order in self.wire.working())
        self.wire.log.info("reconciled", cause=cause, open_orders=len(ours), missing=missing, unknown=unknown)
        return Reconciled(
            cause=cause,
            complete=True,
            open_orders=len(ours),
            unknown=unknown,
            foreign=foreign,
            differences=self._confirmed(cause),
        )

    async def _funding(self, cause: str) -> bool:
        """Fetch funding; every minute only while an amount differs, because the stream tells of it else."""
        return (cause == PERIODIC and not self._suspects) or await self.backfilling.funding()

    def differences(self) -> dict[str, int]:
        """Assets and perpetuals that differ now, certain or not yet: units there less units in the books."""
        return {name: delta for name, (delta, _) in sorted(self._suspects.items())}

    def corrected(self, subject: str) -> None:
        """A difference was taken over; an equal one that is found from now on is another one."""
        self._suspects.pop(subject, None)
        self._last = ()

    # --- orders ----------------------------------------------------------------------------------------

    def _unheard(self) -> None:
        """Orders of a process that died before their answer: whether they exist is unknown."""
        for order_id, order in self.wire.working():
            if order.status is OrderStatus.PENDING and not self.placing.busy(order_id):
                self.wire.tell(NoAnswerReport(client_order_id=order_id))
            if order.status in _UNHEARD and not self.placing.busy(order_id):
                self.resolving.resolve(order_id)

    def _cancels_again(self) -> None:
        """Cancels whose answer an earlier process did not live to see."""
        for order_id, order in self.wire.working():
            if order.cancels and not self.cancelling.wants(order_id):
                self.cancelling.want(order_id, order.symbol)
        self.cancelling.pump()

    def _listed(self, listed: list[OrderSnapshot]) -> tuple[dict[str, bool], tuple[str, ...]]:
        """Take in the open orders: (ours by id, exchange ids of those of others)."""
        ours: dict[str, bool] = {}
        foreign: list[str] = []
        zombies: dict[str, int] = {}
        now = self.wire.clock()
        for seen in listed:
            order_id = self.merger.order_id(seen.client_order_id, seen.exchange_order_id)
            order = self.wire.order(order_id)
            if order is None and not self.wire.ours(seen.client_order_id):
                foreign.append(seen.exchange_order_id)
                continue
            ours[order_id or seen.client_order_id] = True
            if order is not None and order.status in TERMINAL and order.status is not OrderStatus.FILLED:
                # The list may lag; one that is still there long after its end works and nobody wants it.
                zombies[order_id] = self._zombies_ns.get(order_id, now)
                if now - zombies[order_id] >= int(self.wire.settings.missing_s * NS):
                    self.merger.orphan(attrs.evolve(seen, client_order_id=order_id))
                continue
            if order is None and not self.cancelling.wants("exchange/" + seen.exchange_order_id):
                self.merger.orphans.pop(seen.exchange_order_id, None)  # its cancel is not under way: again
            self.merger.observe(seen, REST)
        self._zombies_ns = zombies
        return ours, tuple(sorted(foreign))

    async def _missing(self, ours: dict[str, bool], asked_ns: int) -> int:
        """Ask singly for orders the list lacks; returns how many it lacked."""
        fresh_ns = int(self.wire.settings.fresh_s * NS)
        missing = [
            order_id
            for order_id, order in self.wire.working()
            if order.status in _WORKING
            and order_id not in ours
            and self.placing.sent_ns.get(order_id, 0) < asked_ns - fresh_ns
            and order_id not in self.merger.held
        ]
        for order_id in missing:
            await self._ask(order_id)
        gone = set(missing)
        self._missing_ns = {i: at for i, at in self._missing_ns.items() if i in gone}
        return len(missing)

    async def _ask(self, order_id: str) -> None:
        seen = await self.resolving.query(order_id)
        if seen is not None:
            self._missing_ns.pop(order_id, None)
            self.merger.observe(seen, REST)
            return
        now = self.wire.clock()
        since = self._missing_ns.setdefault(order_id, now)
        order = self.wire.order(order_id)
        if order is None or order.status not in _WORKING:
            return
        if now - since < int(self.wire.settings.missing_s * NS):
            text = f"{order_id} works in the books; list and query do not know it"
            self.wire.alert("WARNING", "order_missing", text, order.symbol)
            return
        self._missing_ns.pop(order_id, None)
        text = f"{order_id}: list, query and executions have denied it for {self.wire.settings.missing_s:g} s"
        self.wire.alert("CRITICAL", "order_vanished", text, order.symbol)
        self.wire.tell(OrderCancelledReport(client_order_id=order_id, reason="not_found"))

    # --- amounts ---------------------------------------------------------------------------------------

    async def _amounts(self, cause: str) -> _Amounts:
        """What the exchange holds; while an amount differs at the start, until that is certain or over."""
        patience = self.wire.settings.start_difference_s
        deadline = self.wire.clock() + int((patience + 60) * NS)
        while True:
            amounts = await self._read_amounts()
            self._compare(amounts)
            certain = len(self._confirmed(cause)) == len(self._suspects)
            if cause != START or certain or self.wire.clock() >= deadline or self.wire.stopped:
                return amounts
            await asyncio.sleep(max(0.5, min(5.0, patience / 2)))
            await self.backfilling.all()
            await self.backfilling.funding()

    async def _read_amounts(self) -> _Amounts:
        wire, books = self.wire, self.wire.books()
        told = await wire.read("balances", wire.connector.balances)
        decimals = dict(wire.settings.decimals)
        known = {name.removeprefix("wallet:") for name in books.balances if name.startswith("wallet:")}
        for symbol in sorted(books.instruments):
            one = books.instruments[symbol]
            decimals.setdefault(one.quote, one.quote_decimals)
            known.add(one.quote)
            if one.kind != LINEAR:
                decimals.setdefault(one.base, one.base_decimals)
                known.add(one.base)
        balances = tuple(
            (asset, _units(told.get(asset, Decimal(0)), decimals[asset]))
            for asset in sorted(known)
            if asset in decimals
        )
        positions: tuple[tuple[str, int], ...] = ()
        perpetuals = sorted(s for s, one in books.instruments.items() if one.kind == LINEAR)
        if perpetuals:
            seen = {
                one.symbol: one.base_units for one in await wire.read("positions", wire.connector.positions)
            }
            positions = tuple((symbol, seen.get(symbol, 0)) for symbol in perpetuals)
        return _Amounts(balances, positions)

    def _compare(self, amounts: _Amounts) -> None:
        books, now = self.wire.books(), self.wire.clock()
        pairs = [(name, books.balances.get(f"wallet:{name}", 0), seen) for name, seen in amounts.balances]
        pairs += [(s, books.positions.get(s, Position()).units, seen) for s, seen in amounts.positions]
        suspects: dict[str, tuple[int, int]] = {}
        self._drifts = {name: drift_ppm(booked, seen) for name, booked, seen in pairs}
        for name, booked, seen in pairs:
            if self._drifts[name]:
                before = self._suspects.get(name)
                same = before is not None and before[0] == seen - booked
                suspects[name] = before if before is not None and same else (seen - booked, now)
        self._suspects = suspects

    def _confirmed(self, cause: str) -> tuple[str, ...]:
        settings, now = self.wire.settings, self.wire.clock()
        patience = settings.start_difference_s if cause == START else settings.difference_s
        return tuple(
            name for name, (_, since) in sorted(self._suspects.items()) if now - since >= int(patience * NS)
        )

    # --- reports ---------------------------------------------------------------------------------------

    def _report_foreign(self, foreign: tuple[str, ...]) -> None:
        fresh = [one for one in foreign if one not in self._foreign]
        self._foreign.update(dict.fromkeys(foreign, True))
        if fresh:
            text = f"{len(fresh)} open orders are not ours and are left alone: {', '.join(fresh[:10])}"
            self.wire.alert("WARNING", "foreign_orders", text)

    def _report(self, cause: str, open_orders: int, foreign: tuple[str, ...], amounts: _Amounts) -> None:
        confirmed = self._confirmed(cause)
        result = (foreign, tuple((name, self._suspects[name][0]) for name in confirmed))
        if cause == PERIODIC and result == self._last:
            return
        for name in confirmed:
            text = f"{name}: the exchange holds {self._suspects[name][0]:+d} units against the books"
            self.wire.alert("CRITICAL", "difference", text)
        in_flight = bool(self.merger.held or self.merger.short)
        self._last = () if in_flight and confirmed else result  # nothing is compared in flight: say it again
        doubtful = [name for name in self._suspects if name not in confirmed]
        report = ReconciliationReport(
            cause=cause,
            open_orders=open_orders,
            foreign_orders=foreign,
            balances=tuple(pair for pair in amounts.balances if pair[0] not in doubtful),
            positions=tuple(pair for pair in amounts.positions if pair[0] not in doubtful),
            in_flight=in_flight,
        )
        self.wire.tell(report)


_UNHEARD = (OrderStatus.PENDING, OrderStatus.UNKNOWN)


def _units(amount: Decimal, decimals: int) -> int:
    """Whole units of an amount; what is finer than a unit does not count."""
    return int(amount.scaleb(decimals).to_integral_value(ROUND_FLOOR))
