"""What all protocol servers share: sockets, faults, limits, time.

Law: the desk decides what happens, the protocol words it, and here, at the boundary between them and the
client, the fault plan is applied: a request that is dropped never reaches the desk, an answer that is dropped
was carried out.  No request, however malformed, ends the server.

A protocol subclasses `WireServer` and provides `routes`, `addresses`, `on_update`, `on_row` and `failure`.
REST handlers go through `guarded` (or `rest`) and read through ``request[VIEW]`` (a `DeskView`), so that lag,
omissions and repeated executions happen without the protocol's doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from math import ceil
from typing import Any, ClassVar

import attrs
import orjson
from aiohttp import WSMsgType, web

from domain.units import units_text
from grinder.connectors.converting import Scales
from grinder.secrets import Credentials
from grinder.simulated.corrupting import corrupted
from grinder.simulated.limiter import RequestLimiter
from grinder.simulated.misreporting import HELD_S, UPDATE_FAULTS, misreported
from grinder.simulated.wire import Socket, hang_up, page_of_html
from replay.exchange.desk import Desk, DeskUpdate
from replay.exchange.desk_faults import befall
from replay.exchange.desk_view import DeskView
from replay.exchange.rolling import MarketRow
from replay.faults import Fault, FaultPlan

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[Socket, str], Awaitable[None]]

MALFORMED = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
)
"""What a handler trips over when a request is not what its documents say."""

VIEW = web.RequestKey("view", DeskView)
"""Where a guarded request keeps what it may see of the desk: read orders and executions through it."""

_ARRIVED_MS: ContextVar[int] = ContextVar("arrived_ms", default=0)

LARGEST_BODY = 1 << 20

REFUSED = frozenset({"rate_limit", "ban", "maintenance", "cancel_refused"})
CORRUPTING = frozenset({"null_price", "negative_fill", "unknown_status", "short_batch"})
LOST = frozenset({"cut_stream", "mute_stream", "maintenance", "sequence_gap"})


class WireServer:
    """One protocol in front of one desk.

    Attributes:
        desk, credentials, faults: as given; requests are to be signed with the credentials.
        clock: the true time, ns; `now_ns` is what the server tells, drift included.
        scales: text <-> integers of the desk's instruments.
        limiter: for the protocol to charge (`take`); no limit unless the protocol sets another.
        sockets: open WebSockets.
    """

    protocol: ClassVar[str] = ""

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        self.desk = desk
        self.credentials = credentials
        self.faults = faults
        self.clock = clock
        self.scales = Scales(desk.instruments, {})
        self.limiter = RequestLimiter(0, 60.0)
        self.sockets: list[Socket] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: dict[str, DeskUpdate] = {}
        self._lost = False
        self._spoiling = ""
        self._spoilt = False
        desk.listeners.append(self._updated)

    # --- for the protocol to provide -------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """REST and WebSocket routes."""
        raise NotImplementedError

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """What the ready line says besides protocol, key and port: at least ``rest`` and ``ws``."""
        return {"rest": f"http://{host}:{port}", "ws": f"ws://{host}:{port}"}

    def on_update(self, update: DeskUpdate) -> None:
        """Push a private event to the sockets that subscribed; word `update.status`, not the order's."""

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """Push market events to the sockets that subscribed."""

    def failure(self, kind: str, fault: Fault) -> web.Response:
        """This protocol's wording of a failure: ``status_unknown``, ``rate_limit``, ``ban``,
        ``maintenance``, ``cancel_refused``, ``html_body``, ``bad_request``."""
        if kind == "html_body":
            return web.Response(text=page_of_html("502 Bad Gateway"), content_type="text/html", status=502)
        status = {"rate_limit": 429, "ban": 418, "maintenance": 503, "status_unknown": 504}.get(kind, 400)
        headers = {"Retry-After": str(ceil(fault.retry_after))} if kind in ("rate_limit", "ban") else {}
        return web.json_response({"error": kind}, status=status, headers=headers)

    # --- time and numbers ------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The time this exchange tells, ns since 1970."""
        true_ns = self.clock()
        return true_ns + self.faults.drift_ns(true_ns)

    def now_ms(self) -> int:
        """The time this exchange tells, ms since 1970."""
        return self.now_ns() // 1_000_000

    def arrived_ms(self) -> int:
        """The time it told when the request being handled arrived: what the request's own time is judged by.

        An order that is carried out late was signed, and let in, long before.
        """
        return _ARRIVED_MS.get() or self.now_ms()

    def units_text(self, asset: str, units: int) -> str:
        """An amount of an asset as plain decimal text."""
        return units_text(units, self.desk.decimals(asset))

    def money_text(self, symbol: str, quote_units: int) -> str:
        """An amount in a symbol's quote currency as plain decimal text."""
        return units_text(quote_units, self.desk.instruments[symbol].quote_decimals)

    # --- REST ------------------------------------------------------------------------------------------

    async def guarded(self, operation: str, request: web.Request, handle: Handle) -> web.StreamResponse:
        """Answer a request as the fault plan lets it be answered.

        Args:
            operation: one of `replay.faults.REQUESTS`.
            handle: the protocol's handler; what it stumbles over is answered as ``bad_request``.
        """
        arrived = _ARRIVED_MS.set(self.now_ms())
        try:
            return await self._guarded(operation, request, handle)
        finally:
            _ARRIVED_MS.reset(arrived)

    async def _guarded(self, operation: str, request: web.Request, handle: Handle) -> web.StreamResponse:
        await request.read()  # kept by the request: a late handler reads it again
        self.tick()
        fault = self.faults.draw(operation, self.clock())
        view = DeskView.under(self.desk, self.faults, fault, self.clock())
        request[VIEW] = view
        if fault is None:
            return await self._answer(request, handle)
        kind = fault.kind
        if kind == "drop_request":
            return await hang_up(request, fault.seconds)
        if kind == "late_order":
            self._spawn(self._later(request, handle, fault.seconds))
            return await hang_up(request, 0.0)
        if kind in REFUSED:
            return self.failure(kind, fault)
        if kind == "status_unknown":
            if fault.chance % 2:
                await self._answer(request, handle)
            return self.failure(kind, fault)
        response = await self._answer(request, handle)
        if kind == "drop_reply":
            return await hang_up(request, fault.seconds)
        if kind == "delay_reply":
            await asyncio.sleep(fault.seconds)
        if kind == "html_body":
            return self.failure(kind, fault)
        if view.missed(kind):
            self.faults.had_no_effect(fault)
        return self._spoil(response, fault) if isinstance(response, web.Response) else response

    def rest(self, operation: str, handle: Handle) -> Handle:
        """A handler for a route: `handle` behind `guarded`."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            return await self.guarded(operation, request, handle)

        return guarded

    async def _answer(self, request: web.Request, handle: Handle) -> web.StreamResponse:
        try:
            return await handle(request)
        except MALFORMED as error:
            return self.failure("bad_request", Fault(kind="bad_request", operation="", reason=repr(error)))

    async def _later(self, request: web.Request, handle: Handle, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._answer(request, handle)

    def _spoil(self, response: web.Response, fault: Fault) -> web.Response:
        """A JSON answer with the fault in its body; as it was where the fault finds no place."""
        body = response.body
        if not isinstance(body, bytes) or fault.kind not in CORRUPTING | {"truncated_body"}:
            return response
        if fault.kind == "truncated_body":
            spoilt, done = body[: len(body) // 2], len(body) > 1
        else:
            try:
                payload, done = corrupted(orjson.loads(body), fault.kind)
            except orjson.JSONDecodeError:
                payload, done = None, False
            spoilt = orjson.dumps(payload) if done else body
        if not done:
            self.faults.had_no_effect(fault)
            return response
        return web.Response(body=spoilt, status=response.status, content_type=response.content_type)

    # --- WebSockets ------------------------------------------------------------------------------------

    async def websocket(
        self,
        request: web.Request,
        talk: Talk,
        *,
        private: bool = False,
        opened: Callable[[Socket], None] | None = None,
    ) -> web.StreamResponse:
        """Keep a WebSocket until the client, or a fault, ends it.

        Args:
            talk: called with every text frame.
            private: whether it carries private events (a protocol may set `Socket.private` later).
            opened: called once it is up, before the first frame is read.
        """
        which = "private" if private else "market"
        now_ns = self.clock()
        for kind in ("maintenance", f"cut_stream/{which}"):
            if self.faults.lasting(kind, now_ns) is not None:
                return web.Response(status=503)
        ws = web.WebSocketResponse(heartbeat=None, max_msg_size=LARGEST_BODY)
        await ws.prepare(request)
        self.faults.end(f"mute_stream/{which}")
        socket = Socket(ws, request, private=private)
        self.sockets.append(socket)
        writer = self._spawn(socket.write())
        try:
            if opened is not None:
                opened(socket)
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    continue
                try:
                    await talk(socket, message.data)
                except MALFORMED as error:
                    self.send(socket, {"error": "bad_request", "text": repr(error)[:200]})
        finally:
            if socket in self.sockets:
                self.sockets.remove(socket)
            writer.cancel()
        return ws

    def send(self, socket: Socket, payload: dict[str, Any] | list[Any] | str) -> None:
        """Queue a message; the stream faults in force are applied to what `on_update` and `on_row` send."""
        if self._lost:
            return
        if self._spoiling and not isinstance(payload, str):
            payload, done = corrupted(payload, self._spoiling)
            self._spoilt = self._spoilt or done
        socket.put(payload if isinstance(payload, str) else orjson.dumps(payload).decode())

    def hang_up(self, *, private: bool | None = None) -> None:
        """Cut open sockets: the private ones, the others, or (None) all."""
        for socket in [one for one in self.sockets if private is None or one.private is private]:
            self.sockets.remove(socket)
            socket.cut()

    def spoils_checksum(self) -> bool:
        """Whether the book message being made is to carry a wrong checksum (ask once a row)."""
        if self._spoiling != "bad_checksum":
            return False
        self._spoilt = True
        return True

    # --- what happens ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Time passes for the desk: dead-man's switches, funding."""
        self.desk.tick(self.clock())

    def market(self, symbol: str, row: MarketRow) -> None:
        """A row of the market: to the desk, then to the sockets, with the market's faults."""
        self.desk.on_row(symbol, row)
        fault = self.faults.draw("market", self.clock(), symbol)
        if fault is not None and befall(self.desk, fault, self.clock()) is False:
            self.faults.had_no_effect(fault)
        self._stream(fault, "market", lambda: self.on_row(symbol, row))

    def _updated(self, update: DeskUpdate) -> None:
        """An update of the desk, told with the private stream's faults."""
        overtaken = self._held.pop(update.order.exchange_id, None)
        fault = self.faults.draw("private", self.clock(), update.order.symbol)
        kind = fault.kind if fault else ""
        told = [update]
        if fault is not None and kind in UPDATE_FAULTS:
            if kind == "fill_before_ack" and update.kind == "new" and overtaken is None:
                self._hold(update)
                return
            told = misreported(update, kind)
            if len(told) == 1 and told[0] is update:
                self.faults.had_no_effect(fault)
        for one in told:
            self._stream(fault, "private", lambda one=one: self.on_update(one))  # type: ignore[misc]
        if overtaken is not None:
            self._stream(None, "private", lambda: self.on_update(overtaken))

    def _stream(self, fault: Fault | None, which: str, tell: Callable[[], None]) -> None:
        """Let the protocol tell its sockets something, as the fault lets it be told."""
        kind = fault.kind if fault else ""
        if fault is not None and fault.began and kind in ("cut_stream", "maintenance"):
            self.hang_up(private=None if kind == "maintenance" else which == "private")
        self._lost = kind in LOST
        self._spoiling = kind if kind in CORRUPTING or kind == "bad_checksum" else ""
        self._spoilt = False
        try:
            tell()
        finally:
            if fault is not None and self._spoiling and not self._spoilt:
                self.faults.had_no_effect(fault)
            self._lost, self._spoiling = False, ""

    def _hold(self, update: DeskUpdate) -> None:
        """Hold a message back until the next of its order has gone out, or a while has passed."""
        key = update.order.exchange_id
        self._held[key] = update

        def release() -> None:
            held = self._held.pop(key, None)
            if held is not None:
                self._stream(None, "private", lambda: self.on_update(held))

        asyncio.get_running_loop().call_later(HELD_S, release)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End every socket and everything under way."""
        self.hang_up()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@attrs.define(kw_only=True)
class Running:
    """A server that listens."""

    server: WireServer
    host: str
    port: int
    runner: web.AppRunner

    @property
    def line(self) -> dict[str, Any]:
        """What a client needs to connect: the one line that is printed when ready."""
        return {
            "protocol": self.server.protocol,
            **self.server.addresses(self.host, self.port),
            "key": self.server.credentials.key,
            "port": self.port,
        }

    async def close(self) -> None:
        """Stop listening and end every connection."""
        await self.server.close()
        await self.runner.cleanup()


async def start(server: WireServer, host: str = "127.0.0.1", port: int = 0) -> Running:
    """Listen; port 0 takes any free one.

    Raises:
        OSError: the address is in use or not ours.
    """
    app = web.Application(client_max_size=LARGEST_BODY)
    app.add_routes(server.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = int(runner.addresses[0][1])
    except BaseException:
        await runner.cleanup()
        raise
    return Running(server=server, host=host, port=bound, runner=runner)
