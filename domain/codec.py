"""Canonical bytes of records, and their way back.

Law: one record has one spelling: JSON with sorted keys, integers and strings only.  The chain of the ledger
runs over these bytes, so nothing here may depend on hash order, locale or a library's mood.

Upcasters work on the decoded dict before it becomes an object: ``{"OrderFilled/1": f}`` with
``f(dict) -> ("OrderFilled/2", dict)``.  The chain stays over the bytes as first written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

import msgspec
import orjson
from immutables import Map
from msgspec.structs import astuple

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


class MalformedRecordError(ValueError):
    """Bytes that are not a record of their topic."""


_encoder = msgspec.json.Encoder(order="sorted")
_decoders: dict[str, Callable[[bytes | str], Any]] = {}


encode: Callable[[Record], bytes] = _encoder.encode
"""Canonical bytes of a record: sorted keys, no spaces, the same as
``orjson.dumps(cattrs.unstructure(event), OPT_SORT_KEYS)`` at half the cost (a test holds them equal).
Integers are within 64 bits, as the scales chosen in `grinder/scaling.py` see to, so that any reader can hold
them.
"""


def decode(topic: str, state: bytes | str) -> Any:
    """The record that `encode` wrote, upcast to the newest version of its topic.

    Raises:
        UnknownTopicError: the topic is not registered, not even through an upcaster.
        MalformedRecordError: the bytes are not a record of the topic.
    """
    decoder = _decoders.get(topic)
    if decoder is None:
        decoder = _decoders[topic] = _decoder(topic)
    try:
        return decoder(state)
    except msgspec.MsgspecError as error:
        raise MalformedRecordError(f"not a record {topic}: {error}") from error


def _decoder(topic: str) -> Callable[[bytes | str], Any]:
    if topic in UPCASTERS:
        return lambda state: _upcast(topic, state)
    if topic not in TOPICS:
        raise UnknownTopicError(topic)
    return msgspec.json.Decoder(TOPICS[topic]).decode


def _upcast(topic: str, state: bytes | str) -> Any:
    fields = orjson.loads(state)
    while topic in UPCASTERS:
        topic, fields = UPCASTERS[topic](fields)
    if topic not in TOPICS:
        raise UnknownTopicError(topic)
    return _converter().structure(fields, TOPICS[topic])


@cache
def _converter() -> Any:
    import cattrs  # only who reads an old ledger waits for it

    made = cattrs.Converter(detailed_validation=False)
    made.register_structure_hook_func(
        lambda kind: msgspec.UnsetType in get_args(kind), lambda found, kind: found
    )
    return made


_AS_THEY_ARE = frozenset((str, int, bool))


@cache
def _first_values(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    """Names and first values of a state's fields; looking them up anew costs more than all the rest."""
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, Map):
        # In any order: the encoder sorts the keys.
        return {
            str(key): found if type(found) in _AS_THEY_ARE else _plain(found) for key, found in value.items()
        }
    if isinstance(value, msgspec.Struct):
        return {
            name: found if type(found) in _AS_THEY_ARE else _plain(found)
            for (name, first), found in zip(_first_values(type(value)), astuple(value), strict=True)
            if found != first
        }
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, (str, int, Record)):
        return value
    raise TypeError(f"a state may not hold {type(value).__name__}")


def state_hash(state: Any) -> str:
    """SHA-256 (hex) over an actor's whole state, independent of map order.

    Fields that still have their first value are left out, so a later version may add a field to a state and
    old ledgers keep their hashes.
    """
    return hashlib.sha256(msgspec.json.encode(_plain(state), order="deterministic")).hexdigest()


_whole = msgspec.msgpack.Encoder(enc_hook=lambda found: {key: found[key] for key in sorted(found)})


def state_digest(state: Any) -> str:
    """SHA-256 (hex) over every field of an actor's state, at a tenth of the cost of `state_hash`.

    For two processes of one program only: no ledger holds it, and another version may find another one.
    """
    return hashlib.sha256(_whole.encode(state)).hexdigest()


def state_text(state: Any) -> str:
    """An actor's whole state as JSON, in the spelling `state_hash` is taken of."""
    return bytes(msgspec.json.encode(_plain(state), order="deterministic")).decode()


State = TypeVar("State")


def state_from(kind: type[State], text: str) -> State:
    """The state that `state_text` wrote.

    Raises:
        MalformedRecordError: the text is not a state of this kind.
    """
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=_map)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise MalformedRecordError(f"not a {kind.__name__}: {error}") from error


def _map(kind: Any, found: Any) -> Any:
    """An immutable map from the object JSON made of it, whose keys are text whatever they were."""
    if get_origin(kind) is not Map or not isinstance(found, dict):
        raise NotImplementedError(f"a state may not hold {kind}")
    of_key, of_value = get_args(kind)
    convert = msgspec.convert
    return Map(
        {
            convert(key, of_key, strict=False): convert(value, of_value, dec_hook=_map)
            for key, value in found.items()
        }
    )
