"""Bars of one length from shorter ones, and intervals that candles leave out.

Law: a longer bar is the exact aggregate of the shorter ones inside of it and exists only when all of them do;
one with a hole (a session break, the start of a recording) is left out, never guessed.
"""

from __future__ import annotations

import numpy as np

from grinder.marl.bars.closed import Bar, Bars, stacked
from grinder.marl.bars.tick_bars import Taken, TimeBarBuilder
from grinder.marl.schema import STRATEGIC_NS, TACTICAL_NS


def aggregate(bars: Bars, bar_ns: int) -> Bars:
    """Complete bars of `bar_ns` made of shorter ones: open of the first, close of the last, extremes, sums.

    The vwap is weighted by volume; a bar is synthetic when all of its parts are.

    Raises:
        ValueError: `bar_ns` is no multiple of the length of the given bars.
    """
    if bars.bar_ns <= 0 or bar_ns % bars.bar_ns:
        raise ValueError(f"{bar_ns} ns is no multiple of bars of {bars.bar_ns} ns")
    parts = bar_ns // bars.bar_ns
    group = bars.start_ns // bar_ns
    # Starts increase on their grid, so a group with as many rows as a long bar has parts is complete.
    first = np.flatnonzero(np.diff(group, prepend=-1) != 0)
    count = np.diff(np.append(first, len(group)))
    rows = first[count == parts][:, None] + np.arange(parts)
    volume = bars.volume[rows].sum(axis=1)
    value = (bars.vwap[rows] * bars.volume[rows]).sum(axis=1)
    close = bars.close[rows[:, -1]]
    return Bars(
        bar_ns=bar_ns,
        start_ns=bars.start_ns[rows[:, 0]],
        end_ns=bars.end_ns[rows[:, -1]],
        open=bars.open[rows[:, 0]],
        high=bars.high[rows].max(axis=1),
        low=bars.low[rows].min(axis=1),
        close=close,
        volume=volume,
        vwap=np.where(volume > 0, value / np.where(volume > 0, volume, 1.0), close),
        tick_count=bars.tick_count[rows].sum(axis=1),
        synthetic=bars.synthetic[rows].all(axis=1),
    )


def filled(bars: Bars) -> Bars:
    """The same bars, and a synthetic one (the close before it, volume 0) in every missing interval."""
    if len(bars) == 0:
        return bars
    starts = np.arange(bars.start_ns[0], bars.start_ns[-1] + 1, bars.bar_ns, dtype=np.int64)
    last = np.searchsorted(bars.start_ns, starts, side="right") - 1
    made = bars.start_ns[last] != starts
    close = bars.close[last]
    return Bars(
        bar_ns=bars.bar_ns,
        start_ns=starts,
        end_ns=starts + bars.bar_ns,
        open=np.where(made, close, bars.open[last]),
        high=np.where(made, close, bars.high[last]),
        low=np.where(made, close, bars.low[last]),
        close=close,
        volume=np.where(made, 0.0, bars.volume[last]),
        vwap=np.where(made, close, bars.vwap[last]),
        tick_count=np.where(made, 0, bars.tick_count[last]),
        synthetic=made | bars.synthetic[last],
    )


class Joiner:
    """Joins short bars, as they close, into long ones.

    Attributes:
        incomplete: long bars that were given up because a part was missing.
    """

    def __init__(self, short_ns: int, long_ns: int) -> None:
        self._short_ns, self._long_ns = short_ns, long_ns
        self._parts: list[Bar] = []
        self.incomplete = 0

    def push(self, bar: Bar) -> Bar | None:
        """The long bar that this short one completes, if it does."""
        if self._parts and self._parts[0].start_ns // self._long_ns != bar.start_ns // self._long_ns:
            self.incomplete += 1
            self._parts = []
        self._parts.append(bar)
        if bar.end_ns % self._long_ns:
            return None
        joined = aggregate(stacked(self._parts, self._short_ns), self._long_ns)
        self._parts = []
        if len(joined) == 0:
            self.incomplete += 1
            return None
        return joined.bar(0)


class TimeframesBuilder:
    """Ticks to bars of 5 and 30 minutes in the order of their ends; where both end, the short one comes
    first.

    Attributes:
        short: the builder of 5-minute bars, with the counts of its ticks.
        joiner: what joins them.
    """

    def __init__(self, breaks: tuple[tuple[int, int], ...] = ()) -> None:
        self.short = TimeBarBuilder(TACTICAL_NS, breaks)
        self.joiner = Joiner(TACTICAL_NS, STRATEGIC_NS)

    def tick(self, ts_ns: int, price: float, volume: float) -> tuple[Taken, tuple[Bar, ...]]:
        """What became of a tick, and the bars of both lengths that it closed."""
        taken = self.short.tick(ts_ns, price, volume)
        return taken, self._with_long(taken.closed)

    def clock(self, now_ns: int) -> tuple[Bar, ...]:
        """Bars of both lengths whose end has come."""
        return self._with_long(self.short.clock(now_ns))

    def _with_long(self, closed: tuple[Bar, ...]) -> tuple[Bar, ...]:
        bars: list[Bar] = []
        for bar in closed:
            bars.append(bar)
            joined = self.joiner.push(bar)
            if joined is not None:
                bars.append(joined)
        return tuple(bars)
