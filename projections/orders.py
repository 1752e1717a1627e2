"""Orders: every order that was ever wanted, and what became of it.

Law: one row per client order id.  An order that never left (blocked by a limit, refused for want of funds)
has a row as well, with the reason.  Status words are those of `domain.orders.OrderStatus`, and before an
order leaves: ``requested``, ``allowed``, ``blocked``, ``refused``.
"""

from __future__ import annotations

from domain.order_events import (
    CancelRejected,
    CancelRequested,
    OrderAccepted,
    OrderAllowed,
    OrderAmended,
    OrderBlocked,
    OrderClosed,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderReappeared,
    OrderRefused,
    OrderRequested,
    OrderSubmitted,
    OrderThrottled,
)
from domain.orders import NO_LEVEL, TERMINAL, OrderStatus
from projections.amounts import ZERO
from projections.counts import one_more
from projections.listings import scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

WORKING = "status NOT IN ('filled', 'cancelled', 'rejected', 'expired', 'blocked', 'refused', 'absent')"
"""SQL: orders that may still be executed, or whose end is not known."""

ORDERS = Table(
    "grid_orders",
    {
        "client_order_id": TEXT,
        "exchange_order_id": TEXT,
        "symbol": TEXT,
        "grid_level": INT,
        "cycle": INT,
        "side": TEXT,
        "order_type": TEXT,
        "time_in_force": TEXT,
        "price": AMOUNT,
        "quantity": AMOUNT,
        "filled": AMOUNT,
        "status": TEXT,
        "reason": TEXT,
        "detail": TEXT,
        "created_at_ns": INT,
        "updated_at_ns": INT,
        "filled_at_ns": INT,
        "requested_position": INT,
        "closed_position": INT,
    },
    ("client_order_id",),
    (("requested_position",), ("symbol", "requested_position"), ("status", "requested_position")),
    born="requested_position",
    partial=((("symbol", "side"), WORKING),),
)
"""`grid_level` is NULL for orders of the whole grid; `closed_position` is NULL while the order works."""

TABLES: tuple[Table, ...] = (ORDERS,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No order."""
    return ()


def _change(view: View, record: LedgerRecord, client_order_id: str) -> Row | None:
    row = view.of(ORDERS).edit(client_order_id)
    if row is not None:
        row["updated_at_ns"] = record.ts_ns
    return row


def _end(
    view: View, record: LedgerRecord, client_order_id: str, status: str, reason: str, detail: str
) -> None:
    row = _change(view, record, client_order_id)
    if row is not None:
        row.update(status=status, reason=reason, detail=detail, closed_position=record.position)


def _on_requested(view: View, record: LedgerRecord, event: OrderRequested) -> None:
    terms, to = event.terms, scale(view, event.terms.symbol)
    if view.of(ORDERS).get(terms.client_order_id) is not None:
        return  # an id is used once; a second order under it is refused and must not hide the first
    one_more(view, terms.symbol, "orders")
    view.of(ORDERS).put(
        ORDERS.blank(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            grid_level=None if event.level == NO_LEVEL else event.level,
            cycle=event.cycle,
            side=terms.side,
            order_type=terms.order_type,
            time_in_force=terms.time_in_force,
            price=to.price(terms.price_ticks),
            quantity=to.lots(terms.lots),
            filled=ZERO,
            status="requested",
            created_at_ns=record.ts_ns,
            updated_at_ns=record.ts_ns,
            requested_position=record.position,
        )
    )


def _on_allowed(view: View, record: LedgerRecord, event: OrderAllowed) -> None:
    row = view.of(ORDERS).get(event.terms.client_order_id)
    if row is not None and row["status"] == "requested":
        changed = _change(view, record, event.terms.client_order_id)
        assert changed is not None
        changed["status"] = "allowed"


def _on_blocked(view: View, record: LedgerRecord, event: OrderBlocked) -> None:
    _end(view, record, event.client_order_id, "blocked", event.reason, event.detail)


def _on_refused(view: View, record: LedgerRecord, event: OrderRefused) -> None:
    _end(view, record, event.client_order_id, "refused", event.reason, event.detail)


def _on_submitted(view: View, record: LedgerRecord, event: OrderSubmitted) -> None:
    row = _change(view, record, event.terms.client_order_id)
    if row is not None:
        row["status"] = OrderStatus.PENDING.value


def _on_accepted(view: View, record: LedgerRecord, event: OrderAccepted) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        row.update(status=event.status, exchange_order_id=event.exchange_order_id)


def _on_filled(view: View, record: LedgerRecord, event: OrderFilled) -> None:
    row = _change(view, record, event.client_order_id)
    if row is None:
        return
    row.update(
        status=event.status,
        filled=scale(view, event.symbol).lots(event.filled_lots),
        filled_at_ns=record.ts_ns,
    )
    if event.status in TERMINAL and row["closed_position"] is None:
        row["closed_position"] = record.position


def _on_closed(view: View, record: LedgerRecord, event: OrderClosed) -> None:
    _end(view, record, event.client_order_id, event.status, event.reason, event.text)


def _on_unknown(view: View, record: LedgerRecord, event: OrderOutcomeUnknown) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        row["status"] = OrderStatus.UNKNOWN.value


def _on_throttled(view: View, record: LedgerRecord, event: OrderThrottled) -> None:
    _end(view, record, event.client_order_id, "throttled", event.reason, "")


def _on_reappeared(view: View, record: LedgerRecord, event: OrderReappeared) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        row.update(status=event.status, exchange_order_id=event.exchange_order_id, closed_position=None)
        row["detail"] = "appeared late"


def _on_amended(view: View, record: LedgerRecord, event: OrderAmended) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        to = scale(view, row["symbol"])
        row.update(price=to.price(event.price_ticks), quantity=to.lots(event.lots))


def _on_cancel(view: View, record: LedgerRecord, event: CancelRequested) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        row["reason"] = event.reason


def _on_cancel_rejected(view: View, record: LedgerRecord, event: CancelRejected) -> None:
    row = _change(view, record, event.client_order_id)
    if row is not None:
        row["detail"] = f"cancel rejected: {event.reason} {event.text}".rstrip()


HANDLERS: Handlers = {
    OrderRequested: _on_requested,
    OrderAllowed: _on_allowed,
    OrderBlocked: _on_blocked,
    OrderRefused: _on_refused,
    OrderSubmitted: _on_submitted,
    OrderAccepted: _on_accepted,
    OrderFilled: _on_filled,
    OrderClosed: _on_closed,
    OrderOutcomeUnknown: _on_unknown,
    OrderThrottled: _on_throttled,
    OrderReappeared: _on_reappeared,
    OrderAmended: _on_amended,
    CancelRequested: _on_cancel,
    CancelRejected: _on_cancel_rejected,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
