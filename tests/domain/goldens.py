"""One example of every record, and the bytes each was first written as.

Law: the examples are built from the fields' types, so a new record needs no line here; the bytes are files.
They are written once, by running this file from the top of the repository, and never for a topic that has
them already: a ledger somewhere holds that spelling.

    python tests/domain/goldens.py
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args, get_origin, get_type_hints

import attrs
from msgspec import UNSET, UnsetType

REPO = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "golden"

if str(REPO) not in sys.path:
    sys.path.insert(0, str(REPO))

from domain.codec import encode  # noqa: E402  found only now when this file is run by itself
from domain.record import TOPICS, Record  # noqa: E402

for room in ("domain", "actors", "replay"):  # a record is known once its module was imported
    for path in sorted((REPO / room).rglob("*.py")):
        importlib.import_module(
            ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")
        )

OURS = ("domain.", "actors.", "replay.")


def topics() -> list[str]:
    """Every topic of the rooms below grinder, sorted."""
    return sorted(topic for topic, cls in TOPICS.items() if cls.__module__.startswith(OURS))


def example(cls: type[Any]) -> Record:
    """A record whose every field differs from every other of its type."""
    hints = get_type_hints(cls)
    fields = attrs.fields(cls)
    return cls(**{one.name: _value(hints[one.name], one.name, at) for at, one in enumerate(fields, 1)})  # type: ignore[no-any-return]


def _value(kind: Any, name: str, at: int) -> Any:
    if UnsetType in get_args(kind):
        return UNSET  # a field that was added later: without it the bytes are the first ones
    if kind is bool:
        return at % 2 == 0
    if kind is int:
        return (-1) ** at * (1_700_000_000_000_000_000 + at if name.endswith("_ns") else 1_000 + at)
    if kind is str:
        return f"{name} é"
    if get_origin(kind) is tuple or isinstance(kind, GenericAlias):
        inner = get_args(kind)
        if len(inner) == 2 and inner[1] is ...:
            return (_value(inner[0], name, at), _value(inner[0], f"{name} 2", at + 1))
        return tuple(_value(one, f"{name} {i}", at + i) for i, one in enumerate(inner))
    return example(kind)


def path_of(topic: str) -> Path:
    """The file of a topic: ``OrderFilled/1`` is ``OrderFilled-1.json``."""
    return FOLDER / f"{topic.replace('/', '-')}.json"


def write_missing() -> list[str]:
    """Write the bytes of every topic that has none; the topics written."""
    FOLDER.mkdir(exist_ok=True)
    written = []
    for topic in topics():
        path = path_of(topic)
        if not path.exists():
            path.write_bytes(encode(example(TOPICS[topic])))
            written.append(topic)
    return written


if __name__ == "__main__":
    print("\n".join(write_missing()) or "every record has its bytes")
