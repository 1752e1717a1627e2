"""The market a simulated exchange shows: rows of files or generated ones, at the pace of a clock.

Law: rows keep their order and their distances; only their dates change, so that the market begins now.  A
file without quotes is shown with quotes one tick around its price, because clients of an exchange expect
some; executions go by the same rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from typing import Protocol

import attrs
import numpy as np

from replay.exchange.rolling import MarketRow
from replay.generated import MarketShape, generate
from replay.ticks import Ticks

NS = 1_000_000_000
SHOWN_LOTS = 1_000
"""Size of quotes that are made up."""

CHUNK_ROWS = 4_000
TICK_S = 0.05
"""How often time passes for the exchange between two rows."""

Event = tuple[int, str, MarketRow]
"""(ns since the first row, symbol, row)."""


class Shown(Protocol):
    """Who is shown the market: a server, or whatever stands on a desk."""

    def market(self, symbol: str, row: MarketRow) -> None:
        """A row happens."""

    def tick(self) -> None:
        """Time passes."""


def rows_of(ticks: Ticks) -> Iterator[MarketRow]:
    """The rows of a file, one by one."""
    for at in range(len(ticks)):
        yield _row(ticks, at)


def _row(ticks: Ticks, at: int) -> MarketRow:
    price = int(ticks.price[at])
    quoted = ticks.bid is not None and ticks.ask is not None
    sized = ticks.bid_qty is not None and ticks.ask_qty is not None
    return MarketRow(
        ts_ns=int(ticks.ts[at]),
        price=price,
        low=int(ticks.low[at]),
        high=int(ticks.high[at]),
        qty=0 if ticks.qty is None else int(ticks.qty[at]),
        side=0 if ticks.side is None else int(ticks.side[at]),
        bid=int(ticks.bid[at]) if quoted and ticks.bid is not None else max(1, price - 1),
        ask=int(ticks.ask[at]) if quoted and ticks.ask is not None else price + 1,
        bid_qty=int(ticks.bid_qty[at]) if sized and ticks.bid_qty is not None else SHOWN_LOTS,
        ask_qty=int(ticks.ask_qty[at]) if sized and ticks.ask_qty is not None else SHOWN_LOTS,
    )


def events_of(markets: Mapping[str, Ticks]) -> Iterator[Event]:
    """The rows of several symbols in the order of their times."""
    first = min(int(ticks.ts[0]) for ticks in markets.values())

    def of(symbol: str) -> Iterator[Event]:
        for row in rows_of(markets[symbol]):
            yield row.ts_ns - first, symbol, row

    yield from merge(*(of(symbol) for symbol in sorted(markets)), key=lambda event: event[:2])


def looped(markets: Mapping[str, Ticks]) -> Iterator[Event]:
    """The rows of several symbols, again and again; a second lies between two rounds."""
    last = max(int(ticks.ts[-1]) for ticks in markets.values())
    length = last - min(int(ticks.ts[0]) for ticks in markets.values()) + NS
    begun = 0
    while True:
        for since, symbol, row in events_of(markets):
            yield begun + since, symbol, row
        begun += length


def generated(shape: MarketShape, seed: int) -> Iterator[Event]:
    """A generated market for ever.

    Each stretch is walked there and back again, so the price never runs away and never jumps between two.
    """
    begun = 0
    number = 0
    while True:
        ticks = generate(attrs.evolve(shape, rows=CHUNK_ROWS), seed + number)
        number += 1
        times = ticks.ts - ticks.ts[0]
        whole = int(times[-1])
        for since, at in zip(times, range(CHUNK_ROWS), strict=True):
            yield begun + int(since), shape.symbol, _row(ticks, at)
        for at in range(CHUNK_ROWS - 1, -1, -1):
            yield begun + 2 * whole - int(np.int64(times[at])) + NS, shape.symbol, _row(ticks, at)
        begun += 2 * whole + 2 * NS


async def pump(
    events: Iterator[Event],
    shown: Shown,
    clock: Callable[[], int],
    speed: float = 1.0,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Show a market at its pace until it ends.

    Args:
        speed: 2 is twice as fast.
        begun: called once the first row was shown.

    A row that is late (the program was busy, or the speed is more than it can do) is shown at once.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    shown_any = False
    for since_ns, symbol, row in events:
        due_s = start_s + since_ns / NS / speed
        while (wait_s := due_s - loop.time()) > 0:
            await asyncio.sleep(min(wait_s, TICK_S))
            shown.tick()
        shown.market(symbol, attrs.evolve(row, ts_ns=clock()))
        if not shown_any:
            shown_any = True
            begun()
        elif wait_s < -TICK_S:
            await asyncio.sleep(0)  # behind: still let requests be answered
