"""The next row that anybody wants to hear of.

Law: exact and exhaustive: the answer is the first row at or after `start` with ``low <= le`` or
``high >= ge``.  Blocks of `BLOCK` rows whose extremes cannot match are skipped without looking inside.
"""

from __future__ import annotations

import numpy as np

from replay.ticks import Column

BLOCK = 1024

_LOWEST, _HIGHEST = -(1 << 62), 1 << 62


class ExtremeIndex:
    """Block minima of one column and block maxima of another (or the same), for `first`."""

    def __init__(self, low: Column, high: Column) -> None:
        self._low, self._high = low, high
        edges = np.arange(0, len(low), BLOCK)
        self._mins = np.minimum.reduceat(low, edges) if len(low) else low[:0]
        self._maxs = np.maximum.reduceat(high, edges) if len(high) else high[:0]

    def first(self, start: int, le: int | None, ge: int | None) -> int | None:
        """Index of the first row at or after `start` with ``low <= le`` or ``high >= ge``; None if none."""
        size = len(self._low)
        if start >= size or (le is None and ge is None):
            return None
        below = _LOWEST if le is None else min(le, _HIGHEST)
        above = _HIGHEST if ge is None else max(ge, _LOWEST)
        end = min(size, (start // BLOCK + 1) * BLOCK)
        found = self._within(start, end, below, above)
        if found is not None or end == size:
            return found
        block = end // BLOCK
        hits = (self._mins[block:] <= below) | (self._maxs[block:] >= above)
        offset = int(hits.argmax())
        if not hits[offset]:
            return None
        start = (block + offset) * BLOCK
        return self._within(start, min(size, start + BLOCK), below, above)

    def _within(self, start: int, end: int, below: int, above: int) -> int | None:
        hits = (self._low[start:end] <= below) | (self._high[start:end] >= above)
        offset = int(hits.argmax())
        return start + offset if hits[offset] else None
