"""One signed request to Bybit and its answer.

Law: ccxt knows the addresses and signs; what came back is read here, because whether a failed request may
have been done depends on the raw status, code and body.  An answer nobody can read leaves a write open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import ccxt.async_support as ccxt

from actors.ports import ExchangeError
from grinder.connectors.bybit import errors
from grinder.connectors.converting import Unreadable, read_json
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import HttpAnswer, HttpClient, NoAnswer
from grinder.secrets import Credentials

SHOWN = 200
"""Characters of a body that an error carries."""


@attrs.frozen
class Answer:
    """A body whose code is 0: its `result`, and what it says of single items of a batch."""

    result: dict[str, Any]
    items: list[Any]


class _Signing(ccxt.bybit):  # type: ignore[misc]
    """ccxt's Bybit with our clock and our transport."""

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials | None, now_ms: Callable[[], int]
    ) -> None:
        keys = credentials or Credentials("", "")
        super().__init__({"apiKey": keys.key, "secret": keys.secret})
        self.enableRateLimit = False  # the budget is the account's, and it is kept in the ledger
        self.urls["api"] = {"public": endpoint.rest, "private": endpoint.rest, "ws": endpoint.ws}
        self._now_ms = now_ms

    def nonce(self) -> int:
        """The time that is signed, ms by Bybit's clock."""
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
        self._now_ms = now_ms
        self._client = HttpClient()

    async def open(self) -> None:
        """Become able to make requests."""
        self._client.open()

    async def close(self) -> None:
        """Release the connections; closing twice does nothing."""
        await self._client.close()
        await self._signing.close()

    def sign(self, text: str) -> str:
        """The signature of a text under the account's secret, as logins want it."""
        signed: str = self._signing.hmac(
            self._signing.encode(text), self._signing.encode(self._signing.secret), "sha256"
        )
        return signed

    async def get(self, path: str, params: Mapping[str, str], *, public: bool = False) -> Answer:
        """Read something.

        Args:
            path: below ``/v5/``.

        Raises:
            Unavailable, RateLimited, ClockSkewed, AuthenticationFailed.
        """
        return await self._request("GET", path, dict(params), public=public, write=False)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Change something.

        Raises:
            ExchangeError: `OutcomeUnknown` where it may have been done.
        """
        return await self._request("POST", path, dict(body), public=False, write=True)

    def error(
        self, code: str, text: str, *, write: bool, retry_after_s: float = errors.RETRY_S
    ) -> ExchangeError:
        """The error a code stands for."""
        kinds: Mapping[str, type] = self._signing.exceptions["exact"]
        return errors.from_code(code, text, write=write, kinds=kinds, retry_after_s=retry_after_s)

    async def _request(
        self, method: str, path: str, params: dict[str, Any], *, public: bool, write: bool
    ) -> Answer:
        came = await self._exchange(method, path, params, public=public, write=write)
        status, body = came.status, came.body
        shown = body[:SHOWN].decode("utf-8", "replace")
        failed = errors.from_status(status, shown, write=write)
        if failed is not None:
            raise failed
        try:
            answer = read_json(body)
            code, text = _code(answer)
        except Unreadable as broken:
            raise errors.still_open("unreadable", f"HTTP {status}: {broken}", write=write) from None
        if code != "0":
            raise self.error(code, text, write=write, retry_after_s=self._retry_after(came.headers))
        if status != 200:
            raise errors.still_open(str(status), shown, write=write)
        result, more = answer.get("result"), answer.get("retExtInfo")
        if not isinstance(result, dict):
            raise errors.still_open("unreadable", "the answer has no result", write=write)
        items = more.get("list") if isinstance(more, dict) else None
        return Answer(result, items if isinstance(items, list) else [])

    async def _exchange(
        self, method: str, path: str, params: dict[str, Any], *, public: bool, write: bool
    ) -> HttpAnswer:
        if not self._client.is_open:
            raise errors.still_open("closed", "the connector is not open", write=False)
        signed = self._signing.sign("v5/" + path, ["public" if public else "private"], method, params)
        headers = {name: text for name, text in (signed["headers"] or {}).items() if name != "Referer"}
        try:
            return await self._client.send(method, signed["url"], signed["body"], headers)
        except NoAnswer as none:
            raise errors.still_open(none.code, none.text, write=write) from None

    def _retry_after(self, headers: Mapping[str, str]) -> float:
        """Seconds until the window named by the headers begins anew."""
        reset = headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        if not reset.isdecimal() or len(reset) > 15:
            return errors.RETRY_S
        return min(max((int(reset) - self._now_ms()) / 1000, 0.1), 60.0)


def _code(answer: Any) -> tuple[str, str]:
    """The code and the words of an answer; some of Bybit's gateways send the code as text."""
    code = answer.get("retCode") if isinstance(answer, dict) else None
    if isinstance(code, bool) or not isinstance(code, (int, str)) or code == "":
        raise Unreadable("the answer has no code")
    return str(code), str(answer.get("retMsg") or "")
