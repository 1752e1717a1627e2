"""OKX's WebSockets: logging in, subscribing, what is pushed.

Law: a socket hears of a channel only after it subscribed to it, and of orders only after it logged in.  The
numbers that chain a book's messages belong to the instrument, so a message that is lost on the way leaves a
hole a client can see.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from typing import Any, Protocol

from aiohttp import web

from grinder.simulated.fundings import Funded
from grinder.simulated.protocols import okx_words as words
from grinder.simulated.protocols.okx_signing import refuse_login
from grinder.simulated.protocols.okx_trading import OkxTrading
from grinder.simulated.protocols.ports import Pushing
from grinder.simulated.wire import Socket
from replay.exchange.desk import DeskExecution, DeskOrder, DeskUpdate
from replay.exchange.rolling import MarketRow

NS = 1_000_000_000

CONNECTIONS_PER_S = 3
OPERATIONS_PER_H = 480
"""Logins, subscriptions and their ends on one connection."""

MARKET_CHANNELS = frozenset({"bbo-tbt", "books", "books5", "tickers", "trades"})
BALANCES = "balance_and_position"
PRIVATE_CHANNELS = frozenset({"orders", BALANCES})

Words = dict[str, Any]


class Server(Pushing, Protocol):
    """The server, as its sockets see it."""

    @property
    def trading(self) -> OkxTrading:
        """Its orders."""

    def word(self, order: DeskOrder) -> Words:
        """An order as REST and the stream show it."""

    def fee(self, one: DeskExecution) -> str:
        """A fee as OKX writes it."""


class OkxStreams:
    """The sockets of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connected: deque[int] = deque()
        self._numbers: dict[str, int] = {}
        self._trade_number = 0

    async def connected(self, request: web.Request) -> web.StreamResponse:
        """A client connects; at most three a second may."""
        now_ns = self._server.clock()
        while self._connected and self._connected[0] <= now_ns - NS:
            self._connected.popleft()
        if len(self._connected) >= CONNECTIONS_PER_S:
            return web.Response(status=429)
        self._connected.append(now_ns)
        private = request.path.endswith("/private")
        return await self._server.websocket(request, self._talk, private=private)

    # --- what a client says ----------------------------------------------------------------------------

    async def _talk(self, socket: Socket, text: str) -> None:
        if text == "ping":
            socket.put("pong")
            return
        message = json.loads(text)
        operation, arguments = message.get("op"), message.get("args")
        if not isinstance(arguments, list) or not all(isinstance(one, dict) for one in arguments):
            self._error(socket, "60012", f"Illegal request: {text[:200]}")
            return
        if operation in ("login", "subscribe", "unsubscribe"):
            socket.memory["asked"] = asked = socket.memory.get("asked", 0) + 1
            if asked > OPERATIONS_PER_H:
                self._error(socket, "60014", "Requests too frequent")
                socket.close()
                return
        if operation == "login":
            self._login(socket, arguments)
        elif operation == "subscribe":
            for argument in arguments:
                self._subscribe(socket, argument)
        elif operation == "unsubscribe":
            for argument in arguments:
                socket.topics.discard(_topic(argument))
                self._say(socket, {"event": "unsubscribe", "arg": argument, "connId": "1"})
        else:
            self._trade(socket, str(operation), message, arguments)

    def _login(self, socket: Socket, arguments: list[Words]) -> None:
        server = self._server
        refusal = refuse_login(arguments[0], server.credentials, server.now_ms())
        if refusal is not None:
            self._error(socket, *refusal)
            socket.close()
            return
        socket.memory["account"] = True
        self._say(socket, {"event": "login", "code": "0", "msg": "", "connId": "1"})

    def _subscribe(self, socket: Socket, argument: Words) -> None:
        channel = argument.get("channel")
        if channel in PRIVATE_CHANNELS and not socket.memory.get("account"):
            self._error(socket, "60011", "Please log in")
            return
        native = argument.get("instId")
        symbol = self._symbols().get(str(native), "")
        known = channel in PRIVATE_CHANNELS or (channel in MARKET_CHANNELS and symbol)
        if not known or socket.private is not (channel in PRIVATE_CHANNELS):
            text = f"Wrong URL or channel:{channel},instId:{native} doesn't exist."
            self._error(socket, "60018", text)
            return
        socket.topics.add(_topic(argument))
        self._say(socket, {"event": "subscribe", "arg": argument, "connId": "1"})
        row = self._server.desk.quote(symbol) if symbol else None
        if row is not None and channel in MARKET_CHANNELS and channel != "trades":
            self._push_market(socket, str(channel), symbol, row, first=True)

    def _trade(self, socket: Socket, operation: str, message: Words, arguments: list[Words]) -> None:
        """Orders by WebSocket."""
        server = self._server
        kind = operation.removeprefix("batch-").removesuffix("s").removesuffix("-order")
        act = {
            "order": server.trading.place,
            "cancel": server.trading.cancel,
            "amend": server.trading.amend,
        }.get(kind)
        if act is None or not socket.memory.get("account"):
            self._error(socket, "60012" if act is None else "60011", f"Illegal request: {operation}")
            return
        data = act(arguments)
        failed = sum(row["sCode"] != "0" for row in data)
        code = "0" if not failed else "1" if failed == len(data) else "2"
        answer = {"id": message.get("id"), "op": operation, "code": code, "msg": "", "data": data}
        self._say(socket, answer)

    def _say(self, socket: Socket, payload: Words) -> None:
        """An answer to what a client said: no fault of a stream befalls it."""
        socket.put(json.dumps(payload))

    def _error(self, socket: Socket, code: str, text: str) -> None:
        self._say(socket, {"event": "error", "code": code, "msg": text, "connId": "1"})

    def _symbols(self) -> dict[str, str]:
        return {words.native(one): symbol for symbol, one in self._server.desk.instruments.items()}

    # --- the market ------------------------------------------------------------------------------------

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """A row of the market, to whoever subscribed."""
        server = self._server
        native = words.native(server.desk.instruments[symbol])
        self._numbers[symbol] = self._numbers.get(symbol, 0) + 1
        self._trade_number += row.is_trade
        for socket in list(server.sockets):
            for channel in sorted(MARKET_CHANNELS):
                if f"{channel}:{native}" in socket.topics:
                    self._push_market(socket, channel, symbol, row)

    def _push_market(
        self, socket: Socket, channel: str, symbol: str, row: MarketRow, first: bool = False
    ) -> None:
        server = self._server
        quote = server.desk.instruments[symbol]
        argument = {"channel": channel, "instId": words.native(quote)}
        message: Words = {"arg": argument}
        if channel == "trades":
            if not row.is_trade:
                return
            data = self._traded(symbol, row)
        elif channel == "tickers":
            data = words.ticker(server.scales, quote, row)
        elif not row.bid or not row.ask:
            return
        elif channel == "books":
            data, message["action"] = self._book(socket, symbol, row, first)
        else:
            bid, ask = words.sides(server.scales, symbol, row)
            number = self._numbers.setdefault(symbol, 1)
            data = {"bids": [bid], "asks": [ask], "ts": words.ms(row.ts_ns), "seqId": number}
        message["data"] = [data]
        server.send(socket, message)

    def _traded(self, symbol: str, row: MarketRow) -> Words:
        scales = self._server.scales
        return {
            "instId": words.native(self._server.desk.instruments[symbol]),
            "tradeId": str(self._trade_number),
            "px": scales.price_text(symbol, row.price),
            "sz": scales.quantity_text(symbol, row.qty),
            "side": "sell" if row.side < 0 else "buy",
            "ts": words.ms(row.ts_ns),
            "count": "1",
        }

    def _book(self, socket: Socket, symbol: str, row: MarketRow, first: bool) -> tuple[Words, str]:
        """A snapshot, or what changed since this socket's last message; and which of them it is."""
        bid, ask = words.sides(self._server.scales, symbol, row)
        number = self._numbers.setdefault(symbol, 1)
        key = f"book:{symbol}"
        before = None if first else socket.memory.get(key)
        socket.memory[key] = (number, bid, ask)
        data: Words = {"bids": [bid], "asks": [ask], "ts": words.ms(row.ts_ns), "seqId": number}
        data["prevSeqId"] = -1 if before is None else before[0]
        if before is not None:
            for side, old, new in (("bids", before[1], bid), ("asks", before[2], ask)):
                gone = [[old[0], "0", "0", "0"]] if old[0] != new[0] else []
                data[side] = gone + ([new] if old != new else [])
        spoilt = self._server.spoils_checksum()
        data["checksum"] = _checksum(bid, ask) ^ (1 if spoilt else 0)
        return data, "snapshot" if before is None else "update"

    # --- own orders ------------------------------------------------------------------------------------

    def on_update(self, update: DeskUpdate) -> None:
        """An event of an order, to whoever subscribed to orders."""
        server = self._server
        row = self._worded(update)
        for socket in list(server.sockets):
            for kind in (row["instType"], "ANY"):
                if f"orders:{kind}" in socket.topics:
                    argument = {"channel": "orders", "instType": kind, "uid": "1"}
                    server.send(socket, {"arg": argument, "data": [row]})

    def _worded(self, update: DeskUpdate) -> Words:
        """An order as of an update, with the execution it is about."""
        server, order = self._server, update.order
        quote = server.desk.instruments[order.symbol]
        state = words.STATES.get(update.status, "live")
        if state == "live" and update.filled_lots:
            state = "partially_filled"
        row = server.word(order) | {
            "state": state,
            "accFillSz": server.scales.quantity_text(order.symbol, update.filled_lots),
            "avgPx": words.average(quote, update.filled_value, update.filled_lots) or "0",
            "uTime": words.ms(update.ts_ns),
            "fillFee": "",
            "fillFeeCcy": "",
            "execType": "",
            "code": "0",
            "msg": "",
        }
        if state != "canceled":
            row |= {"cancelSource": "", "cancelSourceReason": ""}
        if update.execution is not None:
            fee = server.fee(update.execution)
            row |= words.execution(server.scales, quote, update.execution, fee)
            row |= {"fillFee": fee, "fillFeeCcy": update.execution.fee_asset}
        return row

    def push_funding(self, one: Funded) -> None:
        """Funding was exchanged: what there is now, of which asset and on which swap; not how much it was."""
        server = self._server
        quote = server.desk.instruments[one.report.symbol]
        at = words.ms(one.at_ns)
        cash = sum(server.desk.totals()[quote.quote])
        held = {"ccy": quote.quote, "cashBal": server.units_text(quote.quote, cash), "uTime": at}
        position = {
            "instType": words.SWAP,
            "instId": words.native(quote),
            "mgnMode": "cross",
            "posSide": "net",
            "pos": server.scales.base_text(quote.symbol, one.base_units),
            "ccy": quote.quote,
            "uTime": at,
        }
        told = {
            "pTime": at,
            "eventType": "funding_fee",
            "balData": [held],
            "posData": [position],
            "trades": [],
        }
        for socket in list(server.sockets):
            if f"{BALANCES}:ANY" in socket.topics:
                server.send(socket, {"arg": {"channel": BALANCES, "uid": "1"}, "data": [told]})

    async def dead_man(self, seconds: int) -> None:
        """Wake the desk when a dead man's switch may be due."""
        await asyncio.sleep(seconds)
        self._server.tick()


def _topic(argument: Words) -> str:
    """What a subscription is known by."""
    which = argument.get("instId") if argument.get("channel") in MARKET_CHANNELS else argument.get("instType")
    return f"{argument.get('channel')}:{which or 'ANY'}"


def _checksum(bid: list[str], ask: list[str]) -> int:
    """CRC32, signed, of a book with one level a side."""
    number = zlib.crc32(":".join((bid[0], bid[1], ask[0], ask[1])).encode())
    return number - (1 << 32) if number >= 1 << 31 else number
