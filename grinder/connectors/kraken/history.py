"""What Kraken remembers: single orders, executions, and whose an execution was.

Law: an order is "not known" only when every list that could hold it was asked, the open ones first: an order
that ends between the two questions is in the second.  Executions name their order by Kraken's id alone; ours
comes from the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from actors.ports import OrderRef, Unavailable
from grinder.connectors.converting import Unreadable
from grinder.connectors.kraken import errors, rest_parsing
from grinder.connectors.kraken.naming import client_id
from grinder.connectors.kraken.reading import mapping
from grinder.connectors.kraken.transport import KrakenTransport

PAGE = 50
MOST_PAGES = 400
SHOWN_S = Decimal("0.001")
"""Times are cut to as few as four decimals, so an execution may seem to lie before the time asked for."""

QUERIED_AT_ONCE = 20
"""Orders in one QueryOrders; Kraken has raised its own limit from 20 to 50, and 20 holds for both."""

REMEMBERED = 50_000
"""Orders whose client id is kept, so that most executions need no question."""

Named = tuple[str, dict[str, Any]]
"""(Kraken's id, what it says)"""


class History:
    """Questions about the past of one account."""

    def __init__(self, transport: KrakenTransport) -> None:
        self._transport = transport
        self._client_ids: dict[str, str] = {}

    def remember(self, exchange_order_id: str, client_order_id: str) -> None:
        """Note whose an order is."""
        self._client_ids[exchange_order_id] = client_order_id
        if len(self._client_ids) > REMEMBERED:
            del self._client_ids[next(iter(self._client_ids))]

    async def order(self, ref: OrderRef) -> Named | None:
        """One order, or None when Kraken knows none of that name."""
        if ref.exchange_order_id:
            found = await self._queried([ref.exchange_order_id])
            if ref.exchange_order_id in found:
                return ref.exchange_order_id, found[ref.exchange_order_id]
        if not ref.client_order_id:
            return None
        for path, key in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            answer = await self._transport.private(path, cl_ord_id=ref.client_order_id)
            listed = _entries(answer, key)
            ours = [one for one in listed if client_id(one[1].get("cl_ord_id")) == ref.client_order_id]
            if ours:
                return max(ours, key=_opened_at)  # an id may be used again after its order ended
        return None

    async def trades(self, since_ns: int) -> list[Named]:
        """Executions on all pairs from a time on, oldest first; all pages.

        Pages are counted from the newest: one that comes meanwhile pushes the others on, so that some appear
        twice and none is missed.
        """
        found: dict[str, dict[str, Any]] = {}
        since_s = max(0, since_ns) // 10**9
        every = {"consolidate_taker": "false"}  # the stream tells each execution of a taker by itself
        start = {"start": str(since_s - 1)} if since_s > 0 else {}  # Kraken leaves out the second it is given
        for page in range(MOST_PAGES):
            answer = await self._transport.private("TradesHistory", **every, **start, ofs=str(page * PAGE))
            listed = _entries(answer, "trades")
            found |= dict(listed)
            count = answer.get("count")
            if not listed or (isinstance(count, int) and (page + 1) * PAGE >= count):
                return sorted(_since(found, since_ns), key=_age)
        raise Unavailable("too_long", f"more than {MOST_PAGES} pages of executions")

    async def client_ids(self, exchange_order_ids: Iterable[str]) -> dict[str, str]:
        """Our id of each order, empty for one placed without; asks for those not remembered."""
        wanted = dict.fromkeys(exchange_order_ids)
        unknown = [one for one in wanted if one not in self._client_ids]
        for start in range(0, len(unknown), QUERIED_AT_ONCE):
            found = await self._queried(unknown[start : start + QUERIED_AT_ONCE])
            for order_id, order in found.items():
                self.remember(order_id, client_id(order.get("cl_ord_id")))
        return {one: self._client_ids.get(one, "") for one in wanted}

    async def _queried(self, order_ids: list[str]) -> dict[str, dict[str, Any]]:
        try:
            answer = await self._transport.private("QueryOrders", txid=",".join(order_ids))
        except Unavailable as error:
            if error.code == errors.UNKNOWN_ORDER:
                return {}
            raise
        return dict(_entries({"orders": answer}, "orders"))


def _entries(answer: dict[str, Any], key: str) -> list[Named]:
    try:
        return [(one, mapping(entry, one)) for one, entry in mapping(answer.get(key), key).items()]
    except Unreadable as error:
        raise Unavailable("unreadable", str(error)) from None


def _opened_at(named: Named) -> Decimal:
    return _time(rest_parsing.opened_at, named)


def _age(named: Named) -> tuple[Decimal, int, str]:
    number = named[1].get("trade_id")
    return _time(rest_parsing.trade_time, named), number if isinstance(number, int) else 0, named[0]


def _since(found: dict[str, dict[str, Any]], since_ns: int) -> list[Named]:
    first = Decimal(since_ns) / 10**9 - SHOWN_S
    return [one for one in found.items() if _time(rest_parsing.trade_time, one) >= first]


def _time(reading: Any, named: Named) -> Decimal:
    try:
        at: Decimal = reading(named[1])
    except Unreadable as error:
        raise Unavailable("unreadable", f"{named[0]}: {error}") from None
    return at
