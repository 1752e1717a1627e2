"""LVN, low volume nodes: prices inside of the recent range at which little was traded.

Law: the profile spreads a bar's volume evenly over the prices it covered, which is all that a bar says; a bar
of one price puts it there.  Read on raw bars: volume was traded at true prices only.

A node is a longest run of bins below 30 % of the fullest one that touches neither end of the range: thin ends
are where the market turned, not what it passed through.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from grinder.marl.bars.closed import Bars, Floats, Ints

BLOCK = 256
"""Profiles made at a time: bounds the memory of a long series."""


@attrs.frozen(kw_only=True)
class LvnSettings:
    """Attributes:
    window: bars of a profile.
    bins: equal parts of the range.
    thin: a bin below this share of the fullest one is thin.
    tick: when given, a bin is a whole number of ticks high and starts on one; fewer of the bins may be used.
    """

    window: int = 20
    bins: int = 50
    thin: float = 0.30
    tick: float | None = None


@attrs.frozen(eq=False, kw_only=True)
class Lvn:
    """Shape (n,) each.

    Attributes:
        price: centre of the thinnest bin of the node nearest to the close, quote units; 0 without one.
        strength: 100 * (1 - its volume / that of the fullest bin); 0 without one.
        distance: |close - price|, quote units; 0 without one.
        found: whether there is a node.
        skew: skewness of the profile by bins; 0 where it has no width, NaN before the first profile.
    """

    price: Floats
    strength: Floats
    distance: Floats
    found: Floats
    skew: Floats


@attrs.frozen(eq=False, kw_only=True)
class Profile:
    """Volume by price.

    Attributes:
        bottom: lower edge of the first bin, quote units, shape (rows,).
        height: of a bin, quote units, shape (rows,).
        volume: shape (rows, bins), base units.
        last: index of the bin that holds the highest price, shape (rows,).
    """

    bottom: Floats
    height: Floats
    volume: Floats
    last: Ints


def lvn(bars: Bars, settings: LvnSettings | None = None) -> Lvn:
    """Nodes of raw bars; nothing is found before the first full window."""
    chosen = settings or LvnSettings()
    size, first = len(bars), chosen.window - 1
    out = np.zeros((5, size))
    out[4, :first] = np.nan
    for start in range(first, size, BLOCK):
        stop = min(start + BLOCK, size)
        made = profiles(bars[start - first : stop], chosen)
        out[:4, start:stop] = _nodes(made, bars.close[start:stop], chosen.thin)
        out[4, start:stop] = skewness(made)
    return Lvn(price=out[0], strength=out[1], distance=out[2], found=out[3], skew=out[4])


def profiles(bars: Bars, settings: LvnSettings | None = None) -> Profile:
    """The profile of every full window; len(bars) - window + 1 rows."""
    chosen = settings or LvnSettings()
    high, low, volume = (
        np.ascontiguousarray(sliding_window_view(one, chosen.window))
        for one in (bars.high, bars.low, bars.volume)
    )
    bottom, top = low.min(axis=1), high.max(axis=1)
    if chosen.tick is not None:
        bottom = np.floor(bottom / chosen.tick) * chosen.tick
        height = np.maximum(np.ceil((top - bottom) / chosen.bins / chosen.tick - 1e-9), 1.0) * chosen.tick
    else:
        height = (top - bottom) / chosen.bins
    solid = np.where(height > 0, height, 1.0)
    last = np.clip(np.ceil((top - bottom) / solid - 1e-9).astype(np.int64) - 1, 0, chosen.bins - 1)
    edges = bottom[:, None] + solid[:, None] * np.arange(1, chosen.bins, dtype=np.float64)
    span = high - low
    share = (edges[:, None, :] - low[:, :, None]) / np.where(span > 0, span, 1.0)[:, :, None]
    point = (edges[:, None, :] > low[:, :, None]).astype(np.float64)
    below = np.where(span[:, :, None] > 0, np.clip(share, 0.0, 1.0), point)
    # What lies below each edge; nothing below the first and everything below the last.
    total = (below * volume[:, :, None]).sum(axis=1)
    total = np.concatenate([np.zeros((len(low), 1)), total, volume.sum(axis=1)[:, None]], axis=1)
    return Profile(bottom=bottom, height=height, volume=np.maximum(np.diff(total, axis=1), 0.0), last=last)


def skewness(made: Profile) -> Floats:
    """Sum of v * ((b - mean) / s)^3 over sum of v, b the number of a bin; 0 where nothing spreads."""
    number = np.arange(made.volume.shape[1], dtype=np.float64)
    total = made.volume.sum(axis=1)
    share = made.volume / np.where(total > 0, total, 1.0)[:, None]
    mean = (share * number).sum(axis=1)
    away = number - mean[:, None]
    deviation = np.sqrt((share * away**2).sum(axis=1))
    known = deviation > 1e-9
    third = (share * away**3).sum(axis=1)
    return np.where(known, third / np.where(known, deviation, 1.0) ** 3, 0.0)


def value_area(made: Profile, row: int, share: float = 0.70) -> tuple[float, float]:
    """Lowest and highest price of the bins around the fullest one that hold `share` of the volume, quote
    units.

    Grows by the fuller neighbour bin, the lower one if both are equally full.
    """
    volume = made.volume[row]
    low = high = int(np.argmax(volume))
    held, wanted = float(volume[low]), share * float(volume.sum())
    while held < wanted and (low > 0 or high < len(volume) - 1):
        below = volume[low - 1] if low > 0 else -1.0
        above = volume[high + 1] if high < len(volume) - 1 else -1.0
        if below >= above:
            low -= 1
        else:
            high += 1
        held += float(max(below, above))
    bottom, height = float(made.bottom[row]), float(made.height[row])
    return bottom + low * height, bottom + (high + 1) * height


def _nodes(made: Profile, closes: Floats, thin_share: float) -> Floats:
    """Price, strength, distance and flag of the nearest node of each row; shape (4, rows)."""
    fullest = made.volume.max(axis=1)
    thin = (made.volume < thin_share * fullest[:, None]) & (made.height > 0)[:, None]
    out = np.zeros((4, len(closes)))
    for row in np.flatnonzero(thin.any(axis=1)).tolist():
        volume, height = made.volume[row], made.height[row]
        nodes = []
        for begin, end in _runs(thin[row, : made.last[row] + 1]):
            if begin == 0 or end == made.last[row] + 1:
                continue
            lowest = begin + int(np.argmin(volume[begin:end]))
            price = float(made.bottom[row] + (lowest + 0.5) * height)
            nodes.append(
                (abs(float(closes[row]) - price), price, 100.0 * (1.0 - float(volume[lowest] / fullest[row])))
            )
        if nodes:
            distance, price, strength = min(nodes)
            out[:, row] = price, strength, distance, 1.0
    return out


def _runs(thin: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    """[begin, end) of every longest run of True."""
    edges = np.flatnonzero(np.diff(thin.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
