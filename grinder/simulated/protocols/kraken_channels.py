"""The WebSocket v2 of the simulated Kraken.

Law: a channel tells from its snapshot on, and each socket's executions are numbered without a gap.  What is
sent goes through `WireServer.send`, so stream faults befall it; heartbeats do not, as a stream may be silent
and alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import orjson

from grinder.connectors.kraken.naming import stream_pair
from grinder.simulated.protocols import kraken_wording as wording
from grinder.simulated.protocols.kraken_book import ShownBook
from grinder.simulated.protocols.kraken_messages import Messages, add_answer, as_rest
from grinder.simulated.protocols.kraken_trading import Refusal, Trading
from grinder.simulated.protocols.ports import Pushing
from grinder.simulated.wire import Socket
from replay.exchange.desk import DeskUpdate
from replay.exchange.rolling import MarketRow

HEARTBEAT_S = 1.0
DEPTHS = (10, 25, 100, 500, 1000)
SNAPSHOT_TRADES = 50
MARKET_CHANNELS = ("book", "trade", "ticker", "instrument")


class Server(Pushing, Protocol):
    """The server, as its channels see it."""

    @property
    def trading(self) -> Trading:
        """Its orders."""

    def token_is_good(self, token: object) -> bool:
        """Whether a token was given out and has not run out."""

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on until it, or the server, ends."""


class Channels:
    """Who listens to what, and what they are told."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._books: dict[str, ShownBook] = {}
        listed = server.desk.instruments.items()
        self._pairs = {stream_pair(one.base, one.quote): symbol for symbol, one in listed}
        self._names = {symbol: pair for pair, symbol in self._pairs.items()}
        self._messages = Messages(server, self._names)
        self._trades = 0

    # --- requests ----------------------------------------------------------------------------------------

    def opened(self, socket: Socket) -> None:
        """Greets a socket with the state of the system, and keeps it alive."""
        status = {"api_version": "v2", "connection_id": id(socket), "system": "online", "version": "2.0.10"}
        self._put(socket, {"channel": "status", "type": "update", "data": [status]})
        self._server.run(self._beat(socket))

    async def _beat(self, socket: Socket) -> None:
        while socket in self._server.sockets:
            if socket.topics:
                self._put(socket, {"channel": "heartbeat"})
            await asyncio.sleep(HEARTBEAT_S)

    async def talk(self, socket: Socket, text: str) -> None:
        """A frame of a client's."""
        message = orjson.loads(text)
        method, params = str(message.get("method")), message.get("params") or {}
        if method == "ping":
            self._answer(socket, message, {}, method="pong")
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(socket, message, params)
        elif method in self._requests:
            self._request(socket, message, params)
        else:
            self._refuse(socket, message, "EGeneral:Unknown method")

    @property
    def _requests(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        trading = self._server.trading
        return {
            "add_order": lambda params: add_answer(trading.add(as_rest(params)), params),
            "amend_order": trading.amend,
            "cancel_order": self._cancel,
            "batch_cancel": trading.cancel_batch,
            "cancel_all": lambda params: trading.cancel_all(),
            "cancel_all_orders_after": trading.dead_man,
        }

    def _request(self, socket: Socket, message: dict[str, Any], params: dict[str, Any]) -> None:
        if not self._server.token_is_good(params.get("token")):
            self._refuse(socket, message, "ESession:Invalid session")
            return
        try:
            self._answer(socket, message, {"result": self._requests[message["method"]](params)})
        except Refusal as refusal:
            self._refuse(socket, message, str(refusal))

    def _cancel(self, params: dict[str, Any]) -> dict[str, Any]:
        ours, theirs = params.get("cl_ord_id") or [], params.get("order_id") or []
        for one in ours:
            self._server.trading.cancel({"cl_ord_id": one})
        for one in theirs:
            self._server.trading.cancel({"txid": one})
        return {"order_id": theirs[0]} if theirs else {"cl_ord_id": ours[0] if ours else ""}

    def _subscription(self, socket: Socket, message: dict[str, Any], params: dict[str, Any]) -> None:
        channel = params.get("channel")
        if channel == "executions":
            self._executions_wanted(socket, message, params)
            return
        if channel not in MARKET_CHANNELS:
            self._refuse(socket, message, "Subscription channel not supported")
            return
        if channel == "book" and params.get("depth", 10) not in DEPTHS:
            self._refuse(socket, message, "Subscription depth not supported")
            return
        pairs = params.get("symbol") or (["*"] if channel == "instrument" else [])
        for name in pairs:
            if name != "*" and name not in self._pairs:
                error = f"Currency pair not supported {name}"
                self._refuse(socket, message, error, symbol=name)
                continue
            self._switch(socket, message, params, str(channel), name)

    def _switch(
        self, socket: Socket, message: dict[str, Any], params: dict[str, Any], channel: str, name: str
    ) -> None:
        """Begin or end telling a socket of one pair on one channel."""
        topic = f"{channel}:{name}"
        result: dict[str, Any] = {"channel": channel, "snapshot": params.get("snapshot", True)}
        if name != "*":
            result["symbol"] = name
        if channel == "book":
            result["depth"] = params.get("depth", 10)
        self._answer(socket, message, {"result": result})
        if message["method"] == "unsubscribe":
            socket.topics.discard(topic)
            return
        socket.topics.add(topic)
        if result["snapshot"]:
            self._snapshot(socket, channel, name)

    def _snapshot(self, socket: Socket, channel: str, name: str) -> None:
        if channel == "instrument":
            self._send(socket, {"channel": channel, "type": "snapshot", "data": self._messages.instruments()})
            return
        symbol = self._pairs[name]
        row = self._server.desk.quote(symbol)
        if channel == "book":
            book = self._book(symbol, row)
            bids, asks = book.snapshot()
            self._send(socket, self._messages.book_message("snapshot", name, book.checksum(), bids, asks))
        elif channel == "ticker" and row is not None:
            self._send(socket, self._messages.ticker("snapshot", symbol, row))
        elif channel == "trade":
            self._send(socket, {"channel": "trade", "type": "snapshot", "data": []})

    def _executions_wanted(self, socket: Socket, message: dict[str, Any], params: dict[str, Any]) -> None:
        if not socket.private:
            self._refuse(socket, message, "Private data is only on the authenticated address")
            return
        if not self._server.token_is_good(params.get("token")):
            self._refuse(socket, message, "ESession:Invalid session")
            return
        result = {"channel": "executions", "maxratecount": 180, "snapshot": True}
        self._answer(socket, message, {"result": result})
        if message["method"] == "unsubscribe":
            socket.topics.discard("executions")
            return
        socket.topics.add("executions")
        socket.memory["sequence"] = 0
        desk, scales, now_ns = self._server.desk, self._server.scales, self._server.now_ns()
        if params.get("snap_orders", True):
            orders = [
                wording.execution_order(scales, one, now_ns)
                | {"exec_type": "new", "order_status": "partially_filled" if one.filled_lots else "new"}
                for one in desk.open_orders()
            ]
            self._told(socket, "snapshot", orders)
        if params.get("snap_trades", False):
            recent = desk.executions[-SNAPSHOT_TRADES:]
            self._told(socket, "snapshot", [self._messages.trade(one, None) for one in recent])

    # --- events ------------------------------------------------------------------------------------------

    def market(self, symbol: str, row: MarketRow) -> None:
        """A row of the market, to those who listen."""
        name = self._names[symbol]
        listening = [one for one in self._server.sockets if one.topics]
        told = {one for one in listening if f"book:{name}" in one.topics}
        if told or symbol in self._books:
            first = symbol not in self._books
            book = self._book(symbol, row)
            bids, asks = book.snapshot() if first else book.move(row)
            checksum = book.checksum()
            if (bids or asks) and told:
                if self._server.spoils_checksum():
                    checksum ^= 1
                message = self._messages.book_message("update", name, checksum, bids, asks)
                for socket in told:
                    self._send(socket, message)
        if row.is_trade:
            self._trades += 1
            for socket in listening:
                if f"trade:{name}" in socket.topics:
                    self._send(socket, self._messages.public_trade(symbol, row, self._trades))
        for socket in listening:
            if f"ticker:{name}" in socket.topics:
                self._send(socket, self._messages.ticker("update", symbol, row))

    def update(self, update: DeskUpdate) -> None:
        """An update of an order, to the private sockets."""
        told = self._messages.worded(update)
        for socket in [one for one in self._server.sockets if "executions" in one.topics]:
            for one in told:
                self._told(socket, "update", [one])

    # --- messages ----------------------------------------------------------------------------------------

    def _book(self, symbol: str, row: MarketRow | None) -> ShownBook:
        book = self._books.get(symbol)
        if book is None:
            book = ShownBook(self._server.scales, symbol)
            if row is not None:
                self._books[symbol] = book
                book.move(row)
        return book

    def _told(self, socket: Socket, kind: str, data: list[dict[str, Any]]) -> None:
        socket.memory["sequence"] += 1
        number = socket.memory["sequence"]
        self._send(socket, {"channel": "executions", "type": kind, "data": data, "sequence": number})

    def _send(self, socket: Socket, payload: dict[str, Any]) -> None:
        self._server.send(socket, payload)

    def _put(self, socket: Socket, payload: dict[str, Any]) -> None:
        socket.put(wording.json_text(payload))

    def _answer(
        self, socket: Socket, asked: dict[str, Any], rest: dict[str, Any], *, method: str = ""
    ) -> None:
        at = wording.rfc3339(self._server.now_ns())
        said: dict[str, Any] = {"method": method or asked["method"], "time_in": at, "time_out": at}
        if method != "pong":
            said["success"] = True
        if "req_id" in asked:
            said["req_id"] = asked["req_id"]
        self._put(socket, said | rest)

    def _refuse(self, socket: Socket, asked: dict[str, Any], error: str, **more: Any) -> None:
        self._answer(socket, asked, {"error": error, "success": False, **more})
