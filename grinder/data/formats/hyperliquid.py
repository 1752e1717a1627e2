"""Hyperliquid recordings as tables: prices, trades and order books, CSV or parquet.

Law: the recorder's clock (`timestamp`) orders the file, the exchange's clock (`exchange_timestamp`) is the
time of a row.  After a reconnect the exchange sends the last trades again, so a recording may step back in
exchange time: rows are then put in exchange order (equal times keep theirs) and counted as `reordered`; a
step back of the recorder's own clock is a fault.  In `prices`, the rows of one message (same two times) are
one event: bid and ask are set one after the other, and the state after the last row is the quote; before
both sides were seen there is none.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.data.columns import Columns
from grinder.data.faults import FaultCode, at_rows
from grinder.data.fixed import Column
from grinder.data.formats.tables import Layout, QuoteColumns, TradeColumns
from grinder.data.raw import Kind, RawTable

TIMES = ("timestamp", "exchange_timestamp")
TRADES = TradeColumns(time="exchange_timestamp", price="price", qty="size", buyer="side", ids="trade_id")
BOOKS = QuoteColumns(
    time="exchange_timestamp",
    bid="bid_price_0",
    ask="ask_price_0",
    bid_qty="bid_size_0",
    ask_qty="ask_size_0",
    kind=Kind.BOOK,
)


def read_trades(columns: Columns) -> RawTable:
    """Trades in exchange order."""
    return in_exchange_order(columns, TRADES(columns))


def read_books(columns: Columns) -> RawTable:
    """The best level of each snapshot as a quote."""
    return in_exchange_order(columns, BOOKS(columns))


def read_prices(columns: Columns) -> RawTable:
    """Alternating bid and ask rows as quotes."""
    price_decimals, (price,) = columns.decimals("price")
    qty_decimals, (qty,) = columns.decimals("size")
    received, ts = columns.times("timestamp"), columns.times("exchange_timestamp")
    is_bid = columns.words("side") == b"bid"
    last_bid, last_ask = last_index(is_bid), last_index(~is_bid)
    message_ends = np.append((np.diff(received) != 0) | (np.diff(ts) != 0), True)
    known = np.flatnonzero(message_ends & (last_bid >= 0) & (last_ask >= 0))
    bids, asks = last_bid[known], last_ask[known]
    quotes = RawTable(
        kind=Kind.QUOTES,
        ts=ts[known],
        bid=price[bids],
        ask=price[asks],
        bid_qty=qty[bids],
        ask_qty=qty[asks],
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        row=known + columns.first_row,
    )
    return in_exchange_order(columns, quotes)


def last_index(mask: np.typing.NDArray[np.bool_]) -> Column:
    """For every row the index of the last row up to it where `mask` is true; -1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))


def in_exchange_order(columns: Columns, table: RawTable) -> RawTable:
    """The table sorted by exchange time (stable), with a fault where the recorder's own clock steps back."""
    received = columns.times("timestamp")
    back = np.flatnonzero(np.diff(received) < 0) + 1
    columns.faults += at_rows(
        FaultCode.UNSORTED, "the recorder's clock steps back", back + columns.first_row, received[back]
    )
    columns.times("exchange_timestamp")  # the unit to report is the exchange's
    late = int(np.count_nonzero(np.diff(table.ts) < 0))
    if not late:
        return table
    return attrs.evolve(table.take(np.argsort(table.ts, kind="stable")), reordered=late)


LAYOUTS = (
    Layout(
        "Hyperliquid order books",
        (*TIMES, "bid_price_0", "ask_price_0", "bid_size_0", "ask_size_0"),
        read_books,
    ),
    Layout("Hyperliquid trades", (*TIMES, "price", "size", "side", "trade_id"), read_trades),
    Layout("Hyperliquid prices", (*TIMES, "price", "size", "side"), read_prices),
)
