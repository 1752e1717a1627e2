"""Kraken's book of one pair, and the checksum that proves a copy of it.

Law: levels keep the text in which they came, because the checksum is taken over that text: ten asks upwards,
then ten bids downwards, price and quantity each without its point and its leading zeros, as CRC32.  After
each update the book is cut to the depth subscribed, since Kraken never says that a level fell out of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from zlib import crc32

from grinder.connectors.converting import positive

CHECKED_LEVELS = 10

Level = tuple[str, str]
"""(price, quantity) as text."""


class PriceBook:
    """One pair's best `depth` levels of each side.

    Args:
        price_decimals, quantity_decimals: digits after the point that the exchange checks; text that comes
            with fewer is filled up with zeros.
    """

    def __init__(self, depth: int, price_decimals: int = 0, quantity_decimals: int = 0) -> None:
        self._depth = depth
        self._decimals = (price_decimals, quantity_decimals)
        self._bids = _Levels()
        self._asks = _Levels()

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Begin anew with a snapshot.

        Raises:
            Unreadable: a level is no price with a quantity.
        """
        self._bids, self._asks = _Levels(), _Levels()
        self.apply(bids, asks)

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take over changed levels; a quantity of zero removes one.

        Raises:
            Unreadable: a level is no price with a quantity.
        """
        self._bids.apply(bids)
        self._asks.apply(asks)
        self._bids.keep_last(self._depth)
        self._asks.keep_first(self._depth)

    def best_bid(self) -> Level | None:
        """The highest price offered for, or None while nobody does."""
        return self._bids.at(-1)

    def best_ask(self) -> Level | None:
        """The lowest price asked, or None while nobody does."""
        return self._asks.at(0)

    def checksum(self) -> int:
        """CRC32 of the ten best levels of each side, as Kraken computes it."""
        best_bids = reversed(self._bids.levels()[-CHECKED_LEVELS:])
        shown = [*self._asks.levels()[:CHECKED_LEVELS], *best_bids]
        price, quantity = self._decimals
        return crc32("".join(_digits(p, price) + _digits(q, quantity) for p, q in shown).encode())


class _Levels:
    """One side, lowest price first."""

    def __init__(self) -> None:
        self._prices: list[Decimal] = []
        self._texts: dict[Decimal, Level] = {}

    def apply(self, changes: Iterable[Level]) -> None:
        for price_text, quantity_text in changes:
            price = positive(price_text, "price")
            if not positive(quantity_text, "quantity"):
                if self._texts.pop(price, None) is not None:
                    del self._prices[bisect_left(self._prices, price)]
                continue
            if price not in self._texts:
                insort(self._prices, price)
            self._texts[price] = (price_text, quantity_text)

    def keep_first(self, depth: int) -> None:
        for price in self._prices[depth:]:
            del self._texts[price]
        del self._prices[depth:]

    def keep_last(self, depth: int) -> None:
        beyond = max(0, len(self._prices) - depth)
        for price in self._prices[:beyond]:
            del self._texts[price]
        del self._prices[:beyond]

    def levels(self) -> list[Level]:
        return [self._texts[price] for price in self._prices]

    def at(self, index: int) -> Level | None:
        return self._texts[self._prices[index]] if self._prices else None


def _digits(text: str, decimals: int) -> str:
    if "e" in text or "E" in text:
        text = format(Decimal(text), "f")
    whole, _, fraction = text.partition(".")
    return (whole + fraction.ljust(decimals, "0")).lstrip("0")
