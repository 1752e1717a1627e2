"""What was decided: the action, its size, who voted how, and why.

Law: a decision is what a caller is shown and what a ledger keeps.  A ledger holds no fractions: its ratios
are whole parts per million (`as_parts_per_million`), and what a caller is shown (`as_json`) are these same
figures divided by a million, so that the two never differ.  The same observation and the same policy give
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs

from grinder.marl.agents.odds import DIRECTIONS, Odds
from grinder.marl.reasons import Reason

PPM = 1_000_000

ACTIONS: Final[dict[str, str]] = {
    "LONG": "Buy: towards a long position.",
    "SHORT": "Sell: towards a short position.",
    "HOLD": "Change nothing: no direction won, or now is not the time.",
    "BLOCKED": "Change nothing: a halt, a pause or the risk agent forbids it.",
    "REDUCE": "Close half of what is held.",
    "FLATTEN": "Close or hedge all that is held.",
    "EMERGENCY_STOP": "Stop the policy, cancel all orders, close all positions.",
}


@attrs.frozen
class Vote:
    """What one agent voted.

    Attributes:
        agent: strategic, tactical or risk.
        action: what it proposed, in its own words.
        direction: what it voted for after negotiating: short, neutral or long.
        confidence: its probability of that direction.
        weight: how much its vote counts.
        proposed: odds of short, neutral and long before negotiating.
        negotiated: the same after.
        heads: odds of every choice it proposed, by head: nothing is hidden behind the chosen one.
        experts: odds of short, neutral and long of each of its sub-experts; empty without any.
    """

    agent: str
    action: str
    direction: str
    confidence: float
    weight: float
    proposed: Odds
    negotiated: Odds
    heads: Mapping[str, Odds]
    experts: Mapping[str, Odds]


@attrs.frozen
class Factors:
    """What the size is the product of.

    Attributes:
        kelly: share the edge is worth; 1 where no edge was given.
        size: share the strategic agent chose.
        conviction: its probability of the direction.
        scale: the tactical agent's multiplier.
        risk_multiplier: the risk agent's.
    """

    kelly: float
    size: float
    conviction: float
    scale: float
    risk_multiplier: float

    @property
    def product(self) -> float:
        """The size before it is cut to what the limit leaves."""
        return self.kelly * self.size * self.conviction * self.scale * self.risk_multiplier


@attrs.frozen
class Decision:
    """One decision.

    Attributes:
        action: one of `ACTIONS`.
        direction: the direction that won the vote: short, neutral or long; LONG and SHORT follow it, the
            other actions only report it.
        size: size of the order as a share of the largest position the limits allow, 0 to 1.
        stop_atr: distance of the stop in average true ranges; 0 unless LONG or SHORT.
        target_atr: distance of the target in the same.
        stop_share: distance of the stop as a share of the price.
        target_share: distance of the target as a share of the price.
        price: the price the shares are of, decimal text as observed.
        confidence: the winner's score; the risk agent's confidence where it decided; 1 where a gate did.
        scores: of short, neutral and long.
        rounds: how many rounds were negotiated, 0 to 3.
        factors: of the size; they are told even where nothing is done.
        votes: of the three agents, in the order of their turn.
        reasons: the first decided.
        policy: ``rules`` or the version of the model.
        fallback: why the rules decided in a model's place; None if they did not.
        schema_hash: of the matrices' columns.
        observation_hash: of what was observed, gates included.
    """

    action: str
    direction: str
    size: float
    stop_atr: float
    target_atr: float
    stop_share: float
    target_share: float
    price: str
    confidence: float
    scores: Odds
    rounds: int
    factors: Factors
    votes: tuple[Vote, ...]
    reasons: tuple[Reason, ...]
    policy: str
    fallback: Reason | None
    schema_hash: str
    observation_hash: str


Spelt = Callable[[str, float], tuple[str, float]]
"""How a ratio is told: from its name and value to a key and a value."""


def as_parts_per_million(decision: Decision) -> dict[str, Any]:
    """The decision in whole numbers and texts; a ratio's key ends in ``_ppm``, halves round to even."""
    return _told(decision, lambda name, ratio: (f"{name}_ppm", round(ratio * PPM)))


def as_json(decision: Decision) -> dict[str, Any]:
    """The decision for a caller: the ratios of `as_parts_per_million` as numbers."""
    return _told(decision, lambda name, ratio: (name, round(ratio * PPM) / PPM))


def _told(value: Any, spelt: Spelt) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in attrs.fields(type(value)):
        found.update([_entry(one.name, getattr(value, one.name), spelt)])
    return found


def _entry(name: str, value: Any, spelt: Spelt) -> tuple[str, Any]:
    """A key and a value, whatever is inside told in the same way."""
    if isinstance(value, float):
        return spelt(name, value)
    if isinstance(value, tuple):
        if value and isinstance(value[0], float):
            return spelt(name, 0.0)[0], [spelt(name, one)[1] for one in value]
        return name, [_told(one, spelt) for one in value]
    if isinstance(value, Mapping):
        return name, dict(_entry(key, one, spelt) for key, one in value.items())
    if attrs.has(type(value)):
        return name, _told(value, spelt)
    return name, value


# --- the schema of what a caller is shown ---------------------------------------------------------------

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"action": tuple(ACTIONS), "direction": DIRECTIONS}
"""Fields of a decision whose text is one of a few."""

_PLAIN: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
}


def _schema(kind: Any) -> dict[str, Any]:
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if attrs.has(kind):
        hints = get_type_hints(kind)
        parts = {one.name: _schema(hints[one.name]) for one in attrs.fields(kind)}
        return {"type": "object", "required": list(parts), "properties": parts}
    inside = get_args(kind)
    if isinstance(kind, UnionType):
        return {"anyOf": [_schema(one) for one in inside]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _schema(inside[0])}
    return {"type": "object", "additionalProperties": _schema(inside[1])}


def _decision_schema() -> dict[str, Any]:
    found = _schema(Decision)
    for name, choices in _CHOICES.items():
        found["properties"][name]["enum"] = list(choices)
    return found


DECISION_SCHEMA: Final[dict[str, Any]] = _decision_schema()
"""JSON Schema of `as_json`."""
