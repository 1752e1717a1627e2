"""What a file holds, for people and for scripts.

Law: describing reads the whole file and never raises for what is in it: faults are counted, not thrown.  Of a
file of several symbols the one with the most rows is described and all are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from grinder.data.checks import missing_bars
from grinder.data.faults import DataFault, FaultCode
from grinder.data.fixed import decimal_text
from grinder.data.raw import PRICE_COLUMNS, Kind, RawTable
from grinder.data.registry import read_file
from grinder.data.scales import guess
from grinder.data.times import iso


@attrs.frozen(kw_only=True)
class Description:
    """Facts of one file.

    Attributes:
        format: name of the format it was recognised as.
        symbol: as the file spells it, None when it does not say; `symbols` lists all it holds.
        kind: trades, quotes, bars, book, or trades and quotes.
        rows: rows of the file; `events` are the trades, quotes or bars made from them.
        first, last: ISO 8601 UTC; `span_seconds` between them.
        time_unit: how the file writes times: s, ms, us, ns, iso or datetime.
        gaps: holes between bars, or breaks in ids or update sequences; `missing` rows in them.
        largest_gap_seconds: longest time between two rows.
        bar_seconds: interval of bars, 0 for other kinds.
        tick, lot: guesses, coarsest steps every row is on, as decimal text.
        price_low, price_high: range of all prices, as decimal text.
        reordered: rows of a recording that had arrived out of exchange time order.
        faults: number of faults by code.
    """

    path: str
    format: str
    symbol: str | None = None
    symbols: tuple[str, ...] = ()
    kind: str | None = None
    rows: int = 0
    events: int = 0
    first: str | None = None
    last: str | None = None
    span_seconds: float = 0.0
    time_unit: str = "unknown"
    gaps: int = 0
    missing: int = 0
    largest_gap_seconds: float = 0.0
    bar_seconds: int = 0
    tick: str | None = None
    lot: str | None = None
    price_low: str | None = None
    price_high: str | None = None
    reordered: int = 0
    faults: dict[str, int] = attrs.Factory(dict)

    def as_dict(self) -> dict[str, object]:
        """JSON-ready facts."""
        return {**attrs.asdict(self), "symbols": list(self.symbols)}


def describe(path: Path) -> Description:
    """What the file holds.

    Raises:
        DataError: no such file.
        EnvironmentFault: it may not be opened, or pyarrow is missing for it.
    """
    file = read_file(path)
    counted: dict[str, int] = {}
    for fault in file.faults:
        counted[str(fault.code)] = counted.get(str(fault.code), 0) + 1
    facts = Description(
        path=str(path),
        format=file.format,
        symbols=tuple(table.symbol for table in file.tables if table.symbol),
        rows=file.rows,
        time_unit=file.time_unit,
        faults=counted,
    )
    return _with_table(facts, file.tables[0], file.faults) if file.tables else facts


def verify(path: Path) -> list[DataFault]:
    """Everything wrong with the file, by row; empty when nothing is.

    Raises:
        DataError: no such file.
        EnvironmentFault: it may not be opened, or pyarrow is missing for it.
    """
    return sorted(read_file(path).faults, key=lambda fault: fault.row)


def _with_table(facts: Description, table: RawTable, faults: Sequence[DataFault]) -> Description:
    first, last = int(table.ts[0]), int(table.ts[-1])
    between = np.diff(table.ts)
    missing = missing_bars(table)
    breaks = sum(fault.code in (FaultCode.GAP, FaultCode.SEQUENCE) for fault in faults)
    tick, lot = guess(table)
    low, high = _price_range(table)
    return attrs.evolve(
        facts,
        symbol=table.symbol,
        kind=table.kind.value,
        events=len(table),
        first=iso(first),
        last=iso(last),
        span_seconds=(last - first) / 10**9,
        gaps=int(np.count_nonzero(missing)) if table.kind is Kind.BARS else breaks,
        missing=int(missing.sum()),
        largest_gap_seconds=int(between.max()) / 10**9 if len(between) else 0.0,
        bar_seconds=table.bar_ns // 10**9,
        tick=f"{tick:f}",
        lot=f"{lot:f}",
        price_low=decimal_text(low, table.price_decimals),
        price_high=decimal_text(high, table.price_decimals),
        reordered=table.reordered,
    )


def _price_range(table: RawTable) -> tuple[int, int]:
    """Lowest and highest price of any column; zeros stand for "not of this row" and do not count."""
    lows, highs = [], []
    for name in PRICE_COLUMNS:
        column = getattr(table, name)
        if column is not None and column.any():
            lows.append(int(column[column > 0].min(initial=np.iinfo(np.int64).max)))
            highs.append(int(column.max()))
    return (min(lows), max(highs)) if lows else (0, 0)
