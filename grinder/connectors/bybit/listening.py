"""Bybit's streams: what is subscribed, the login, and the switch that fires when the private one is gone.

Law: a subscription is part of greeting a connection, so a renewed stream is subscribed as the first one was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from actors.ports import AuthenticationFailed, Listener
from grinder.connectors.bybit.decoder import BybitDecoder
from grinder.connectors.bybit.parsing import SPOT
from grinder.connectors.converting import Unreadable, read_json
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.streams import Keeping, Stream, StreamLost
from grinder.secrets import Credentials

PUBLIC = "public"
PRIVATE = "private"

TOPICS_AT_ONCE = 10
"""Most topics of one subscription on spot."""

LOGIN_WINDOW_MS = 10_000
LOGIN_FRAMES = 20
"""Frames that may come before the answer to a login."""

KEEPING = Keeping(keep_alive=lambda: {"op": "ping"}, keep_alive_s=15.0, silence_s=35.0)
"""Bybit ends a connection without a ping for ten minutes; its pongs show that the way is open."""


class Listening:
    """The streams of one category.

    Args:
        sign: signs the login.
        now_ms: Bybit's clock.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        sign: Callable[[str], str],
        category: str,
        clock: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._sign = sign
        self._category = category
        self._clock = clock
        self._now_ms = now_ms
        self._streams: dict[str, Stream] = {}
        self.window_s = 0

    def streams(self, listener: Listener, symbols: Sequence[str], decoder: BybitDecoder) -> list[Stream]:
        """The public stream, and the private one where there is a key."""
        made = [self._stream(PUBLIC, self._public_url(), self._public(symbols), listener, decoder)]
        if self._credentials is not None:
            url = self._endpoint.ws_private
            made.append(self._stream(PRIVATE, url, self._login(self._credentials), listener, decoder))
        self._streams = {one.name: one for one in made}
        return made

    def drop(self, stream: str) -> None:
        """Renew a stream; an empty name means all."""
        for name, one in self._streams.items():
            if stream in ("", name):
                one.drop("reconnect")

    async def watch_disconnect(self, seconds: int) -> None:
        """From now on the private connection is one whose loss cancels the orders; 0 ends that."""
        before, self.window_s = self.window_s, seconds
        private = self._streams.get(PRIVATE)
        if private is None or not private.up or bool(before) == bool(seconds):
            return
        try:
            await private.send({"op": "subscribe" if seconds else "unsubscribe", "args": [self._dcp]})
        except StreamLost:
            return  # the next connection subscribes to what is wanted then

    @property
    def _dcp(self) -> str:
        return "dcp.spot" if self._category == SPOT else "dcp.future"

    def _public_url(self) -> str:
        address = self._endpoint.ws.rstrip("/")
        return address if address.endswith("/" + self._category) else f"{address}/{self._category}"

    def _stream(
        self,
        name: str,
        url: str,
        greet: Callable[[Stream], Awaitable[None]],
        listener: Listener,
        decoder: BybitDecoder,
    ) -> Stream:
        return Stream(
            name,
            url,
            listener=listener,
            decoder=decoder,
            clock=self._clock,
            greet=greet,
            # A private push that cannot be read is no reason to be deaf for a second: whoever listens asks.
            keeping=attrs.evolve(KEEPING, renew_on_gap=name == PUBLIC),
        )

    def _public(self, symbols: Sequence[str]) -> Callable[[Stream], Awaitable[None]]:
        depth = self._endpoint.extra.get("depth", "1")
        topics = [f"{kind}.{symbol}" for symbol in symbols for kind in (f"orderbook.{depth}", "publicTrade")]

        async def greet(stream: Stream) -> None:
            for first in range(0, len(topics), TOPICS_AT_ONCE):
                await stream.send({"op": "subscribe", "args": topics[first : first + TOPICS_AT_ONCE]})

        return greet

    def _login(self, credentials: Credentials) -> Callable[[Stream], Awaitable[None]]:
        async def greet(stream: Stream) -> None:
            expires = self._now_ms() + LOGIN_WINDOW_MS
            signature = self._sign(f"GET/realtime{expires}")
            await stream.send({"op": "auth", "args": [credentials.key, expires, signature]})
            await _answer(stream, "auth")
            await stream.send({"op": "subscribe", "args": ["order", "execution", "wallet"]})
            await _answer(stream, "subscribe")
            if self.window_s:
                # On its own and unanswered: an account without the switch still hears of its orders.
                await stream.send({"op": "subscribe", "args": [self._dcp]})

        return greet


async def _answer(stream: Stream, operation: str) -> None:
    """Wait for the good answer to an operation.

    Raises:
        AuthenticationFailed: it is not good.
        StreamLost: none came.
    """
    for _ in range(LOGIN_FRAMES):
        try:
            body: Any = read_json(await stream.receive())
        except Unreadable as broken:
            raise StreamLost(str(broken)) from None
        if isinstance(body, dict) and body.get("op") == operation:
            if body.get("success") is True:
                return
            words = str(body.get("ret_msg") or body.get("retMsg") or "")
            raise AuthenticationFailed(str(body.get("retCode") or operation), words)
    raise StreamLost(f"no answer to {operation}")
