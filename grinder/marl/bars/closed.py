"""Closed bars: one of them, and columns of many.

Law: a bar here is closed; a forming bar never leaves its builder.  Columns are checked once, where they are
made, so that whatever reads them may take logarithms and subtract neighbours without asking.  Prices are in
quote units and volumes in base units, both float64: these figures feed indicators, never an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@attrs.frozen(kw_only=True)
class Bar:
    """One closed bar, [start_ns, end_ns).

    Attributes:
        start_ns, end_ns: ns since 1970 UTC.  A bar by volume ends with the tick that closed it.
        vwap: traded value over volume; the close where nothing was traded.
        tick_count: trades in it; 0 when it was made from candles.
        synthetic: nothing happened and the bar repeats the close before it.
    """

    start_ns: int
    end_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    tick_count: int = 0
    synthetic: bool = False


@attrs.frozen(eq=False, kw_only=True)
class Bars:
    """Closed bars, oldest first; every column has shape (n,).

    Attributes:
        bar_ns: length of each; 0 for bars by volume, whose length differs.
        start_ns, end_ns: int64, ns since 1970 UTC; starts of time bars are multiples of `bar_ns` and
            increase.
        open, high, low, close, volume, vwap: float64.
        tick_count: int64.
        synthetic: bool.

    Raises:
        ValueError: columns of different lengths, times out of order or off the grid of `bar_ns`, a price that
            is not a number above zero, an open or close outside of low to high, a volume below zero.
    """

    bar_ns: int
    start_ns: Ints
    end_ns: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    tick_count: Ints
    synthetic: Mask

    def __attrs_post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in COLUMNS}
        if len(lengths) > 1:
            raise ValueError(f"columns of bars have one length, not {sorted(lengths)}")
        if self.bar_ns and ((self.start_ns % self.bar_ns != 0).any() or (np.diff(self.start_ns) <= 0).any()):
            raise ValueError(f"starts of bars increase and are multiples of {self.bar_ns} ns")
        body_low, body_high = np.minimum(self.open, self.close), np.maximum(self.open, self.close)
        inside = (self.low > 0) & (self.low <= body_low) & (body_high <= self.high) & (self.high < np.inf)
        if not inside.all():
            raise ValueError(f"bar {int(np.argmin(inside))} has no 0 < low <= open, close <= high")
        if not ((self.volume >= 0) & (self.volume < np.inf)).all():
            raise ValueError("a volume is a number of at least zero")

    def __len__(self) -> int:
        return len(self.start_ns)

    def __getitem__(self, rows: slice | Mask | NDArray[np.intp]) -> Bars:
        """The bars of a slice, a mask or indexes."""
        return attrs.evolve(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def bar(self, index: int) -> Bar:
        """One row."""
        return Bar(**{name: getattr(self, name)[index].item() for name in COLUMNS})


COLUMNS = tuple(one.name for one in attrs.fields(Bars) if one.name != "bar_ns")


def stacked(rows: Sequence[Bar], bar_ns: int) -> Bars:
    """Bars one by one as columns; `bar_ns` 0 for bars by volume."""
    kinds: dict[str, type] = dict.fromkeys(COLUMNS, np.float64)
    kinds |= dict.fromkeys(("start_ns", "end_ns", "tick_count"), np.int64) | {"synthetic": np.bool_}
    columns: dict[str, Any] = {
        name: np.array([getattr(row, name) for row in rows], dtype=kinds[name]) for name in COLUMNS
    }
    return Bars(bar_ns=bar_ns, **columns)


def from_candles(
    bar_ns: int,
    start_ns: Ints,
    prices: tuple[Floats, Floats, Floats, Floats],
    volume: Floats,
) -> Bars:
    """Bars of candle columns, as exchanges and files have them.

    Args:
        bar_ns: length of a candle.
        start_ns: their starts.
        prices: open, high, low, close.
        volume: in base units.

    A candle does not say its vwap: the typical price (H + L + C) / 3 stands for it, the close without volume.

    Raises:
        ValueError: as `Bars`.
    """
    opened, high, low, close = (np.asarray(one, dtype=np.float64) for one in prices)
    volume = np.asarray(volume, dtype=np.float64)
    start_ns = np.asarray(start_ns, dtype=np.int64)
    return Bars(
        bar_ns=bar_ns,
        start_ns=start_ns,
        end_ns=start_ns + bar_ns,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=np.where(volume > 0, (high + low + close) / 3, close),
        tick_count=np.zeros(len(start_ns), dtype=np.int64),
        synthetic=np.zeros(len(start_ns), dtype=np.bool_),
    )


def latest_closed(slow: Bars, at_ns: Ints) -> Ints:
    """Index of the last of the `slow` bars that had closed at each time, -1 before the first.

    This is the one way in which a faster timeframe reads a slower one: a bar that ends at the very time
    counts, a forming one never does.  Shape of `at_ns`.
    """
    return np.searchsorted(slow.end_ns, at_ns, side="right").astype(np.int64) - 1
