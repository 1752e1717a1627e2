"""The simulated exchange in Binance spot's protocol: REST, market streams, WebSocket API with user events.

Law: see `binance_trading`; here is only what spot has and the perpetuals have not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from aiohttp import web

from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.units import from_units
from grinder.simulated.protocols.binance_gate import SIGNED, Handle, Params, Refused
from grinder.simulated.protocols.binance_trading import TradingServer
from grinder.simulated.protocols.binance_words import NS_PER_MS, client_id
from grinder.simulated.wire import Socket
from replay.exchange.desk import DeskOrder, DeskUpdate
from replay.exchange.desk_view import DeskView

EIGHT = 8


class BinanceSpotServer(TradingServer):
    """Binance spot."""

    protocol: ClassVar[str] = "binance"
    weight_limit: ClassVar[int] = 6000
    order_limits: ClassVar[tuple[tuple[str, int, float], ...]] = (
        ("10S", 100, 10.0),
        ("1D", 200_000, 86_400.0),
    )

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """See `WireServer.addresses`."""
        return {
            "rest": f"http://{host}:{port}",
            "ws": f"ws://{host}:{port}",
            "ws_private": f"ws://{host}:{port}/ws-api/v3",
        }

    def routes(self) -> list[web.RouteDef]:
        """See `WireServer.routes`."""
        api = "/api/v3"
        return [
            *self.public_routes(api),
            self.route("GET", f"{api}/exchangeInfo", self._exchange_info, weight=20),
            self.route("GET", f"{api}/avgPrice", self._average, weight=2),
            *self._order_routes(api),
            *self._account_routes(api),
            *self.house_routes("/fapi/v1", "/dapi/v1"),
            *self.stream_routes(),
            web.get("/ws-api/v3", self._api_socket),
        ]

    def _order_routes(self, api: str) -> list[web.RouteDef]:
        def signed(method: str, path: str, handle: Handle, operation: str, **more: Any) -> web.RouteDef:
            return self.route(method, api + path, handle, operation=operation, security=SIGNED, **more)

        def all_or_one(query: Mapping[str, str]) -> int:
            return 6 if query.get("symbol") else 80

        def trades(query: Mapping[str, str]) -> int:
            return 5 if query.get("orderId") else 20

        return [
            signed("POST", "/order", self._new_order, "place", orders=1),
            signed("POST", "/order/test", lambda params, view: self.terms(params) and {}, "rules"),
            signed("DELETE", "/order", self._cancel_order, "cancel"),
            signed("GET", "/order", self.query, "order", weight=4),
            signed("POST", "/order/cancelReplace", self._cancel_replace, "place", orders=1),
            signed("PUT", "/order/amend/keepPriority", self._amend, "place", weight=4),
            signed("GET", "/openOrders", self.open_orders, "open_orders", weight=all_or_one),
            signed("DELETE", "/openOrders", self._cancel_open, "cancel"),
            signed("GET", "/allOrders", self.all_orders, "order", weight=20),
            signed("GET", "/myTrades", self.executions, "fills", weight=trades),
        ]

    def _account_routes(self, api: str) -> list[web.RouteDef]:
        def signed(path: str, handle: Handle, weight: int = 1) -> web.RouteDef:
            return self.route("GET", path, handle, operation="balances", weight=weight, security=SIGNED)

        return [
            signed(f"{api}/account", self._account, weight=20),
            signed(f"{api}/account/commission", self._commission, weight=20),
            signed("/sapi/v1/account/apiRestrictions", self._restrictions),
        ]

    # --- public ----------------------------------------------------------------------------------------

    def _exchange_info(self, params: Params, view: DeskView) -> dict[str, Any]:
        if params.get("symbol"):
            symbols = [self.symbol(params)]
        elif params.get("symbols"):
            symbols = [self.symbol({"symbol": str(one)}) for one in orjson.loads(params["symbols"])]
        else:
            symbols = list(self.desk.instruments)
        return {
            "timezone": "UTC",
            "serverTime": self.now_ms(),
            "rateLimits": [
                _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, self.weight_limit),
                _rate_limit("ORDERS", "SECOND", 10, 100),
                _rate_limit("ORDERS", "DAY", 1, 200_000),
            ],
            "exchangeFilters": [],
            "symbols": [self._symbol(self.desk.instruments[symbol]) for symbol in symbols],
        }

    def _symbol(self, one: Instrument) -> dict[str, Any]:
        filters = self.desk.filters[one.symbol]
        return {
            "symbol": one.symbol,
            "status": "TRADING" if filters.trading else "BREAK",
            "baseAsset": one.base,
            "baseAssetPrecision": EIGHT,
            "quoteAsset": one.quote,
            "quotePrecision": EIGHT,
            "quoteAssetPrecision": EIGHT,
            "baseCommissionPrecision": EIGHT,
            "quoteCommissionPrecision": EIGHT,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.words.filters(one.symbol, filters),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE"],
        }

    def _average(self, params: Params, view: DeskView) -> dict[str, Any]:
        price = self.public.last_price(self.symbol(params))
        return {"mins": 5, "price": price, "closeTime": self.now_ms()}

    # --- orders ----------------------------------------------------------------------------------------

    def _new_order(self, params: Params, view: DeskView) -> dict[str, Any]:
        before = len(self.desk.executions)
        order = self.place(params)
        usual = "FULL" if params["type"] in ("LIMIT", "MARKET") else "ACK"
        wanted = params.get("newOrderRespType", usual)
        answer = {
            "symbol": order.symbol,
            "orderId": int(order.exchange_id),
            "orderListId": -1,
            "clientOrderId": client_id(order),
            "transactTime": order.created_ns // NS_PER_MS,
        }
        if wanted == "ACK":
            return answer
        shown = self.words.order(order)
        answer |= {name: shown[name] for name in _RESULT}
        if wanted == "FULL":
            answer["fills"] = [
                {
                    "price": self.words.price(order.symbol, one.price_ticks),
                    "qty": self.words.quantity(order.symbol, one.lots),
                    "commission": self.fee_text(one),
                    "commissionAsset": one.fee_asset,
                    "tradeId": one.number,
                }
                for one in self.desk.executions[before:]
                if one.order is order
            ]
        return answer

    def check_distance(self, terms: OrderTerms, reference: int) -> None:
        """See `TradingServer.check_distance`; the multipliers are those of the published filter."""
        if not reference <= 5 * terms.price_ticks <= 25 * reference:
            raise Refused(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")

    def _cancel_order(self, params: Params, view: DeskView) -> dict[str, Any]:
        return self._cancelled(self.cancel(params), params.get("newClientOrderId", ""))

    def _cancelled(self, order: DeskOrder, named: str = "") -> dict[str, Any]:
        shown = self.words.order(order)
        return {
            "symbol": order.symbol,
            "origClientOrderId": client_id(order),
            "orderId": int(order.exchange_id),
            "orderListId": -1,
            "clientOrderId": named or f"cancel-{order.exchange_id}",
            "transactTime": order.updated_ns // NS_PER_MS,
            **{name: shown[name] for name in _RESULT},
        }

    def _cancel_open(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        found = self.desk.open_orders(self.symbol(params))
        if not found:
            raise Refused(-2011, "Unknown order sent.")
        for order in found:
            self.desk.cancel(order, self.clock())
        return [self._cancelled(order) for order in found]

    def _cancel_replace(self, params: Params, view: DeskView) -> dict[str, Any]:
        named = {
            "symbol": self.symbol(params),
            "orderId": params.get("cancelOrderId", ""),
            "origClientOrderId": params.get("cancelOrigClientOrderId", ""),
        }
        cancelled = self._cancelled(self.cancel(named))
        answer = self._new_order(params, view)
        return {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": cancelled,
            "newOrderResponse": answer,
        }

    def _amend(self, params: Params, view: DeskView) -> dict[str, Any]:
        order = self.desk.find(
            client_order_id=params.get("origClientOrderId", ""), exchange_order_id=params.get("orderId", "")
        )
        if order is None:
            raise Refused(-2038, "The request is rejected by the API: the order is not there to be amended.")
        lots = self.scales.lots(order.symbol, params.get("newQty"))
        reject = self.desk.amend(order, order.price_ticks, lots, self.clock())
        if reject is not None:
            raise self.refused(reject, order.symbol)
        return {"transactTime": self.now_ms(), "amendedOrder": self.words.order(order)}

    # --- the account -----------------------------------------------------------------------------------

    def _balances(self) -> list[dict[str, str]]:
        rows = []
        for asset, (free, locked) in self.desk.totals().items():
            decimals = self.desk.decimals(asset)
            amounts = {"free": free, "locked": locked}
            shown = {name: f"{from_units(units, decimals):f}" for name, units in amounts.items()}
            rows.append({"asset": asset, **shown})
        return rows

    def _account(self, params: Params, view: DeskView) -> dict[str, Any]:
        return {
            "makerCommission": 0,
            "takerCommission": 0,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "updateTime": self.now_ms(),
            "accountType": "SPOT",
            "balances": self._balances(),
            "permissions": ["SPOT"],
            "uid": 1,
        }

    def _commission(self, params: Params, view: DeskView) -> dict[str, Any]:
        one = self.desk.instruments[self.symbol(params)]
        rates = {
            "maker": f"{from_units(one.maker_fee_ppm, 6)}",
            "taker": f"{from_units(one.taker_fee_ppm, 6)}",
        }
        none = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
        return {
            "symbol": one.symbol,
            "standardCommission": {**none, **rates},
            "specialCommission": none,
            "taxCommission": none,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "0",
            },
        }

    def _restrictions(self, params: Params, view: DeskView) -> dict[str, Any]:
        return {
            "ipRestrict": False,
            "createTime": 1_600_000_000_000,
            "enableReading": True,
            "enableWithdrawals": self.key_can_withdraw,
            "enableInternalTransfer": False,
            "permitsUniversalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "enableVanillaOptions": False,
            "enableSpotAndMarginTrading": True,
        }

    # --- user events -----------------------------------------------------------------------------------

    def on_update(self, update: DeskUpdate) -> None:
        """See `WireServer.on_update`."""
        event = self.words.execution_report(update, self.fee_text(update.execution), self.now_ms())
        self._tell(event)
        if update.kind != "rejected":
            asyncio.get_running_loop().call_soon(self._tell_balances)

    def _tell(self, event: dict[str, Any]) -> None:
        for socket in self.sockets:
            for number in socket.memory.get("subscriptions", ()):
                self.send(socket, {"subscriptionId": number, "event": event})

    def _tell_balances(self) -> None:
        now_ms = self.now_ms()
        rows = [{"a": row["asset"], "f": row["free"], "l": row["locked"]} for row in self._balances()]
        self._tell({"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows})

    async def _api_socket(self, request: web.Request) -> web.StreamResponse:
        return await self.websocket(request, self._api_talk, private=True)

    async def _api_talk(self, socket: Socket, text: str) -> None:
        """One request of the WebSocket API; its parameters are signed in alphabetical order."""
        asked = orjson.loads(text)
        number, method = asked.get("id"), str(asked.get("method"))
        params = {name: _plain(value) for name, value in (asked.get("params") or {}).items()}
        limits = [_rate_limit("REQUEST_WEIGHT", "MINUTE", 1, self.weight_limit)]
        try:
            result = self._api(socket, method, params)
        except Refused as refused:
            error = {"code": refused.code, "msg": refused.text}
            self.send(socket, {"id": number, "status": refused.status, "error": error, "rateLimits": limits})
            return
        self.send(socket, {"id": number, "status": 200, "result": result, "rateLimits": limits})

    def _api(self, socket: Socket, method: str, params: Params) -> Any:
        if method in ("ping", "time"):
            return {} if method == "ping" else {"serverTime": self.now_ms()}
        if params.get("apiKey") != self.credentials.key:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        self.check_signature(signed, params.get("signature", ""))
        self.check_time(params)
        if method == "userDataStream.subscribe.signature":
            numbers: list[int] = socket.memory.setdefault("subscriptions", [])
            numbers.append(len(numbers))
            return {"subscriptionId": numbers[-1]}
        handles: dict[str, Handle] = {
            "order.place": self._new_order,
            "order.cancel": self._cancel_order,
            "order.status": self.query,
            "openOrders.status": self.open_orders,
            "openOrders.cancelAll": self._cancel_open,
            "account.status": self._account,
            "myTrades": self.executions,
        }
        if method not in handles:
            raise Refused(-1000, f"Unknown method {method}.")
        return handles[method](params, DeskView(self.desk))


_RESULT = (
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
)
"""What an answer to an order or a cancel says of it besides its names."""


def _rate_limit(kind: str, interval: str, number: int, most: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": most}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
