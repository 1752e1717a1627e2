"""What OKX's frames say.

Law: no I/O and no clock: the same frames give the same signals.  A `bbo-tbt` frame is whole, so only a
sequence number that goes back is a loss; `books` is a chain of changes, held to its sequence numbers and its
checksum, and says nothing more after a break until a snapshot comes.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.ports import Expired, Gap, Quote, Signal, Trade
from domain.inputs import FillReport
from grinder.connectors.converting import Scales, Unreadable, amount, read_json
from grinder.connectors.okx import errors, parsing

CHECKED_LEVELS = 25
"""Levels of each side that the checksum covers."""

PONG = b"pong"

QUIET_EVENTS = frozenset(
    {"subscribe", "unsubscribe", "login", "channel-conn-count", "channel-conn-count-error"}
)


class OkxDecoder:
    """Frames of the public and the private stream to signals, for the listed instruments."""

    def __init__(self, scales: Scales) -> None:
        self._scales = scales
        self._symbols = {parsing.native_name(one): symbol for symbol, one in scales.instruments.items()}
        self._last: dict[str, int] = {}
        self._books: dict[str, _Book] = {}
        self._channels = {
            "bbo-tbt": self._best,
            "books": self._book,
            "trades": self._trades,
            "orders": self._orders,
        }

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a raw frame says.  A frame nobody can read is a `Gap` naming it, never an exception."""
        if frame == PONG:
            return ()
        try:
            message = read_json(frame)
            if not isinstance(message, dict):
                raise Unreadable("the frame is no object")
            if "event" in message:
                return self._event(stream, message)
            return list(self._pushed(stream, message, received_ns))
        except Unreadable as broken:
            return (Gap(stream=stream, detail=str(broken)),)

    def _event(self, stream: str, message: dict[str, Any]) -> Iterable[Signal]:
        event, code = message.get("event"), str(message.get("code") or "")
        if event in QUIET_EVENTS:
            return ()
        if event == "notice" or code in errors.STOPPING_SOON:
            return (Expired(stream=stream, detail=f"{code}: {message.get('msg')}"),)
        return (Gap(stream=stream, detail=f"{event} {code}: {message.get('msg')}"),)

    def _pushed(self, stream: str, message: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        argument = message.get("arg")
        channel = argument.get("channel") if isinstance(argument, dict) else None
        reader = self._channels.get(channel) if isinstance(channel, str) else None
        if reader is None or not isinstance(argument, dict):
            return
        rows = parsing.rows_of(message)
        symbol = self._symbols.get(str(argument.get("instId")), "")
        if not symbol and channel != "orders":
            return
        for row in rows:
            yield from reader(stream, symbol, row, str(message.get("action") or ""), received_ns)

    # --- market ----------------------------------------------------------------------------------------

    def _best(
        self, stream: str, symbol: str, row: dict[str, Any], action: str, received_ns: int
    ) -> Iterator[Signal]:
        number = row.get("seqId")
        if isinstance(number, int):
            if number < self._last.get(symbol, number):
                self._last.pop(symbol)
                yield Gap(stream=stream, detail=f"{symbol}: sequence number went back to {number}")
                return
            self._last[symbol] = number
        bids, asks = _levels(row, "bids"), _levels(row, "asks")
        if bids and asks:
            yield self._quote(symbol, bids[0], asks[0], row, received_ns)

    def _quote(
        self, symbol: str, bid: tuple[str, str], ask: tuple[str, str], row: dict[str, Any], received_ns: int
    ) -> Quote:
        ticks, lots = self._scales.ticks, self._scales.whole_lots
        quote = Quote(
            symbol=symbol,
            bid_ticks=ticks(symbol, bid[0]),
            ask_ticks=ticks(symbol, ask[0]),
            bid_lots=lots(symbol, bid[1]),
            ask_lots=lots(symbol, ask[1]),
            exchange_ns=parsing.time_ns(row, "ts"),
            received_ns=received_ns,
        )
        if not 0 < quote.bid_ticks < quote.ask_ticks:
            raise Unreadable(f"{symbol}: quotes {bid[0]} and {ask[0]} are crossed or empty")
        return quote

    def _book(
        self, stream: str, symbol: str, row: dict[str, Any], action: str, received_ns: int
    ) -> Iterator[Signal]:
        if action == "snapshot":
            self._books[symbol] = _Book()
        book = self._books.get(symbol)
        if book is None:
            return  # broken before: only a snapshot mends it
        before = book.best()
        try:
            book.take(row, lambda text: self._scales.ticks(symbol, text), whole=action == "snapshot")
            best = book.best()
            if best is not None and best != before:
                yield self._quote(symbol, best[0], best[1], row, received_ns)
        except Unreadable as broken:
            del self._books[symbol]
            yield Gap(stream=stream, detail=f"{symbol}: {broken}")

    def _trades(
        self, stream: str, symbol: str, row: dict[str, Any], action: str, received_ns: int
    ) -> Iterator[Signal]:
        side = row.get("side")
        if side not in ("buy", "sell"):
            raise Unreadable(f"a trade without a side: {side!r}")
        yield Trade(
            symbol=symbol,
            trade_id=parsing.text_of(row, "tradeId"),
            price_ticks=self._scales.ticks(symbol, row.get("px")),
            lots=self._scales.whole_lots(symbol, row.get("sz")),
            buyer_took=side == "buy",
            exchange_ns=parsing.time_ns(row, "ts"),
            received_ns=received_ns,
        )

    # --- own orders ------------------------------------------------------------------------------------

    def _orders(
        self, stream: str, _: str, row: dict[str, Any], action: str, received_ns: int
    ) -> Iterator[Signal]:
        symbol = self._symbols.get(parsing.text_of(row, "instId"))
        if symbol is None:
            return
        try:
            snapshot = parsing.order(self._scales, symbol, row)
            execution = self._execution(symbol, row)
        except Unreadable as broken:
            yield Gap(stream=stream, detail=f"order {row.get('clOrdId')!r}: {broken}")
            return
        if execution is not None:
            yield execution
        yield snapshot

    def _execution(self, symbol: str, row: dict[str, Any]) -> FillReport | None:
        quantity = amount(row.get("fillSz") or "0", "fillSz")
        if not quantity:
            return None
        if "fillFee" in row:
            fee, asset = row["fillFee"] or "0", parsing.text_of(row, "fillFeeCcy")
        elif row.get("fillSz") == row.get("accFillSz"):
            fee, asset = row.get("fee") or "0", parsing.text_of(row, "feeCcy")
        else:  # `fee` is of all executions so far
            raise Unreadable("an execution without its own fee")
        return parsing.fill(self._scales, symbol, row, fee, asset)


def _levels(row: Mapping[str, Any], side: str) -> list[tuple[str, str]]:
    """Prices and sizes of one side as text."""
    levels = row.get(side)
    if not isinstance(levels, list):
        raise Unreadable(f"no {side}")
    found = []
    for level in levels:
        if not isinstance(level, list) or len(level) < 2 or not all(isinstance(x, str) for x in level[:2]):
            raise Unreadable(f"a level of {side} is no price and size: {level!r}")
        found.append((level[0], level[1]))
    return found


class _Book:
    """One instrument's book: text by ticks, because the checksum is of the text."""

    def __init__(self) -> None:
        self._bids: dict[int, tuple[str, str]] = {}
        self._asks: dict[int, tuple[str, str]] = {}
        self._number = -1

    def best(self) -> tuple[tuple[str, str], tuple[str, str]] | None:
        """Best bid and ask as text, while there are both."""
        if not self._bids or not self._asks:
            return None
        return self._bids[max(self._bids)], self._asks[min(self._asks)]

    def take(self, row: dict[str, Any], ticks: Any, *, whole: bool) -> None:
        """Apply a snapshot or a change.

        Raises:
            Unreadable: it does not follow on what was there, or the result has another checksum.
        """
        number, before = row.get("seqId"), row.get("prevSeqId")
        if isinstance(number, int) and isinstance(before, int):  # frames from before 2023 have none
            if not whole and before != self._number:
                raise Unreadable(f"sequence gap: {before} follows {self._number}")
            self._number = number
        for side, name in ((self._bids, "bids"), (self._asks, "asks")):
            for price, size in _levels(row, name):
                if amount(size, "size"):
                    side[ticks(price)] = (price, size)
                else:
                    side.pop(ticks(price), None)
        checksum = row.get("checksum")
        if isinstance(checksum, int) and checksum and checksum != self.checksum():
            raise Unreadable(f"checksum is {self.checksum()}, not {checksum}")

    def checksum(self) -> int:
        """CRC32, signed, of the best levels as ``bid:size:ask:size:...``."""
        bids = [self._bids[price] for price in heapq.nlargest(CHECKED_LEVELS, self._bids)]
        asks = [self._asks[price] for price in heapq.nsmallest(CHECKED_LEVELS, self._asks)]
        parts: list[str] = []
        for place in range(max(len(bids), len(asks))):
            for side in (bids, asks):
                if place < len(side):
                    parts += side[place]
        number = zlib.crc32(":".join(parts).encode())
        return number - (1 << 32) if number >= 1 << 31 else number
