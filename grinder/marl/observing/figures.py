"""A number with a unit and a range, said once: the check, the JSON Schema and the documentation follow.

Law: every number that enters an observation is read by `read_number`, wherever it comes from.  A class
whose attributes are annotated with a `Figure` and that is built with ``field_transformer=checked`` cannot
hold a value outside its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_type_hints

import attrs

from grinder.marl.refusals import refused

DECIMALS = 9
"""Figures count to this many decimals.  It is as fine as float32 is near 1, and a smaller figure, printed
without an exponent, would be longer than a number of a request may be."""


@attrs.frozen
class Figure:
    """What a number means and where it may lie.

    Attributes:
        low: least value.
        high: greatest value.
        unit: what is counted.
        about: what it says, in one sentence.
        whole: whether only whole numbers are taken.
        inside: whether `low` and `high` themselves are excluded.
    """

    low: float
    high: float
    unit: str
    about: str
    whole: bool = False
    inside: bool = False

    @property
    def range(self) -> str:
        """The range in words."""
        if self.inside:
            return f"above {self.low:g} and below {self.high:g}"
        return f"from {self.low:g} to {self.high:g}"

    def holds(self, value: float | Decimal) -> bool:
        """Whether a finite number lies in the range."""
        if self.inside:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def json_schema(self) -> dict[str, Any]:
        """The figure as JSON Schema."""
        kind = "integer" if self.whole else "number"
        lowest, highest = ("exclusiveMinimum", "exclusiveMaximum") if self.inside else ("minimum", "maximum")
        return {
            "type": kind,
            lowest: self.low,
            highest: self.high,
            "description": f"{self.about} Unit: {self.unit}.",
        }


def read_number(value: object, figure: Figure, place: str) -> float:
    """A number as its figure takes it, rounded to `DECIMALS`; an int stays one where `whole` is asked.

    Raises:
        UserError: ``observation.wrong_type``, ``.not_finite`` or ``.out_of_range``, with the place.
    """
    kind = "a whole number" if figure.whole else "a number"
    fix = f"write {kind} {figure.range} ({figure.unit})"
    takes = int if figure.whole else (int, float, Decimal)
    if isinstance(value, bool) or not isinstance(value, takes):
        raise refused("observation.wrong_type", f"this must be {kind}", place=place, value=value, fix=fix)
    if not _is_finite(value):
        raise refused("observation.not_finite", "the number is not finite", place=place, value=value, fix=fix)
    if not figure.holds(value):
        what = f"the number is not {figure.range}"
        raise refused("observation.out_of_range", what, place=place, value=value, fix=fix)
    if figure.whole:
        return int(value)
    # Adding 0.0 turns minus zero into zero: two spellings of one figure would have two hashes.
    return round(float(value), DECIMALS) + 0.0


def _is_finite(value: float | Decimal) -> bool:
    """Whether it is a number at all; a Decimal too large for a float is one."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or math.isfinite(value)


def figures_of(cls: type[Any]) -> dict[str, Figure]:
    """The figures of a class, by attribute, in order."""
    hints = get_type_hints(cls, include_extras=True)
    found: dict[str, Figure] = {}
    for name, hint in hints.items():
        for one in getattr(hint, "__metadata__", ()):
            if isinstance(one, Figure):
                found[name] = one
    return found


def checked(cls: type[Any], fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """For ``attrs.frozen(field_transformer=checked)``: every figure is read by `read_number` on the way in.

    The class says with ``PLACE`` which key of a body it is, for the place of a refusal.
    """
    known = figures_of(cls)
    place: str = cls.PLACE

    def reader(name: str) -> Callable[[object], float]:
        return lambda value: read_number(value, known[name], f"{place}.{name}")

    return [one.evolve(converter=reader(one.name)) if one.name in known else one for one in fields]
