"""Exact decimals to integers and back, and the integer divisions that say how they round.

Law: this is the only file of the room that knows `Decimal`, and it only reads and prints: no rule computes
with one.  Every division names its rounding.
"""

from __future__ import annotations

from decimal import Decimal


class NotOnScaleError(ValueError):
    """A decimal has more digits than the scale can hold."""


def decimals_of(value: Decimal) -> int:
    """Digits after the point that `value` needs (0 for integers; trailing zeros do not count)."""
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise NotOnScaleError(f"{value} is not a finite number")
    return max(0, -exponent)


def to_units(value: Decimal, decimals: int) -> int:
    """`value` in units of 10**-decimals, exactly.

    Raises:
        NotOnScaleError: `value` is not a whole number of units.
    """
    scaled = value.scaleb(decimals)
    units = int(scaled)
    if units != scaled:
        raise NotOnScaleError(f"{value} is not a multiple of 1e-{decimals}")
    return units


def from_units(units: int, decimals: int) -> Decimal:
    """The exact decimal of `units` of 10**-decimals."""
    return Decimal(units).scaleb(-decimals)


def text(value: Decimal) -> str:
    """Plain notation without exponent or trailing zeros: how amounts are shown everywhere."""
    shown = f"{value:f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown in ("-0", "") else shown


def units_text(units: int, decimals: int) -> str:
    """`text(from_units(...))`: an amount in units as a plain decimal string."""
    return text(from_units(units, decimals))


def fixed_text(units: int, decimals: int) -> str:
    """An amount in units with all its decimals, so that a column of them lines up."""
    return f"{from_units(units, decimals):f}"


def ceil_div(numerator: int, denominator: int) -> int:
    """Quotient rounded towards plus infinity; the denominator is positive."""
    return -(-numerator // denominator)
