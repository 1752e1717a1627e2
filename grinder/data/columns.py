"""Named columns of a text or binary table, so that one layout serves CSV and parquet alike.

Law: a layout asks for a column by name and gets exact decimals, times, flags or text; what cannot be read
becomes a fault in `faults` with the row's place in the file.  Cells are bytes text, floats, integers or
datetime64 - the layouts never see which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grinder.data.faults import DataFault, FaultCode, UnreadableError, at_rows
from grinder.data.fixed import Column, Fixed, fixed, rescaled
from grinder.data.times import Times, times
from grinder.errors import DataError

TRUE_WORDS = (b"true", b"1", b"buy", b"b")


class Columns:
    """A table by column.

    Args:
        names: column names in file order.
        get: column name -> one array per column, all `length` long.
        length: number of rows.
        first_row: 1-based place in the file of the first row (2 below a CSV header).
    """

    def __init__(
        self, names: Sequence[str], get: Callable[[str], NDArray[Any]], length: int, first_row: int
    ) -> None:
        self.names = tuple(names)
        self.first_row = first_row
        self.faults: list[DataFault] = []
        self.time_unit = "unknown"
        self._get = get
        self._length = length
        self._times: dict[str, Times] = {}

    def __len__(self) -> int:
        return self._length

    def has(self, *names: str) -> bool:
        """Whether all of these columns exist."""
        return all(name in self.names for name in names)

    @property
    def rows(self) -> Column:
        """1-based place of every row."""
        return np.arange(self.first_row, self.first_row + self._length, dtype=np.int64)

    def decimals(self, *names: str) -> tuple[int, list[Column]]:
        """Columns as mantissas at one common number of decimals: (decimals, [mantissas])."""
        read = [self._decimal(name) for name in names]
        common = max((column.decimals for column in read), default=0)
        try:
            return common, [rescaled(column.mantissa, column.decimals, common) for column in read]
        except DataError as error:
            what = f"{', '.join(names)}: {error.what}"
            fault = DataFault(code=FaultCode.TOO_LONG, row=0, what=what, value=error.value)
            raise UnreadableError(fault) from error

    def _decimal(self, name: str) -> Fixed:
        column = fixed(self._get(name))
        if column.bad:
            indexes = np.array([index for index, _ in column.bad], dtype=np.int64)
            for (_, text), row in zip(column.bad, (indexes + self.first_row).tolist(), strict=True):
                finite = text.lower().lstrip("+-") not in {"nan", "inf", "infinity", ""}
                code = FaultCode.NOT_A_NUMBER if finite else FaultCode.NOT_FINITE
                what = f"{name} is no number" if finite else f"{name} is empty, NaN or infinite"
                self.faults.append(DataFault(code=code, row=row, what=what, value=text))
        return column

    def times(self, name: str) -> Column:
        """A time column as ns since 1970 UTC; also sets `time_unit`."""
        if name not in self._times:
            self._times[name] = times(self._get(name), self.rows)
            self.faults.extend(self._times[name].faults)
        self.time_unit = self._times[name].unit
        return self._times[name].ns

    def ids(self, name: str) -> NDArray[Any]:
        """Trade or update ids: int64 when every cell is a whole number, bytes otherwise."""
        values = self._get(name)
        if values.dtype.kind != "S":
            return values.astype(np.int64)
        read = fixed(values)
        return values if read.bad or read.decimals else read.mantissa

    def flags(self, name: str) -> NDArray[np.bool_]:
        """True for ``true``, ``1``, ``buy`` and ``b`` in any case; everything else is False."""
        values = self._get(name)
        if values.dtype.kind != "S":
            return values.astype(np.bool_)
        lowered = np.char.lower(values)
        result: NDArray[np.bool_] = np.isin(lowered, np.array(TRUE_WORDS))
        return result

    def texts(self, name: str) -> list[str]:
        """A column as Python text, as the file has it."""
        return [cell.decode("utf-8", "replace") for cell in self._get(name).astype("S").tolist()]

    def words(self, name: str) -> NDArray[np.bytes_]:
        """A text column in lower case."""
        lowered: NDArray[np.bytes_] = np.char.lower(self._get(name).astype("S"))
        return lowered

    def symbol(self, name: str = "symbol") -> str | None:
        """The symbol every row carries; rows that disagree are a fault."""
        if not self.has(name) or not len(self):
            return None
        texts = self._get(name).astype("S")
        other = np.flatnonzero(texts != texts[0])
        if len(other):
            what = f"the file mixes symbols: {texts[0].decode('utf-8', 'replace')} and another"
            self.faults += at_rows(FaultCode.SHAPE, what, other[:1] + self.first_row, texts[other[:1]])
        return str(texts[0].decode("utf-8", "replace"))


def from_arrays(names: Sequence[str], arrays: Sequence[NDArray[Any]], first_row: int) -> Columns:
    """Columns that are already arrays."""
    by_name = dict(zip(names, arrays, strict=True))
    return Columns(names, by_name.__getitem__, len(arrays[0]) if arrays else 0, first_row)


def from_lines(names: Sequence[str], lines: Sequence[bytes], first_row: int) -> Columns:
    """Comma separated lines (without the header); a line of another width is a fault and is left out."""
    width = len(names)
    kept = [line for line in lines if line.count(b",") == width - 1]
    faults: list[DataFault] = []
    if len(kept) != len(lines):
        wrong = [i for i, line in enumerate(lines) if line and line.count(b",") != width - 1]
        found = [lines[i][:80].decode("utf-8", "replace") for i in wrong]
        places = np.array(wrong, dtype=np.int64) + first_row
        last = bool(wrong) and wrong[-1] == len(lines) - 1
        code = FaultCode.TRUNCATED if last and len(wrong) == 1 else FaultCode.SHAPE
        faults = at_rows(code, f"the line does not have {width} columns", places, found)
    cells = b",".join(kept).replace(b'"', b"").split(b",") if kept else []

    def get(name: str) -> NDArray[Any]:
        texts = np.array(cells[names.index(name) :: width] or [b""], dtype="S")[: len(kept)]
        return texts if texts.dtype.itemsize else texts.astype("S1")

    columns = Columns(names, get, len(kept), first_row)
    columns.faults += faults
    return columns
