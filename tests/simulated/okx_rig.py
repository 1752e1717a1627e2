"""A simulated OKX behind real sockets, and a client that signs as OKX wants it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from toys import desk_at, instrument

from grinder.secrets import Credentials
from grinder.simulated.protocols.okx import OkxServer
from grinder.simulated.server import Running, start
from replay.faults import FaultPlan, FaultRule

KEYS = Credentials("key-of-a-test", "secret-of-a-test", "passphrase-of-a-test")
BID, ASK = 609_990, 610_010
SECOND = 10**9


@asynccontextmanager
async def serving(*rules: FaultRule, clock: Callable[[], int] = time.time_ns) -> AsyncIterator[Running]:
    """A server with a quote, 10,000 USDT and one BTC."""
    desk = desk_at(
        BID,
        ASK,
        one=instrument(
            base_decimals=8,
            base_per_lot=10**5,
            quote_decimals=9,
            quote_per_tick_base=1,
            min_notional=5 * 10**9,
        ),
        balances={"USDT": 10_000 * 10**9, "BTC": 10**8},
    )
    running = await start(OkxServer(desk, KEYS, FaultPlan(rules), clock))
    try:
        yield running
    finally:
        await running.close()


def server_of(running: Running) -> OkxServer:
    assert isinstance(running.server, OkxServer)
    return running.server


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def headers(method: str, path: str, body: str = "", keys: Credentials = KEYS, at: str = "") -> dict[str, str]:
    at = at or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    signed = hmac.new(keys.secret.encode(), f"{at}{method}{path}{body}".encode(), hashlib.sha256).digest()
    return {
        "OK-ACCESS-KEY": keys.key,
        "OK-ACCESS-SIGN": base64.b64encode(signed).decode(),
        "OK-ACCESS-TIMESTAMP": at,
        "OK-ACCESS-PASSPHRASE": keys.passphrase,
        "Content-Type": "application/json",
    }


class Client:
    """Raw requests, signed as OKX documents it."""

    def __init__(self, session: aiohttp.ClientSession, running: Running) -> None:
        self.session = session
        self.base = running.line["rest"]

    async def get(self, path: str, **changes: Any) -> tuple[int, Any]:
        path = f"/api/v5/{path}"
        async with self.session.get(self.base + path, headers=headers("GET", path, **changes)) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: Any) -> Any:
        path, text = f"/api/v5/{path}", body if isinstance(body, str) else json.dumps(body)
        made = headers("POST", path, text)
        async with self.session.post(self.base + path, data=text, headers=made) as answer:
            return await answer.json()


@asynccontextmanager
async def raw(*rules: FaultRule) -> AsyncIterator[tuple[Client, OkxServer]]:
    async with serving(*rules) as running, aiohttp.ClientSession() as session:
        yield Client(session, running), server_of(running)


def order(**changes: Any) -> dict[str, Any]:
    given = {
        "instId": "BTC-USDT",
        "tdMode": "cash",
        "side": "buy",
        "ordType": "limit",
        "px": "60000",
        "sz": "0.01",
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


# --- sockets -------------------------------------------------------------------------------------------


def login(keys: Credentials = KEYS, at: str = "") -> dict[str, Any]:
    at = at or str(int(time.time()))
    signed = hmac.new(keys.secret.encode(), f"{at}GET/users/self/verify".encode(), hashlib.sha256).digest()
    one = {"apiKey": keys.key, "passphrase": keys.passphrase, "timestamp": at}
    return {"op": "login", "args": [one | {"sign": base64.b64encode(signed).decode()}]}


def subscribing(*channels: dict[str, str]) -> dict[str, Any]:
    return {"op": "subscribe", "args": list(channels)}


@asynccontextmanager
async def socket(client: Client, kind: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse[Any]]:
    async with client.session.ws_connect(client.base.replace("http", "ws") + f"/ws/v5/{kind}") as made:
        yield made
