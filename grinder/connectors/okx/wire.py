"""One signed request to OKX and its answer.

Law: ccxt knows the paths and signs; what came back is read here, because whether a failed request may have
been done depends on the raw status, code and body.  An answer nobody can read leaves a write open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ccxt.async_support as ccxt

from actors.ports import AuthenticationFailed, ExchangeError, OrderRefused, RateLimited
from grinder.connectors.converting import Unreadable, read_json
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import HttpAnswer, HttpClient, NoAnswer
from grinder.connectors.okx import errors
from grinder.secrets import Credentials


class _Signing(ccxt.okx):  # type: ignore[misc]
    """ccxt's OKX with our clock and our transport."""

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials | None, now_ms: Callable[[], int]
    ) -> None:
        keys = credentials or Credentials("", "")
        super().__init__({"apiKey": keys.key, "secret": keys.secret, "password": keys.passphrase})
        self.enableRateLimit = False  # the budget is the account's, and it is kept in the ledger
        self.urls["api"] = {"rest": endpoint.rest, "ws": endpoint.ws}
        self._now_ms = now_ms

    def nonce(self) -> int:
        """The time that is signed, ms by OKX's clock."""
        return self._now_ms()


class Wire:
    """Requests to one account.

    Args:
        now_ms: the exchange's clock as far as we know it.
    """

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials | None, now_ms: Callable[[], int]
    ) -> None:
        self._signing = _Signing(endpoint, credentials, now_ms)
        self._demo = {"x-simulated-trading": "1"} if endpoint.extra.get("demo") else {}
        self._client = HttpClient()

    @property
    def kinds(self) -> Mapping[str, type]:
        """The client library's error classes by code."""
        return self._signing.exceptions["exact"]  # type: ignore[no-any-return]

    async def open(self) -> None:
        """Become able to make requests."""
        self._client.open()

    async def close(self) -> None:
        """Release the connections; closing twice does nothing."""
        await self._client.close()

    async def request(
        self, method: str, path: str, params: Any = None, *, public: bool = False, write: bool = False
    ) -> Any:
        """An answer as JSON whose code is good, or speaks for each item on its own.

        Args:
            path: below ``/api/v5/``.
            write: whether it can change anything.

        Raises:
            ExchangeError: the one its failure stands for.
        """
        came = await self._exchange(method, path, params, public=public, write=write)
        status, body = came.status, came.body
        failed = errors.from_status(status, came.headers.get("Retry-After", ""), write=write)
        try:
            answer = read_json(body)
            if not isinstance(answer, dict) or not isinstance(answer.get("code"), str):
                raise Unreadable("the answer has no code")
        except Unreadable as broken:
            raise failed or errors.still_open("unreadable", f"HTTP {status}: {broken}", write=write) from None
        code, text = answer["code"], str(answer.get("msg") or "")
        # With 1 (all failed) and 2 (some failed) every item says for itself what became of it.
        if status < 400 and (code == "0" or (code in ("1", "2") and answer.get("data"))):
            return answer
        if code in ("0", "1", "2"):
            raise failed or errors.still_open(code, f"HTTP {status}: {text}", write=write)
        named = self.error(code, text, write=write)
        if isinstance(failed, RateLimited):  # the status tells for how long, the code only why
            raise RateLimited(code, text, failed.retry_after_s, banned=failed.banned)
        raise failed if failed is not None and isinstance(named, OrderRefused) else named

    def error(self, code: str, text: str, *, write: bool) -> ExchangeError:
        """The error a code stands for."""
        return errors.from_code(code, text, write=write, kinds=self.kinds)

    async def _exchange(
        self, method: str, path: str, params: Any, *, public: bool, write: bool
    ) -> HttpAnswer:
        if not self._client.is_open:
            raise errors.still_open("closed", "the connector is not open", write=False)
        access = "public" if public else "private"
        try:
            signed = self._signing.sign(path, [access], method, {} if params is None else params)
        except ccxt.AuthenticationError as error:
            raise AuthenticationFailed("no_key", str(error)) from None
        headers = {**(signed["headers"] or {}), **self._demo}
        try:
            return await self._client.send(method, signed["url"], signed["body"], headers)
        except NoAnswer as none:
            # Even where no connection came about: a proxy may have refused half-way.
            raise errors.still_open(none.code, none.text, write=write) from None
