"""The tree read as settings: every key known, every value of its type and inside its bounds.

Law: this module knows shapes and bounds from the settings' metadata, and nothing about what two settings
mean together.  It never stops at the first problem; a value that cannot be used becomes `UNUSABLE`, so that
what stands beside it is still checked.  What comes out is plain data for cattrs to convert.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from grinder.config.refusals import refusal, shown
from grinder.config.setting import About, Form, Setting, Shape, settings_of
from grinder.config.tree import Node, Scalar, Sequence, Table, Written, excerpt, is_integer
from grinder.errors import ConfigError


class Unusable(Enum):
    """The mark left where a value could not be read."""

    UNUSABLE = "unusable"


UNUSABLE: Final = Unusable.UNUSABLE

DECIMAL_PATTERN: Final = r"-?[0-9]{1,18}(\.[0-9]{1,18})?"
_INTEGER_DIGITS_MAX: Final = 18
_NOT_FINITE: Final = re.compile(r"[+-]?\.?(nan|snan|inf|infinity)[0-9]*\Z", re.IGNORECASE)
_WORDS: Final = {
    Form.INTEGER: "a whole number",
    Form.FLAG: "true or false",
    Form.TEXT: "text",
    Form.SECTION: "a map of settings",
    Form.TABLE: "a map of names",
    Form.ROWS: "a list",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word: the nearest known ones, or all of them when none is near."""
    known = list(known)
    by_lower = {name.lower(): name for name in reversed(known)}
    near = difflib.get_close_matches(word[:80].lower(), by_lower, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{by_lower[name]}`" for name in near) + "?"
    return "known: " + ", ".join(f"`{name}`" for name in known[:40]) if known else "none is known"


class Reader:
    """Reads one tree and collects what is wrong with it."""

    def __init__(self, problems: list[ConfigError]) -> None:
        self._problems = problems

    def section(self, section: type[Any], node: Table, path: str) -> dict[str, Any]:
        """The settings of ``node`` that were written, by key; bad ones are `UNUSABLE`."""
        settings = settings_of(section)
        result: dict[str, Any] = {}
        left_out: dict[str, str] = {}
        for key, entry in node.entries.items():
            setting = settings.get(key)
            if setting is None:
                self._refuse(
                    "config.unknown_key",
                    f"`{shown(_join(path, key))}` is not a setting",
                    entry.place,
                    nearest(key, settings),
                )
                continue
            if _left_out(setting, entry.node):
                left_out[key] = entry.place
                continue
            result[key] = self.value(setting.shape, setting.about, entry.node, _join(path, key))
        for key, setting in settings.items():
            if setting.required and key not in result:
                example = f"`{key}: {_example(setting)}`" if _is_scalar(setting) else f"a section `{key}:`"
                where = f"in `{path}`" if path else "in the configuration"
                self._refuse(
                    "config.missing_key",
                    f"`{key}` is {'empty' if key in left_out else 'missing'} {where}",
                    left_out.get(key, node.place),
                    f"{'write' if key in left_out else 'add'} {example}",
                )
                result[key] = UNUSABLE
        return result

    def value(self, shape: Shape, about: About, node: Node, path: str) -> Any:
        """One value as cattrs takes it, or `UNUSABLE`."""
        if isinstance(node, Scalar) and node.written is Written.NULL:
            return self._null(shape, about, node, path)
        match shape.form, node:
            case Form.SECTION, Table():
                assert shape.section is not None
                return self.section(shape.section, node, path)
            case Form.TABLE, Table():
                return self._table(shape, about, node, path)
            case Form.ROWS, Sequence():
                assert shape.item is not None
                return [
                    self.value(shape.item, about, item, f"{path}[{index}]")
                    for index, item in enumerate(node.items)
                ]
            case Form.DECIMAL, Scalar():
                return self._decimal(about, node, path)
            case Form.INTEGER, Scalar():
                return self._integer(shape, about, node, path)
            case Form.FLAG, Scalar() if node.written in (Written.FLAG, Written.LOOSE):
                if node.text.lower() in ("true", "false"):
                    return node.text.lower() == "true"
            case Form.TEXT, Scalar() if node.written in (Written.TEXT, Written.LOOSE):
                return self._text(about, node, path)
            case Form.CHOICE, Scalar():
                return self._choice(shape, node, path)
        return self._wrong_type(shape, about, node, path)

    def _null(self, shape: Shape, about: About, node: Scalar, path: str) -> Any:
        if not shape.nullable:
            return self._wrong_type(shape, about, node, path)
        if shape.form is Form.SECTION and not node.text:
            # An emptied section and one switched off look alike; for limits the difference is money.
            self._refuse(
                "config.missing_key",
                f"`{path}` is empty",
                node.place,
                f"write `{path}: {{}}` for its defaults, or `{path}: null` to do without it",
            )
            return UNUSABLE
        return None

    def _table(self, shape: Shape, about: About, node: Table, path: str) -> dict[str, Any]:
        assert shape.item is not None
        result: dict[str, Any] = {}
        for name, entry in node.entries.items():
            good = re.fullmatch(about.names, name) is not None
            if not good:
                self._bad_name(entry.place, path, name)
            value = self.value(shape.item, about, entry.node, _join(path, name))
            result[name] = value if good else UNUSABLE
        return result

    def _decimal(self, about: About, node: Scalar, path: str) -> Any:
        text = node.text
        if _NOT_FINITE.match(text):
            fix = f'give a finite number{_range(about)}, such as "{about.example}"'
            return self._refuse(
                "config.not_finite", f"`{path}` is not a finite number", node.place, fix, text
            )
        if node.written is Written.FLOAT:
            what = f"`{path}` is an unquoted number with a fraction"
            fix = f'write it as a string: "{shown(text)}"'
            return self._refuse("config.unquoted_number", what, node.place, fix, text)
        if node.written is Written.FLAG or not re.fullmatch(DECIMAL_PATTERN, text):
            return self._wrong_type(Shape(form=Form.DECIMAL), about, node, path)
        return text if self._admitted(Decimal(text), about, node, path) else UNUSABLE

    def _integer(self, shape: Shape, about: About, node: Scalar, path: str) -> Any:
        if node.written not in (Written.INTEGER, Written.LOOSE) or not is_integer(node.text):
            if _NOT_FINITE.match(node.text):
                fix = f"give a whole number{_range(about)}"
                what = f"`{path}` is not a finite number"
                return self._refuse("config.not_finite", what, node.place, fix, node.text)
            return self._wrong_type(shape, about, node, path)
        # Checked as a Decimal, which takes any number of digits; int() of a very long text raises.
        if not self._admitted(Decimal(node.text), about, node, path):
            return UNUSABLE
        return int(node.text) if len(node.text) <= _INTEGER_DIGITS_MAX else UNUSABLE

    def _text(self, about: About, node: Scalar, path: str) -> Any:
        if about.pattern and not re.fullmatch(about.pattern, node.text):
            return self._bad_name(node.place, path, node.text, about.example)
        return node.text

    def _choice(self, shape: Shape, node: Scalar, path: str) -> Any:
        if node.text in shape.choices:
            return node.text
        what = f"`{path}` takes one of " + ", ".join(f"`{choice}`" for choice in shape.choices)
        return self._refuse(
            "config.unknown_choice", what, node.place, nearest(node.text, shape.choices), node.text
        )

    def _bad_name(self, place: str, path: str, name: str, example: object = None) -> Any:
        hint = f", such as {example}" if example else ""
        return self._refuse(
            "config.bad_name",
            f"`{path}` takes names of upper-case letters, digits, `.`, `_` and `-`",
            place,
            f"write it as the exchange does, in upper case{hint}",
            name or '""',
        )

    def _admitted(self, number: Decimal, about: About, node: Scalar, path: str) -> bool:
        if about.admits(number):
            return True
        unit = f" {about.unit}" if about.unit else ""
        what = f"`{path}` is out of range"
        self._refuse(
            "config.out_of_range", what, node.place, f"give a number{_range(about)}{unit}", node.text
        )
        return False

    def _wrong_type(self, shape: Shape, about: About, node: Node, path: str) -> Any:
        word = _WORDS.get(shape.form, f'a plain decimal number in quotes, such as "{about.example}"')
        fix = f"write {word}"
        if shape.form is Form.CHOICE:
            fix = word = "one of " + ", ".join(f"`{choice}`" for choice in shape.choices)
        if excerpt(node) == "null":
            fix += ", or leave the key out"
        elif shape.form is Form.DECIMAL and isinstance(node, Scalar) and len(node.text) > _INTEGER_DIGITS_MAX:
            fix += ", with at most 18 digits before and 18 after the point"
        return self._refuse("config.wrong_type", f"`{path}` must be {word}", node.place, fix, excerpt(node))

    def _refuse(self, code: str, what: str, place: str, fix: str, value: str = "") -> Any:
        self._problems.append(refusal(code, what, place=place, fix=fix, value=value))
        return UNUSABLE


def _left_out(setting: Setting, node: Node) -> bool:
    # A section whose keys are all commented out is one with all its defaults, unless it may be absent.
    null = isinstance(node, Scalar) and node.written is Written.NULL
    return null and not setting.shape.nullable and (setting.required or not _is_scalar(setting))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_scalar(setting: Setting) -> bool:
    return setting.shape.form not in (Form.SECTION, Form.TABLE, Form.ROWS)


def _example(setting: Setting) -> str:
    quoted = setting.shape.form is Form.DECIMAL
    return f'"{setting.about.example}"' if quoted else str(setting.about.example)


def _range(about: About) -> str:
    text = about.range_text()
    return f" {text}" if text else ""
