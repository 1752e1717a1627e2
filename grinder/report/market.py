"""Prices and holdings over time, read from the ledger: no view keeps them.

Law: one pass over the records that carry a price, up to the record the views stand at; what is kept is
integers until the few points of a chart are chosen.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from decimal import Decimal

from domain.codec import UPCASTERS, decode
from domain.inputs import ClockReport, TickReport
from domain.risk_events import InventoryChanged
from domain.units import text
from grinder.report.model import Market
from grinder.report.thinning import kept
from projections.listings import Scale

_TOPICS = tuple(sorted({ClockReport.TOPIC, TickReport.TOPIC, InventoryChanged.TOPIC, *UPCASTERS}))

_SELECT = (
    "SELECT ts_ns, topic, CAST(state AS BLOB) FROM stored_events "
    f"WHERE rowid <= ? AND topic IN ({', '.join('?' * len(_TOPICS))}) ORDER BY rowid"
)


class _Line:
    """A symbol's points as they are read."""

    def __init__(self) -> None:
        self.price_at = array("q")
        self.price = array("q")
        self.held_at = array("q")
        self.held: list[int] = []
        """Base units: an asset of eighteen digits does not fit 64 bits."""

    def tell_price(self, ts_ns: int, ticks: int) -> None:
        self.price_at.append(ts_ns)
        self.price.append(ticks)


def read_markets(
    ledger: sqlite3.Connection, position: int, scales: Mapping[str, Scale], opening: Mapping[str, int]
) -> dict[str, Market]:
    """By symbol, prices and holdings up to a record; `opening` is what was held at first, in base units."""
    lines = {symbol: _Line() for symbol in scales}
    for ts_ns, topic, state in ledger.execute(_SELECT, (position, *_TOPICS)):
        event = decode(topic, state)
        if isinstance(event, ClockReport):
            for symbol, ticks in event.marks:
                if symbol in lines:
                    lines[symbol].tell_price(ts_ns, ticks)
        elif isinstance(event, TickReport):
            if event.symbol in lines:
                lines[event.symbol].tell_price(ts_ns, event.price_ticks)
        elif isinstance(event, InventoryChanged) and event.symbol in lines:
            line = lines[event.symbol]
            line.tell_price(ts_ns, event.price_ticks)
            line.held_at.append(ts_ns)
            line.held.append(event.inventory)
    return {symbol: _market(line, scales[symbol], opening.get(symbol, 0)) for symbol, line in lines.items()}


def _texts(values: Iterable[Decimal]) -> list[str]:
    return [text(value) for value in values]


def _market(line: _Line, to: Scale, opening: int) -> Market:
    times, held = line.held_at, line.held
    if line.price_at:
        # A holding is a staircase: it begins with the run and lasts until the last price.
        last = held[-1] if held else opening
        times = array("q", [line.price_at[0], *times, max(line.price_at[-1], times[-1] if times else 0)])
        held = [opening, *held, last]
    prices, stairs = kept(line.price), kept(held)
    return Market(
        prices=([line.price_at[at] for at in prices], _texts(to.price(line.price[at]) for at in prices)),
        inventory=([times[at] for at in stairs], _texts(to.base(held[at]) for at in stairs)),
        price_low=text(to.price(min(line.price))) if line.price else "",
        price_high=text(to.price(max(line.price))) if line.price else "",
    )
