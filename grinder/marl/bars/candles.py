"""Tables of market data to bars: candles as they are, trades one by one.

Law: the numbers of a file were read exactly by `grinder.data`; here they become float64 once, by one
division. Candles that start off their own grid are refused by `Bars`, missing ones are filled or left out as
the caller says.
"""

from __future__ import annotations

import numpy as np

from grinder.data.fixed import Column
from grinder.data.raw import Kind, RawTable
from grinder.marl.bars.aggregation import aggregate, filled
from grinder.marl.bars.closed import Bars, Floats, from_candles
from grinder.marl.bars.tick_bars import time_bars
from grinder.marl.schema import TACTICAL_NS


def bars_of_table(table: RawTable) -> Bars:
    """The bars of a table of candles; one that the file tells twice counts once, as told last.

    Raises:
        ValueError: the table holds no candles, or they are no bars (see `Bars`).
    """
    if table.kind is not Kind.BARS or table.open is None or table.qty is None:
        raise ValueError(f"a table of {table.kind.value} holds no candles")
    table = table.take(np.append(np.diff(table.ts) != 0, True)) if len(table) else table
    assert table.open is not None and table.high is not None and table.low is not None
    assert table.close is not None and table.qty is not None
    prices = tuple(
        _floats(one, table.price_decimals) for one in (table.open, table.high, table.low, table.close)
    )
    return from_candles(
        table.bar_ns,
        table.ts,
        (prices[0], prices[1], prices[2], prices[3]),
        _floats(table.qty, table.qty_decimals),
    )


def bars_of_trades(table: RawTable) -> Bars:
    """The closed 5-minute bars of a table of trades; the one that holds the last trade is still open.

    Raises:
        ValueError: the table holds no trades.
    """
    if table.kind not in (Kind.TRADES, Kind.MIXED) or table.price is None or table.qty is None:
        raise ValueError(f"a table of {table.kind.value} holds no trades")
    own = table if table.trade is None else table.take(table.trade)
    assert own.price is not None and own.qty is not None
    prices, sizes = _floats(own.price, own.price_decimals), _floats(own.qty, own.qty_decimals)
    bars, _ = time_bars(zip(own.ts.tolist(), prices.tolist(), sizes.tolist(), strict=True), TACTICAL_NS)
    return bars


def tactical_bars(bars: Bars, fill: bool = True) -> Bars:
    """5-minute bars of candles of 5 minutes or an exact part of them.

    Args:
        fill: puts synthetic bars where candles are missing (an outage); without it a 5-minute bar with a hole
            does not exist.
    """
    whole = filled(bars) if fill else bars
    return whole if whole.bar_ns == TACTICAL_NS else aggregate(whole, TACTICAL_NS)


def _floats(mantissas: Column, decimals: int) -> Floats:
    return mantissas.astype(np.float64) / 10.0**decimals
