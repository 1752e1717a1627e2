"""Every way an observation or a model can be refused, by its stable code.

Law: a refusal has a code from these tables, and a code in these tables has a test.  The sentences here are
what a reference prints; the message a caller sees adds the place, the value and the fix.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder.errors import UserError

OBSERVATION_REFUSALS: Final[dict[str, str]] = {
    "observation.wrong_type": "The value has another type than its place takes; a boolean is no number.",
    "observation.missing_key": "A required key is absent.",
    "observation.unknown_key": "The key is not known; those that are known are named.",
    "observation.wrong_shape": "A matrix or a row has another length than its schema says.",
    "observation.not_finite": "The number is NaN or infinite.",
    "observation.out_of_range": "The number is outside the range its place takes.",
    "observation.unknown_choice": "The text is none of the choices.",
    "observation.bad_price": "The price is not a plain decimal above 0 written as text.",
    "observation.not_a_distribution": "Probabilities do not sum to 1.",
    "observation.inconsistent": "Two figures contradict each other.",
}

MODEL_REFUSALS: Final[dict[str, str]] = {
    "model.none": "No model is configured.",
    "model.missing": "The folder of the model lacks its manifest or its weights.",
    "model.manifest": "The manifest is not the JSON object it must be.",
    "model.schema": "The model was made for other matrix columns.",
    "model.checksum": "The weights are not the ones the manifest was written for.",
    "model.weights": "The weights cannot be read, or are not the arrays the network needs.",
    "model.not_finite": "The network's weights or its answer are not finite.",
}

_LONGEST = 80
_LONGEST_INTEGER_BITS = 128


class ModelRefused(UserError):
    """A model that cannot be used; the rules decide instead."""


def refused(code: str, what: str, *, place: str, value: object = "", fix: str) -> UserError:
    """The error for one refusal of an observation.  A code missing from the table is a bug (KeyError)."""
    OBSERVATION_REFUSALS[code]
    return UserError(code, what, place=place, value=shown(value), fix=fix)


def model_refused(code: str, what: str, *, place: str = "", value: str = "", fix: str) -> ModelRefused:
    """The error for one refusal of a model.  A code missing from the table is a bug (KeyError)."""
    MODEL_REFUSALS[code]
    return ModelRefused(code, what, place=place, value=shown(value), fix=fix)


def shown(value: object) -> str:
    """A value as one short line: text escaped and cut, containers by kind and length, others by kind."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, str | int | float | Decimal):
        text = str(value)
    elif isinstance(value, list | tuple | dict):
        text = f"{type(value).__name__} of length {len(value)}"
    else:
        text = type(value).__name__
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
