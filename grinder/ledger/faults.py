"""What is wrong with a ledger that cannot be read, in the words of whoever has to mend it.

Law: one sentence and one fix for each fault, wherever it is met; what a fault is not about passes unchanged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.codec import UnknownTopicError
from grinder.errors import LedgerError
from grinder.ledger.head import RESTORE
from grinder.ledger.verify import Verdict, verify


def damaged(ledger: Path, error: Exception) -> LedgerError:
    """It cannot be read to its end."""
    return LedgerError(
        "ledger.damaged",
        f"the ledger cannot be read: {error}",
        place=str(ledger),
        fix="run `grinder verify` to find the first bad record",
    )


def unknown_record(place: str, error: UnknownTopicError) -> LedgerError:
    """It holds a record of a kind this program does not know."""
    return LedgerError(
        "ledger.unknown_record",
        str(error),
        place=place,
        fix="use the version of grinder that wrote it, or a later one",
    )


@contextmanager
def readable(ledger: Path, *besides: type[Exception]) -> Iterator[None]:
    """Say so when it turns out, while a ledger is read, that it cannot be.

    Args:
        besides: what bytes that were changed raise here besides the errors of the database.

    Raises:
        LedgerError: it is damaged, or a newer program wrote it.
    """
    faults: tuple[type[Exception], ...] = (sqlite3.DatabaseError, *besides)
    try:
        yield
    except UnknownTopicError as error:
        raise unknown_record(str(ledger), error) from error
    except faults as error:
        raise damaged(ledger, error) from error


def require_whole(ledger: Path, head: str | None = None) -> Verdict:
    """What verifying a whole ledger tells.

    Args:
        head: the chain of its last record, where it is known.

    Raises:
        LedgerError: it is not whole.
    """
    verdict = verify(ledger, head)
    if not verdict.ok:
        raise LedgerError(
            "ledger.damaged", verdict.reason, place=f"{ledger} record {verdict.first_bad}", fix=RESTORE
        )
    return verdict
