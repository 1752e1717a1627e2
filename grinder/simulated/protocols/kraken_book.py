"""A book around the quotes of a market that has none: what the simulated Kraken shows.

Law: the best level of each side is the market's; the nine behind it are a tick apart, with sizes that follow
from their prices.  An update tells exactly what changed, so a client that applies it and cuts its copy to the
depth holds the same ten levels, and the checksum is theirs.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from domain.instrument import Instrument
from grinder.connectors.converting import Scales
from grinder.simulated.protocols.kraken_wording import Digits, quantity
from replay.exchange.rolling import MarketRow

LEVELS = 10

Side = dict[int, int]
"""ticks -> lots"""


class ShownBook:
    """One symbol's ten levels a side, as they are shown now."""

    def __init__(self, scales: Scales, symbol: str) -> None:
        self._scales = scales
        self._symbol = symbol
        self._instrument: Instrument = scales.instrument(symbol)
        self._bids: Side = {}
        self._asks: Side = {}

    def move(self, row: MarketRow) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The market moved: what changed of (bids, asks)."""
        bid, ask = (row.bid, row.ask) if row.bid and row.ask else (row.price - 1, row.price + 1)
        bids = {bid - at: row.bid_qty if at == 0 and row.bid_qty else _size(bid - at) for at in range(LEVELS)}
        asks = {ask + at: row.ask_qty if at == 0 and row.ask_qty else _size(ask + at) for at in range(LEVELS)}
        bids = {price: lots for price, lots in bids.items() if price > 0}
        changed = self._changes(self._bids, bids), self._changes(self._asks, asks)
        self._bids, self._asks = bids, asks
        return changed

    def snapshot(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(bids, asks), best first."""
        bids = [self._level(price, self._bids[price]) for price in sorted(self._bids, reverse=True)]
        return bids, [self._level(price, self._asks[price]) for price in sorted(self._asks)]

    def checksum(self) -> int:
        """CRC32 over the asks upwards, then the bids downwards."""
        bids, asks = self.snapshot()
        told = (one[what].text for one in (*asks, *bids) for what in ("price", "qty"))
        return crc32("".join(text.replace(".", "").lstrip("0") for text in told).encode())

    def _changes(self, before: Side, after: Side) -> list[dict[str, Any]]:
        gone = [self._level(price, 0) for price in before if price not in after]
        return gone + [self._level(p, lots) for p, lots in after.items() if before.get(p) != lots]

    def _level(self, price: int, lots: int) -> dict[str, Any]:
        return {
            "price": Digits(self._scales.price_text(self._symbol, price)),
            "qty": Digits(quantity(self._instrument, lots)),
        }


def _size(price: int) -> int:
    """Lots at a level that the market says nothing of."""
    return 100 + price * 7919 % 900
