"""From three proposals to one decision: negotiation, votes, the hierarchy, sizes, and what is told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decisions import (
    BULLISH,
    CALM_RISK,
    CONTROLS,
    DOWN,
    ENTER,
    FLAT,
    HELD_LONG,
    UP,
    WAITING,
    proposal,
    seen,
)
from hypothesis import given
from hypothesis import strategies as st

from grinder.marl.agents.odds import CAREFUL, LONG, NEUTRAL, SHORT, Odds, choose
from grinder.marl.agents.risk import ACTIONS as RISK_ACTIONS
from grinder.marl.agents.rules import RulePolicy
from grinder.marl.deciding.coordination import WEIGHTS, coordinate, decide, scores
from grinder.marl.deciding.decision import ACTIONS, Decision, as_json, as_parts_per_million
from grinder.marl.deciding.hierarchy import HIERARCHY, Case, enter, no_direction
from grinder.marl.deciding.negotiation import Negotiated, negotiate, shared_axis
from grinder.marl.reasons import REASONS, reason
from grinder.marl.schema import schema_hash

masses = st.floats(0, 1)


@st.composite
def odds(draw: st.DrawFn) -> Odds:
    found = [draw(masses) + 1e-6 for _ in range(3)]
    return tuple(one / sum(found) for one in found)


def synergy(direction: int) -> dict[str, Any]:
    return {"type": "TYPE_1", "direction": direction, "confidence": 0.9}


def first(found: Decision) -> str:
    return found.reasons[0].code


# --- the shared axis and the negotiation ---------------------------------------------------------------


def test_a_calm_risk_agent_repeats_the_strategic_odds_and_a_worried_one_says_neutral() -> None:
    assert shared_axis(proposal())[2] == pytest.approx(UP)
    # passing 0.1: 0.005, 0.1*0.05 + 0.9, 0.09
    assert shared_axis(proposal(control="reduce"))[2] == pytest.approx((0.005, 0.905, 0.09))


def test_agents_that_agree_do_not_negotiate() -> None:
    found = negotiate((UP, UP, UP))
    assert found.rounds == 0
    assert found.after == found.before


def test_one_round_by_hand() -> None:
    before = (UP, UP, (0.42, 0.16, 0.42))
    found = negotiate(before)
    # The third hears exp(mean log) = UP itself; UP^0.25 = (0.472871, 0.472871, 0.974004):
    # 0.198606, 0.075659, 0.409082, sum 0.683347
    assert found.rounds == 1
    assert found.after[2] == pytest.approx((0.290637, 0.110719, 0.598645), abs=1e-5)
    # The first hears UP and the third: sqrt of (0.021, 0.008, 0.378) = (0.144914, 0.089443, 0.614817), and
    # their fourth root again: (0.616987, 0.546874, 0.885492); with UP: 0.030849, 0.027344, 0.796943
    assert found.after[0] == pytest.approx((0.036073, 0.031974, 0.931953), abs=1e-5)


@given(odds(), odds(), odds())
def test_negotiation_ends_within_three_rounds_and_is_deterministic(one: Odds, two: Odds, three: Odds) -> None:
    found = negotiate((one, two, three))
    assert 0 <= found.rounds <= 3
    assert found == negotiate((one, two, three))
    for after in found.after:
        assert sum(after) == pytest.approx(1)
    if found.rounds < 3:
        assert len({choose(after, CAREFUL) for after in found.after}) == 1


@given(odds(), odds(), odds())
def test_negotiation_treats_long_and_short_alike(one: Odds, two: Odds, three: Odds) -> None:
    plain, mirrored = negotiate((one, two, three)), negotiate((one[::-1], two[::-1], three[::-1]))
    if plain.rounds == mirrored.rounds:  # a tie between the sides goes to short, and may end a round earlier
        for mine, theirs in zip(plain.after, mirrored.after, strict=True):
            assert mine == pytest.approx(theirs[::-1])


def test_a_probability_of_zero_forbids_nobody_a_direction() -> None:
    found = negotiate(((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    assert all(share > 0 for after in found.after for share in after)


# --- scores --------------------------------------------------------------------------------------------

THIRD: Odds = (0.1, 0.2, 0.7)


@pytest.mark.parametrize(
    ("after", "against", "expected"),
    [
        # 0.5*0.9 + 0.3*0.9 + 0.2*0.7
        ((UP, UP, THIRD), 0, (0.0, 0.0, 0.86)),
        # the same, times 0.7
        ((UP, UP, THIRD), -1, (0.0, 0.0, 0.602)),
        ((UP, UP, THIRD), 1, (0.0, 0.0, 0.86)),
        # long 0.5*0.9 + 0.2*0.7, short 0.3*0.9
        ((UP, DOWN, THIRD), 0, (0.27, 0.0, 0.59)),
        # short 0.27 * 0.7
        ((UP, DOWN, THIRD), 1, (0.189, 0.0, 0.59)),
        # neutral is never marked down
        ((UP, FLAT, FLAT), -1, (0.0, 0.4, 0.315)),
    ],
)
def test_a_score_is_the_sum_of_weight_times_confidence(
    after: tuple[Odds, ...], against: int, expected: Odds
) -> None:
    assert scores(after, against) == pytest.approx(expected)


def test_the_weights_sum_to_one_and_no_agent_suffices_alone() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert max(WEIGHTS.values()) < 0.65
    assert 1 - WEIGHTS["strategic"] < 0.65, "the others cannot outvote the strategic agent"


def case(after: tuple[Odds, ...], told: Odds) -> Case:
    return Case(seen(), proposal(), Negotiated(after, after, 0), told)


@pytest.mark.parametrize(
    ("after", "told", "code"),
    [
        ((UP, UP, UP), (0.0, 0.0, 0.65), None),
        ((UP, UP, UP), (0.0, 0.0, 0.6499), "vote.below_threshold"),
        ((FLAT, FLAT, FLAT), (0.0, 0.8, 0.0), "vote.neutral"),
        ((UP, DOWN, UP), (0.2, 0.0, 0.7), None),
        ((UP, DOWN, FLAT), (0.2, 0.1, 0.7), None),
        ((UP, DOWN, DOWN), (0.3, 0.0, 0.7), "vote.opposed"),
        ((FLAT, UP, UP), (0.0, 0.0, 0.7), "vote.not_strategic"),
    ],
)
def test_a_direction_wins_by_score_without_two_opponents_and_with_the_strategic_agent(
    after: tuple[Odds, ...], told: Odds, code: str | None
) -> None:
    found = no_direction(case(after, told))
    assert (found.reasons[0].code if found else None) == code


def test_what_the_hierarchy_leaves_is_entered() -> None:
    assert enter(case((DOWN, DOWN, DOWN), (0.9, 0.0, 0.0))).action == "SHORT"


def test_equal_scores_go_to_neutral_then_to_short() -> None:
    assert case((UP, UP, UP), (0.4, 0.4, 0.4)).winner == NEUTRAL
    assert case((UP, UP, UP), (0.4, 0.1, 0.4)).winner == SHORT


# --- the hierarchy -------------------------------------------------------------------------------------

TABLE: list[tuple[str, tuple[str, ...], bool, Odds, Odds, str, str]] = [
    # risk, gates, held, direction of all, timing, action, first reason
    ("emergency_stop", ("halt",), True, UP, ENTER, "EMERGENCY_STOP", "risk.emergency"),
    ("emergency_stop", (), False, UP, ENTER, "EMERGENCY_STOP", "risk.emergency"),
    ("emergency_stop", (), False, FLAT, WAITING, "EMERGENCY_STOP", "risk.emergency"),
    ("flatten", ("halt",), True, UP, ENTER, "FLATTEN", "risk.veto"),
    ("flatten", (), False, UP, ENTER, "BLOCKED", "risk.veto"),
    ("reduce", ("halt",), True, UP, ENTER, "REDUCE", "risk.veto"),
    ("reduce", (), True, FLAT, WAITING, "REDUCE", "risk.veto"),
    ("reduce", (), False, UP, ENTER, "BLOCKED", "risk.veto"),
    ("none", ("halt",), False, UP, ENTER, "BLOCKED", "gate.in_force"),
    ("none", ("halt",), True, FLAT, WAITING, "BLOCKED", "gate.in_force"),
    ("none", (), False, FLAT, ENTER, "HOLD", "vote.neutral"),
    ("none", (), False, UP, WAITING, "HOLD", "timing.wait"),
    ("alert", (), False, UP, WAITING, "HOLD", "timing.wait"),
    ("alert", (), False, UP, ENTER, "LONG", "vote.won"),
    ("none", (), False, DOWN, ENTER, "SHORT", "vote.won"),
    ("none", (), True, DOWN, ENTER, "SHORT", "vote.won"),
]


@pytest.mark.parametrize(("control", "gates", "held", "direction", "timing", "action", "code"), TABLE)
def test_the_hierarchy(
    control: str, gates: tuple[str, ...], held: bool, direction: Odds, timing: Odds, action: str, code: str
) -> None:
    now = seen(gates=gates, **({"position": HELD_LONG} if held else {}))
    found = coordinate(now, proposal(direction, direction, timing, control))
    assert (found.action, first(found)) == (action, code)
    closed = {"REDUCE": 0.2, "FLATTEN": 0.4, "EMERGENCY_STOP": 0.4 if held else 0.0}
    if action not in ("LONG", "SHORT"):
        assert found.size == pytest.approx(closed.get(action, 0.0))
        assert found.stop_atr == found.target_atr == found.stop_share == found.target_share == 0


def test_a_risk_multiplier_of_zero_blocks_before_a_gate_does() -> None:
    nothing: Odds = (0.8, 0.2, 0.0, 0.0, 0.0)
    found = coordinate(seen(gates=("halt",)), proposal(multiplier=nothing))
    assert (found.action, first(found), found.confidence) == ("BLOCKED", "risk.no_size", 0.8)


@given(odds(), odds(), odds(), st.sampled_from(("reduce", "flatten", "emergency_stop")), st.booleans())
def test_a_veto_always_wins(strategic: Odds, tactical: Odds, timing: Odds, control: str, held: bool) -> None:
    now = seen(**({"position": HELD_LONG} if held else {}))
    found = coordinate(now, proposal(strategic, tactical, timing, control))
    allowed = {"reduce": "REDUCE", "flatten": "FLATTEN", "emergency_stop": "EMERGENCY_STOP"}[control]
    nothing_held = "EMERGENCY_STOP" if control == "emergency_stop" else "BLOCKED"
    assert found.action == (allowed if held else nothing_held)


@given(odds(), odds(), odds(), st.sampled_from(("none", "alert")), st.text(min_size=1, max_size=9))
def test_nothing_is_entered_through_a_gate(
    strategic: Odds, tactical: Odds, timing: Odds, control: str, gate: str
) -> None:
    gate = gate.encode("utf-8", "replace").decode()
    found = coordinate(seen(gates=(gate,)), proposal(strategic, tactical, timing, control))
    assert found.action == "BLOCKED"


@given(odds(), odds(), odds())
def test_an_entry_has_the_strategic_vote_the_score_and_no_two_opponents(
    strategic: Odds, tactical: Odds, timing: Odds
) -> None:
    found = coordinate(seen(), proposal(strategic, tactical, timing))
    if found.action in ("LONG", "SHORT"):
        assert found.votes[0].direction == found.direction == found.action.lower()
        assert found.confidence >= 0.65
        opposite = {"LONG": "short", "SHORT": "long"}[found.action]
        assert sum(vote.direction == opposite for vote in found.votes) <= 1


def test_against_the_synergy_a_direction_needs_more() -> None:
    # all three vote long with 0.9: 0.9 suffices, 0.9*0.7 = 0.63 does not
    assert coordinate(seen(synergy=synergy(1)), proposal()).action == "LONG"
    found = coordinate(seen(synergy=synergy(-1)), proposal())
    assert (found.action, found.confidence) == ("HOLD", pytest.approx(0.63))
    assert [one.code for one in found.reasons[:2]] == ["vote.below_threshold", "vote.against_synergy"]


def test_every_step_of_the_hierarchy_is_in_the_order_it_promises() -> None:
    assert [step.__name__ for step in HIERARCHY] == [
        "risk_emergency",
        "risk_veto",
        "no_size_left",
        "hard_gates",
        "no_direction",
        "not_now",
    ]


# --- size, stop and target -----------------------------------------------------------------------------

EDGE = {"win_rate": 0.55, "payoff": 1.0, "round_trips": 80}


def test_size_is_the_product_of_its_factors() -> None:
    found = coordinate(
        seen(edge=EDGE), proposal(size=(0.0, 1.0, 0.0, 0.0), multiplier=(0.0, 0.0, 0.0, 1.0, 0.0))
    )
    # kelly 0.10/2, size 0.5, conviction 0.9, scale 1, risk 0.75
    assert found.size == pytest.approx(0.05 * 0.5 * 0.9 * 1.0 * 0.75)
    assert found.size == pytest.approx(found.factors.product)


def test_without_an_edge_kelly_is_one() -> None:
    assert coordinate(seen(), proposal()).size == pytest.approx(0.9)


def test_a_stop_of_two_ranges_has_its_target_at_three() -> None:
    found = coordinate(seen(), proposal())
    assert (found.stop_atr, found.target_atr) == (2.0, 3.0)
    assert (found.stop_share, found.target_share) == pytest.approx((0.008, 0.012))


def test_without_an_edge_worth_a_size_nothing_is_done() -> None:
    found = coordinate(seen(edge={**EDGE, "win_rate": 0.4}), proposal())
    assert (found.action, first(found), found.size) == ("HOLD", "kelly.no_edge", 0)


def test_the_win_rate_counts_at_most_the_confidence_of_the_decision() -> None:
    found = coordinate(seen(edge={**EDGE, "win_rate": 0.99, "payoff": 0.12}), proposal())
    # the score is 0.9: (0.9*0.12 - 0.1)/0.12 = 1/15, halved; a win rate of 0.99 would give the most, 0.125
    assert found.factors.kelly == pytest.approx(1 / 30)


def test_an_order_takes_at_most_what_the_limit_leaves() -> None:
    held = {**HELD_LONG, "size": 0.7}
    found = coordinate(seen(position=held), proposal())
    assert found.size == pytest.approx(0.3)
    assert found.reasons[-1].code == "size.capped"
    full = coordinate(seen(position={**held, "size": 1}), proposal())
    assert (full.action, first(full)) == ("HOLD", "size.full")
    turned = coordinate(seen(position=held), proposal(DOWN, DOWN))
    assert (turned.action, turned.size) == ("SHORT", pytest.approx(0.9))


def test_a_market_without_range_is_not_entered() -> None:
    market = {"spread_bps": 1, "atr": 0, "imbalance": 0, "price": "5"}
    found = coordinate(seen(market=market), proposal())
    assert (found.action, first(found)) == ("HOLD", "size.no_range")


# --- what is told --------------------------------------------------------------------------------------


def numbers(value: object) -> list[object]:
    if isinstance(value, dict):
        return [one for inside in value.values() for one in numbers(inside)]
    if isinstance(value, list | tuple):
        return [one for inside in value for one in numbers(inside)]
    return [value]


def test_parts_per_million_are_whole_numbers_and_texts_only() -> None:
    found = as_parts_per_million(coordinate(seen(BULLISH, edge=EDGE), proposal()))
    assert {type(one) for one in numbers(found)} <= {int, str, type(None)}
    assert found["confidence_ppm"] == 900_000
    assert found["stop_atr_ppm"] == 2_000_000
    assert found["scores_ppm"] == [0, 0, 900_000]
    assert found["votes"][0]["proposed_ppm"] == [50_000, 50_000, 900_000]
    assert found["action"] == "LONG"
    assert found["rounds"] == 0
    assert found["price"] == "61250.5"


def test_a_caller_is_shown_the_figures_of_the_ledger() -> None:
    decision = decide(seen(BULLISH, edge=EDGE), RulePolicy())
    ledger = numbers(as_parts_per_million(decision))
    shown = numbers(as_json(decision))
    assert len(ledger) == len(shown)
    for kept, told in zip(ledger, shown, strict=True):
        assert kept == (round(told * 1_000_000) if isinstance(told, float) else told)


def test_the_same_observation_gives_the_same_bytes() -> None:
    found = {json.dumps(as_json(decide(seen(BULLISH), RulePolicy()))) for _ in range(3)}
    assert len(found) == 1


def test_a_decision_names_schema_observation_and_every_head() -> None:
    found = as_json(decide(seen(BULLISH), RulePolicy()))
    assert found["schema_hash"] == schema_hash()
    assert len(found["observation_hash"]) == 64
    assert [sorted(vote["heads"]) for vote in found["votes"]] == [
        ["direction", "size"],
        ["scale", "stop", "timing"],
        ["control", "multiplier"],
    ]
    assert sorted(found["votes"][0]["experts"]) == ["mlmi", "nwrqk", "regime"]
    assert sorted(found["votes"][1]["experts"]) == ["entry", "fvg", "momentum"]


def test_a_bullish_market_is_bought_and_its_mirror_sold() -> None:
    sides = ("mlmi_value", "mlmi_signal", "nwrqk_slope", "momentum_20", "momentum_50", "momentum_5")
    mirror = {name: -value if name.endswith(sides) else value for name, value in BULLISH.items()}
    mirror["tactical__fvg_bearish_active"] = mirror.pop("tactical__fvg_bullish_active")
    long, short = decide(seen(BULLISH), RulePolicy()), decide(seen(mirror), RulePolicy())
    assert (long.action, short.action) == ("LONG", "SHORT")
    assert long.size == pytest.approx(short.size)
    assert decide(seen(), RulePolicy()).action == "HOLD"


def test_a_drawdown_stops_what_a_bullish_market_would_buy() -> None:
    found = decide(seen(BULLISH, risk={**CALM_RISK, "drawdown": 0.25}), RulePolicy())
    assert found.action == "EMERGENCY_STOP"
    assert "drawdown is 0.2500" in found.reasons[1].text


def test_every_action_is_explained_and_every_reason_is_of_the_table() -> None:
    assert set(CONTROLS) == set(RISK_ACTIONS)
    assert {row[5] for row in TABLE} == set(ACTIONS)
    with pytest.raises(KeyError):
        reason("mood.bad", "No reason.")
    assert all(text.endswith(".") for text in REASONS.values())
    assert LONG == 2
