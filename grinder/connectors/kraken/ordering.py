"""Our orders as Kraken's parameters, which of them may share a request, and what its answer says of each.

Law: an order's fee is always asked for in the quote currency (``fciq``), because Kraken's default differs by
side; our id travels as `cl_ord_id` and never beside a `userref`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.ports import ExchangeError, OrderRef, OutcomeUnknown, Placed
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.kraken import errors
from grinder.connectors.kraken.reading import items, mapping


def parameters(scales: Scales, terms: OrderTerms) -> dict[str, str]:
    """An order, without its pair."""
    asked = {
        "ordertype": terms.order_type,
        "type": terms.side,
        "volume": scales.quantity_text(terms.symbol, terms.lots),
        "cl_ord_id": terms.client_order_id,
        "oflags": "fciq",
    }
    if terms.order_type == MARKET:
        return asked
    asked["price"] = scales.price_text(terms.symbol, terms.price_ticks)
    if terms.time_in_force == TimeInForce.POST_ONLY:
        asked["oflags"] = "post,fciq"
    elif terms.time_in_force == TimeInForce.IOC:
        asked["timeinforce"] = "IOC"
    return asked


def rests(terms: OrderTerms) -> bool:
    """Whether an order that was taken works on; one that may only take is over as soon as it is known."""
    return terms.order_type != MARKET and terms.time_in_force != TimeInForce.IOC


def batches(orders: Sequence[OrderTerms], most: int) -> list[list[int]]:
    """Positions of the orders that go into one request each: same symbol, at most `most`, in order."""
    by_symbol: dict[str, list[int]] = {}
    for position, terms in enumerate(orders):
        by_symbol.setdefault(terms.symbol, []).append(position)
    return [
        positions[start : start + most]
        for positions in by_symbol.values()
        for start in range(0, len(positions), most)
    ]


def batch_answers(answer: Mapping[str, Any], orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
    """One answer for each order of a batch; entries carry no id, so a list too short tells of none."""
    try:
        entries = [mapping(one, "order") for one in items(answer.get("orders"), "orders")]
    except Unreadable as error:
        return [OutcomeUnknown("unreadable", str(error))] * len(orders)
    if len(entries) != len(orders):
        told = f"{len(entries)} answers to {len(orders)} orders"
        return [OutcomeUnknown("short_batch", told)] * len(orders)
    return [_batch_answer(one, terms) for one, terms in zip(entries, orders, strict=True)]


def _batch_answer(entry: Mapping[str, Any], terms: OrderTerms) -> Placed | ExchangeError:
    refused = entry.get("error")
    if refused:
        codes = refused if isinstance(refused, list) else [refused]
        return errors.from_codes([str(code) for code in codes], writes=True)
    txid = entry.get("txid")
    order_id = txid[0] if isinstance(txid, list) and txid else txid
    if not isinstance(order_id, str) or not order_id:
        return OutcomeUnknown("unreadable", f"no txid: {str(txid)[:40]}")
    return Placed(exchange_order_id=order_id, resting=rests(terms))


def name_of(ref: OrderRef) -> dict[str, str]:
    """An order by our id, which Kraken knows as long as the order is open; else by its own."""
    if ref.client_order_id:
        return {"cl_ord_id": ref.client_order_id}
    return {"txid": ref.exchange_order_id}


def names_of(refs: Sequence[OrderRef]) -> dict[str, list[str]]:
    """Orders of a batch by Kraken's ids, as far as they are known: those name one order for ever."""
    theirs = [ref.exchange_order_id for ref in refs if ref.exchange_order_id]
    own = [ref.client_order_id for ref in refs if not ref.exchange_order_id]
    return ({"cl_ord_ids": own} if own else {}) | ({"orders": theirs} if theirs else {})
