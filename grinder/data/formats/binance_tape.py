"""Binance WebSocket tapes: spot, USD-M and COIN-M; bookTicker, trade, aggTrade, depthUpdate, REST depth.

Law: the time of a row is the exchange's event time ``E``.  Spot bookTicker has none: it gets the recorder's
time plus the last offset seen between ``E`` and the recorder's clock (which may be negative: recorders run
behind), kept from stepping back within its stream; rows before the first ``E`` take the first offset.
Rows stand in exchange time order, equal times in arrival order: streams are separate connections and
overtake each other by some ms.

depthUpdate frames are not made into rows when the tape has bookTicker; they are checked for holes: on spot
``U`` is the previous ``u + 1``, on futures ``pu`` is the previous ``u``.  Trades the exchange marks ``NA`` at
price 0 (bookkeeping of the insurance fund) are no trades.  A tape with both trade and aggTrade keeps trade.
A tape of depth only builds its quotes from the updates (see `grinder.data.book`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from grinder.data.book import Book
from grinder.data.faults import LISTED_PER_CODE, DataFault, FaultCode
from grinder.data.formats.tapes import Events, Frame, read_frames, speaks
from grinder.data.raw import Kind, RawFile, RawTable
from grinder.data.source import Source

NAME = "Binance WebSocket tape"
MS = 10**6
QUOTE_FIELDS = ("s", "b", "B", "a", "A")


def accepts(source: Source) -> bool:
    """A tape whose frames are Binance's."""
    return speaks(source, _knows)


def _knows(frame: Any) -> bool:
    if not isinstance(frame, dict):
        return False
    data = frame.get("data", frame)
    if not isinstance(data, dict):
        return False
    return "lastUpdateId" in data or "serverTime" in data or ("s" in data and ("e" in data or "u" in data))


@attrs.define
class Market:
    """What one symbol's frames added up to so far."""

    symbol: str
    trades: Events
    aggregated: Events
    last_u: int | None = None
    last_quote_ns: int = 0
    book: Book = attrs.Factory(Book)


@attrs.define
class TapeReader:
    """Folds the frames of one tape; `markets` by symbol in order of appearance."""

    faults: list[DataFault]
    build_books: bool = False
    markets: dict[str, Market] = attrs.Factory(dict)
    offset_ns: int | None = None
    kinds: Counter[str] = attrs.Factory(Counter)
    waiting: list[tuple[Frame, dict[str, Any]]] = attrs.Factory(list)
    """bookTicker frames from before the first event time."""

    def add(self, frame: Frame) -> None:
        """Take one frame in."""
        content = frame.content
        data = content.get("data", content) if isinstance(content, dict) else None
        if not isinstance(data, dict):
            return
        event_ms = data.get("E")
        if event_ms is not None:
            self.offset_ns = event_ms * MS - frame.local_ns
            for early, quote in self.waiting:
                self._quote(early, quote)
            self.waiting.clear()
        kind = data.get("e") or ("bookTicker" if "B" in data and "A" in data else "")
        self.kinds[kind] += 1
        if kind == "bookTicker":
            for field in QUOTE_FIELDS:
                data[field]  # a frame that lacks one must fail here, not when its turn comes
            if self.offset_ns is None:
                self.waiting.append((frame, data))
            else:
                self._quote(frame, data)
        elif kind == "trade":
            self._trade(frame, data, data["t"])
        elif kind == "aggTrade":
            self._trade(frame, data, data["a"])
        elif kind == "depthUpdate":
            self._depth(frame, data)
        elif "lastUpdateId" in data and self.build_books and self.markets:
            self._snapshot(data)

    def finish(self) -> None:
        """Quotes of a tape that never told the exchange's time keep the recorder's."""
        for frame, data in self.waiting:
            self.offset_ns = 0
            self._quote(frame, data)
        self.waiting.clear()

    def _market(self, data: dict[str, Any]) -> Market:
        symbol = data["s"]
        market = self.markets.get(symbol)
        if market is None:
            market = Market(symbol, Events(symbol, ids_count_up=True), Events(symbol, ids_count_up=True))
            self.markets[symbol] = market
        return market

    def _quote(self, frame: Frame, data: dict[str, Any]) -> None:
        market = self._market(data)
        if "E" in data:
            ts = data["E"] * MS
        else:
            ts = max(frame.local_ns + (self.offset_ns or 0), market.last_quote_ns)
            market.last_quote_ns = ts
        market.trades.quotes.append((ts, frame.line, data["b"], data["B"], data["a"], data["A"]))

    def _trade(self, frame: Frame, data: dict[str, Any], trade_id: int) -> None:
        if data.get("X") == "NA" and float(data["p"]) == 0.0:
            return
        market = self._market(data)
        events = market.trades if data["e"] == "trade" else market.aggregated
        side = -1 if data["m"] else 1
        events.trades.append((data["E"] * MS, frame.line, data["p"], data["q"], side, trade_id))

    def _depth(self, frame: Frame, data: dict[str, Any]) -> None:
        market = self._market(data)
        first, previous = (data["pu"], market.last_u) if "pu" in data else (data["U"] - 1, market.last_u)
        if previous is not None and first != previous and len(self.faults) < LISTED_PER_CODE:
            field = "pu" if "pu" in data else "U"
            what = f"depth updates are missing: {field} does not follow u={previous}"
            fault = DataFault(code=FaultCode.SEQUENCE, row=frame.line, what=what, value=str(data[field]))
            self.faults.append(fault)
        market.last_u = data["u"]
        if self.build_books:
            market.book.update(data["b"], data["a"])
            best = market.book.best()
            if best:
                market.trades.quotes.append((data["E"] * MS, frame.line, *best))

    def _snapshot(self, data: dict[str, Any]) -> None:
        """A REST snapshot names no symbol on spot: it is taken for the tape's only one, or left out."""
        symbol = data.get("symbol") or (next(iter(self.markets)) if len(self.markets) == 1 else None)
        if symbol in self.markets:
            self.markets[symbol].book.start(data["bids"], data["asks"])


def read(source: Source) -> RawFile:
    """Trades and quotes of every symbol on the tape."""
    reader = _fold(source, build_books=False)
    if not reader.kinds["bookTicker"] and reader.kinds["depthUpdate"]:
        reader = _fold(source, build_books=True)
    rows = sum(1 for line in source.lines if line)
    tables = [table for market in reader.markets.values() if (table := _table(market)) is not None]
    tables.sort(key=len, reverse=True)
    unit = "ms" if tables else "unknown"
    return RawFile(format=NAME, tables=tuple(tables), rows=rows, time_unit=unit, faults=tuple(reader.faults))


def _fold(source: Source, build_books: bool) -> TapeReader:
    reader = TapeReader([], build_books)
    for frame in read_frames(source, reader.faults):
        try:
            reader.add(frame)
        except (KeyError, TypeError, ValueError) as error:
            what = f"the frame lacks a field or has another type: {error}"
            reader.faults.append(DataFault(code=FaultCode.SHAPE, row=frame.line, what=what))
    reader.finish()
    return reader


def _table(market: Market) -> RawTable | None:
    events = market.trades
    if not events.trades:
        events.trades = market.aggregated.trades
    return events.table(Kind.QUOTES)
