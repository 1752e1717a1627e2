"""Heikin-Ashi: bars that average a bar with the one before it.

Law: prices change, times and volumes do not.  These are no traded prices: momentum reads them, a volume
profile or a gap must not.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars


def heikin_ashi(bars: Bars) -> Bars:
    """C = (O + H + L + C) / 4; O = mean of O and C before, the first (O + C) / 2; H and L contain both."""
    close = (bars.open + bars.high + bars.low + bars.close) / 4
    # A mean of four equal prices may leave them by one rounding; a price stays inside of its bar.
    close = np.clip(close, bars.low, bars.high)
    opened = np.empty_like(close)
    for index in range(len(bars)):
        if index == 0:
            opened[index] = (bars.open[0] + bars.close[0]) / 2
        else:
            opened[index] = (opened[index - 1] + close[index - 1]) / 2
    return attrs.evolve(
        bars,
        open=opened,
        high=np.maximum(bars.high, np.maximum(opened, close)),
        low=np.minimum(bars.low, np.minimum(opened, close)),
        close=close,
    )
