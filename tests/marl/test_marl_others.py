"""Momentum, volatility, volume, acceleration and true range against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import candles, of_closes, walk

from grinder.marl.indicators.others import others
from grinder.marl.schema import STRATEGIC_NS

BARS = walk(700, 81, STRATEGIC_NS)
TOLD = others(BARS)


@pytest.mark.parametrize(("name", "ago"), [("momentum_5", 5), ("momentum_20", 20), ("momentum_50", 50)])
def test_momentum_is_the_change_since_a_bar_that_many_ago(name: str, ago: int) -> None:
    got = getattr(TOLD, name)
    assert np.isnan(got[:ago]).all()
    assert got[ago:] == pytest.approx(BARS.close[ago:] / BARS.close[:-ago] - 1)


@pytest.mark.parametrize("at", [30, 31, 200, 509, 510, 699])
def test_volatility_is_the_deviation_over_its_mean_of_480_bars(at: int) -> None:
    returns = np.log(BARS.close[1:] / BARS.close[:-1])
    deviations = [np.std(returns[end - 30 : end]) for end in range(30, at + 1)][-480:]
    assert TOLD.usual_volatility[at] == pytest.approx(np.mean(deviations))
    assert TOLD.volatility_30[at] == pytest.approx(deviations[-1] / np.mean(deviations))


def test_volatility_needs_thirty_returns() -> None:
    assert np.isnan(TOLD.volatility_30[:30]).all()
    assert TOLD.volatility_30[30] == 1.0


def test_the_volume_ratio_is_that_to_the_exponential_mean() -> None:
    mean = BARS.volume[0]
    for at in range(1, 50):
        mean += (BARS.volume[at] - mean) * 2 / 21
        assert TOLD.volume_ratio[at] == pytest.approx(BARS.volume[at] / mean)
    assert TOLD.volume_ratio[0] == 1.0


def test_acceleration_is_the_change_of_the_return() -> None:
    returns = BARS.close[1:] / BARS.close[:-1] - 1
    assert TOLD.price_acceleration[2:] == pytest.approx(returns[1:] - returns[:-1])
    assert np.isnan(TOLD.price_acceleration[:2]).all()


def test_the_true_range_reaches_from_the_close_before_and_is_smoothed_by_wilder() -> None:
    ranges = [BARS.high[0] - BARS.low[0]]
    for at in range(1, 60):
        before = BARS.close[at - 1]
        ranges.append(
            max(BARS.high[at] - BARS.low[at], abs(BARS.high[at] - before), abs(BARS.low[at] - before))
        )
    mean = sum(ranges[:14]) / 14
    for at in range(14, 60):
        mean = (mean * 13 + ranges[at]) / 14
        assert TOLD.atr_14[at] == pytest.approx(mean)
    assert np.isnan(TOLD.atr_14[:13]).all()


def test_the_bars_are_not_changed_by_being_read() -> None:
    bars = walk(50, 82)
    copy = bars.high.copy(), bars.low.copy(), bars.close.copy()
    others(bars)
    assert all(
        np.array_equal(was, now) for was, now in zip(copy, (bars.high, bars.low, bars.close), strict=True)
    )


def test_a_market_that_stands_still_is_normal() -> None:
    told = others(of_closes(np.full(100, 5.0)))
    assert told.volatility_30[-1] == 1.0
    assert told.price_acceleration[-1] == 0.0
    flat = np.full(60, 5.0)
    silent = others(candles((flat, flat, flat, flat), np.zeros(60)))
    assert silent.volume_ratio.tolist() == [1.0] * 60


def test_no_bars_give_no_figures() -> None:
    assert len(others(walk(0, 1)).atr_14) == 0
