"""A paper account's exchange, as the account's books say it was left.

Law: the books are the truth, because the exchange died with the process; what they never heard of never
happened.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.account_state import Order
from domain.books import Position
from domain.order_events import OrderTerms
from domain.orders import LIMIT, OrderStatus, TimeInForce
from replay.exchange.desk import Desk

RESTING = frozenset({OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN})


def restore(
    desk: Desk,
    orders: Mapping[str, Order],
    totals: Mapping[str, int],
    positions: Mapping[str, Position],
    now_ns: int,
) -> None:
    """Let a fresh desk hold what the books hold.

    Orders that worked rest again, with their ids and what was filled of them; one nobody acknowledged died
    with the process.  New orders are numbered above every known one, and an execution's id is made of its
    order's number and filled quantity, so none is given out twice.

    Args:
        orders: by client order id.
        totals: units by asset.
        positions: by symbol of a perpetual.
    """
    wallet = desk.wallet
    wallet.total.clear()
    wallet.total.update(totals)
    for symbol, position in positions.items():
        wallet.position[symbol], wallet.cost[symbol] = position.units, position.cost
    desk.start_numbers(order=max((_number_of(one)[0] for one in orders.values()), default=0))
    for client_id, order in sorted(orders.items(), key=lambda item: _number_of(item[1])):
        if order.status not in RESTING or not order.exchange_order_id:
            continue
        terms = OrderTerms(
            client_order_id=client_id,
            symbol=order.symbol,
            side=order.side,
            order_type=LIMIT,
            time_in_force=TimeInForce.GTC,
            reduce_only=False,
            price_ticks=order.price_ticks,
            lots=order.lots,
        )
        desk.restore(
            terms,
            exchange_order_id=order.exchange_order_id,
            filled_lots=order.filled_lots,
            now_ns=now_ns,
        )


def _number_of(order: Order) -> tuple[int, str]:
    """The order in which orders were placed, as far as their exchange ids tell."""
    text = order.exchange_order_id
    return (int(text) if text.isdigit() else 0, text)
