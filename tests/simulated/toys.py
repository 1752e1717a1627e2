"""A small listed market and a toy protocol, for tests of what all simulated exchanges share."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any, ClassVar

from aiohttp import web

from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.secrets import Credentials
from grinder.simulated.server import VIEW, WireServer
from grinder.simulated.wire import Socket
from replay.exchange.desk import Desk, DeskUpdate
from replay.exchange.rolling import MarketRow, quote_row, trade_row
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan, FaultRule

BTC = "BTCUSDT"
SECOND = 1_000_000_000
USDT = 10**8
T0 = 1_700_000_000 * SECOND


def instrument(symbol: str = BTC, **changes: Any) -> Instrument:
    """A symbol with a tick of 0.1, a lot of 0.001 and fees of 1 and 5 bps."""
    given: dict[str, Any] = {
        "symbol": symbol,
        "kind": "spot",
        "base": symbol.removesuffix("USDT"),
        "quote": "USDT",
        "tick": "0.1",
        "lot": "0.001",
        "tick_size": 1,
        "price_decimals": 1,
        "base_decimals": 3,
        "quote_decimals": 8,
        "quote_per_tick_base": 10**4,
        "base_per_lot": 1,
        "min_notional": 5 * USDT,
        "maker_fee_ppm": 100,
        "taker_fee_ppm": 500,
    }
    return Instrument(**{**given, **changes})


def terms(client_id: str, side: str, price: int, lots: int, **changes: Any) -> OrderTerms:
    given: dict[str, Any] = {
        "client_order_id": client_id,
        "symbol": BTC,
        "side": side,
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        "price_ticks": price,
        "lots": lots,
    }
    return OrderTerms(**{**given, **changes})


def desk_at(bid: int = 609_990, ask: int = 610_010, *, one: Instrument | None = None, **options: Any) -> Desk:
    """A desk with 10,000 USDT and 1 BTC, whose market stands at these quotes."""
    listed = one or instrument()
    rules = options.pop("rules", ExchangeRules())
    balances = options.pop("balances", {"USDT": 10_000 * USDT, "BTC": 1_000})
    desk = Desk({listed.symbol: listed}, balances, rules, **options)
    desk.on_row(listed.symbol, quote_row(T0, bid, ask, 5_000, 5_000))
    return desk


def quoted(desk: Desk, bid: int, ask: int, at_ns: int = T0, size: int = 5_000) -> None:
    before = desk.quote(BTC)
    desk.on_row(BTC, quote_row(at_ns, bid, ask, size, size, before.price if before else 0))


def traded(desk: Desk, price: int, lots: int, at_ns: int = T0) -> None:
    desk.on_row(BTC, trade_row(at_ns, price, lots, -1, desk.quote(BTC)))


def plan(*rules: dict[str, Any], seed: int = 0) -> FaultPlan:
    made = [{**rule, "amount": Decimal(rule.get("amount", 0))} for rule in rules]
    return FaultPlan([FaultRule(**rule) for rule in made], seed)


class Watch:
    """A clock that a test sets."""

    def __init__(self, now_ns: int = T0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class ToyServer(WireServer):
    """The smallest protocol: JSON in, JSON out, no signatures."""

    protocol: ClassVar[str] = "toy"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sequence = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/orders", self.rest("place", self._place)),
            web.delete("/orders", self.rest("cancel", self._cancel)),
            web.get("/orders", self.rest("open_orders", self._open)),
            web.get("/order", self.rest("order", self._order)),
            web.get("/fills", self.rest("fills", self._fills)),
            web.get("/time", self.rest("time", self._time)),
            web.get("/market", self._market),
            web.get("/private", self._private),
        ]

    async def _place(self, request: web.Request) -> web.Response:
        made = []
        for one in await request.json():
            order = self.desk.place(
                terms(one["id"], one["side"], int(one["price"]), int(one["lots"]), **one.get("more", {})),
                self.clock(),
            )
            made.append({"id": order.client_id, "order": order.exchange_id, "status": str(order.status)})
        return web.json_response(made)

    async def _cancel(self, request: web.Request) -> web.Response:
        order = self.desk.find(client_order_id=request.query["id"])
        return web.json_response({"done": order is not None and self.desk.cancel(order, self.clock())})

    async def _open(self, request: web.Request) -> web.Response:
        return web.json_response([one.client_id for one in request[VIEW].open_orders()])

    async def _order(self, request: web.Request) -> web.Response:
        found = request[VIEW].find(client_order_id=request.query["id"])
        shown = found and {"id": found.client_id, "status": str(found.status), "cum_qty": found.filled_lots}
        return web.json_response(shown)

    async def _fills(self, request: web.Request) -> web.Response:
        found = request[VIEW].executions()
        return web.json_response([{"fill": one.number, "qty": one.lots} for one in found])

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"ms": self.now_ms()})

    async def _market(self, request: web.Request) -> web.StreamResponse:
        return await self.websocket(request, self._talk)

    async def _private(self, request: web.Request) -> web.StreamResponse:
        return await self.websocket(request, self._talk, private=True)

    async def _talk(self, socket: Socket, text: str) -> None:
        socket.topics.add(text)
        self.send(socket, {"subscribed": text.encode("ascii").decode()})

    def on_update(self, update: DeskUpdate) -> None:
        told = {
            "kind": update.kind,
            "id": update.order.client_id,
            "status": str(update.status),
            "cum_qty": update.filled_lots,
        }
        if update.execution is not None:
            told["fill"] = update.execution.number
        for socket in self.sockets:
            if socket.private:
                self.send(socket, told)

    def on_row(self, symbol: str, row: MarketRow) -> None:
        number = next(self.sequence)
        spoilt = self.spoils_checksum()
        for socket in self.sockets:
            if not socket.private:
                check = -1 if spoilt else number
                self.send(socket, {"n": number, "bid": row.bid, "ask": row.ask, "check": check})


def toy(faults: FaultPlan | None = None, desk: Desk | None = None, clock: Any = None) -> ToyServer:
    return ToyServer(
        desk or desk_at(), Credentials("key", "secret", ""), faults or FaultPlan(), clock or Watch()
    )
