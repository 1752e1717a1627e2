"""Volume bars hold exactly their threshold, whatever the ticks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.marl.bars.tick_bars import TickFault
from grinder.marl.bars.volume_bars import VolumeBarBuilder, default_threshold, volume_bars


def test_the_tick_that_crosses_is_split() -> None:
    builder = VolumeBarBuilder(10.0)
    assert builder.tick(1, 100.0, 6.0) == ()
    (bar,) = builder.tick(2, 110.0, 7.0)
    assert (bar.volume, bar.tick_count) == (10.0, 2)
    assert bar.vwap == pytest.approx((600.0 + 440.0) / 10.0)
    assert (bar.start_ns, bar.end_ns) == (1, 2)
    assert builder.forming_volume == 3.0


def test_a_huge_tick_closes_several_and_opens_the_next_with_the_rest() -> None:
    builder = VolumeBarBuilder(10.0)
    builder.tick(1, 100.0, 4.0)
    closed = builder.tick(2, 90.0, 31.0)
    assert [bar.volume for bar in closed] == [10.0, 10.0, 10.0]
    assert [bar.open for bar in closed] == [100.0, 90.0, 90.0]
    assert builder.forming_volume == 5.0


def test_a_tick_that_just_fills_a_bar_opens_no_other() -> None:
    builder = VolumeBarBuilder(10.0)
    assert len(builder.tick(1, 100.0, 10.0)) == 1
    assert builder.forming_volume == 0.0
    (bar,) = builder.tick(2, 90.0, 10.0)
    assert (bar.open, bar.high) == (90.0, 90.0)


def test_ten_tenths_close_a_bar_of_one() -> None:
    bars = volume_bars([(at, 100.0 + at, 0.1) for at in range(20)], 1.0)
    assert bars.volume.tolist() == [1.0, 1.0]
    assert bars.close.tolist() == [109.0, 119.0]
    assert bars.open.tolist() == [100.0, 110.0]


def test_bad_and_late_ticks_are_counted_and_not_used() -> None:
    builder = VolumeBarBuilder(1.0)
    builder.tick(5, 100.0, 0.5)
    for at, price, volume in ((5, 0.0, 1.0), (5, 1.0, -1.0), (4, 1.0, 1.0), (5, math.nan, 1.0)):
        assert builder.tick(at, price, volume) == ()
    assert builder.rejected == dict.fromkeys(TickFault, 1)
    assert builder.forming_volume == 0.5


def test_a_tick_of_no_volume_changes_nothing() -> None:
    builder = VolumeBarBuilder(1.0)
    assert builder.tick(1, 100.0, 0.0) == ()
    assert builder.forming_volume == 0.0


def test_the_default_threshold_is_a_fiftieth_of_the_mean_day() -> None:
    assert default_threshold(np.array([900.0, 1100.0])) == 20.0
    with pytest.raises(ValueError, match="traded"):
        default_threshold(np.array([0.0]))


def test_a_threshold_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        VolumeBarBuilder(0.0)


@given(
    st.lists(st.tuples(st.floats(1.0, 500.0), st.integers(0, 200)), min_size=1, max_size=60),
    st.integers(1, 40),
)
def test_whole_volumes_are_kept_to_the_unit(ticks: list[tuple[float, int]], threshold: int) -> None:
    builder = VolumeBarBuilder(float(threshold))
    closed = [bar for at, tick in enumerate(ticks) for bar in builder.tick(at, tick[0], float(tick[1]))]
    assert all(bar.volume == threshold for bar in closed)
    assert len(closed) * threshold + builder.forming_volume == sum(volume for _, volume in ticks)
    assert all(bar.low * (1 - 1e-9) <= bar.vwap <= bar.high * (1 + 1e-9) for bar in closed)
    value = sum(bar.vwap * bar.volume for bar in closed)
    assert value <= sum(price * volume for price, volume in ticks) * (1 + 1e-9)


@given(
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=60),
    st.floats(0.5, 20.0),
)
def test_broken_volumes_are_kept_up_to_float_noise(volumes: list[float], threshold: float) -> None:
    builder = VolumeBarBuilder(threshold)
    closed = [bar for at, volume in enumerate(volumes) for bar in builder.tick(at, 100.0, volume)]
    assert all(bar.volume == threshold for bar in closed)
    held = math.fsum([bar.volume for bar in closed] + [builder.forming_volume])
    assert held == pytest.approx(math.fsum(volumes), rel=1e-9, abs=1e-9)
    assert 0.0 <= builder.forming_volume < threshold
