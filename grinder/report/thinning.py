"""Thinning: fewer points for a chart, with every extreme where it was.

Law: of each bucket the first, the lowest, the highest and the last point stay, unchanged and in order; so the
highest and lowest value of the whole line are on the chart exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MOST_POINTS = 4_000
"""More than a wide screen has columns of pixels; a browser still draws it at once."""

_PER_BUCKET = 4


def kept(
    values: Sequence[Any], most: int = MOST_POINTS, key: Callable[[Any], Any] | None = None
) -> list[int]:
    """Places of the values to keep, rising; all of them when there are no more than `most`.

    `key` turns a value into something that can be compared.
    """
    size = len(values)
    if size <= most:
        return list(range(size))
    buckets = max(1, most // _PER_BUCKET)
    ordered = list(map(key, values)) if key else values
    places: list[int] = []
    for bucket in range(buckets):
        begin, end = bucket * size // buckets, (bucket + 1) * size // buckets
        inside = range(begin, end)
        low = min(inside, key=ordered.__getitem__)
        high = max(inside, key=ordered.__getitem__)
        places += sorted({begin, low, high, end - 1})
    return places
