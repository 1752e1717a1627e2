"""The simulated Bybit's WebSocket for orders: the same requests as over HTTP, answered on one connection.

Law: what an order meets here it would have met over HTTP: the same desk, codes and limits.  A fault that
takes an answer away takes it away here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from grinder.simulated.protocols.bybit_orders import Refused, Write
from grinder.simulated.protocols.ports import Pushing
from grinder.simulated.wire import Socket
from replay.faults import FaultPlan

NAMES = {
    f"order.{name}": f"order/{name}"
    for name in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
}

NEVER_DONE = frozenset({"drop_request", "late_order"})
NEVER_ANSWERED = frozenset({"drop_reply", "html_body", "truncated_body"})
REFUSED = {
    "rate_limit": (10006, "Too many visits. Exceeded the API Rate Limit."),
    "ban": (10006, "Too many visits. Exceeded the API Rate Limit."),
    "maintenance": (10016, "Service is restarting"),
    "cancel_refused": (110001, "order not exists or too late to cancel"),
}


class Server(Pushing, Protocol):
    """The server, as a socket that takes orders sees it."""

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong when."""

    @property
    def writes(self) -> Mapping[str, tuple[str, Write]]:
        """An operation of a fault plan and what is done, by the path below ``/v5/``."""

    def signed(self, text: str, signature: str) -> bool:
        """Whether a signature of a text is this account's."""

    def charge(self, path: str, body: Any) -> None:
        """Charge an endpoint's limit.

        Raises:
            Refused: it is used up.
        """

    def allowance(self, path: str) -> dict[str, str]:
        """What is left of an endpoint's limit."""


class TradeSocket:
    """``/v5/trade`` of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._number = 0

    async def open(self, request: web.Request) -> web.StreamResponse:
        """A connection."""
        return await self._server.websocket(request, self._talk, opened=self._name)

    def _name(self, socket: Socket) -> None:
        self._number += 1
        socket.memory["conn_id"] = f"trade-{self._number}"

    async def _talk(self, socket: Socket, text: str) -> None:
        said = orjson.loads(text)
        operation = str(said.get("op"))
        if operation == "ping":
            self._say(socket, said, op="pong", args=[str(self._server.now_ms())])
        elif operation == "auth":
            key, expires, signature = said["args"]
            good = key == self._server.credentials.key and int(expires) > self._server.now_ms()
            good = good and self._server.signed(f"GET/realtime{expires}", str(signature))
            socket.memory["auth"] = good
            code, words = (0, "OK") if good else (10004, "error sign!")
            self._say(socket, said, retCode=code, retMsg=words, op="auth")
        elif operation not in NAMES:
            self._say(socket, said, retCode=10404, retMsg="op not found", op=operation, data={})
        elif not socket.memory.get("auth"):
            self._say(socket, said, retCode=20001, retMsg="not authenticated", op=operation, data={})
        else:
            self._order(socket, said, operation)

    def _order(self, socket: Socket, said: dict[str, Any], operation: str) -> None:
        server, path = self._server, NAMES[operation]
        kind, write = server.writes[path]
        server.tick()
        fault = server.faults.draw(kind, server.clock())
        name = fault.kind if fault else ""
        if name in NEVER_DONE:
            return
        data: dict[str, Any] = {}
        items = None
        code, words = REFUSED.get(name, (0, "OK"))
        if not code:
            try:
                (body,) = said["args"]
                server.charge(path, body)
                data, items = write(body)
            except Refused as refused:
                code, words = refused.code, refused.text
        if name in NEVER_ANSWERED:
            return
        if name == "status_unknown":
            code, words, data, items = 10000, "Server Timeout", {}, None
        self._say(
            socket,
            said,
            retCode=code,
            retMsg=words,
            op=operation,
            data=data,
            retExtInfo={} if items is None else {"list": items},
            header=server.allowance(path) | {"Timenow": str(server.now_ms())},
        )

    def _say(self, socket: Socket, said: dict[str, Any], **answer: Any) -> None:
        named = {"reqId": said["reqId"]} if "reqId" in said else {}
        self._server.send(socket, named | answer | {"connId": socket.memory["conn_id"]})
