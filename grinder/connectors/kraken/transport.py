"""Requests to Kraken's REST interface: signed by ccxt, sent, read and judged here.

Law: a private request leaves with a nonce greater than any before it, even than those of an earlier process:
nonces are the clock's nanoseconds.  Kraken compares nonces as requests arrive, so they leave one after the
other; one that gets no answer holds the next up for a second at most.  A request that comes late is then
refused by its nonce, so nothing sent before the latest answered request can still take effect.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable
from typing import Any

import ccxt.async_support as ccxt

from actors.ports import AuthenticationFailed, ClockSkewed, OrderRefused, Unavailable
from grinder.connectors.converting import Unreadable, read_json
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import HttpClient, NoAnswer
from grinder.connectors.kraken import errors
from grinder.connectors.kraken.reading import items, mapping
from grinder.secrets import Credentials

PATIENCE_S = 1.0
NONCE_TRIES = 3
NONCE_LEAP_NS = 60 * 10**9
"""How far the last try goes ahead: a clock set back by less than this is caught up with."""

_WRITES = frozenset(
    {
        "AddOrder",
        "AddOrderBatch",
        "AmendOrder",
        "CancelOrder",
        "CancelOrderBatch",
        "CancelAll",
        "CancelAllOrdersAfter",
    }
)


class Nonces:
    """Strictly rising numbers, from the clock."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last = 0

    def take(self) -> int:
        """The next nonce."""
        self._last = max(self._clock(), self._last + 1)
        return self._last

    def leap(self) -> None:
        """Go ahead of the clock: another process used a later one."""
        self._last = max(self._clock(), self._last) + NONCE_LEAP_NS


class _Signing(ccxt.kraken):  # type: ignore[misc]
    """ccxt's Kraken, which knows how each request is signed, with our nonces."""

    nonces: Nonces

    def incrementing_nonce(self) -> int:
        return self.nonces.take()


class KrakenTransport:
    """Sends requests; answers with the ``result`` or raises an `ExchangeError`.

    Args:
        credentials: None for public requests only.
        clock: ns.
    """

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self._credentials = credentials
        self._nonces = Nonces(clock)
        self._turn = asyncio.Lock()
        self._signing = _Signing({"enableRateLimit": False})
        self._signing.nonces = self._nonces
        self._signing.urls["api"] |= {"public": endpoint.rest, "private": endpoint.rest}
        if credentials is not None:
            self._signing.apiKey, self._signing.secret = credentials.key, credentials.secret
        self._client = HttpClient()

    def open(self) -> None:
        """Become able to send; needs a running loop."""
        self._client.open()

    async def close(self) -> None:
        """Release the connections; closing twice does nothing."""
        await self._client.close()

    async def public(self, path: str, **parameters: str) -> Any:
        """A public request."""
        return _result(await self._send(path, "public", parameters), writes=False)

    async def private(self, path: str, **parameters: Any) -> Any:
        """A private request, in its turn; one refused for its nonce alone is sent again with a later one.

        Raises:
            ExchangeError: see `actors.ports`; ClockSkewed when no nonce of ours is late enough.
        """
        if self._credentials is None:
            raise AuthenticationFailed("no_key", "public market data only")
        for attempt in range(NONCE_TRIES):
            try:
                answer = await self._in_turn(path, parameters)
                return _result(answer, writes=path in _WRITES)
            except ClockSkewed:
                if attempt == NONCE_TRIES - 1:
                    raise
                if attempt == NONCE_TRIES - 2:
                    self._nonces.leap()
        raise AssertionError("unreachable")

    async def _in_turn(self, path: str, parameters: dict[str, Any]) -> str:
        async with self._turn:
            sending = asyncio.ensure_future(self._send(path, "private", parameters))
            try:
                await asyncio.wait({sending}, timeout=PATIENCE_S)
            except asyncio.CancelledError:
                sending.cancel()
                raise
        return await sending

    def _signed(self, path: str, kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            method = "GET" if kind == "public" else "POST"
            signed: dict[str, Any] = self._signing.sign(path, [kind], method, parameters)
        except binascii.Error:
            raise AuthenticationFailed("secret_form", "a secret of Kraken's is base64") from None
        return signed

    async def _send(self, path: str, kind: str, parameters: dict[str, Any]) -> str:
        """The body of an answer with status 200, or with codes of Kraken's."""
        writes = path in _WRITES
        if not self._client.is_open:
            raise OrderRefused("closed", "nothing is sent") if writes else Unavailable("closed", "not open")
        request = self._signed(path, kind, parameters)
        try:
            answer = await self._client.send(
                request["method"], request["url"], request["body"], request["headers"]
            )
        except NoAnswer as none:
            raise errors.left_open(none.code, none.text, writes=writes) from none
        body = answer.body.decode("utf-8", "replace")
        if answer.status != 200 and not body.startswith('{"error":["E'):
            raise errors.from_http(answer.status, answer.headers.get("Retry-After", ""), writes=writes)
        return body


def _result(body: str, *, writes: bool) -> Any:
    """The ``result`` of an answer.

    Raises:
        ExchangeError: the codes it holds, or that nobody can read it.
    """
    try:
        answer = mapping(read_json(body), "answer")
        codes = [code for code in items(answer.get("error"), "error") if not str(code).startswith("W")]
        if codes:
            raise errors.from_codes([str(code) for code in codes], writes=writes)
        return mapping(answer.get("result"), "result")
    except Unreadable as error:
        raise errors.left_open("unreadable", str(error), writes=writes) from None
