"""Low volume nodes: how a profile spreads volume, what counts as a node, which is nearest, the value area."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import candles, of_closes, walk

from grinder.marl.bars.closed import Bars
from grinder.marl.indicators.lvn import LvnSettings, lvn, profiles, skewness, value_area
from grinder.marl.schema import STRATEGIC_NS

TEN = LvnSettings(window=3, bins=10)
BINS_10 = np.arange(10.0)


def traded(rows: list[tuple[float, float, float]], close: float = 0.0) -> Bars:
    """Bars of rows (low, high, volume) that open and close at their low; the last at `close` if given."""
    low, high, volume = (np.array(column) for column in zip(*rows, strict=True))
    closes = low.copy()
    if close:
        closes[-1] = close
    return candles((low, high, low, closes), volume, STRATEGIC_NS)


TWO_HILLS = [(10.0, 14.0, 40.0), (10.0, 20.0, 10.0), (16.0, 20.0, 40.0)]
"""Bins of height 1 from 10: 11 each in 10..14 and 16..20, and 1 each in 14..16."""


def test_a_bar_spreads_its_volume_by_the_length_of_the_overlap() -> None:
    made = profiles(traded(TWO_HILLS), TEN)
    assert (made.bottom[0], made.height[0]) == (10.0, 1.0)
    assert made.volume[0].tolist() == pytest.approx([11, 11, 11, 11, 1, 1, 11, 11, 11, 11])


def test_a_bar_that_ends_inside_of_a_bin_gives_it_its_part() -> None:
    made = profiles(traded([(10.0, 20.0, 0.0), (10.5, 12.5, 8.0), (10.0, 20.0, 0.0)]), TEN)
    assert made.volume[0, :4].tolist() == pytest.approx([2.0, 4.0, 2.0, 0.0])


def test_a_bar_of_one_price_puts_its_volume_there() -> None:
    rows = [(10.0, 20.0, 0.0), (13.0, 13.0, 5.0), (20.0, 20.0, 7.0)]
    made = profiles(traded(rows), TEN)
    assert made.volume[0].tolist() == [0, 0, 0, 5, 0, 0, 0, 0, 0, 7]


def test_a_profile_loses_no_volume_and_is_that_of_a_plain_loop() -> None:
    bars = walk(60, 51, STRATEGIC_NS)
    made = profiles(bars)
    assert made.volume.shape == (41, 50)
    for row in range(41):
        low, high = bars.low[row : row + 20], bars.high[row : row + 20]
        bottom, height = low.min(), (high.max() - low.min()) / 50
        want = np.zeros(50)
        for one in range(20):
            for place in range(50):
                edge = bottom + place * height
                overlap = min(high[one], edge + height) - max(low[one], edge)
                want[place] += bars.volume[row + one] * max(overlap, 0.0) / (high[one] - low[one])
        assert made.volume[row] == pytest.approx(want, abs=1e-9)
        assert made.volume[row].sum() == pytest.approx(bars.volume[row : row + 20].sum())


def test_the_node_between_two_hills_is_found() -> None:
    told = lvn(traded(TWO_HILLS, close=17.0), TEN)
    assert (told.found[-1], told.price[-1]) == (1.0, 14.5)
    assert told.strength[-1] == pytest.approx(100.0 * (1 - 1 / 11))
    assert told.distance[-1] == pytest.approx(2.5)


@pytest.mark.parametrize("hill", [(12.0, 20.0), (10.0, 18.0)])
def test_a_thin_end_of_the_range_is_no_node(hill: tuple[float, float]) -> None:
    rows = [(10.0, 20.0, 10.0), (*hill, 80.0), (*hill, 80.0)]
    told = lvn(traded(rows), TEN)
    assert (told.found[-1], told.price[-1], told.strength[-1], told.distance[-1]) == (0.0, 0.0, 0.0, 0.0)


def test_thin_means_below_thirty_percent_of_the_fullest_bin() -> None:
    for volume, found in ((30.0, 1.0), (50.0, 0.0)):
        rows = [(10.0, 14.0, 40.0), (10.0, 20.0, volume), (16.0, 20.0, 40.0)]
        thin = volume / 10 / (10 + volume / 10)
        assert (thin < 0.30) == bool(found)
        assert lvn(traded(rows), TEN).found[-1] == found


def test_of_several_nodes_the_nearest_to_the_close_is_told() -> None:
    rows = [(10.0, 12.0, 40.0), (14.0, 16.0, 40.0), (18.0, 20.0, 40.0)]
    near_high = lvn(traded(rows, close=18.5), TEN)
    assert near_high.price[-1] == 16.5
    rows = [(10.0, 12.0, 40.0), (18.0, 20.0, 40.0), (14.0, 16.0, 40.0)]
    assert lvn(traded(rows, close=14.2), TEN).price[-1] == 12.5


def test_the_thinnest_bin_of_a_run_gives_price_and_strength() -> None:
    rows = [(10.0, 14.0, 40.0), (16.0, 20.0, 40.0), (14.0, 15.0, 1.0)]
    told = lvn(traded(rows), TEN)
    assert (told.price[-1], told.strength[-1]) == (15.5, 100.0)


def test_a_range_of_no_height_and_a_market_without_trades_have_no_node() -> None:
    flat = lvn(of_closes(np.full(30, 5.0)))
    assert not flat.found.any()
    assert not flat.skew[19:].any()
    silent = traded([(10.0, 20.0, 0.0)] * 4)
    assert not lvn(silent, TEN).found.any()


def test_nothing_is_told_before_the_first_full_window() -> None:
    told = lvn(walk(60, 52, STRATEGIC_NS))
    assert not told.found[:19].any()
    assert np.isnan(told.skew[:19]).all()
    assert np.isfinite(told.skew[19:]).all()


def test_bins_of_whole_ticks_start_on_a_tick() -> None:
    bars = walk(40, 53, STRATEGIC_NS)
    made = profiles(bars, LvnSettings(tick=0.05))
    assert made.bottom / 0.05 == pytest.approx(np.round(made.bottom / 0.05))
    assert made.height / 0.05 == pytest.approx(np.round(made.height / 0.05))
    tops = made.bottom + made.height * (made.last + 1)
    highs = [bars.high[row : row + 20].max() for row in range(21)]
    assert (tops >= np.array(highs) - 1e-9).all()
    assert made.volume.sum(axis=1) == pytest.approx([bars.volume[row : row + 20].sum() for row in range(21)])


def test_empty_bins_beyond_the_highest_price_are_no_node() -> None:
    rows = [(10.0, 12.0, 40.0), (10.0, 12.0, 40.0), (10.0, 12.0, 40.0)]
    assert not lvn(traded(rows), LvnSettings(window=3, bins=10, tick=0.3)).found.any()


def test_the_skew_is_that_of_the_volume_by_bins() -> None:
    bars = walk(25, 54, STRATEGIC_NS)
    volume = profiles(bars).volume[-1]
    number = np.arange(50)
    mean = (volume * number).sum() / volume.sum()
    deviation = np.sqrt((volume * (number - mean) ** 2).sum() / volume.sum())
    want = (volume * ((number - mean) / deviation) ** 3).sum() / volume.sum()
    assert lvn(bars).skew[-1] == pytest.approx(want)


def test_a_profile_with_its_mass_below_and_a_tail_above_has_a_positive_skew() -> None:
    rows = [(10.0, 12.0, 90.0), (10.0, 20.0, 10.0), (10.0, 12.0, 90.0)]
    assert skewness(profiles(traded(rows), TEN))[0] > 1.0
    assert skewness(profiles(traded(TWO_HILLS), TEN))[0] == pytest.approx(0.0, abs=1e-9)


def test_the_value_area_grows_from_the_fullest_bin_to_seventy_percent() -> None:
    rows = [(10.0, 20.0, 10.0), (14.0, 16.0, 20.0), (13.0, 17.0, 20.0)]
    made = profiles(traded(rows), TEN)
    assert made.volume[0].tolist() == pytest.approx([1, 1, 1, 6, 16, 16, 6, 1, 1, 1])
    assert value_area(made, 0) == (13.0, 16.0)
    assert value_area(made, 0, 1.0) == (10.0, 20.0)
