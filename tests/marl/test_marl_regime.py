"""Four regimes by rule, and probabilities that remember what followed what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marl_series import walk

from grinder.marl.matrices.features import features
from grinder.marl.matrices.markov import transition_row
from grinder.marl.matrices.regime import (
    CRISIS,
    PRIOR,
    RANGING,
    TRENDING,
    VOLATILE,
    RegimeBounds,
    RegimeFigures,
    classify,
    figures_of,
    regime,
    regime_at,
)
from grinder.marl.schema import REGIMES

THREE_PRIOR = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.25, 0.25, 0.5]])


def ruled(bounds: RegimeBounds | None = None, **figures: float) -> str:
    calm = {"volatility_30": 1.0, "volume_ratio": 1.0, "mmd": 0.0, "momentum": 0.0, "usual_volatility": 0.004}
    told = {name: np.array([value]) for name, value in (calm | figures).items()}
    return REGIMES[int(classify(RegimeFigures(**told), bounds)[0])]


@pytest.mark.parametrize(
    ("figures", "want"),
    [
        ({}, "RANGING"),
        ({"volatility_30": 3.6}, "CRISIS"),
        ({"volatility_30": 3.5}, "VOLATILE"),
        ({"volatility_30": 2.6}, "VOLATILE"),
        ({"volatility_30": 2.5}, "RANGING"),
        ({"volume_ratio": 5.1, "mmd": 1.1}, "CRISIS"),
        ({"volume_ratio": 5.1, "mmd": 1.0}, "VOLATILE"),
        ({"volume_ratio": 5.0, "mmd": 1.1}, "VOLATILE"),
        ({"volume_ratio": 2.1, "mmd": 0.6}, "VOLATILE"),
        ({"volume_ratio": 2.1, "mmd": 0.5}, "RANGING"),
        ({"volume_ratio": 9.0}, "RANGING"),
        ({"momentum": 0.0555}, "TRENDING"),
        ({"momentum": -0.0555}, "TRENDING"),
        ({"momentum": 0.0553}, "RANGING"),
        ({"momentum": 0.2, "volatility_30": 2.6}, "VOLATILE"),
        ({"momentum": 0.2, "volatility_30": 4.0}, "CRISIS"),
        ({"volatility_30": np.nan, "mmd": np.nan, "momentum": np.nan, "usual_volatility": np.nan}, "RANGING"),
    ],
)
def test_the_rule_names_the_worst_regime_whose_bound_is_exceeded(
    figures: dict[str, float], want: str
) -> None:
    """Twice the deviation of a day of 48 bars of 0.004 is 0.05543."""
    assert ruled(None, **figures) == want


def test_a_trend_bound_can_be_fixed() -> None:
    assert ruled(RegimeBounds(trend=0.05), momentum=0.051) == "TRENDING"
    assert ruled(RegimeBounds(trend=0.05), momentum=0.05) == "RANGING"


def test_counts_of_three_states_give_the_known_row() -> None:
    states = [0, 0, 0, 0, 2, 0]
    assert transition_row(states, THREE_PRIOR).tolist() == pytest.approx(
        [0.720930, 0.023256, 0.255814], abs=5e-7
    )


def test_a_state_that_was_never_left_has_the_priors_row() -> None:
    assert transition_row([2, 2, 1], THREE_PRIOR).tolist() == THREE_PRIOR[1].tolist()
    assert transition_row([0], THREE_PRIOR).tolist() == THREE_PRIOR[0].tolist()


def test_counts_leave_with_the_window() -> None:
    states = [1, 0] * 10 + [1] * 49 + [0]
    assert transition_row(states, THREE_PRIOR).tolist() == THREE_PRIOR[0].tolist()
    assert transition_row([*states[:-1], 1], THREE_PRIOR)[1] == pytest.approx((49 + 0.1) / (49 + 0.3))


def test_a_row_with_counts_is_theirs_smoothed() -> None:
    states = [RANGING, VOLATILE, RANGING, RANGING, CRISIS, RANGING]
    got = transition_row(states, PRIOR)
    want = {TRENDING: 0.1, RANGING: 1.1, VOLATILE: 1.1, CRISIS: 1.1}
    assert got.tolist() == pytest.approx([want[state] / 3.4 for state in range(4)])


def test_probabilities_are_seven_tenths_rule_and_three_tenths_chain() -> None:
    told = regime([TRENDING])
    assert told.name == "TRENDING"
    assert told.probabilities.tolist() == pytest.approx([0.7 + 0.18, 0.04, 0.04, 0.04])
    told = regime([RANGING, VOLATILE, RANGING])
    row = np.array([0.1, 0.1, 1.1, 0.1]) / 1.4
    assert told.probabilities.tolist() == pytest.approx((0.3 * row + 0.7 * np.eye(4)[RANGING]).tolist())


def test_the_prior_is_made_of_probabilities() -> None:
    assert PRIOR.sum(axis=1).tolist() == pytest.approx([1.0] * 4)
    assert np.diag(PRIOR).tolist() == pytest.approx([0.6] * 4)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=120))
def test_probabilities_sum_to_one_and_the_rules_regime_leads(states: list[int]) -> None:
    told = regime(states)
    assert told.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (told.probabilities > 0).all()
    assert int(told.probabilities.argmax()) == told.state == states[-1]
    assert told.probabilities.tolist() == regime(states[-50:]).probabilities.tolist()


def test_a_market_gives_its_regime_from_closed_half_hours() -> None:
    found = features(walk(1300, 111, step=0.003))
    states = classify(figures_of(found))
    assert len(states) == len(found.bars_30m)
    for index in (5, 11, 12, 16, 17, 1299):
        told = regime_at(found, index)
        assert told is not None
        want = regime(states[: (index + 1) // 6])
        assert (told.state, told.probabilities.tolist()) == (want.state, want.probabilities.tolist())
    assert regime_at(found, 4) is None
