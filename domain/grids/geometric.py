"""Geometric grid: equal ratios between neighbouring prices.

Law: bounded ``p_i = L * (U/L)**(i/N)``; centered ``p_i = c * (1 + s)**i`` for i = -n..n.  The bounded form
is irrational: it is computed as an integer N-th root to 1/`_FINE` of a tick, never through a float, so every
machine finds the same ladder.
"""

from __future__ import annotations

from fractions import Fraction

from domain.grids.spec import CENTERED, GridSpec
from domain.instrument import PPM

_FINE = 10**9
"""Part of a tick to which an irrational price is computed; far below what rounding to a tick can see."""


def integer_root(value: int, degree: int, above: int = 0) -> int:
    """Largest r with ``r**degree <= value`` (Newton's method from above).

    `above` is a number that is not below the root; close to it, it saves nearly all of the work.
    """
    if value < 2:
        return value
    guess = above or 1 << (value.bit_length() + degree - 1) // degree
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better


def geometric(spec: GridSpec) -> tuple[Fraction, ...]:
    """The prices of a geometric grid in ticks, ascending: N+1 bounded, 2n+1 centered."""
    if spec.form == CENTERED:
        return tuple(
            spec.center_ticks * Fraction(PPM + spec.spacing_ppm, PPM) ** i
            for i in range(-spec.count, spec.count + 1)
        )
    n, low, high = spec.count, spec.lower_ticks, spec.upper_ticks
    scale = _FINE**n
    roots: list[int] = []
    for i in range(1, n):
        # Each price is the one before it times the first step; both were cut off, so one more of each.
        above = (roots[-1] + 1) * (roots[0] + 1) // (low * _FINE) + 1 if roots else 0
        roots.append(integer_root(low ** (n - i) * high**i * scale, n, above))
    return (Fraction(low), *(Fraction(root, _FINE) for root in roots), Fraction(high))
