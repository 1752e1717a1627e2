"""The simulated Bybit: its wire protocol, version 5, in front of a desk.

Law: what a real client of Bybit's sends is understood, and what it reads is there; anything else is answered
as Bybit answers nonsense.  Signatures, time windows and limits are checked before the desk is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from aiohttp import web

from grinder.secrets import Credentials
from grinder.simulated.fundings import Fundings
from grinder.simulated.limiter import RequestLimiter
from grinder.simulated.protocols import bybit_reading as reading
from grinder.simulated.protocols import bybit_words as words
from grinder.simulated.protocols.bybit_orders import BATCH, OrderDesk, Refused, Result, Write
from grinder.simulated.protocols.bybit_streams import BybitStreams
from grinder.simulated.protocols.bybit_trade_socket import TradeSocket
from grinder.simulated.server import MALFORMED, VIEW, WireServer
from replay.exchange.desk import Desk, DeskUpdate
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject
from replay.faults import Fault, FaultPlan

NS = 1_000_000_000

ADDRESS_REQUESTS = 600
ADDRESS_WINDOW_S = 5.0
BAN_S = 600.0

WRITES_PER_S = 10
READS_PER_S = 50

AHEAD_MS = 1000
"""How far a timestamp may lie in the exchange's future."""

WINDOW_MS = 5000

DCP_SHORTEST_S, DCP_LONGEST_S = 3, 300

Read = Callable[[web.Request], Result]

Do = Callable[[dict[str, Any], str, int], dict[str, str]]


class BybitServer(WireServer):
    """Bybit's REST and WebSocket interface."""

    protocol: ClassVar[str] = "bybit"

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        desk.ids_unique_for_ever = True
        desk.store_rejects = frozenset({Reject.WOULD_TAKE})  # acknowledged first, judged afterwards
        self.limiter = RequestLimiter(ADDRESS_REQUESTS, ADDRESS_WINDOW_S, ban_s=BAN_S, patience=1)
        self.orders = OrderDesk(desk, self.scales)
        self.streams = BybitStreams(self)
        self.reading = reading.Reading(desk, self.scales, Fundings(desk, self.streams.push_funding))
        self._limits: dict[str, RequestLimiter] = {}
        self.writes: dict[str, tuple[str, Write]] = {
            "order/cancel-all": ("cancel", self._cancel_all),
            "order/disconnected-cancel-all": ("dead_man", self._set_dcp),
        }
        for name, operation, do in (
            ("create", "place", self.orders.place),
            ("amend", "place", self.orders.amend),
            ("cancel", "cancel", self.orders.cancel),
        ):
            self.writes[f"order/{name}"] = (operation, self._single(do))
            self.writes[f"order/{name}-batch"] = (operation, self._batch(do))
        self.dcp_s = {words.SPOT: 10, words.LINEAR: 10}

    # --- routes ----------------------------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """Every path a client of this account uses."""
        asked = self.reading
        public: dict[str, tuple[str, Read]] = {
            "market/time": ("time", lambda r: self._time()),
            "market/instruments-info": ("rules", lambda r: asked.instruments(r.query)),
            "market/tickers": ("rules", lambda r: asked.tickers(r.query)),
            "market/orderbook": ("rules", lambda r: asked.book(r.query, self.streams.update(r.query))),
        }
        private: dict[str, tuple[str, Read]] = {
            "user/query-api": ("balances", lambda r: reading.key_information(self.credentials.key)),
            "account/info": ("balances", lambda r: reading.account_information()),
            "account/fee-rate": ("rules", lambda r: asked.fees(r.query)),
            "account/wallet-balance": ("balances", lambda r: asked.wallet(r.query)),
            "account/query-dcp-info": ("dead_man", lambda r: self._dcp_information()),
            "account/transaction-log": (
                "fills",
                lambda r: asked.transactions(r.query, r[VIEW], self.now_ms()),
            ),
            "asset/coin/query-info": ("rules", lambda r: asked.coins()),
            "order/history": ("order", lambda r: asked.history(r.query, r[VIEW])),
            "execution/list": ("fills", lambda r: asked.executions(r.query, r[VIEW], self.now_ms())),
            "position/list": ("positions", lambda r: asked.positions(r.query, r[VIEW], self.now_ms())),
        }
        made = [self._reading_route(path, *one, private=False) for path, one in public.items()]
        made += [self._reading_route(path, *one, private=True) for path, one in private.items()]
        made.append(web.get("/v5/order/realtime", self._realtime))
        made += [
            self._writing_route(path, operation, write) for path, (operation, write) in self.writes.items()
        ]
        made += [
            web.get(f"/v5/public/{words.SPOT}", self.streams.public),
            web.get(f"/v5/public/{words.LINEAR}", self.streams.public),
            web.get("/v5/private", self.streams.private),
            web.get("/v5/trade", TradeSocket(self).open),
        ]
        return made

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """The public WebSocket's address is without the category."""
        return {
            "rest": f"http://{host}:{port}",
            "ws": f"ws://{host}:{port}/v5/public",
            "ws_private": f"ws://{host}:{port}/v5/private",
        }

    def on_update(self, update: DeskUpdate) -> None:
        """Push an order's change to those logged in."""
        self.streams.push_update(update)

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """Push book and trades to those subscribed."""
        self.streams.push_row(symbol, row)

    def failure(self, kind: str, fault: Fault) -> web.Response:
        """Bybit's wording of a failure."""
        if kind == "rate_limit":
            reset = self.now_ms() + int(fault.retry_after * 1000)
            headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0"}
            headers["X-Bapi-Limit-Reset-Timestamp"] = str(reset)
            return self._said(10006, "Too many visits. Exceeded the API Rate Limit.", headers=headers)
        if kind == "ban":
            return web.Response(status=403, text="403, access too frequent")
        if kind == "status_unknown":
            return self._said(10000, "Server Timeout")
        if kind == "maintenance":
            return web.Response(status=503, text="Service is under maintenance")
        if kind == "cancel_refused":
            return self._said(110001, "order not exists or too late to cancel")
        if kind == "bad_request":
            return self._said(10001, f"params error: {fault.reason[:120]}")
        return super().failure(kind, fault)

    # --- the way in ------------------------------------------------------------------------------------

    def _reading_route(self, path: str, operation: str, read: Read, *, private: bool) -> web.RouteDef:
        async def answer(request: web.Request) -> web.StreamResponse:
            return self._said(result=read(request), headers=self._allowance(request))

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._admitted(request, operation, answer, private=private)

        return web.get(f"/v5/{path}", handle)

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        """Open orders, or one order by its id: two operations to a fault plan."""

        async def answer(request: web.Request) -> web.StreamResponse:
            result = self.reading.open_orders(request.query, request[VIEW])
            return self._said(result=result, headers=self._allowance(request))

        named = request.query.get("orderId") or request.query.get("orderLinkId")
        return await self._admitted(request, "order" if named else "open_orders", answer, private=True)

    def _writing_route(self, path: str, operation: str, write: Write) -> web.RouteDef:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = orjson.loads(await request.read())
            if not isinstance(body, dict):
                raise ValueError("the body is no object")
            result, items = write(body)
            return self._said(result=result, items=items, headers=self._allowance(request))

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._admitted(request, operation, answer, private=True)

        return web.post(f"/v5/{path}", handle)

    async def _admitted(
        self, request: web.Request, operation: str, answer: Any, *, private: bool
    ) -> web.StreamResponse:
        """Let a request in, or say why not: the address, the key, the endpoint's limit, the fault plan."""
        if self.limiter.take(1, self.clock()):
            return web.Response(status=403, text="403, access too frequent")
        try:
            if private:  # before the fault plan: an order that comes late was signed in time
                await self._authenticate(request)
                path, written = request.path.removeprefix("/v5/"), request.method == "POST"
                self.charge(path, orjson.loads(await request.read()) if written else None)
        except Refused as refused:
            return self._said(refused.code, refused.text, headers=self._allowance(request))
        except MALFORMED as error:
            return self._said(10001, f"params error: {error!r}"[:150])

        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                response: web.StreamResponse = await answer(request)
                return response
            except Refused as refused:
                return self._said(refused.code, refused.text, headers=self._allowance(request))

        return await self.guarded(operation, request, answered)

    async def _authenticate(self, request: web.Request) -> None:
        """Check key, time window and signature.

        Raises:
            Refused: 10003, 10002 or 10004.
        """
        headers = request.headers
        if headers.get("X-BAPI-API-KEY") != self.credentials.key:
            raise Refused(10003, "API key is invalid.")
        stamp, window = headers.get("X-BAPI-TIMESTAMP", ""), headers.get("X-BAPI-RECV-WINDOW", str(WINDOW_MS))
        now = self.now_ms()
        if not stamp.isdecimal() or not window.isdecimal():
            raise Refused(10001, "Request parameter error.")
        if not now - int(window) <= int(stamp) < now + AHEAD_MS:
            raise Refused(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
            )
        written = request.method == "POST"
        params = (await request.read()).decode() if written else request.rel_url.raw_query_string
        signed = stamp + self.credentials.key + window + params
        if not self.signed(signed, headers.get("X-BAPI-SIGN", "")):
            raise Refused(10004, f"error sign! origin_string[{signed[:200]}]")

    def signed(self, text: str, signature: str) -> bool:
        """Whether a signature of a text is this account's."""
        own = hmac.new(self.credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(own, signature)

    def limit(self, path: str) -> RequestLimiter:
        """The limit of one endpoint, by its path below ``/v5/``."""
        capacity = WRITES_PER_S if path in self.writes else READS_PER_S
        return self._limits.setdefault(path, RequestLimiter(capacity, 1.0))

    def charge(self, path: str, body: Any) -> None:
        """Charge an endpoint's limit: a batch costs what its orders would.

        Raises:
            Refused: 10006.
        """
        weight = max(1, len(body.get("request") or [])) if path in self.writes else 1
        if self.limit(path).take(weight, self.clock()):
            raise Refused(10006, "Too many visits. Exceeded the API Rate Limit.")

    def allowance(self, path: str) -> dict[str, str]:
        """The headers that tell what is left."""
        limit = self.limit(path)
        return {
            "X-Bapi-Limit": str(limit.capacity),
            "X-Bapi-Limit-Status": str(max(limit.capacity - limit.used(self.clock()), 0)),
            "X-Bapi-Limit-Reset-Timestamp": str(self.now_ms() + 1000),
        }

    def _allowance(self, request: web.Request) -> dict[str, str]:
        return self.allowance(request.path.removeprefix("/v5/"))

    def _said(
        self,
        code: int = 0,
        text: str = "OK",
        *,
        result: Result | None = None,
        items: list[Result] | None = None,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """An answer in Bybit's envelope; refusals too come with status 200."""
        body = {
            "retCode": code,
            "retMsg": text,
            "result": result or {},
            "retExtInfo": {"list": items} if items is not None else {},
            "time": self.now_ms(),
        }
        return web.Response(
            body=orjson.dumps(body),
            content_type="application/json",
            headers={**(headers or {}), "Timenow": str(self.now_ms())},
        )

    # --- writing ---------------------------------------------------------------------------------------

    def _single(self, do: Do) -> Write:
        def write(body: dict[str, Any]) -> tuple[Result, None]:
            return do(body, _category(body), self.clock()), None

        return write

    def _batch(self, do: Do) -> Write:
        def write(body: dict[str, Any]) -> tuple[Result, list[Result]]:
            category, rows = _category(body), body["request"]
            if not rows or len(rows) > BATCH[category]:
                raise Refused(10001, f"params error: at most {BATCH[category]} orders")
            made: list[Result] = []
            items: list[Result] = []
            for row in rows:
                known = {"category": category, "symbol": row.get("symbol", ""), "createAt": ""}
                try:
                    made.append(known | do(row, category, self.clock()) | {"createAt": str(self.now_ms())})
                    items.append({"code": 0, "msg": "OK"})
                except Refused as refused:
                    made.append(known | {"orderId": "", "orderLinkId": str(row.get("orderLinkId") or "")})
                    items.append({"code": refused.code, "msg": refused.text})
            return {"list": made}, items

        return write

    def _cancel_all(self, body: dict[str, Any]) -> tuple[Result, None]:
        ended = self.orders.cancel_all(body, _category(body), self.clock())
        return {"list": ended, "success": "1"}, None

    # --- the dead man ----------------------------------------------------------------------------------

    def _set_dcp(self, body: dict[str, Any]) -> tuple[Result, None]:
        """Set how long the private stream may be gone before a product's orders are cancelled."""
        seconds = int(body["timeWindow"])
        if not DCP_SHORTEST_S <= seconds <= DCP_LONGEST_S:
            raise Refused(10001, "params error: timeWindow invalid")
        product = str(body.get("product") or "OPTIONS")
        category = {"SPOT": words.SPOT, "DERIVATIVES": words.LINEAR}.get(product)
        if category is not None:
            self.dcp_s[category] = seconds
        return {}, None

    def _dcp_information(self) -> Result:
        named = {words.SPOT: "SPOT", words.LINEAR: "DERIVATIVES"}
        infos = [
            {"product": named[one], "dcpStatus": "ON", "timeWindow": str(seconds)}
            for one, seconds in self.dcp_s.items()
        ]
        return {"dcpInfos": infos}

    def watched(self, category: str, connected: bool) -> None:
        """A connection that watches a category came or, the last of them, went."""
        seconds = 0 if connected else self.dcp_s[category]
        for symbol, instrument in self.desk.instruments.items():
            if words.category_of(instrument) == category:
                self.desk.arm(seconds, self.clock(), symbol)
        if seconds:
            self._spawn(self._fire(seconds))

    async def _fire(self, seconds: int) -> None:
        await asyncio.sleep(seconds)
        self.tick()

    def _time(self) -> Result:
        now_ns = self.now_ns()
        return {"timeSecond": str(now_ns // NS), "timeNano": str(now_ns)}


def _category(body: dict[str, Any]) -> str:
    category = body.get("category")
    if category not in (words.SPOT, words.LINEAR):
        raise Refused(10001, f"params error: category {category!r}")
    return str(category)
