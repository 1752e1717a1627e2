"""The WebSocket: records of a run as they come, from any position on, without a gap.

Law: `seq` is the position in the ledger.  Whoever comes back with the last one it saw gets everything after
it, read from the ledger itself; nothing is kept for anybody, so nothing can be lost or overflow.  Clients
that want the same at the same time share one reading.  A reader that does not read is let go.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from contextlib import closing
from functools import partial
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

import attrs
import msgspec
import orjson
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta

from actors.records import LedgerRow
from grinder.errors import UserError
from grinder.ledger.schema import SELECT
from grinder.log import logger
from grinder.views.store import open_views
from grinder.web.access.tokens import Refused
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Result, Route
from grinder.web.guard import check_origin
from grinder.web.handlers.queries import MOST, RunQuery
from grinder.web.problems import Problem
from grinder.web.queries import rows
from grinder.web.reading import read_body
from grinder.web.runs import ServedRun
from projections.fills import TRADES
from projections.orders import ORDERS

BATCH: Final = 500
BEAT_S: Final = 2.0
"""Longest time without a word from us; the client takes ten seconds of silence as stale."""

SEND_TIMEOUT_S: Final = 10.0
MOST_SOCKETS: Final = 64
MOST_SHARED: Final = 4
"""Parts of a ledger kept as messages for whoever asks for the same ones."""

MOST_MISTAKES: Final = 3
LARGEST_MESSAGE: Final = 4096
REFUSED: Final = 1008

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "orders": ("Order", "Cancel"),
    "trades": ("OrderFilled",),
    "grids": ("Grid", "Level", "InventoryAdopted", "ConfigChanged", "Deployment", "SpareClosed"),
    "positions": ("InventoryChanged", "HoldingCorrected", "EquityMarked"),
    "risk": ("TradingHalted", "SymbolHalted", "HaltReset", "TradingPaused", "TradingResumed", "OrderBlocked",
             "Limits"),
    "equity": ("EquityMarked", "InventoryChanged"),
    "prices": ("TickReport",),
    "commands": ("PauseTrading", "ResumeTrading", "HaltTrading", "ResetHalt", "StopGrid", "StartGrid",
                 "DeployGrid", "RebalanceGrid", "CorrectBalance", "HandOver"),
    "reconciliation": ("AccountReconciled", "DifferenceFound", "StreamReport", "OrphanCancelSubmitted"),
    "runs": ("RunReport", "FailoverReport", "HandOver"),
    "decisions": ("DecisionReport",),
    "ledger": ("",),
}  # fmt: skip
"""Topics, and the beginnings of the names of the records each one shows."""


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a client may say.

    Attributes:
        subscribe, unsubscribe: topics.
        after: the last `seq` the client saw; left out: only what comes from now on.
        token: a new access token, before the old one ends.
    """

    subscribe: Annotated[list[str], Meta(max_length=20)] = msgspec.field(default_factory=list)
    unsubscribe: Annotated[list[str], Meta(max_length=20)] = msgspec.field(default_factory=list)
    after: Annotated[int, Meta(ge=0, le=MOST)] | None = None
    token: Annotated[str, Meta(max_length=2000)] = ""


def topics_of(topic: str) -> tuple[str, ...]:
    """The topics that show a record of a kind, such as ``OrderFilled/1``."""
    return tuple(name for name, starts in TOPICS.items() if topic.startswith(starts))


@attrs.define
class Reader:
    """One open socket.

    Attributes:
        topics: what it wants; None until it has said so once.
        at: the last position it was brought to.
        jti: of the token it was opened with; empty without a login.
        asked: how often it has said what it wants; a change ends what is being sent.
    """

    call: Call
    run: ServedRun
    socket: web.WebSocketResponse
    topics: tuple[str, ...] = ()
    at: int = 0
    jti: str = ""
    mistakes: int = 0
    asked: int = 0
    wake: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def send(self, content: dict[str, Any]) -> None:
        """Send a message; a client that takes none for too long is let go."""
        await self.send_text(orjson.dumps(content).decode())

    async def send_text(self, text: str) -> None:
        """The same, of a message that is text already."""
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self.socket.send_str(text)

    # --- what the client says ------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take what the client says until it is gone."""
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                await self._take(read_body(str(message.data).encode(), Ask))
            except Problem as problem:
                self.mistakes += 1
                await self.send({"type": "error", **problem.as_dict()})
                if self.mistakes >= MOST_MISTAKES:
                    await self.socket.close(code=REFUSED, message=b"too many mistakes")
                    break

    async def _take(self, asked: Ask) -> None:
        unknown = [one for one in (*asked.subscribe, *asked.unsubscribe) if one not in TOPICS]
        if unknown:
            raise Problem(422, "stream.topic", "there is no such topic", value=unknown[0],
                          fix=f"one of {', '.join(TOPICS)}")  # fmt: skip
        if asked.token:
            self._renew(asked.token)
        self.asked += 1
        if asked.after is not None:
            if asked.after > self.run.head:
                raise Problem(409, "stream.ahead", "the ledger is not that long: it is another one",
                              value=str(asked.after), fix="read everything anew")  # fmt: skip
            self.at = asked.after
        elif asked.subscribe and not self.topics:
            self.at = self.run.head
        wanted = dict.fromkeys((*self.topics, *asked.subscribe))
        self.topics = tuple(one for one in wanted if one not in asked.unsubscribe)
        await self.send(
            {"type": "subscribed", "topics": list(self.topics), "after": self.at, "head": self.run.head}
        )
        self.wake.set()

    def _renew(self, token: str) -> None:
        try:
            found = self.call.services.tokens.check(token)
        except Refused:
            raise Problem(401, "auth.token", "the token is not valid") from None
        if found.user != self.call.principal.name:
            raise Problem(403, "auth.token", "the token belongs to somebody else")
        self.jti = found.jti

    # --- what the client is told ---------------------------------------------------------------------------

    async def serve(self) -> None:
        """Tell until there is nobody to tell, or nothing that could be told."""
        try:
            await self.tell()
        except (TimeoutError, ConnectionError):
            # It takes nothing any more, so a polite goodbye would wait as long again.
            transport = self.call.request.transport
            if transport is not None:
                transport.abort()
        except (UserError, sqlite3.Error) as error:
            logger().error("a socket is closed", run=self.run.name, fault=str(error))
            await self.socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"the run cannot be read")

    async def tell(self) -> None:
        """Tell everything that comes, until the client is gone or may not hear it any more."""
        while not self.socket.closed:
            if self.jti and not self.call.services.tokens.is_alive(self.jti):
                await self.socket.close(code=REFUSED, message=b"the session has ended")
                return
            if self.topics:
                if self.at < self.run.head:
                    await self._catch_up()
                await self._beat()
            self.wake.clear()
            await self._wait()

    async def _wait(self) -> None:
        """Until there is more, the client says something, or a beat is due."""
        changed = asyncio.ensure_future(self.run.changed(max(self.at, self.run.head), BEAT_S))
        woken = asyncio.ensure_future(self.wake.wait())
        try:
            await asyncio.wait((changed, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (changed, woken):
                one.cancel()
            await asyncio.gather(changed, woken, return_exceptions=True)

    async def _beat(self) -> None:
        """Where the client stands, and whether that is now."""
        await self.run.status()
        await self.send({"type": "at", "seq": self.at, **self.run.freshness(self.at)})

    async def _catch_up(self) -> None:
        asked, after, until, topics = self.asked, self.at, self.run.head, self.topics
        while after < until:
            found, after = await _shared(self.run, after, until, topics)
            for seq, text in found:
                if self.asked != asked:
                    return  # it goes on from `at` with what is wanted now
                self.at = seq
                await self.send_text(text)
            if self.asked != asked:
                return
            self.at = after


Events = tuple[list[tuple[int, str]], int]
"""Events as (seq, message), and the position they reach."""

_SHARED: WeakKeyDictionary[ServedRun, OrderedDict[Any, asyncio.Future[Events]]] = WeakKeyDictionary()


async def _shared(run: ServedRun, after: int, until: int, topics: tuple[str, ...]) -> Events:
    """The next events; those who ask the same at the same head share one reading."""
    kept = _SHARED.setdefault(run, OrderedDict())
    key = (after, until, topics)
    reading = kept.get(key)
    if reading is None or (reading.done() and (reading.cancelled() or reading.exception() is not None)):
        reading = kept[key] = asyncio.ensure_future(run.ledger(partial(_events, run, after, until, topics)))
        if len(kept) > MOST_SHARED:
            kept.popitem(last=False)
    # One client that goes away must not take the answer from the others.
    return await asyncio.shield(reading)


def _events(
    run: ServedRun, after: int, until: int, topics: tuple[str, ...], connection: sqlite3.Connection
) -> Events:
    """Runs in a worker: the next events, and the position they reach."""
    statement = f"{SELECT.replace('WHERE rowid > ?', 'WHERE rowid > ? AND rowid <= ?')} LIMIT ?"
    events = []
    reached = until
    found = [LedgerRow._make(one) for one in connection.execute(statement, (after, until, BATCH))]
    if len(found) == BATCH:
        reached = found[-1].position
    with closing(open_views(run.folder.path)) as views:
        for row in found:
            shown = [one for one in topics_of(row.topic) if one in topics]
            if shown:
                events.append((row.position, orjson.dumps(_event(row, shown, views.conn)).decode()))
    return events, reached


def _event(row: LedgerRow, topics: list[str], views: sqlite3.Connection) -> dict[str, Any]:
    data = orjson.loads(row.state)
    return {
        "type": "event",
        "seq": row.position,
        "topics": topics,
        "kind": row.topic,
        "stream": row.stream,
        "ts_ns": row.ts_ns,
        "cause": row.cause,
        "data": data,
        "row": _view_row(row, data, topics, views),
    }


def _view_row(
    row: LedgerRow, data: dict[str, Any], topics: list[str], views: sqlite3.Connection
) -> dict[str, Any] | None:
    """The row of the views that the record is about, as it is now: amounts in decimals."""
    if "trades" in topics:
        found = rows(views, f"SELECT * FROM {TRADES.name} WHERE exchange_trade_id = ? AND position = ?",
                     (data.get("fill_id"), row.position))  # fmt: skip
    elif "orders" in topics:
        order_id = data.get("client_order_id") or (data.get("terms") or {}).get("client_order_id")
        found = rows(views, f"SELECT * FROM {ORDERS.name} WHERE client_order_id = ?", (order_id,))
    else:
        return None
    return found[0] if found else None


async def stream(call: Call) -> Result:
    """Open a socket and serve it."""
    request, services = call.request, call.services
    check_origin(request, services)
    socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=LARGEST_MESSAGE, compress=False)
    if not socket.can_prepare(request).ok:
        raise Problem(426, "stream.upgrade", "this is a WebSocket", headers={"Upgrade": "websocket"})
    run = call.run()
    if services.metrics.open_sockets >= MOST_SOCKETS:
        raise Problem(503, "stream.full", "too many sockets are open")
    await socket.prepare(request)
    token = call.principal.token
    reader = Reader(call, run, socket, jti=token.jti if token else "", at=run.head)
    services.metrics.opened(1)
    services.sockets.add(socket)
    telling = asyncio.create_task(reader.serve())
    try:
        await reader.listen()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        services.metrics.opened(-1)
        services.sockets.discard(socket)
    return socket


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/ws",
        name="stream",
        handler=stream,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=RunQuery,
        summary="Records as they come: a WebSocket",
        success=101,
        errors=(403, 404, 426, 503),
    ),
)
