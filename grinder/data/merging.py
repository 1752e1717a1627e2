"""Several tables of one symbol as one, by time.

Law: rows of equal time keep the order of the tables as given, and within a table the file's order; so the
result depends on the arguments and on nothing else.  A trade or bar that an earlier table already had (same
id, or same start) is left out.  Bars do not mix with trades or quotes: they say the same thing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grinder.data.checks import repeats
from grinder.data.fixed import Column, rescaled
from grinder.data.raw import PRICE_COLUMNS, QTY_COLUMNS, Kind, RawTable
from grinder.errors import DataError

TRADE_KINDS = (Kind.TRADES, Kind.MIXED)


def merge(tables: Sequence[RawTable]) -> RawTable:
    """One table of all rows, sorted by time, repetitions left out.

    Args:
        tables: at least one; all of one symbol (the first one's name is kept).

    Raises:
        DataError: bars given together with trades or quotes, or bars of two intervals.
    """
    if len(tables) == 1:
        return without_repeats(tables[0])
    kind = _common_kind(tables)
    price_decimals = max(table.price_decimals for table in tables)
    qty_decimals = max(table.qty_decimals for table in tables)
    columns: dict[str, Any] = {
        name: _joined(tables, name, "price_decimals", price_decimals) for name in PRICE_COLUMNS
    }
    columns |= {name: _joined(tables, name, "qty_decimals", qty_decimals) for name in QTY_COLUMNS}
    joined = RawTable(
        kind=kind,
        symbol=tables[0].symbol,
        ts=np.concatenate([table.ts for table in tables]),
        side=_joined(tables, "side", None, 0),
        trade=np.concatenate([_trade_mask(table) for table in tables]) if kind is Kind.MIXED else None,
        ids=_joined_ids(tables),
        row=np.concatenate([table.rows(np.arange(len(table))) for table in tables]),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        bar_ns=tables[0].bar_ns,
        **columns,
    )
    return without_repeats(joined.take(np.argsort(joined.ts, kind="stable")))


def without_repeats(table: RawTable) -> RawTable:
    """The table without rows that repeat an earlier one; the same table when there are none."""
    again = repeats(table)
    return table.take(~again) if again.any() else table


def _common_kind(tables: Sequence[RawTable]) -> Kind:
    kinds = {table.kind for table in tables}
    if Kind.BARS in kinds:
        if len(kinds) > 1:
            raise DataError(
                "data.mixed_kinds",
                "bars cannot be mixed with trades or quotes of the same symbol",
                fix="give either the bars or the trades and quotes",
            )
        if len({table.bar_ns for table in tables}) > 1:
            raise DataError(
                "data.mixed_intervals",
                "bars of different intervals cannot be mixed",
                value=", ".join(sorted({f"{table.bar_ns // 10**9} s" for table in tables})),
                fix="give files of one interval",
            )
        return Kind.BARS
    trades = any(kind in TRADE_KINDS for kind in kinds)
    quotes = any(kind is not Kind.TRADES for kind in kinds)
    return Kind.MIXED if trades and quotes else Kind.TRADES if trades else Kind.QUOTES


def _joined(tables: Sequence[RawTable], name: str, scale: str | None, decimals: int) -> Column | None:
    """A column of all tables, zero where a table lacks it; None when all lack it."""
    parts: list[Column | None] = [getattr(table, name) for table in tables]
    if all(part is None for part in parts):
        return None
    whole = [
        np.zeros(len(table), dtype=np.int64)
        if part is None
        else rescaled(part, getattr(table, scale), decimals)
        if scale
        else part
        for table, part in zip(tables, parts, strict=True)
    ]
    return np.concatenate(whole)


def _trade_mask(table: RawTable) -> NDArray[np.bool_]:
    if table.trade is not None:
        return table.trade
    return np.full(len(table), table.kind in TRADE_KINDS)


def _joined_ids(tables: Sequence[RawTable]) -> NDArray[Any] | None:
    """Ids of all tables; None when a table of trades has none, or they are of two types."""
    trading = [table.ids for table in tables if table.kind in TRADE_KINDS]
    held = [ids for ids in trading if ids is not None]
    if not held or len(held) < len(trading) or len({ids.dtype.kind for ids in held}) > 1:
        return None
    filler = held[0].dtype
    parts = [np.zeros(len(t), dtype=filler) if t.ids is None else t.ids for t in tables]
    return np.concatenate(parts)
