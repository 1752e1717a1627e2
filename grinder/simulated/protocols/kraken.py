"""The simulated Kraken spot: its REST interface and its WebSocket v2.

Law: a private request is judged by key, signature and nonce before anything else, and its nonce is used up
even if the request then gets lost.  Every refusal is an answer with status 200 and a list of codes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from grinder.secrets import Credentials
from grinder.simulated.protocols import kraken_wording as wording
from grinder.simulated.protocols.kraken_answers import TOKEN_S, Answers, Asked
from grinder.simulated.protocols.kraken_channels import Channels
from grinder.simulated.protocols.kraken_counters import PRO, Counter, Tier
from grinder.simulated.protocols.kraken_trading import INVALID, Refusal, Trading
from grinder.simulated.server import CORRUPTING, VIEW, WireServer
from grinder.simulated.wire import Socket
from replay.exchange.desk import Desk, DeskUpdate
from replay.exchange.desk_view import DeskView
from replay.exchange.rolling import MarketRow
from replay.faults import Fault, FaultPlan

Answer = Callable[[Asked, DeskView], dict[str, Any]]


class KrakenServer(WireServer):
    """Kraken spot in front of a desk.

    Attributes:
        trading: the trading requests, shared by REST and WebSocket.
        calls: the counter of private calls other than trading (None, as on the tests' machines: no limit).
        rights: what the key may do, as GetApiKeyInfo tells it; empty: that request does not exist.
    """

    protocol: ClassVar[str] = "kraken"

    def __init__(
        self,
        desk: Desk,
        credentials: Credentials,
        faults: FaultPlan,
        clock: Callable[[], int],
        *,
        tier: Tier = PRO,
        calls: Tier | None = None,
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        desk.ids_unique_for_ever = False  # Kraken checks an id among open orders only
        self.trading = Trading(desk, self.scales, clock, tier)
        self.calls = Counter(calls) if calls else None
        self.rights: tuple[str, ...] = (
            "query-funds",
            "query-open-trades",
            "query-closed-trades",
            "modify-trades",
        )
        self._channels = Channels(self)
        self._answers = Answers(self)
        self._last_nonce = 0
        self._tokens: dict[str, int] = {}

    # --- what `WireServer` asks for ----------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """REST below ``/0``; ``/v2`` is the public WebSocket, ``/auth/v2`` the private one."""
        return [
            web.get("/0/public/{name}", self._public),
            web.post("/0/public/{name}", self._public),
            web.post("/0/private/{name}", self._private),
            web.get("/v2", self._market_socket),
            web.get("/auth/v2", self._private_socket),
        ]

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """Where a connector finds it."""
        ws = f"ws://{host}:{port}"
        return {"rest": f"http://{host}:{port}", "ws": f"{ws}/v2", "ws_private": f"{ws}/auth/v2"}

    def on_update(self, update: DeskUpdate) -> None:
        """To the executions channel."""
        self._channels.update(update)

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """To the market channels."""
        self._channels.market(symbol, row)

    def failure(self, kind: str, fault: Fault) -> web.Response:
        """Kraken's words for a failure."""
        if kind == "html_body":
            return super().failure(kind, fault)
        trading = fault.operation == "place"
        codes = {
            "rate_limit": "EOrder:Rate limit exceeded" if trading else "EAPI:Rate limit exceeded",
            "ban": "EGeneral:Temporary lockout",
            "maintenance": "EService:Unavailable",
            "status_unknown": "EService:Timeout",
            "cancel_refused": "EOrder:Unknown order",
        }
        return _refused(codes.get(kind, INVALID))

    def send(self, socket: Socket, payload: dict[str, Any] | list[Any] | str) -> None:
        """As `WireServer.send`, with every digit of a number kept."""
        if isinstance(payload, str):
            super().send(socket, payload)
        elif self._spoiling in CORRUPTING:
            super().send(socket, wording.plain(payload))
        else:
            super().send(socket, wording.json_text(payload))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on until it, or the server, ends."""
        self._spawn(work)

    # --- WebSockets --------------------------------------------------------------------------------------

    async def _market_socket(self, request: web.Request) -> web.StreamResponse:
        return await self.websocket(request, self._channels.talk, opened=self._channels.opened)

    async def _private_socket(self, request: web.Request) -> web.StreamResponse:
        channels = self._channels
        return await self.websocket(request, channels.talk, private=True, opened=channels.opened)

    def new_token(self) -> str:
        """A token for the private WebSocket, good for a while."""
        seed = f"{self.credentials.secret}/{self._last_nonce}".encode()
        token = base64.b64encode(hashlib.sha256(seed).digest()).decode()
        self._tokens[token] = self.clock() + TOKEN_S * 10**9
        return token

    def token_is_good(self, token: object) -> bool:
        """Whether a token was given out and has not run out."""
        return isinstance(token, str) and self._tokens.get(token, 0) > self.clock()

    # --- REST --------------------------------------------------------------------------------------------

    async def _public(self, request: web.Request) -> web.StreamResponse:
        told = self._answers
        answers: dict[str, tuple[str, Answer]] = {
            "Time": ("time", told.time),
            "SystemStatus": ("time", told.system_status),
            "Assets": ("rules", told.assets),
            "AssetPairs": ("rules", told.asset_pairs),
            "Ticker": ("rules", told.ticker),
        }
        return await self._dispatch(request, answers, dict(request.query))

    async def _private(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = self._authenticated(request, await request.read())
        except Refusal as refusal:
            return _refused(str(refusal))
        return await self._dispatch(request, self._private_answers(asked), asked)

    def _private_answers(self, asked: Asked) -> dict[str, tuple[str, Answer]]:
        trading, told = self.trading, self._answers
        one_order = "order" if asked.get("cl_ord_id") else "open_orders"
        answers: dict[str, tuple[str, Answer]] = {
            "AddOrder": ("place", lambda asked, view: trading.add(asked)),
            "AddOrderBatch": ("place", lambda asked, view: trading.add_batch(asked)),
            "AmendOrder": ("place", lambda asked, view: trading.amend(asked)),
            "CancelOrder": ("cancel", lambda asked, view: trading.cancel(asked)),
            "CancelOrderBatch": ("cancel", lambda asked, view: trading.cancel_batch(asked)),
            "CancelAll": ("cancel", lambda asked, view: trading.cancel_all()),
            "CancelAllOrdersAfter": ("dead_man", lambda asked, view: trading.dead_man(asked)),
            "OpenOrders": (one_order, told.open_orders),
            "ClosedOrders": ("order", told.closed_orders),
            "QueryOrders": ("order", told.query_orders),
            "TradesHistory": ("fills", told.trades_history),
            "Balance": ("balances", told.balance),
            "BalanceEx": ("balances", told.balance_ex),
            "TradeVolume": ("rules", told.trade_volume),
            "GetWebSocketsToken": ("time", told.token),
            "WithdrawMethods": ("rules", told.withdraw_methods),
        }
        if self.rights:
            answers["GetApiKeyInfo"] = ("rules", told.key_info)
        return answers

    async def _dispatch(
        self, request: web.Request, answers: dict[str, tuple[str, Answer]], asked: Asked
    ) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in answers:
            return _refused("EGeneral:Unknown method")
        operation, answer = answers[name]
        private = request.path.startswith("/0/private/")
        if self.calls is not None and private and operation not in ("place", "cancel"):
            cost = 2 if operation == "fills" else 1
            if not self.calls.take(cost, self.clock()):
                return _refused("EAPI:Rate limit exceeded")

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                result = answer(asked, request[VIEW])
            except Refusal as refusal:
                return _refused(str(refusal))
            return _json({"error": [], "result": result})

        return await self.guarded(operation, request, handle)

    def _secret_bytes(self) -> bytes:
        """Kraken's secrets are base64; one that is not counts as the bytes it is written in."""
        try:
            return base64.b64decode(self.credentials.secret, validate=True)
        except binascii.Error:
            return self.credentials.secret.encode()

    def _authenticated(self, request: web.Request, body: bytes) -> Asked:
        """The parameters of a request that is signed as it should be."""
        if request.content_type == "application/json":
            asked: Asked = orjson.loads(body)
        else:
            asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
        nonce = str(asked.pop("nonce", ""))
        if request.headers.get("API-Key") != self.credentials.key:
            raise Refusal("EAPI:Invalid key")
        hashed = hashlib.sha256(nonce.encode() + body).digest()
        expected = hmac.new(self._secret_bytes(), request.path.encode() + hashed, hashlib.sha512).digest()
        if not hmac.compare_digest(base64.b64encode(expected).decode(), request.headers.get("API-Sign", "")):
            raise Refusal("EAPI:Invalid signature")
        if not nonce.isdigit() or int(nonce) <= self._last_nonce:
            raise Refusal("EAPI:Invalid nonce")
        self._last_nonce = int(nonce)
        return asked


def _json(payload: dict[str, Any]) -> web.Response:
    return web.Response(text=wording.json_text(payload), content_type="application/json")


def _refused(code: str) -> web.Response:
    return _json({"error": [code]})
