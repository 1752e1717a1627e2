"""The simulated exchange in the protocol of Binance's USD-margined perpetuals.

Law: see `binance_trading`; here is only what the perpetuals have and spot has not: batches, the dead man's
switch, listen keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, ClassVar

import orjson
from aiohttp import web

from domain.order_events import OrderTerms
from domain.orders import BUY, SELL
from grinder.secrets import Credentials
from grinder.simulated.protocols.binance_gate import KEY, SIGNED, Handle, Params, Refused
from grinder.simulated.protocols.binance_usdm_account import API, UsdmAccountServer
from grinder.simulated.protocols.binance_words import usdm_reject
from grinder.simulated.wire import Socket
from replay.exchange.desk import Desk, DeskUpdate
from replay.exchange.desk_view import DeskView
from replay.exchange.rules import Reject
from replay.faults import FaultPlan

MOST_PLACED = 5
MOST_CANCELLED = 10
LISTEN_KEY_S = 3600
MS = 1000
NS = 1_000_000_000
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class BinanceUsdmServer(UsdmAccountServer):
    """Binance USDM."""

    protocol: ClassVar[str] = "binance-usdm"
    weight_limit: ClassVar[int] = 2400
    order_limits: ClassVar[tuple[tuple[str, int, float], ...]] = (("10S", 300, 10.0), ("1M", 1200, 60.0))

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        self._listen_key = ""
        self._listen_until_ns = 0
        self._listen_keys = 0

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """See `WireServer.addresses`."""
        ws = f"ws://{host}:{port}"
        return {"rest": f"http://{host}:{port}", "ws": ws, "ws_private": ws}

    def routes(self) -> list[web.RouteDef]:
        """See `WireServer.routes`."""

        def keyed(method: str, handle: Handle) -> web.RouteDef:
            return self.route(method, f"{API}/listenKey", handle, operation="time", security=KEY)

        return [
            *self.public_routes(API),
            *self._order_routes(),
            *self.account_routes(),
            keyed("POST", self._make_listen_key),
            keyed("PUT", self._keep_listen_key),
            keyed("DELETE", self._end_listen_key),
            *self.stream_routes(),
        ]

    def _order_routes(self) -> list[web.RouteDef]:
        def signed(method: str, path: str, handle: Handle, operation: str, **more: Any) -> web.RouteDef:
            return self.route(method, API + path, handle, operation=operation, security=SIGNED, **more)

        def one_or_all(query: Mapping[str, str]) -> int:
            return 1 if query.get("symbol") else 40

        return [
            signed("POST", "/order", self._new_order, "place", orders=1),
            signed("PUT", "/order", self._amend, "place", orders=1),
            signed("DELETE", "/order", self._cancel_order, "cancel"),
            signed("GET", "/order", self.query, "order"),
            signed("GET", "/openOrder", self._open_order, "order"),
            signed("POST", "/batchOrders", self._new_orders, "place", weight=5, orders=MOST_PLACED),
            signed("DELETE", "/batchOrders", self._cancel_orders, "cancel"),
            signed("GET", "/openOrders", self.open_orders, "open_orders", weight=one_or_all),
            signed("DELETE", "/allOpenOrders", self._cancel_open, "cancel"),
            signed("POST", "/countdownCancelAll", self._countdown, "dead_man", weight=10),
            signed("GET", "/allOrders", self.all_orders, "order", weight=5),
            signed("GET", "/userTrades", self.executions, "fills", weight=5),
        ]

    # --- orders ----------------------------------------------------------------------------------------

    def refused(self, reject: Reject, symbol: str) -> Refused:
        """See `TradingServer.refused`."""
        return Refused(*usdm_reject(reject, self.desk.instruments[symbol]))

    def _new_order(self, params: Params, view: DeskView) -> dict[str, Any]:
        if params.get("positionSide", "BOTH") != "BOTH":
            raise Refused(-4061, "Order's position side does not match user's setting.")
        return self.words.order(self.place(params))

    def check_distance(self, terms: OrderTerms, reference: int) -> None:
        """See `TradingServer.check_distance`; only prices that would trade far away are refused."""
        if terms.side == BUY and 10 * terms.price_ticks > 11 * reference:
            highest = self.words.price(terms.symbol, 11 * reference // 10)
            raise Refused(-4016, f"Limit price can't be higher than {highest}.")
        if terms.side == SELL and 10 * terms.price_ticks < 9 * reference:
            lowest = self.words.price(terms.symbol, 9 * reference // 10)
            raise Refused(-4024, f"Limit price can't be lower than {lowest}.")

    def _amend(self, params: Params, view: DeskView) -> dict[str, Any]:
        symbol = self.symbol(params)
        order = self.desk.find(**self._named(params))
        if order is None:
            raise Refused(-2013, "Order does not exist.")
        ticks, lots = self.scales.ticks(symbol, params["price"]), self.scales.lots(symbol, params["quantity"])
        reject = self.desk.amend(order, ticks, lots, self.clock())
        if reject is not None:
            raise self.refused(reject, symbol)
        return self.words.order(order)

    def _cancel_order(self, params: Params, view: DeskView) -> dict[str, Any]:
        return self.words.order(self.cancel(params))

    def _open_order(self, params: Params, view: DeskView) -> dict[str, Any]:
        found = self.query(params, view)
        if found["status"] not in ("NEW", "PARTIALLY_FILLED"):
            raise Refused(-2013, "Order does not exist.")
        return found

    def _new_orders(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        asked = orjson.loads(params["batchOrders"])
        if not 1 <= len(asked) <= MOST_PLACED:
            raise Refused(-4082, "Invalid number of batch place orders.")
        return [self._each(self._new_order, _texts(one), view) for one in asked]

    def _cancel_orders(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        symbol = self.symbol(params)
        # Both spellings are taken, as on the exchange.
        ids = params.get("origClientOrderIdList") or params.get("origclientorderidlist") or "[]"
        numbers = params.get("orderIdList") or params.get("orderidlist") or "[]"
        named = [{"origClientOrderId": str(one)} for one in orjson.loads(ids)]
        named += [{"orderId": str(one)} for one in orjson.loads(numbers)]
        if not 1 <= len(named) <= MOST_CANCELLED:
            raise Refused(-4083, "Invalid number of batch cancel orders.")
        return [self._each(self._cancel_order, {"symbol": symbol, **one}, view) for one in named]

    def _each(self, handle: Handle, params: Params, view: DeskView) -> Any:
        try:
            return handle(params, view)
        except Refused as refused:
            return {"code": refused.code, "msg": refused.text}

    def _cancel_open(self, params: Params, view: DeskView) -> dict[str, Any]:
        for order in self.desk.open_orders(self.symbol(params)):
            self.desk.cancel(order, self.clock())
        return DONE

    def _countdown(self, params: Params, view: DeskView) -> dict[str, Any]:
        symbol, countdown_ms = self.symbol(params), int(params["countdownTime"])
        self.desk.arm(countdown_ms / MS, self.clock(), symbol)
        if countdown_ms:
            self._spawn(self._fire_later(countdown_ms / MS))
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    async def _fire_later(self, seconds: float) -> None:
        """Look when a switch is due, even if no request comes any more."""
        await asyncio.sleep(seconds + 0.001)
        self.tick()

    # --- user events -----------------------------------------------------------------------------------

    def _make_listen_key(self, params: Params, view: DeskView) -> dict[str, Any]:
        """A new key, or the living one with its time renewed, as the exchange does."""
        if not self._listen_key or self.clock() >= self._listen_until_ns:
            self._listen_keys += 1
            seed = f"{self.credentials.key}/{self._listen_keys}"
            self._listen_key = sha256(seed.encode()).hexdigest()
        self._listen_until_ns = self.clock() + LISTEN_KEY_S * NS
        return {"listenKey": self._listen_key}

    def _keep_listen_key(self, params: Params, view: DeskView) -> dict[str, Any]:
        if not self._listen_key or self.clock() >= self._listen_until_ns:
            raise Refused(-1125, "This listenKey does not exist.")
        return self._make_listen_key(params, view)

    def _end_listen_key(self, params: Params, view: DeskView) -> dict[str, Any]:
        self._listen_key = ""
        return {}

    def expire_listen_key(self) -> None:
        """The key dies now: its sockets are told, and hear nothing more."""
        event = {"e": "listenKeyExpired", "E": self.now_ms(), "listenKey": self._listen_key}
        self.tell(event)
        for socket in self.sockets:
            socket.memory.pop("user", None)
        self._listen_key = ""

    def tick(self) -> None:
        """See `WireServer.tick`; listen keys die here."""
        super().tick()
        if self._listen_key and self.clock() >= self._listen_until_ns:
            self.expire_listen_key()

    def is_private(self, topic: str) -> bool:
        """See `TradingServer.is_private`."""
        return bool(self._listen_key) and topic == self._listen_key

    def subscribe(self, socket: Socket, topic: str) -> None:
        """See `TradingServer.subscribe`; a listen key opens the private events."""
        if self.is_private(topic):
            socket.private = True
            socket.memory["user"] = topic
        else:
            super().subscribe(socket, topic)

    def on_update(self, update: DeskUpdate) -> None:
        """See `WireServer.on_update`."""
        if update.kind == "rejected":
            return  # refused orders leave no trace here
        event = self.words.order_trade_update(update, self.fee_text(update.execution), self.now_ms())
        self.tell(event)
        if update.kind == "fill":
            asyncio.get_running_loop().call_soon(self.tell_account)

    def tell(self, event: dict[str, Any]) -> None:
        """See `UsdmAccountServer.tell`."""
        for socket in self.sockets:
            if "user" in socket.memory:
                key = socket.memory["user"]
                self.send(socket, {"stream": key, "data": event} if socket.memory.get("combined") else event)


def _texts(params: Mapping[str, Any]) -> Params:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()
    }
