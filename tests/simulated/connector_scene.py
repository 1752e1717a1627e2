"""A connector of the exchange in the process, with an ear on its streams, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from toys import BTC, T0, desk_at, plan, terms

from actors.ports import (
    Connector,
    ExchangeError,
    Listener,
    OrderRef,
    OrderSnapshot,
    Placed,
    Signal,
    SnapshotStatus,
)
from domain.inputs import FillReport
from grinder.connectors.simulated import SimulatedConnector
from replay import virtual_time
from replay.exchange.desk import Desk
from replay.exchange.rolling import trade_row
from replay.faults import FaultPlan
from replay.virtual_time import VirtualTimeLoop

WORKING, FILLED, CANCELLED = SnapshotStatus.WORKING, SnapshotStatus.FILLED, SnapshotStatus.CANCELLED


class Ear:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Signal]] = []
        self.frames: list[tuple[str, bytes, int]] = []
        self.streams: list[str] = []

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append((stream, frame, received_ns))

    def signal(self, stream: str, signal: Signal) -> None:
        self.heard.append((stream, signal))

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.streams.append(f"{stream} up")

    def stream_down(self, stream: str, reason: str) -> None:
        self.streams.append(f"{stream} down")

    def private(self) -> list[Signal]:
        return [signal for stream, signal in self.heard if stream == "private"]

    def fills(self) -> list[FillReport]:
        return [one for one in self.private() if isinstance(one, FillReport)]

    def statuses(self) -> list[SnapshotStatus]:
        return [one.status for one in self.private() if isinstance(one, OrderSnapshot)]


class Scene:
    """A connector on a desk, with an ear on its streams."""

    def __init__(self, loop: VirtualTimeLoop, faults: FaultPlan, latency_s: float, desk: Desk) -> None:
        self.loop = loop
        self.ear = Ear()
        self.desk = desk
        self.faults = faults
        self.it = SimulatedConnector(desk, faults, clock=loop.now_ns, latency_s=latency_s)
        self.listening: asyncio.Future[None]
        self._as_port: tuple[Connector, Listener] = (self.it, self.ear)

    async def place(self, *ids: str, price: int = 609_000) -> list[Placed | ExchangeError]:
        return await self.it.place([terms(one, "buy", price, 10) for one in ids or ("a",)])

    async def cancel(self, *ids: str) -> list[OrderSnapshot | ExchangeError | None]:
        return await self.it.cancel([ref(one) for one in ids or ("a",)])

    async def falls(self, price: int = 608_000, lots: int = 100) -> None:
        """The market trades at a price, and what follows is told."""
        self.it.push(BTC, trade_row(self.loop.now_ns(), price, lots, -1, self.desk.quote(BTC)))
        await asyncio.sleep(0.5)


def ref(client_id: str = "a", exchange_id: str = "") -> OrderRef:
    return OrderRef(client_order_id=client_id, exchange_order_id=exchange_id, symbol=BTC)


def play(
    act: Callable[[Scene], Awaitable[None]],
    *rules: dict[str, Any],
    latency_s: float = 0.05,
    desk: Desk | None = None,
    seed: int = 0,
) -> Scene:
    """Run a scene on virtual time; returns it as it was left."""

    async def main(loop: VirtualTimeLoop) -> Scene:
        scene = Scene(loop, plan(*rules, seed=seed), latency_s, desk or desk_at())
        scene.listening = asyncio.ensure_future(scene.it.listen(scene.ear))
        await scene.it.open()
        await act(scene)
        scene.listening.cancel()
        await asyncio.gather(scene.listening, return_exceptions=True)
        await scene.it.close()
        return scene

    return virtual_time.run(main, T0)
