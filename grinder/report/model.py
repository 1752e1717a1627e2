"""What a report shows, gathered and not yet drawn.

Law: amounts are exact decimal text and times are ns, as in the views; nothing here knows of HTML or charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

Row = Mapping[str, Any]
"""A row of a view as it is stored: amounts as text, times as ns."""

Points = tuple[list[int], list[str]]
"""Times in ns and the value at each, as text."""

MOST_MARKERS = 10_000
"""Executions drawn per symbol: a browser takes about a second for so many."""


@attrs.frozen
class Listing:
    """The last rows of something, newest first, and how many there are in all."""

    rows: tuple[Row, ...]
    total: int


@attrs.frozen(kw_only=True)
class Market:
    """What a symbol's price and the run's holding of it did, thinned to what a chart can show."""

    prices: Points
    inventory: Points
    price_low: str
    price_high: str


@attrs.frozen(kw_only=True)
class SymbolReport:
    """One symbol.

    Attributes:
        grid: its row of `grid_configs`; None when no grid was configured.
        prices_of_levels: every price at which a level of the latest ladder buys or sells, once, rising.
        fills: what the chart marks; every n-th execution, where n is `fills_step`.
        note: what the manifest says of the symbol's data, empty when it says nothing.
    """

    name: str
    instrument: Row
    grid: Row | None
    pnl: Row
    position: Row
    prices_of_levels: tuple[str, ...]
    fills: tuple[Row, ...]
    fills_step: int
    skipped: tuple[Row, ...]
    market: Market
    note: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class CycleResults:
    """Every closed cycle: what it made after fees, as exact text, and how long it took in ns."""

    profits: list[str]
    durations_ns: list[int]


@attrs.frozen(kw_only=True)
class RunReport:
    """One run.

    Attributes:
        total: the account's row of `pnl_total`; empty for a ledger without records.
        change: equity at the end less equity at the start; `change_pct` is rounded to two digits.
        drawdown_max_ppm: the furthest equity ever was below the session's high, in parts per million.
        drawdown: that distance over time, in ppm as text.
        position, head: the last record the figures include, and the chain there.
        as_recorded: whether the manifest names the same record and chain (true of an unfinished run).
    """

    name: str
    manifest: Mapping[str, Any]
    finished: bool
    as_recorded: bool
    position: int
    head: str
    account: Row
    started_ns: int | None
    ended_ns: int | None
    total: Row
    change: str
    change_pct: str
    drawdown_max_ppm: int | None
    counts: Mapping[str, int]
    equity: Points
    drawdown: Points
    results: CycleResults
    symbols: tuple[SymbolReport, ...]
    days: Listing
    cycles: Listing
    fills: Listing
    unsent: tuple[Row, ...]
    halts: tuple[Row, ...]
