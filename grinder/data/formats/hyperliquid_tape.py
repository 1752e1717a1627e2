"""Hyperliquid WebSocket tapes: l2Book (its best levels become quotes) and trades.

Law: the time of a row is the exchange's ``time`` in ms.  On subscribing, the exchange sends trades from
before the recording: they keep their own time and so stand before the first book.  Side ``B`` is a buying
aggressor.
"""

from __future__ import annotations

from typing import Any

from grinder.data.faults import DataFault, FaultCode
from grinder.data.formats.tapes import Events, Frame, read_frames, speaks
from grinder.data.raw import Kind, RawFile
from grinder.data.source import Source

NAME = "Hyperliquid WebSocket tape"
MS = 10**6


def accepts(source: Source) -> bool:
    """A tape whose frames name a Hyperliquid channel."""
    return speaks(source, lambda frame: isinstance(frame, dict) and frame.get("channel") in CHANNELS)


def _book(frame: Frame, data: Any, coins: dict[str, Events]) -> None:
    bids, asks = data["levels"]
    if bids and asks:
        bid, ask = bids[0], asks[0]
        events = coins.setdefault(data["coin"], Events(data["coin"]))
        events.quotes.append((data["time"] * MS, frame.line, bid["px"], bid["sz"], ask["px"], ask["sz"]))


def _trades(frame: Frame, data: Any, coins: dict[str, Events]) -> None:
    for trade in data:
        events = coins.setdefault(trade["coin"], Events(trade["coin"]))
        side = 1 if trade["side"] == "B" else -1
        ts = trade["time"] * MS
        events.trades.append((ts, frame.line, trade["px"], trade["sz"], side, trade["tid"]))


CHANNELS = {"l2Book": _book, "trades": _trades}


def read(source: Source) -> RawFile:
    """Trades and quotes of every coin on the tape."""
    faults: list[DataFault] = []
    coins: dict[str, Events] = {}
    for frame in read_frames(source, faults):
        handle = CHANNELS.get(str(frame.content.get("channel"))) if isinstance(frame.content, dict) else None
        if handle is None:
            continue
        try:
            handle(frame, frame.content["data"], coins)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"the frame lacks a field or has another type: {error}"
            faults.append(DataFault(code=FaultCode.SHAPE, row=frame.line, what=what))
    tables = [table for events in coins.values() if (table := events.table(Kind.BOOK)) is not None]
    tables.sort(key=len, reverse=True)
    rows = sum(1 for line in source.lines if line)
    return RawFile(
        format=NAME,
        tables=tuple(tables),
        rows=rows,
        time_unit="ms" if tables else "unknown",
        faults=tuple(faults),
    )
