"""Decimal numbers as int64 mantissas with one common number of decimals.

Law: no price or quantity is ever rounded here without saying so.  Text is parsed digit by digit, vectorised
over the whole column, and is exact up to 18 digits; what the fast path does not know (an exponent, a longer
number) goes through `Decimal` one by one.  A text column that 64 bits do not hold at its longest row's
decimals (float noise printed in full) is read as floats are.

Floats (binary tables, JSON) carry at most 15 significant decimal digits: the fewest decimals are taken at
which every value of the column is a whole number within float noise (0.09946999000000001 is 0.09946999),
and a column that has none is kept at 15 digits.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from grinder.errors import DataError

Column = NDArray[np.int64]

INT64_MAX = 2**63 - 1
DIGITS_MAX = 18
FLOAT_DIGITS_MAX = 15
FLOAT_DECIMALS_MAX = 14
NOISE_ULPS = 8.0
"""Float noise forgiven: values that went through a sum or a resampling are a few ulps off."""


@attrs.frozen(eq=False)
class Fixed:
    """A column of decimals: value = mantissa / 10**decimals.

    `bad` lists (index, text) of cells that are no finite number; their mantissa is 0.
    """

    mantissa: Column
    decimals: int
    bad: tuple[tuple[int, str], ...] = ()


def fixed(values: NDArray[Any]) -> Fixed:
    """Any column (bytes text, floats or integers) as exact decimals, with the fewest decimals it needs."""
    if values.dtype.kind == "S":
        return from_text(values)
    if values.dtype.kind == "f":
        return from_floats(np.asarray(values, dtype=np.float64))
    return Fixed(np.ascontiguousarray(values, dtype=np.int64), 0)


def from_text(texts: NDArray[np.bytes_]) -> Fixed:
    """Decimal text such as ``-0.00270`` as mantissas; exact."""
    mantissa, decimals, known = _scan(np.ascontiguousarray(texts))
    bad: list[tuple[int, str]] = []
    for index in np.flatnonzero(~known).tolist():
        text = texts[index].decode("utf-8", "replace").strip(" \t\r")
        try:
            mantissa[index], decimals[index] = _exactly(text)
        except ArithmeticError:
            mantissa[index] = decimals[index] = 0
            bad.append((index, text))
    most = int(decimals.max(initial=0))
    if (decimals != most).any():
        aligned = _align(mantissa, decimals)
        if aligned is None:
            rounded = from_floats(np.array([float(text or 0) for text in _finite(texts, bad)]))
            return attrs.evolve(rounded, bad=tuple(bad))
        mantissa, most = aligned
    return Fixed(*_shorten(mantissa, most), tuple(bad))


def _scan(texts: NDArray[np.bytes_]) -> tuple[Column, Column, NDArray[np.bool_]]:
    """Mantissa, decimals and whether the cell was plain ``[-]digits[.digits]``, one pass per character."""
    rows, width = len(texts), texts.dtype.itemsize
    chars = texts.view(np.uint8).reshape(rows, width)
    mantissa = np.zeros(rows, dtype=np.int64)
    digits, decimals = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    dotted = np.zeros(rows, dtype=np.bool_)
    known = np.ones(rows, dtype=np.bool_)
    for position in range(width):
        char = chars[:, position]
        digit = char - np.uint8(48)  # wraps for everything below "0": then it is no digit either
        is_digit = digit <= 9
        is_dot = char == 46
        known &= is_digit | (char == 0) | (is_dot & ~dotted) | ((char == 45) & (position == 0))
        mantissa = np.where(is_digit, mantissa * 10 + digit, mantissa)
        digits += is_digit
        decimals += is_digit & dotted
        dotted |= is_dot
    known &= (digits > 0) & (digits <= DIGITS_MAX)
    negative = chars[:, 0] == 45 if width else np.zeros(rows, dtype=np.bool_)
    return np.where(negative, -mantissa, mantissa), decimals, known


def _exactly(text: str) -> tuple[int, int]:
    """One number through `Decimal`; InvalidOperation when it is none, OverflowError when it does not fit."""
    value = Decimal(text)
    if not value.is_finite() or not text.isprintable() or "_" in text:
        raise InvalidOperation
    sign, digits, exponent = value.normalize().as_tuple()
    power = int(exponent)
    if len(digits) + abs(power) > 60:
        raise OverflowError
    number = int("".join(map(str, digits))) * 10 ** max(power, 0)
    if number > INT64_MAX:
        raise OverflowError
    return -number if sign else number, max(-power, 0)


def _finite(texts: NDArray[np.bytes_], bad: list[tuple[int, str]]) -> list[bytes]:
    cells: list[bytes] = texts.tolist()
    for index, _ in bad:
        cells[index] = b"0"
    return cells


def _align(mantissa: Column, decimals: Column) -> tuple[Column, int] | None:
    """All mantissas at the most decimals any *needs* (trailing zeros of single rows do not count).

    None when 64 bits do not hold the column so.
    """
    while True:
        most = int(decimals.max())
        longest = decimals == most
        if most == 0 or (mantissa[longest] % 10).any():
            break
        mantissa = np.where(longest, mantissa // 10, mantissa)
        decimals = np.where(longest, most - 1, decimals)
    lift = most - decimals
    largest = max(int(np.abs(mantissa[lift == step]).max()) * 10 ** int(step) for step in np.unique(lift))
    return None if largest > INT64_MAX else (mantissa * np.power(np.int64(10), lift), most)


def _shorten(mantissa: Column, decimals: int) -> tuple[Column, int]:
    """Trailing zeros every row has are dropped: 61837.63000000 needs two decimals, not eight."""
    while decimals > 0 and not (mantissa[:256] % 10).any() and not (mantissa % 10).any():
        mantissa, decimals = mantissa // 10, decimals - 1
    return mantissa, decimals


def from_floats(values: NDArray[np.float64]) -> Fixed:
    """Floats as decimals of at most 15 significant digits (see the module's law)."""
    finite = np.isfinite(values)
    bad: tuple[tuple[int, str], ...] = ()
    if not finite.all():
        bad = tuple((int(i), str(values[i])) for i in np.flatnonzero(~finite))
        values = np.where(finite, values, 0.0)
    largest = float(np.abs(values).max(initial=0.0))
    if largest >= 10.0**DIGITS_MAX:
        bad += tuple((int(i), str(values[i])) for i in np.flatnonzero(np.abs(values) >= 10.0**DIGITS_MAX))
        values = np.where(np.abs(values) >= 10.0**DIGITS_MAX, 0.0, values)
        largest = float(np.abs(values).max(initial=0.0))
    decimals = _float_decimals(values, largest)
    mantissa = np.rint(values * 10.0**decimals).astype(np.int64)
    return Fixed(mantissa, decimals, bad)


def _float_decimals(values: NDArray[np.float64], largest: float) -> int:
    """Fewest decimals at which all values are whole within float noise, bounded by 15 digits."""
    rest = values
    decimals = 0
    while True:
        scaled = rest * 10.0**decimals
        whole = np.abs(scaled - np.rint(scaled)) <= np.abs(scaled) * (NOISE_ULPS * 2.0**-53)
        rest = rest[~whole]  # a value whole at d decimals is whole at d + 1: only the others are tried again
        full = decimals >= FLOAT_DECIMALS_MAX or largest * 10.0 ** (decimals + 1) >= 10.0**FLOAT_DIGITS_MAX
        if not len(rest) or full:
            return decimals
        decimals += 1


def rescaled(mantissa: Column, decimals: int, wanted: int) -> Column:
    """The same values with more decimals; the same array when nothing changes.

    Raises:
        DataError: when a value does not fit 64 bits at `wanted` decimals.
    """
    if wanted == decimals:
        return mantissa
    factor = 10 ** (wanted - decimals)
    guard(mantissa, factor)
    return mantissa * np.int64(factor)


def guard(mantissa: Column, factor: int) -> None:
    """Refuse a multiplication that would not fit 64 bits.

    Raises:
        DataError: naming the value.
    """
    if len(mantissa) and max(int(mantissa.max()), -int(mantissa.min())) * factor > INT64_MAX:
        raise DataError(
            "data.number_too_long",
            "a number does not fit 64 bits at the decimals needed",
            value=str(int(np.abs(mantissa).max())),
            fix="use a coarser tick or lot, or check that the file holds this instrument",
        )


def decimal_text(mantissa: int, decimals: int) -> str:
    """A mantissa as plain decimal text without exponent: (270, 5) is ``0.0027``."""
    value = Decimal(mantissa).scaleb(-decimals)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
