"""A local order book from Binance's diffs and a snapshot.

Law: the book is either known to be whole or says that it is not; a diff that does not follow the last one
makes it stale until a snapshot joins the diffs again.  No I/O: whoever holds it fetches the snapshot when
`needs_snapshot` says so and hands it in.

Theory: diffs carry the first and last update id they cover (``U``, ``u``).  Those that end before the
snapshot are dropped; the first one used must cover the id after it.  From then on, spot diffs follow when
``U`` is the last ``u`` plus one, USDM diffs when ``pu`` is the last ``u``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from grinder.connectors.converting import Scales, Unreadable, positive

MOST_BUFFERED = 10_000
"""Diffs kept while there is no snapshot; 100 ms diffs fill this in a quarter of an hour."""


class DepthBook:
    """The book of one symbol.

    Args:
        futures: diffs are chained by ``pu``, as on USDM.

    Attributes:
        bids, asks: lots by price in ticks; empty while `needs_snapshot`.
        gaps: how often a diff did not follow the last one.
    """

    def __init__(self, symbol: str, scales: Scales, *, futures: bool) -> None:
        self.symbol = symbol
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.needs_snapshot = True
        self.gaps = 0
        self._scales = scales
        self._futures = futures
        self._last = 0
        self._joined = False
        self._waiting: deque[Mapping[str, Any]] = deque(maxlen=MOST_BUFFERED)

    def diff(self, event: Mapping[str, Any]) -> bool:
        """Take a ``depthUpdate``.

        Returns:
            whether the book is whole after it.

        Raises:
            Unreadable: it is no such event; the book is stale then.
        """
        if self.needs_snapshot:
            self._waiting.append(event)
            return False
        if not self._apply(event):
            self._lose(event)
        return not self.needs_snapshot

    def snapshot(self, payload: Mapping[str, Any]) -> bool:
        """Take an answer of ``/depth`` and join the waiting diffs to it.

        Returns:
            whether the book is whole; False when the snapshot is older than the first waiting diff, or the
            waiting diffs have a hole: fetch another.

        Raises:
            Unreadable: it is no such answer.
        """
        last = _whole(payload, "lastUpdateId")
        waiting = [event for event in self._waiting if _whole(event, "u") > last - self._futures]
        if waiting and not self._joins(waiting[0], last):
            return False
        self.bids = self._levels(payload, "bids")
        self.asks = self._levels(payload, "asks")
        self._last, self._joined, self.needs_snapshot = last, False, False
        self._waiting.clear()
        for place, event in enumerate(waiting):
            if not self._apply(event):
                self._lose(event)
                self._waiting.extend(waiting[place + 1 :])
                return False
        return True

    def best(self) -> tuple[int, int] | None:
        """Best bid and ask in ticks, or None while the book is stale or one side is empty."""
        if self.needs_snapshot or not self.bids or not self.asks:
            return None
        return max(self.bids), min(self.asks)

    def _apply(self, event: Mapping[str, Any]) -> bool:
        first, last = _whole(event, "U"), _whole(event, "u")
        if not self._joined:
            if last < self._last or (last == self._last and not self._futures):
                return True  # ends with or before the snapshot
            if not self._joins(event, self._last):
                return False
            self._joined = True
        elif (_whole(event, "pu") if self._futures else first - 1) != self._last:
            return False
        try:
            for side, levels in (("b", self.bids), ("a", self.asks)):
                for ticks, lots in self._levels(event, side).items():
                    if lots:
                        levels[ticks] = lots
                    else:
                        levels.pop(ticks, None)
        except Unreadable:
            self._lose(event)
            raise
        self._last = last
        return True

    def _joins(self, event: Mapping[str, Any], snapshot_id: int) -> bool:
        """Whether a diff leaves no hole after a snapshot; on USDM ids are skipped, so ``pu`` may tell."""
        if _whole(event, "U") <= snapshot_id + 1:
            return True
        return self._futures and _whole(event, "pu") == snapshot_id

    def _levels(self, payload: Mapping[str, Any], side: str) -> dict[int, int]:
        rows = payload.get(side)
        if not isinstance(rows, list):
            raise Unreadable(f"a book without {side}")
        levels = {}
        for row in rows:
            if not isinstance(row, list) or len(row) < 2:
                raise Unreadable(f"a level of a book: {row!r}")
            levels[self._scales.ticks(self.symbol, row[0])] = self._size(row[1])
        return levels

    def _size(self, text: object) -> int:
        """Whole lots of a level.  Real books hold rests of finer steps of long ago: they count as one lot."""
        if not positive(text, "quantity"):
            return 0
        return max(1, self._scales.whole_lots(self.symbol, text))

    def _lose(self, event: Mapping[str, Any]) -> None:
        self.gaps += 1
        self.needs_snapshot = True
        self.bids, self.asks = {}, {}
        self._waiting.clear()
        self._waiting.append(event)


def _whole(payload: Mapping[str, Any], key: str) -> int:
    number = payload.get(key)
    if not isinstance(number, int) or isinstance(number, bool):
        raise Unreadable(f"{key} is no update id: {number!r}")
    return number
