"""Requests to Binance over HTTP: ccxt signs and carries them, we judge the answers.

Law: one request is sent once.  Nothing here retries, caches, throttles or rounds, and the answer's text is
read by our own reader: ccxt's judgement of it is switched off, because it folds exchange-specific outcomes
into its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.ports import ClockSkewed
from grinder.connectors.binance.errors import Answer, no_answer, read
from grinder.secrets import Credentials

NS_PER_MS = 1_000_000
RECV_WINDOW_MS = 5_000
TIMEOUT_MS = 5_000

Params = dict[str, Any]


class Rest:
    """One account's HTTP interface.

    Args:
        urls: address of each of ccxt's interfaces that is used (``public``, ``fapiPrivate`` ...).
        clock: ns; requests are stamped with it, corrected by `offset_ms`.

    Attributes:
        offset_ms: the exchange's clock less ours.
        clock_in_doubt: the exchange refused a timestamp since the clock was measured.
    """

    def __init__(
        self, urls: dict[str, str], credentials: Credentials | None, clock: Callable[[], int]
    ) -> None:
        self._urls = urls
        self._credentials = credentials
        self._clock = clock
        self._wire: Any = None
        self.offset_ms = 0
        self.clock_in_doubt = False

    def open(self) -> None:
        """Load the client library; call it on the loop the requests are made from."""
        if self._wire is not None:
            return
        from ccxt.async_support.binance import binance

        wire: Any = binance({"enableRateLimit": False, "timeout": TIMEOUT_MS})
        if self._credentials is not None:
            wire.apiKey, wire.secret = self._credentials.key, self._credentials.secret
        wire.urls["api"] = dict(self._urls)
        wire.options["recvWindow"] = RECV_WINDOW_MS
        wire.timeout_on_exit = 0
        wire.nonce = self.now_ms
        wire.on_rest_response = _answer
        wire.parse_json = _as_it_is
        wire.handle_errors = _judged_later
        wire.handle_http_status_code = _judged_later
        wire.open()
        # aiohttp sends GET, PUT and DELETE a second time when a kept connection turns out to be closed; a
        # cancel that was carried out would come back as refused.
        wire.session._retry_connection = False
        self._wire = wire

    async def close(self) -> None:
        """Release the connections."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.close()

    def now_ms(self) -> int:
        """The exchange's time as far as we know, milliseconds since 1970."""
        return self._clock() // NS_PER_MS + self.offset_ms

    async def call(
        self, interface: str, method: str, path: str, params: Params | None = None, *, writes: bool = False
    ) -> Any:
        """Make one request.

        Args:
            interface: ccxt's name of the address and of how it is signed.
            writes: an order may be placed, changed or ended by it.

        Returns:
            the answer's JSON, numbers with a point as text.

        Raises:
            ExchangeError: as `errors.read`; `OutcomeUnknown` or `Unavailable` when no answer came.
        """
        from ccxt.base.errors import BaseError

        if self._wire is None:
            raise no_answer("the connector is closed", writes=False)
        try:
            answer = await self._wire.request(path, [interface], method, dict(params or {}))
        except BaseError as error:
            raise no_answer(f"{type(error).__name__} {method} {path}", writes=writes) from error
        if not isinstance(answer, Answer):
            raise no_answer(f"no body {method} {path}", writes=writes)
        try:
            return read(answer, writes=writes, now_ms=self.now_ms())
        except ClockSkewed:
            self.clock_in_doubt = True
            raise


def _answer(
    status: int,
    reason: str,
    url: str,
    method: str,
    headers: dict[str, str],
    body: str,
    sent_headers: object,
    sent_body: object,
) -> Answer:
    return Answer(status, headers, body)


def _as_it_is(answer: Answer) -> Answer:
    return answer


def _judged_later(*told: object) -> None:
    """ccxt asks whether the answer is an error; `errors.read` decides that."""
