"""A socket of the simulated exchange, and the ways to end a connection without an answer.

Law: knows bytes only.  A message is queued, so that whoever tells something never waits for a slow client; a
client that does not read is cut.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

LONGEST_QUEUE = 10_000


class Socket:
    """One WebSocket and what its client subscribed to.

    Attributes:
        private: whether it carries private events.
        topics: what the client subscribed to, in the protocol's own words.
        memory: whatever the protocol keeps for it (sequence numbers, a login).
        path, query: how it was opened.
    """

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, *, private: bool) -> None:
        self.ws = ws
        self.private = private
        self.path = request.path
        self.query: dict[str, str] = dict(request.query)
        self.topics: set[str] = set()
        self.memory: dict[str, Any] = {}
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._transport = request.transport

    def put(self, text: str) -> None:
        """Queue a message."""
        if self._queue.qsize() >= LONGEST_QUEUE:
            self.cut()
            return
        self._queue.put_nowait(text)

    def close(self) -> None:
        """Close politely, after what is queued."""
        self._queue.put_nowait(None)

    def cut(self) -> None:
        """Cut the connection at once, without a closing frame."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what is queued until closed."""
        try:
            while (text := await self._queue.get()) is not None:
                await self.ws.send_str(text)
            await self.ws.close()
        except (ConnectionError, RuntimeError):
            return  # the client went away; the reading side ends the socket


async def hang_up(request: web.Request, after_s: float) -> web.StreamResponse:
    """End a request's connection without an answer, after a while."""
    if after_s > 0:
        await asyncio.sleep(after_s)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)  # never reaches anyone: the connection is gone


def page_of_html(title: str) -> str:
    """What a load balancer shows instead of an answer."""
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
