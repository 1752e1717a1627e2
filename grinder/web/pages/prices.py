"""Prices over time, read from the views and kept in memory while the program runs.

Law: a price is one the run acted on; nothing is made up between two of them.  Integers throughout: a candle's
prices are prices that were seen, and become text where they are answered.
"""

from __future__ import annotations

import sqlite3
from itertools import chain
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from grinder.views.schema import SOURCE
from grinder.web.runs import ServedRun

Numbers = NDArray[np.int64]

_SELECT: Final = (
    "SELECT position, ts_ns, price_ticks FROM prices WHERE symbol = ? AND position > ? ORDER BY position"
)

SECOND_NS: Final = 10**9
INTERVALS_S: Final = (
    1,
    5,
    15,
    30,
    60,
    300,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    172800,
    259200,
    604800,
)
FEWEST: Final = 24


class Line:
    """One symbol's prices: columns of position, time in ns and price in ticks."""

    def __init__(self) -> None:
        self._columns: Numbers = np.empty((3, 0), dtype=np.int64)
        self.last = 0

    def extend(self, found: Numbers) -> None:
        """Later prices, in columns."""
        if found.shape[1]:
            self._columns = np.concatenate([self._columns, found], axis=1)
            self.last = int(found[0, -1])

    def until(self, position: int) -> tuple[Numbers, Numbers]:
        """(times, prices) up to a record."""
        end = int(np.searchsorted(self._columns[0], position, side="right"))
        return self._columns[1, :end], self._columns[2, :end]


class Prices:
    """The prices of a run.  Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[str, Line] = {}
        self._made = ""

    def lines(self, views: sqlite3.Connection) -> dict[str, Line]:
        """Every symbol's line, brought to where the views stand."""
        with self._lock:
            (made,) = views.execute(f"SELECT made FROM {SOURCE}").fetchone()
            if made != self._made:
                self._lines, self._made = {}, made
            for (symbol,) in views.execute("SELECT symbol FROM instruments").fetchall():
                line = self._lines.setdefault(symbol, Line())
                found = chain.from_iterable(views.execute(_SELECT, (symbol, line.last)))
                line.extend(np.fromiter(found, dtype=np.int64).reshape(-1, 3).T)
            return dict(self._lines)


_KEPT: WeakKeyDictionary[ServedRun, Prices] = WeakKeyDictionary()


def prices_of(run: ServedRun) -> Prices:
    """The prices of a run, which live as long as it is served."""
    return _KEPT.setdefault(run, Prices())


class Candles:
    """Candles of equal width: start in ns, and open, high, low, close in ticks; only those with a price."""

    def __init__(self, times: Numbers, prices: Numbers, room: int) -> None:
        if not times.size:
            self.width_ns = SECOND_NS
            self.start = self.open = self.high = self.low = self.close = np.empty(0, dtype=np.int64)
            return
        span = int(times[-1] - times[0])
        room = min(room, max(FEWEST, times.size // 2))  # hardly a candle of a single price
        widths = (seconds * SECOND_NS for seconds in INTERVALS_S)
        self.width_ns = next((one for one in widths if span // one < room), INTERVALS_S[-1] * SECOND_NS)
        place = times // self.width_ns
        first = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
        last = np.r_[first[1:], times.size] - 1
        self.start = place[first] * self.width_ns
        self.close = prices[last]
        # A candle opens where the one before it closed: prices are seen when they matter, not all the time.
        self.open = np.r_[prices[first[:1]], self.close[:-1]]
        self.high = np.maximum(np.maximum.reduceat(prices, first), self.open)
        self.low = np.minimum(np.minimum.reduceat(prices, first), self.open)
