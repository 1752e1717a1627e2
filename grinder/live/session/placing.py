"""Orders on their way out: batches, answers, and what each answer means.

Law: an order is sent at most once, and only while the books hold it as pending.  An answer is taken for what
it says and no more: refused and limited are certain, silence is `NoAnswerReport`, "duplicate id" means that
it may exist.  An order that was never sent is given back as refused, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    OrderRefused,
    OutcomeUnknown,
    Placed,
    RateLimited,
)
from domain.inputs import NoAnswerReport, OrderAcceptedReport, OrderRejectedReport
from domain.order_events import OrderTerms
from domain.orders import OrderStatus
from grinder.live.session.wire import PLACE, Wire

_DUPLICATE_WORDS = ("duplicate", "already exist", "already been used")
_DUPLICATE_CODES = frozenset({"-4111", "-4116", "10014", "110072", "170141", "51016"})
"""Of Binance futures, Bybit and OKX; Binance spot and Kraken say it in words."""

_FILTER_WORDS = ("filter", "tick", "lot size", "precision", "minimum", "min notional", "step", "price unit")


def is_duplicate(error: ExchangeError) -> bool:
    """Whether a refusal says that the client order id is known already."""
    text = f"{error.code} {error.text}".lower()
    return error.code in _DUPLICATE_CODES or any(word in text for word in _DUPLICATE_WORDS)


def is_filter(error: ExchangeError) -> bool:
    """Whether a refusal speaks of the instrument's rules."""
    text = f"{error.code} {error.text}".lower()
    return any(word in text for word in _FILTER_WORDS)


class Placing:
    """The queue of orders to place, and those under way."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.sent_ns: dict[str, int] = {}
        """When each order left in this process, ns; kept until the books have seen it end."""
        self.resolve: Callable[[str], None] = lambda order_id: None
        self.resolve_soon: Callable[[str, float], None] = lambda order_id, delay_s: None
        self.ask: Callable[[str, float], None] = lambda order_id, delay_s: None
        self.on_filter: Callable[[str], None] = lambda symbol: None
        self.guards: Callable[[], Awaitable[bool]] = _guarded
        self.on_answer: Callable[[], None] = lambda: None
        self.placed: Callable[[int], None] = lambda duration_ns: None
        """Told how long after its intent was durable an order's request was answered, ns."""
        self._taken_ns: dict[str, int] = {}
        self._queue: dict[str, OrderTerms] = {}
        self._under_way: dict[str, bool] = {}
        self._requests = 0

    def add(self, terms: OrderTerms) -> None:
        """Take an intent; it leaves with the next `pump`."""
        order_id = terms.client_order_id
        if order_id in self.sent_ns or order_id in self._queue:
            self.wire.alert("CRITICAL", "sent_twice", f"{order_id} was to be sent again; it was not")
            return
        self._queue[order_id] = terms
        self._taken_ns[order_id] = time.perf_counter_ns()

    def withdraw(self, order_id: str) -> bool:
        """Take an order back that has not been sent; True when it was still here."""
        terms = self._queue.pop(order_id, None)
        if terms is not None:
            self._give_back(order_id, "cancelled_unsent")
        return terms is not None

    def busy(self, order_id: str = "") -> bool:
        """Whether an order (or any) is queued or waits for its answer."""
        if order_id:
            return order_id in self._queue or order_id in self._under_way
        return bool(self._queue or self._under_way)

    def age_s(self, order_id: str) -> float:
        """Seconds since an order left; infinite for one of an earlier process."""
        sent = self.sent_ns.get(order_id)
        return float("inf") if sent is None else (self.wire.clock() - sent) / 1e9

    def pump(self) -> None:
        """Send what may leave."""
        wire = self.wire
        if not wire.ready or wire.stopped:
            return
        why = wire.shut(PLACE)
        if why:
            for order_id in list(self._queue):
                del self._queue[order_id]
                self._give_back(order_id, why)
            return
        most = max(1, wire.connector.capabilities.place_batch)
        while self._queue and self._requests < wire.settings.requests_under_way:
            batch = self._take(most)
            if batch:
                self._requests += 1
                wire.spawn(self._send(batch))

    def forget_ended(self) -> None:
        """Drop the memory of orders that the books have seen end."""
        working = {order_id for order_id, _ in self.wire.working()}
        for order_id in [i for i in self.sent_ns if i not in working and self.age_s(i) > 3_600]:
            del self.sent_ns[order_id]

    # --- one batch -------------------------------------------------------------------------------------

    def _take(self, most: int) -> list[OrderTerms]:
        batch: list[OrderTerms] = []
        while self._queue and len(batch) < most:
            order_id, terms = next(iter(self._queue.items()))
            del self._queue[order_id]
            if self._still_wanted(order_id):
                self._under_way[order_id] = True
                batch.append(terms)
        return batch

    def _still_wanted(self, order_id: str) -> bool:
        """Whether the books still hold an order as pending: only then may it leave."""
        order = self.wire.order(order_id)
        if order is not None and order.status is OrderStatus.PENDING:
            return True
        self._taken_ns.pop(order_id, None)
        status = "unknown to the books" if order is None else order.status.value
        self.wire.alert("WARNING", "not_sent", f"{order_id} is {status}; it was not sent")
        return False

    async def _send(self, batch: list[OrderTerms]) -> None:
        wire = self.wire
        try:
            guarded = await self.guards()
            if why := wire.shut(PLACE) or ("" if guarded else "unguarded"):
                for terms in batch:  # what was true as the batch was made may have changed
                    self._give_back(terms.client_order_id, why)
                return
            batch = [terms for terms in batch if self._still_wanted(terms.client_order_id)]
            if not batch:
                return
            now = wire.clock()
            for terms in batch:
                self.sent_ns[terms.client_order_id] = now
            answers = await wire.write("place", lambda: wire.connector.place(batch), len(batch))
            for terms, answer in zip(batch, answers, strict=True):
                self._under_way.pop(terms.client_order_id, None)
                self._answered(terms, answer)
        finally:
            self._requests -= 1
            for terms in batch:
                self._under_way.pop(terms.client_order_id, None)
        self.on_answer()

    def _answered(self, terms: OrderTerms, answer: Placed | ExchangeError) -> None:
        wire, order_id = self.wire, terms.client_order_id
        taken_ns = self._taken_ns.pop(order_id, 0)
        if taken_ns and not isinstance(answer, OutcomeUnknown):
            self.placed(time.perf_counter_ns() - taken_ns)
        order = wire.order(order_id)
        if order is None:
            return
        if isinstance(answer, Placed):
            if not answer.resting:
                self.resolve_soon(order_id, wire.settings.acknowledgement_s)
            elif _wants_acceptance(order.status, order.exchange_order_id):
                exchange_id = answer.exchange_order_id
                wire.tell(OrderAcceptedReport(client_order_id=order_id, exchange_order_id=exchange_id))
        elif isinstance(answer, OutcomeUnknown) or (
            isinstance(answer, OrderRefused) and is_duplicate(answer)
        ):
            wire.log.info("order_unknown", order=order_id, code=answer.code, text=answer.text)
            if order.status is OrderStatus.PENDING:
                wire.tell(NoAnswerReport(client_order_id=order_id))
            self.resolve(order_id)
        else:
            self._refused(terms, order.status, answer)

    def _refused(self, terms: OrderTerms, status: OrderStatus, answer: ExchangeError) -> None:
        wire, order_id = self.wire, terms.client_order_id
        if status not in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
            # A stream that says it works, or trades, is better evidence than a refusal: ask.
            wire.alert("WARNING", "contradiction", f"{order_id} is {status}, its answer says {answer}")
            self.ask(order_id, 0.0)
            return
        reason = answer.code
        if isinstance(answer, RateLimited):
            reason = "rate_limited"
        elif isinstance(answer, ClockSkewed):
            reason = "clock_skewed"
        elif isinstance(answer, AuthenticationFailed):
            reason = "authentication"
        elif isinstance(answer, OrderRefused):
            level = "WARNING" if not _would_take(answer) else "INFO"
            wire.alert(level, "order_refused", f"{order_id}: {answer}", terms.symbol)
        else:
            reason = "unavailable"
        wire.tell(OrderRejectedReport(client_order_id=order_id, reason=reason, text=answer.text))
        if isinstance(answer, OrderRefused) and is_filter(answer):
            self.on_filter(terms.symbol)

    def _give_back(self, order_id: str, why: str) -> None:
        """An order that never left: the books let go of it."""
        self._taken_ns.pop(order_id, None)
        self.wire.log.info("order_not_sent", order=order_id, why=why)
        order = self.wire.order(order_id)
        if order is not None and order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
            self.wire.tell(OrderRejectedReport(client_order_id=order_id, reason=why, text="never sent"))


def _wants_acceptance(status: OrderStatus, exchange_order_id: str) -> bool:
    if status is OrderStatus.PARTIALLY_FILLED:
        return not exchange_order_id  # its execution overtook the acknowledgement
    return status in (OrderStatus.PENDING, OrderStatus.UNKNOWN, OrderStatus.ABSENT)


async def _guarded() -> bool:
    return True


def _would_take(answer: ExchangeError) -> bool:
    text = answer.text.lower()
    return "immediately match" in text or "post only" in text or "post-only" in text
