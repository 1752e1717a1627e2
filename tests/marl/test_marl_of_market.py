"""What bars tell of a market becomes an observation; what they do not tell is an account at rest."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from marl_series import walk

from grinder.marl.matrices.assembling import Matrices, at, rows
from grinder.marl.matrices.features import Features, features
from grinder.marl.matrices.regime import regime_at
from grinder.marl.matrices.synergy import MLMI, Signal, Synergy
from grinder.marl.observing.observation import Observation, as_body, read_observation
from grinder.marl.observing.of_market import observed, volatility_regime

BARS = 700
FOUND = features(walk(BARS, 3))


def of(found: Features = FOUND, synergy: Synergy | None = None, spread_bps: float = 2.0) -> Observation:
    made, regime = at(rows(found), BARS - 1), regime_at(found, BARS - 1)
    assert isinstance(made, Matrices)
    assert regime is not None
    return observed(found, made, regime, synergy, price="101.5", spread_bps=spread_bps)


def test_figures_are_those_of_the_last_bar() -> None:
    seen = of()
    assert seen.market.atr == pytest.approx(FOUND.others_5m.atr_14[-1] / FOUND.bars_5m.close[-1], abs=1e-9)
    assert (seen.market.price, seen.market.spread_bps) == ("101.5", 2.0)
    assert sum(seen.regime_probabilities) == pytest.approx(1.0)
    assert (seen.position.size, seen.risk.equity_ratio, seen.risk.drawdown, seen.gates) == (0.0, 1.0, 0.0, ())
    assert read_observation(as_body(seen)) == seen, "and it is a body"


def test_the_synergy_that_stands_is_told() -> None:
    signal = Signal(MLMI, -1, 0.8)
    stood = Synergy(type="TYPE_3", direction=-1, signals=(signal,), bars_to_complete=4, confidence=0.5,
                    trend_agrees=True, correlation=0.1, bar=BARS - 2)  # fmt: skip
    seen = of(synergy=stood)
    assert (seen.synergy.type, seen.synergy.direction, seen.synergy.confidence) == ("TYPE_3", -1, 0.5)
    assert of().synergy.type is None


@pytest.mark.parametrize(("volatility", "told"), [(0.7, 0.2), (3.5, 1.0), (9.0, 1.0), (np.nan, 1 / 3.5)])
def test_volatility_is_told_up_to_that_of_a_crisis(volatility: float, told: float) -> None:
    changed = FOUND.others_30m.volatility_30.copy()
    changed[int(FOUND.closed[-1])] = volatility
    others = attrs.evolve(FOUND.others_30m, volatility_30=changed)
    assert volatility_regime(attrs.evolve(FOUND, others_30m=others)) == pytest.approx(told)


def test_a_range_wider_than_an_observation_takes_is_cut() -> None:
    wide = attrs.evolve(FOUND.others_5m, atr_14=np.full(BARS, 90.0))
    assert of(attrs.evolve(FOUND, others_5m=wide)).market.atr == 0.2
