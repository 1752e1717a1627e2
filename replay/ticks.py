"""Market data of one symbol as int64 columns: the only form in which the market enters a run.

Law: readers turn files into `Ticks`; from here on nobody parses, rounds or touches a float.  A row is one
market event (a trade, a change of the best quotes, or a step of a bar's path) in the order it happened.

Two columns say what a row means for resting orders, whatever the row is:

* `low`  - a resting buy at price p is reached by the row exactly when ``low <= p``;
* `high` - a resting sell at price p is reached by the row exactly when ``high >= p``.

A trade has ``low == high == price``.  A quote has ``low == ask`` and ``high == bid``.  When the file is finer
than the instrument's tick, `low` is rounded up and `high` down: then the two comparisons above stay exact for
every price on the tick, which is all an order can have.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs
import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


class TickOrigin(Enum):
    """What the rows were made from; reports name it, because fills mean less on bars than on trades."""

    TRADES = "trades"
    QUOTES = "quotes"
    TRADES_AND_QUOTES = "trades and quotes"
    BARS = "bars"


@attrs.frozen(eq=False, kw_only=True)
class Ticks:
    """Rows of one symbol, sorted by `ts` (equal times keep file order).

    Every column is a C-contiguous int64 array of the same length.  Columns may be the same object (a file
    of trades on the tick has ``low is high is price``).

    Attributes:
        ts: exchange time of the row, ns since 1970 UTC.
        price: last traded price in ticks; the mid (floored) where the origin has no trades; on quote rows
            of a mixed origin, the last trade before it (or the mid before the first trade).
        low, high: see the module's law, in ticks.
        qty: traded quantity of the row in lots; 0 on quote rows.  None when the origin has no quantities.
        side: +1 when the buyer was the aggressor, -1 the seller, 0 unknown or a quote row; None when the
            origin does not say.
        bid, ask: best quotes in ticks after the row; None when the origin has no quotes.
        bid_qty, ask_qty: displayed size at the best quotes in lots; None with the quotes.
    """

    symbol: str
    origin: TickOrigin
    tick: Decimal = Decimal(1)
    """Price of one tick, in quote units: for people and reports; rows are already in ticks."""
    lot: Decimal = Decimal(1)
    """Quantity of one lot, in base units."""
    ts: Column
    price: Column
    low: Column
    high: Column
    qty: Column | None = None
    side: Column | None = None
    bid: Column | None = None
    ask: Column | None = None
    bid_qty: Column | None = None
    ask_qty: Column | None = None
    bar_ns: int = 0
    """Length of a bar in ns when the origin is bars, else 0."""
    off_tick_rows: int = 0
    """Rows whose prices lay between two ticks of the instrument and were rounded (see `low`, `high`)."""

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns, each shared column counted once."""
        arrays = {id(a): a.nbytes for a in attrs.astuple(self, recurse=False) if isinstance(a, np.ndarray)}
        return sum(arrays.values())
