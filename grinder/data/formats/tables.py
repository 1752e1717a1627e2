"""Layouts of tables: which column is what.

Law: a table format is data.  A CSV with a header, a feather and a parquet file of the same columns are one
layout; a layout is chosen by the columns it needs, the most demanding first.  CSV files without a header get
their names from the shape of their first row (`headerless`), which is unambiguous for the formats known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from grinder.data.arrow import arrow_columns, is_arrow
from grinder.data.columns import Columns, from_lines
from grinder.data.faults import DataFault, FaultCode
from grinder.data.raw import Kind, RawFile, RawTable
from grinder.data.source import Source


@attrs.frozen
class Layout:
    """A table format: its name, the columns that make it this one, and how they become a `RawTable`."""

    name: str
    needs: tuple[str, ...]
    read: Callable[[Columns], RawTable]


@attrs.frozen(kw_only=True)
class TradeColumns:
    """Where a table of trades keeps its facts; ``None`` when it does not have them.

    `buyer` is true when the buyer was the aggressor; `buyer_maker` when the seller was.
    """

    time: str
    price: str
    qty: str
    buyer: str | None = None
    buyer_maker: str | None = None
    ids: str | None = None
    ids_count_up: bool = False
    symbol: str | None = None

    def __call__(self, columns: Columns) -> RawTable:
        """Read the trades."""
        price_decimals, (price,) = columns.decimals(self.price)
        qty_decimals, (qty,) = columns.decimals(self.qty)
        side = None
        if self.buyer:
            side = np.where(columns.flags(self.buyer), 1, -1).astype(np.int64)
        elif self.buyer_maker:
            side = np.where(columns.flags(self.buyer_maker), -1, 1).astype(np.int64)
        return RawTable(
            kind=Kind.TRADES,
            symbol=columns.symbol(self.symbol) if self.symbol else None,
            ts=columns.times(self.time),
            price=price,
            qty=qty,
            side=side,
            ids=columns.ids(self.ids) if self.ids else None,
            ids_count_up=self.ids_count_up,
            price_decimals=price_decimals,
            qty_decimals=qty_decimals,
            first_row=columns.first_row,
        )


@attrs.frozen(kw_only=True)
class QuoteColumns:
    """Where a table of best quotes keeps its facts."""

    time: str
    bid: str
    ask: str
    bid_qty: str
    ask_qty: str
    symbol: str | None = None
    kind: Kind = Kind.QUOTES

    def __call__(self, columns: Columns) -> RawTable:
        """Read the quotes."""
        price_decimals, (bid, ask) = columns.decimals(self.bid, self.ask)
        qty_decimals, (bid_qty, ask_qty) = columns.decimals(self.bid_qty, self.ask_qty)
        return RawTable(
            kind=self.kind,
            symbol=columns.symbol(self.symbol) if self.symbol else None,
            ts=columns.times(self.time),
            bid=bid,
            ask=ask,
            bid_qty=bid_qty,
            ask_qty=ask_qty,
            price_decimals=price_decimals,
            qty_decimals=qty_decimals,
            first_row=columns.first_row,
        )


def tabular(source: Source) -> Columns:
    """The columns of a CSV, feather or parquet file."""
    if is_arrow(source):
        return arrow_columns(source)
    lines = source.lines
    header = names_of(lines[0]) if lines else ()
    if header and not any(_is_value(name) for name in header):
        return from_lines(header, lines[1:], 2)
    return from_lines(headerless(lines[0]) if lines else (), lines, 1)


def names_of(line: bytes) -> tuple[str, ...]:
    """Column names of a header line, lower case, unquoted."""
    return tuple(cell.strip().strip('"').lower() for cell in line.decode("utf-8", "replace").split(","))


def _is_value(text: str) -> bool:
    return bool(text) and (text[0].isdigit() or text[0] in "-+." or text in ("true", "false"))


def is_tabular(source: Source) -> bool:
    """Whether the first line is a row of commas, or the file is feather or parquet."""
    if is_arrow(source):
        return True
    first = source.head.split(b"\n", 1)[0]
    return b"," in first and b"\0" not in first and not first.lstrip().startswith((b"{", b"["))


ARCHIVE_COLUMNS = {
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
    "spot aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker,is_best_match",
    "futures aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker",
    "spot trades": "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
    "futures trades": "id,price,qty,quote_qty,time,is_buyer_maker",
    "bookTicker": "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,"
    "transaction_time,event_time",
    "kraken": "ts_s,price,volume",
}


def headerless(line: bytes) -> tuple[str, ...]:
    """Column names for a first row without a header, by how many cells it has and which are booleans."""
    cells = names_of(line)
    flags = tuple(cell in ("true", "false") for cell in cells)
    shape = (len(cells), sum(flags))
    known = {
        (12, 0): "klines",
        (8, 2): "spot aggTrades",
        (7, 1): "futures aggTrades",
        (7, 2): "spot trades",
        (6, 1): "futures trades",
        (7, 0): "bookTicker",
        (3, 0): "kraken",
    }.get(shape)
    if known is None:
        return tuple(f"column_{number}" for number in range(len(cells)))
    return tuple(ARCHIVE_COLUMNS[known].split(","))


def layout_for(columns: Columns, layouts: Sequence[Layout]) -> Layout | None:
    """The first layout whose columns are all there."""
    return next((layout for layout in layouts if columns.has(*layout.needs)), None)


def read_tabular(source: Source, layouts: Sequence[Layout]) -> RawFile | None:
    """The file through the layout that fits, or None when none does."""
    columns = tabular(source)
    layout = layout_for(columns, layouts)
    if layout is None:
        return None
    if not len(columns):
        empty = DataFault(code=FaultCode.EMPTY, row=0, what="the file has a header and no rows")
        faults = (*columns.faults, empty)
        return RawFile(format=layout.name, tables=(), rows=0, time_unit="unknown", faults=faults)
    table = layout.read(columns)
    return RawFile(
        format=layout.name,
        tables=(table,) if len(table) else (),
        rows=len(columns),
        time_unit=columns.time_unit,
        faults=tuple(columns.faults),
    )
