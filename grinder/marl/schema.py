"""What the columns of the three matrices are, and the hash that a model is bound to.

Law: the one place where shapes, column names and their order are said.  A model that was made for other
columns has another hash and is refused.
"""

from __future__ import annotations

from hashlib import sha256

import attrs

MINUTE_NS = 60_000_000_000
TACTICAL_NS = 5 * MINUTE_NS
STRATEGIC_NS = 30 * MINUTE_NS

LARGEST = 3.0
"""Every figure of a matrix lies within plus and minus this."""


@attrs.frozen
class MatrixSchema:
    """One matrix: its rows are closed bars, oldest first.

    Attributes:
        name: strategic, tactical or regime.
        bar_ns: length of the bar a row stands for.
        rows: how many; a matrix is ready only when all are there.
        columns: their names, in order.
    """

    name: str
    bar_ns: int
    rows: int
    columns: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, len(self.columns)

    def column(self, name: str) -> int:
        """Where a column is."""
        return self.columns.index(name)


STRATEGIC = MatrixSchema(
    "strategic",
    STRATEGIC_NS,
    48,
    (
        "mlmi_value",
        "mlmi_signal",
        "nwrqk_value",
        "nwrqk_slope",
        "lvn_distance",
        "lvn_strength",
        "hour_sin",
        "hour_cos",
        "momentum_20",
        "momentum_50",
        "mmd_score",
        "volatility_30",
        "volume_profile_skew",
    ),
)

TACTICAL = MatrixSchema(
    "tactical",
    TACTICAL_NS,
    60,
    (
        "fvg_bullish_active",
        "fvg_bearish_active",
        "fvg_nearest_level",
        "fvg_age",
        "fvg_mitigation_signal",
        "momentum_5",
        "volume_ratio",
    ),
)

REGIME = MatrixSchema(
    "regime",
    STRATEGIC_NS,
    96,
    ("mmd_score", "volatility_30", "volume_profile_skew", "price_acceleration"),
)

SCHEMAS = (STRATEGIC, TACTICAL, REGIME)

REGIMES = ("TRENDING", "RANGING", "VOLATILE", "CRISIS")
"""In the order of their probabilities."""

SYNERGIES = ("TYPE_1", "TYPE_2", "TYPE_3", "TYPE_4")
"""In the order of their one-hot vector."""


def schema_hash() -> str:
    """SHA-256, hex, over names, bars, rows and columns of all three."""
    told = "\n".join(f"{one.name} {one.bar_ns} {one.rows} {','.join(one.columns)}" for one in SCHEMAS)
    return sha256(told.encode()).hexdigest()
