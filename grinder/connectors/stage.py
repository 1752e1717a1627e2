"""The stage on which a connector's contract is played: an exchange, an account, a hand on the other side.

Law: what is here knows `actors.ports.Connector` and no exchange; the checks themselves are in
`grinder.connectors.contract`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any, Protocol

from actors.ports import Capabilities, Connector, OrderRef, OrderSnapshot, Placed, Signal, SnapshotStatus
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.orders import BUY, LIMIT, TimeInForce

PATIENCE_S = 5.0
"""How long something that comes by itself may take."""

LONGEST_PAUSE_S = 0.2
"""Between two looks: an exchange counts requests."""

GONE_S = 0.1
"""How long an exchange takes to see that a connection ended."""

HALF = 5
"""Ticks beyond the opposite quote to where a crossing order is put."""

SPREAD = 10
"""Ticks between the quotes of a stage."""

TOO_MANY = 1_000_000
"""Times the stage's lots: more than any balance pays."""

ENDED = frozenset(
    {SnapshotStatus.CANCELLED, SnapshotStatus.REJECTED, SnapshotStatus.EXPIRED, SnapshotStatus.FILLED}
)


class Broken(AssertionError):
    """The contract is not kept; the text says in what."""


class Stage(Protocol):
    """An exchange with an account on it, and a hand on the exchange's own side of things.

    Attributes:
        instrument: what is traded; its rules are those the exchange publishes.
        capabilities: those of the connector.
        streams: how many streams a listening connector keeps up.
        price_ticks: a price everything happens around; a quote there gives room on both sides.
        lots: a quantity above every minimum, a hundredth of what the balance can pay.
    """

    instrument: Instrument
    capabilities: Capabilities
    streams: int
    price_ticks: int
    lots: int

    async def open(self) -> None:
        """Let the exchange begin, with nothing open on the account."""

    async def close(self) -> None:
        """End it."""

    def connector(self) -> Connector:
        """A fresh connector to the account, not opened."""

    def new_id(self) -> str:
        """A client order id that was never used: 32 hexadecimal digits."""

    async def quote(self, bid_ticks: int, ask_ticks: int) -> None:
        """Let the market quote so; resting orders it reaches are executed."""

    async def foreign_order(self, price_ticks: int, lots: int) -> None:
        """Let somebody else buy on the account with an order that rests, without a client order id."""

    async def resting(self) -> list[str]:
        """Client order ids (or the exchange's where there is none) of what really rests."""

    async def totals(self) -> dict[str, Decimal]:
        """What the account really has of each asset, locked amounts included."""

    def connections(self) -> int:
        """Connections of the client that are open at the exchange."""

    def own_tasks(self) -> set[asyncio.Task[Any]]:
        """Tasks of the exchange's own that a client cannot end."""

    async def elapse(self, seconds: float) -> bool:
        """Let what is due at the exchange so many seconds from now happen; False where that cannot be had."""

    async def pay_funding(self) -> bool:
        """Let funding be exchanged now on the position that is held, which a buyer pays; False where that
        cannot be had.  Asked only of a connector that can list funding."""

    async def disturb(self, operation: str, kind: str) -> bool:
        """Let the next request of a kind fail in a way of `replay.faults`; False where that cannot be had."""


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, bytes, int]] = []
        self.signals: list[Signal] = []
        self.ended: list[str] = []
        self.up: dict[str, bool] = {}
        self.ups = 0

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A raw frame."""
        self.frames.append((stream, frame, received_ns))

    def signal(self, stream: str, signal: Signal) -> None:
        """What it meant."""
        self.signals.append(signal)

    def frame_end(self, stream: str) -> None:
        """It meant nothing more."""
        self.ended.append(stream)

    def stream_up(self, stream: str) -> None:
        """A stream is up."""
        self.up[stream] = True
        self.ups += 1

    def stream_down(self, stream: str, reason: str) -> None:
        """A stream is gone."""
        self.up[stream] = False

    def fills(self, client_id: str) -> list[FillReport]:
        """Executions of an order."""
        return [
            one for one in self.signals if isinstance(one, FillReport) and one.client_order_id == client_id
        ]

    def orders(self, client_id: str) -> list[OrderSnapshot]:
        """What was told of an order."""
        return [
            one for one in self.signals if isinstance(one, OrderSnapshot) and one.client_order_id == client_id
        ]

    def fundings(self) -> list[FundingReport]:
        """Funding that was told of."""
        return [one for one in self.signals if isinstance(one, FundingReport)]


class Scene:
    """What a check plays on: an open connector and the stage."""

    def __init__(self, stage: Stage, connector: Connector) -> None:
        self.stage = stage
        self.connector = connector
        self.symbol = stage.instrument.symbol

    def terms(self, below: int = 50, *, client_id: str = "", **changes: Any) -> OrderTerms:
        """A post-only buy some ticks below the quotes."""
        given: dict[str, Any] = {
            "client_order_id": client_id or self.stage.new_id(),
            "symbol": self.symbol,
            "side": BUY,
            "order_type": LIMIT,
            "time_in_force": TimeInForce.POST_ONLY.value,
            "reduce_only": False,
            "price_ticks": self.stage.price_ticks - below,
            "lots": self.stage.lots,
        }
        return OrderTerms(**{**given, **changes})

    def ref(self, terms: OrderTerms, exchange_id: str = "") -> OrderRef:
        """How to name it."""
        return OrderRef(
            client_order_id=terms.client_order_id, exchange_order_id=exchange_id, symbol=self.symbol
        )

    async def placed(self, terms: OrderTerms) -> str:
        """Place an order that has to be taken, wait until it rests, and give the exchange's id."""
        [answer] = await self.connector.place([terms])
        expect(isinstance(answer, Placed), f"a good order was answered with {answer!r}")
        assert isinstance(answer, Placed)
        await eventually(lambda: self.is_found(terms), "a placed order is found by its client order id")
        return answer.exchange_order_id

    async def is_found(self, terms: OrderTerms) -> bool:
        """Whether a query by client order id finds it resting."""
        found = await self.connector.order(self.ref(terms))
        return found is not None and found.status is SnapshotStatus.WORKING

    async def is_over(self, terms: OrderTerms) -> bool:
        """Whether a query by client order id says that it has ended, or does not know it."""
        found = await self.connector.order(self.ref(terms))
        return found is None or found.status in ENDED

    async def rests(self, terms: OrderTerms) -> bool:
        """Whether it really rests."""
        return terms.client_order_id in await self.stage.resting()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Heard]:
        """Everything the streams bring while the block runs, from the moment all of them are up."""
        heard = Heard()
        task = asyncio.create_task(self.connector.listen(heard))
        try:
            await eventually(lambda: _all_up(heard, self.stage), "every stream comes up", task)
            yield heard
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _all_up(heard: Heard, stage: Stage) -> bool:
    return sum(heard.up.values()) >= stage.streams


def expect(kept: bool, words: str) -> None:
    """Say in what the contract is broken.

    Raises:
        Broken: `kept` is false.
    """
    if not kept:
        raise Broken(words)


async def eventually(
    holds: Callable[[], Awaitable[bool]], words: str, task: asyncio.Task[None] | None = None
) -> None:
    """Wait until something holds.

    Raises:
        Broken: it did not within `PATIENCE_S`, or the task it depends on ended.
    """
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + PATIENCE_S, 0.005
    while not await holds():
        expect(task is None or not task.done(), f"not so, because listening ended: {words}")
        expect(loop.time() < until, f"not within {PATIENCE_S:g} s: {words}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
