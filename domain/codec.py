"""Canonical bytes of records, and their way back.

Law: one record has one spelling: JSON with sorted keys, integers and strings only.  The chain of the ledger
runs over these bytes, so nothing here may depend on hash order, locale or a library's mood.

Upcasters work on the decoded dict before it becomes an object: ``{"OrderFilled/1": f}`` with
``f(dict) -> ("OrderFilled/2", dict)``.  The chain stays over the bytes as first written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import cattrs
import msgspec
import orjson
from immutables import Map

from domain.record import TOPICS, Record

Upcaster = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]

UPCASTERS: dict[str, Upcaster] = {}
"""From a topic that is no longer written to the one that replaced it."""


class UnknownTopicError(Exception):
    """The ledger holds a record this program does not know: it was written by a newer one."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        name = topic.partition("/")[0]
        known = sorted(t for t in TOPICS if t.partition("/")[0] == name)
        super().__init__(
            f"unknown record {topic!r}; this program knows {', '.join(known) or 'no such record'}"
        )
        self.known = known


_converter = cattrs.Converter(detailed_validation=False)
_unstructure: dict[type, Callable[[Any], dict[str, Any]]] = {}
_structure: dict[type, Callable[[Any, Any], Any]] = {}


def encode(event: Record) -> bytes:
    """Canonical bytes of a record.

    Raises:
        TypeError: a field is neither an int within 64 bits, a str, a bool nor a tuple of these.
    """
    cls = type(event)
    hook = _unstructure.get(cls)
    if hook is None:
        hook = _unstructure[cls] = _converter.get_unstructure_hook(cls)
    return orjson.dumps(hook(event), option=orjson.OPT_SORT_KEYS)


def decode(topic: str, state: bytes | str) -> Any:
    """The record that `encode` wrote, upcast to the newest version of its topic.

    Raises:
        UnknownTopicError: the topic is not registered, not even through an upcaster.
    """
    fields = orjson.loads(state)
    while topic in UPCASTERS:
        topic, fields = UPCASTERS[topic](fields)
    cls = TOPICS.get(topic)
    if cls is None:
        raise UnknownTopicError(topic)
    hook = _structure.get(cls)
    if hook is None:
        hook = _structure[cls] = _converter.get_structure_hook(cls)
    return hook(fields, cls)


def _plain(value: Any) -> Any:
    if isinstance(value, Map):
        return {str(k): value[k] for k in sorted(value)}
    raise TypeError(f"a state may not hold {type(value).__name__}")


def state_hash(state: Any) -> str:
    """SHA-256 (hex) over an actor's whole state, independent of map order."""
    return hashlib.sha256(msgspec.json.encode(state, enc_hook=_plain, order="deterministic")).hexdigest()
