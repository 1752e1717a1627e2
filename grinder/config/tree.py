"""The configuration between text and meaning: a tree in which every value remembers its place.

Law: a node knows what was written and where, never what it means.  Whether ``5`` is a price or a count is
decided by the setting it is read for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias

import attrs

Node: TypeAlias = "Scalar | Sequence | Table"

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)\Z")


class Written(Enum):
    """How a scalar was written."""

    NULL = auto()
    FLAG = auto()
    INTEGER = auto()
    FLOAT = auto()
    TEXT = auto()
    LOOSE = auto()
    """Text that had no way to say its type (an environment variable): the setting decides."""


@attrs.frozen
class Scalar:
    """A value that is neither a map nor a list."""

    place: str
    written: Written
    text: str


@attrs.frozen
class Sequence:
    """A list."""

    place: str
    items: tuple[Node, ...]


@attrs.frozen
class Entry:
    """A key's own place, and its value."""

    place: str
    node: Node


@attrs.frozen
class Table:
    """A map, keys in the order they were written."""

    place: str
    entries: Mapping[str, Entry]


def loose(text: str, place: str) -> Scalar:
    """A scalar from text whose type nobody stated; ``null`` and ``~`` mean null."""
    return Scalar(place, Written.NULL if text in ("null", "~") else Written.LOOSE, text)


def is_integer(text: str) -> bool:
    """Whether text is a plain decimal integer: no plus sign, leading zero, exponent or underscore."""
    return _INTEGER.match(text) is not None


def excerpt(node: Node) -> str:
    """What to show of a node in a message."""
    match node:
        case Scalar(written=Written.NULL):
            return "null"
        case Scalar(text=text):
            return text or '""'
        case Sequence():
            return "a list"
        case Table():
            return "a map"


class Place(Protocol):
    """Finds the place of a key below the section that is checked; of the section itself without one."""

    def __call__(self, *keys: str) -> str: ...


def place_of(node: Node, *path: str | int) -> str:
    """The place of a path below ``node``, or of the deepest part of it that was written."""
    place = node.place
    for part in path:
        if isinstance(node, Table) and part in node.entries:
            entry = node.entries[str(part)]
            place, node = entry.place, entry.node
        elif isinstance(node, Sequence) and isinstance(part, int):
            node = node.items[part]
            place = node.place
        else:
            break
    return place
