"""Where a paper account's market comes from: an exchange's public streams, a recording, or a generator.

Law: a feed hands on rows in the order of time, none early; it decides nothing and draws nothing.  A
recording played at a speed runs on a loop that is as much faster: a second of the loop is one of the market.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from heapq import merge
from pathlib import Path
from typing import Any

import attrs

from actors.ports import Listener, Quote, Signal, Trade
from grinder.errors import UserError
from grinder.live.clock import NS, Clock
from replay.exchange.rolling import MarketRow
from replay.ticks import Ticks

Deliver = Callable[[str, MarketRow], None]
"""Takes a row of a symbol."""

GENERATED_ROWS = 120_000

ROWS_AT_ONCE = 512
"""Rows handed on in one turn of the loop when the feed is behind; then everybody else gets a turn."""


@attrs.frozen
class FeedName:
    """A feed as it is written: ``exchange``, ``tape:PATH@SPEED`` or ``generated:SEED@SPEED``.

    Attributes:
        kind: ``exchange``, ``tape`` or ``generated``.
        source: the path, or the seed.
        speed: seconds of the market in one of ours.
    """

    kind: str
    source: str = ""
    speed: float = 1.0

    @property
    def text(self) -> str:
        """As it is written."""
        return self.kind if self.kind == "exchange" else f"{self.kind}:{self.source}@{self.speed:g}"


def parse_feed(text: str) -> FeedName:
    """A feed from its text.

    Raises:
        UserError: it is none.
    """
    kind, _, rest = text.partition(":")
    if text == "exchange":
        return FeedName("exchange")
    source, at, factor = rest.rpartition("@")
    source, factor = (source, factor) if at else (rest, "1")
    try:
        speed = float(factor.removesuffix("x"))
    except ValueError:
        speed = 0.0
    whole = source.isdigit() if kind == "generated" else bool(source)
    if kind not in ("tape", "generated") or not whole or not 0 < speed <= 1_000_000:
        raise UserError(
            "usage.feed",
            "--feed takes exchange, tape:PATH@SPEED or generated:SEED@SPEED",
            value=text,
            fix="write --feed generated:7@60 for a generated market sixty times as fast",
        )
    return FeedName(kind, source, speed)


@attrs.frozen
class Playback:
    """A market that is known beforehand: rows of each symbol, and how fast they are played."""

    markets: dict[str, Ticks]
    speed: float

    @property
    def start_ns(self) -> int:
        """Time of the first row."""
        return min(int(ticks.ts[0]) for ticks in self.markets.values())

    @property
    def end_ns(self) -> int:
        """Time of the last row."""
        return max(int(ticks.ts[-1]) for ticks in self.markets.values())

    @property
    def scales(self) -> dict[str, tuple[Decimal, Decimal]]:
        """(tick, lot) of each symbol."""
        return {symbol: (ticks.tick, ticks.lot) for symbol, ticks in self.markets.items()}


def generated(feed: FeedName, symbols: Iterable[str], scales: Mapping[str, Any], rows: int = 0) -> Playback:
    """A generated market for each symbol.

    Args:
        scales: `InstrumentScale` by symbol; steps that are not configured take the generator's.
        rows: trades of each symbol; 0 for `GENERATED_ROWS`.
    """
    from replay.generated import MarketShape, generate

    shape = MarketShape(rows=rows or GENERATED_ROWS)
    return Playback(
        {
            symbol: generate(
                attrs.evolve(
                    shape,
                    symbol=symbol,
                    tick=scales[symbol].tick or shape.tick,
                    lot=scales[symbol].lot or shape.lot,
                ),
                int(feed.source),
            )
            for symbol in symbols
        },
        feed.speed,
    )


def recorded(feed: FeedName, symbols: Iterable[str], scales: Mapping[str, Any]) -> Playback:
    """Market data of any format `grinder backtest` reads, as a market to be played.

    Raises:
        DataError: the data cannot be read, or a symbol has none.
    """
    from grinder.data import DataArgument, load
    from grinder.errors import DataError

    wanted = list(symbols)
    default = wanted[0] if len(wanted) == 1 else None
    found = load([DataArgument(Path(feed.source))], symbols=scales, default_symbol=default)
    for symbol in wanted:
        if symbol not in found or not len(found[symbol]):
            raise DataError(
                "data.symbol_missing",
                "a grid's symbol has no rows in the recording",
                place=feed.source,
                value=symbol,
                fix="name a recording of this symbol, or remove the grid",
            )
    return Playback({symbol: found[symbol] for symbol in wanted}, feed.speed)


class RowFeed:
    """Plays known rows at the loop's pace, beginning after a time."""

    def __init__(self, playback: Playback, clock: Clock, deliver: Deliver, after_ns: int = -1) -> None:
        self._playback = playback
        self._clock = clock
        self._deliver = deliver
        self._after_ns = after_ns

    async def run(self) -> None:
        """Hand on every row at its time; returns after the last."""
        handed = 0
        for ts_ns, symbol, row in _merged(self._playback.markets, self._after_ns):
            wait_ns = ts_ns - self._clock()
            if wait_ns > 0:
                handed = 0
                await asyncio.sleep(wait_ns / NS)
            elif handed >= ROWS_AT_ONCE:
                handed = 0
                await asyncio.sleep(0)
            handed += 1
            self._deliver(symbol, row)


def _merged(markets: Mapping[str, Ticks], after_ns: int) -> Iterator[tuple[int, str, MarketRow]]:
    streams = [_rows(symbol, markets[symbol], after_ns) for symbol in sorted(markets)]
    return merge(*streams, key=lambda item: item[:2])


def _rows(symbol: str, ticks: Ticks, after_ns: int) -> Iterator[tuple[int, str, MarketRow]]:
    begin = int(ticks.ts.searchsorted(after_ns, side="right"))

    def column(name: str) -> Any:
        found = getattr(ticks, name)
        return None if found is None else found[begin:].tolist()

    price, low, high = column("price"), column("low"), column("high")
    sides = {name: column(name) for name in ("qty", "side", "bid", "ask", "bid_qty", "ask_qty")}
    given = {name: values for name, values in sides.items() if values is not None}
    for at, ts_ns in enumerate(ticks.ts[begin:].tolist()):
        rest = {name: values[at] for name, values in given.items()}
        yield ts_ns, symbol, MarketRow(ts_ns=ts_ns, price=price[at], low=low[at], high=high[at], **rest)


class QuotesToRows:
    """Turns an exchange's public signals into rows of a market.

    It is a `Listener` before another one: everything goes on to that as well, frames and signals as they
    came, so that the run hears of the market from the exchange itself and not from the simulated one.
    """

    def __init__(self, deliver: Deliver, clock: Clock, onward: Listener) -> None:
        self._deliver = deliver
        self._clock = clock
        self._onward = onward
        self._quotes: dict[str, Quote] = {}
        self._last: dict[str, int] = {}

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A raw frame."""
        self._onward.frame(stream, frame, received_ns)

    def frame_end(self, stream: str) -> None:
        """It meant nothing more."""
        self._onward.frame_end(stream)

    def stream_up(self, stream: str) -> None:
        """A stream is up."""
        self._onward.stream_up(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        """A stream is down; the connector brings it up again."""
        self._onward.stream_down(stream, reason)

    def signal(self, stream: str, signal: Signal) -> None:
        """A quote or a trade becomes a row, of which orders are filled before anybody hears of the price."""
        match signal:
            case Quote():
                self._quotes[signal.symbol] = signal
                mid = (signal.bid_ticks + signal.ask_ticks) // 2
                self._row(
                    signal.symbol, self._last.get(signal.symbol, mid), signal.ask_ticks, signal.bid_ticks
                )
            case Trade():
                price = self._last[signal.symbol] = signal.price_ticks
                self._row(signal.symbol, price, price, price, signal.lots, 1 if signal.buyer_took else -1)
            case _:
                pass  # what else there is says nothing of a price
        self._onward.signal(stream, signal)

    def _row(self, symbol: str, price: int, low: int, high: int, qty: int = 0, side: int = 0) -> None:
        quote = self._quotes.get(symbol)
        if quote is None:
            return  # an exchange without a book fills nothing
        row = MarketRow(
            ts_ns=self._clock(),
            price=price,
            low=low,
            high=high,
            qty=qty,
            side=side,
            bid=quote.bid_ticks,
            ask=quote.ask_ticks,
            bid_qty=quote.bid_lots,
            ask_qty=quote.ask_lots,
        )
        self._deliver(symbol, row)
