"""No figure of a bar changes, to the last bit, when later bars arrive."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pytest
from marl_series import walk

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.bars.heikin_ashi import heikin_ashi
from grinder.marl.indicators.fvg import PLAIN, fvg
from grinder.marl.indicators.lvn import LvnSettings, lvn
from grinder.marl.indicators.mlmi import PRD, mlmi
from grinder.marl.indicators.mmd import MmdSettings, mmd_score
from grinder.marl.indicators.nwrqk import NwRqkSettings, nwrqk
from grinder.marl.indicators.others import others
from grinder.marl.matrices.assembling import rows
from grinder.marl.matrices.features import features
from grinder.marl.matrices.regime import classify, figures_of
from grinder.marl.matrices.synergy import bar_signals, correlation_5m_30m
from grinder.marl.schema import STRATEGIC_NS

Indicator = Callable[[Bars], dict[str, Floats]]


def columns(made: object) -> dict[str, Floats]:
    """The arrays of an attrs class by name."""
    assert attrs.has(type(made))
    return {one.name: getattr(made, one.name) for one in attrs.fields(type(made)) if one.name != "bar_ns"}


INDICATORS: dict[str, Indicator] = {
    "heikin_ashi": lambda bars: columns(heikin_ashi(bars)),
    "mlmi": lambda bars: columns(mlmi(bars)),
    "mlmi prd": lambda bars: columns(mlmi(bars, PRD)),
    "nwrqk": lambda bars: columns(nwrqk(bars)),
    "nwrqk smooth": lambda bars: columns(nwrqk(bars, NwRqkSettings(smooth=True))),
    "fvg": lambda bars: columns(fvg(bars)),
    "fvg plain": lambda bars: columns(fvg(bars, PLAIN)),
    "lvn": lambda bars: columns(lvn(bars)),
    "lvn by ticks": lambda bars: columns(lvn(bars, LvnSettings(tick=0.01))),
    "mmd": lambda bars: {"score": mmd_score(bars, MmdSettings(reference=60, test=20, std_window=5))},
    "others": lambda bars: columns(others(bars)),
}


@pytest.mark.parametrize("name", INDICATORS)
def test_an_indicator_of_a_prefix_is_the_prefix_of_the_indicator(name: str) -> None:
    bars = walk(560, 91, STRATEGIC_NS, 0.004)
    whole = INDICATORS[name](bars)
    for count in (0, 1, 2, 19, 20, 21, 60, 101, 300, 483, 559):
        part = INDICATORS[name](bars[:count])
        for column, values in part.items():
            assert np.array_equal(values, whole[column][:count], equal_nan=values.dtype.kind == "f"), column


@pytest.mark.parametrize("name", INDICATORS)
def test_an_indicator_ignores_what_happens_later(name: str) -> None:
    """The same start, then two different futures."""
    count = 300
    start, crash = walk(500, 92, STRATEGIC_NS, 0.004), walk(500, 93, STRATEGIC_NS, 0.02)
    changed = {
        column: np.concatenate([getattr(start, column)[:count], getattr(crash, column)[count:]])
        for column in ("open", "high", "low", "close", "volume", "vwap")
    }
    one, other = INDICATORS[name](start), INDICATORS[name](attrs.evolve(start, **changed))
    for column, values in one.items():
        same = np.array_equal(values[:count], other[column][:count], equal_nan=values.dtype.kind == "f")
        assert same, column


def test_rows_signals_and_regimes_of_a_prefix_are_the_prefix_of_the_whole() -> None:
    bars = walk(4000, 94, step=0.003)
    whole = features(bars)
    scaled, told = rows(whole), list(bar_signals(whole))
    for count in (400, 1201, 3905):
        part = features(bars[:count])
        again, long = rows(part), count // 6
        assert np.array_equal(again.tactical, scaled.tactical[:count], equal_nan=True)
        assert np.array_equal(again.strategic, scaled.strategic[:long], equal_nan=True)
        assert np.array_equal(again.regime, scaled.regime[:long], equal_nan=True)
        assert np.array_equal(correlation_5m_30m(part), correlation_5m_30m(whole)[:count])
        assert list(bar_signals(part)) == told[:count]
        assert np.array_equal(classify(figures_of(part)), classify(figures_of(whole))[:long])
