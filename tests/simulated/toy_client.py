"""A client of a toy server: REST calls and the messages of its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from toys import ToyServer, Watch, toy

from grinder.simulated.server import Running, start
from replay.faults import FaultPlan

ORDER = {"id": "a", "side": "buy", "price": 609_000, "lots": 10}
LIMIT_S = 10


class Client:
    """A client of a toy server: REST calls and the messages of two sockets."""

    def __init__(self, running: Running, http: aiohttp.ClientSession) -> None:
        self.running = running
        self.server: ToyServer = running.server  # type: ignore[assignment]
        self.http = http
        self.url = running.line["rest"]
        self.told: list[dict[str, Any]] = []
        self.closed = asyncio.Event()

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.read()

    async def json(self, method: str, path: str, **options: Any) -> Any:
        async with self.http.request(method, self.url + path, **options) as answer:
            return await answer.json()

    async def place(self, *orders: dict[str, Any]) -> Any:
        return await self.json("POST", "/orders", json=list(orders) or [ORDER])

    async def listen(self, path: str = "/private") -> aiohttp.ClientWebSocketResponse:
        ws = await self.http.ws_connect(self.url + path)

        async def read() -> None:
            async for message in ws:
                self.told.append(message.json())
            self.closed.set()

        self.reader = asyncio.ensure_future(read())
        return ws

    async def hears(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many messages in all, then a moment for one too many."""
        for _ in range(200):
            if len(self.told) >= count:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.03)
        return self.told


def with_client(
    talk: Callable[[Client], Awaitable[None]],
    faults: FaultPlan | None = None,
    clock: Watch | None = None,
) -> None:
    async def run() -> None:
        running = await start(toy(faults, clock=clock))
        try:
            async with aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=5), connector=aiohttp.TCPConnector(force_close=True)
            ) as http:
                await asyncio.wait_for(talk(Client(running, http)), LIMIT_S)
        finally:
            await running.close()

    asyncio.run(run())


LOST_ANSWER = (aiohttp.ClientError, ConnectionError)
