"""What the exchange says of orders and executions, made into reports that only ever move forward.

Law: filled quantities never fall, an end never opens again, an end arrives after its executions, and an
execution is reported once.  What does not fit (an unknown status, more filled than ordered, an execution of
an order nobody knows) is never success and never invented: it is shown, and asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from actors.ports import OrderSnapshot, SnapshotStatus
from domain.account_state import Order
from domain.inputs import (
    FillReport,
    FundingReport,
    OrderAcceptedReport,
    OrderCancelledReport,
    OrderRejectedReport,
    OrphanOrderReport,
)
from domain.orders import ENDED, TERMINAL, OrderStatus
from grinder.live.session.wire import Wire, changed

STREAM, ANSWER, REST = "stream", "answer", "rest"
"""Where something was seen."""

SYNTHETIC = "synthetic-"
"""What a fill id made by us begins with."""

_MOST_NAMES = 25_000
"""Names kept before the forgotten ones are dropped: more than the books remember orders."""

_OPENING = (OrderStatus.PENDING, OrderStatus.UNKNOWN, OrderStatus.ABSENT)


_WOULD_TAKE = (
    "willtakeliquidity",
    "would take",
    "post only",
    "post_only",
    "cancelsource 31",
    "immediately match",
)


def would_take(reason: str) -> bool:
    """Whether an order that may only rest ended because it would have taken: the market overtook it."""
    return any(words in reason.lower() for words in _WOULD_TAKE)


def flaw(seen: OrderSnapshot, order: Order) -> str:
    """What makes a snapshot of an order unbelievable; empty when nothing does."""
    if seen.status is SnapshotStatus.UNREADABLE:
        return f"a status nobody knows {seen.reason}".strip()
    if (seen.symbol, seen.side) != (order.symbol, order.side):
        return f"it is {order.symbol} {order.side}, the exchange says {seen.symbol} {seen.side}"
    if not 0 <= seen.filled_lots <= order.lots:
        return f"{seen.filled_lots} of {order.lots} lots filled"
    if seen.status is SnapshotStatus.FILLED and seen.filled_lots != order.lots:
        return f"filled with {seen.filled_lots} of {order.lots} lots"
    return ""


class Merger:
    """The one way from what was seen to what is told."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.want_fills: Callable[[str], None] = lambda symbol: None
        self.want_query: Callable[[str, float], None] = lambda order_id, delay_s: None
        self.want_reconciliation: Callable[[str], None] = lambda why: None
        self.cancel_wanted: Callable[[str], bool] = lambda order_id: False
        self.on_late_fill: Callable[[FillReport], None] = lambda fill: None
        """An execution that REST had first."""
        self.on_stream_fill: Callable[[str], None] = lambda fill_id: None
        self.held: dict[str, OrderSnapshot] = {}
        """Ends whose executions are not all booked yet."""
        self.swept: set[str] = set()
        """Orders of the process before that were cancelled when this one took over."""
        self.short: dict[str, int] = {}
        """Orders of which the exchange has filled more lots than are booked."""
        self.orphans: dict[str, OrderSnapshot] = {}
        """Orders with our prefix that nobody here wants, by exchange order id."""
        self.unnamed: dict[str, bool] = {}
        """Orders of which the stream has told an execution without an id."""
        self.duplicates = 0
        """Executions the stream brought that were booked already."""
        self.fetched = 0
        """Executions the stream did not bring first."""
        self._by_exchange_id: dict[str, str] = {}
        self._strangers: dict[str, bool] = {}

    # --- names -----------------------------------------------------------------------------------------

    def order_id(self, client_order_id: str, exchange_order_id: str) -> str:
        """Our id of an order; empty when it is not known to be ours."""
        if client_order_id:
            return client_order_id
        known = self._by_exchange_id.get(exchange_order_id, "")
        if known or not exchange_order_id:
            return known
        for order_id, order in self.wire.books().orders.items():  # ids are unique: the order is no matter
            if order.exchange_order_id == exchange_order_id:
                self._name(order_id, exchange_order_id)
                return order_id
        return ""

    def _name(self, order_id: str, exchange_order_id: str) -> None:
        """Remember an order's other name; what the books have forgotten is forgotten here in time."""
        if exchange_order_id:
            self._by_exchange_id[exchange_order_id] = order_id
        if len(self._by_exchange_id) > _MOST_NAMES:
            orders = self.wire.books().orders
            self._by_exchange_id = {name: i for name, i in self._by_exchange_id.items() if i in orders}
            self.unnamed = {i: True for i in self.unnamed if i in orders}
            self._strangers.clear()

    # --- orders ----------------------------------------------------------------------------------------

    def observe(self, seen: OrderSnapshot, source: str) -> None:
        """Take in what the exchange says of an order."""
        order_id = self.order_id(seen.client_order_id, seen.exchange_order_id)
        order = self.wire.order(order_id)
        if order is None:
            self._stranger(seen)
            return
        if problem := flaw(seen, order):
            self.wire.alert("WARNING", "unreadable_order", f"{order_id}: {problem}", order.symbol)
            self.want_query(order_id, 2.0)
            return
        self._name(order_id, seen.exchange_order_id)
        if seen.filled_lots > order.filled_lots:
            self.short[order_id] = max(seen.filled_lots, self.short.get(order_id, 0))
            self.want_fills(order.symbol)
        if seen.status is SnapshotStatus.WORKING:
            self._works(order_id, order, seen, source)
        elif seen.status is not SnapshotStatus.PENDING:
            self._ends(order_id, order, seen)

    def _works(self, order_id: str, order: Order, seen: OrderSnapshot, source: str) -> None:
        overtaken = order.status is OrderStatus.PARTIALLY_FILLED and not order.exchange_order_id
        if order.status in _OPENING or overtaken:
            if order.status is OrderStatus.ABSENT:
                self.wire.alert(
                    "WARNING", "late_order", f"{order_id} was absent and has appeared", order.symbol
                )
            accepted = OrderAcceptedReport(
                client_order_id=order_id, exchange_order_id=seen.exchange_order_id or order.exchange_order_id
            )
            self.wire.tell(accepted)
        elif order.status in TERMINAL:
            self.wire.log.info("stale_status", order=order_id, books=order.status.value, source=source)

    def _ends(self, order_id: str, order: Order, seen: OrderSnapshot) -> None:
        self.held.pop(order_id, None)
        if order.status in TERMINAL:
            return
        if seen.filled_lots > order.filled_lots:
            self.held[order_id] = seen
            return
        if order.status is OrderStatus.ABSENT or seen.status is SnapshotStatus.FILLED:
            return  # an absent order has ended already; the last execution ends a filled one
        self._tell_end(order_id, order, seen)

    def _tell_end(self, order_id: str, order: Order, seen: OrderSnapshot) -> None:
        unheard = order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN)
        if seen.status is SnapshotStatus.REJECTED and unheard:
            reason = seen.reason or "rejected"
            self.wire.alert("WARNING", "order_refused", f"{order_id}: {reason}", order.symbol)
            self.wire.tell(OrderRejectedReport(client_order_id=order_id, reason=reason, text=seen.reason))
            return
        if seen.status is SnapshotStatus.EXPIRED:
            reason = "expired"
        elif order.cancels or self.cancel_wanted(order_id):
            reason = "requested"
        elif order_id in self.swept:
            reason = "failover"
        elif would_take(seen.reason):
            reason = seen.reason
            self.wire.log.info("order_would_take", order=order_id, reason=reason)
        else:
            reason = seen.reason or "external"
            text = f"{order_id} was cancelled by the exchange or by hand: {reason}"
            self.wire.alert("WARNING", "external_cancel", text, order.symbol)
        self.wire.tell(OrderCancelledReport(client_order_id=order_id, reason=reason))

    def _stranger(self, seen: OrderSnapshot) -> None:
        """An order the books do not hold: an orphan of ours if it works, otherwise somebody else's."""
        if seen.status is SnapshotStatus.WORKING and self.wire.ours(seen.client_order_id):
            self.orphan(seen)

    def orphan(self, seen: OrderSnapshot) -> None:
        """Report an order of ours that nobody here wants to work; the core has it cancelled."""
        if seen.exchange_order_id in self.orphans:
            return
        self.orphans[seen.exchange_order_id] = seen
        self.wire.alert(
            "WARNING", "orphan_order", f"{seen.client_order_id} works and is not wanted", seen.symbol
        )
        orphan = OrphanOrderReport(
            client_order_id=seen.client_order_id,
            exchange_order_id=seen.exchange_order_id,
            symbol=seen.symbol,
            side=seen.side,
            price_ticks=seen.price_ticks,
            lots=seen.lots,
        )
        self.wire.tell(orphan)

    # --- executions ------------------------------------------------------------------------------------

    def fill(self, report: FillReport, source: str) -> bool:
        """Take in an execution; True when it was new and has been told."""
        order_id = self.order_id(report.client_order_id, report.exchange_order_id)
        order = self.wire.order(order_id)
        if order is None:
            self._unmatched(report, order_id)
            return False
        nameless = not report.fill_id or report.fill_id.startswith(SYNTHETIC)
        if not nameless and report.fill_id in order.fill_ids:
            if source == STREAM:
                self.duplicates += 1
                self.on_stream_fill(report.fill_id)
            return False
        if problem := self._bad(report, order):
            self.wire.alert("WARNING", "unreadable_fill", f"{order_id}: {problem}", order.symbol)
            self.want_query(order_id, 2.0)
            return False
        if nameless and source == STREAM:
            # The same execution has a name in the list of executions; booking both would count it twice.
            self.wire.log.info("fill_without_id", order=order_id, lots=report.lots)
            self.unnamed[order_id] = True
            self.want_fills(order.symbol)
            self.want_query(order_id, 2.0)
            return False
        self._book(report, order_id, order, source)
        return True

    def _book(self, report: FillReport, order_id: str, order: Order, source: str) -> None:
        exchange_id = report.exchange_order_id or order.exchange_order_id
        self._name(order_id, exchange_id)
        if order.status in ENDED:
            text = f"{report.lots} lots of {order_id}, which is {order.status}"
            self.wire.alert("WARNING", "late_fill", text, order.symbol)
        named = changed(report, client_order_id=order_id, exchange_order_id=exchange_id)
        self.wire.tell(named)
        if source == STREAM:
            self.on_stream_fill(named.fill_id)
        else:
            self.fetched += 1
            self.on_late_fill(named)
        self.settle(order_id)

    def settle(self, order_id: str) -> None:
        """Let go of what waited for executions that are booked now."""
        order = self.wire.order(order_id)
        if order is None:
            self.short.pop(order_id, None)
            self.held.pop(order_id, None)
            return
        if order.filled_lots >= self.short.get(order_id, 0):
            self.short.pop(order_id, None)
        held = self.held.get(order_id)
        if held is not None and order.filled_lots >= held.filled_lots:
            self._ends(order_id, order, held)

    def nameless(self, fills: list[FillReport]) -> list[FillReport]:
        """The same executions with a name for each: the n-th alike of an order is always named the same."""
        alike: dict[tuple[str, str, int, int], int] = {}
        named = []
        for fill in fills:
            if not fill.fill_id:
                key = (fill.client_order_id, fill.exchange_order_id, fill.price_ticks, fill.lots)
                alike[key] = number = alike.get(key, 0) + 1
                text = "\x1f".join(map(str, (*key, number)))
                fill = changed(fill, fill_id=SYNTHETIC + sha256(text.encode()).hexdigest()[:24])
            named.append(fill)
        return named

    def _bad(self, report: FillReport, order: Order) -> str:
        if report.lots <= 0 or report.price_ticks <= 0:
            return f"an execution of {report.lots} lots at {report.price_ticks}"
        if (report.symbol, report.side) != (order.symbol, order.side):
            return f"it is {order.symbol} {order.side}, the execution {report.symbol} {report.side}"
        if order.filled_lots + report.lots > order.lots:
            return f"{order.filled_lots} + {report.lots} of {order.lots} lots filled"
        return ""

    def _unmatched(self, report: FillReport, order_id: str) -> None:
        key = report.fill_id or f"{report.exchange_order_id}/{report.price_ticks}/{report.lots}"
        if key in self._strangers:
            return
        self._strangers[key] = True
        if self.wire.ours(order_id):
            text = f"{report.lots} lots of {order_id}, which these books do not know"
            self.wire.alert("CRITICAL", "unmatched_fill", text, report.symbol)
            self.want_reconciliation("unmatched_fill")
        else:
            self.wire.log.info("foreign_fill", fill=report.fill_id, symbol=report.symbol)

    def funding(self, report: FundingReport) -> bool:
        """Take in a funding payment, once; True when it was new and has been told."""
        if report.funding_id in self.wire.books().funding_ids:
            return False
        self.wire.tell(report)
        return True
