"""The simulated Bybit's WebSockets: logins, subscriptions, books in sequence, private pushes.

Law: a book's update ids follow each other whoever listens; a connection gets the whole book first and only
then its changes.  Private topics are told to connections that have logged in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from grinder.simulated.fundings import Funded
from grinder.simulated.protocols import bybit_words as words
from grinder.simulated.protocols.ports import Pushing
from grinder.simulated.wire import Socket
from replay.exchange.desk import DeskUpdate
from replay.exchange.rolling import MarketRow

BOOK = "orderbook"
TRADES = "publicTrade"
TICKERS = "tickers"
DEPTHS = frozenset({"1", "50", "200", "500", "1000"})
PRIVATE_TOPICS = frozenset({"order", "execution", "wallet", "position"})
DCP = {"dcp.spot": words.SPOT, "dcp.future": words.LINEAR}

FIRST_UPDATE = 1000
"""Not 1: that would mean that the service began anew."""

Levels = tuple[list[list[str]], list[list[str]]]


class Server(Pushing, Protocol):
    """The server, as its sockets see it."""

    def signed(self, text: str, signature: str) -> bool:
        """Whether a signature of a text is this account's."""

    def watched(self, category: str, connected: bool) -> None:
        """A connection that watches a category came or, the last of them, went."""


class BybitStreams:
    """The sockets' side of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._updates: dict[str, int] = {}
        self._shown: dict[str, Levels] = {}
        self._trades = 0
        self._numbers = 0

    def update(self, query: Mapping[str, str]) -> int:
        """Update id of a symbol's book."""
        return self._updates.get(query.get("symbol", ""), FIRST_UPDATE)

    async def public(self, request: web.Request) -> web.StreamResponse:
        """A connection to market data."""
        return await self._server.websocket(request, self._talk, opened=self._named)

    async def private(self, request: web.Request) -> web.StreamResponse:
        """A connection to an account; when it ends, whoever watched it is told."""
        opened: list[Socket] = []

        def name(socket: Socket) -> None:
            self._named(socket)
            opened.append(socket)

        try:
            return await self._server.websocket(request, self._talk, private=True, opened=name)
        finally:
            for socket in opened:
                self._unwatch(socket)

    def _named(self, socket: Socket) -> None:
        self._numbers += 1
        socket.memory["conn_id"] = f"simulated-{self._numbers}"

    # --- what a client says ----------------------------------------------------------------------------

    async def _talk(self, socket: Socket, text: str) -> None:
        said = orjson.loads(text)
        operation = said.get("op")
        if operation == "ping":
            self._pong(socket, said)
        elif operation == "auth":
            key, expires, signature = said["args"]
            good = key == self._server.credentials.key and int(expires) > self._server.now_ms()
            good = good and self._server.signed(f"GET/realtime{expires}", str(signature))
            socket.memory["auth"] = good
            self._answer(socket, said, good, "" if good else "error:Authentication failed")
        elif operation in ("subscribe", "unsubscribe"):
            self._subscription(socket, said)
        else:
            self._answer(socket, said, False, f"error:unknown op {operation}")

    def _pong(self, socket: Socket, said: dict[str, Any]) -> None:
        common = {"req_id": said.get("req_id", ""), "conn_id": socket.memory["conn_id"]}
        if socket.private:
            self._server.send(socket, common | {"op": "pong", "args": [str(self._server.now_ms())]})
        else:
            self._server.send(socket, common | {"success": True, "ret_msg": "pong", "op": "ping"})

    def _answer(self, socket: Socket, said: dict[str, Any], good: bool, text: str = "") -> None:
        answer = {
            "success": good,
            "ret_msg": text,
            "op": said.get("op"),
            "conn_id": socket.memory["conn_id"],
        }
        if "req_id" in said:
            answer["req_id"] = said["req_id"]
        self._server.send(socket, answer)

    def _subscription(self, socket: Socket, said: dict[str, Any]) -> None:
        topics = [str(one) for one in said["args"]]
        bad = [one for one in topics if not self._known(socket, one)]
        if bad:
            self._answer(socket, said, False, f"error:handler not found,topic:{bad[0]}")
            return
        self._answer(socket, said, True)
        for topic in topics:
            if said["op"] == "unsubscribe":
                socket.topics.discard(topic)
                continue
            socket.topics.add(topic)
            if topic in DCP:
                self._server.watched(DCP[topic], connected=True)
            elif not socket.private:
                self._begin(socket, topic)

    def _known(self, socket: Socket, topic: str) -> bool:
        if socket.private:
            name, _, category = topic.partition(".")
            kinds = category in ("", words.SPOT, words.LINEAR)
            return bool(socket.memory.get("auth")) and (topic in DCP or (name in PRIVATE_TOPICS and kinds))
        kind, *rest = topic.split(".")
        instrument = self._server.desk.instruments.get(rest[-1]) if rest else None
        if instrument is None or not socket.path.endswith(words.category_of(instrument)):
            return False
        if kind == BOOK:
            return len(rest) == 2 and rest[0] in DEPTHS
        return kind in (TRADES, TICKERS) and len(rest) == 1

    def _unwatch(self, socket: Socket) -> None:
        """The connection is gone: the last one that watched a category starts its clock."""
        for topic, category in DCP.items():
            if topic in socket.topics and not any(topic in one.topics for one in self._server.sockets):
                self._server.watched(category, connected=False)

    # --- market ----------------------------------------------------------------------------------------

    def _begin(self, socket: Socket, topic: str) -> None:
        """The whole book (or the ticker) to one who just subscribed."""
        symbol = topic.rpartition(".")[2]
        row = self._server.desk.quote(symbol)
        if row is None:
            return
        if topic.startswith(BOOK):
            levels = self._shown.setdefault(symbol, words.levels(symbol, row, self._server.scales))
            self._send_book(socket, topic, "snapshot", symbol, levels, row)
        elif topic.startswith(TICKERS):
            self._send_ticker(socket, topic, symbol, row)

    def push_row(self, symbol: str, row: MarketRow) -> None:
        """A row of the market, to those subscribed."""
        before = self._shown.get(symbol)
        now = words.levels(symbol, row, self._server.scales)
        changed = now != before
        if changed:
            self._shown[symbol] = now
            skipped = 1 if self._server.spoils_checksum() else 0
            self._updates[symbol] = self._updates.get(symbol, FIRST_UPDATE) + 1 + skipped
        trade = None
        if row.is_trade:
            self._trades += 1
            trade = words.trade_row(symbol, row, self._trades, self._server.scales)
        for socket in list(self._server.sockets):
            if not socket.private and socket.topics:
                self._push_to(socket, symbol, row, before, changed, trade)

    def _push_to(
        self,
        socket: Socket,
        symbol: str,
        row: MarketRow,
        before: Levels | None,
        changed: bool,
        trade: dict[str, Any] | None,
    ) -> None:
        for topic in sorted(socket.topics):
            if topic.rpartition(".")[2] != symbol:
                continue
            if topic.startswith(BOOK) and changed:
                now = self._shown[symbol]
                if topic.startswith(f"{BOOK}.1.") or topic not in socket.memory or before is None:
                    self._send_book(socket, topic, "snapshot", symbol, now, row)
                else:
                    self._send_book(socket, topic, "delta", symbol, _changes(before, now), row)
            elif topic.startswith(TRADES) and trade is not None:
                self._server.send(socket, self._message(topic, "snapshot", [trade]))
            elif topic.startswith(TICKERS):
                self._send_ticker(socket, topic, symbol, row)

    def _send_book(
        self, socket: Socket, topic: str, kind: str, symbol: str, levels: Levels, row: MarketRow
    ) -> None:
        update = self._updates.setdefault(symbol, FIRST_UPDATE)
        socket.memory[topic] = update
        data = {"s": symbol, "b": levels[0], "a": levels[1], "u": update, "seq": update}
        self._server.send(socket, self._message(topic, kind, data) | {"cts": row.ts_ns // 1_000_000})

    def _send_ticker(self, socket: Socket, topic: str, symbol: str, row: MarketRow) -> None:
        data = words.ticker(symbol, row, self._server.scales)
        self._server.send(socket, self._message(topic, "snapshot", data) | {"cs": self._trades})

    def _message(self, topic: str, kind: str, data: Any) -> dict[str, Any]:
        return {"topic": topic, "type": kind, "ts": self._server.now_ms(), "data": data}

    # --- account ---------------------------------------------------------------------------------------

    def push_update(self, update: DeskUpdate) -> None:
        """What became of an order: the execution, the order, the wallet."""
        server = self._server
        order = words.order_row(
            update.order,
            server.scales,
            status=update.status,
            filled_lots=update.filled_lots,
            filled_value=update.filled_value,
        )
        category = str(order["category"])
        if update.execution is not None:
            self._push(
                "execution", category, [words.execution_row(update.execution, server.desk, server.scales)]
            )
        self._push("order", category, [order])
        self._push("wallet", "", [words.account(server.desk, frozenset())])

    def push_funding(self, one: Funded) -> None:
        """Funding was exchanged: an execution of its own kind, and the wallet."""
        row = words.funding_row(one, self._server.scales)
        self._push("execution", str(row["category"]), [row])
        self._push("wallet", "", [words.account(self._server.desk, frozenset())])

    def _push(self, topic: str, category: str, rows: list[dict[str, Any]]) -> None:
        self._numbers += 1
        for socket in list(self._server.sockets):
            if not socket.private:
                continue
            for name in (topic, f"{topic}.{category}"):
                if name in socket.topics:
                    message = {
                        "id": f"simulated-{self._numbers}",
                        "topic": name,
                        "creationTime": self._server.now_ms(),
                        "data": rows,
                    }
                    self._server.send(socket, message)


def _changes(before: Levels, now: Levels) -> Levels:
    """What has to be told of a book that was `before` and is `now`: levels gone have the quantity 0."""
    sides: list[list[list[str]]] = []
    for old, new in zip(before, now, strict=True):
        prices = {price for price, _ in new}
        gone = [[price, "0"] for price, _ in old if price not in prices]
        sides.append(gone + [level for level in new if level not in old])
    return sides[0], sides[1]
