"""A row of the ledger, and the hash that chains it to the one before.

Law: ``chain = sha256(previous chain, lengths, version, ts_ns, cause, stream, topic, state)``.  The lengths
make the preimage unambiguous.  The position is not in it: the order of the chain is the position.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

GENESIS = b"\0" * 32
"""The chain before the first record."""


class LedgerRow(NamedTuple):
    """One record as it is stored.

    Attributes:
        position: place in the ledger, from 1 without gaps.
        stream, version: the actor (or input stream) it belongs to, and its place there, from 1.
        topic: name and version of the record's class.
        state: canonical bytes.
        ts_ns: time of the input being handled.
        cause: position of the input or event that led here; an input's is its own.
        chain: 32 bytes.
    """

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    ts_ns: int
    cause: int
    chain: bytes


new_row = partial(tuple.__new__, LedgerRow)
"""`LedgerRow._make` at a third of the cost; it runs once per record."""


def chained(
    previous: bytes, stream: str, version: int, topic: str, ts_ns: int, cause: int, state: bytes
) -> bytes:
    """The chain after a record (32 bytes)."""
    head = _HEAD(previous, len(stream), len(topic), len(state), version, ts_ns, cause)
    return sha256(head + (stream + topic).encode() + state).digest()


_HEAD = Struct(">32sHHIqqq").pack
"""Big-endian, without padding: previous chain, the three lengths, version, time, cause.  Streams and topics
are ASCII, so their lengths in characters are their lengths in bytes."""
