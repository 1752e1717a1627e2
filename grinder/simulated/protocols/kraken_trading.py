"""Orders on the simulated Kraken: what REST and the WebSocket have in common.

Law: a request is judged in Kraken's order (counter, arguments, then the engine), and either answers or raises
`Refusal` with one of Kraken's codes.  A batch whose arguments are wrong is refused as a whole; the engine
judges its orders one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from domain.order_events import OrderTerms
from domain.orders import BUY, LIMIT, MARKET, SELL, TimeInForce
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.kraken.naming import symbols_by_name
from grinder.simulated.protocols import kraken_wording as wording
from grinder.simulated.protocols.kraken_counters import AMEND, CANCEL, PRO, Counter, Tier, penalty
from replay.exchange.desk import Desk, DeskOrder
from replay.exchange.rules import Reject

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]{32}")
_FREE = re.compile(r"[\x21-\x7e]{1,18}")

BATCH = (2, 15)
CANCEL_BATCH = 50
LONGEST_DEAD_MAN_S = 86_400

INVALID = "EGeneral:Invalid arguments"
RATE = "EOrder:Rate limit exceeded"


class Refusal(Exception):
    """Kraken says no; the text is its code."""


class Trading:
    """The trading requests on a desk.

    Args:
        clock: true time, ns.

    Attributes:
        symbols: our symbol by any of Kraken's names of a pair.
        userrefs: what was sent as `userref`, by the desk's order id.
    """

    def __init__(self, desk: Desk, scales: Scales, clock: Callable[[], int], tier: Tier = PRO) -> None:
        self._desk = desk
        self._scales = scales
        self._clock = clock
        self._tier = tier
        self._counters: dict[str, Counter] = {}
        self._amended_ns: dict[str, int] = {}
        self.userrefs: dict[str, int] = {}
        listed = desk.instruments.items()
        self.symbols = symbols_by_name((name, one.base, one.quote) for name, one in listed)

    def counter(self, symbol: str) -> Counter:
        """The counter of a pair."""
        return self._counters.setdefault(symbol, Counter(self._tier))

    # --- adding ------------------------------------------------------------------------------------------

    def add(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AddOrder."""
        symbol = self._symbol(asked)
        self._charge(symbol, 1)
        terms = self._terms(symbol, asked)
        if _true(asked.get("validate")):
            return {"descr": {"order": "validated"}}
        placed = self._place(terms, asked)
        return {"txid": [wording.order_id_of(placed)], "descr": wording.description(self._scales, placed)}

    def add_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AddOrderBatch: costs half of what its orders would alone."""
        orders = asked.get("orders")
        if not isinstance(orders, list) or not BATCH[0] <= len(orders) <= BATCH[1]:
            raise Refusal(INVALID + ":orders")
        symbol = self._symbol(asked)
        self._charge(symbol, len(orders) / 2)
        terms = [self._terms(symbol, one) for one in orders]
        if _true(asked.get("validate")):
            return {"orders": [{"descr": {"order": "validated"}} for _ in orders]}
        return {"orders": [self._added(one, given) for one, given in zip(terms, orders, strict=True)]}

    def _added(self, terms: OrderTerms, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            placed = self._place(terms, asked)
        except Refusal as refusal:
            return {"error": str(refusal)}
        descr = wording.description(self._scales, placed)
        return {"txid": wording.order_id_of(placed), "descr": {"order": descr["order"]}}

    def _place(self, terms: OrderTerms, asked: Mapping[str, Any]) -> DeskOrder:
        placed = self._desk.place(terms, self._clock())
        if placed.reject is not None:
            raise Refusal(wording.REFUSALS.get(placed.reject, INVALID))
        if asked.get("userref") is not None:
            self.userrefs[placed.exchange_id] = int(asked["userref"])
        return placed

    def _terms(self, symbol: str, asked: Mapping[str, Any]) -> OrderTerms:
        flags = str(asked.get("oflags") or "").split(",")
        order_type, side = asked.get("ordertype"), asked.get("type")
        if order_type not in (LIMIT, MARKET):
            raise Refusal(INVALID + ":ordertype")
        if side not in (BUY, SELL):
            raise Refusal(INVALID + ":type")
        in_force = {"IOC": TimeInForce.IOC, "GTC": TimeInForce.GTC}.get(
            str(asked.get("timeinforce") or "GTC")
        )
        if in_force is None or ("post" in flags and in_force is TimeInForce.IOC):
            raise Refusal(INVALID + ":timeinforce")
        if "post" in flags:
            in_force = TimeInForce.POST_ONLY
        market = order_type == MARKET
        return OrderTerms(
            client_order_id=_client_id(asked),
            symbol=symbol,
            side=side,
            order_type=MARKET if market else LIMIT,
            time_in_force=(TimeInForce.IOC if market else in_force).value,
            reduce_only=False,
            price_ticks=self._market_price(symbol) if market else self.ticks(symbol, asked.get("price")),
            lots=self.lots(symbol, asked.get("volume")),
        )

    def _market_price(self, symbol: str) -> int:
        row = self._desk.quote(symbol)
        return row.price if row else 0

    # --- cancelling and amending -------------------------------------------------------------------------

    def cancel(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CancelOrder: by our id, or by Kraken's (several, with commas), or by a userref."""
        if asked.get("cl_ord_id"):
            found = self._named([str(asked["cl_ord_id"])], [])
        else:
            found = self._named([], str(asked.get("txid") or "").split(","))
        if not found:
            raise Refusal(wording.REFUSALS[Reject.UNKNOWN_ORDER])
        return {"count": self.end(found)}

    def cancel_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CancelOrderBatch: names that are not open are passed over in the count."""
        ours = [str(one) for one in asked.get("cl_ord_ids") or []]
        theirs = [str(one["txid"] if isinstance(one, dict) else one) for one in asked.get("orders") or []]
        if not 1 <= len(ours) + len(theirs) <= CANCEL_BATCH:
            raise Refusal(INVALID + ":orders")
        return {"count": self.end(self._named(ours, theirs))}

    def cancel_all(self) -> dict[str, Any]:
        """CancelAll: every open order of the account."""
        return {"count": self.end(self._desk.open_orders())}

    def end(self, orders: Iterable[DeskOrder]) -> int:
        """Cancel orders, at the price their ages have; how many were open."""
        now_ns = self._clock()
        ended = 0
        for order in list(orders):
            since = self._amended_ns.get(order.exchange_id, order.created_ns)
            self.counter(order.symbol).add(penalty(CANCEL, now_ns - since), now_ns)
            ended += self._desk.cancel(order, now_ns)
        return ended

    def amend(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AmendOrder: price, quantity or both, in place."""
        ours, theirs = asked.get("cl_ord_id"), asked.get("txid") or asked.get("order_id")
        found = self._named([str(ours)] if ours else [], [str(theirs)] if theirs and not ours else [])
        if not found:
            raise Refusal(wording.REFUSALS[Reject.UNKNOWN_ORDER])
        [order] = found
        now_ns = self._clock()
        since = self._amended_ns.get(order.exchange_id, order.created_ns)
        self._charge(order.symbol, 1 + penalty(AMEND, now_ns - since))
        price, volume = asked.get("limit_price"), asked.get("order_qty")
        ticks = order.price_ticks if price is None else self.ticks(order.symbol, price)
        lots = order.lots if volume is None else self.lots(order.symbol, volume)
        reject = self._desk.amend(order, ticks, lots, now_ns)
        if reject is not None:
            raise Refusal(wording.REFUSALS.get(reject, INVALID))
        self._amended_ns[order.exchange_id] = now_ns
        return {"amend_id": wording.kraken_id("T", now_ns % 10**16)}

    def dead_man(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CancelAllOrdersAfter: one switch for the account."""
        timeout = int(str(asked.get("timeout")))
        if not 0 <= timeout < LONGEST_DEAD_MAN_S:
            raise Refusal(INVALID + ":timeout")
        now_ns = self._clock()
        self._desk.arm(timeout, now_ns)
        trigger = wording.rfc3339(now_ns + timeout * 10**9)[:19] + "Z" if timeout else "0"
        return {"currentTime": wording.rfc3339(now_ns)[:19] + "Z", "triggerTime": trigger}

    # --- within ------------------------------------------------------------------------------------------

    def ticks(self, symbol: str, text: Any) -> int:
        """A price in ticks."""
        try:
            ticks = self._scales.ticks(symbol, text)
        except Unreadable:
            raise Refusal("EOrder:Invalid price:" + str(text)[:20]) from None
        if ticks <= 0:
            raise Refusal(INVALID + ":price")
        return ticks

    def lots(self, symbol: str, text: Any) -> int:
        """A volume in lots."""
        try:
            lots = self._scales.lots(symbol, text)
        except Unreadable:
            raise Refusal(INVALID + ":volume") from None
        if lots <= 0:
            raise Refusal("EOrder:Order minimum not met")
        return lots

    def _symbol(self, asked: Mapping[str, Any]) -> str:
        symbol = self.symbols.get(str(asked.get("pair")))
        if symbol is None:
            raise Refusal(wording.REFUSALS[Reject.UNKNOWN_SYMBOL])
        return symbol

    def _charge(self, symbol: str, cost: float) -> None:
        if not self.counter(symbol).take(cost, self._clock()):
            raise Refusal(RATE)

    def _named(self, ours: list[str], theirs: list[str]) -> list[DeskOrder]:
        """Open orders of these names."""
        found: dict[str, DeskOrder] = {}
        for order in self._desk.open_orders():
            userref = self.userrefs.get(order.exchange_id)
            named = order.client_id in ours if order.client_id else False
            named = named or wording.order_id_of(order) in theirs
            if named or (userref is not None and str(userref) in theirs):
                found[order.exchange_id] = order
        return list(found.values())


def _client_id(asked: Mapping[str, Any]) -> str:
    text = asked.get("cl_ord_id")
    if text is None or text == "":
        return ""
    if asked.get("userref") is not None:
        raise Refusal(INVALID + ":cl_ord_id")
    if not isinstance(text, str) or not any(form.fullmatch(text) for form in (_UUID, _HEX, _FREE)):
        raise Refusal(INVALID + ":cl_ord_id")
    return text


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1")
