"""The path the price is taken to have walked inside a bar.

Law: the path is a function of the bar alone, so a backtest on bars repeats bit for bit.  A bar becomes four
rows: the open at its start, the extreme nearer to the open after a quarter of it (the low when both are
equally near), the other extreme at half, and the close at its last ns (start + bar - 1).  Every row carries a
quarter of the volume; what does not divide goes to the close.  Reality may have visited the extremes in the
other order or more than once: that is the honesty of a backtest on bars, and reports name the origin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grinder.data.fixed import Column
from grinder.data.raw import RawTable

POINTS = 4


def path_times(starts: Column, bar_ns: int) -> Column:
    """Times of the four points of every bar, ns; shape (4 * bars,)."""
    offsets = np.array([0, bar_ns // 4, bar_ns // 2, bar_ns - 1], dtype=np.int64)
    return (starts[:, None] + offsets).reshape(-1)


def path_prices(table: RawTable) -> Column:
    """Prices of the four points of every bar, in the table's own mantissas; shape (4 * bars,)."""
    opened, high, low, close = _ohlc(table)
    low_first: NDArray[np.bool_] = opened - low <= high - opened
    second = np.where(low_first, low, high)
    third = np.where(low_first, high, low)
    return np.stack((opened, second, third, close), axis=1).reshape(-1)


def path_quantities(lots: Column) -> Column:
    """A bar's lots spread over its four points; shape (4 * bars,)."""
    quarter = lots // POINTS
    rest = lots - (POINTS - 1) * quarter
    return np.stack((quarter, quarter, quarter, rest), axis=1).reshape(-1)


def _ohlc(table: RawTable) -> tuple[Column, Column, Column, Column]:
    if table.open is None or table.high is None or table.low is None or table.close is None:
        raise ValueError("a table of bars has open, high, low and close")
    return table.open, table.high, table.low, table.close
