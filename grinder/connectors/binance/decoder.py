"""Binance's frames as signals.

Law: pure, and the same for a tape as for a live run.  A frame nobody can read is a `Gap` that says so.
What follows the exchange's own numbering is passed on once and in order: an older quote is dropped, a missing
trade number is a gap.

The answer to a subscription opens a connection (it is the first frame of each), so the numbering starts anew
there: what was missed in between is the listener's to fetch, and not a gap of the new connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from actors.ports import Expired, Gap, Quote, Signal, SnapshotStatus, Trade
from grinder.connectors.binance import parsing
from grinder.connectors.binance.parsing import NS_PER_MS
from grinder.connectors.converting import Scales, Unreadable

MARKET_STREAM = "market"
PRIVATE_STREAM = "private"

NO_REASON = ("", "NONE", "0")
SHOWN = 60


class BinanceDecoder:
    """Decoder of both markets: what tells them apart is in the frames."""

    def __init__(self, scales: Scales) -> None:
        self._scales = scales
        self._quote_ids: dict[str, int] = {}
        self._trade_ids: dict[str, int] = {}

    def decode(self, stream: str, frame: bytes, received_ns: int) -> list[Signal]:
        """See `actors.ports.Decoder`."""
        try:
            payload = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return [Gap(stream=stream, detail=f"unreadable frame: {frame[:SHOWN]!r}")]
        if not isinstance(payload, dict):
            return [Gap(stream=stream, detail=f"unreadable frame: {frame[:SHOWN]!r}")]
        event = payload.get("data") or payload.get("event") or payload
        signals: list[Signal] = []
        try:
            signals.extend(self._event(stream, event, payload, received_ns))
        except Unreadable as error:
            signals.append(Gap(stream=stream, detail=f"unreadable frame: {error}"))
        return signals

    def _event(self, stream: str, event: Any, payload: dict[str, Any], received_ns: int) -> Iterator[Signal]:
        found = parsing.fields(event)
        kind = found.get("e")
        if kind == "bookTicker" or (kind is None and "u" in found and "B" in found):
            yield from self._quote(found, received_ns)
        elif kind == "trade":
            yield from self._trade(stream, found, ("t", "t"), received_ns)
        elif kind == "aggTrade":
            yield from self._trade(stream, found, ("f", "l"), received_ns)
        elif kind == "executionReport":
            yield from self._order(found, spot=True)
        elif kind == "ORDER_TRADE_UPDATE":
            yield from self._order(parsing.fields(found.get("o")), spot=False)
        elif kind == "ACCOUNT_UPDATE":
            yield from self._account(found)
        elif kind in ("serverShutdown", "listenKeyExpired", "eventStreamTerminated"):
            yield Expired(stream=stream, detail=str(kind))
        elif "id" in payload and kind is None:
            if "error" in payload:
                raise Unreadable(f"refused: {str(payload['error'])[:200]}")
            if stream == MARKET_STREAM:
                self._quote_ids.clear()
                self._trade_ids.clear()

    def _quote(self, event: Mapping[str, Any], received_ns: int) -> Iterator[Signal]:
        symbol, update_id = event.get("s"), parsing.whole(event, "u")
        if symbol not in self._scales.instruments or update_id <= self._quote_ids.get(symbol, -1):
            return
        self._quote_ids[symbol] = update_id
        yield Quote(
            symbol=symbol,
            bid_ticks=self._scales.ticks(symbol, event.get("b")),
            ask_ticks=self._scales.ticks(symbol, event.get("a")),
            bid_lots=self._scales.whole_lots(symbol, event.get("B")),
            ask_lots=self._scales.whole_lots(symbol, event.get("A")),
            exchange_ns=_time_ns(event, "T"),
            received_ns=received_ns,
        )

    def _trade(
        self, stream: str, event: Mapping[str, Any], numbers: tuple[str, str], received_ns: int
    ) -> Iterator[Signal]:
        """A trade, or several of one order in one: `numbers` are the fields of the first and last number."""
        symbol = event.get("s")
        if symbol not in self._scales.instruments:
            return
        first, number = (parsing.whole(event, field) for field in numbers)
        last = self._trade_ids.get(symbol, first - 1)
        if number <= last:
            return
        self._trade_ids[symbol] = number
        if first > last + 1:
            yield Gap(stream=stream, detail=f"{symbol}: trades {last + 1} to {first - 1} are missing")
        if event.get("X", "MARKET") != "MARKET":
            return  # liquidations booked against the insurance fund are no prices
        yield Trade(
            symbol=symbol,
            trade_id=str(number),
            price_ticks=self._scales.ticks(symbol, event.get("p")),
            lots=self._scales.whole_lots(symbol, event.get("q")),
            buyer_took=event.get("m") is False,
            exchange_ns=_time_ns(event, "T"),
            received_ns=received_ns,
        )

    def _order(self, event: Mapping[str, Any], *, spot: bool) -> Iterator[Signal]:
        symbol = parsing.text(event, "s")
        if symbol not in self._scales.instruments:
            return
        # A cancel of a spot order has an id of its own (c); the order's is then the original one (C).
        named = (event.get("C") if spot else "") or event.get("c") or ""
        client_order_id, exchange_order_id = str(named), str(parsing.whole(event, "i"))
        if event.get("x") == "TRADE":
            yield self._scales.fill(
                symbol=symbol,
                side=parsing.SIDE.get(str(event.get("S")), ""),
                price=event.get("L"),
                quantity=event.get("l"),
                fee=event.get("n") or "0",
                fee_asset=str(event.get("N") or ""),
                maker=event.get("m") is True,
                client_order_id=client_order_id,
                exchange_order_id=exchange_order_id,
                fill_id=parsing.fill_id(symbol, event.get("t")),
                at=str(event.get("T", "")),
            )
        reason = str(event.get("r") or event.get("er") or "")
        status = event.get("X")
        ended = parsing.STATUS.get(str(status)) not in (SnapshotStatus.WORKING, SnapshotStatus.FILLED)
        if ended and reason in NO_REASON:
            reason = str(event.get("x") or "")
        yield parsing.snapshot(
            self._scales,
            client_order_id=client_order_id,
            exchange_order_id=exchange_order_id,
            symbol=symbol,
            side=event.get("S"),
            status=status,
            price=event.get("p"),
            quantity=event.get("q"),
            filled=event.get("z"),
            reason=reason if ended else "",
        )

    def _account(self, event: Mapping[str, Any]) -> Iterator[Signal]:
        """Funding of an isolated position names its symbol; that of a cross one is left to the history."""
        update = parsing.fields(event.get("a"))
        if update.get("m") != "FUNDING_FEE":
            return
        balances = parsing.rows(update.get("B") or [])
        symbols = [row.get("s") for row in parsing.rows(update.get("P") or [])]
        if len(symbols) == 1 and len(balances) == 1 and symbols[0] in self._scales.instruments:
            time_ms = parsing.whole(event, "T")
            yield parsing.funding(str(symbols[0]), time_ms, balances[0].get("bc"), self._scales)


def _time_ns(event: Mapping[str, Any], key: str) -> int:
    value = event.get(key)
    return value * NS_PER_MS if isinstance(value, int) else 0
