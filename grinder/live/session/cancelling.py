"""Cancels: asked for until the order is known to have ended.

Law: a cancel is idempotent, so it may be repeated; an error of a cancel is never "absent": the order is
asked for, and what it is gets reported.  A cancel waits for the answer of an order that is just being placed,
and an order that has not left yet is simply not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs

from actors.ports import ExchangeError, OrderRef, OrderRefused, OrderSnapshot
from domain.inputs import CancelRejectedReport
from domain.orders import ENDED
from grinder.live.session.merging import ANSWER, REST, Merger
from grinder.live.session.placing import Placing
from grinder.live.session.settings import FIRST_DELAY_S, NS, next_delay_s
from grinder.live.session.wire import CANCEL, Wire


@attrs.define
class Wanted:
    """One order that is to be cancelled.

    Attributes:
        orphan: the books do not know it, so nothing is reported of it.
        due_ns: when the next cancel may leave.
    """

    ref: OrderRef
    orphan: bool
    due_ns: int = 0
    delay_s: float = FIRST_DELAY_S
    tries: int = 0
    under_way: bool = False
    refused: bool = False


class Cancelling:
    """Orders to cancel, until they have ended."""

    def __init__(self, wire: Wire, merger: Merger, placing: Placing) -> None:
        self.wire = wire
        self.merger = merger
        self.placing = placing
        self.resolve: Callable[[str], None] = lambda order_id: None
        self._wanted: dict[str, Wanted] = {}
        self._timer: asyncio.TimerHandle | None = None

    def want(self, order_id: str, symbol: str) -> None:
        """Have an order of the books cancelled."""
        if self.placing.withdraw(order_id) or order_id in self._wanted:
            return
        order = self.wire.order(order_id)
        exchange_id = order.exchange_order_id if order else ""
        ref = OrderRef(client_order_id=order_id, exchange_order_id=exchange_id, symbol=symbol)
        self._wanted[order_id] = Wanted(ref, False)

    def want_orphan(self, client_order_id: str, exchange_order_id: str, symbol: str) -> None:
        """Have an order cancelled that the books do not know, or do not want."""
        ref = OrderRef(client_order_id=client_order_id, exchange_order_id=exchange_order_id, symbol=symbol)
        self._wanted.setdefault("exchange/" + exchange_order_id, Wanted(ref, True))

    def wants(self, order_id: str) -> bool:
        """Whether an order is to be cancelled."""
        return order_id in self._wanted

    def busy(self) -> bool:
        """Whether any cancel is not done yet."""
        return bool(self._wanted)

    def under_way(self) -> bool:
        """Whether any cancel waits for its answer."""
        return any(one.under_way for one in self._wanted.values())

    def pump(self) -> None:
        """Send the cancels that are due."""
        wire = self.wire
        if wire.stopped:
            return
        now, due = wire.clock(), []
        for key, one in list(self._wanted.items()):
            if not one.orphan and self._over(one):
                del self._wanted[key]
            elif not one.under_way and one.due_ns <= now and not self._unanswered(one):
                due.append(one)
        if due and not wire.shut(CANCEL):
            most = max(1, wire.connector.capabilities.cancel_batch)
            for symbol in sorted({one.ref.symbol for one in due}):
                group = [one for one in due if one.ref.symbol == symbol]
                for at in range(0, len(group), most):
                    for one in group[at : at + most]:
                        one.under_way = True
                    wire.spawn(self._send(group[at : at + most]))
        self._wake()

    def _unanswered(self, one: Wanted) -> bool:
        return not one.orphan and self.placing.busy(one.ref.client_order_id)

    def _over(self, one: Wanted) -> bool:
        order = self.wire.order(one.ref.client_order_id)
        return order is None or order.status in ENDED

    def _wake(self) -> None:
        """Come back when the next cancel is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [one.due_ns for one in self._wanted.values() if not one.under_way]
        if not waiting or self.wire.stopped:
            return
        delay = max(0.25, (min(waiting) - self.wire.clock()) / NS)
        self._timer = asyncio.get_running_loop().call_later(delay, self.pump)

    async def _send(self, group: list[Wanted]) -> None:
        wire = self.wire
        try:
            if wire.shut(CANCEL):
                return
            refs = [self._named(one) for one in group]
            answers = await wire.write("cancel", lambda: wire.connector.cancel(refs), len(refs))
            for one, answer in zip(group, answers, strict=True):
                one.tries += 1
                self._answered(one, answer)
            await asyncio.sleep(0)  # an end that is on the stream already is taken first
            if any(not one.refused and not self._settled(one) for one in group):
                await asyncio.sleep(wire.settings.cancel_confirm_s)
            for one in group:
                await self._confirm(one)
        finally:
            for one in group:
                one.under_way = False
            self._wake()

    def _named(self, one: Wanted) -> OrderRef:
        """The order's ids as they are known now."""
        order = None if one.orphan else self.wire.order(one.ref.client_order_id)
        if order is not None and order.exchange_order_id:
            one.ref = attrs.evolve(one.ref, exchange_order_id=order.exchange_order_id)
        return one.ref

    def _answered(self, one: Wanted, answer: OrderSnapshot | ExchangeError | None) -> None:
        wire, order_id = self.wire, one.ref.client_order_id
        one.due_ns = wire.clock() + int(one.delay_s * NS)
        if isinstance(answer, OrderSnapshot):
            self.merger.observe(answer, ANSWER)
        elif isinstance(answer, OrderRefused) and not one.orphan and not one.refused:
            one.refused = True
            wire.tell(CancelRejectedReport(client_order_id=order_id, reason=answer.code, text=answer.text))

    def _settled(self, one: Wanted) -> bool:
        """Whether nothing is left to ask of an order: it has ended, or ends with its last executions."""
        return not one.orphan and (self._over(one) or one.ref.client_order_id in self.merger.held)

    async def _confirm(self, one: Wanted) -> None:
        """Ask what became of an order whose cancel was sent; it stays wanted until it has ended."""
        wire = self.wire
        if one.tries > 1:
            one.delay_s = next_delay_s(one.delay_s)
        if self._settled(one):
            return
        try:
            seen = await wire.read("order", lambda: wire.connector.order(one.ref))
        except ExchangeError:
            return
        if one.orphan:
            if seen is None or seen.status.value in _ENDS:
                self._wanted.pop("exchange/" + one.ref.exchange_order_id, None)
                self.merger.orphans.pop(one.ref.exchange_order_id, None)
                wire.log.info("orphan_gone", order=one.ref.client_order_id)
        elif seen is not None:
            self.merger.observe(seen, REST)
        else:
            self.resolve(one.ref.client_order_id)


_ENDS = ("filled", "cancelled", "rejected", "expired")
