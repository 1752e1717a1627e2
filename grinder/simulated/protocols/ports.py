"""What the parts of a protocol need of the server they belong to.

Law: says what is needed and by whom, does nothing.  Every `WireServer` has what is here; a part that needs
more says so beside itself, in a protocol of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from grinder.connectors.converting import Scales
from grinder.secrets import Credentials
from grinder.simulated.server import Talk
from grinder.simulated.wire import Socket
from replay.exchange.desk import Desk


class Wording(Protocol):
    """To word what a desk says: its numbers and the exchange's time."""

    @property
    def desk(self) -> Desk:
        """What is worded."""

    @property
    def scales(self) -> Scales:
        """Text of the desk's integers and back."""

    @property
    def clock(self) -> Callable[[], int]:
        """The true time, ns."""

    def now_ns(self) -> int:
        """The time this exchange tells, ns since 1970."""

    def now_ms(self) -> int:
        """The time this exchange tells, ms since 1970."""

    def units_text(self, asset: str, units: int) -> str:
        """An amount of an asset as plain decimal text."""

    def money_text(self, symbol: str, quote_units: int) -> str:
        """An amount in a symbol's quote currency as plain decimal text."""


class Pushing(Wording, Protocol):
    """To talk with clients over sockets."""

    @property
    def credentials(self) -> Credentials:
        """What logins are to be signed with."""

    @property
    def sockets(self) -> list[Socket]:
        """Those open."""

    async def websocket(
        self,
        request: web.Request,
        talk: Talk,
        *,
        private: bool = False,
        opened: Callable[[Socket], None] | None = None,
    ) -> web.StreamResponse:
        """Keep a WebSocket until the client, or a fault, ends it."""

    def send(self, socket: Socket, payload: dict[str, Any] | list[Any] | str) -> None:
        """Queue a message, as the stream faults in force let it be sent."""

    def spoils_checksum(self) -> bool:
        """Whether the book message being made is to carry a wrong checksum (ask once a row)."""

    def tick(self) -> None:
        """Time passes for the desk."""
