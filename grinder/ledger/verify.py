"""Proof that a ledger is whole: every record chained, numbered and known.

Law: reads everything, trusts nothing, names the first bad position.  A ledger that was cut at the end, or
rewritten as a whole with a valid chain, can only be told by a head kept elsewhere: `expected_head`.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import attrs

from actors.records import GENESIS, LedgerRow, chained
from domain.codec import UPCASTERS
from domain.record import TOPICS
from grinder.ledger.reading import connect, rows


@attrs.frozen
class Verdict:
    """Outcome of a verification.

    Attributes:
        records: how many records are good.
        head: chain of the last good record, hex; zeros when there is none.
        first_bad: position of the first bad record; None when all are good.
        reason: what is wrong, empty when nothing is.
    """

    ok: bool
    records: int
    head: str
    first_bad: int | None = None
    reason: str = ""


def _fault(row: LedgerRow, position: int, version: int, chain: bytes) -> str:
    if row.position != position:
        return f"position {row.position} where {position} belongs: records are missing"
    if row.version != version:
        return f"{row.stream} continues with version {row.version}, not {version}"
    if not 1 <= row.cause <= position:
        return f"cause {row.cause} is not an earlier record"
    expected = chained(chain, row.stream, row.version, row.topic, row.ts_ns, row.cause, row.state)
    if row.chain != expected:
        return "the hash does not match the record: it, or one before it, was changed"
    if row.topic not in TOPICS and row.topic not in UPCASTERS:
        return f"record {row.topic} is unknown to this version of grinder"
    return ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def verify(
    path: Path, expected_head: str | None = None, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Check a ledger from its first record to its last.

    Raises:
        LedgerError: the file is not a ledger at all.
    """
    connection = connect(path)
    # Text that is no UTF-8 must be blamed on its own record, not on the batch it is read in.
    connection.text_factory = _text
    chain, position = GENESIS, 0
    versions: dict[str, int] = {}
    try:
        for row in rows(connection):
            version = versions.get(row.stream, 0) + 1
            reason = _fault(row, position + 1, version, chain)
            if reason:
                return Verdict(False, position, chain.hex(), position + 1, reason)
            versions[row.stream] = version
            position, chain = row.position, row.chain
            if progress and position % 4096 == 0:
                progress(position)
    except (sqlite3.DatabaseError, struct.error, TypeError, ValueError, AttributeError) as error:
        return Verdict(False, position, chain.hex(), position + 1, f"the file is damaged: {error}")
    finally:
        connection.close()
    if expected_head and chain.hex() != expected_head.lower():
        reason = f"the ledger is whole up to record {position}, but its head is not {expected_head}"
        return Verdict(False, position, chain.hex(), None, reason)
    return Verdict(True, position, chain.hex())
