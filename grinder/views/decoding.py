"""Records of a ledger as projections are given them.

Law: a record that no projection reads is not even decoded; one that cannot be read stops everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from actors.records import LedgerRow
from domain.codec import UnknownTopicError, decode
from grinder.ledger.faults import damaged, unknown_record
from projections.record import LedgerRecord
from projections.registry import is_read


def decoded(batch: Iterable[LedgerRow], path: Path) -> Iterator[LedgerRecord]:
    """The records that some projection reads.

    Args:
        path: of the ledger, for errors.

    Raises:
        LedgerError: a newer program wrote one of them, or one is not what its topic says.
    """
    for position, stream, version, topic, state, ts_ns, cause, _ in batch:
        if not is_read(topic):
            continue
        try:
            event = decode(topic, state)
        except UnknownTopicError as error:
            raise unknown_record(f"{path} position {position}", error) from error
        except ValueError as error:
            raise damaged(path, error) from error
        yield LedgerRecord(position, stream, version, topic, ts_ns, cause, event)
