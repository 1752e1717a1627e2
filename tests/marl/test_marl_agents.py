"""The three agents by rule: what their experts say, how they are weighed, and what never happens."""

from __future__ import annotations

import math
from typing import Any

import pytest
from decisions import BULLISH, CALM_RISK, HELD_LONG, seen
from hypothesis import given
from hypothesis import strategies as st

from grinder.marl.agents import tactical as tactics
from grinder.marl.agents.odds import (
    LONG,
    NEUTRAL,
    SHORT,
    choose,
    leaning,
    mixed,
    nearest,
    softmax,
    through,
    tilted,
)
from grinder.marl.agents.policy import Proposal
from grinder.marl.agents.risk import (
    ACTIONS,
    ALERT,
    DANGERS,
    EMERGENCY_STOP,
    FLATTEN,
    NONE,
    REDUCE,
    RiskOutput,
    dangers,
)
from grinder.marl.agents.rules import RulePolicy, risk_by_rule, strategic_by_rule, tactical_by_rule
from grinder.marl.agents.strategic import (
    StrategicOutput,
    expert_weights,
    mlmi_expert,
    nwrqk_expert,
    regime_expert,
    wanted_size,
)
from grinder.marl.agents.tactical import EXPERT_WEIGHTS, TacticalOutput
from grinder.marl.schema import REGIMES, SCHEMAS, STRATEGIC, SYNERGIES, TACTICAL

figures = st.floats(-3, 3)
scores = st.floats(-1, 1)


def row(**columns: float) -> dict[str, float]:
    return {**dict.fromkeys(STRATEGIC.columns, 0.0), **dict.fromkeys(TACTICAL.columns, 0.0), **columns}


def vectors(found: Proposal) -> list[tuple[float, ...]]:
    strategic, tactical, risk = found.strategic, found.tactical, found.risk
    return [
        strategic.direction,
        strategic.size,
        *strategic.experts.values(),
        tactical.timing,
        tactical.stop,
        tactical.scale,
        tactical.direction,
        *tactical.experts.values(),
        risk.control,
        risk.multiplier,
    ]


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    """Anything an observation may be; saturated figures are as likely as any."""
    columns = {f"{schema.name}__{name}": draw(figures) for schema in SCHEMAS for name in schema.columns}
    kind = draw(st.none() | st.sampled_from(SYNERGIES))
    direction = draw(st.sampled_from((-1, 1))) if kind else 0
    synergy = {"type": kind, "direction": direction, "confidence": draw(st.floats(0, 1)) if kind else 0}
    risk = {name: draw(st.floats(0, 1)) for name in CALM_RISK} | {"open_positions": draw(st.integers(0, 30))}
    held = draw(st.sampled_from((None, HELD_LONG, {"direction": -1, "size": 1, "unrealised": -0.3})))
    market = {
        "spread_bps": draw(st.floats(0, 10_000)),
        "atr": draw(st.floats(0, 0.2)),
        "imbalance": draw(scores),
        "price": "100",
    }
    more = {} if held is None else {"position": held}
    return {"columns": columns, "synergy": synergy, "risk": risk, "market": market, **more}


@given(situations())
def test_every_vector_is_a_distribution(situation: dict[str, Any]) -> None:
    for one in vectors(RulePolicy().propose(seen(**situation))):
        assert sum(one) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in one)


@given(situations())
def test_the_same_observation_gives_the_same_proposal(situation: dict[str, Any]) -> None:
    assert RulePolicy().propose(seen(**situation)) == RulePolicy().propose(seen(**situation))


@given(situations(), figures, figures)
def test_a_stronger_bullish_mlmi_never_lowers_long_and_never_raises_short(
    situation: dict[str, Any], one: float, other: float
) -> None:
    found = []
    for value in sorted((one, other)):
        columns = {**situation["columns"], "strategic__mlmi_value": value}
        found.append(strategic_by_rule(seen(**{**situation, "columns": columns})).direction)
    weaker, stronger = found
    assert stronger[LONG] >= weaker[LONG] - 1e-12
    assert stronger[SHORT] <= weaker[SHORT] + 1e-12


@given(situations(), scores, scores)
def test_stronger_five_bar_momentum_never_lowers_the_tactical_long(
    situation: dict[str, Any], one: float, other: float
) -> None:
    found = []
    for value in sorted((one, other)):
        columns = {**situation["columns"], "tactical__momentum_5": value}
        now = seen(**{**situation, "columns": columns})
        found.append(tactical_by_rule(now, strategic_by_rule(now)).direction[LONG])
    assert found[1] >= found[0] - 1e-12


@given(situations(), st.sampled_from(sorted(CALM_RISK)), st.floats(0, 1), st.floats(0, 1))
def test_a_worse_figure_never_makes_the_risk_agent_milder(
    situation: dict[str, Any], name: str, one: float, other: float
) -> None:
    if name == "open_positions":
        one, other = round(20 * one), round(20 * other)
    better, worse = sorted((one, other), reverse=name in ("equity_ratio", "liquidity"))
    found = []
    for value in (better, worse):
        output = risk_by_rule(seen(**{**situation, "risk": {**situation["risk"], name: value}}))
        found.append((output.chosen, -output.chosen_multiplier))
    assert found[1][0] >= found[0][0]
    assert found[1][1] >= found[0][1]


@given(situations())
def test_mirrored_signals_give_mirrored_directions(situation: dict[str, Any]) -> None:
    up = {"strategic__mlmi_value": 0.8, "strategic__nwrqk_slope": 0.4, "tactical__momentum_5": 0.6}
    plain = {"market": {**situation["market"], "imbalance": 0}}
    long = RulePolicy().propose(seen(up, **plain))
    short = RulePolicy().propose(seen({name: -value for name, value in up.items()}, **plain))
    assert short.strategic.direction == pytest.approx(long.strategic.direction[::-1])
    assert short.tactical.direction == pytest.approx(long.tactical.direction[::-1])
    assert short.tactical.timing == pytest.approx(long.tactical.timing)


# --- odds by hand --------------------------------------------------------------------------------------


def test_leaning_is_the_softmax_of_four_times_the_score_against_one() -> None:
    # score 0.5: exp(-2) = 0.135335, exp(1) = 2.718282, exp(2) = 7.389056, sum 10.242673
    assert leaning(0.5) == pytest.approx((0.013213, 0.265388, 0.721399), abs=1e-6)
    assert choose(leaning(0.0)) == NEUTRAL


def test_through_repeats_a_direction_with_the_share_that_passes() -> None:
    assert through((0.2, 0.3, 0.5), 1.0) == pytest.approx((0.2, 0.3, 0.5))
    assert through((0.2, 0.3, 0.5), 0.5) == pytest.approx((0.1, 0.65, 0.25))
    assert through((0.2, 0.3, 0.5), 0.0) == (0.0, 1.0, 0.0)


def test_a_tilt_multiplies_the_odds_of_one_side() -> None:
    found = tilted((0.25, 0.5, 0.25), 1, math.log(2))
    assert found == pytest.approx((0.2, 0.4, 0.4))
    assert tilted((0.25, 0.5, 0.25), 0, 9.0) == (0.25, 0.5, 0.25)


def test_the_mean_of_vectors_is_weighted() -> None:
    assert mixed((0.75, 0.25), ((1.0, 0.0), (0.0, 1.0))) == (0.75, 0.25)


def test_a_softmax_of_large_figures_is_finite() -> None:
    assert softmax((10_000.0, 0.0, -10_000.0)) == (1.0, 0.0, 0.0)


def test_between_equals_the_written_order_decides() -> None:
    assert StrategicOutput((0.4, 0.4, 0.2), (0.5, 0.5, 0.0, 0.0)).chosen_direction == NEUTRAL
    assert StrategicOutput((0.4, 0.2, 0.4), (0.5, 0.5, 0.0, 0.0)).chosen_direction == SHORT
    assert StrategicOutput((0.4, 0.2, 0.4), (0.5, 0.5, 0.0, 0.0)).chosen_size == 0.25
    even = TacticalOutput((0.5, 0.5, 0.0), (0.5, 0.0, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 1.0, 0.0))
    assert (even.chosen_timing, even.chosen_stop, even.chosen_scale) == (0, 1.0, 0.5)
    alike = RiskOutput((0.5, 0.0, 0.0, 0.0, 0.5), (0.5, 0.0, 0.0, 0.0, 0.5))
    assert (alike.chosen, alike.chosen_multiplier) == (EMERGENCY_STOP, 0.0)


def test_the_nearest_choice_is_the_likeliest() -> None:
    assert choose(nearest(0.6, (0.25, 0.5, 0.75, 1.0))) == 1


# --- the strategic agent -------------------------------------------------------------------------------


def test_the_mlmi_expert_weighs_its_four_columns() -> None:
    # 0.5*0.8 + 0.3*1 + 0.1*0.5 + 0.1*(-0.5) = 0.7
    said = mlmi_expert(row(mlmi_value=0.8, mlmi_signal=1, momentum_20=0.5, momentum_50=-0.5))
    assert said == pytest.approx(leaning(0.7))


def test_the_kernel_expert_hears_a_slope_more_at_a_low_volume_node() -> None:
    # 0.5*(0.6 + 0.2*1*0.5 + 0.2*0.5) = 0.4
    said = nwrqk_expert(row(nwrqk_slope=0.5, lvn_distance=1, lvn_strength=0.5, nwrqk_value=-0.5))
    assert said == pytest.approx(leaning(0.4))


def test_the_regime_expert_grows_careful_with_volatility() -> None:
    calm, wild = regime_expert(row(volatility_30=1)), regime_expert(row(volatility_30=3, mmd_score=2))
    assert wild[NEUTRAL] > calm[NEUTRAL]
    assert wild == pytest.approx(leaning(0.0, caution=4.0))


def test_the_regime_weighs_the_experts() -> None:
    def weights(named: str) -> tuple[float, ...]:
        return expert_weights({name: float(name == named) for name in REGIMES})

    # softmax(1, 1, 0): e / (2e + 1) = 0.422319 twice
    assert weights("TRENDING") == pytest.approx((0.422319, 0.422319, 0.155362), abs=1e-6)
    assert choose(weights("CRISIS")) == 2
    assert weights("VOLATILE") == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_synergy_tilts_the_direction_its_way() -> None:
    plain = strategic_by_rule(seen(BULLISH)).direction
    for direction, side in ((1, LONG), (-1, SHORT)):
        synergy = {"type": "TYPE_1", "direction": direction, "confidence": 0.8}
        assert strategic_by_rule(seen(BULLISH, synergy=synergy)).direction[side] > plain[side]


def test_a_losing_position_is_not_built_up() -> None:
    losing, winning = ({**HELD_LONG, "unrealised": sign * 0.1} for sign in (-1, 1))
    assert strategic_by_rule(seen(BULLISH, position=winning)).chosen_size == 0.5
    assert strategic_by_rule(seen(BULLISH, position=losing)).chosen_size == 0.25


def test_a_crisis_asks_for_no_size() -> None:
    assert wanted_size((0, 0, 1), dict(zip(REGIMES, (0, 0, 0, 1), strict=True)), False) == 0
    assert wanted_size((0, 0, 1), dict(zip(REGIMES, (0, 0, 1, 0), strict=True)), False) == 0.5


# --- the tactical agent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("TYPE_1", (0.5, 0.3, 0.2)),
        ("TYPE_2", (0.4, 0.4, 0.2)),
        ("TYPE_3", (0.3, 0.5, 0.2)),
        ("TYPE_4", (0.35, 0.35, 0.3)),
        (None, (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_the_type_of_the_synergy_weighs_the_tactical_experts(
    kind: str | None, weights: tuple[float, ...]
) -> None:
    said = {"fvg": (1.0, 0.0, 0.0), "momentum": (0.0, 1.0, 0.0), "entry": (0.0, 0.0, 1.0)}
    assert tactics.ensemble(said, kind) == pytest.approx(weights)
    assert sum(EXPERT_WEIGHTS[kind]) == pytest.approx(1)


def test_a_fresh_gap_at_the_close_says_more_than_an_old_one_far_away() -> None:
    fresh = tactics.fvg_expert(row(fvg_bullish_active=1, fvg_age=1))
    old = tactics.fvg_expert(row(fvg_bullish_active=1, fvg_age=0.1, fvg_nearest_level=-1))
    both = tactics.fvg_expert(row(fvg_bullish_active=1, fvg_bearish_active=1, fvg_age=1))
    assert fresh == pytest.approx(leaning(1.0))
    assert old == pytest.approx(leaning(0.44))
    assert both == pytest.approx(leaning(0.0))


def test_without_a_strategic_direction_the_tactical_agent_waits() -> None:
    flat = StrategicOutput((0.1, 0.8, 0.1), (1.0, 0.0, 0.0, 0.0))
    assert tactical_by_rule(seen(BULLISH), flat).chosen_timing == tactics.WAIT


@pytest.mark.parametrize(("agreed", "timing"), [(-1, 0), (0, 0), (0.16, 0), (0.2, 1), (0.9, 1), (1.0, 1)])
def test_timing_follows_the_agreement(agreed: float, timing: int) -> None:
    assert choose(tactics.timing_odds(agreed)) == timing


@pytest.mark.parametrize(("volatility", "stop"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0), (2.0, 3.0), (3.0, 3.0)])
def test_the_stop_widens_with_volatility(volatility: float, stop: float) -> None:
    now = seen({"strategic__volatility_30": volatility})
    assert tactical_by_rule(now, strategic_by_rule(now)).chosen_stop == stop


def test_a_dear_spread_lowers_the_scale() -> None:
    assert tactics.entry_cost(spread_bps=20, atr=0.004) == pytest.approx(0.5)
    assert tactics.entry_cost(spread_bps=20, atr=0.0) == 1.0
    assert tactics.wanted_scale(agreed=0.5, cost=0.0) == 1.0
    assert tactics.wanted_scale(agreed=0.5, cost=0.5) == 0.75


# --- the risk agent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "value", "action", "multiplier"),
    [
        ("drawdown", 0.05, NONE, 1.0),
        ("drawdown", 0.0875, ALERT, 0.75),
        ("drawdown", 0.125, REDUCE, 0.5),
        ("drawdown", 0.1625, FLATTEN, 0.25),
        ("drawdown", 0.2, EMERGENCY_STOP, 0.0),
        ("equity_ratio", 0.7, EMERGENCY_STOP, 0.0),
        ("var_5pct", 0.1, EMERGENCY_STOP, 0.0),
        ("margin_use", 1.0, EMERGENCY_STOP, 0.0),
        ("stress", 1.0, EMERGENCY_STOP, 0.0),
        ("volatility_regime", 1.0, FLATTEN, 0.25),
        ("liquidity", 0.0, FLATTEN, 0.25),
        ("open_positions", 50, REDUCE, 0.5),
        ("correlation", 1.0, REDUCE, 0.5),
        ("correlation", -1.0, NONE, 1.0),
        ("time_of_day_risk", 1.0, ALERT, 0.75),
    ],
)
def test_the_worst_figure_decides_what_the_risk_agent_does(
    figure: str, value: float, action: int, multiplier: float
) -> None:
    found = risk_by_rule(seen(risk={**CALM_RISK, figure: value}))
    assert (ACTIONS[found.chosen], found.chosen_multiplier) == (ACTIONS[action], multiplier)


def test_every_figure_of_the_risk_agent_has_its_danger() -> None:
    assert set(DANGERS) == set(CALM_RISK)
    assert set(dangers(seen().risk).values()) == {0.0}
