"""Exact decimals out of integer units.

Law: sums and products of amounts are exact or fail; the only rounded figures are averages and ratios, and
`quotient` says how.  Handlers run under `EXACT` (see `projections.registry`), because the default context of
Python would round silently at 28 digits.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero])
"""A context in which an inexact result is an error."""

_ROUNDED = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero])

ZERO = Decimal(0)


def amount(units: int, decimals: int) -> Decimal:
    """The exact decimal of `units` of 10**-decimals."""
    return Decimal(units).scaleb(-decimals, EXACT)


def units_of(value: Decimal, decimals: int) -> int:
    """Units of 10**-decimals in an amount that `amount` made."""
    return int(value.scaleb(decimals, EXACT))


def quotient(numerator: Decimal, denominator: Decimal, decimals: int) -> Decimal:
    """An average or ratio, rounded to `decimals` digits, half to even; 0 over nothing."""
    if not denominator:
        return ZERO
    exact = _ROUNDED.divide(numerator, denominator)
    return exact.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDED)


def floored_share(total: Decimal, part: Decimal, whole: Decimal, decimals: int) -> Decimal:
    """``total * part / whole`` rounded down; shares cut from a running total add up exactly."""
    exact = _ROUNDED.divide(_ROUNDED.multiply(total, part), whole)
    return exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR, context=_ROUNDED)


def ppm_below(high: Decimal, value: Decimal) -> int:
    """How far `value` lies below `high`, in parts per million rounded down; 0 at or above it."""
    if high <= 0 or value >= high:
        return 0
    return int(_ROUNDED.divide((high - value) * 1_000_000, high))
