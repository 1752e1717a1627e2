"""Holding what the core writes against what a ledger already holds.

Law: every field of every record is compared, in order; the first difference is kept and shown with both
sides.  The replayer compares input by input; a run that continues an interrupted one, whose driver knows no
ledger, record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, zip_longest
from typing import Any

import attrs

from actors.journal import Journal
from actors.records import LedgerRow

FIELDS = LedgerRow._fields

PlainRow = tuple[Any, ...]
"""A row with the fields of `LedgerRow` in their order: a named tuple, or what a database cursor yields."""


@attrs.frozen
class Divergence:
    """The first record that came out differently.

    Attributes:
        position, stream: of the record in the ledger (or of the surplus one that was produced).
        field: first field that differs, in the order of `LedgerRow`; ``record`` when a whole one is missing.
        expected, actual: what the ledger holds and what was produced, as text; empty for a missing record.
        cause: position of the input or event that led there.
    """

    position: int
    stream: str
    field: str
    expected: str
    actual: str
    cause: int


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() if len(value) == 32 else value.decode(errors="replace")
    return str(value)


def difference(expected: PlainRow | None, actual: PlainRow | None) -> Divergence | None:
    """What differs between two records, of which one may be missing; None when nothing does."""
    one = expected if expected is not None else actual
    if one is None:
        return None
    row = LedgerRow._make(one)
    if expected is None or actual is None:
        shown = f"{row.topic} {_text(row.state)}"
        return Divergence(
            row.position,
            row.stream,
            "record",
            shown if expected else "",
            shown if actual else "",
            row.cause,
        )
    # The state says more than the hash that follows from it, so fields go in the row's order, chain last.
    for name, left, right in zip(FIELDS, expected, actual, strict=True):
        if left != right:
            return Divergence(row.position, row.stream, name, _text(left), _text(right), row.cause)
    return None


class ReplayJournal:
    """The journal of a core that is given a ledger's inputs again: holds each answer against the ledger's.

    Attributes:
        append: takes one record of the answer.
        expected: the ledger's next record, an input as long as nothing differs; None at its end.
        divergence: the first difference, if there was one.
        compared: records that were found equal.
    """

    def __init__(self, recorded: Iterator[PlainRow]) -> None:
        self._recorded = recorded
        self._answer: list[LedgerRow] = []
        self.append: Callable[[LedgerRow], None] = self._answer.append
        self.expected: PlainRow | None = next(recorded, None)
        self.divergence: Divergence | None = None
        self.compared = 0

    def settle(self) -> bool:
        """Compare the answer to one input, that included; whether it is the ledger's."""
        answer = self._answer
        recorded = [self.expected, *islice(self._recorded, len(answer) - 1)]
        if answer == recorded:
            self.compared += len(answer)
            self.expected = next(self._recorded, None)
        else:
            for expected, actual in zip_longest(recorded, answer):
                self.divergence = difference(expected, actual)
                if self.divergence is not None:
                    break
                self.compared += 1
        answer.clear()
        return self.divergence is None

    def commit(self) -> None:
        """A replay keeps nothing."""


class ComparingJournal:
    """A journal that compares until the ledger's records are used up, then hands on to another journal.

    Attributes:
        divergence: the first difference, if there was one; after it nothing is compared or handed on.
        compared: records that were found equal.
    """

    def __init__(self, recorded: Iterator[PlainRow], then: Journal | None = None) -> None:
        self._recorded = recorded
        self._then = then
        self.expected: PlainRow | None = next(recorded, None)
        self.divergence: Divergence | None = None
        self.compared = 0

    def append(self, row: LedgerRow) -> None:
        """Compare one record, or hand it on when the ledger has no more."""
        if row == self.expected and self.divergence is None:
            self.compared += 1
            self.expected = next(self._recorded, None)
        elif self.divergence is None and self.expected is None and self._then is not None:
            self._then.append(row)
        elif self.divergence is None:
            self.divergence = difference(self.expected, row)

    def commit(self) -> None:
        """Make what was handed on durable."""
        if self._then is not None and self.divergence is None:
            self._then.commit()
