"""What a reader yields: a file's rows as exact decimals, before any instrument is known.

Law: nothing here knows a tick or a lot.  Prices of a table share one number of decimals, quantities
another; both are int64 mantissas.  A table holds one symbol, sorted by time unless it carries a fault that
says otherwise; a row of a *mixed* table is a trade where `trade` is true and a quote elsewhere.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from grinder.data.faults import DataFault
from grinder.data.fixed import Column


class Kind(Enum):
    """What a row of a table is."""

    TRADES = "trades"
    QUOTES = "quotes"
    BARS = "bars"
    BOOK = "book"
    """Best quotes kept from the updates of an order book; loads as quotes."""
    MIXED = "trades and quotes"


@attrs.frozen(eq=False, kw_only=True)
class RawTable:
    """Rows of one symbol in one file.

    Attributes:
        symbol: as the file spells it; None when the file does not say.
        ts: ns since 1970 UTC; for bars the start of the bar.
        price_decimals, qty_decimals: decimals of every price and every quantity column.
        price, qty, side: trades; qty is a bar's volume for bars, side is +1 for a buying aggressor, -1 for
            a selling one, 0 where unknown.
        bid, ask, bid_qty, ask_qty: quotes.
        open, high, low, close: bars.
        trade: mixed tables only: True where the row is a trade.  None when every row is.
        ids: trade ids where the file has them, int64 or bytes; `ids_count_up` when they have no holes.
        row: 1-based place of each row in the file; None means `first_row` and counting.
        bar_ns: length of a bar; 0 for other kinds.
        reordered: rows of a recording that had arrived out of exchange time order.
    """

    kind: Kind
    ts: Column
    symbol: str | None = None
    price_decimals: int = 0
    qty_decimals: int = 0
    price: Column | None = None
    qty: Column | None = None
    side: Column | None = None
    bid: Column | None = None
    ask: Column | None = None
    bid_qty: Column | None = None
    ask_qty: Column | None = None
    open: Column | None = None
    high: Column | None = None
    low: Column | None = None
    close: Column | None = None
    trade: NDArray[np.bool_] | None = None
    ids: NDArray[Any] | None = None
    ids_count_up: bool = False
    row: Column | None = None
    first_row: int = 1
    bar_ns: int = 0
    reordered: int = 0

    def __len__(self) -> int:
        return len(self.ts)

    def rows(self, indexes: NDArray[np.intp]) -> Column:
        """1-based places in the file of the given row indexes."""
        return indexes.astype(np.int64) + self.first_row if self.row is None else self.row[indexes]

    def take(self, indexes: NDArray[Any]) -> RawTable:
        """The rows at `indexes` (integers or a boolean mask), in that order; nothing else changes."""
        picked: dict[str, Any] = {
            name: value[indexes]
            for name, value in attrs.asdict(self, recurse=False).items()
            if isinstance(value, np.ndarray)
        }
        if self.row is None:
            picked["row"] = self.rows(np.arange(len(self)))[indexes]
        return attrs.evolve(self, **picked)


PRICE_COLUMNS = ("price", "bid", "ask", "open", "high", "low", "close")
QTY_COLUMNS = ("qty", "bid_qty", "ask_qty")


@attrs.frozen(eq=False, kw_only=True)
class RawFile:
    """What one file holds.

    Attributes:
        format: name of the reader that knew it.
        tables: one per symbol, the largest first.
        rows: rows of the file as a person counts them (lines without the header, or table rows).
        time_unit: unit the file's times were written in (s, ms, us, ns, iso, datetime, unknown, mixed).
        faults: everything found, in the order it was found.
    """

    format: str
    tables: tuple[RawTable, ...]
    rows: int
    time_unit: str
    faults: tuple[DataFault, ...] = ()
