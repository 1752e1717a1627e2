"""Uniform centered grid: equal distances in basis points of the center.

Law: ``p_i = c * (1 + i * s)`` for i = -n..n; prices at or below zero do not exist.
"""

from __future__ import annotations

from fractions import Fraction

from domain.grids.spec import GridSpec
from domain.instrument import PPM


def uniform(spec: GridSpec) -> tuple[Fraction, ...]:
    """The prices of a uniform centered grid in ticks, ascending; at most 2n+1."""
    prices = (
        spec.center_ticks * Fraction(PPM + i * spec.spacing_ppm, PPM)
        for i in range(-spec.count, spec.count + 1)
    )
    return tuple(price for price in prices if price > 0)
