"""What is known about one setting: its sentence, unit, bounds, and the shape of its value.

Law: everything said about a setting is said once, in the metadata of its attrs field.  The reader, the
JSON Schema and the reference all derive from `settings_of`; none keeps a list of keys of its own.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Final

import attrs

from grinder.config.choices import Choice

REQUIRED: Final = attrs.NOTHING
_KEY: Final = "setting"


@attrs.frozen(kw_only=True)
class About:
    """A setting as its author describes it.  Bounds are whole numbers in the setting's own unit."""

    sentence: str
    example: object
    unit: str = ""
    above: int | None = None
    at_least: int | None = None
    below: int | None = None
    at_most: int | None = None
    pattern: str = ""
    names: str = ""
    """For a map: the pattern of its keys."""
    default_text: str = ""
    """Said instead of the default when the default depends on other settings."""

    def range_text(self) -> str:
        """The bounds in words, such as ``above 0, at most 100``; empty when there are none."""
        bounds = {
            "above": self.above,
            "at least": self.at_least,
            "below": self.below,
            "at most": self.at_most,
        }
        return ", ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)

    def admits(self, number: Decimal | int) -> bool:
        """Whether a finite number is inside the bounds."""
        return not (
            (self.above is not None and number <= self.above)
            or (self.at_least is not None and number < self.at_least)
            or (self.below is not None and number >= self.below)
            or (self.at_most is not None and number > self.at_most)
        )


def about(sentence: str, *, example: object, unit: str = "", **rest: Any) -> dict[str, About]:
    """The ``metadata`` of an attrs field that is a setting."""
    return {_KEY: About(sentence=sentence, example=example, unit=unit, **rest)}


class Form(Enum):
    """The shapes a value can have in the file."""

    DECIMAL = auto()
    INTEGER = auto()
    FLAG = auto()
    TEXT = auto()
    CHOICE = auto()
    SECTION = auto()
    """A map with fixed keys: another settings class."""
    TABLE = auto()
    """A map whose keys are the user's names."""
    ROWS = auto()
    """A list."""


@attrs.frozen(kw_only=True)
class Shape:
    """The form of a value, whether null is allowed, and what it is made of."""

    form: Form
    nullable: bool = False
    choices: tuple[Choice, ...] = ()
    section: type[Any] | None = None
    item: Shape | None = None


@attrs.frozen(kw_only=True)
class Setting:
    """A key of a section: its name, what is said about it, its shape and its default."""

    key: str
    about: About
    shape: Shape
    default: object

    @property
    def required(self) -> bool:
        """Whether the key must be written."""
        return self.default is REQUIRED and not self.about.default_text


_SCALARS: Final = {Decimal: Form.DECIMAL, int: Form.INTEGER, bool: Form.FLAG, str: Form.TEXT}


def _shape(annotation: Any) -> Shape:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return attrs.evolve(_shape(inner), nullable=True)
    if origin is tuple:
        return Shape(form=Form.ROWS, item=_shape(arguments[0]))
    if origin in (dict, Mapping):
        return Shape(form=Form.TABLE, item=_shape(arguments[1]))
    if attrs.has(annotation):
        return Shape(form=Form.SECTION, section=annotation)
    if issubclass(annotation, Choice):
        return Shape(form=Form.CHOICE, choices=tuple(annotation))
    return Shape(form=_SCALARS[annotation])


def _default(attribute: attrs.Attribute[Any]) -> object:
    # `attrs.Factory` is a class that its stub declares as a function, so it is known by what it holds.
    factory = getattr(attribute.default, "factory", None)
    return attribute.default if factory is None else factory()


def settings_of(section: type[Any]) -> Mapping[str, Setting]:
    """The settings of a section in file order, by key.

    Raises:
        KeyError: a field of the class carries no `about` metadata.
    """
    attrs.resolve_types(section)
    return {
        attribute.name: Setting(
            key=attribute.name,
            about=attribute.metadata[_KEY],
            shape=_shape(attribute.type),
            default=_default(attribute),
        )
        for attribute in attrs.fields(section)
    }
