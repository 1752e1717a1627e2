"""What the agents are shown: three matrices, the regime, the synergy, what is held, the market and the risk.

Law: an `Observation` is complete, finite and within its ranges, or it does not exist.  Every refusal is a
`UserError` that names the place as the caller wrote it (``matrices.strategic[3][7]``), the value and the fix.
The names of halts and pauses in force are never read from a body: who asks does not say what stops him.

One JSON object is one observation: `read_observation` reads it, `as_body` gives it back, `BODY_SCHEMA` says
what it looks like.  All three follow from the classes of `grinder.marl.observing.parts`, whose attributes
carry their units and ranges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar

import attrs
import numpy as np
import orjson
from numpy.typing import NDArray

from grinder.marl.matrices.regime_of_rows import regime_of_rows
from grinder.marl.observing.figures import DECIMALS, Figure, figures_of, read_number
from grinder.marl.observing.parts import (
    PRICE,
    WIN_RATE,
    WIN_RATES_MOST,
    Edge,
    Market,
    Position,
    RiskFigures,
    Synergy,
    read_list,
)
from grinder.marl.refusals import refused
from grinder.marl.schema import (
    LARGEST,
    REGIME,
    REGIMES,
    SCHEMAS,
    STRATEGIC,
    SYNERGIES,
    TACTICAL,
    MatrixSchema,
)

Matrix = NDArray[np.float32]
Probabilities = tuple[float, float, float, float]
T = TypeVar("T")

SUM_TOLERANCE = 1e-6
"""How far from 1 the sum of the regime probabilities may be: what thirds of six digits leave."""

_CELL = Figure(-LARGEST, LARGEST, "none", "One figure of a matrix.")
_SHARE = Figure(0, 1, "share", "A probability.")

# --- matrices and probabilities ------------------------------------------------------------------------


def read_matrix(schema: MatrixSchema, given: object) -> Matrix:
    """A matrix as its schema says, from rows of numbers or an array; the result cannot be written to.

    Raises:
        UserError: with the place of the first row or figure that does not fit.
    """
    place = f"matrices.{schema.name}"
    count, width = schema.shape
    fix = f"write {count} rows, oldest first, of {width} numbers: {', '.join(schema.columns)}"
    rows = read_list(given.tolist() if isinstance(given, np.ndarray) else given, place, fix)
    if len(rows) != count:
        what = f"the matrix must have {count} rows, not {len(rows)}"
        raise refused("observation.wrong_shape", what, place=place, value=rows, fix=fix)
    figures: list[list[float]] = []
    for at, row in enumerate(rows):
        cells = read_list(row, f"{place}[{at}]", fix)
        if len(cells) != width:
            what = f"the row must have {width} figures, not {len(cells)}"
            raise refused("observation.wrong_shape", what, place=f"{place}[{at}]", value=cells, fix=fix)
        figures.append([read_number(one, _CELL, f"{place}[{at}][{x}]") for x, one in enumerate(cells)])
    matrix = np.array(figures, dtype=np.float64).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def _strategic(given: object) -> Matrix:
    return read_matrix(STRATEGIC, given)


def _tactical(given: object) -> Matrix:
    return read_matrix(TACTICAL, given)


def _regime(given: object) -> Matrix:
    return read_matrix(REGIME, given)


_SAME = attrs.cmp_using(np.array_equal)


def _probabilities(given: Sequence[object]) -> Probabilities:
    place = "regime_probabilities"
    trending, ranging, volatile, crisis = (
        read_number(one, _SHARE, f"{place}.{name}") for name, one in zip(REGIMES, given, strict=True)
    )
    found = trending, ranging, volatile, crisis
    if abs(sum(found) - 1) > SUM_TOLERANCE:
        raise refused(
            "observation.not_a_distribution",
            "the probabilities of the regimes must sum to 1",
            place=place,
            value=f"{sum(found):.9f}",
            fix="scale them to sum to 1, or leave them out: then the matrices tell them",
        )
    return found


def _gates(given: Iterable[str]) -> tuple[str, ...]:
    """Sorted, each once: the order in which a server found its halts must not change a hash."""
    return tuple(sorted(set(given)))


# --- the whole -----------------------------------------------------------------------------------------


@attrs.frozen
class Observation:
    """Everything a decision rests on.

    Attributes:
        strategic: (48, 13) float32, closed 30-minute bars, oldest first, within ±3.
        tactical: (60, 7) float32, closed 5-minute bars, oldest first, within ±3.
        regime: (96, 4) float32, closed 30-minute bars, oldest first, within ±3.
        regime_probabilities: in the order of `REGIMES`, sum 1.
        synergy: the pattern of signals that is on.
        position: what is held.
        market: spread, range, imbalance and price.
        risk: the ten figures of the risk agent.
        edge: what past trades say of the edge; None: not known.
        gates: names of the halts and pauses in force, sorted.
    """

    strategic: Matrix = attrs.field(converter=_strategic, eq=_SAME, hash=False)
    tactical: Matrix = attrs.field(converter=_tactical, eq=_SAME, hash=False)
    regime: Matrix = attrs.field(converter=_regime, eq=_SAME, hash=False)
    regime_probabilities: Probabilities = attrs.field(converter=_probabilities)
    synergy: Synergy
    position: Position
    market: Market
    risk: RiskFigures
    edge: Edge | None = None
    gates: tuple[str, ...] = attrs.field(default=(), converter=_gates)


def observation_hash(seen: Observation) -> str:
    """SHA-256, hex, over the canonical JSON of the body and the gates."""
    told = {**as_body(seen), "gates": seen.gates}
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


# --- from and to JSON ----------------------------------------------------------------------------------

THE_BODY: Final = "the body"
"""Place of what is wrong with the body as a whole."""

_REQUIRED = ("matrices", "synergy", "position", "market", "risk")
_OPTIONAL = ("regime_probabilities", "edge")


def _object(
    value: object, place: str, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, object]:
    known = (*required, *optional)
    keys = ", ".join(known)
    if not isinstance(value, Mapping):
        what = "this must be an object"
        raise refused("observation.wrong_type", what, place=place, value=value, fix=f"write its keys: {keys}")
    dot = f"{place}." if place else ""
    for key in value:
        if key not in known:
            own = not place and key == "gates"
            fix = "leave it out: the halts in force are known to the server" if own else f"known keys: {keys}"
            where = place or THE_BODY
            raise refused("observation.unknown_key", "the key is not known", place=where, value=key, fix=fix)
    for key in required:
        if key not in value:
            raise refused(
                "observation.missing_key", "the key is missing", place=f"{dot}{key}", fix=f"add `{key}`"
            )
    return {key: value[key] for key in known if key in value}


def _part(body: Mapping[str, object], kind: Callable[..., T], cls: type[Any], more: Sequence[str] = ()) -> T:
    """A part of the observation; `more` are keys that may be left out."""
    place: str = cls.PLACE
    required = [one.name for one in attrs.fields(cls) if one.name not in more]
    return kind(**_object(body[place], place, required, more))


def read_observation(body: object, gates: Iterable[str] = ()) -> Observation:
    """The observation a JSON object tells; numbers may be int, float or Decimal.

    Args:
        body: the decoded object; see `BODY_SCHEMA`.
        gates: names of the halts and pauses in force, from the server's own state.

    Raises:
        UserError: with a code of `OBSERVATION_REFUSALS`, the place, the value and the fix.
    """
    found = _object(body, "", _REQUIRED, _OPTIONAL)
    names = [schema.name for schema in SCHEMAS]
    matrices = _object(found["matrices"], "matrices", names)
    strategic, tactical, regime = (read_matrix(schema, matrices[schema.name]) for schema in SCHEMAS)
    if (given := found.get("regime_probabilities")) is None:
        found_probabilities = regime_of_rows(strategic, tactical, regime).probabilities
        probabilities: Sequence[object] = found_probabilities.tolist()
    else:
        by_name = _object(given, "regime_probabilities", REGIMES)
        probabilities = [by_name[name] for name in REGIMES]
    return Observation(
        strategic=strategic,
        tactical=tactical,
        regime=regime,
        regime_probabilities=_probabilities(probabilities),
        synergy=_part(found, Synergy, Synergy),
        position=_part(found, Position, Position),
        market=_part(found, Market, Market),
        risk=_part(found, RiskFigures, RiskFigures),
        edge=None if found.get("edge") is None else _part(found, Edge, Edge, ("win_rates",)),
        gates=gates,
    )


def _rows(matrix: Matrix) -> list[list[float]]:
    # The text of a float32 is its shortest spelling: 0.1, where the double of it is 0.10000000149011612.
    return [[float(str(one)) for one in row] for row in matrix]


def as_body(seen: Observation) -> dict[str, Any]:
    """The body that `read_observation` reads back as this observation, its gates aside."""
    body: dict[str, Any] = {
        "matrices": {
            "strategic": _rows(seen.strategic),
            "tactical": _rows(seen.tactical),
            "regime": _rows(seen.regime),
        },
        "regime_probabilities": dict(zip(REGIMES, seen.regime_probabilities, strict=True)),
    }
    for part in (seen.synergy, seen.position, seen.market, seen.risk, seen.edge):
        if part is not None:
            body[part.PLACE] = attrs.asdict(part)
    return body


def body_text(seen: Observation) -> str:
    """The body as JSON text without exponents, so that people and every reader take it."""
    return _text(as_body(seen))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, float):
        return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return json.dumps(value)


# --- the schema of the body ----------------------------------------------------------------------------


def _matrix_schema(schema: MatrixSchema) -> dict[str, Any]:
    count, width = schema.shape
    cell = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    return {
        "type": "array",
        "minItems": count,
        "maxItems": count,
        "items": {"type": "array", "minItems": width, "maxItems": width, "items": cell},
        "description": f"Closed bars, oldest first; columns: {', '.join(schema.columns)}.",
    }


def _object_schema(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _part_schema(cls: type[Any], **more: dict[str, Any]) -> dict[str, Any]:
    """An object of the class's figures, all required, and of `more`, which the caller of this may require."""
    figures = {name: figure.json_schema() for name, figure in figures_of(cls).items()}
    return _object_schema({**figures, **more}, list(figures))


def _body_schema() -> dict[str, Any]:
    synergy = _part_schema(Synergy, type={"enum": [*SYNERGIES, None]})
    market = _part_schema(Market, price={"type": "string", "pattern": f"^{PRICE.pattern}$"})
    synergy["required"].append("type")
    market["required"].append("price")
    rates = {"type": "array", "maxItems": WIN_RATES_MOST, "items": WIN_RATE.json_schema()}
    matrices = {schema.name: _matrix_schema(schema) for schema in SCHEMAS}
    regimes = {name: _SHARE.json_schema() for name in REGIMES}
    edge = _part_schema(Edge, win_rates=rates)
    properties = {
        "matrices": _object_schema(matrices, list(matrices)),
        "regime_probabilities": {**_object_schema(regimes, REGIMES), "type": ["object", "null"]},
        "synergy": synergy,
        "position": _part_schema(Position),
        "market": market,
        "risk": _part_schema(RiskFigures),
        "edge": {**edge, "type": ["object", "null"]},
    }
    return _object_schema(properties, _REQUIRED)


BODY_SCHEMA: Final[dict[str, Any]] = _body_schema()
"""JSON Schema of a body.  What it cannot say, sums for one, `read_observation` checks."""
