"""NW-RQK: the kernel's vectors, the window, turns and crosses, warm-up."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import walk

from grinder.marl.bars.heikin_ashi import heikin_ashi
from grinder.marl.indicators.nwrqk import (
    WIDE,
    NwRqkSettings,
    estimate,
    nwrqk,
    nwrqk_of_closes,
    turns,
    weights,
)
from grinder.marl.schema import STRATEGIC_NS

RAMP = np.arange(100.0, 160.0)


def test_the_weights_are_those_of_the_rational_quadratic_kernel() -> None:
    assert weights(8.0, 8.0, 4).tolist() == pytest.approx([1, 0.992222, 0.969292, 0.932389], abs=5e-7)
    assert weights(8.0, 8.0, 27).sum() == pytest.approx(10.967539, abs=5e-7)


def test_the_estimates_of_a_ramp_are_the_known_ones() -> None:
    got = nwrqk_of_closes(RAMP)
    assert got.value[-1] == pytest.approx(152.510613, abs=5e-7)
    assert got.early[-1] == pytest.approx(154.125586, abs=5e-7)
    assert got.slope[-1] == pytest.approx(100.0 / 159.0, rel=1e-9)


def test_the_window_holds_27_closes_and_not_the_whole_history() -> None:
    shifted = RAMP.copy()
    shifted[:33] *= 10.0
    assert estimate(shifted, 8.0, 8.0, 25)[-1] == estimate(RAMP, 8.0, 8.0, 25)[-1]
    shifted[33] += 1.0
    assert estimate(shifted, 8.0, 8.0, 25)[-1] != estimate(RAMP, 8.0, 8.0, 25)[-1]


def test_the_estimate_is_that_of_a_plain_loop_from_the_first_bar_on() -> None:
    closes = walk(80, 31).close
    got = estimate(closes, 6.0, 8.0, 25)
    for at in range(80):
        above = below = 0.0
        for ago in range(min(at, 26) + 1):
            weight = (1 + ago * ago / (2 * 8.0 * 36.0)) ** -8.0
            above, below = above + weight * closes[at - ago], below + weight
        assert got[at] == pytest.approx(above / below, rel=1e-12)


def test_the_warm_up_has_no_value_and_no_signal() -> None:
    got = nwrqk(walk(200, 32, STRATEGIC_NS))
    assert np.isnan(got.value[:50]).all()
    assert np.isfinite(got.value[50:]).all()
    assert np.isfinite(got.slope[51:]).all()
    assert not got.signal[:51].any()
    assert got.signal.any()


def test_a_warm_up_shorter_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="27 bars"):
        NwRqkSettings(warm_up=26)


def test_the_signal_marks_the_bar_on_which_the_slope_turns() -> None:
    valley = np.concatenate([np.linspace(150, 100, 100), np.linspace(100, 150, 100)])
    got = nwrqk_of_closes(valley)
    (at,) = np.flatnonzero(got.signal)
    assert got.signal[at] == 1.0
    assert got.slope[at - 1] < 0 < got.slope[at]
    mirrored = nwrqk_of_closes(250.0 - valley)
    assert np.flatnonzero(mirrored.signal).tolist() == [at]
    assert mirrored.signal[at] == -1.0


def test_a_turn_is_seen_through_bars_that_stand_still() -> None:
    slope = np.array([np.nan, -1.0, 0.0, 0.0, 2.0, 1.0, -3.0, 0.0, -1.0, 1.0])
    assert turns(slope).tolist() == [0, 0, 0, 0, 1, 0, -1, 0, 0, 1]


def test_smoothly_the_signal_is_a_cross_of_the_two_estimates() -> None:
    closes = walk(400, 33, STRATEGIC_NS, 0.004).close
    got = nwrqk_of_closes(closes, NwRqkSettings(smooth=True))
    up = np.flatnonzero(got.signal > 0)
    assert len(up)
    assert (got.early[up] > got.value[up]).all()
    assert (got.early[up - 1] <= got.value[up - 1]).all()


def test_heikin_ashi_closes_are_regressed() -> None:
    bars = walk(120, 34, STRATEGIC_NS)
    want = nwrqk_of_closes(heikin_ashi(bars).close)
    assert nwrqk(bars).value == pytest.approx(want.value, nan_ok=True)


def test_the_wide_preset_follows_more_slowly() -> None:
    got = nwrqk_of_closes(RAMP, WIDE)
    assert got.value[-1] < nwrqk_of_closes(RAMP).value[-1]
