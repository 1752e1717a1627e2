"""How OKX's streams begin: log in, subscribe, wait until every subscription is confirmed.

Law: a stream counts as up only when OKX confirmed each channel, because a push that was never subscribed to
looks like a quiet market.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from grinder.connectors.converting import Unreadable, read_json
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.okx import errors
from grinder.connectors.streams import Keeping, Stream
from grinder.secrets import Credentials

PUBLIC, PRIVATE = "public", "private"

KEEPING = Keeping(keep_alive=lambda: "ping", keep_alive_s=15.0, silence_s=30.0)
"""OKX closes a connection on which nothing moved for 30 s; a ping is answered, so silence is death."""

QUOTES = "bbo-tbt"
"""Best quotes, whole in each frame; ``books`` instead has a checksum."""

Greet = Callable[[Stream], Awaitable[None]]


class Greeting:
    """What each stream of an account says first.

    Args:
        natives: OKX's names of the instruments.
        private: the channels of the private stream.
        now_ms: OKX's clock.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        natives: Sequence[str],
        private: Sequence[dict[str, str]],
        now_ms: Callable[[], int],
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._natives = natives
        self._channels = private
        self._now_ms = now_ms

    def streams(self) -> dict[str, tuple[str, Greet]]:
        """Address and greeting of each stream; without credentials there is no private one."""
        found: dict[str, tuple[str, Greet]] = {PUBLIC: (self._endpoint.ws, self._public)}
        if self._credentials is not None:
            found[PRIVATE] = (self._endpoint.ws_private, self._private)
        return found

    async def _public(self, stream: Stream) -> None:
        channels = (self._endpoint.extra.get("quotes", QUOTES), "trades")
        await _subscribe(stream, [{"channel": c, "instId": name} for name in self._natives for c in channels])

    async def _private(self, stream: Stream) -> None:
        await stream.send({"op": "login", "args": [self._login()]})
        await _await_event(stream, "login", 1)
        await _subscribe(stream, self._channels)

    def _login(self) -> dict[str, str]:
        keys = self._credentials or Credentials("", "")
        seconds = str(self._now_ms() // 1000)
        text = f"{seconds}GET/users/self/verify"
        signed = hmac.new(keys.secret.encode(), text.encode(), hashlib.sha256)
        return {
            "apiKey": keys.key,
            "passphrase": keys.passphrase,
            "timestamp": seconds,
            "sign": base64.b64encode(signed.digest()).decode(),
        }


async def _subscribe(stream: Stream, channels: Sequence[dict[str, str]]) -> None:
    if channels:
        await stream.send({"op": "subscribe", "args": list(channels)})
        await _await_event(stream, "subscribe", len(channels))


async def _await_event(stream: Stream, event: str, times: int) -> None:
    """Wait until an event came so often; what else comes meanwhile is told and decoded as always.

    Raises:
        ExchangeError: OKX answered with an error.
        StreamLost: the connection ended, or the event did not come.
    """
    while times:
        message = _message(await stream.receive())
        if message.get("event") == "error":
            raise errors.from_code(str(message.get("code")), str(message.get("msg") or ""), write=False)
        times -= message.get("event") == event


def _message(frame: bytes) -> dict[str, Any]:
    try:
        found = read_json(frame)
    except Unreadable:
        return {}
    return found if isinstance(found, dict) else {}
