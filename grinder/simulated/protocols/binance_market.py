"""Binance's public data: requests and streams, from the rows of one desk.

Law: every stream and request tells of the same book: its update ids are one sequence per symbol.  The book
has one level a side, because a row of the market has; where a row has no quotes, the last trade stands in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs

from domain.instrument import notional
from grinder.simulated.protocols.binance_words import NS_PER_MS, Words
from replay.exchange.desk import Desk
from replay.exchange.rolling import MarketRow

TRADES_KEPT = 1000
MINUTES_KEPT = 1500
MINUTE_MS = 60_000
FIRST_UPDATE = 1_000


@attrs.define
class Minute:
    """A candle of one minute, unless merged.

    Times in ms, prices in ticks, `volume` in lots, `value` in quote units.
    """

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    value: int = 0
    trades: int = 0


@attrs.define
class Shown:
    """What the public sees of one symbol."""

    update_id: int = FIRST_UPDATE
    bid: int = 0
    ask: int = 0
    bid_lots: int = 0
    ask_lots: int = 0
    trade_id: int = 0
    trades: deque[dict[str, Any]] = attrs.field(factory=lambda: deque(maxlen=TRADES_KEPT))
    minutes: deque[Minute] = attrs.field(factory=lambda: deque(maxlen=MINUTES_KEPT))


class PublicData:
    """The public side of one desk."""

    def __init__(self, desk: Desk, words: Words, *, futures: bool) -> None:
        self._desk = desk
        self._words = words
        self._futures = futures
        self._shown: dict[str, Shown] = {}

    def shown(self, symbol: str) -> Shown:
        """What is shown of a symbol now."""
        return self._shown.setdefault(symbol, Shown())

    # --- streams ---------------------------------------------------------------------------------------

    def events(self, symbol: str, row: MarketRow, now_ms: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind of stream, event) of a row; state moves on even if nobody listens."""
        shown = self.shown(symbol)
        stamped = {"E": now_ms, "T": row.ts_ns // NS_PER_MS} if self._futures else {}
        before = attrs.evolve(shown)
        bid, ask = (row.bid, row.ask) if row.bid and row.ask else (row.price, row.price + 1)
        shown.bid, shown.ask = bid, ask
        shown.bid_lots, shown.ask_lots = max(row.bid_qty, 1), max(row.ask_qty, 1)
        shown.update_id += 1
        ticker = {"e": "bookTicker"} if self._futures else {}
        yield (
            "bookTicker",
            {
                **ticker,
                "u": shown.update_id,
                "s": symbol,
                "b": self._words.price(symbol, bid),
                "B": self._words.quantity(symbol, shown.bid_lots),
                "a": self._words.price(symbol, ask),
                "A": self._words.quantity(symbol, shown.ask_lots),
                **stamped,
            },
        )
        yield "depth", self._diff(symbol, before, shown, row, now_ms)
        if row.is_trade:
            yield from self._traded(symbol, shown, row, now_ms)

    def _diff(self, symbol: str, before: Shown, shown: Shown, row: MarketRow, now_ms: int) -> dict[str, Any]:
        sides = {}
        for name, old, new, lots in (
            ("b", before.bid, shown.bid, shown.bid_lots),
            ("a", before.ask, shown.ask, shown.ask_lots),
        ):
            sides[name] = [[self._words.price(symbol, new), self._words.quantity(symbol, lots)]]
            if old and old != new:
                sides[name].append([self._words.price(symbol, old), self._words.quantity(symbol, 0)])
        chained = {"T": row.ts_ns // NS_PER_MS, "pu": before.update_id} if self._futures else {}
        update_id = shown.update_id
        return {
            "e": "depthUpdate",
            "E": now_ms,
            "s": symbol,
            "U": update_id,
            "u": update_id,
            **chained,
            **sides,
        }

    def _traded(
        self, symbol: str, shown: Shown, row: MarketRow, now_ms: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        shown.trade_id += 1
        price, quantity = self._words.price(symbol, row.price), self._words.quantity(symbol, row.qty)
        time_ms, seller_took = row.ts_ns // NS_PER_MS, row.side < 0
        value = notional(self._desk.instruments[symbol], row.price, row.qty)
        shown.trades.append(
            {
                "id": shown.trade_id,
                "price": price,
                "qty": quantity,
                "quoteQty": self._words.money(symbol, value),
                "time": time_ms,
                "isBuyerMaker": seller_took,
                "isBestMatch": True,
            }
        )
        self._minute(shown, row, value)
        common = {"E": now_ms, "s": symbol, "p": price, "q": quantity, "T": time_ms, "m": seller_took}
        more: dict[str, Any] = {"X": "MARKET"} if self._futures else {"M": True}
        yield "trade", {"e": "trade", **common, "t": shown.trade_id, **more}
        number = shown.trade_id
        yield "aggTrade", {"e": "aggTrade", **common, "a": number, "f": number, "l": number}

    def _minute(self, shown: Shown, row: MarketRow, value: int) -> None:
        start = row.ts_ns // NS_PER_MS // MINUTE_MS * MINUTE_MS
        if not shown.minutes or shown.minutes[-1].start_ms != start:
            shown.minutes.append(Minute(start, row.price, row.price, row.price, row.price))
        minute = shown.minutes[-1]
        minute.high, minute.low = max(minute.high, row.high), min(minute.low, row.low)
        minute.close = row.price
        minute.volume += row.qty
        minute.value += value
        minute.trades += 1

    # --- requests --------------------------------------------------------------------------------------

    def depth(self, symbol: str, now_ms: int) -> dict[str, Any]:
        """The book."""
        shown = self.shown(symbol)
        stamped = {"E": now_ms, "T": now_ms} if self._futures else {}
        book: dict[str, Any] = {"lastUpdateId": shown.update_id, **stamped, "bids": [], "asks": []}
        if shown.bid:
            words = self._words
            book["bids"] = [[words.price(symbol, shown.bid), words.quantity(symbol, shown.bid_lots)]]
            book["asks"] = [[words.price(symbol, shown.ask), words.quantity(symbol, shown.ask_lots)]]
        return book

    def book_ticker(self, symbol: str, now_ms: int) -> dict[str, Any]:
        """Best quotes."""
        shown, words = self.shown(symbol), self._words
        return {
            "symbol": symbol,
            "bidPrice": words.price(symbol, shown.bid),
            "bidQty": words.quantity(symbol, shown.bid_lots),
            "askPrice": words.price(symbol, shown.ask),
            "askQty": words.quantity(symbol, shown.ask_lots),
            **({"time": now_ms, "lastUpdateId": shown.update_id} if self._futures else {}),
        }

    def last_price(self, symbol: str) -> str:
        """The last traded price; the bid before the first trade."""
        trades = self.shown(symbol).trades
        return str(trades[-1]["price"]) if trades else self._words.price(symbol, self.shown(symbol).bid)

    def day(self, symbol: str, now_ms: int) -> dict[str, Any]:
        """The ticker of a day, as far as it is remembered."""
        shown, words = self.shown(symbol), self._words
        minutes = list(shown.minutes)
        first = minutes[0].open if minutes else shown.bid
        last = minutes[-1].close if minutes else shown.bid
        return {
            **self.book_ticker(symbol, now_ms),
            "priceChange": words.price(symbol, abs(last - first))
            if last >= first
            else f"-{words.price(symbol, first - last)}",
            "priceChangePercent": "0.000",
            "weightedAvgPrice": words.price(symbol, last),
            "prevClosePrice": words.price(symbol, first),
            "lastPrice": self.last_price(symbol),
            "lastQty": shown.trades[-1]["qty"] if shown.trades else "0",
            "openPrice": words.price(symbol, first),
            "highPrice": words.price(symbol, max((one.high for one in minutes), default=last)),
            "lowPrice": words.price(symbol, min((one.low for one in minutes), default=last)),
            "volume": words.quantity(symbol, sum(one.volume for one in minutes)),
            "quoteVolume": words.money(symbol, sum(one.value for one in minutes)),
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "firstId": 1,
            "lastId": shown.trade_id,
            "count": shown.trade_id,
        }

    def klines(self, symbol: str, minutes: int, limit: int) -> list[list[Any]]:
        """Candles of so many minutes, oldest first."""
        merged: list[Minute] = []
        for one in self.shown(symbol).minutes:
            start_ms = one.start_ms - one.start_ms % (minutes * MINUTE_MS)
            if not merged or merged[-1].start_ms != start_ms:
                merged.append(attrs.evolve(one, start_ms=start_ms))
                continue
            last = merged[-1]
            last.high, last.low, last.close = max(last.high, one.high), min(last.low, one.low), one.close
            last.volume += one.volume
            last.value += one.value
            last.trades += one.trades
        return [self._kline(symbol, one, minutes) for one in merged[-limit:]]

    def _kline(self, symbol: str, one: Minute, minutes: int) -> list[Any]:
        words = self._words
        prices = [words.price(symbol, ticks) for ticks in (one.open, one.high, one.low, one.close)]
        volume, value = words.quantity(symbol, one.volume), words.money(symbol, one.value)
        ends_ms = one.start_ms + minutes * MINUTE_MS - 1
        return [one.start_ms, *prices, volume, ends_ms, value, one.trades, "0", "0", "0"]
