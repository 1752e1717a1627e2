"""MMD: the vector, the points, the kernel's width, a shift that is detected and a calm market without one."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import of_closes, walk

from grinder.marl.bars.closed import Bars
from grinder.marl.indicators.mmd import (
    MmdSettings,
    kernel_width,
    mmd_score,
    mmd_squared,
    score,
    vectors,
)
from grinder.marl.schema import STRATEGIC_NS

SMALL = MmdSettings(reference=60, test=20, std_window=5, width_points=30)


def after(calm: Bars, step: float, seed: int, count: int) -> Bars:
    """A calm market that becomes another one for `count` bars."""
    rough = walk(count, seed, STRATEGIC_NS, step)
    joined = {}
    for name in ("open", "high", "low", "close"):
        joined[name] = np.concatenate([getattr(calm, name), getattr(rough, name) * calm.close[-1] / 100.0])
    whole = walk(len(calm) + count, 0, STRATEGIC_NS)
    return Bars(
        bar_ns=STRATEGIC_NS,
        start_ns=whole.start_ns,
        end_ns=whole.end_ns,
        volume=whole.volume,
        vwap=joined["close"],
        tick_count=whole.tick_count,
        synthetic=whole.synthetic,
        **joined,
    )


def test_three_points_against_three_give_the_known_figure_and_a_score_of_zero() -> None:
    left, right = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0], [4.0]])
    assert mmd_squared(left, right, 1.0) == pytest.approx(-0.211033, abs=5e-7)
    assert np.sqrt(max(0.0, mmd_squared(left, right, 1.0))) == 0.0


def test_the_estimate_is_that_of_a_plain_double_loop() -> None:
    draw = np.random.default_rng(61)
    left, right = draw.normal(size=(12, 4)), draw.normal(0.5, 1.0, size=(9, 4))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / (2 * 1.7**2)))

    within = [kernel(a, b) for i, a in enumerate(left) for j, b in enumerate(left) if i != j]
    others = [kernel(a, b) for i, a in enumerate(right) for j, b in enumerate(right) if i != j]
    across = [kernel(a, b) for a in left for b in right]
    want = np.mean(within) + np.mean(others) - 2 * np.mean(across)
    assert mmd_squared(left, right, 1.7) == pytest.approx(want)


def test_a_bar_is_four_figures() -> None:
    bars = walk(60, 62, STRATEGIC_NS)
    got = vectors(bars)
    at = 40
    returns = bars.close[at - 19 : at + 1] / bars.close[at - 20 : at] - 1
    assert got[at, 0] == pytest.approx(returns[-1])
    assert got[at, 1] == pytest.approx(np.log(bars.close[at] / bars.close[at - 1]))
    assert got[at, 2] == pytest.approx((bars.high[at] - bars.low[at]) / bars.close[at - 1])
    assert got[at, 3] == pytest.approx(np.std(returns) * np.sqrt(365 * 48))
    assert np.isnan(got[:20, 3]).all()
    assert np.isfinite(got[20:]).all()


def test_the_width_is_the_median_distance_of_points_taken_by_stride() -> None:
    points = np.arange(10.0)[:, None] ** 2
    taken = points[[0, 2, 4, 6, 8]]
    distances = [(a - b) ** 2 for i, a in enumerate(taken[:, 0]) for b in taken[:i, 0]]
    assert kernel_width(points, 5) == pytest.approx(np.sqrt(np.median(distances)))
    assert kernel_width(np.zeros((10, 4)), 5) == 1.0


def test_too_few_bars_score_zero() -> None:
    bars = walk(620, 63, STRATEGIC_NS)
    assert not mmd_score(bars[:619]).any()
    assert MmdSettings().bars_needed == 620
    assert not mmd_score(bars)[:619].any()


def test_the_reference_moves_along_and_ends_where_the_test_begins() -> None:
    bars = walk(120, 64, STRATEGIC_NS)
    points = vectors(bars, 5)
    got = mmd_score(bars, SMALL)
    for at in (84, 100, 119):
        assert got[at] == score(points[at - 79 : at - 19], points[at - 19 : at + 1], 30)
    changed = walk(120, 65, STRATEGIC_NS)
    mixed = after(changed[:20], 0.002, 66, 100)
    again = after(walk(20, 67, STRATEGIC_NS), 0.002, 66, 100)
    assert mmd_score(mixed, SMALL)[-1] == pytest.approx(mmd_score(again, SMALL)[-1], rel=1e-6)


def test_a_shift_is_detected_and_a_calm_market_is_not_one() -> None:
    calm = walk(700, 68, STRATEGIC_NS)
    shifted = after(calm, 0.01, 69, 100)
    still = after(calm, 0.002, 70, 100)
    assert mmd_score(calm)[-1] < 0.2
    assert mmd_score(still, last=1)[-1] < 0.2
    assert mmd_score(shifted, last=1)[-1] > 0.5


def test_a_shift_becomes_the_new_normal_when_the_reference_has_moved_into_it() -> None:
    shifted = after(walk(100, 71, STRATEGIC_NS), 0.01, 72, 200)
    got = mmd_score(shifted, SMALL)
    assert got[119] > 0.5
    assert got[-1] < 0.4


def test_only_the_newest_scores_are_computed_when_asked() -> None:
    bars = walk(130, 73, STRATEGIC_NS)
    whole, part = mmd_score(bars, SMALL), mmd_score(bars, SMALL, last=10)
    assert part[-10:].tolist() == whole[-10:].tolist()
    assert not part[:-10].any()
    assert whole[:-10].any()


def test_a_market_that_stands_still_scores_zero() -> None:
    assert not mmd_score(of_closes(np.full(120, 7.0)), SMALL).any()
