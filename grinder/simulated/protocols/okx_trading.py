"""Orders on the simulated OKX: how a request is read and what becomes of it, by REST and by WebSocket alike.

Law: the desk decides; an order is acknowledged before it is judged for being post-only, as on OKX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from domain.instrument import Instrument, notional
from domain.order_events import OrderTerms
from domain.orders import BUY, LIMIT, MARKET, TimeInForce
from grinder.connectors.converting import Unreadable, positive
from grinder.simulated.limiter import RequestLimiter
from grinder.simulated.protocols import okx_words as words
from grinder.simulated.protocols.ports import Wording
from replay.exchange.desk import DeskOrder
from replay.exchange.rules import Reject

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")

ORDERS_IN_2_S = 1000
"""New orders and changes of a sub-account, whatever way they come in."""

NOT_CANCELLED = ("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")

Words = dict[str, Any]


class Refused(Exception):
    """A request is refused as a whole."""

    def __init__(self, code: str, text: str, status: int = 200) -> None:
        super().__init__(code, text)
        self.code, self.text, self.status = code, text, status


class OkxTrading:
    """Orders of one server.

    Attributes:
        said: what a client said of an order that the desk does not keep, by exchange order id.
        limiter: new orders and changes.
    """

    def __init__(self, server: Wording) -> None:
        self._server = server
        self.desk = server.desk
        self.scales = server.scales
        self.said: dict[str, Words] = {}
        self.limiter = RequestLimiter(ORDERS_IN_2_S, 2.0)

    def listed(self, native: object) -> Instrument:
        """The instrument of OKX's name.

        Raises:
            Refused: there is none.
        """
        for one in self.desk.instruments.values():
            if words.native(one) == native:
                return one
        raise Refused("51001", "Instrument ID does not exist.")

    def place(self, bodies: Sequence[Words]) -> list[Words]:
        """Take orders, from REST or from a WebSocket."""
        return [self._limited(body, self._place_one) for body in bodies]

    def cancel(self, bodies: Sequence[Words]) -> list[Words]:
        """Cancel orders, from REST or from a WebSocket."""
        return [self._cancel_one(body) for body in bodies]

    def amend(self, bodies: Sequence[Words]) -> list[Words]:
        """Change orders, from REST or from a WebSocket."""
        return [self._limited(body, self._amend_one) for body in bodies]

    def _limited(self, body: Words, handle: Callable[[Words], Words]) -> Words:
        if self.limiter.take(1, self._server.clock()):
            return item(body.get("clOrdId"), body.get("ordId"), ("50061", "Sub-account rate limit exceeded."))
        try:
            return handle(body)
        except Refused as refused:
            return item(body.get("clOrdId"), "", (refused.code, refused.text))

    def _place_one(self, body: Words) -> Words:
        client_id = body.get("clOrdId") or ""
        if client_id and not (isinstance(client_id, str) and CLIENT_ID.fullmatch(client_id)):
            raise Refused("51000", "Parameter clOrdId error")
        terms, said = self._terms(body, client_id)
        order = self.desk.place(terms, self._server.now_ns())
        if order.reject is not None and order.reject is not Reject.WOULD_TAKE:
            return item(client_id, "", words.REFUSALS[order.reject])
        if said:
            self.said[order.exchange_id] = said
        return item(client_id, order.exchange_id, ("0", "Order placed"), at=str(self._server.now_ms()))

    def _terms(self, body: Words, client_id: str) -> tuple[OrderTerms, Words]:
        """An order as asked for; and what of it the desk does not keep."""
        listed = self.listed(body.get("instId"))
        symbol, side, kind = listed.symbol, body.get("side"), body.get("ordType")
        swap = words.kind(listed) == words.SWAP
        if body.get("tdMode") != ("cross" if swap else "cash") or side not in ("buy", "sell"):
            raise Refused("51000", "Parameter tdMode or side error")
        if body.get("posSide") not in (None, "", "net"):
            raise Refused("51000", "Parameter posSide error")
        said: Words = {}
        if kind == "market":
            ticks, time_in_force = self._market_price(symbol, str(side)), TimeInForce.IOC
            target = body.get("tgtCcy") or ("quote_ccy" if side == BUY else "base_ccy")
            said = {} if swap else {"tgtCcy": target}
            if target == "quote_ccy" and not swap:
                lots = self._bought_with(listed, ticks, body.get("sz"))
                said["sz"] = str(body.get("sz"))
            else:
                lots = self._lots(symbol, body.get("sz"))
        else:
            if kind not in words.TIMES_IN_FORCE:
                raise Refused("51000", "Parameter ordType error")
            time_in_force = words.TIMES_IN_FORCE[str(kind)]
            ticks, lots = self._ticks(symbol, body.get("px")), self._lots(symbol, body.get("sz"))
        terms = OrderTerms(
            client_order_id=client_id,
            symbol=symbol,
            side=str(side),
            order_type=MARKET if kind == "market" else LIMIT,
            time_in_force=str(time_in_force),
            reduce_only=swap and str(body.get("reduceOnly")).lower() == "true",
            price_ticks=ticks,
            lots=lots,
        )
        return terms, said

    def _market_price(self, symbol: str, side: str) -> int:
        row = self.desk.quote(symbol)
        if row is None:
            raise Refused("51022", "Instrument suspended.")
        return (row.ask if side == BUY else row.bid) or row.price

    def _bought_with(self, listed: Instrument, ticks: int, money: object) -> int:
        """Whole lots a sum of money buys."""
        try:
            units = int(positive(money, "sz").scaleb(listed.quote_decimals))
        except Unreadable:
            raise Refused("51000", "Parameter sz error") from None
        lots = units // notional(listed, ticks, 1)
        if not lots:
            raise Refused("51020", "Your order should meet or exceed the minimum order amount.")
        return lots

    def _ticks(self, symbol: str, text: object) -> int:
        try:
            ticks = self.scales.ticks(symbol, text)
        except Unreadable:
            raise Refused("51000", "Parameter px error") from None
        if not ticks:
            raise Refused("51000", "Parameter px error")
        return ticks

    def _lots(self, symbol: str, text: object) -> int:
        try:
            positive(text, "sz")
        except Unreadable:
            raise Refused("51000", "Parameter sz error") from None
        try:
            lots = self.scales.lots(symbol, text)
        except Unreadable:
            raise Refused(*words.REFUSALS[Reject.LOT_SIZE]) from None
        if not lots:
            raise Refused(*words.REFUSALS[Reject.NOTIONAL])
        return lots

    def _found(self, body: Words) -> DeskOrder | None:
        """The order a request names; by OKX's id when both are given."""
        if body.get("ordId"):
            return self.desk.find(exchange_order_id=str(body["ordId"]))
        return self.desk.find(client_order_id=str(body.get("clOrdId") or ""))

    def _cancel_one(self, body: Words) -> Words:
        order = self._found(body)
        if order is None or not self.desk.cancel(order, self._server.now_ns()):
            return item(body.get("clOrdId"), body.get("ordId"), NOT_CANCELLED)
        return item(order.client_id, order.exchange_id, ("0", ""), at=str(self._server.now_ms()))

    def _amend_one(self, body: Words) -> Words:
        order = self._found(body)
        if order is None:
            return item(body.get("clOrdId"), body.get("ordId"), ("51503", "Order does not exist"))
        symbol = order.symbol
        ticks = self._ticks(symbol, body["newPx"]) if body.get("newPx") else order.price_ticks
        lots = self._lots(symbol, body["newSz"]) if body.get("newSz") else order.lots
        reject = self.desk.amend(order, ticks, lots, self._server.now_ns())
        told = words.REFUSALS[reject] if reject is not None else ("0", "")
        return item(order.client_id, order.exchange_id, told, at=str(self._server.now_ms()))


def item(client_id: object, exchange_id: object, told: tuple[str, str], at: str = "") -> Words:
    """What became of one order of a request."""
    ids = {"clOrdId": client_id or "", "ordId": exchange_id or "", "tag": ""}
    return {**ids, "sCode": told[0], "sMsg": told[1], "ts": at}
