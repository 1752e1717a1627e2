"""Arithmetic grid: equal distances in price.

Law: ``p_i = L + i * (U - L) / N`` for i = 0..N, exactly.
"""

from __future__ import annotations

from fractions import Fraction

from domain.grids.spec import GridSpec


def arithmetic(spec: GridSpec) -> tuple[Fraction, ...]:
    """The N+1 prices of a bounded arithmetic grid, in ticks, ascending."""
    width = spec.upper_ticks - spec.lower_ticks
    return tuple(spec.lower_ticks + Fraction(i * width, spec.count) for i in range(spec.count + 1))
