"""Ticks to time bars: the interval a tick falls in is floor(ts, length).

Law: time comes with the ticks and with the clock events it is handed, from nowhere else.  A bar closes on the
first tick of a later interval or on a clock event at its end, whichever comes first, so a quiet market still
emits.  Each interval without a tick repeats the close before it, volume 0, marked synthetic; nothing is made
up before the first tick or inside a session break.  A closed bar never changes: a tick for one is late,
counted and not used.

Within the forming bar ticks count in the order in which they arrive, also when their times are not in order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum

import attrs

from grinder.marl.bars.closed import Bar, Bars, stacked

JUMP = 0.05
"""A price that is further than this from the one before it is flagged, and used."""


class TickFault(Enum):
    """Why a tick is not used."""

    NOT_FINITE = "price or volume is no number"
    PRICE = "price is not above zero"
    VOLUME = "volume is below zero"
    LATE = "its bar is closed"


@attrs.frozen(kw_only=True)
class Taken:
    """What became of one tick.

    Attributes:
        fault: why it was rejected; None when it is in the forming bar.
        jump: it was used, and its price is more than 5 % from the one before.
        closed: bars that it closed, oldest first.
    """

    fault: TickFault | None = None
    jump: bool = False
    closed: tuple[Bar, ...] = ()


@attrs.define
class _Forming:
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    ticks: int = 0

    def add(self, price: float, volume: float) -> None:
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += volume
        self.value += price * volume
        self.ticks += 1

    def closed(self, start_ns: int, end_ns: int) -> Bar:
        return Bar(
            start_ns=start_ns,
            end_ns=end_ns,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            vwap=self.value / self.volume if self.volume > 0 else self.close,
            tick_count=self.ticks,
        )


def tick_fault(price: float, volume: float) -> TickFault | None:
    """What is wrong with a tick whatever its time."""
    if not (math.isfinite(price) and math.isfinite(volume)):
        return TickFault.NOT_FINITE
    if price <= 0:
        return TickFault.PRICE
    return TickFault.VOLUME if volume < 0 else None


class TimeBarBuilder:
    """Builds bars of one length from the ticks of one symbol.

    Args:
        bar_ns: length of a bar.
        breaks: [from, to) in ns in which no trade is expected: an interval that starts inside of one and has
            no tick is left out instead of filled.

    Attributes:
        accepted: ticks used.
        jumps: of those, flagged ones.
        rejected: how many for each reason.
    """

    def __init__(self, bar_ns: int, breaks: Sequence[tuple[int, int]] = ()) -> None:
        self._bar_ns = bar_ns
        self._breaks = tuple(breaks)
        self._start: int | None = None
        self._forming: _Forming | None = None
        self._price = 0.0
        self.accepted = 0
        self.jumps = 0
        self.rejected: Counter[TickFault] = Counter()

    def tick(self, ts_ns: int, price: float, volume: float) -> Taken:
        """Takes one trade in: `price` in quote units, `volume` in base units."""
        fault = tick_fault(price, volume)
        if fault is None and self._start is not None and ts_ns < self._start:
            fault = TickFault.LATE
        if fault is not None:
            self.rejected[fault] += 1
            return Taken(fault=fault)
        closed = self._advance(ts_ns)
        jump = self.accepted > 0 and abs(price / self._price - 1) > JUMP
        if self._forming is None:
            self._forming = _Forming(price, price, price, price)
        self._forming.add(price, volume)
        self._price = price
        self.accepted += 1
        self.jumps += jump
        return Taken(jump=jump, closed=closed)

    def clock(self, now_ns: int) -> tuple[Bar, ...]:
        """Bars whose end has come at `now_ns`, oldest first; none before the first tick."""
        return () if self._start is None else self._advance(now_ns)

    def _advance(self, ts_ns: int) -> tuple[Bar, ...]:
        """Closes what lies before the interval of `ts_ns`."""
        start = ts_ns - ts_ns % self._bar_ns
        if self._start is None:
            self._start = start
        closed = []
        while self._start < start:
            bar = self._close(self._start)
            if bar is not None:
                closed.append(bar)
            self._forming = None
            self._start += self._bar_ns
        return tuple(closed)

    def _close(self, start_ns: int) -> Bar | None:
        end_ns = start_ns + self._bar_ns
        if self._forming is not None:
            return self._forming.closed(start_ns, end_ns)
        if any(since <= start_ns < until for since, until in self._breaks):
            return None
        price = self._price
        return Bar(
            start_ns=start_ns,
            end_ns=end_ns,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=0.0,
            vwap=price,
            synthetic=True,
        )


def time_bars(
    ticks: Iterable[tuple[int, float, float]],
    bar_ns: int,
    until_ns: int | None = None,
    breaks: Sequence[tuple[int, int]] = (),
) -> tuple[Bars, TimeBarBuilder]:
    """The closed bars of recorded ticks (ts_ns, price, volume), and the builder with its counts.

    Args:
        until_ns: a last clock event; without one the bar of the last tick stays open and is not in the
            answer.
    """
    builder = TimeBarBuilder(bar_ns, breaks)
    rows: list[Bar] = []
    for ts_ns, price, volume in ticks:
        rows += builder.tick(ts_ns, price, volume).closed
    if until_ns is not None:
        rows += builder.clock(until_ns)
    return stacked(rows, bar_ns), builder
