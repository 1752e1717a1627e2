"""Candles: freqtrade feather and JSON, any CSV with a header, Binance klines.

Law: the time of a candle is its start, as every exchange here writes it.  The interval is not written
anywhere; it is the most common step between rows, and a bar that starts inside the one before it is a fault.
"""

from __future__ import annotations

import numpy as np
import orjson

from grinder.data.columns import Columns, from_arrays
from grinder.data.faults import DataFault, FaultCode
from grinder.data.fixed import Column
from grinder.data.formats.tables import Layout
from grinder.data.raw import Kind, RawFile, RawTable
from grinder.data.source import Source

TIME_NAMES = ("open_time", "timestamp", "date", "time", "datetime")
PRICES = ("open", "high", "low", "close")


def read_candles(columns: Columns) -> RawTable:
    """Rows of time, open, high, low, close, volume."""
    time_name = next(name for name in TIME_NAMES if columns.has(name))
    price_decimals, (opened, high, low, close) = columns.decimals(*PRICES)
    qty_decimals, (volume,) = columns.decimals("volume")
    ts = columns.times(time_name)
    return RawTable(
        kind=Kind.BARS,
        symbol=columns.symbol(),
        ts=ts,
        open=opened,
        high=high,
        low=low,
        close=close,
        qty=volume,
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        bar_ns=interval_of(ts),
        first_row=columns.first_row,
    )


def interval_of(ts: Column) -> int:
    """The most common step in ns (the smaller one of a tie); 0 when there is none."""
    steps, counts = np.unique(np.diff(ts), return_counts=True)
    forward = steps > 0
    if not forward.any():
        return 0
    return int(steps[forward][np.argmax(counts[forward])])


LAYOUTS = (
    Layout("Binance archive klines", ("open_time", *PRICES, "volume", "close_time"), read_candles),
    *(Layout("candle table", (name, *PRICES, "volume"), read_candles) for name in TIME_NAMES),
)


def accepts_json(source: Source) -> bool:
    """A JSON list of lists."""
    return source.head[:64].replace(b" ", b"").replace(b"\n", b"").startswith(b"[[")


def read_json(source: Source) -> RawFile:
    """freqtrade's JSON: ``[[ts, open, high, low, close, volume], ...]``; a row's place is its element."""
    name = "candle JSON"
    try:
        rows = orjson.loads(source.data)
    except orjson.JSONDecodeError as error:
        what = f"the JSON is cut short or damaged: {error.msg}"
        fault = DataFault(code=FaultCode.TRUNCATED, row=error.lineno, what=what, value=f"byte {error.pos}")
        return RawFile(format=name, tables=(), rows=0, time_unit="unknown", faults=(fault,))
    wrong = next((i for i, row in enumerate(rows) if not _is_candle(row)), None)
    if wrong is not None:
        what = "the element is not [time, open, high, low, close, volume]"
        shape = DataFault(code=FaultCode.SHAPE, row=wrong + 1, what=what, value=str(rows[wrong])[:80])
        return RawFile(format=name, tables=(), rows=len(rows), time_unit="unknown", faults=(shape,))
    table = np.array([row[:6] for row in rows], dtype=np.float64)
    columns = from_arrays(("timestamp", *PRICES, "volume"), list(table.T), 1)
    raw = read_candles(columns)
    faults = tuple(columns.faults)
    return RawFile(format=name, tables=(raw,), rows=len(rows), time_unit=columns.time_unit, faults=faults)


def _is_candle(row: object) -> bool:
    return (
        isinstance(row, list) and len(row) >= 6 and all(isinstance(v, (int, float, type(None))) for v in row)
    )
