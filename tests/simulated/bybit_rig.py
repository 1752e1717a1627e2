"""A simulated Bybit on a free port, for tests that speak to it as strangers do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from toys import BTC, USDT, instrument

from grinder.secrets import Credentials
from grinder.simulated.protocols.bybit import BybitServer
from grinder.simulated.server import Running, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row, trade_row
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan

KEYS = Credentials("key-1", "secret-1")
BID, ASK = 609_990, 610_010
ORDER = {
    "category": "spot",
    "symbol": BTC,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "60000.0",
    "timeInForce": "PostOnly",
    "orderLinkId": "first",
}


class Rig:
    """The server, its desk, and a client of the test's own making."""

    def __init__(self, running: Running, desk: Desk, http: aiohttp.ClientSession) -> None:
        self.running = running
        self.desk = desk
        self.http = http
        self.rest = str(running.line["rest"])

    @property
    def server(self) -> BybitServer:
        assert isinstance(self.running.server, BybitServer)
        return self.running.server

    @property
    def ws(self) -> str:
        """The address of all WebSockets up to ``/v5``."""
        return str(self.running.line["ws"]).removesuffix("/public")

    def quote(self, bid: int, ask: int) -> None:
        self.server.market(BTC, quote_row(time.time_ns(), bid, ask, 5000, 5000))

    def trade(self, price: int, lots: int) -> None:
        self.server.market(BTC, trade_row(time.time_ns(), price, lots, 1, self.desk.quote(BTC)))

    def headers(self, params: str, *, ahead_ms: int = 0, secret: str = KEYS.secret) -> dict[str, str]:
        stamp = str(int(time.time() * 1000) + ahead_ms)
        text = stamp + KEYS.key + "5000" + params
        return {
            "X-BAPI-API-KEY": KEYS.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
        }

    async def get(self, path: str, params: str = "", **how: Any) -> tuple[Any, Any]:
        """(body, headers) of a signed reading request; `params` as they are signed."""
        async with self.http.get(
            f"{self.rest}/v5/{path}?{params}", headers=self.headers(params, **how)
        ) as got:
            return await got.json(), got.headers

    async def post(self, path: str, body: dict[str, Any], **how: Any) -> tuple[Any, Any]:
        text = json.dumps(body)
        async with self.http.post(
            f"{self.rest}/v5/{path}", data=text, headers=self.headers(text, **how)
        ) as got:
            return await got.json(), got.headers

    def login(self) -> list[Any]:
        """What logs a WebSocket in."""
        expires = int(time.time() * 1000) + 5000
        sign = hmac.new(KEYS.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256)
        return [KEYS.key, expires, sign.hexdigest()]

    @contextlib.asynccontextmanager
    async def socket(self, path: str, *topics: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, logged in where the path is private, subscribed to topics."""
        async with self.http.ws_connect(f"{self.ws}/{path}") as ws:
            if path == "private":
                await ws.send_json({"op": "auth", "args": self.login()})
                assert (await ws.receive_json())["success"] is True
            if topics:
                await ws.send_json({"op": "subscribe", "req_id": "7", "args": list(topics)})
                answer = await ws.receive_json()
                assert (answer["success"], answer["req_id"]) == (True, "7")
            yield ws


@contextlib.asynccontextmanager
async def bybit(faults: FaultPlan | None = None, *, kind: str = "spot") -> AsyncIterator[Rig]:
    """A running server whose market stands at 60999.0/61001.0, with 10,000 USDT and 1 BTC."""
    desk = Desk({BTC: instrument(kind=kind)}, {"USDT": 10_000 * USDT, "BTC": 1000}, ExchangeRules())
    server = BybitServer(desk, KEYS, faults or FaultPlan(), time.time_ns)
    running = await start(server)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        rig = Rig(running, desk, http)
        rig.quote(BID, ASK)
        try:
            yield rig
        finally:
            await running.close()


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
