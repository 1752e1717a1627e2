"""Bybit's orderbook.500 dumps: one JSON line per snapshot or delta, best quotes kept.

Law: a row is the best quote after each message.  ``u`` counts up by one within the stream; ``u`` of 1 is a
restart of the service and comes with a snapshot.  The time is ``ts``, when the exchange made the message.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from grinder.data.book import Book
from grinder.data.faults import LISTED_PER_CODE, DataFault, FaultCode
from grinder.data.formats.tapes import Events
from grinder.data.raw import Kind, RawFile
from grinder.data.source import Source

NAME = "Bybit order book"
MS = 10**6


def accepts(source: Source) -> bool:
    """JSON lines whose topic is an order book."""
    return source.head.startswith(b'{"topic":"orderbook.')


@attrs.define
class Market:
    """Book, quotes and sequence of one symbol."""

    events: Events
    book: Book = attrs.Factory(Book)
    last_u: int | None = None
    last_ts: int = 0

    def add(self, line: int, message: dict[str, Any]) -> DataFault | None:
        """Take one message in; a fault when messages before it are missing or it is out of order."""
        data, fault = message["data"], None
        if message["ts"] < self.last_ts:
            what = "the message is earlier than the one before it"
            fault = DataFault(code=FaultCode.UNSORTED, row=line, what=what, value=str(message["ts"]))
        self.last_ts = message["ts"]
        if message["type"] == "snapshot":
            self.book.start(data["b"], data["a"])
        else:
            if self.last_u is not None and data["u"] != self.last_u + 1:
                what = f"deltas are missing: u does not follow {self.last_u}"
                fault = DataFault(code=FaultCode.SEQUENCE, row=line, what=what, value=str(data["u"]))
            self.book.update(data["b"], data["a"])
        self.last_u = data["u"]
        best = self.book.best()
        if best:
            self.events.quotes.append((message["ts"] * MS, line, *best))
        return fault


def read(source: Source) -> RawFile:
    """The best quotes of every symbol in the dump."""
    faults: list[DataFault] = []
    markets: dict[str, Market] = {}
    for number, line in enumerate(source.lines, start=1):
        if not line:
            continue
        try:
            message = orjson.loads(line)
            symbol = message["data"]["s"]
            market = markets.setdefault(symbol, Market(Events(symbol)))
            fault = market.add(number, message)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            what = f"the line is no order book message: {error}"
            value = line[:80].decode("utf-8", "replace")
            fault = DataFault(code=FaultCode.TRUNCATED, row=number, what=what, value=value)
        if fault and len(faults) < LISTED_PER_CODE:
            faults.append(fault)
    tables = [table for market in markets.values() if (table := market.events.table(Kind.BOOK)) is not None]
    rows = sum(1 for line in source.lines if line)
    return RawFile(format=NAME, tables=tuple(tables), rows=rows, time_unit="ms", faults=tuple(faults))
