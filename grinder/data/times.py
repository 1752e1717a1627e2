"""Times of any spelling as int64 ns since 1970 UTC.

Law: the unit of a numeric time column is read off its magnitude, never off a file name or a header.  Every
instant from 1973 to 5138 has another magnitude in s, ms, us and ns, so the four cannot be confused; a
column that holds two of them is a fault that names the row and both units.  Fractions of a second given as
binary floats are taken to the microsecond (a float64 holds no more at today's epoch).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from grinder.data.faults import DataFault, FaultCode, at_rows
from grinder.data.fixed import INT64_MAX, Column, from_text

UNITS = ("s", "ms", "us", "ns")
NS_PER_UNIT = (10**9, 10**6, 10**3, 1)
MAGNITUDES = np.array([10**11, 10**14, 10**17], dtype=np.int64)
"""Smallest value read as ms, us and ns."""
FLOAT_STEP_NS = 1_000
"""Resolution of a float64 of seconds at today's epoch, rounded up to a unit people use."""
EARLIEST = 10**8
"""Anything smaller is no time of a market (1973 in seconds)."""


@attrs.frozen(eq=False)
class Times:
    """A time column: `ns` since 1970 UTC, the unit the file used, and what was wrong with it."""

    ns: Column
    unit: str
    faults: tuple[DataFault, ...] = ()


def times(values: NDArray[Any], rows: Column) -> Times:
    """A time column as ns.

    Args:
        values: integers, floats, datetime64 or bytes text (numeric or ISO 8601), one per row.
        rows: 1-based place of each value in the file, for the faults.
    """
    kind = values.dtype.kind
    if kind == "M":
        return Times(values.astype("datetime64[ns]").astype(np.int64), "datetime")
    if kind == "S":
        return _from_text(values, rows)
    if kind == "f":
        finite = np.isfinite(values)
        whole = np.floor(np.where(finite, values, 0.0)).astype(np.int64)
        return _from_parts(whole, values - whole, rows, FLOAT_STEP_NS)
    return _from_parts(values.astype(np.int64), None, rows, 1)


def _from_text(texts: NDArray[np.bytes_], rows: Column) -> Times:
    if len(texts) and b"-" in texts[0][1:]:
        return _from_iso(texts, rows)
    numbers = from_text(texts)
    if numbers.bad:
        indexes = np.array([index for index, _ in numbers.bad])
        found = at_rows(FaultCode.NOT_A_TIME, "not a time", rows[indexes], [text for _, text in numbers.bad])
        return Times(np.zeros(len(texts), dtype=np.int64), "unknown", tuple(found))
    scale = 10**numbers.decimals
    whole: Column = numbers.mantissa // scale
    return _from_parts(whole, (numbers.mantissa % scale) / scale if scale > 1 else None, rows, 1)


def _from_iso(texts: NDArray[np.bytes_], rows: Column) -> Times:
    """ISO 8601; without an offset it is UTC.  Plain UTC text is read at once, the rest one by one."""
    plain = np.char.rstrip(texts, b"Z")
    plain = np.char.replace(plain, b"+00:00", b"")
    # numpy would read a bare number as a year, and only warns about an offset.
    dated = (np.char.find(plain, b"-") == 4) & (np.char.rfind(plain, b"-") == 7)
    if (dated & (np.char.find(plain, b"+") < 0)).all():
        with suppress(ValueError):
            return Times(plain.astype("datetime64[ns]").astype(np.int64), "iso")
    ns = np.zeros(len(texts), dtype=np.int64)
    for index, text in enumerate(texts.tolist()):
        try:
            moment = datetime.fromisoformat(text.decode("utf-8", "replace"))
        except ValueError:
            fault = at_rows(
                FaultCode.NOT_A_TIME, "not a time", rows[index : index + 1], [text.decode("utf-8", "replace")]
            )
            return Times(ns, "unknown", tuple(fault))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        ns[index] = ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1_000
    return Times(ns, "iso")


def _from_parts(whole: Column, fraction: NDArray[np.float64] | None, rows: Column, step_ns: int) -> Times:
    """Whole units and fractions of one as ns; fractions go to the nearest `step_ns`."""
    if not len(whole):
        return Times(whole, "unknown")
    wrong = np.flatnonzero(whole < EARLIEST)
    if len(wrong):
        found = at_rows(FaultCode.NOT_A_TIME, "not a time of a market", rows[wrong], whole[wrong])
        return Times(whole, "unknown", tuple(found))
    bounds = np.array([whole.min(), whole.max()])
    low, high = (int(unit) for unit in np.searchsorted(MAGNITUDES, bounds, side="right"))
    if low != high:
        return Times(whole, "mixed", _mixed(whole, rows))
    factor = NS_PER_UNIT[low]
    late = np.flatnonzero(whole > INT64_MAX // factor - 1)
    if len(late):
        found = at_rows(FaultCode.NOT_A_TIME, "later than 64 bits of ns reach", rows[late], whole[late])
        return Times(whole, "unknown", tuple(found))
    ns = whole if factor == 1 else whole * factor
    if fraction is not None and factor > step_ns:
        ns = ns + np.rint(fraction * (factor // step_ns)).astype(np.int64) * step_ns
    return Times(ns, UNITS[low])


def _mixed(whole: Column, rows: Column) -> tuple[DataFault, ...]:
    """The first row whose unit differs from the row before it, naming both units."""
    units = np.searchsorted(MAGNITUDES, whole, side="right")
    at = int(np.flatnonzero(units != units[0])[0])
    what = f"time in {UNITS[units[at]]} where the rows before are in {UNITS[units[0]]}"
    count = int(np.count_nonzero(units != units[0]))
    if count > 1:
        what += f" ({count} such rows)"
    return (DataFault(code=FaultCode.MIXED_UNITS, row=int(rows[at]), what=what, value=str(whole[at])),)


def iso(ns: int) -> str:
    """A time as ISO 8601 UTC text with as many decimals as it needs (0, 3, 6 or 9)."""
    seconds, rest = divmod(ns, 10**9)
    text = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if rest:
        digits = f"{rest:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += f".{digits}"
    return f"{text}Z"
