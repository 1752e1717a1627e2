"""What a grid is asked to be: the parameters every kind reads.

Law: integers and ratios only.  A bounded grid has `lower_ticks`, `upper_ticks` and `count`; a centered grid
has `center_ticks`, `spacing` and `count` levels a side.
"""

from __future__ import annotations

from domain.record import Record, record

BOUNDED = "bounded"
CENTERED = "centered"


@record("GridSpec/1")
class GridSpec(Record):
    """Parameters of a ladder.

    Attributes:
        spacing: name of the grid kind in the registry.
        form: ``bounded`` or ``centered``.
        count: intervals between the bounds, or levels a side of the center.
        lower_ticks, upper_ticks: the bounds (bounded form; else 0).
        center_ticks: the center (centered form; else 0).
        spacing_ppm: distance of neighbouring prices in ppm of the price (centered form; else 0).
        lots: quantity of every level in lots; 0 when `level_quote` sizes it.
        level_quote: quote units to put into each level; 0 when `lots` sizes it.
    """

    spacing: str
    form: str
    count: int
    lower_ticks: int = 0
    upper_ticks: int = 0
    center_ticks: int = 0
    spacing_ppm: int = 0
    lots: int = 0
    level_quote: int = 0
