"""Averages, relative strength and rolling figures against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import walk

from grinder.marl.indicators.averages import ema, rsi, wilder, wma
from grinder.marl.indicators.rolling import (
    rolling_correlation,
    rolling_mean,
    rolling_std,
    rolling_z,
)

CLOSES = walk(200, 21).close


def test_a_weighted_mean_weighs_the_newest_most() -> None:
    assert wma(np.array([1.0, 2.0, 4.0]), 3).tolist()[2] == pytest.approx((1 + 2 * 2 + 3 * 4) / 6)
    assert np.isnan(wma(np.array([1.0, 2.0, 4.0]), 3)[:2]).all()


def test_an_exponential_mean_starts_at_the_first_value() -> None:
    assert ema(np.array([10.0, 20.0, 20.0]), 3).tolist() == [10.0, 15.0, 17.5]


def test_wilders_mean_starts_at_the_plain_mean() -> None:
    got = wilder(np.array([1.0, 2.0, 3.0, 8.0]), 3)
    assert np.isnan(got[:2]).all()
    assert got[2:].tolist() == pytest.approx([2.0, 2.0 + 6.0 / 3])


def test_relative_strength_is_that_of_a_plain_loop() -> None:
    length = 14
    gains = losses = 0.0
    want = [np.nan] * len(CLOSES)
    for index in range(1, len(CLOSES)):
        change = CLOSES[index] - CLOSES[index - 1]
        gain, loss = max(change, 0.0), max(-change, 0.0)
        if index <= length:
            gains, losses = gains + gain / length, losses + loss / length
        else:
            gains, losses = (gains * (length - 1) + gain) / length, (losses * (length - 1) + loss) / length
        if index >= length:
            want[index] = 100.0 - 100.0 / (1.0 + gains / losses)
    assert rsi(CLOSES, length) == pytest.approx(np.array(want), rel=1e-10, nan_ok=True)


def test_relative_strength_of_one_sided_and_of_standing_markets() -> None:
    ramp = np.arange(1.0, 12.0)
    assert rsi(ramp, 5)[-1] == 100.0
    assert rsi(ramp[::-1], 5)[-1] == 0.0
    assert rsi(np.full(11, 3.0), 5)[-1] == 50.0
    assert np.isnan(rsi(ramp, 20)).all()


@pytest.mark.parametrize("least", [None, 1, 7])
def test_rolling_figures_are_those_of_each_window(least: int | None) -> None:
    values = np.concatenate([[np.nan] * 3, CLOSES])
    for got, plain in ((rolling_mean(values, 30, least), np.mean), (rolling_std(values, 30, least), np.std)):
        for index in range(len(values)):
            window = values[max(3, index - 29) : index + 1]
            if len(window) < (least or 30):
                assert np.isnan(got[index])
            else:
                assert got[index] == pytest.approx(plain(window), rel=1e-12, abs=1e-13)


def test_a_z_score_counts_deviations_from_the_mean() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0])
    assert rolling_z(values, 4, 4)[3] == pytest.approx((10 - 4) / np.std(values))
    assert rolling_z(values, 4, 4)[:3].tolist() == [0.0, 0.0, 0.0]


def test_a_constant_has_no_z_score() -> None:
    assert rolling_z(np.full(50, 0.1), 20, 5).tolist() == [0.0] * 50


def test_a_rolling_correlation_is_that_of_each_window() -> None:
    draw = np.random.default_rng(3)
    left = draw.normal(size=80)
    right = 0.5 * left + draw.normal(size=80)
    right[:4] = np.nan
    got = rolling_correlation(left, right, 25, 10)
    assert got[:13].tolist() == [0.0] * 13
    for index in range(13, 80):
        since = max(4, index - 24)
        want = np.corrcoef(left[since : index + 1], right[since : index + 1])[0, 1]
        assert got[index] == pytest.approx(want, rel=1e-10)


def test_a_flat_side_has_no_correlation() -> None:
    assert rolling_correlation(np.full(40, 2.0), np.arange(40.0), 20, 5).tolist() == [0.0] * 40


def test_an_average_longer_than_the_series_is_nowhere() -> None:
    for made in (wma(CLOSES[:4], 5), wilder(CLOSES[:4], 5), rolling_std(np.full(9, np.nan), 3)):
        assert np.isnan(made).all()
