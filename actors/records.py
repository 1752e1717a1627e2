"""A row of the ledger, and the hash that chains it to the one before.

Law: ``chain = sha256(previous chain, lengths, stream, version, topic, ts_ns, cause, state)``.  The lengths
make the preimage unambiguous.  The position is not in it: the order of the chain is the position.
"""

from __future__ import annotations

from hashlib import sha256
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


def chained(
    previous: bytes, stream: str, version: int, topic: str, ts_ns: int, cause: int, state: bytes
) -> bytes:
    """The chain after a record (32 bytes)."""
    head = f"{len(stream)}:{stream}{version}:{len(topic)}:{topic}{ts_ns}:{cause}:{len(state)}:"
    return sha256(b"%b%b%b" % (previous, head.encode(), state)).digest()
