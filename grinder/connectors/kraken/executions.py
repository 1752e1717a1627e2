"""Kraken's private channel ``executions``: own orders and fills.

Law: a status is read from `order_status` by a table and nowhere else; one that is not in the table is
UNREADABLE.  A fill is told before the state it leads to.  The channel numbers its messages, so a number that
does not follow is a `Gap`, and what came with it is told all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs

from actors.ports import Gap, OrderSnapshot, Signal, SnapshotStatus
from domain.inputs import FillReport
from domain.orders import BUY, SELL
from grinder.connectors.converting import Scales, Unreadable, amount
from grinder.connectors.kraken.naming import asset_name, client_id
from grinder.connectors.kraken.reading import exchange_ns, mappings, text_of

REMEMBERED = 20_000
"""Orders whose terms are kept; more than any account may have open, with those that ended lately."""

STATUS = {
    "pending_new": SnapshotStatus.PENDING,
    "new": SnapshotStatus.WORKING,
    "partially_filled": SnapshotStatus.WORKING,
    "filled": SnapshotStatus.FILLED,
    "canceled": SnapshotStatus.CANCELLED,
    "expired": SnapshotStatus.EXPIRED,
    "rejected": SnapshotStatus.REJECTED,
}

_ENDED = (SnapshotStatus.CANCELLED, SnapshotStatus.EXPIRED, SnapshotStatus.REJECTED)


@attrs.define
class _Order:
    """What is known of an order; `symbol` is empty for a pair that is not listed."""

    client_order_id: str
    symbol: str
    side: str
    price_ticks: int
    lots: int
    filled_lots: int


class Executions:
    """The channel's messages, one after the other.

    Args:
        symbols: our symbol by the pair's name on the stream.
    """

    def __init__(self, scales: Scales, symbols: Mapping[str, str]) -> None:
        self._scales = scales
        self._symbols = symbols
        self._orders: dict[str, _Order] = {}
        self._sequence: int | None = None

    def read(self, stream: str, message: dict[str, Any]) -> Iterator[Signal]:
        """What a message says; one entry nobody can read does not hide the others."""
        yield from self._counted(stream, message)
        for entry in mappings(message.get("data"), "executions"):
            try:
                yield from self._entry(stream, entry)
            except Unreadable as error:
                yield Gap(stream=stream, detail=f"order {entry.get('order_id')!r}: {error}")

    def _counted(self, stream: str, message: dict[str, Any]) -> Iterator[Signal]:
        number = message.get("sequence")
        if not isinstance(number, int):
            return
        before, self._sequence = self._sequence, number
        follows = before is None or number == before + 1
        if message.get("type") != "snapshot" and not follows:
            yield Gap(stream=stream, detail=f"executions jumped from number {before} to {number}")

    def _entry(self, stream: str, entry: dict[str, Any]) -> Iterator[Signal]:
        order_id = text_of(entry.get("order_id"), "order_id")
        executed = entry.get("exec_type") == "trade"
        order = self._orders.get(order_id)
        if order is None and "symbol" not in entry:
            yield Gap(stream=stream, detail=f"an event of an order never heard of: {order_id}")
            return
        if order is None:
            order = self._remember(order_id, entry)
        if not order.symbol:
            return  # a foreign order on a pair we do not trade
        order.client_order_id = client_id(entry.get("cl_ord_id")) or order.client_order_id
        self._renew(order, entry)
        if executed:
            yield self._fill(order_id, order, entry)
            if order.lots == 0 or "cum_qty" not in entry:
                return  # the snapshot of trades tells no state of their orders
        yield self._state(order_id, order, entry)

    def _remember(self, order_id: str, entry: dict[str, Any]) -> _Order:
        order = _Order("", self._symbols.get(text_of(entry["symbol"], "symbol"), ""), "", 0, 0, 0)
        self._orders[order_id] = order
        if len(self._orders) > REMEMBERED:
            del self._orders[next(iter(self._orders))]
        return order

    def _renew(self, order: _Order, entry: dict[str, Any]) -> None:
        """Take over what an entry says of an order's terms and progress."""
        if "side" in entry:
            order.side = text_of(entry["side"], "side")
            if order.side not in (BUY, SELL):
                raise Unreadable(f"side is neither buy nor sell: {order.side!r}")
        if "limit_price" in entry and entry.get("limit_price_type", "static") == "static":
            order.price_ticks = self._scales.ticks(order.symbol, entry["limit_price"])
        if "order_qty" in entry:
            order.lots = self._scales.lots(order.symbol, entry["order_qty"])
        if "cum_qty" in entry:
            filled = self._scales.lots(order.symbol, entry["cum_qty"])
            if order.lots and filled > order.lots:
                raise Unreadable(f"filled {filled} lots of {order.lots}")
            order.filled_lots = max(order.filled_lots, filled)

    def _fill(self, order_id: str, order: _Order, entry: dict[str, Any]) -> FillReport:
        fee, fee_asset = _fee(entry)
        return self._scales.fill(
            symbol=order.symbol,
            side=order.side,
            price=entry.get("last_price"),
            quantity=entry.get("last_qty"),
            fee=fee,
            fee_asset=fee_asset,
            maker=entry.get("liquidity_ind") == "m",
            client_order_id=order.client_order_id,
            exchange_order_id=order_id,
            fill_id=str(entry.get("exec_id") or ""),
            at=str(exchange_ns(entry.get("timestamp")) // 10**6),
        )

    def _state(self, order_id: str, order: _Order, entry: dict[str, Any]) -> OrderSnapshot:
        status = STATUS.get(str(entry.get("order_status")), SnapshotStatus.UNREADABLE)
        reason = ""
        if status in _ENDED:
            reason = str(entry.get("reason") or entry.get("cancel_reason") or entry.get("order_status"))
        return OrderSnapshot(
            client_order_id=order.client_order_id,
            exchange_order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            status=status,
            price_ticks=order.price_ticks,
            lots=order.lots,
            filled_lots=order.filled_lots,
            reason=reason,
        )


def _fee(entry: dict[str, Any]) -> tuple[Decimal, str]:
    """What an execution cost, and in which asset (empty where it cost nothing)."""
    fees = mappings(entry.get("fees") or [], "fees")
    assets = {asset_name(text_of(one.get("asset"), "fee asset")) for one in fees}
    if len(assets) > 1:
        raise Unreadable(f"one fee in several assets: {sorted(assets)}")
    total = sum((amount(one.get("qty"), "fee") for one in fees), Decimal(0))
    return total, next(iter(assets), "")
