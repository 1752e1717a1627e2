"""Synergies: each order, the window, the cooldown, restarts, confidence, and the signals they are made of."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marl_series import walk

from grinder.marl.indicators.mlmi import MlmiSettings
from grinder.marl.indicators.nwrqk import NwRqkSettings
from grinder.marl.matrices.features import Features, IndicatorSettings, features
from grinder.marl.matrices.synergy import (
    FVG,
    KINDS,
    MLMI,
    NWRQK,
    BarSignals,
    Signal,
    Synergy,
    SynergyState,
    bar_signals,
    correlation_5m_30m,
    detect,
    fvg_strength,
    mlmi_strength,
    nwrqk_strength,
    standing,
    step,
    synergies,
)

QUIET = BarSignals()


def bar(*kinds: str, direction: int = 1, strength: float = 0.6, trend: int = 1) -> BarSignals:
    signals = tuple(Signal(kind, direction, strength) for kind in KINDS if kind in kinds)
    return BarSignals(signals=signals, trend=trend, correlation=0.25)


def quiet(count: int) -> list[BarSignals]:
    return [QUIET] * count


def only(told: list[BarSignals]) -> Synergy:
    (one,) = detect(told)
    return one


@pytest.mark.parametrize(
    ("order", "name"),
    [
        ((MLMI, NWRQK, FVG), "TYPE_1"),
        ((MLMI, FVG, NWRQK), "TYPE_2"),
        ((NWRQK, FVG, MLMI), "TYPE_3"),
        ((NWRQK, MLMI, FVG), "TYPE_4"),
    ],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_each_order_has_its_type(order: tuple[str, ...], name: str, direction: int) -> None:
    found = only([bar(kind, direction=direction) for kind in order])
    assert (found.type, found.direction, found.bars_to_complete, found.bar) == (name, direction, 3, 2)
    assert tuple(one.kind for one in found.signals) == order


@pytest.mark.parametrize("order", [(FVG, MLMI, NWRQK), (FVG, NWRQK, MLMI)])
def test_an_order_that_begins_with_a_gap_is_none(order: tuple[str, ...]) -> None:
    assert detect([bar(kind) for kind in order]) == ()


def test_a_gap_before_does_not_spoil_an_order_that_follows() -> None:
    assert only([bar(FVG), bar(MLMI), bar(NWRQK), bar(FVG)]).type == "TYPE_1"


def test_signals_of_one_bar_come_in_the_order_mlmi_nwrqk_fvg() -> None:
    found = only([bar(FVG, NWRQK, MLMI)])
    assert (found.type, found.bars_to_complete) == ("TYPE_1", 1)
    assert only([bar(NWRQK), bar(FVG, MLMI)]).type == "TYPE_4"


def test_the_tenth_bar_completes_and_the_eleventh_does_not() -> None:
    found = only([bar(MLMI), bar(NWRQK), *quiet(7), bar(FVG)])
    assert found.bars_to_complete == 10
    assert detect([bar(MLMI), bar(NWRQK), *quiet(8), bar(FVG)]) == ()


def test_the_window_begins_with_the_first_signal_and_does_not_slide() -> None:
    assert detect([bar(MLMI), *quiet(5), bar(NWRQK), *quiet(5), bar(FVG)]) == ()


def test_an_expired_sequence_begins_anew_with_the_signal_that_came_late() -> None:
    told = [bar(MLMI), *quiet(10), bar(NWRQK), bar(FVG), bar(MLMI)]
    found = only(told)
    assert (found.type, found.bars_to_complete) == ("TYPE_3", 3)


def test_the_opposite_direction_begins_anew_with_itself() -> None:
    told = [bar(MLMI), bar(NWRQK, direction=-1), bar(MLMI, direction=-1), bar(FVG, direction=-1)]
    found = only(told)
    assert (found.type, found.direction, found.bars_to_complete) == ("TYPE_4", -1, 3)
    assert detect([bar(MLMI), bar(NWRQK), bar(FVG, direction=-1), bar(FVG)]) == ()


def test_a_kind_that_is_there_already_changes_nothing() -> None:
    told = [bar(MLMI, strength=0.9), bar(MLMI, strength=0.1), bar(NWRQK), bar(NWRQK), bar(FVG)]
    found = only(told)
    assert (found.type, found.bars_to_complete, found.signals[0].strength) == ("TYPE_1", 5, 0.9)


@pytest.mark.parametrize(("pause", "count"), [(0, 1), (4, 1), (5, 2), (6, 2)])
def test_after_a_synergy_five_bars_drop_what_they_find(pause: int, count: int) -> None:
    all_three = bar(MLMI, NWRQK, FVG)
    assert len(detect([all_three, *quiet(pause), all_three])) == count


def test_a_synergy_stands_from_its_bar_through_its_cooldown() -> None:
    found = detect([*quiet(3), bar(*KINDS), *quiet(20)])
    assert [at for at in range(24) if standing(found, at)] == [3, 4, 5, 6, 7, 8]
    assert standing((), 5) is None


def test_a_sequence_may_begin_in_the_cooldown_and_complete_after_it() -> None:
    told = [bar(MLMI, NWRQK, FVG), bar(MLMI), bar(NWRQK), *quiet(3), bar(FVG)]
    assert [one.bars_to_complete for one in detect(told)] == [1, 6]


def test_a_dropped_synergy_is_gone_and_does_not_lengthen_the_cooldown() -> None:
    all_three = bar(MLMI, NWRQK, FVG)
    assert [one.bar for one in detect([all_three] * 14)] == [0, 6, 12]


def test_the_confidence_is_mean_strength_less_lateness_times_trend() -> None:
    told = [
        BarSignals(signals=(Signal(MLMI, 1, 0.9),)),
        BarSignals(),
        BarSignals(signals=(Signal(NWRQK, 1, 0.5),)),
        BarSignals(signals=(Signal(FVG, 1, 0.4),), trend=1, correlation=0.31),
    ]
    agreeing = only(told)
    assert agreeing.confidence == pytest.approx(0.6 * (1 - 0.3 * 3 / 9))
    assert agreeing.confidence == pytest.approx(0.54)
    assert (agreeing.trend_agrees, agreeing.correlation) == (True, 0.31)
    for trend in (0, -1):
        against = only([*told[:3], attrs.evolve(told[3], trend=trend)])
        assert against.confidence == pytest.approx(0.54 * 0.7)
        assert not against.trend_agrees


def test_the_last_bar_of_the_window_costs_three_tenths() -> None:
    found = only([bar(MLMI, strength=1.0), *quiet(8), bar(NWRQK, FVG, strength=1.0)])
    assert found.confidence == pytest.approx(0.7)


def test_a_bar_without_signals_counts_and_nothing_else() -> None:
    state, synergy = step(SynergyState(bar=4, cooldown=2), QUIET)
    assert (state, synergy) == (SynergyState(bar=5, cooldown=1), None)


def plain_detect(told: list[BarSignals]) -> list[tuple[int, tuple[str, ...], int, int]]:
    """Bar, order, direction and bars of every synergy, by looking back from each signal at the whole list."""
    emitted: list[tuple[int, tuple[str, ...], int, int]] = []
    chain: list[tuple[int, Signal]] = []
    for at, one in enumerate(told):
        for signal in one.signals:
            fresh = chain and at - chain[0][0] <= 9 and chain[0][1].direction == signal.direction
            if not fresh:
                chain = [(at, signal)] if signal.kind != FVG else []
            elif signal.kind not in [held.kind for _, held in chain]:
                chain.append((at, signal))
            if len(chain) == 3:
                if not emitted or at - emitted[-1][0] > 5:
                    kinds = tuple(held.kind for _, held in chain)
                    emitted.append((at, kinds, signal.direction, at - chain[0][0] + 1))
                chain = []
    return emitted


one_bar = st.dictionaries(st.sampled_from(KINDS), st.sampled_from([1, 1, 1, -1]), max_size=2).map(
    lambda told: BarSignals(signals=tuple(Signal(kind, told[kind], 0.5) for kind in KINDS if kind in told))
)


@given(st.lists(st.one_of(st.just(QUIET), one_bar), max_size=80))
def test_any_order_of_signals_gives_what_a_plain_search_gives(told: list[BarSignals]) -> None:
    found = detect(told)
    got = [
        (one.bar, tuple(held.kind for held in one.signals), one.direction, one.bars_to_complete)
        for one in found
    ]
    assert got == plain_detect(told)
    for one in found:
        assert len({held.kind for held in one.signals}) == 3
        assert {held.direction for held in one.signals} == {one.direction}
        assert 1 <= one.bars_to_complete <= 10
        assert 0 < one.confidence <= 1
    assert all(later.bar - earlier.bar > 5 for earlier, later in itertools.pairwise(found))


# --- what the signals are --------------------------------------------------------------------------------


def test_an_mlmi_signal_counts_from_25_away_from_neutral() -> None:
    got = mlmi_strength(np.array([1.0, 1.0, -1.0, 0.0, -1.0]), np.array([75.0, 74.9, 20.0, 90.0, 0.0]))
    assert got.tolist() == pytest.approx([0.5, 0.0, -0.6, 0.0, -1.0])


def test_a_regression_signal_counts_from_three_tenths_of_the_slopes_deviation() -> None:
    slope = np.array([np.nan] + [0.1, -0.1] * 30)
    signal = np.ones(61)
    slope[58:] = 0.02, 0.05, 0.9
    got = nwrqk_strength(signal, slope)
    usual = [np.std(slope[1 : end + 1]) for end in (58, 59, 60)]
    assert 0.3 * usual[0] > 0.02
    assert got[58:].tolist() == pytest.approx([0.0, 0.05 / (2 * usual[1]), 1.0])
    assert not got[:20].any(), "fewer than twenty slopes have no deviation"


def test_a_regression_signal_forgets_slopes_of_more_than_480_bars_ago() -> None:
    slope = np.concatenate([np.full(100, 50.0), np.tile([0.1, -0.1], 240)])
    assert nwrqk_strength(np.ones(580), slope)[-1] == pytest.approx(0.5)


def test_a_gap_counts_from_a_thousandth_of_the_close_and_is_full_at_a_hundredth() -> None:
    size = np.array([0.1, 0.0999, 0.5, 2.0, 0.5])
    got = fvg_strength(np.array([1.0, 1.0, -1.0, -1.0, 0.0]), size, np.full(5, 100.0))
    assert got.tolist() == pytest.approx([0.1, 0.0, -0.5, -1.0, 0.0])


LIVELY = IndicatorSettings(mlmi=MlmiSettings(neighbours=5, warm_up=40), nwrqk=NwRqkSettings(smooth=True))


def lively() -> Features:
    return features(walk(6000, 121, step=0.004), LIVELY, 1)


def test_a_half_hours_signal_is_told_once_when_it_closes() -> None:
    found = lively()
    told = list(bar_signals(found))
    at = [index for index, one in enumerate(told) for held in one.signals if held.kind == MLMI]
    strength = mlmi_strength(found.mlmi.signal, found.mlmi.value)
    assert at == [index * 6 + 5 for index in np.flatnonzero(strength)]
    assert at


def test_the_trend_of_a_bar_is_that_of_the_half_hour_closed_last() -> None:
    found = lively()
    told = list(bar_signals(found))
    for index in (4, 400, 401, 405, 5999):
        closed = (index + 1) // 6 - 1
        slope = found.nwrqk.slope[closed] if closed >= 0 else np.nan
        assert told[index].trend == (0 if np.isnan(slope) else int(np.sign(slope)))


def test_synergies_of_a_market_are_made_of_its_signals() -> None:
    found = lively()
    told = list(bar_signals(found))
    got = synergies(found)
    assert got
    for one in got:
        assert one.signals[-1] in told[one.bar].signals
        assert one.correlation == told[one.bar].correlation


def test_the_correlation_pairs_each_return_with_the_half_hour_closed_before_it() -> None:
    found = features(walk(400, 122))
    got = correlation_5m_30m(found)
    short = found.bars_5m.close
    pairs = []
    for index in range(1, 400):
        closed = index // 6 - 1
        if closed >= 1:
            slow = found.bars_30m.close[closed] / found.bars_30m.close[closed - 1] - 1
            pairs.append((short[index] / short[index - 1] - 1, slow))
        if len(pairs) >= 30:
            left, right = np.array(pairs[-288:]).T
            assert got[index] == pytest.approx(np.corrcoef(left, right)[0, 1], abs=1e-9)
        else:
            assert got[index] == 0.0


def test_a_market_that_goes_on_correlates_and_one_that_returns_correlates_negatively() -> None:
    for sign in (1.0, -1.0):
        draw = np.random.default_rng(7)
        moves: list[float] = draw.normal(0, 0.001, 12).tolist()
        for index in range(12, 600):
            begin = (index // 6 - 1) * 6
            moves.append(sign * 0.1 * sum(moves[begin : begin + 6]) + draw.normal(0, 0.001))
        close = 100 * np.exp(np.cumsum(moves))
        bars = walk(600, 1)
        flat = attrs.evolve(bars, open=close, high=close, low=close, close=close)
        assert np.sign(correlation_5m_30m(features(flat))[-1]) == sign
