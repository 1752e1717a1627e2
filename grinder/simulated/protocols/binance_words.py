"""Binance's wording of orders, executions, filters and events, for both markets.

Law: pure: from what the desk holds to what the exchange's documents show, text for text.  It decides nothing.
"""

from __future__ import annotations

from typing import Any

from actors.ports import SnapshotStatus
from domain.instrument import Instrument, notional
from domain.order_events import OrderTerms
from domain.orders import BUY, MARKET, TimeInForce
from domain.units import fixed_text
from grinder.connectors.converting import Scales
from replay.exchange.desk import DeskExecution, DeskOrder, DeskUpdate, Filters
from replay.exchange.desk_view import SeenOrder
from replay.exchange.rules import Reject

NS_PER_MS = 1_000_000

STATUS = {
    SnapshotStatus.PENDING: "NEW",
    SnapshotStatus.FILLED: "FILLED",
    SnapshotStatus.CANCELLED: "CANCELED",
    SnapshotStatus.REJECTED: "REJECTED",
    SnapshotStatus.EXPIRED: "EXPIRED",
}

EXECUTION = {
    "new": "NEW",
    "fill": "TRADE",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "amended": "REPLACED",
}

USDM_REJECTS = {
    Reject.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    Reject.DUPLICATE: (-4116, "ClientOrderId is duplicated."),
    Reject.NOTIONAL: (
        -4164,
        "Order's notional must be no smaller than {least} (unless you choose reduce only).",
    ),
    Reject.PRICE_FILTER: (-4014, "Price not increased by tick size."),
    Reject.LOT_SIZE: (-4023, "Qty not increased by step size."),
    Reject.BALANCE: (-2019, "Margin is insufficient."),
    Reject.MARKET_CLOSED: (-4140, "Invalid symbol status for opening position."),
    Reject.MAX_ORDERS: (-2025, "Reach max open order limit."),
}

HIGHEST = "1000000"
MOST_ORDERS = 200


AnyOrder = DeskOrder | SeenOrder


class Words:
    """The wording for the instruments of one desk."""

    def __init__(self, scales: Scales, *, futures: bool) -> None:
        self._scales = scales
        self._futures = futures

    def price(self, symbol: str, ticks: int) -> str:
        """A price with the exchange's digits: spot shows eight."""
        shown = self._scales.price_text(symbol, ticks)
        return shown if self._futures else padded(shown)

    def quantity(self, symbol: str, lots: int) -> str:
        """A quantity with the exchange's digits."""
        shown = self._scales.quantity_text(symbol, lots)
        return shown if self._futures else padded(shown)

    def money(self, symbol: str, quote_units: int) -> str:
        """An amount of the quote currency."""
        return fixed_text(quote_units, self._scales.instrument(symbol).quote_decimals)

    def status(self, status: SnapshotStatus, filled_lots: int) -> str:
        """An order's status."""
        if status is SnapshotStatus.WORKING:
            return "PARTIALLY_FILLED" if filled_lots else "NEW"
        return STATUS[status]

    def kind(self, terms: OrderTerms) -> tuple[str, str]:
        """(type, time in force)."""
        if terms.order_type == MARKET:
            return "MARKET", "GTC"
        if terms.time_in_force == TimeInForce.POST_ONLY:
            return ("LIMIT", "GTX") if self._futures else ("LIMIT_MAKER", "GTC")
        return "LIMIT", "IOC" if terms.time_in_force == TimeInForce.IOC else "GTC"

    def order(self, order: AnyOrder) -> dict[str, Any]:
        """An order as a query shows it."""
        return self._futures_order(order) if self._futures else self._spot_order(order)

    def _common(self, order: AnyOrder) -> dict[str, Any]:
        terms, symbol = order.terms, order.terms.symbol
        kind, tif = self.kind(terms)
        return {
            "symbol": symbol,
            "orderId": int(order.exchange_id),
            "clientOrderId": client_id(order),
            "price": self.price(symbol, 0 if terms.order_type == MARKET else order.price_ticks),
            "origQty": self.quantity(symbol, order.lots),
            "executedQty": self.quantity(symbol, order.filled_lots),
            "status": self.status(order.status, order.filled_lots),
            "timeInForce": tif,
            "type": kind,
            "side": side(terms),
            "time": order.created_ns // NS_PER_MS,
            "updateTime": order.updated_ns // NS_PER_MS,
            "selfTradePreventionMode": "NONE",
        }

    def _spot_order(self, order: AnyOrder) -> dict[str, Any]:
        working = order.status is SnapshotStatus.WORKING
        return {
            **self._common(order),
            "orderListId": -1,
            "cummulativeQuoteQty": self.money(order.terms.symbol, order.filled_value),
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "isWorking": working,
            "workingTime": order.created_ns // NS_PER_MS,
            "origQuoteOrderQty": "0.00000000",
        }

    def _futures_order(self, order: AnyOrder) -> dict[str, Any]:
        symbol, common = order.terms.symbol, self._common(order)
        average = "0.00"
        if order.filled_lots:
            instrument = self._scales.instrument(symbol)
            average = self.price(symbol, order.filled_value // notional(instrument, 1, order.filled_lots))
        return {
            **common,
            "avgPrice": average,
            "cumQty": common["executedQty"],
            "cumQuote": self.money(symbol, order.filled_value),
            "reduceOnly": order.terms.reduce_only,
            "closePosition": False,
            "positionSide": "BOTH",
            "stopPrice": "0",
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": common["type"],
            "priceMatch": "NONE",
            "goodTillDate": 0,
        }

    def execution(self, one: DeskExecution, fee: str) -> dict[str, Any]:
        """A row of the own executions; one without a number has none here either."""
        terms = one.order.terms
        symbol, instrument = terms.symbol, self._scales.instrument(terms.symbol)
        row = {
            "symbol": symbol,
            "id": one.number or -1,
            "orderId": int(one.order.exchange_id),
            "price": self.price(symbol, one.price_ticks),
            "qty": self.quantity(symbol, one.lots),
            "quoteQty": self.money(symbol, notional(instrument, one.price_ticks, one.lots)),
            "commission": fee,
            "commissionAsset": one.fee_asset,
            "time": one.ts_ns // NS_PER_MS,
        }
        buys, maker = terms.side == BUY, one.liquidity == "maker"
        if self._futures:
            more = {"realizedPnl": "0", "positionSide": "BOTH", "marginAsset": instrument.quote}
            return {**row, **more, "side": side(terms), "buyer": buys, "maker": maker}
        return {**row, "orderListId": -1, "isBuyer": buys, "isMaker": maker, "isBestMatch": True}

    def filters(self, symbol: str, filters: Filters) -> list[dict[str, Any]]:
        """The filters of a symbol."""
        instrument = self._scales.instrument(symbol)
        least = self.money(symbol, filters.min_notional)
        price = {"filterType": "PRICE_FILTER", "minPrice": filters.tick, "maxPrice": HIGHEST}
        lot = {"minQty": filters.lot, "maxQty": HIGHEST, "stepSize": filters.lot}
        found: list[dict[str, Any]] = [
            {**price, "tickSize": filters.tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
        ]
        if self._futures:
            found.append({"filterType": "MAX_NUM_ORDERS", "limit": MOST_ORDERS})
            found.append({"filterType": "MIN_NOTIONAL", "notional": least})
            percent = {"multiplierUp": "1.1000", "multiplierDown": "0.9000", "multiplierDecimal": "4"}
            return [*found, {"filterType": "PERCENT_PRICE", **percent}]
        found.append({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MOST_ORDERS})
        notional_filter = {"minNotional": least, "applyMinToMarket": True, "maxNotional": "9000000.00000000"}
        return (
            [
                *found,
                {"filterType": "NOTIONAL", **notional_filter, "applyMaxToMarket": False, "avgPriceMins": 5},
                {
                    "filterType": "PERCENT_PRICE_BY_SIDE",
                    **{
                        f"{who}Multiplier{way}": "5" if way == "Up" else "0.2"
                        for who in ("bid", "ask")
                        for way in ("Up", "Down")
                    },
                    "avgPriceMins": 5,
                },
                {"filterType": "MAX_POSITION", "maxPosition": HIGHEST},
            ]
            if instrument.kind == "spot"
            else found
        )

    # --- private events --------------------------------------------------------------------------------

    def execution_report(self, update: DeskUpdate, fee: str, now_ms: int) -> dict[str, Any]:
        """The spot event of an update.  A cancel that was asked for carries an id of its own."""
        order, one = update.order, update.execution
        terms, symbol = order.terms, order.symbol
        kind, tif = self.kind(terms)
        asked = update.kind == "cancelled" and order.reason == "requested"
        named = client_id(order)
        value = notional(self._scales.instrument(symbol), one.price_ticks, one.lots) if one else 0
        return {
            "e": "executionReport",
            "E": now_ms,
            "s": symbol,
            "c": f"cancel-{order.exchange_id}" if asked else named,
            "S": side(terms),
            "o": kind,
            "f": tif,
            "q": self.quantity(symbol, order.lots),
            "p": self.price(symbol, 0 if terms.order_type == MARKET else order.price_ticks),
            "P": "0.00000000",
            "F": "0.00000000",
            "g": -1,
            "C": named if asked else "",
            "x": EXECUTION[update.kind],
            "X": self.status(update.status, update.filled_lots),
            "r": "NONE" if update.kind in ("new", "fill") or asked else order.reason.upper() or "NONE",
            "i": int(order.exchange_id),
            "l": self.quantity(symbol, one.lots if one else 0),
            "z": self.quantity(symbol, update.filled_lots),
            "L": self.price(symbol, one.price_ticks if one else 0),
            "n": fee,
            "N": one.fee_asset if one else None,
            "T": update.ts_ns // NS_PER_MS,
            "t": (one.number or -1) if one else -1,
            "I": update.ts_ns // 1000,
            "w": update.status is SnapshotStatus.WORKING,
            "m": one is not None and one.liquidity == "maker",
            "M": False,
            "O": order.created_ns // NS_PER_MS,
            "Z": self.money(symbol, update.filled_value),
            "Y": self.money(symbol, value),
            "Q": "0.00000000",
            "W": order.created_ns // NS_PER_MS,
            "V": "NONE",
        }

    def order_trade_update(self, update: DeskUpdate, fee: str, now_ms: int) -> dict[str, Any]:
        """The USDM event of an update."""
        order, one = update.order, update.execution
        terms, symbol = order.terms, order.symbol
        kind, tif = self.kind(terms)
        told = {
            "s": symbol,
            "c": client_id(order),
            "S": side(terms),
            "o": kind,
            "f": tif,
            "q": self.quantity(symbol, order.lots),
            "p": self.price(symbol, 0 if terms.order_type == MARKET else order.price_ticks),
            "ap": "0",
            "sp": "0",
            "x": "AMENDMENT" if update.kind == "amended" else EXECUTION[update.kind],
            "X": self.status(update.status, update.filled_lots),
            "i": int(order.exchange_id),
            "l": self.quantity(symbol, one.lots if one else 0),
            "z": self.quantity(symbol, update.filled_lots),
            "L": self.price(symbol, one.price_ticks if one else 0),
            "T": update.ts_ns // NS_PER_MS,
            "t": one.number if one else 0,
            "b": "0",
            "a": "0",
            "m": one is not None and one.liquidity == "maker",
            "R": terms.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": kind,
            "ps": "BOTH",
            "cp": False,
            "rp": "0",
            "pP": False,
            "V": "NONE",
            "pm": "NONE",
            "gtd": 0,
        }
        if one is not None:
            told |= {"n": fee, "N": one.fee_asset}
            if not one.number:
                del told["t"]
        return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": update.ts_ns // NS_PER_MS, "o": told}


def padded(text: str) -> str:
    """A decimal with eight digits after the point, as spot shows every amount."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<8}"


def side(terms: OrderTerms) -> str:
    """BUY or SELL."""
    return "BUY" if terms.side == BUY else "SELL"


def client_id(order: AnyOrder) -> str:
    """The client's id; the exchange makes one up for orders that came without."""
    return order.client_id or f"web_{int(order.exchange_id):018d}"


def usdm_reject(reject: Reject, instrument: Instrument) -> tuple[int, str]:
    """USDM's code and words for a refusal."""
    code, text = USDM_REJECTS.get(reject, (int(reject.code), reject.text))
    return code, text.format(least=fixed_text(instrument.min_notional, instrument.quote_decimals))
