"""A simulated Kraken that listens, a connector on it, and a listener that remembers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import attrs
from toys import BTC, desk_at, instrument, terms

from actors.ports import OrderRef, Placed, Signal
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.kraken import connector as kraken_connector
from grinder.connectors.kraken.connector import KrakenConnector
from grinder.secrets import Credentials
from grinder.simulated.protocols.kraken import KrakenServer
from grinder.simulated.server import Running, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row, trade_row
from replay.faults import FaultPlan

KEYS = Credentials(
    "KRAKEN-KEY", base64.b64encode(b"a secret of sixty-four bytes, as Kraken's are" * 2).decode()
)

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """Run a coroutine function to its end, within a time."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work()

    return asyncio.run(bounded())


def client_id(number: int) -> str:
    return f"{number:032x}"


def order(number: int, side: str = "buy", price: int = 600_000, lots: int = 10, **changes: Any) -> Any:
    return terms(client_id(number), side, price, lots, **changes)


@attrs.define
class Told:
    """What a listener was told."""

    frames: list[tuple[str, bytes, int]] = attrs.field(factory=list)
    signals: list[Signal] = attrs.field(factory=list)
    ups: list[str] = attrs.field(factory=list)
    downs: list[str] = attrs.field(factory=list)

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append((stream, frame, received_ns))

    def signal(self, stream: str, signal: Signal) -> None:
        self.signals.append(signal)

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.ups.append(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        self.downs.append(f"{stream}: {reason}")

    def of(self, kind: type[T]) -> list[T]:
        return [one for one in self.signals if isinstance(one, kind)]

    async def until(self, holds: Callable[[], bool], seconds: float = 6.0) -> None:
        """Wait until something holds; says what was told when it never does."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"told: {self.signals[-8:]} downs {self.downs}") from None


@attrs.define
class World:
    """One exchange and what speaks to it."""

    desk: Desk
    server: KrakenServer
    running: Running
    connector: KrakenConnector

    def quoted(self, bid: int, ask: int, size: int = 5_000) -> None:
        self.server.market(BTC, quote_row(self.server.clock(), bid, ask, size, size))

    def traded(self, price: int, lots: int, side: int = -1) -> None:
        self.server.market(BTC, trade_row(self.server.clock(), price, lots, side, self.desk.quote(BTC)))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Told]:
        told = Told()
        task = asyncio.ensure_future(self.connector.listen(told))
        try:
            await told.until(lambda: {"public", "private"} <= set(told.ups))
            yield told
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def endpoint_of(running: Running) -> Endpoint:
    line = running.line
    return Endpoint(rest=line["rest"], ws=line["ws"], ws_private=line["ws_private"])


@contextlib.asynccontextmanager
async def world(
    faults: FaultPlan | None = None,
    *,
    desk: Desk | None = None,
    clock: Callable[[], int] = time.time_ns,
    credentials: Credentials = KEYS,
    **options: Any,
) -> AsyncIterator[World]:
    """A server on loopback and an opened connector for its one instrument."""
    held = desk or desk_at()
    server = KrakenServer(held, KEYS, faults or FaultPlan(), clock, **options)
    running = await start(server)
    connector = KrakenConnector(endpoint_of(running), credentials, time.time_ns)
    connector.list_instruments({BTC: instrument()}, {})
    await connector.open()
    try:
        yield World(held, server, running, connector)
    finally:
        await connector.close()
        await running.close()


@contextlib.contextmanager
def quick_streams(silence_s: float = 30.0) -> Iterator[None]:
    """Streams of connectors made meanwhile reconnect at once."""
    kept = kraken_connector.keeping
    made = attrs.evolve(kept(), first_delay_s=0.02, longest_delay_s=0.1, silence_s=silence_s)
    kraken_connector.keeping = lambda: made  # type: ignore[assignment]
    try:
        yield
    finally:
        kraken_connector.keeping = kept  # type: ignore[assignment]


def ref(number: int, exchange_order_id: str = "") -> OrderRef:
    return OrderRef(client_order_id=client_id(number), exchange_order_id=exchange_order_id, symbol=BTC)


async def placed(here: World, number: int, side: str = "buy", price: int = 600_000, lots: int = 10) -> Placed:
    [answer] = await here.connector.place([order(number, side, price, lots)])
    assert isinstance(answer, Placed), answer
    return answer
