"""What must hold for the rows of every format: order, signs, ranges, holes, repetitions.

Law: checks look and never change.  They run on the exact mantissas of one table, vectorised.  Rows on which
the reader already found no number are not judged again; order is not judged when the times are no times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grinder.data.faults import DataFault, FaultCode, at_rows
from grinder.data.fixed import Column, decimal_text
from grinder.data.raw import Kind, RawTable
from grinder.data.times import iso

Mask = NDArray[np.bool_]
TIME_CODES = (FaultCode.MIXED_UNITS, FaultCode.NOT_A_TIME)
NUMBER_CODES = (FaultCode.NOT_FINITE, FaultCode.NOT_A_NUMBER)


def check(table: RawTable, known: Sequence[DataFault]) -> list[DataFault]:
    """Faults of one table beyond those its reader found (`known`)."""
    judged = {fault.row for fault in known if fault.code in NUMBER_CODES}
    found = [
        fault for fault in (*prices(table), *quantities(table), *ranges(table)) if fault.row not in judged
    ]
    if not any(fault.code in TIME_CODES for fault in known):
        found += unsorted(table)
        if table.kind is Kind.BARS:
            found += bar_steps(table)
        found += repeated(table)
    return found


def quote_mask(table: RawTable) -> Mask | slice:
    """The rows that carry quotes of their own."""
    return slice(None) if table.trade is None else ~table.trade


def prices(table: RawTable) -> list[DataFault]:
    """Prices that are zero or less."""
    found: list[DataFault] = []
    trades = slice(None) if table.trade is None else table.trade
    for name in ("price", "open", "high", "low", "close"):
        found += _below(table, name, 1, FaultCode.PRICE, trades, table.price_decimals)
    for name in ("bid", "ask"):
        found += _below(table, name, 1, FaultCode.PRICE, quote_mask(table), table.price_decimals)
    return found


def quantities(table: RawTable) -> list[DataFault]:
    """Quantities below zero."""
    found: list[DataFault] = []
    for name in ("qty", "bid_qty", "ask_qty"):
        found += _below(table, name, 0, FaultCode.QUANTITY, slice(None), table.qty_decimals)
    return found


def _below(
    table: RawTable, name: str, least: int, code: FaultCode, where: Mask | slice, decimals: int
) -> list[DataFault]:
    column: Column | None = getattr(table, name)
    if column is None or not len(column):
        return []
    if isinstance(where, slice):
        if int(column.min()) >= least:
            return []
        wrong = np.flatnonzero(column < least)
    else:
        wrong = np.flatnonzero((column < least) & where)
    what = f"{name} is not positive" if least else f"{name} is negative"
    return at_rows(code, what, table.rows(wrong), _shown(column, wrong, decimals))


def _shown(column: Column, indexes: NDArray[np.intp], decimals: int) -> list[str]:
    return [decimal_text(int(value), decimals) for value in column[indexes[:100]]]


def ranges(table: RawTable) -> list[DataFault]:
    """Bars whose high is below their low, or whose open or close lies outside."""
    if table.high is None or table.low is None or table.open is None or table.close is None:
        return []
    swapped = table.high < table.low
    at = np.flatnonzero(swapped)
    values = [
        f"high {high} low {low}"
        for high, low in zip(
            _shown(table.high, at, table.price_decimals),
            _shown(table.low, at, table.price_decimals),
            strict=True,
        )
    ]
    found = at_rows(FaultCode.HIGH_BELOW_LOW, "high is below low", table.rows(at), values)
    for name, column in (("open", table.open), ("close", table.close)):
        out = np.flatnonzero(~swapped & ((column > table.high) | (column < table.low)))
        what = f"{name} is not between low and high"
        shown = _shown(column, out, table.price_decimals)
        found += at_rows(FaultCode.OUTSIDE_RANGE, what, table.rows(out), shown)
    return found


def unsorted(table: RawTable) -> list[DataFault]:
    """Rows that are earlier than the row before them."""
    back = table.ts[1:] < table.ts[:-1]
    if not back.any():
        return []
    at = np.flatnonzero(back) + 1
    what = "the row is earlier than the row before it"
    return at_rows(FaultCode.UNSORTED, what, table.rows(at), [iso(int(ts)) for ts in table.ts[at[:100]]])


def bar_steps(table: RawTable) -> list[DataFault]:
    """Holes between bars, and steps that fit no interval."""
    if not table.bar_ns:
        what = "the interval cannot be told from a single bar"
        return [DataFault(code=FaultCode.INTERVAL, row=table.first_row, what=what)]
    step = np.diff(table.ts)
    short = np.flatnonzero((step > 0) & (step < table.bar_ns)) + 1
    interval = table.bar_ns // 10**9
    what = f"the bar starts before the one before it ends (interval {interval} s)"
    found = at_rows(FaultCode.INTERVAL, what, table.rows(short), [iso(int(t)) for t in table.ts[short[:100]]])
    holes = np.flatnonzero(step > table.bar_ns) + 1
    missing = missing_bars(table)[holes - 1]
    values = [
        f"{count} missing before {iso(int(t))}" for count, t in zip(missing, table.ts[holes], strict=True)
    ]
    return found + at_rows(FaultCode.GAP, "bars are missing", table.rows(holes), values)


def missing_bars(table: RawTable) -> Column:
    """Bars missing between each row and the next: int64 of length rows - 1."""
    if not table.bar_ns:
        return np.zeros(max(len(table) - 1, 0), dtype=np.int64)
    missing: Column = np.maximum((np.diff(table.ts) - 1) // table.bar_ns, 0)
    return missing


def repeated(table: RawTable) -> list[DataFault]:
    """Bars that start together, trades with one id, and holes in ids that count up."""
    again = np.flatnonzero(repeats(table))
    what = "a bar of the same time came before" if table.kind is Kind.BARS else "the trade's id came before"
    values: Sequence[object] | NDArray[Any]
    values = table.ts[again] if table.ids is None else table.ids[again]
    shown = [value.decode() if isinstance(value, bytes) else value for value in values[:100].tolist()]
    found = at_rows(FaultCode.DUPLICATE, what, table.rows(again), shown)
    if table.ids_count_up and table.ids is not None and table.ids.dtype.kind == "i":
        trades = np.arange(len(table)) if table.trade is None else np.flatnonzero(table.trade)
        ids = table.ids[trades]
        ids_missing = np.diff(ids) - 1
        holes = np.flatnonzero(ids_missing > 0) + 1
        text = [
            f"{count} missing before {i}" for count, i in zip(ids_missing[holes - 1], ids[holes], strict=True)
        ]
        found += at_rows(FaultCode.GAP, "trade ids are missing", table.rows(trades[holes]), text)
    return found


def repeats(table: RawTable) -> Mask:
    """True on rows that repeat an earlier one: a bar's start, or a trade's id at the same time."""
    mask = np.zeros(len(table), dtype=np.bool_)
    if table.kind is Kind.BARS:
        mask[1:] = table.ts[1:] == table.ts[:-1]
    elif table.ids is not None:
        trades = np.arange(len(table)) if table.trade is None else np.flatnonzero(table.trade)
        ids = table.ids[trades]
        if ids.dtype.kind == "i" and len(ids) and (np.diff(ids) > 0).all():
            return mask
        if len(set(ids.tolist())) < len(ids):
            _, first = np.unique(ids, return_index=True)
            again = np.ones(len(ids), dtype=np.bool_)
            again[first] = False
            mask[trades[again]] = True
    return mask
