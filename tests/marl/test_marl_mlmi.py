"""MLMI: a golden series from a plain loop, labels that wait for their outcome, votes, signals, warm-up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from marl_series import of_closes, walk

from grinder.marl.bars.closed import Floats
from grinder.marl.bars.heikin_ashi import heikin_ashi
from grinder.marl.indicators.averages import rsi
from grinder.marl.indicators.mlmi import PRD, MlmiSettings, crosses, mlmi, mlmi_of_closes, nearest_vote
from grinder.marl.schema import STRATEGIC_NS

FEW = MlmiSettings(neighbours=7, warm_up=30)
FORGETFUL = MlmiSettings(neighbours=3, samples_max=6, warm_up=0)


def weighted(values: list[float], length: int) -> float:
    last = values[-length:]
    if len(last) < length or any(math.isnan(one) for one in last):
        return math.nan
    return sum(one * (place + 1) for place, one in enumerate(last)) / (length * (length + 1) / 2)


def plain_mlmi(closes: Floats, chosen: MlmiSettings) -> tuple[list[float], list[float], list[float]]:
    """Value, signal and vote bar by bar, with a list of samples that is appended to and popped from."""
    slow_rsi, fast_rsi = rsi(closes, chosen.rsi_slow).tolist(), rsi(closes, chosen.rsi_fast).tolist()
    told = closes.tolist()
    samples: list[list[float]] = []
    values, signals, votes = [], [], []
    before = (math.nan, math.nan)
    for at in range(len(told)):
        fast, slow = weighted(told[: at + 1], chosen.fast), weighted(told[: at + 1], chosen.slow)
        point = (
            weighted(slow_rsi[: at + 1], chosen.smoothing),
            weighted(fast_rsi[: at + 1], chosen.smoothing),
        )
        up = fast > slow and before[0] <= before[1]
        down = fast < slow and before[0] >= before[1]
        before = (fast, slow)
        if (up or down) and not any(math.isnan(one) for one in point):
            if samples:
                samples[-1][3] = 1.0 if told[at] >= samples[-1][2] else -1.0
            samples.append([*point, told[at], 0.0])
            samples = samples[-chosen.samples_max :]
        labelled = [one for one in samples if one[3]]
        near = sorted(labelled, key=lambda one: (one[0] - point[0]) ** 2 + (one[1] - point[1]) ** 2)
        voters = near[: chosen.neighbours]
        vote = sum(one[3] for one in voters)
        last = votes[-1] if votes else 0.0
        rise = last <= chosen.level < vote
        fall = last >= -chosen.level > vote
        votes.append(vote)
        signal = ((up and vote > 0) or rise) - ((down and vote < 0) or fall)
        warm = at >= chosen.warm_up
        values.append(50 + 50 * vote / len(voters) if warm and voters else 50.0)
        signals.append(float(signal) if warm else 0.0)
    return values, signals, votes


@pytest.mark.parametrize(
    "chosen", [MlmiSettings(), FEW, FORGETFUL, PRD], ids=["default", "few", "forgetful", "prd"]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_index_is_that_of_a_plain_loop(chosen: MlmiSettings, seed: int) -> None:
    bars = walk(500, seed, STRATEGIC_NS, 0.004)
    got = mlmi(bars, chosen)
    values, signals, votes = plain_mlmi(heikin_ashi(bars).close, chosen)
    assert got.vote.tolist() == votes
    assert got.value.tolist() == pytest.approx(values)
    assert got.signal.tolist() == signals
    assert (got.signal != 0).any()


def test_a_known_market_has_the_known_index() -> None:
    """Written down from the plain loop above; three waves, to the cent."""
    at = np.arange(320)
    closes = np.round(100 + 4 * np.sin(at / 9) + 2 * np.sin(at / 3.1) + 6 * np.sin(at / 37), 2)
    found = mlmi(of_closes(closes))
    known = [50.0, 46.15, 42.86, 42.86, 46.67, 50.0, 47.06, 44.44, 44.44, 47.37]
    assert found.value[200:320:12].tolist() == pytest.approx(known, abs=0.005)
    turns = {int(one): found.signal[one] for one in np.flatnonzero(found.signal)}
    assert turns == dict.fromkeys((107, 169, 202, 246, 261, 303), -1.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_close_at_the_samples_own_price_is_a_rise(seed: int) -> None:
    """Prices on a coarse grid, so that crosses often find the price of the cross before."""
    closes = np.round(walk(400, seed, STRATEGIC_NS, 0.004).close)
    values, signals, votes = plain_mlmi(closes, FEW)
    got = mlmi_of_closes(closes, FEW)
    assert (got.vote.tolist(), got.signal.tolist()) == (votes, signals)
    assert got.value.tolist() == pytest.approx(values)


def test_of_equally_near_samples_the_oldest_vote() -> None:
    far = np.random.default_rng(8).integers(1, 4, 500)
    here, samples = np.zeros((2, 2)), np.stack([far, np.zeros(500)], axis=1)
    labels = np.full(500, -1.0)
    labels[np.flatnonzero(far == 1)[:7]] = 1.0
    assert nearest_vote(here, samples, labels, 7).tolist() == [7.0, 7.0]


def test_the_index_lies_within_0_and_100_and_the_vote_within_the_voters() -> None:
    got = mlmi(walk(800, 3, STRATEGIC_NS), FEW)
    assert ((got.value >= 0) & (got.value <= 100)).all()
    assert (np.abs(got.vote) <= got.voters).all()
    assert got.voters.max() == 7


def test_the_warm_up_is_neutral() -> None:
    got = mlmi(walk(100, 4, STRATEGIC_NS))
    assert got.value.tolist() == [50.0] * 100
    assert got.signal.tolist() == [0.0] * 100
    assert got.voters[-1] > 0, "samples are stored already"


def test_a_sample_is_not_learned_from_before_the_next_cross() -> None:
    closes = walk(400, 5, STRATEGIC_NS).close
    got = mlmi_of_closes(closes, MlmiSettings(warm_up=0))
    assert set(np.diff(got.voters).tolist()) == {0, 1}
    first = int(np.argmax(got.voters > 0))
    changed = closes.copy()
    changed[first:] *= np.linspace(1.0, 0.5, len(closes) - first)
    again = mlmi_of_closes(changed, MlmiSettings(warm_up=0))
    assert again.voters[:first].tolist() == [0] * first


def test_a_market_that_stands_still_has_no_opinion() -> None:
    got = mlmi_of_closes(np.full(300, 5.0))
    assert set(got.value.tolist()) == {50.0}
    assert set(got.signal.tolist()) == {0.0}


def test_a_cross_needs_the_other_side_or_equality_before() -> None:
    fast = np.array([np.nan, 1.0, 2.0, 3.0, 2.0, 1.0, 1.0, 3.0])
    slow = np.full(8, 2.0)
    assert crosses(fast, slow).tolist() == [0, 0, 0, 1, 0, -1, 0, 1]


def test_the_preset_asks_five_neighbours() -> None:
    assert (PRD.neighbours, PRD.rsi_slow, PRD.smoothing) == (5, 14, 5)
    assert mlmi(walk(500, 6, STRATEGIC_NS), PRD).voters.max() == 5


def test_no_bars_give_no_index() -> None:
    assert len(mlmi(walk(0, 1, STRATEGIC_NS)).value) == 0
