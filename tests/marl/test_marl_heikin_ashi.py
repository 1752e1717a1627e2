"""Heikin-Ashi bars: the recursion, what they contain, what stays."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import walk, written

from grinder.marl.bars.heikin_ashi import heikin_ashi


def test_the_first_three_bars_follow_the_recursion() -> None:
    made = heikin_ashi(written([(10, 12, 9, 11), (11, 15, 10, 14), (14, 14, 8, 9)]))
    assert made.close.tolist() == [10.5, 12.5, 11.25]
    assert made.open.tolist() == [10.5, 10.5, 11.5]
    assert made.high.tolist() == [12.0, 15.0, 14.0]
    assert made.low.tolist() == [9.0, 10.0, 8.0]


def test_the_open_may_lie_outside_of_the_raw_bar_and_the_range_contains_it() -> None:
    made = heikin_ashi(written([(10, 10, 10, 10), (20, 21, 20, 21)]))
    assert (made.open[1], made.low[1], made.high[1]) == (10.0, 10.0, 21.0)


def test_a_loop_over_rows_gives_the_same_bars() -> None:
    raw = walk(300, 11)
    made = heikin_ashi(raw)
    opened, close = (raw.open[0] + raw.close[0]) / 2, 0.0
    for index in range(300):
        if index:
            opened = (opened + close) / 2
        close = (raw.open[index] + raw.high[index] + raw.low[index] + raw.close[index]) / 4
        got = (made.open[index], made.high[index], made.low[index], made.close[index])
        want = (opened, max(raw.high[index], opened, close), min(raw.low[index], opened, close), close)
        assert got == pytest.approx(want, rel=1e-14)


def test_times_and_volumes_stay() -> None:
    raw = walk(20, 12)
    made = heikin_ashi(raw)
    assert np.array_equal(made.volume, raw.volume)
    assert np.array_equal(made.end_ns, raw.end_ns)


def test_no_bars_give_none() -> None:
    assert len(heikin_ashi(walk(0, 1))) == 0
