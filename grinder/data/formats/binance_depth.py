"""Binance's T_DEPTH history: one level per row, snapshot (``snap``) or change (``set``), as quotes.

Law: the rows of one message share timestamp, first and last update id; a quote is the top of the book after
a message, once both sides are known.  The ``pu`` of a message is the ``last_update_id`` of the one before it
(-1 on a snapshot).  A file that never shows both sides has no quotes; it can be described and verified.
"""

from __future__ import annotations

import numpy as np

from grinder.data.book import Book
from grinder.data.columns import Columns
from grinder.data.faults import FaultCode, at_rows
from grinder.data.fixed import Column
from grinder.data.formats.tables import Layout
from grinder.data.formats.tapes import Events
from grinder.data.raw import Kind, RawTable

NEEDS = (
    "symbol",
    "timestamp",
    "first_update_id",
    "last_update_id",
    "side",
    "update_type",
    "price",
    "qty",
    "pu",
)


def read(columns: Columns) -> RawTable:
    """The best quotes after each message."""
    ts = columns.times("timestamp")
    columns.decimals("price", "qty")  # cells that are no number become faults here
    _, (last, before) = columns.decimals("last_update_id", "pu")
    symbol = columns.symbol()
    empty = RawTable(kind=Kind.BOOK, symbol=symbol, ts=np.empty(0, dtype=np.int64))
    back = np.flatnonzero(np.diff(ts) < 0) + 1
    what = "the row is earlier than the row before it"
    columns.faults += at_rows(FaultCode.UNSORTED, what, back + columns.first_row, ts[back])
    if columns.faults:
        return empty
    starts = np.flatnonzero(np.append(True, (np.diff(last) != 0) | (np.diff(ts) != 0)))
    _check_sequence(columns, starts, last, before)
    table = _quotes(columns, starts, ts, symbol).table(Kind.BOOK)
    return empty if table is None else table


def _check_sequence(columns: Columns, starts: Column, last: Column, before: Column) -> None:
    linked = starts[1:][before[starts[1:]] != -1]
    broken = linked[before[linked] != last[linked - 1]]
    what = "depth updates are missing: pu does not follow the last update id"
    columns.faults += at_rows(FaultCode.SEQUENCE, what, broken + columns.first_row, before[broken])


def _quotes(columns: Columns, starts: Column, ts: Column, symbol: str | None) -> Events:
    events, book = Events(symbol), Book()
    bid = (columns.words("side") == b"b").tolist()
    snapshot = (columns.words("update_type") == b"snap").tolist()
    levels = list(zip(columns.texts("price"), columns.texts("qty"), strict=True))
    ends = [*starts[1:].tolist(), len(ts)]
    in_snapshot = False
    for start, end in zip(starts.tolist(), ends, strict=True):
        if snapshot[start] and not in_snapshot:
            book = Book()
        in_snapshot = snapshot[start]
        for at in range(start, end):
            (book.bids if bid[at] else book.asks).set((levels[at],))
        best = book.best()
        if best:
            events.quotes.append((int(ts[start]), start + columns.first_row, *best))
    return events


LAYOUTS = (Layout("Binance T_DEPTH", NEEDS, read),)
