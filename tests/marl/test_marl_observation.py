"""Reading an observation: what is refused and where, what comes back, and what the schema says of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from decisions import BULLISH, CALM_RISK, HELD_LONG, body, matrices, seen
from hypothesis import given
from hypothesis import strategies as st

from grinder.errors import UserError
from grinder.marl.observing.observation import (
    BODY_SCHEMA,
    Observation,
    as_body,
    body_text,
    observation_hash,
    read_observation,
)
from grinder.marl.observing.parts import Edge, RiskFigures
from grinder.marl.refusals import OBSERVATION_REFUSALS
from grinder.marl.schema import REGIMES, SCHEMAS

EDGE = {"win_rate": 0.55, "payoff": 1.2, "round_trips": 80}

Change = Callable[[dict[str, Any]], object]


def put(path: str, value: object) -> Change:
    """Set a place such as ``matrices.strategic.3.7``."""

    def change(whole: dict[str, Any]) -> None:
        *way, last = path.split(".")
        at: Any = whole
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        at[int(last) if isinstance(at, list) else last] = value

    return change


def cut(path: str) -> Change:
    def change(whole: dict[str, Any]) -> None:
        *way, last = path.split(".")
        at: Any = whole
        for step in way:
            at = at[step]
        del at[last]

    return change


REFUSED: list[tuple[Change, str, str]] = [
    (put("matrices.strategic.3.7", True), "observation.wrong_type", "matrices.strategic[3][7]"),
    (put("matrices.strategic.3.7", "1"), "observation.wrong_type", "matrices.strategic[3][7]"),
    (put("matrices.strategic.3.7", None), "observation.wrong_type", "matrices.strategic[3][7]"),
    (put("matrices.tactical.59.6", float("nan")), "observation.not_finite", "matrices.tactical[59][6]"),
    (put("matrices.tactical.0.0", float("-inf")), "observation.not_finite", "matrices.tactical[0][0]"),
    (put("matrices.tactical.0.0", Decimal("NaN")), "observation.not_finite", "matrices.tactical[0][0]"),
    (put("matrices.tactical.0.0", Decimal("sNaN")), "observation.not_finite", "matrices.tactical[0][0]"),
    (put("matrices.regime.95.3", 3.0000001), "observation.out_of_range", "matrices.regime[95][3]"),
    (put("matrices.regime.95.3", 10**5000), "observation.out_of_range", "matrices.regime[95][3]"),
    (put("matrices.regime.95.3", Decimal("1e999")), "observation.out_of_range", "matrices.regime[95][3]"),
    (put("matrices.strategic.3", [0.0] * 12), "observation.wrong_shape", "matrices.strategic[3]"),
    (put("matrices.strategic.3", {}), "observation.wrong_type", "matrices.strategic[3]"),
    (put("matrices.strategic", [[0.0] * 13] * 47), "observation.wrong_shape", "matrices.strategic"),
    (put("matrices.strategic", 7), "observation.wrong_type", "matrices.strategic"),
    (put("matrices.hourly", []), "observation.unknown_key", "matrices"),
    (put("matrices", []), "observation.wrong_type", "matrices"),
    (cut("matrices.regime"), "observation.missing_key", "matrices.regime"),
    (cut("risk"), "observation.missing_key", "risk"),
    (cut("risk.stress"), "observation.missing_key", "risk.stress"),
    (cut("market.price"), "observation.missing_key", "market.price"),
    (put("gates", ["daily_drawdown"]), "observation.unknown_key", "the body"),
    (put("reward", 1), "observation.unknown_key", "the body"),
    (put("risk.mood", 1), "observation.unknown_key", "risk"),
    (put("risk.drawdown", 1.01), "observation.out_of_range", "risk.drawdown"),
    (put("risk.drawdown", -0.01), "observation.out_of_range", "risk.drawdown"),
    (put("risk.open_positions", 1.0), "observation.wrong_type", "risk.open_positions"),
    (put("risk.open_positions", True), "observation.wrong_type", "risk.open_positions"),
    (put("market.atr", 0.21), "observation.out_of_range", "market.atr"),
    (put("market.price", 61250.5), "observation.bad_price", "market.price"),
    (put("market.price", "0.00"), "observation.bad_price", "market.price"),
    (put("market.price", "-1"), "observation.bad_price", "market.price"),
    (put("market.price", "1e5"), "observation.bad_price", "market.price"),
    (put("market.price", "٣"), "observation.bad_price", "market.price"),
    (put("synergy.type", "TYPE_9"), "observation.unknown_choice", "synergy.type"),
    (put("synergy.type", 1), "observation.unknown_choice", "synergy.type"),
    (put("synergy.direction", 1), "observation.inconsistent", "synergy.direction"),
    (put("synergy.direction", 2), "observation.out_of_range", "synergy.direction"),
    (put("synergy.type", "TYPE_1"), "observation.inconsistent", "synergy.direction"),
    (put("synergy.confidence", 0.5), "observation.inconsistent", "synergy.direction"),
    (put("position.direction", 1), "observation.inconsistent", "position.size"),
    (put("position.size", 0.5), "observation.inconsistent", "position.size"),
    (put("position.unrealised", 0.5), "observation.inconsistent", "position.size"),
    (
        put("regime_probabilities.CRISIS", 0.2),
        "observation.not_a_distribution",
        "regime_probabilities",
    ),
    (
        put("regime_probabilities.CRISIS", -0.1),
        "observation.out_of_range",
        "regime_probabilities.CRISIS",
    ),
    (put("regime_probabilities", [0.25] * 4), "observation.wrong_type", "regime_probabilities"),
    (cut("regime_probabilities.CRISIS"), "observation.missing_key", "regime_probabilities.CRISIS"),
    (put("edge", {**EDGE, "win_rate": 1}), "observation.out_of_range", "edge.win_rate"),
    (put("edge", {**EDGE, "payoff": 0}), "observation.out_of_range", "edge.payoff"),
    (put("edge", {"win_rate": 0.5}), "observation.missing_key", "edge.payoff"),
    (put("edge", {**EDGE, "win_rates": [0.5, 2]}), "observation.out_of_range", "edge.win_rates[1]"),
    (put("edge", {**EDGE, "win_rates": [0.5] * 1001}), "observation.wrong_shape", "edge.win_rates"),
    (put("edge", {**EDGE, "win_rates": "0.5"}), "observation.wrong_type", "edge.win_rates"),
]


@pytest.mark.parametrize(
    ("change", "code", "place"), REFUSED, ids=lambda one: one if type(one) is str else ""
)
def test_a_refusal_names_the_place_and_the_fix(change: Change, code: str, place: str) -> None:
    whole = copy.deepcopy(body())
    change(whole)
    with pytest.raises(UserError) as caught:
        read_observation(whole)
    assert (caught.value.code, caught.value.place) == (code, place)
    assert caught.value.fix
    assert len(caught.value.render()) < 700


def test_every_refusal_of_the_table_has_a_case() -> None:
    assert {code for _, code, _ in REFUSED} == set(OBSERVATION_REFUSALS)


def test_a_refusal_shows_the_value() -> None:
    whole = body(risk={**CALM_RISK, "drawdown": 7})
    with pytest.raises(UserError, match="got 7"):
        read_observation(whole)


def test_the_halts_in_force_are_the_servers_to_say() -> None:
    with pytest.raises(UserError, match="known to the server"):
        read_observation(body(gates=["halt"]))
    assert read_observation(body(), gates=["b", "a", "b"]).gates == ("a", "b")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.decimals(allow_nan=True, allow_infinity=True),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=5), inside, max_size=4),
    max_leaves=8,
)
PLACES = (
    *BODY_SCHEMA["properties"],
    "matrices.strategic",
    "matrices.strategic.0",
    "matrices.regime.95.3",
    "synergy.type",
    "synergy.direction",
    "market.price",
    "market.atr",
    "risk.open_positions",
    "position.size",
    "regime_probabilities.TRENDING",
)


@given(json_values)
def test_a_body_of_anything_is_read_or_refused_with_a_user_error(value: object) -> None:
    try:
        read_observation(value)
    except UserError as error:
        assert error.fix


@given(st.sampled_from(PLACES), json_values)
def test_anything_in_any_place_is_read_or_refused_with_a_user_error(place: str, value: object) -> None:
    whole = copy.deepcopy(body())
    put(place, value)(whole)
    try:
        assert isinstance(read_observation(whole), Observation)
    except UserError as error:
        assert error.code in OBSERVATION_REFUSALS


# --- there and back ------------------------------------------------------------------------------------

shares = st.floats(0, 1)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    columns = {
        f"{schema.name}__{name}": draw(st.floats(-3, 3)) for schema in SCHEMAS for name in schema.columns
    }
    risk = {name: draw(shares) for name in CALM_RISK} | {"open_positions": draw(st.integers(0, 30))}
    edge = draw(st.none() | st.just(EDGE) | st.just({**EDGE, "win_rates": [0.1, 0.2]}))
    market = {
        "spread_bps": draw(st.floats(0, 100)),
        "atr": draw(st.floats(0, 0.2)),
        "imbalance": 0,
        "price": "1",
    }
    return seen(columns, risk=risk, edge=edge, market=market, regime_probabilities=None)


@given(observations())
def test_the_body_of_an_observation_reads_back_as_the_same(made: Observation) -> None:
    again = read_observation(as_body(made))
    assert again == made
    assert observation_hash(again) == observation_hash(made)


@given(observations())
def test_the_printed_body_holds_no_exponent_and_reads_back_as_the_same(made: Observation) -> None:
    def no_exponent(text: str) -> Decimal:
        assert "e" not in text.lower()
        assert len(text) <= 32
        return Decimal(text)

    assert read_observation(json.loads(body_text(made), parse_float=no_exponent)) == made


def test_matrices_are_float32_and_cannot_be_written_to() -> None:
    found = seen()
    for schema in SCHEMAS:
        matrix = getattr(found, schema.name)
        assert (matrix.dtype, matrix.shape) == (np.float32, schema.shape)
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1


def test_an_observation_built_from_arrays_is_held_to_the_same_ranges() -> None:
    made = seen()
    parts = {
        "regime_probabilities": made.regime_probabilities,
        "synergy": made.synergy,
        "position": made.position,
        "market": made.market,
        "risk": made.risk,
    }
    built = Observation(np.array(made.strategic), np.array(made.tactical), np.array(made.regime), **parts)
    assert built == made
    with pytest.raises(UserError, match=r"matrices\.strategic\[0\]\[0\]"):
        Observation(np.full((48, 13), np.nan), np.array(made.tactical), np.array(made.regime), **parts)


def test_minus_zero_is_zero() -> None:
    assert observation_hash(seen({"strategic__mlmi_value": -0.0})) == observation_hash(seen())


def test_gates_and_every_part_enter_the_hash() -> None:
    hashes = [
        observation_hash(one)
        for one in (
            seen(),
            seen(gates=("halt",)),
            seen(BULLISH),
            seen(position=HELD_LONG),
            seen(edge=EDGE),
            seen(risk={**CALM_RISK, "stress": 0.2}),
        )
    ]
    assert len(set(hashes)) == len(hashes)


# --- the regime that is left out -----------------------------------------------------------------------

BURST = {"tactical__volume_ratio": 0.93}
"""tanh(ln 5) is 0.923: more than five times the mean volume."""

REGIME_CASES: list[tuple[dict[str, float], str]] = [
    ({}, "RANGING"),
    ({"strategic__momentum_20": 0.77, "strategic__momentum_50": 0.47}, "TRENDING"),
    ({"strategic__momentum_20": -1.0, "strategic__momentum_50": -1.0}, "TRENDING"),
    ({"strategic__momentum_20": 0.75, "strategic__momentum_50": 0.45}, "RANGING"),
    ({"strategic__momentum_20": 3.0, "strategic__momentum_50": 3.0}, "TRENDING"),
    ({"regime__volatility_30": 2.6}, "VOLATILE"),
    ({"regime__volatility_30": 3.0}, "VOLATILE"),
    ({"tactical__volume_ratio": 0.62, "regime__mmd_score": 0.6}, "VOLATILE"),
    ({"tactical__volume_ratio": 0.58, "regime__mmd_score": 0.6}, "RANGING"),
    ({**BURST, "regime__mmd_score": 0.4}, "RANGING"),
    ({**BURST, "regime__mmd_score": 1.1}, "CRISIS"),
    ({"tactical__volume_ratio": 1.0, "regime__mmd_score": 3.0}, "CRISIS"),
]


@pytest.mark.parametrize(("columns", "named"), REGIME_CASES)
def test_a_regime_left_out_is_read_from_the_last_rows(columns: dict[str, float], named: str) -> None:
    # atanh(0.77)/20 = 0.0510 and atanh(0.47)/10 = 0.0510, the mean is above 0.05; 0.75 and 0.45 give 0.0486
    found = seen(columns, regime_probabilities=None).regime_probabilities
    assert found == tuple(0.88 if name == named else 0.04 for name in REGIMES)


def test_only_the_last_row_tells_the_regime() -> None:
    rows = matrices()
    rows["regime"][0][1] = 3.0
    whole = body(regime_probabilities=None, matrices=rows)
    assert read_observation(whole).regime_probabilities[1] == 0.88


# --- the schema ----------------------------------------------------------------------------------------


def test_the_schema_names_the_keys_the_reader_takes() -> None:
    whole = body(edge=EDGE)
    assert set(BODY_SCHEMA["properties"]) == set(whole)
    for key, part in BODY_SCHEMA["properties"].items():
        more = {"win_rates"} if key == "edge" else set()
        assert set(part["properties"]) == set(whole[key]) | more
        assert part["additionalProperties"] is False
        assert set(part["required"]) == set(whole[key])
    json.dumps(BODY_SCHEMA)


@pytest.mark.parametrize("name", sorted(CALM_RISK))
def test_the_bounds_of_the_schema_are_those_of_the_reader(name: str) -> None:
    figure = BODY_SCHEMA["properties"]["risk"]["properties"][name]
    for bound, beyond in ((figure["minimum"], -1), (figure["maximum"], 1)):
        read_observation(body(risk={**CALM_RISK, name: bound}))
        with pytest.raises(UserError):
            read_observation(body(risk={**CALM_RISK, name: bound + beyond}))
    assert "Unit: " in figure["description"]


def test_the_risk_agent_sees_ten_figures() -> None:
    assert len(BODY_SCHEMA["properties"]["risk"]["properties"]) == 10
    assert RiskFigures(**CALM_RISK).drawdown == 0.01


def test_figures_count_to_nine_decimals() -> None:
    assert Edge(win_rate=0.12345678949, payoff=1, round_trips=1).win_rate == 0.123456789
