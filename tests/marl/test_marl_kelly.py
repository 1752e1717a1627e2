"""The Kelly fraction: known figures, its cut, and that what cannot be computed with is worth nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.marl.deciding.kelly import Kelly, cut_win_rate, kelly, kelly_fraction


def codes(found: Kelly) -> list[str]:
    return [one.code for one in found.reasons]


@pytest.mark.parametrize(
    ("win_rate", "payoff", "fraction", "size"),
    [
        (0.6, 1.5, 1 / 3, 0.125),
        (0.55, 1.0, 0.10, 0.05),
        (0.5, 2.0, 0.25, 0.125),
        (0.4, 2.0, 0.10, 0.05),
        (0.5, 1.0, 0.0, 0.0),
        (0.4, 1.0, -0.2, 0.0),
    ],
)
def test_known_figures(win_rate: float, payoff: float, fraction: float, size: float) -> None:
    found = kelly(win_rate, payoff)
    assert kelly_fraction(win_rate, payoff) == pytest.approx(fraction)
    assert found.fraction == pytest.approx(fraction)
    assert found.size == pytest.approx(size)


@pytest.mark.parametrize("bad", [None, True, False, "0.5", math.nan, math.inf, 0, -1, 10**400, [0.5]])
def test_what_is_no_figure_is_worth_nothing(bad: object) -> None:
    for found in (kelly(bad, 1.5), kelly(0.6, bad)):
        assert found.size == 0
        assert codes(found) == ["kelly.invalid"]


def test_a_win_rate_of_one_is_no_estimate() -> None:
    assert kelly(1.0, 1.5).size == 0


def test_too_few_round_trips_give_the_fixed_share() -> None:
    assert kelly(0.6, 1.5, round_trips=29).size == 0.02
    assert codes(kelly(0.6, 1.5, round_trips=29)) == ["kelly.few_round_trips"]
    assert kelly(0.6, 1.5, round_trips=30).size == 0.125


def test_the_win_rate_counts_at_most_the_confidence() -> None:
    assert kelly(0.7, 1.0, confidence=0.55).fraction == pytest.approx(0.10)
    assert kelly(0.55, 1.0, confidence=0.7).fraction == pytest.approx(0.10)
    assert kelly(0.7, 1.0, confidence=math.nan).size == 0


def test_an_unusual_win_rate_is_cut_at_three_deviations() -> None:
    # half at 0.48, half at 0.52: mean 0.5, deviation 0.02
    history = [0.48, 0.52] * 50
    assert cut_win_rate(0.7, history) == pytest.approx(0.56)
    assert cut_win_rate(0.1, history) == pytest.approx(0.44)
    assert cut_win_rate(0.55, history) == 0.55
    assert cut_win_rate(0.7, history[:99]) == 0.7
    assert cut_win_rate(0.7, [0.9] * 500 + history) == pytest.approx(0.56), "only the last 100 count"
    assert codes(kelly(0.7, 1.0, history=history)) == ["kelly.sized", "kelly.win_rate_cut"]


@given(st.floats(), st.floats(), st.integers(0, 200), st.floats())
def test_the_size_is_always_between_nothing_and_an_eighth(
    win_rate: float, payoff: float, round_trips: int, confidence: float
) -> None:
    found = kelly(win_rate, payoff, round_trips, (), confidence)
    assert 0 <= found.size <= 0.125
    assert found.reasons
