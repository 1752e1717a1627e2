"""What is sent on Kraken's WebSockets after they open, and what keeps them open.

Law: a private stream asks for a fresh token each time: tokens are good for 15 minutes until they are used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from grinder.connectors.converting import Scales
from grinder.connectors.kraken.decoder import BOOK_DEPTH
from grinder.connectors.kraken.naming import stream_pair
from grinder.connectors.kraken.reading import text_of
from grinder.connectors.kraken.transport import KrakenTransport
from grinder.connectors.streams import Keeping, Stream, StreamLost

PUBLIC = "public"
PRIVATE = "private"

SILENCE_S = 30.0
"""Kraken sends a heartbeat each second while anything is subscribed."""

KEEP_ALIVE_S = 20.0

Greeting = Callable[[Stream], Awaitable[None]]


def keeping() -> Keeping:
    """How both streams are kept up."""
    return Keeping(
        keep_alive=lambda: {"method": "ping"},
        keep_alive_s=KEEP_ALIVE_S,
        silence_s=SILENCE_S,
        renew_on_gap=False,  # see `renewing`
    )


def public_greeting(scales: Scales) -> Greeting:
    """Subscribes book and trades of every listed instrument."""
    pairs = sorted(stream_pair(one.base, one.quote) for one in scales.instruments.values())

    async def greet(stream: Stream) -> None:
        if not pairs:
            return
        await stream.send(_subscribe({"channel": "book", "symbol": pairs, "depth": BOOK_DEPTH}))
        await stream.send(_subscribe({"channel": "trade", "symbol": pairs, "snapshot": False}))
        await _subscribed(stream)

    return greet


def private_greeting(transport: KrakenTransport) -> Greeting:
    """Subscribes our orders and executions; the answer brings what is open and the last 50 executions."""

    async def greet(stream: Stream) -> None:
        answer = await transport.private("GetWebSocketsToken")
        token = text_of(answer.get("token"), "token")
        params = {"channel": "executions", "token": token, "snap_orders": True, "snap_trades": True}
        await stream.send(_subscribe(params))
        await _subscribed(stream)

    return greet


async def _subscribed(stream: Stream) -> None:
    """Wait for the answer: the stream is up when what is open has been told, or is about to be."""
    for _ in range(100):
        frame = await stream.receive()
        if b'"method":"subscribe"' in _plain(frame):
            if b'"success":true' in _plain(frame):
                return
            raise StreamLost("the exchange refused the subscription")
    raise StreamLost("no answer to the subscription")


def _plain(frame: bytes | str) -> bytes:
    raw = frame.encode() if isinstance(frame, str) else frame
    return raw.replace(b": ", b":")


def _subscribe(params: dict[str, Any]) -> dict[str, Any]:
    return {"method": "subscribe", "params": params}
