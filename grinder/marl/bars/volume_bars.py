"""Ticks to bars of one volume.

Law: every closed bar holds exactly the threshold.  The tick that crosses it is split: what the bar still
lacks closes it, the rest opens the next, and a huge tick closes several.  A part that is smaller than float
noise (1e-12 of the threshold) is no trade: it neither opens a bar nor moves a price, so ten tenths close a
bar of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from grinder.marl.bars.closed import Bar, Bars, Floats, stacked
from grinder.marl.bars.tick_bars import TickFault, tick_fault

BARS_PER_DAY = 50
NOISE = 1e-12


def default_threshold(daily_volumes: Floats) -> float:
    """Mean daily volume over 50, base units.

    Raises:
        ValueError: no day, or nothing was traded.
    """
    if len(daily_volumes) == 0 or not daily_volumes.sum() > 0:
        raise ValueError("the volume of a bar comes from days on which something was traded")
    return float(daily_volumes.mean()) / BARS_PER_DAY


@attrs.define
class _Forming:
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    ticks: int = 0


class VolumeBarBuilder:
    """Builds bars of `threshold` base units from the ticks of one symbol.

    `tick_count` of a bar counts the ticks of which it holds a part, so a split tick counts in each of them.

    Attributes:
        rejected: ticks that were not used, by reason; one older than the tick before it is late.
    """

    def __init__(self, threshold: float) -> None:
        if not threshold > 0:
            raise ValueError("a bar holds more than nothing")
        self._threshold = threshold
        self._forming: _Forming | None = None
        self._last_ns: int | None = None
        self.rejected: Counter[TickFault] = Counter()

    @property
    def forming_volume(self) -> float:
        """What the open bar holds so far, base units."""
        return 0.0 if self._forming is None else self._forming.volume

    def tick(self, ts_ns: int, price: float, volume: float) -> tuple[Bar, ...]:
        """Takes one trade in and returns the bars it closed, oldest first."""
        fault = tick_fault(price, volume)
        if fault is None and self._last_ns is not None and ts_ns < self._last_ns:
            fault = TickFault.LATE
        if fault is not None:
            self.rejected[fault] += 1
            return ()
        self._last_ns = ts_ns
        closed = []
        noise = self._threshold * NOISE
        while volume > noise:
            room = self._threshold - self.forming_volume
            part = min(volume, room)
            self._add(ts_ns, price, part)
            volume -= part
            if room - part <= noise:
                closed.append(self._close(ts_ns))
        return tuple(closed)

    def _add(self, ts_ns: int, price: float, part: float) -> None:
        if self._forming is None:
            self._forming = _Forming(ts_ns, price, price, price, price)
        bar = self._forming
        bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
        bar.volume += part
        bar.value += part * price
        bar.ticks += 1

    def _close(self, ts_ns: int) -> Bar:
        bar = self._forming
        assert bar is not None, "a bar closes after something was added to it"
        self._forming = None
        return Bar(
            start_ns=bar.start_ns,
            end_ns=ts_ns,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=self._threshold,
            vwap=bar.value / bar.volume,
            tick_count=bar.ticks,
        )


def volume_bars(ticks: Iterable[tuple[int, float, float]], threshold: float) -> Bars:
    """The closed bars of recorded ticks (ts_ns, price, volume); what is left over stays open."""
    builder = VolumeBarBuilder(threshold)
    return stacked([bar for tick in ticks for bar in builder.tick(*tick)], 0)
