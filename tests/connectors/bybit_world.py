"""A small simulated Bybit behind real sockets, and a listener that remembers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs

from actors.ports import OrderRef, Signal
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.connectors.bybit.connector import BybitConnector, BybitLinearConnector
from grinder.connectors.endpoint import Endpoint
from grinder.secrets import Credentials
from grinder.simulated.protocols.bybit import BybitServer
from grinder.simulated.server import Running, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row, trade_row
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan, FaultRule

BTC = "BTCUSDT"
USDT = 10**11
KEYS = Credentials("key-1", "secret-1")
BID, ASK = 609_990, 610_010


def instrument(kind: str = "spot") -> Instrument:
    """A tick of 0.1, a lot of 0.001, money in 11 decimals, fees of 10 and 20 bps, orders from 5 USDT."""
    return Instrument(
        symbol=BTC,
        kind=kind,
        base="BTC",
        quote="USDT",
        tick="0.1",
        lot="0.001",
        tick_size=1,
        price_decimals=1,
        base_decimals=8,
        quote_decimals=11,
        quote_per_tick_base=100,
        base_per_lot=10**5,
        min_notional=5 * USDT,
        maker_fee_ppm=1000,
        taker_fee_ppm=2000,
    )


def order(
    number: int, side: str = "buy", price: int = BID - 1000, lots: int = 1, **changes: Any
) -> OrderTerms:
    given: dict[str, Any] = {
        "client_order_id": f"{number:032x}",
        "symbol": BTC,
        "side": side,
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        "price_ticks": price,
        "lots": lots,
    }
    return OrderTerms(**{**given, **changes})


@attrs.define
class Told:
    """What a listener was told."""

    frames: list[tuple[str, bytes]] = attrs.field(factory=list)
    signals: list[Signal] = attrs.field(factory=list)
    ups: list[str] = attrs.field(factory=list)
    downs: list[tuple[str, str]] = attrs.field(factory=list)

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append((stream, frame))

    def signal(self, stream: str, signal: Signal) -> None:
        self.signals.append(signal)

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.ups.append(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        self.downs.append((stream, reason))

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.signals if isinstance(one, kind)]


@attrs.define
class World:
    """A server and what a test does to its market."""

    running: Running
    desk: Desk
    connector: BybitConnector

    @property
    def server(self) -> BybitServer:
        assert isinstance(self.running.server, BybitServer)
        return self.running.server

    @property
    def rest(self) -> str:
        return str(self.running.line["rest"])

    def endpoint(self, **extra: str) -> Endpoint:
        line = self.running.line
        return Endpoint(line["rest"], line["ws"], line["ws_private"], extra)

    def quote(self, bid: int, ask: int, lots: int = 5000) -> None:
        before = self.desk.quote(BTC)
        last = before.price if before else 0
        self.server.market(BTC, quote_row(time.time_ns(), bid, ask, lots, lots, last))

    def trade(self, price: int, lots: int) -> None:
        self.server.market(BTC, trade_row(time.time_ns(), price, lots, -1, self.desk.quote(BTC)))

    @contextlib.asynccontextmanager
    async def listening(self, connector: BybitConnector | None = None) -> AsyncIterator[Told]:
        """The connector listens until the block ends."""
        one, told = connector or self.connector, Told()
        task = asyncio.create_task(one.listen(told))
        try:
            await until(lambda: {"public", "private"} <= set(told.ups))
            yield told
        finally:
            task.cancel()
            await asyncio.wait((task,), timeout=5)


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def plan(*rules: dict[str, Any]) -> FaultPlan:
    return FaultPlan([FaultRule(**rule) for rule in rules])


@contextlib.asynccontextmanager
async def world(
    faults: FaultPlan | None = None,
    *,
    kind: str = "spot",
    balances: dict[str, int] | None = None,
    keys: Credentials | None = KEYS,
    clock: Callable[[], int] = time.time_ns,
    fee_asset: str = "base",
) -> AsyncIterator[World]:
    """A server with a market at 60999.0/61001.0, 10,000 USDT and 1 BTC, and an open connector on it."""
    listed = instrument(kind)
    held = balances or {"USDT": 10_000 * USDT, "BTC": 10**8}
    rules = ExchangeRules(fee_asset="quote" if kind == "linear" else fee_asset)
    desk = Desk({BTC: listed}, held, rules)
    server = BybitServer(desk, KEYS, faults or FaultPlan(), time.time_ns)
    running = await start(server)
    made = BybitLinearConnector if kind == "linear" else BybitConnector
    line = running.line
    connector = made(Endpoint(line["rest"], line["ws"], line["ws_private"]), keys, clock)
    one = World(running, desk, connector)
    one.quote(BID, ASK)
    try:
        await connector.open()
        connector.list_instruments({BTC: listed}, {})
        yield one
    finally:
        await connector.close()
        await running.close()


HOUR = 3_600 * 10**9


def ref(number: int) -> OrderRef:
    return OrderRef(client_order_id=f"{number:032x}", exchange_order_id="", symbol=BTC)


def run(check: Callable[[World], Awaitable[None]], *rules: dict[str, Any], **options: Any) -> World:
    """Run a check in a world with these faults, bounded by time."""
    seen: list[World] = []

    async def main() -> None:
        async with asyncio.timeout(20), world(plan(*rules), **options) as one:
            seen.append(one)
            await check(one)

    asyncio.run(main())
    return seen[0]


def since() -> int:
    return time.time_ns() - HOUR
