"""One request over HTTP, and whatever came back.

Law: it is sent once, to the very address that was signed, and no redirection is followed: a signature is for
nobody else.  What an answer means is for the exchange's own words; here is only whether one came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import aiohttp
import attrs
import yarl

from actors.ports import Unavailable
from grinder.connectors.converting import Unreadable

TIMEOUT_S = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class NoAnswer(Exception):
    """Nothing came back; what was asked may have been done all the same.

    Attributes:
        code: ``timeout`` or ``connection``.
        text: what is known of it.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


@attrs.frozen
class HttpAnswer:
    """Status, headers and body as they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Connections to one exchange, from `open` to `close`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._session is not None

    def open(self) -> None:
        """Become able to send; needs a running loop.  Opening twice does nothing."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))

    async def close(self) -> None:
        """Release the connections; closing twice does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a request while open.

        Args:
            url: sent character by character as it is, because the signature may be of these.

        Raises:
            NoAnswer: nothing came back.
        """
        assert self._session is not None, "not open"
        try:
            async with self._session.request(
                method,
                yarl.URL(url, encoded=True),
                data=body.encode() if body else None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                return HttpAnswer(response.status, response.headers, await response.read())
        except TimeoutError:
            raise NoAnswer("timeout", f"no answer in {TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer("connection", repr(error)) from None


def read(parse: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What the answer to a question says, by `parse`.

    Raises:
        Unavailable: nobody can read it.
    """
    try:
        return parse(*args, **named)
    except Unreadable as error:
        raise Unavailable("unreadable", str(error)) from None
