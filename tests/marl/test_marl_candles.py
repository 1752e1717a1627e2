"""Candle files become bars: exact numbers, outages, candles told twice."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import MONDAY_NS

from grinder.data.raw import Kind, RawTable
from grinder.marl.bars.aggregation import aggregate
from grinder.marl.bars.candles import bars_of_table, tactical_bars
from grinder.marl.schema import MINUTE_NS, TACTICAL_NS


def table(minutes: list[int], close: list[int] | None = None) -> RawTable:
    """Candles of one minute, prices with two decimals around 10.00, volumes with three."""
    count = len(minutes)
    closes = np.array(close or [1000] * count, dtype=np.int64)
    return RawTable(
        kind=Kind.BARS,
        ts=MONDAY_NS + np.array(minutes, dtype=np.int64) * MINUTE_NS,
        price_decimals=2,
        qty_decimals=3,
        open=np.full(count, 1000, dtype=np.int64),
        high=np.maximum(closes, 1010),
        low=np.minimum(closes, 990),
        close=closes,
        qty=np.full(count, 1500, dtype=np.int64),
        bar_ns=MINUTE_NS,
    )


def test_mantissas_become_prices_and_volumes() -> None:
    bars = bars_of_table(table([0, 1], [1001, 1002]))
    assert bars.close.tolist() == [10.01, 10.02]
    assert bars.volume.tolist() == [1.5, 1.5]
    assert bars.bar_ns == MINUTE_NS


def test_a_candle_told_twice_counts_once_as_told_last() -> None:
    bars = bars_of_table(table([0, 1, 1, 2], [1001, 1002, 1003, 1004]))
    assert bars.close.tolist() == [10.01, 10.03, 10.04]


def test_an_outage_is_filled_or_leaves_its_bars_out() -> None:
    bars = bars_of_table(table([*range(7), *range(17, 30)]))
    filled = tactical_bars(bars)
    assert len(filled) == 6
    assert filled.synthetic.tolist() == [False, False, True, False, False, False]
    assert ((tactical_bars(bars, fill=False).start_ns - MONDAY_NS) // TACTICAL_NS).tolist() == [0, 4, 5]


def test_bars_of_five_minutes_stay_as_they_are() -> None:
    five = aggregate(bars_of_table(table(list(range(20)))), TACTICAL_NS)
    assert tactical_bars(five).close.tolist() == five.close.tolist()


def test_a_table_of_trades_holds_no_candles() -> None:
    trades = RawTable(kind=Kind.TRADES, ts=np.zeros(1, dtype=np.int64), price=np.ones(1, dtype=np.int64))
    with pytest.raises(ValueError, match="no candles"):
        bars_of_table(trades)


def test_no_candles_give_no_bars() -> None:
    assert len(tactical_bars(bars_of_table(table([])))) == 0
