"""Checked plain data to settings classes, and settings classes to canonical plain data.

Law: nothing is judged here.  What is converted has passed `reading`, so a failure is a bug and keeps its
traceback.  Canonical means: two equal configurations give equal data, whatever was written.
"""

from __future__ import annotations

import functools
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from grinder.config.model import Config

if TYPE_CHECKING:
    from cattrs import Converter


_T = TypeVar("_T")


@functools.cache
def _converter() -> Converter:
    # Imported here: cattrs costs as much as the rest of this package, and a command that reads no
    # configuration should not wait for it.
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Decimal, lambda text, _: Decimal(text))
    converter.register_unstructure_hook(Decimal, decimal_text)
    converter.register_unstructure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Enum), lambda choice: choice.value
    )
    return converter


def structured(data: Any, kind: type[_T]) -> _T:
    """The settings class ``kind`` from checked plain data."""
    return _converter().structure(data, kind)


def decimal_text(number: Decimal) -> str:
    """The shortest plain decimal text of a finite number: no exponent, no trailing zero, no minus zero."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def config_as_dict(config: Config) -> dict[str, Any]:
    """The whole configuration as JSON-ready data, defaults included, decimals as text.

    It is canonical (sorted names, shortest decimals) and loads again as the same configuration, so it
    serves the manifest of a run and a hash of it.
    """
    data: dict[str, Any] = _converter().unstructure(config)
    data["instruments"] = dict(sorted(data["instruments"].items()))
    data["account"]["assets"] = dict(sorted(data["account"]["assets"].items()))
    return data


def plain(value: object) -> Any:
    """Any value of a setting as JSON-ready data, as in `config_as_dict`."""
    return _converter().unstructure(value)
