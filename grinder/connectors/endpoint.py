"""Where an exchange is.

Law: an address is data handed in, so the same connector speaks to production, to a test network and to the
simulated exchange.  No connector knows an address but the constants beside it.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Endpoint:
    """The addresses of one exchange.

    Attributes:
        rest: address of the HTTP interface, without a slash at its end.
        ws: address of the public WebSocket.
        ws_private: address of the private WebSocket; empty where it is the same or is asked for by REST.
        extra: further addresses some exchanges need, by a name of the connector's.
    """

    rest: str
    ws: str
    ws_private: str = ""
    extra: dict[str, str] = attrs.field(factory=dict)
