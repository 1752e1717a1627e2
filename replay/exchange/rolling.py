"""The last two rows of a market that has no end: what stands in for `Ticks` when rows come one by one.

Law: the exchange asks only about the row that is now and the one before it, so two are kept.  A row means
exactly what a row of `replay.ticks.Ticks` means; nothing is invented: sizes and quotes a row does not have
are not there for the matching either.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class MarketRow:
    """One market event of one symbol.

    Attributes:
        ts_ns: exchange time, ns since 1970 UTC.
        price: last traded price in ticks.
        low, high: extremes for resting orders in ticks (a resting buy at p is reached exactly when
            ``low <= p``, a resting sell when ``high >= p``): a trade has ``low == high == price``, a quote
            has ``low == ask`` and ``high == bid``.
        qty: traded lots; 0 on quote rows.
        side: +1 when the buyer was the aggressor, -1 the seller, 0 unknown or a quote row.
        bid, ask: best quotes in ticks after the row; both 0 when there are none.
        bid_qty, ask_qty: displayed lots; both 0 when the origin has no sizes.
    """

    ts_ns: int
    price: int
    low: int
    high: int
    qty: int = 0
    side: int = 0
    bid: int = 0
    ask: int = 0
    bid_qty: int = 0
    ask_qty: int = 0

    @property
    def is_trade(self) -> bool:
        """Whether the row is a trade (and not only a change of the quotes)."""
        return self.qty > 0


def quote_row(ts_ns: int, bid: int, ask: int, bid_qty: int, ask_qty: int, last: int = 0) -> MarketRow:
    """A change of the best quotes; `last` is the last traded price (0: none yet, the mid then)."""
    price = last or (bid + ask) // 2
    return MarketRow(
        ts_ns=ts_ns,
        price=price,
        low=ask,
        high=bid,
        bid=bid,
        ask=ask,
        bid_qty=bid_qty,
        ask_qty=ask_qty,
    )


def trade_row(ts_ns: int, price: int, qty: int, side: int, before: MarketRow | None = None) -> MarketRow:
    """A trade; the quotes stay those of the row `before`."""
    return MarketRow(
        ts_ns=ts_ns,
        price=price,
        low=price,
        high=price,
        qty=qty,
        side=side,
        bid=before.bid if before else 0,
        ask=before.ask if before else 0,
        bid_qty=before.bid_qty if before else 0,
        ask_qty=before.ask_qty if before else 0,
    )


class RollingRows:
    """Columns of the last two rows, in the shape the simulated exchange reads.

    `bid`, `ask` and their sizes are None when the latest row has none: then the exchange goes by the price.
    """

    __slots__ = ("_ask", "_ask_qty", "_bid", "_bid_qty", "high", "last", "low", "price", "qty", "ts")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.price: list[int] = []
        self.low: list[int] = []
        self.high: list[int] = []
        self.qty: list[int] = []
        self._bid: list[int] = []
        self._ask: list[int] = []
        self._bid_qty: list[int] = []
        self._ask_qty: list[int] = []
        self.last: MarketRow | None = None

    def push(self, row: MarketRow) -> int:
        """Take a row; returns the index at which it stands from now on (0 for the first, then 1)."""
        for column, value in (
            (self.ts, row.ts_ns),
            (self.price, row.price),
            (self.low, row.low),
            (self.high, row.high),
            (self.qty, row.qty),
            (self._bid, row.bid),
            (self._ask, row.ask),
            (self._bid_qty, row.bid_qty),
            (self._ask_qty, row.ask_qty),
        ):
            column.append(value)
            if len(column) > 2:
                del column[0]
        self.last = row
        return len(self.ts) - 1

    @property
    def _quoted(self) -> bool:
        return self.last is not None and self.last.bid > 0 and self.last.ask > 0

    @property
    def _sized(self) -> bool:
        return self.last is not None and (self.last.bid_qty > 0 or self.last.ask_qty > 0)

    @property
    def bid(self) -> list[int] | None:
        """Best bids in ticks."""
        return self._bid if self._quoted else None

    @property
    def ask(self) -> list[int] | None:
        """Best asks in ticks."""
        return self._ask if self._quoted else None

    @property
    def bid_qty(self) -> list[int] | None:
        """Sizes at the best bid in lots."""
        return self._bid_qty if self._quoted and self._sized else None

    @property
    def ask_qty(self) -> list[int] | None:
        """Sizes at the best ask in lots."""
        return self._ask_qty if self._quoted and self._sized else None
