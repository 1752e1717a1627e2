"""The best quotes of an order book kept from its updates.

Law: levels keep the text the exchange sent; floats order them and are never handed out.  A level of size
zero is gone.  Without a snapshot the book fills up as updates come, so its top is right only after both
best levels were updated once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import attrs

Level = Sequence[str]
"""(price, quantity) as text."""


@attrs.define
class Side:
    """One side; `sign` is -1 for bids (best is highest) and +1 for asks (best is lowest)."""

    sign: int
    levels: dict[float, Level] = attrs.Factory(dict)
    heap: list[float] = attrs.Factory(list)
    """Keys that may be best; keys of levels since gone are dropped when they surface."""

    def set(self, levels: Iterable[Level]) -> None:
        """Apply updates: a new quantity, or zero to remove the level."""
        for level in levels:
            key = self.sign * float(level[0])
            if float(level[1]) == 0.0:
                self.levels.pop(key, None)
                continue
            if key not in self.levels:
                heapq.heappush(self.heap, key)
            self.levels[key] = level

    def best(self) -> Level | None:
        """The best level; None when the side is empty."""
        while self.heap and self.heap[0] not in self.levels:
            heapq.heappop(self.heap)
        return self.levels[self.heap[0]] if self.heap else None


@attrs.define
class Book:
    """Both sides of one symbol."""

    bids: Side = attrs.Factory(lambda: Side(-1))
    asks: Side = attrs.Factory(lambda: Side(1))

    def start(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Forget everything and take a snapshot."""
        self.bids, self.asks = Side(-1), Side(1)
        self.update(bids, asks)

    def update(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Apply one message's levels."""
        self.bids.set(bids)
        self.asks.set(asks)

    def best(self) -> tuple[str, str, str, str] | None:
        """(bid, bid qty, ask, ask qty) as text; None while a side is empty."""
        bid, ask = self.bids.best(), self.asks.best()
        return (bid[0], bid[1], ask[0], ask[1]) if bid and ask else None
