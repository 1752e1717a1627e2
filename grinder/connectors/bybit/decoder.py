"""What Bybit's frames say.

Law: no I/O and no clock: the same frames give the same signals.  A book begins with a snapshot and is changed
by deltas whose update ids follow each other; after a break it says nothing until the next snapshot.  An
update id of 1 is a restart of Bybit's service, and a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from actors.ports import Gap, Quote, Signal, Trade
from grinder.connectors.bybit import parsing
from grinder.connectors.converting import Scales, Unreadable, positive, read_json

MS = 1_000_000


@attrs.define
class _Book:
    """Levels of one topic: price in ticks to displayed lots."""

    update: int = 0
    whole: bool = False
    bids: dict[int, int] = attrs.field(factory=dict)
    asks: dict[int, int] = attrs.field(factory=dict)


class BybitDecoder:
    """Decodes one category's frames, public and private.

    Args:
        category: ``spot`` or ``linear``; rows of others are not ours.
    """

    def __init__(self, scales: Scales, category: str) -> None:
        self._scales = scales
        self._category = category
        self._books: dict[str, _Book] = {}

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a frame says; one nobody can read is a `Gap` naming it."""
        signals: list[Signal] = []
        try:
            body = read_json(frame)
            if not isinstance(body, dict):
                raise Unreadable("a frame is no object")
            for signal in self._signals(stream, body, received_ns):  # what came before a broken row stays
                signals.append(signal)  # noqa: PERF402
        except Unreadable as broken:
            signals.append(Gap(stream=stream, detail=f"unreadable: {broken}"))
        return signals

    def _signals(self, stream: str, body: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        topic = body.get("topic")
        if topic is None:
            if body.get("success") is False:
                yield Gap(stream=stream, detail=f"{body.get('op')} refused: {body.get('ret_msg')}")
            return
        if not isinstance(topic, str):
            raise Unreadable(f"topic is no text: {topic!r}")
        kind = topic.partition(".")[0]
        if kind == "orderbook":
            yield from self._book(stream, topic, body, received_ns)
        elif kind == "tickers":
            yield from self._ticker(body, received_ns)
        elif kind == "publicTrade":
            yield from self._trades(body, received_ns)
        elif kind == "order":
            for row in self._own_rows(body):
                yield parsing.order(row, self._scales)
        elif kind == "execution":
            for row in self._own_rows(body):
                report = parsing.execution(row, self._scales, self._category)
                if report is not None:
                    yield report

    def _own_rows(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of this category's listed symbols."""
        return [
            row
            for row in _rows(body)
            if row.get("category", self._category) == self._category
            and parsing.text_of(row, "symbol") in self._scales.instruments
        ]

    def _ticker(self, body: dict[str, Any], received_ns: int) -> Iterator[Quote]:
        """A ticker's quotes: a change may tell less than all of them, and spot's tells none."""
        data = body.get("data")
        if not isinstance(data, dict):
            raise Unreadable("a ticker has no data")
        symbol = parsing.text_of(data, "symbol")
        told = [data.get(key) for key in ("bid1Price", "ask1Price", "bid1Size", "ask1Size")]
        if symbol not in self._scales.instruments or None in told:
            return
        bid, ask, bid_size, ask_size = told
        yield Quote(
            symbol=symbol,
            bid_ticks=self._scales.ticks(symbol, bid),
            ask_ticks=self._scales.ticks(symbol, ask),
            bid_lots=self._scales.whole_lots(symbol, bid_size),
            ask_lots=self._scales.whole_lots(symbol, ask_size),
            exchange_ns=parsing.milliseconds(body.get("ts")) * MS,
            received_ns=received_ns,
        )

    def _trades(self, body: dict[str, Any], received_ns: int) -> Iterator[Trade]:
        for row in _rows(body):
            symbol = parsing.text_of(row, "s")
            if symbol not in self._scales.instruments:
                continue
            yield Trade(
                symbol=symbol,
                trade_id=parsing.text_of(row, "i"),
                price_ticks=self._scales.ticks(symbol, row.get("p")),
                lots=self._scales.whole_lots(symbol, row.get("v")),
                buyer_took=parsing.side_of(row, "S") == "buy",
                exchange_ns=parsing.milliseconds(row.get("T")) * MS,
                received_ns=received_ns,
            )

    def _book(self, stream: str, topic: str, body: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        data = body.get("data")
        if not isinstance(data, dict):
            raise Unreadable("a book has no data")
        symbol = parsing.text_of(data, "s")
        if symbol not in self._scales.instruments:
            return
        book = self._books.setdefault(topic, _Book())
        update = parsing.milliseconds(data.get("u"), "update id")
        if body.get("type") == "snapshot" or update == 1:
            book.bids, book.asks, book.whole = {}, {}, True
        elif not book.whole:
            return  # the break has been told; only a snapshot mends it
        elif update != book.update + 1:
            book.whole = False
            yield Gap(stream=stream, detail=f"{topic}: update {update} after {book.update}")
            return
        book.update = update
        try:
            self._change(book.bids, symbol, data.get("b"))
            self._change(book.asks, symbol, data.get("a"))
        except Unreadable:
            book.whole = False
            raise
        if not book.bids or not book.asks:
            return
        bid, ask = max(book.bids), min(book.asks)
        if bid >= ask:
            book.whole = False
            yield Gap(stream=stream, detail=f"{topic}: crossed at update {update}")
            return
        yield Quote(
            symbol=symbol,
            bid_ticks=bid,
            ask_ticks=ask,
            bid_lots=book.bids[bid],
            ask_lots=book.asks[ask],
            exchange_ns=parsing.milliseconds(body.get("cts") or body.get("ts")) * MS,
            received_ns=received_ns,
        )

    def _change(self, side: dict[int, int], symbol: str, levels: object) -> None:
        """Set the levels named; a quantity of 0 takes one away."""
        if not isinstance(levels, list):
            raise Unreadable("a book has no levels")
        for level in levels:
            if not isinstance(level, list) or len(level) < 2:
                raise Unreadable(f"a level is no pair: {level!r}")
            ticks = self._scales.ticks(symbol, level[0])
            if ticks == 0:
                raise Unreadable("a level without a price")
            if positive(level[1], "quantity") == 0:
                side.pop(ticks, None)
            else:
                side[ticks] = self._scales.whole_lots(symbol, level[1])


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    data = body.get("data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unreadable("a push has no rows")
    return data
