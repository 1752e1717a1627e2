"""Orders of unknown outcome: asked for until there is evidence.

Law: found is reported as it is; not found is believed only when the single query, the list of open orders and
the executions all agree, all of them asked after the horizon: the time in which the exchange takes a request
after it was signed, and the longest time one is under way.  Nothing is sent anew from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from actors.ports import ExchangeError, OrderRef, OrderSnapshot, SnapshotStatus
from domain.inputs import NoAnswerReport, OrderAbsentReport
from domain.orders import OrderStatus
from grinder.live.session.merging import REST, Merger
from grinder.live.session.placing import Placing
from grinder.live.session.settings import FIRST_DELAY_S, NS, next_delay_s
from grinder.live.session.wire import Wire

_UNHEARD = (OrderStatus.PENDING, OrderStatus.UNKNOWN)


class Resolving:
    """The orders being asked for, one task each."""

    def __init__(self, wire: Wire, merger: Merger, placing: Placing) -> None:
        self.wire = wire
        self.merger = merger
        self.placing = placing
        self.backfill: Callable[[str], Awaitable[bool]] = _no_backfill
        self.since_ns: dict[str, int] = {}
        """When each order of unknown outcome was first known to be one in this process."""
        self._asked: dict[str, bool] = {}
        self._soon: dict[str, bool] = {}

    def busy(self) -> bool:
        """Whether anything is being asked for."""
        return bool(self._asked)

    def resolve(self, order_id: str) -> None:
        """Ask for an order until its outcome is known."""
        if order_id in self._asked or self.wire.stopped:
            return
        self.since_ns.setdefault(order_id, self.wire.clock())
        self._asked[order_id] = True
        self.wire.spawn(self._resolve(order_id))

    def look(self, order_id: str, delay_s: float) -> None:
        """Ask for an order once, after a while."""
        if order_id in self._soon or self.wire.stopped:
            return
        self._soon[order_id] = True
        self.wire.spawn(self._look(order_id, delay_s))

    def expect(self, order_id: str, delay_s: float) -> None:
        """Ask for an order if nothing has been heard of it after a while."""
        self.wire.spawn(self._expect(order_id, delay_s))

    async def query(self, order_id: str) -> OrderSnapshot | None:
        """One order as the exchange sees it; None when it says it does not know it.

        Raises:
            ExchangeError: there was no answer.
        """
        order = self.wire.order(order_id)
        if order is None:
            return None
        ref = OrderRef(
            client_order_id=order_id, exchange_order_id=order.exchange_order_id, symbol=order.symbol
        )
        return await self.wire.read("order", lambda: self.wire.connector.order(ref))

    # --- the two ways of asking ------------------------------------------------------------------------

    async def _look(self, order_id: str, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
        finally:
            self._soon.pop(order_id, None)
        if self._unknown(order_id):
            await self._expect(order_id, 0.0)
            return
        try:
            seen = await self.query(order_id)
        except ExchangeError:
            return
        if seen is not None and seen.status is not SnapshotStatus.UNREADABLE:
            self.merger.observe(seen, REST)

    async def _expect(self, order_id: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        order = self.wire.order(order_id)
        if order is None or order.status not in _UNHEARD or self.placing.busy(order_id):
            return
        if order.status is OrderStatus.PENDING:
            self.wire.tell(NoAnswerReport(client_order_id=order_id))
        self.resolve(order_id)

    async def _resolve(self, order_id: str) -> None:
        delay = FIRST_DELAY_S
        try:
            while self._unknown(order_id):
                try:
                    if await self._ask(order_id):
                        return
                except ExchangeError:
                    pass  # accounted for where it was raised; the next question follows
                free_in_s = (self.wire.free_at_ns() - self.wire.clock()) / NS
                await asyncio.sleep(max(delay, min(free_in_s, 3_600.0)))
                delay = next_delay_s(delay)
        finally:
            self._asked.pop(order_id, None)
            if not self._unknown(order_id):
                self.since_ns.pop(order_id, None)

    def _unknown(self, order_id: str) -> bool:
        order = self.wire.order(order_id)
        return order is not None and order.status in _UNHEARD

    async def _ask(self, order_id: str) -> bool:
        """Ask once by every way there is; True when the outcome is known."""
        wire = self.wire
        old = self._old(order_id)
        seen = await self.query(order_id)
        if seen is not None:
            self.merger.observe(seen, REST)
            return not self._unknown(order_id)
        order = wire.order(order_id)
        if not old or order is None:
            return order is None
        if not await self.backfill(order.symbol) or not self._unknown(order_id):
            return not self._unknown(order_id)
        listed = await wire.read("open_orders", wire.connector.open_orders)
        for one in listed:
            if one.client_order_id == order_id:
                self.merger.observe(one, REST)
                return not self._unknown(order_id)
        if self._unknown(order_id):
            self._absent(order_id)
        return True

    @property
    def horizon_s(self) -> float:
        """How long after it was sent an order may still appear."""
        return self.wire.settings.in_flight_s + self.wire.connector.capabilities.order_valid_s

    def _old(self, order_id: str) -> bool:
        """Whether the horizon is over: an order may still be on its way before."""
        now, horizon = self.wire.clock(), int(self.horizon_s * NS)
        sent = self.placing.sent_ns.get(order_id, self.since_ns.get(order_id, now))
        return now - sent >= horizon

    def _absent(self, order_id: str) -> None:
        order = self.wire.order(order_id)
        if order is not None and order.status is OrderStatus.PENDING:
            self.wire.tell(NoAnswerReport(client_order_id=order_id))
        evidence = (
            f"more than {self.horizon_s:g} s after it was sent: order query does not know it; "
            "open orders do not list it; no execution names it"
        )
        self.wire.log.info("order_absent", order=order_id)
        self.wire.tell(OrderAbsentReport(client_order_id=order_id, evidence=evidence))


async def _no_backfill(symbol: str) -> bool:
    return True
