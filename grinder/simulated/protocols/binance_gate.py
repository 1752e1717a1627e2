"""What stands in front of every request to the simulated Binance: key, signature, time window, limits.

Law: a request is refused here in the exchange's words before the desk hears of it; the desk's own refusals
are worded by the market (`binance`, `binance_usdm`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from grinder.secrets import Credentials
from grinder.simulated.limiter import RequestLimiter
from grinder.simulated.protocols.binance_words import Words
from grinder.simulated.server import VIEW, WireServer
from replay.exchange.desk import Desk
from replay.exchange.desk_view import DeskView
from replay.faults import Fault, FaultPlan

Params = dict[str, str]
Handle = Callable[[Params, DeskView], Any]
Weight = int | Callable[[Mapping[str, str]], int]
"""What a request weighs: always, or by its query."""

LONGEST_WINDOW_MS = 60_000
USUAL_WINDOW_MS = 5_000
AHEAD_MS = 1_000
BAN_S = 120.0

NONE, KEY, SIGNED = "none", "key", "signed"
"""What a request needs: nothing, the key's header, or a signature and a time as well."""


class Refused(Exception):
    """A request is refused with the exchange's code and words."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status


class BinanceServer(WireServer):
    """Both markets' requests; a market sets its limits and adds its routes."""

    futures: ClassVar[bool] = False
    weight_limit: ClassVar[int] = 6000
    order_limits: ClassVar[tuple[tuple[str, int, float], ...]] = ()
    """(suffix of the header, orders, seconds)"""

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        desk.ids_unique_for_ever = False  # unique among open orders only
        self.limiter = RequestLimiter(self.weight_limit, 60.0, ban_s=BAN_S)
        self.order_limiters = [
            (name, RequestLimiter(most, seconds)) for name, most, seconds in self.order_limits
        ]
        self.words = Words(self.scales, futures=self.futures)
        self.key_can_withdraw = False

    # --- one request -----------------------------------------------------------------------------------

    def route(
        self,
        method: str,
        path: str,
        handle: Handle,
        *,
        operation: str = "rules",
        weight: Weight = 1,
        security: str = NONE,
        orders: int = 0,
    ) -> web.RouteDef:
        """A route: `weight` is charged before, and `orders` counts towards the order limits."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                params = self._authorized(request, await request.text(), security)
                payload = handle(params, request[VIEW])
            except Refused as refused:
                return self._refusal(refused)
            return self.json(payload)

        async def entry(request: web.Request) -> web.StreamResponse:
            due = weight(request.query) if callable(weight) else weight
            limited = self._limited(due, orders)
            return limited or await self.guarded(operation, request, answer)

        return web.route(method, path, entry)

    def json(self, payload: Any, status: int = 200) -> web.Response:
        """An answer with the headers that say what has been used."""
        now_ns = self.clock()
        used = str(self.limiter.used(now_ns))
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        for name, limiter in self.order_limiters:
            headers[f"X-MBX-ORDER-COUNT-{name}"] = str(limiter.used(now_ns))
        body = orjson.dumps(payload)
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")

    def _refusal(self, refused: Refused) -> web.Response:
        return self.json({"code": refused.code, "msg": refused.text}, refused.status)

    def _limited(self, weight: int, orders: int) -> web.Response | None:
        now_ns = self.clock()
        wait_s = self.limiter.take(weight, now_ns)
        if wait_s:
            banned = self.limiter.banned(now_ns)
            return self.failure("ban" if banned else "rate_limit", _waiting(wait_s))
        for name, limiter in self.order_limiters if orders else ():
            wait_s = limiter.take(orders, now_ns)
            if wait_s:
                text = f"Too many new orders; current limit is {limiter.capacity} orders per {name}."
                response = self.json({"code": -1015, "msg": text}, 429)
                response.headers["Retry-After"] = str(int(wait_s) + 1)
                return response
        return None

    def _authorized(self, request: web.Request, body: str, security: str) -> Params:
        """The request's parameters, once key, signature and time are right."""
        query = request.rel_url.raw_query_string
        params = dict(parse_qsl(query, keep_blank_values=True))
        if "json" not in request.content_type:
            params |= dict(parse_qsl(body, keep_blank_values=True))
        if security == NONE:
            return params
        key = request.headers.get("X-MBX-APIKEY", "")
        if not key:
            raise Refused(-2014, "API-key format invalid.", 401)
        if not hmac.compare_digest(key.encode(), self.credentials.key.encode()):
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if security == SIGNED:
            self.check_signature(_unsigned(query) + _unsigned(body), params.get("signature", ""))
            self.check_time(params)
        return params

    def check_signature(self, text: str, signature: str) -> None:
        """Refuse a signature that is not of this text."""
        if not signature:
            raise Refused(
                -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
            )
        secret = self.credentials.secret.encode()
        right = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise Refused(-1022, "Signature for this request is not valid.")

    def check_time(self, params: Mapping[str, Any]) -> None:
        """Refuse a request from outside its window."""
        if not str(params.get("timestamp", "")).isdecimal():
            raise Refused(
                -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."
            )
        window = int(params.get("recvWindow", USUAL_WINDOW_MS))
        if window > LONGEST_WINDOW_MS:
            raise Refused(-1131, "recvWindow must be less than 60000.")
        sent, now = int(params["timestamp"]), self.arrived_ms()
        if sent >= now + AHEAD_MS:
            raise Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - sent > window:
            raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")

    # --- parameters ------------------------------------------------------------------------------------

    def symbol(self, params: Mapping[str, str]) -> str:
        """The symbol a request must name."""
        if not params.get("symbol"):
            raise Refused(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if params["symbol"] not in self.desk.instruments:
            raise Refused(-1121, "Invalid symbol.")
        return params["symbol"]

    # --- failures --------------------------------------------------------------------------------------

    def failure(self, kind: str, fault: Fault) -> web.Response:
        """See `WireServer.failure`."""
        if kind == "html_body":
            return super().failure(kind, fault)
        most = self.weight_limit
        text = {
            "status_unknown": "Timeout waiting for response from backend server. "
            "Send status unknown; execution status unknown.",
            "rate_limit": f"Too many requests; current limit is {most} request weight per 1 MINUTE.",
            "ban": f"Way too many requests; IP banned until {self.now_ms() + int(fault.retry_after * 1000)}.",
            "maintenance": "This service is no longer available.",
            "cancel_refused": "Unknown order sent.",
        }.get(kind, f"Illegal characters or a malformed parameter: {fault.reason[:80]}")
        code, status = {
            "status_unknown": (-1007, 504),
            "rate_limit": (-1003, 429),
            "ban": (-1003, 418),
            "maintenance": (-1016, 503),
            "cancel_refused": (-2011, 400),
        }.get(kind, (-1102, 400))
        response = self.json({"code": code, "msg": text}, status)
        if status in (418, 429):
            response.headers["Retry-After"] = str(max(1, int(fault.retry_after)))
        return response


def _waiting(seconds: float) -> Fault:
    return Fault(kind="rate_limit", operation="", retry_after=seconds + 1)


def _unsigned(text: str) -> str:
    """Parameters as they were sent, without the signature."""
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
