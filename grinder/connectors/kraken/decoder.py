"""Frames of Kraken's WebSocket v2 as signals.

Law: no I/O and no clock.  A book speaks only while its checksum agrees: after one that does not, nothing is
said of the pair until a snapshot came.  What an execution leaves out (Kraken names pair, side and amounts of
an order only in its first event) is remembered by the order's id; an event of an order never heard of is a
`Gap`, because something was missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from actors.ports import Expired, Gap, Quote, Signal, Trade
from domain.instrument import Instrument
from grinder.connectors.converting import Scales, Unreadable, read_json
from grinder.connectors.kraken.executions import Executions
from grinder.connectors.kraken.naming import stream_pair
from grinder.connectors.kraken.price_book import Level, PriceBook
from grinder.connectors.kraken.reading import exchange_ns, mapping, mappings, text_of

BOOK_DEPTH = 10

_SESSION_OVER = ("ESession:", "EAccount:", "EAPI:Invalid token", "Token")


class KrakenDecoder:
    """Kraken's frames, public and private, for the listed instruments.

    Attributes:
        stale: symbols whose book went wrong and has not begun anew.
    """

    def __init__(self, scales: Scales) -> None:
        self._scales = scales
        self._symbols = {stream_pair(one.base, one.quote): name for name, one in scales.instruments.items()}
        self._books: dict[str, PriceBook] = {}
        self.stale: set[str] = set()
        self._told: dict[str, tuple[Level, Level]] = {}
        self._executions = Executions(scales, self._symbols)

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a raw frame says; see `actors.ports.Decoder`."""
        try:
            message = mapping(read_json(frame), "frame")
            return list(self._message(stream, message, received_ns))
        except Unreadable as error:
            return [Gap(stream=stream, detail=str(error))]

    def _message(self, stream: str, message: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        channel = message.get("channel")
        if channel == "book":
            yield from self._book(stream, message, received_ns)
        elif channel == "executions":
            yield from self._executions.read(stream, message)
        elif channel == "trade":
            yield from self._trades(message, received_ns)
        elif channel == "ticker":
            yield from self._ticker(message, received_ns)
        elif channel == "status":
            yield from _status(stream, message)
        elif channel is None:
            yield from _answer(stream, message)
        elif channel not in ("heartbeat", "instrument", "ohlc", "balances"):
            raise Unreadable(f"channel nobody subscribed to: {channel!r}")

    # --- market ------------------------------------------------------------------------------------------

    def _book(self, stream: str, message: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        snapshot = message.get("type") == "snapshot"
        for item in mappings(message.get("data"), "book"):
            symbol = self._symbols.get(text_of(item.get("symbol"), "symbol"))
            if symbol is None:
                continue
            if snapshot:
                self.stale.discard(symbol)
                self._told.pop(symbol, None)
                self._books[symbol] = _new_book(self._scales.instrument(symbol))
            book = self._books.get(symbol)
            if symbol in self.stale or book is None:
                continue  # stale until the next snapshot; the gap has been told
            try:
                bids, asks = _levels(item.get("bids")), _levels(item.get("asks"))
                (book.replace if snapshot else book.apply)(bids, asks)
                agrees = book.checksum() == item.get("checksum")
            except Unreadable as error:
                self.stale.add(symbol)
                yield Gap(stream=stream, detail=f"{symbol}: {error}")
                continue
            if not agrees:
                self.stale.add(symbol)
                detail = f"{symbol}: book checksum {book.checksum()}, exchange says {item.get('checksum')}"
                yield Gap(stream=stream, detail=detail)
                continue
            yield from self._best(symbol, book, exchange_ns(item.get("timestamp")), received_ns)

    def _best(self, symbol: str, book: PriceBook, at_ns: int, received_ns: int) -> Iterator[Quote]:
        """The best quotes, where they changed."""
        bid, ask = book.best_bid(), book.best_ask()
        if bid is None or ask is None or self._told.get(symbol) == (bid, ask):
            return
        self._told[symbol] = (bid, ask)
        yield self._quote(symbol, bid, ask, at_ns, received_ns)

    def _quote(self, symbol: str, bid: Level, ask: Level, at_ns: int, received_ns: int) -> Quote:
        return Quote(
            symbol=symbol,
            bid_ticks=self._scales.ticks(symbol, bid[0]),
            ask_ticks=self._scales.ticks(symbol, ask[0]),
            bid_lots=self._scales.whole_lots(symbol, bid[1]),
            ask_lots=self._scales.whole_lots(symbol, ask[1]),
            exchange_ns=at_ns,
            received_ns=received_ns,
        )

    def _ticker(self, message: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        """Best quotes of pairs without a book: beside one the ticker is older and says less."""
        for item in mappings(message.get("data"), "ticker"):
            symbol = self._symbols.get(text_of(item.get("symbol"), "symbol"))
            if symbol is None or symbol in self._books:
                continue
            bid = (_number(item.get("bid")), _number(item.get("bid_qty")))
            ask = (_number(item.get("ask")), _number(item.get("ask_qty")))
            yield self._quote(symbol, bid, ask, exchange_ns(item.get("timestamp")), received_ns)

    def _trades(self, message: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        if message.get("type") == "snapshot":
            return  # what was traded before we listened
        for item in mappings(message.get("data"), "trade"):
            symbol = self._symbols.get(text_of(item.get("symbol"), "symbol"))
            if symbol is None:
                continue
            yield Trade(
                symbol=symbol,
                trade_id=str(item.get("trade_id", "")),
                price_ticks=self._scales.ticks(symbol, item.get("price")),
                lots=self._scales.whole_lots(symbol, item.get("qty")),
                buyer_took=text_of(item.get("side"), "side") == "buy",
                exchange_ns=exchange_ns(item.get("timestamp")),
                received_ns=received_ns,
            )


def _status(stream: str, message: dict[str, Any]) -> Iterator[Signal]:
    for item in mappings(message.get("data"), "status"):
        system = text_of(item.get("system"), "system")
        if system == "maintenance":  # in the modes between, streams go on and orders are refused one by one
            yield Gap(stream=stream, detail=f"the exchange is in {system} mode")


def _answer(stream: str, message: dict[str, Any]) -> Iterator[Signal]:
    """An answer to a request of ours: only a refusal says anything."""
    if "method" not in message:
        raise Unreadable(f"neither channel nor method: {sorted(message)[:8]}")
    if message.get("success") is False:
        error = str(message.get("error", ""))
        if error.startswith(_SESSION_OVER):
            yield Expired(stream=stream, detail=error)
        elif not error.startswith("Already subscribed"):
            yield Gap(stream=stream, detail=f"{message['method']} refused: {error}")


def _new_book(instrument: Instrument) -> PriceBook:
    return PriceBook(BOOK_DEPTH, _decimals(instrument.tick), _decimals(instrument.lot))


def _decimals(step: str) -> int:
    exponent = Decimal(step).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _levels(levels: object) -> list[Level]:
    return [(_number(one.get("price")), _number(one.get("qty"))) for one in mappings(levels, "levels")]


def _number(value: object) -> str:
    """A number as its text: JSON integers come as such, everything else has been kept as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Unreadable(f"no number: {value!r}")
