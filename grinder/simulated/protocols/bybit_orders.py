"""Orders at the simulated Bybit: what arrives on the wire, as terms; what the desk says, as an answer.

Law: an acknowledgement says that a request was received.  A post-only order that would take is acknowledged
and cancelled afterwards; every other refusal is in the answer itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from domain.instrument import Instrument, value
from domain.order_events import OrderTerms
from domain.orders import BUY, LIMIT, MARKET
from grinder.connectors.converting import Scales, Unreadable, positive
from grinder.simulated.protocols.bybit_words import (
    SIDES,
    SPOT,
    TIMES_IN_FORCE,
    best,
    category_of,
    code_of,
    order_id,
    own_id,
)
from replay.exchange.desk import Desk, DeskOrder
from replay.exchange.rules import Reject

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")

Result = dict[str, Any]
Write = Callable[[dict[str, Any]], tuple[Result, list[Result] | None]]
"""A request's body to its result and, of a batch, the codes of its items."""

BATCH = {SPOT: 10, "linear": 20}

MARKET_REACH_PERCENT = 105
"""A market purchase is reserved at the best ask and five per cent."""


class Refused(Exception):
    """A request is answered with a code of Bybit's."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


def _refused(reject: Reject, category: str) -> Refused:
    return Refused(*code_of(reject, category))


@attrs.define
class OrderDesk:
    """Order requests of one category's rows, worded for the desk and back."""

    desk: Desk
    scales: Scales

    def instrument(self, symbol: object, category: str) -> Instrument:
        """A symbol of a category.

        Raises:
            Refused: there is none.
        """
        found = self.desk.instruments.get(symbol) if isinstance(symbol, str) else None
        if found is None or category_of(found) != category:
            raise _refused(Reject.UNKNOWN_SYMBOL, category)
        return found

    def place(self, row: dict[str, Any], category: str, now_ns: int) -> dict[str, str]:
        """An order arrives; its acknowledgement.

        Raises:
            Refused: it is not taken.
        """
        order = self.desk.place(self._terms(row, category), now_ns)
        if order.reject is not None and not order.exchange_id:
            raise _refused(order.reject, category)
        return _acknowledged(order)

    def cancel(self, row: dict[str, Any], category: str, now_ns: int) -> dict[str, str]:
        """An order is to be cancelled; the acknowledgement.

        Raises:
            Refused: it is not known, or not open.
        """
        order = self._find(row, category)
        if not self.desk.cancel(order, now_ns):
            raise _refused(Reject.UNKNOWN_ORDER, category)
        return _acknowledged(order)

    def amend(self, row: dict[str, Any], category: str, now_ns: int) -> dict[str, str]:
        """Price or quantity of an open order is to change; the acknowledgement.

        Raises:
            Refused: it is not.
        """
        order = self._find(row, category)
        price = self._price(order.symbol, row["price"], category) if row.get("price") else order.price_ticks
        lots = self._lots(order.symbol, row["qty"], category) if row.get("qty") else order.lots
        reject = self.desk.amend(order, price, lots, now_ns)
        if reject is not None:
            raise _refused(reject, category)
        return _acknowledged(order)

    def cancel_all(self, body: dict[str, Any], category: str, now_ns: int) -> list[dict[str, str]]:
        """Every order of a symbol, or of the category when none is named."""
        symbol = str(body.get("symbol") or "")
        if symbol:
            self.instrument(symbol, category)
        ended = []
        for order in self.desk.open_orders(symbol):
            if category_of(self.desk.instruments[order.symbol]) == category:
                self.desk.cancel(order, now_ns)
                ended.append(_acknowledged(order))
        return ended

    def _find(self, row: dict[str, Any], category: str) -> DeskOrder:
        self.instrument(row.get("symbol"), category)
        told, link = str(row.get("orderId") or ""), str(row.get("orderLinkId") or "")
        if not told and not link:
            raise Refused(10001, "params error: orderId or orderLinkId is required")
        order = (
            self.desk.find(exchange_order_id=own_id(told)) if told else self.desk.find(client_order_id=link)
        )
        if order is None or order.symbol != row.get("symbol"):
            raise _refused(Reject.UNKNOWN_ORDER, category)
        return order

    def _terms(self, row: dict[str, Any], category: str) -> OrderTerms:
        symbol = self.instrument(row.get("symbol"), category).symbol
        link = str(row.get("orderLinkId") or "")
        if link and LINK_ID.fullmatch(link) is None:
            raise Refused(10001, "params error: OrderLinkId invalid")
        side = SIDES.get(str(row.get("side")))
        kind = str(row.get("orderType"))
        if side is None or kind not in ("Limit", "Market"):
            raise Refused(10001, "params error: side or orderType invalid")
        force = "IOC" if kind == "Market" else str(row.get("timeInForce") or "GTC")
        if force not in TIMES_IN_FORCE:
            raise Refused(10001, "params error: timeInForce invalid")
        market = kind == "Market"
        price = self._reach(symbol, side, category) if market else self._price(symbol, row["price"], category)
        in_quote = market and category == SPOT and side == BUY and row.get("marketUnit") != "baseCoin"
        lots = (
            self._worth(symbol, row["qty"], category)
            if in_quote
            else self._lots(symbol, row["qty"], category)
        )
        return OrderTerms(
            client_order_id=link,
            symbol=symbol,
            side=side,
            order_type=MARKET if market else LIMIT,
            time_in_force=TIMES_IN_FORCE[force].value,
            reduce_only=row.get("reduceOnly") is True,
            price_ticks=price,
            lots=lots,
        )

    def _price(self, symbol: str, text: object, category: str) -> int:
        try:
            return self.scales.ticks(symbol, text)
        except Unreadable:
            raise _refused(Reject.PRICE_FILTER, category) from None

    def _lots(self, symbol: str, text: object, category: str) -> int:
        try:
            return self.scales.lots(symbol, text)
        except Unreadable:
            raise _refused(Reject.LOT_SIZE, category) from None

    def _worth(self, symbol: str, text: object, category: str) -> int:
        """Whole lots that an amount of the quote currency buys at the best ask."""
        instrument = self.desk.instruments[symbol]
        units = int(positive(text).scaleb(instrument.quote_decimals))
        row = self.desk.quote(symbol)
        if row is None:
            raise _refused(Reject.MARKET_CLOSED, category)
        return units // value(instrument, best(row)[1], instrument.base_per_lot)

    def _reach(self, symbol: str, side: str, category: str) -> int:
        row = self.desk.quote(symbol)
        if row is None:
            raise _refused(Reject.MARKET_CLOSED, category)
        bid, ask, _, _ = best(row)
        return ask * MARKET_REACH_PERCENT // 100 if side == BUY else bid


def _acknowledged(order: DeskOrder) -> dict[str, str]:
    return {"orderId": order_id(order.exchange_id), "orderLinkId": order.client_id}
