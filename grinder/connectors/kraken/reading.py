"""The shapes of Kraken's JSON, and its times.

Law: a value of another shape than the documents promise is `Unreadable`, by name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from grinder.connectors.converting import Unreadable


def mapping(value: object, what: str) -> dict[str, Any]:
    """An object.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is no object but {type(value).__name__}")
    return value


def items(value: object, what: str) -> list[Any]:
    """A list.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(value, list):
        raise Unreadable(f"{what} is no list but {type(value).__name__}")
    return value


def mappings(value: object, what: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        Unreadable: it is none, or one of them is no object.
    """
    return [mapping(one, what) for one in items(value, what)]


def text_of(value: object, what: str) -> str:
    """A text that is not empty.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{what} is no text: {str(value)[:40]!r}")
    return value


def exchange_ns(timestamp: object) -> int:
    """RFC 3339 as ns since 1970; 0 where the exchange gave none that can be read."""
    if not isinstance(timestamp, str) or not timestamp.endswith("Z"):
        return 0
    whole, _, fraction = timestamp[:-1].partition(".")
    try:
        seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
        return seconds * 10**9 + int(fraction.ljust(9, "0")[:9])
    except ValueError:
        return 0
