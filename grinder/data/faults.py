"""What can be wrong with a market data file, and which of it forbids a run.

Law: a reader never repairs and never stays silent.  Whatever it finds becomes a `DataFault` with the row it
was found on; `verify` lists them all, `load` raises the first fatal one.  A fault is fatal when the rows
would mean something else than the market did (wrong order, wrong unit, impossible prices); a hole or a
repetition is reported and loaded, because real recordings have both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from grinder.errors import DataError

LISTED_PER_CODE = 100
"""Faults of one code listed one by one; the rest is one sentence (a shuffled file has a fault per row)."""


class FaultCode(StrEnum):
    """Stable names of the faults; scripts match on them."""

    GAP = "data.gap"
    DUPLICATE = "data.duplicate"
    SEQUENCE = "data.sequence"
    UNSORTED = "data.unsorted"
    INTERVAL = "data.interval"
    HIGH_BELOW_LOW = "data.high_below_low"
    OUTSIDE_RANGE = "data.outside_range"
    PRICE = "data.price_not_positive"
    QUANTITY = "data.quantity_negative"
    NOT_FINITE = "data.not_finite"
    NOT_A_NUMBER = "data.not_a_number"
    NOT_A_TIME = "data.not_a_time"
    MIXED_UNITS = "data.mixed_time_units"
    TOO_LONG = "data.number_too_long"
    SHAPE = "data.row_shape"
    TRUNCATED = "data.truncated"
    EMPTY = "data.empty"
    UNKNOWN_FORMAT = "data.unknown_format"
    UNREADABLE = "data.unreadable"


HARMLESS = frozenset({FaultCode.GAP, FaultCode.DUPLICATE, FaultCode.SEQUENCE})
"""Reported, never refused."""

FIXES = {
    FaultCode.UNSORTED: "sort the file by time and load it again",
    FaultCode.INTERVAL: "give bars of one interval per file, at least two of them",
    FaultCode.HIGH_BELOW_LOW: "correct or remove the row; its columns may be swapped",
    FaultCode.OUTSIDE_RANGE: "correct or remove the row; its columns may be swapped",
    FaultCode.PRICE: "correct or remove the row",
    FaultCode.QUANTITY: "correct or remove the row",
    FaultCode.NOT_FINITE: "correct or remove the row",
    FaultCode.NOT_A_NUMBER: "correct or remove the row",
    FaultCode.NOT_A_TIME: "write times as s, ms, us or ns since 1970 UTC, or as ISO 8601",
    FaultCode.MIXED_UNITS: "write the whole time column in one unit",
    FaultCode.TOO_LONG: "split the file, or round its tail digits away",
    FaultCode.SHAPE: "give every row the same columns",
    FaultCode.TRUNCATED: "download or record the file again",
    FaultCode.EMPTY: "give a file with at least one trade, quote or bar",
    FaultCode.UNKNOWN_FORMAT: "see `grinder data --help` for the formats that can be read",
    FaultCode.UNREADABLE: "download or record the file again",
}


@attrs.frozen(kw_only=True)
class DataFault:
    """One thing wrong in one file.

    Attributes:
        code: stable name, see `FaultCode`.
        row: 1-based line of a text file, element of a JSON list or row of a binary table; 0 for the file.
        what: one sentence without the place.
        value: the offending value as the file has it.
    """

    code: str
    row: int
    what: str
    value: str = ""

    @property
    def fatal(self) -> bool:
        """Whether `load` refuses the file because of it."""
        return self.code not in HARMLESS

    def as_error(self, path: Path) -> DataError:
        """The same fault as the error `load` raises, with the place and the fix."""
        place = f"{path} row {self.row}" if self.row else str(path)
        fix = FIXES.get(FaultCode(self.code), "")
        return DataError(self.code, self.what, place=place, value=self.value, fix=fix)

    def as_dict(self) -> dict[str, str | int | bool]:
        """JSON-ready facts."""
        return {
            "code": str(self.code),
            "row": self.row,
            "what": self.what,
            "value": self.value,
            "fatal": self.fatal,
        }


class UnreadableError(Exception):
    """Raised inside a reader when nothing of the file can be used; carries the fault that says why."""

    def __init__(self, fault: DataFault) -> None:
        self.fault = fault
        super().__init__(fault.what)


def raise_fatal(path: Path, faults: Iterable[DataFault]) -> None:
    """Raise the fatal fault that stands first in the file, if there is one.

    Raises:
        DataError: with file, row, value and fix.
    """
    fatal = [fault for fault in faults if fault.fatal]
    if fatal:
        raise min(fatal, key=lambda fault: fault.row).as_error(path)


def at_rows(
    code: FaultCode, what: str, rows: NDArray[np.int64], values: Sequence[object] | NDArray[np.generic]
) -> list[DataFault]:
    """One fault per row given (1-based), at most `LISTED_PER_CODE`; the last one counts the rest."""
    listed = [
        DataFault(code=code, row=int(row), what=what, value=str(value))
        for row, value in zip(rows[:LISTED_PER_CODE].tolist(), values, strict=False)
    ]
    left_off = len(rows) - len(listed)
    if left_off:
        listed[-1] = attrs.evolve(listed[-1], what=f"{what} (and {left_off} rows more)")
    return listed
