"""What the simulated Binance does in the same way on both markets: orders, executions, public streams.

Law: every answer is worded from the desk or from a request's view of it; nothing is kept here but who
subscribed to what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from domain.instrument import notional
from domain.order_events import OrderTerms
from domain.orders import BUY, LIMIT, MARKET, SELL, TimeInForce
from grinder.connectors.converting import Unreadable, positive
from grinder.secrets import Credentials
from grinder.simulated.protocols.binance_gate import (
    KEY,
    NONE,
    SIGNED,
    BinanceServer,
    Handle,
    Params,
    Refused,
    Weight,
)
from grinder.simulated.protocols.binance_market import PublicData
from grinder.simulated.protocols.binance_words import MOST_ORDERS, NS_PER_MS, client_id
from grinder.simulated.wire import Socket
from replay.exchange.desk import Desk, DeskExecution, DeskOrder
from replay.exchange.desk_view import DeskView, SeenOrder
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject
from replay.faults import FaultPlan

USUAL_PAGE = 500
LONGEST_PAGE = 1000

INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "1d": 1440}
"""Minutes of each candle that can be asked for."""

SIDES = {"BUY": BUY, "SELL": SELL}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "GTX": TimeInForce.POST_ONLY}


class TradingServer(BinanceServer):
    """Both markets' orders and public streams."""

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        self.public = PublicData(desk, self.words, futures=self.futures)
        self._made_ids = 0
        desk.max_open_orders = MOST_ORDERS

    # --- public requests -------------------------------------------------------------------------------

    def public_routes(self, prefix: str) -> list[web.RouteDef]:
        """Requests that need no key."""

        def get(path: str, handle: Handle, operation: str = "rules", weight: Weight = 1) -> web.RouteDef:
            return self.route("GET", prefix + path, handle, operation=operation, weight=weight)

        return [
            get("/ping", lambda params, view: {}, "time"),
            get("/time", lambda params, view: {"serverTime": self.now_ms()}, "time"),
            get("/depth", self._depth, weight=self._depth_weight),
            get("/trades", lambda params, view: self._trades(params), weight=5),
            get("/aggTrades", lambda params, view: self._agg_trades(params), weight=4),
            get("/klines", self._klines, weight=2),
            get("/ticker/24hr", self._per_symbol(self.public.day), weight=2),
            get("/ticker/bookTicker", self._per_symbol(self.public.book_ticker), weight=2),
            get("/ticker/price", self._per_symbol(self._price), weight=2),
        ]

    def _per_symbol(self, one: Callable[[str, int], Any]) -> Callable[[Params, DeskView], Any]:
        def answer(params: Params, view: DeskView) -> Any:
            if params.get("symbol"):
                return one(self.symbol(params), self.now_ms())
            named = orjson.loads(params["symbols"]) if params.get("symbols") else self.desk.instruments
            return [one(symbol, self.now_ms()) for symbol in named]

        return answer

    def _price(self, symbol: str, now_ms: int) -> dict[str, Any]:
        return {"symbol": symbol, "price": self.public.last_price(symbol)}

    def _depth_weight(self, query: Mapping[str, str]) -> int:
        levels = int(query.get("limit") or 100) if query.get("limit", "100").isdecimal() else 100
        weights = ((100, 2), (500, 5), (1000, 10)) if self.futures else ((100, 5), (500, 25), (1000, 50))
        return next((weight for most, weight in weights if levels <= most), 20 if self.futures else 250)

    def _depth(self, params: Params, view: DeskView) -> dict[str, Any]:
        return self.public.depth(self.symbol(params), self.now_ms())

    def _trades(self, params: Params) -> list[dict[str, Any]]:
        return list(self.public.shown(self.symbol(params)).trades)[-limit(params) :]

    def _agg_trades(self, params: Params) -> list[dict[str, Any]]:
        return [
            {
                "a": one["id"],
                "p": one["price"],
                "q": one["qty"],
                "f": one["id"],
                "l": one["id"],
                "T": one["time"],
                "m": one["isBuyerMaker"],
                "M": True,
            }
            for one in self._trades(params)
        ]

    def _klines(self, params: Params, view: DeskView) -> list[list[Any]]:
        minutes = INTERVALS.get(params.get("interval", ""))
        if minutes is None:
            raise Refused(-1120, "Invalid interval.")
        return self.public.klines(self.symbol(params), minutes, limit(params))

    def house_routes(self, *elsewhere: str) -> list[web.RouteDef]:
        """What clients ask of the whole house before they trade: coins, margin, the other markets."""

        def get(path: str, handle: Handle, security: str) -> web.RouteDef:
            return self.route("GET", path, handle, security=security)

        return [
            get("/sapi/v1/capital/config/getall", self._coins, SIGNED),
            get("/sapi/v1/margin/allPairs", lambda params, view: [], KEY),
            get("/sapi/v1/margin/isolated/allPairs", lambda params, view: [], SIGNED),
            *(get(f"{prefix}/exchangeInfo", self._no_symbols, NONE) for prefix in elsewhere),
        ]

    def _no_symbols(self, params: Params, view: DeskView) -> dict[str, Any]:
        return {"timezone": "UTC", "serverTime": self.now_ms(), "symbols": []}

    def _coins(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        none = dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")
        return [
            {
                "coin": asset,
                "name": asset,
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "free": self.units_text(asset, free),
                "locked": self.units_text(asset, locked),
                **none,
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
            for asset, (free, locked) in self.desk.totals().items()
        ]

    # --- orders ----------------------------------------------------------------------------------------

    def terms(self, params: Params) -> OrderTerms:
        """The order a request asks for."""
        symbol = self.symbol(params)
        for name in ("side", "type"):
            if not params.get(name):
                text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                raise Refused(-1102, text)
        kind = params["type"]
        if params["side"] not in SIDES:
            raise Refused(-1117, "Invalid side.")
        market = kind == "MARKET"
        price_ticks = self._market_price(symbol, params["side"]) if market else self._price_ticks(params)
        client_order_id = params.get("newClientOrderId", "")
        if not client_order_id:
            self._made_ids += 1
            client_order_id = f"auto{self._made_ids:018d}"
        if len(client_order_id) > 36:
            raise Refused(-4015, "Client order id length should be less than 36 chars")
        return OrderTerms(
            client_order_id=client_order_id,
            symbol=symbol,
            side=SIDES[params["side"]],
            order_type=MARKET if market else LIMIT,
            time_in_force=self.time_in_force(params, kind),
            reduce_only=params.get("reduceOnly", "").lower() == "true",
            price_ticks=price_ticks,
            lots=self._lots(params, price_ticks),
        )

    def time_in_force(self, params: Params, kind: str) -> TimeInForce:
        """How long an order of this type waits."""
        if kind == "LIMIT_MAKER" and not self.futures:
            return TimeInForce.POST_ONLY
        if kind == "MARKET":
            return TimeInForce.IOC
        if kind != "LIMIT":
            raise Refused(-1116, "Invalid orderType.")
        word = params.get("timeInForce", "")
        if not word:
            text = "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."
            raise Refused(-1102, text)
        if word not in TIMES_IN_FORCE or (word == "GTX" and not self.futures):
            raise Refused(-1115, "Invalid timeInForce.")
        return TIMES_IN_FORCE[word]

    def refused(self, reject: Reject, symbol: str) -> Refused:
        """The desk's refusal in this market's words."""
        return Refused(int(reject.code), reject.text)

    def _price_ticks(self, params: Params) -> int:
        try:
            ticks = self.scales.ticks(params["symbol"], params.get("price"))
        except Unreadable:
            raise self.refused(Reject.PRICE_FILTER, params["symbol"]) from None
        if not ticks:
            raise self.refused(Reject.PRICE_FILTER, params["symbol"])
        return ticks

    def _market_price(self, symbol: str, side: str) -> int:
        shown = self.public.shown(symbol)
        price = shown.ask if side == "BUY" else shown.bid
        if not price:
            raise self.refused(Reject.MARKET_CLOSED, symbol)
        return price

    def _lots(self, params: Params, price_ticks: int) -> int:
        symbol = params["symbol"]
        try:
            if params.get("quoteOrderQty") and not params.get("quantity"):
                instrument = self.desk.instruments[symbol]
                spent = int(positive(params["quoteOrderQty"]).scaleb(instrument.quote_decimals))
                lots = spent // (price_ticks * instrument.base_per_lot * instrument.quote_per_tick_base)
            else:
                lots = self.scales.lots(symbol, params.get("quantity"))
        except Unreadable:
            raise self.refused(Reject.LOT_SIZE, symbol) from None
        if not lots:
            raise self.refused(Reject.LOT_SIZE, symbol)
        return lots

    def place(self, params: Params) -> DeskOrder:
        """Place the order a request asks for."""
        terms = self.terms(params)
        self._check_distance(terms)
        order = self.desk.place(terms, self.clock())
        if order.reject is not None:
            raise self.refused(order.reject, terms.symbol)
        return order

    def _check_distance(self, terms: OrderTerms) -> None:
        """The filter of the price's distance; an order too small for the market is left to the desk."""
        instrument = self.desk.instruments[terms.symbol]
        enough = notional(instrument, terms.price_ticks, terms.lots) >= instrument.min_notional
        reference = self.public.shown(terms.symbol).bid
        if terms.order_type != MARKET and reference and enough:
            self.check_distance(terms, reference)

    def check_distance(self, terms: OrderTerms, reference: int) -> None:
        """Refuse a limit price too far from the market's, in ticks."""
        raise NotImplementedError

    def cancel(self, params: Params) -> DeskOrder:
        """Cancel the open order a request names."""
        order = self.desk.find(**self._named(params))
        if order is None or order.symbol != self.symbol(params) or not self.desk.cancel(order, self.clock()):
            raise self.refused(Reject.UNKNOWN_ORDER, params["symbol"])
        return order

    def query(self, params: Params, view: DeskView) -> dict[str, Any]:
        """One order."""
        order = view.find(**self._named(params))
        if order is None or order.symbol != self.symbol(params):
            raise Refused(-2013, "Order does not exist.")
        return self.words.order(order)

    def open_orders(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        """Open orders, of one symbol or all."""
        symbol = self.symbol(params) if params.get("symbol") else ""
        return [self.words.order(one) for one in view.open_orders(symbol)]

    def all_orders(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        """Orders of a symbol, ended ones included, from an order id or the latest."""
        found: list[SeenOrder] = view.orders(self.symbol(params))
        if params.get("orderId"):
            found = [one for one in found if int(one.exchange_id) >= int(params["orderId"])]
            return [self.words.order(one) for one in found[: limit(params)]]
        return [self.words.order(one) for one in found[-limit(params) :]]

    def executions(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        """Own executions of a symbol."""
        since_ns = int(params.get("startTime", 0)) * NS_PER_MS
        found = view.executions(self.symbol(params), since_ns, params.get("orderId", ""))
        if params.get("endTime"):
            found = [one for one in found if one.ts_ns <= int(params["endTime"]) * NS_PER_MS]
        if params.get("fromId"):
            # Cut at a place, because an execution may be told without its number.
            from_id = int(params["fromId"])
            place = next((n for n, one in enumerate(found) if one.number >= from_id), len(found))
            found = found[place:]
        ahead = params.get("startTime") or params.get("fromId")
        page = found[: limit(params)] if ahead else found[-limit(params) :]
        return [self.words.execution(one, self.fee_text(one)) for one in page]

    def fee_text(self, one: DeskExecution | None) -> str:
        """The fee of an execution; a charge is positive on both markets."""
        return self.units_text(one.fee_asset, one.fee_units) if one is not None else "0"

    def _named(self, params: Params) -> dict[str, str]:
        if params.get("orderId"):
            return {"exchange_order_id": params["orderId"]}
        if params.get("origClientOrderId"):
            wanted = params["origClientOrderId"]
            for one in self.desk.open_orders():
                if not one.client_id and client_id(one) == wanted:
                    return {"exchange_order_id": one.exchange_id}
            return {"client_order_id": wanted}
        text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise Refused(-1102, text)

    # --- public streams --------------------------------------------------------------------------------

    def stream_routes(self) -> list[web.RouteDef]:
        """Where streams are to be had; the perpetuals have them in three pools as well."""
        pools = ("", "/public", "/market", "/private") if self.futures else ("",)
        paths = ("/ws", "/ws/{streams:.*}", "/stream")
        return [web.get(pool + path, self.market_socket) for pool in pools for path in paths]

    async def market_socket(self, request: web.Request) -> web.StreamResponse:
        """``/ws``, ``/ws/<streams>`` and ``/stream?streams=``; also the way to a USDM listen key's stream."""
        named = request.match_info.get("streams") or request.query.get("streams", "")
        # Client libraries number their connections (``/ws/0``): a number is no stream.
        topics = [one for one in named.split("/") if one and not one.isdecimal()]
        topics += request.query.getall("listenKey", [])

        def opened(socket: Socket) -> None:
            socket.memory["combined"] = request.path.endswith("/stream")
            for topic in topics:
                self.subscribe(socket, topic)

        private = any(self.is_private(topic) for topic in topics)
        return await self.websocket(request, self._market_talk, private=private, opened=opened)

    def is_private(self, topic: str) -> bool:
        """Whether a topic names somebody's own events."""
        return False

    def subscribe(self, socket: Socket, topic: str) -> None:
        """Begin to send a topic to a socket."""
        socket.topics.add(topic.split("@100ms")[0].split("@0ms")[0])

    async def _market_talk(self, socket: Socket, text: str) -> None:
        asked = orjson.loads(text)
        method, topics, number = asked["method"], asked.get("params") or [], asked.get("id")
        result: Any = None
        if method == "SUBSCRIBE":
            for topic in topics:
                self.subscribe(socket, str(topic))
        elif method == "UNSUBSCRIBE":
            socket.topics.difference_update(topics)
        elif method == "LIST_SUBSCRIPTIONS":
            result = sorted(socket.topics)
        else:
            self.send(socket, {"error": {"code": 2, "msg": f"Invalid request: {method}"}, "id": number})
            return
        self.send(socket, {"result": result, "id": number})

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """See `WireServer.on_row`."""
        for kind, event in self.public.events(symbol, row, self.now_ms()):
            topic = f"{symbol.lower()}@{kind}"
            for socket in self.sockets:
                if topic in socket.topics:
                    combined = socket.memory.get("combined")
                    self.send(socket, {"stream": topic, "data": event} if combined else event)

    def announce_shutdown(self) -> None:
        """Tell every socket that the exchange is about to end it."""
        event = {"e": "serverShutdown", "E": self.now_ms()}
        for socket in list(self.sockets):
            self.send(socket, {"event": event} if socket.path.startswith("/ws-api") else event)


def limit(params: Params) -> int:
    """How many rows a request wants."""
    wanted = int(params.get("limit", USUAL_PAGE))
    if wanted < 1:
        raise Refused(-1100, "Illegal characters found in parameter 'limit'.")
    return min(wanted, LONGEST_PAGE)
