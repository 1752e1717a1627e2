"""The three matrices: shape, order, ranges, readiness, scaling, and which half hour they show."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marl_series import of_closes, walk

from grinder.marl.bars.closed import Bars
from grinder.marl.indicators.rolling import rolling_z
from grinder.marl.matrices.assembling import BARS_WARM, Matrices, Matrix, NotReady, Rows, assemble, at, rows
from grinder.marl.matrices.features import features
from grinder.marl.schema import REGIME, STRATEGIC, STRATEGIC_NS, TACTICAL, MatrixSchema

LONG = walk(4400, 101, step=0.003)
SCALED = rows(features(LONG))
NEEDED = REGIME.rows * 6


def ready(bars: Bars) -> Matrices:
    made = assemble(bars)
    assert isinstance(made, Matrices)
    return made


def column(schema: MatrixSchema, matrix: Matrix, name: str) -> np.ndarray:
    return matrix[:, schema.column(name)].astype(np.float64)


def strategic(name: str) -> np.ndarray:
    return column(STRATEGIC, SCALED.strategic, name)


def tactical(name: str) -> np.ndarray:
    return column(TACTICAL, SCALED.tactical, name)


def test_the_shapes_are_those_of_the_schema_in_single_precision() -> None:
    made = ready(LONG)
    for matrix, schema in ((made.strategic, STRATEGIC), (made.tactical, TACTICAL), (made.regime, REGIME)):
        assert matrix.shape == schema.shape
        assert matrix.dtype == np.float32
    assert (STRATEGIC.shape, TACTICAL.shape, REGIME.shape) == ((48, 13), (60, 7), (96, 4))


def test_the_oldest_row_is_first_and_the_newest_bar_last() -> None:
    made = ready(LONG)
    newest = len(SCALED.strategic)
    for matrix, whole in ((made.strategic, SCALED.strategic), (made.regime, SCALED.regime)):
        want = np.clip(whole[newest - len(matrix) :], -3, 3).astype(np.float32)
        assert np.array_equal(matrix, want)
    assert np.array_equal(made.tactical, SCALED.tactical[-60:].astype(np.float32))
    assert made.at_ns == LONG.end_ns[-1]


@pytest.mark.parametrize(
    ("count", "reason", "have", "need"),
    [
        (0, "tactical rows", 0, 60),
        (59, "tactical rows", 59, 60),
        (60, "strategic rows", 10, 48),
        (48 * 6 - 1, "strategic rows", 47, 48),
        (48 * 6, "regime rows", 48, 96),
        (NEEDED - 1, "regime rows", 95, 96),
    ],
)
def test_a_matrix_with_a_missing_row_is_not_ready(count: int, reason: str, have: int, need: int) -> None:
    assert assemble(LONG[:count]) == NotReady(reason=reason, have=have, need=need)


def test_all_are_ready_with_the_last_row_of_the_last_one() -> None:
    assert isinstance(assemble(LONG[:NEEDED]), Matrices)


def test_bars_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="5-minute bars"):
        assemble(walk(100, 1, STRATEGIC_NS))


def test_a_matrix_cut_from_many_rows_is_the_one_of_the_bars_up_to_it() -> None:
    for count in (NEEDED, NEEDED + 5, 2000, 3999, 4300):
        cut = at(SCALED, count - 1)
        assert isinstance(cut, Matrices)
        alone = ready(LONG[:count])
        for name in ("strategic", "tactical", "regime"):
            assert np.array_equal(getattr(cut, name), getattr(alone, name)), name
        assert (cut.at_ns, cut.counted_non_finite) == (alone.at_ns, alone.counted_non_finite)


def test_the_half_hours_stand_still_until_the_next_one_has_closed() -> None:
    boundary = ready(LONG[:1200])
    for forming in range(1, 6):
        between = ready(LONG[: 1200 + forming])
        assert np.array_equal(between.strategic, boundary.strategic)
        assert np.array_equal(between.regime, boundary.regime)
        assert not np.array_equal(between.tactical, boundary.tactical)
    after = ready(LONG[:1206])
    assert np.array_equal(after.strategic[:-1], boundary.strategic[1:])
    assert not np.array_equal(after.strategic[-1], boundary.strategic[-1])


def test_the_forming_half_hour_is_not_seen_however_it_goes() -> None:
    crash = attrs.evolve(
        LONG,
        **{name: np.append(getattr(LONG, name)[:1203], getattr(LONG, name)[1203:] * 3) for name in PRICES},
    )
    assert np.array_equal(ready(crash[:1205]).strategic, ready(LONG[:1205]).strategic)


PRICES = ("open", "high", "low", "close")


def test_after_the_warm_up_every_figure_exists() -> None:
    assert ready(LONG[:BARS_WARM]).counted_non_finite == 0
    assert (ready(LONG[:BARS_WARM]).regime[:, 0] > 0).any()


def test_figures_in_their_warm_up_are_zero_and_counted() -> None:
    early = ready(LONG[:NEEDED])
    missing = sum(
        int((~np.isfinite(one)).sum())
        for one in (SCALED.strategic[48:96], SCALED.tactical[NEEDED - 60 : NEEDED], SCALED.regime[:96])
    )
    assert early.counted_non_finite == missing > 0
    assert (early.regime[:19, REGIME.column("volume_profile_skew")] == 0).all()
    for matrix in (early.strategic, early.tactical, early.regime):
        assert np.isfinite(matrix).all()


RANGES = {
    "mlmi_value": (-1, 1),
    "mlmi_signal": (-1, 1),
    "nwrqk_value": (-1, 1),
    "nwrqk_slope": (-1, 1),
    "lvn_distance": (0, 1),
    "lvn_strength": (0, 1),
    "hour_sin": (-1, 1),
    "hour_cos": (-1, 1),
    "momentum_20": (-1, 1),
    "momentum_50": (-1, 1),
    "mmd_score": (0, 3),
    "volatility_30": (0, 3),
    "volume_profile_skew": (-3, 3),
    "price_acceleration": (-3, 3),
    "fvg_bullish_active": (0, 1),
    "fvg_bearish_active": (0, 1),
    "fvg_nearest_level": (-1, 1),
    "fvg_age": (0, 1),
    "fvg_mitigation_signal": (0, 1),
    "momentum_5": (-1, 1),
    "volume_ratio": (0, 1),
}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-6, 0.2), st.integers(NEEDED, NEEDED + 60))
def test_every_figure_is_within_its_range_in_any_market(seed: int, step: float, count: int) -> None:
    made = ready(walk(count, seed, step=step))
    for matrix, schema in ((made.strategic, STRATEGIC), (made.tactical, TACTICAL), (made.regime, REGIME)):
        for place, name in enumerate(schema.columns):
            low, high = RANGES[name]
            assert low <= matrix[:, place].min() <= matrix[:, place].max() <= high, name


def test_no_figure_exceeds_three() -> None:
    wild = Rows(
        features=SCALED.features,
        strategic=SCALED.strategic * 1e9,
        tactical=np.where(SCALED.tactical > 0, np.inf, SCALED.tactical * 1e9),
        regime=SCALED.regime * -1e9,
    )
    made = at(wild, len(LONG) - 1)
    assert isinstance(made, Matrices)
    for matrix in (made.strategic, made.tactical, made.regime):
        assert np.abs(matrix).max() <= 3.0
    assert made.counted_non_finite == int((SCALED.tactical[-60:] > 0).sum())


def test_strategic_columns_are_scaled_as_their_names_say() -> None:
    found = SCALED.features
    close, told = found.bars_30m.close, found.others_30m
    late = slice(100, None)
    assert strategic("mlmi_value") == pytest.approx((found.mlmi.value - 50) / 50)
    assert strategic("mlmi_signal").tolist() == found.mlmi.signal.tolist()
    percent = 100 * (found.nwrqk.value / close - 1)
    assert strategic("nwrqk_value")[late] == pytest.approx(np.clip(percent, -5, 5)[late] / 5)
    z = rolling_z(found.nwrqk.slope, 480, 20)
    assert strategic("nwrqk_slope")[late] == pytest.approx(np.clip(z, -2, 2)[late] / 2)
    node = np.exp(-100 * found.lvn.distance / close)
    assert strategic("lvn_distance") == pytest.approx(np.where(found.lvn.found > 0, node, 0))
    assert strategic("lvn_strength") == pytest.approx(found.lvn.strength / 100)
    assert strategic("momentum_20")[late] == pytest.approx(np.tanh(20 * told.momentum_20)[late])
    assert strategic("momentum_50")[late] == pytest.approx(np.tanh(10 * told.momentum_50)[late])
    assert strategic("mmd_score") == pytest.approx(found.mmd)
    assert strategic("volatility_30")[late] == pytest.approx(np.clip(told.volatility_30, 0, 3)[late])
    assert strategic("volume_profile_skew")[late] == pytest.approx(np.tanh(found.lvn.skew)[late])


def test_the_hour_is_that_of_the_close_in_utc() -> None:
    assert (strategic("hour_sin")[11], strategic("hour_cos")[11]) == (
        pytest.approx(1.0),
        pytest.approx(0.0, abs=1e-9),
    )
    assert (strategic("hour_sin")[47], strategic("hour_cos")[47]) == (
        pytest.approx(0.0, abs=1e-9),
        pytest.approx(1.0),
    )


def test_tactical_columns_are_scaled_as_their_names_say() -> None:
    found = SCALED.features
    gaps, close = found.fvg, found.bars_5m.close
    some = (gaps.bullish_active > 0) | (gaps.bearish_active > 0)
    assert some.any()
    assert not some.all()
    percent = np.clip(100 * (gaps.nearest_level / close - 1), -2, 2)
    assert tactical("fvg_nearest_level") == pytest.approx(np.where(some, percent / 2, 0))
    assert tactical("fvg_age") == pytest.approx(np.where(some, np.exp(-gaps.age / 10), 0))
    assert tactical("fvg_mitigation_signal").tolist() == gaps.mitigation_signal.tolist()
    move = np.clip(100 * found.others_5m.momentum_5[5:], -10, 10)
    assert tactical("momentum_5")[5:] == pytest.approx(np.tanh(move / 5))
    excess = np.maximum(found.others_5m.volume_ratio - 1, 0)
    assert tactical("volume_ratio") == pytest.approx(np.tanh(np.log(1 + excess)))


def test_a_market_that_stands_still_gives_neutral_figures() -> None:
    still = of_closes(np.full(NEEDED + 600, 20.0), bar_ns=LONG.bar_ns)
    made = ready(still)
    hour = [STRATEGIC.column("hour_sin"), STRATEGIC.column("hour_cos"), STRATEGIC.column("volatility_30")]
    assert not np.delete(made.strategic, hour, axis=1).any()
    assert not made.tactical.any()
    assert set(made.regime[:, REGIME.column("volatility_30")].tolist()) == {1.0}


def test_a_session_break_leaves_its_half_hours_out() -> None:
    keep = np.ones(2000, dtype=np.bool_)
    keep[1003:1100] = False
    made = ready(LONG[:2000][keep])
    found = features(LONG[:2000][keep])
    assert len(found.bars_30m) == 2000 // 6 - 17
    assert made.strategic.shape == STRATEGIC.shape
