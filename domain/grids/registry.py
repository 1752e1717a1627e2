"""Every grid kind by the name a configuration uses.

Law: to add a kind, write its function and add its line here; the property tests run over this table.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import attrs

from domain.grids.arithmetic import arithmetic
from domain.grids.geometric import geometric
from domain.grids.spec import BOUNDED, CENTERED, GridSpec
from domain.grids.uniform import uniform


@attrs.frozen
class GridKind:
    """A ladder function and the forms of specification it understands."""

    prices: Callable[[GridSpec], tuple[Fraction, ...]]
    forms: frozenset[str]


GRID_KINDS: dict[str, GridKind] = {
    "arithmetic": GridKind(arithmetic, frozenset({BOUNDED})),
    "geometric": GridKind(geometric, frozenset({BOUNDED, CENTERED})),
    "uniform": GridKind(uniform, frozenset({CENTERED})),
}
