"""A simulated Binance on the loopback interface and a connector to it, for the tests of the wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from toys import BTC, SECOND, USDT, instrument, plan

from actors.ports import OrderRef, Placed, Signal
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.connectors.binance.shared import BinanceConnector
from grinder.connectors.binance.spot import SpotConnector
from grinder.connectors.binance.usdm import UsdmConnector
from grinder.connectors.endpoint import Endpoint
from grinder.secrets import Credentials
from grinder.simulated.protocols.binance import BinanceSpotServer
from grinder.simulated.protocols.binance_trading import TradingServer
from grinder.simulated.protocols.binance_usdm import BinanceUsdmServer
from grinder.simulated.server import Running, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row, trade_row
from replay.exchange.rules import ExchangeRules

KEYS = Credentials("key-of-the-test", "secret-of-the-test")
BID, ASK = 609_990, 610_010


def perpetual() -> Instrument:
    return instrument(kind="linear", leverage_ppm=10_000_000)


@attrs.define(eq=False)
class Heard:
    """A listener that remembers."""

    signals: list[tuple[str, Signal]] = attrs.field(factory=list)
    frames: list[tuple[str, bytes]] = attrs.field(factory=list)
    ups: list[str] = attrs.field(factory=list)
    downs: list[tuple[str, str]] = attrs.field(factory=list)

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append((stream, frame))

    def signal(self, stream: str, signal: Signal) -> None:
        self.signals.append((stream, signal))

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.ups.append(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        self.downs.append((stream, reason))

    def of(self, kind: type[Any]) -> list[Any]:
        return [signal for _, signal in self.signals if isinstance(signal, kind)]


@attrs.define(eq=False)
class Rig:
    """One server, one connector, one clock."""

    running: Running
    server: TradingServer
    connector: BinanceConnector
    desk: Desk
    shift_ns: int = 0

    def row(self, bid: int = BID, ask: int = ASK) -> None:
        """The quotes change."""
        self.server.market(BTC, quote_row(time.time_ns(), bid, ask, 5_000, 5_000))

    def trade(self, price: int, lots: int, side: int = -1) -> None:
        """A trade happens."""
        self.server.market(BTC, trade_row(time.time_ns(), price, lots, side, self.desk.quote(BTC)))

    @property
    def endpoint(self) -> Endpoint:
        names = ("rest", "ws", "ws_private")
        return Endpoint(**{name: self.running.line[name] for name in names})


@asynccontextmanager
async def rig(
    *, futures: bool = False, faults: tuple[dict[str, Any], ...] = (), rules: ExchangeRules | None = None
) -> AsyncIterator[Rig]:
    """A server with 10,000 USDT and 1 BTC, quotes at 60,999 and 61,001, and an opened connector."""
    listed = perpetual() if futures else instrument()
    balances = {"USDT": 10_000 * USDT} | ({} if futures else {"BTC": 1_000})
    desk = Desk({BTC: listed}, balances, rules or ExchangeRules())
    serve = BinanceUsdmServer if futures else BinanceSpotServer
    server = serve(desk, KEYS, plan(*faults), time.time_ns)
    running = await start(server)
    names = ("rest", "ws", "ws_private")
    endpoint = Endpoint(**{name: running.line[name] for name in names})
    speak = UsdmConnector if futures else SpotConnector
    made = Rig(running, server, None, desk)  # type: ignore[arg-type]
    made.connector = speak(endpoint, KEYS, lambda: time.time_ns() + made.shift_ns)
    made.row()
    try:
        await made.connector.open()
        made.connector.list_instruments({BTC: listed}, {"BNB": 600 * USDT})
        yield made
    finally:
        await made.connector.close()
        await running.close()


@asynccontextmanager
async def listening(one: Rig) -> AsyncIterator[Heard]:
    """The connector's streams, up."""
    heard = Heard()
    task = asyncio.create_task(one.connector.listen(heard))
    try:
        await until(lambda: {"market", "private"} <= set(heard.ups))
        yield heard
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]


async def until(true: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to hold in time"
        await asyncio.sleep(0.005)


def hex_id(number: int) -> str:
    """A client order id of ours."""
    return f"{number:032x}"


def order(number: int, side: str = "buy", price: int = 609_000, lots: int = 10, **changes: Any) -> OrderTerms:
    given: dict[str, Any] = {
        "client_order_id": hex_id(number),
        "symbol": BTC,
        "side": side,
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        "price_ticks": price,
        "lots": lots,
    }
    return OrderTerms(**{**given, **changes})


def run(work: Any, seconds: float = 20.0) -> Any:
    """Run a test's coroutine, bounded by time."""

    async def bounded() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


MARKETS = pytest.mark.parametrize("futures", [False, True], ids=["spot", "usdm"])


def ref(number: int, exchange_order_id: str = "") -> OrderRef:
    return OrderRef(client_order_id=hex_id(number), exchange_order_id=exchange_order_id, symbol=BTC)


async def placed(one: Rig, number: int, **changes: Any) -> Placed:
    (answer,) = await one.connector.place([order(number, **changes)])
    assert isinstance(answer, Placed), answer
    return answer


__all__ = [
    "ASK",
    "BID",
    "BTC",
    "KEYS",
    "MARKETS",
    "SECOND",
    "USDT",
    "Heard",
    "Rig",
    "hex_id",
    "listening",
    "order",
    "placed",
    "ref",
]
