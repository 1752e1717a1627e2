"""Prices over time, read from the ledger and kept in memory while the program runs.

Law: a price is one the run acted on; nothing is made up between two of them.  Integers throughout: a candle's
prices are prices that were seen, and become text where they are answered.
"""

from __future__ import annotations

import sqlite3
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.inputs import ClockReport, TickReport
from domain.risk_events import InventoryChanged
from grinder.web.runs import ServedRun

Numbers = NDArray[np.int64]

_NAMES: Final = (ClockReport, TickReport, InventoryChanged)
_TOPICS: Final = tuple(kind.TOPIC for kind in _NAMES)
_SELECT: Final = (
    "SELECT rowid, ts_ns, CAST(state AS BLOB) FROM stored_events "
    f"WHERE rowid > ? AND topic IN ({', '.join('?' * len(_TOPICS))}) ORDER BY rowid"
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
_FIRST_ROOM: Final = 1024


class _Told(msgspec.Struct):
    """The fields of the records that carry a price."""

    symbol: str = ""
    price_ticks: int = 0
    marks: tuple[tuple[str, int], ...] = ()


_read = msgspec.json.Decoder(_Told).decode


class Line:
    """One symbol's prices: growing columns of position, time in ns and price in ticks."""

    def __init__(self) -> None:
        self._columns: Numbers = np.empty((3, _FIRST_ROOM), dtype=np.int64)
        self.size = 0

    def add(self, position: int, ts_ns: int, ticks: int) -> None:
        """One more price."""
        if self.size == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        self._columns[:, self.size] = (position, ts_ns, ticks)
        self.size += 1

    def until(self, position: int) -> tuple[Numbers, Numbers]:
        """(times, prices) up to a record."""
        end = int(np.searchsorted(self._columns[0, : self.size], position, side="right"))
        return self._columns[1, :end], self._columns[2, :end]


class Prices:
    """The prices of a run.  Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[str, Line] = {}
        self._position = 0

    def lines(self, ledger: sqlite3.Connection) -> dict[str, Line]:
        """Every symbol's line, brought to the ledger's end."""
        with self._lock:
            position = self._position
            for position, ts_ns, state in ledger.execute(_SELECT, (self._position, *_TOPICS)):
                told: Any = _read(state)
                if told.symbol:
                    self._line(told.symbol).add(position, ts_ns, told.price_ticks)
                for symbol, ticks in told.marks:
                    self._line(symbol).add(position, ts_ns, ticks)
            self._position = position
            return self._lines

    def _line(self, symbol: str) -> Line:
        found = self._lines.get(symbol)
        if found is None:
            found = self._lines[symbol] = Line()
        return found


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
