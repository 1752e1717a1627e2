"""The three matrices an agent sees, from closed 5-minute bars.

Law: a row is a closed bar, the oldest first; a matrix exists only with all of its rows.  Every figure is
scaled the same way for every market and every day, lies within plus and minus 3, and is float32; what is not
finite (a figure in its warm-up) is 0 and counted, never passed on.  At the close of a 5-minute bar the newest
30-minute row is the half hour that had closed by then: a forming one is never seen.

Columns, in the order of `grinder.marl.schema`, tell of the bar's close: percents are of the close, the hour
is the UTC hour at which the bar closed.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.indicators.rolling import rolling_z
from grinder.marl.matrices.features import Features, IndicatorSettings, features
from grinder.marl.schema import LARGEST, MINUTE_NS, REGIME, STRATEGIC, TACTICAL

Matrix = NDArray[np.float32]

Z_BARS = 480
"""Window of the z-scores: ten days of half hours."""
Z_LEAST = 20
"""Fewer values than this have no z-score: 0."""

DAY_NS = 24 * 60 * MINUTE_NS

BARS_WARM = 6 * 720
"""5-minute bars from which every column of every row has left its warm-up: 96 rows after the 620 that the
first discrepancy needs, and some for a first half hour that is cut."""


@attrs.frozen(eq=False, kw_only=True)
class Matrices:
    """What is seen at the close of one 5-minute bar.

    Attributes:
        strategic, tactical, regime: float32, of the shapes in `grinder.marl.schema`.
        at_ns: end of the newest 5-minute bar.
        counted_non_finite: figures in the three that did not exist and stand as 0.
    """

    strategic: Matrix
    tactical: Matrix
    regime: Matrix
    at_ns: int
    counted_non_finite: int


@attrs.frozen(kw_only=True)
class NotReady:
    """Why there are no matrices yet.

    Attributes:
        reason: the matrix that lacks rows.
        have, need: its rows.
    """

    reason: str
    have: int
    need: int


@attrs.frozen(eq=False, kw_only=True)
class Rows:
    """The scaled rows of all bars, from which matrices are cut; float64, non-finite figures still as they
    are.

    Attributes:
        strategic, regime: a row per 30-minute bar.
        tactical: a row per 5-minute bar.
    """

    features: Features
    strategic: Floats
    tactical: Floats
    regime: Floats


def assemble(bars_5m: Bars, settings: IndicatorSettings | None = None) -> Matrices | NotReady:
    """The matrices at the close of the last of these bars.

    Bars decide by how far back they go (recursive averages, samples, the discrepancy): `BARS_WARM` of them
    leave nothing in its warm-up, fewer give neutral figures and 0 where there is none yet.

    Raises:
        ValueError: bars that are not of 5 minutes.
    """
    if len(bars_5m) == 0:
        return NotReady(reason=f"{TACTICAL.name} rows", have=0, need=TACTICAL.rows)
    return at(rows(features(bars_5m, settings, REGIME.rows)), len(bars_5m) - 1)


def at(scaled: Rows, index: int) -> Matrices | NotReady:
    """The matrices at the close of 5-minute bar `index`: what `assemble` gives for the bars up to it."""
    newest = int(scaled.features.closed[index])
    for schema, have in ((TACTICAL, index + 1), (STRATEGIC, newest + 1), (REGIME, newest + 1)):
        if have < schema.rows:
            return NotReady(reason=f"{schema.name} rows", have=have, need=schema.rows)
    cut = (
        scaled.strategic[newest + 1 - STRATEGIC.rows : newest + 1],
        scaled.tactical[index + 1 - TACTICAL.rows : index + 1],
        scaled.regime[newest + 1 - REGIME.rows : newest + 1],
    )
    strategic, tactical, regime = (_bounded(one) for one in cut)
    return Matrices(
        strategic=strategic,
        tactical=tactical,
        regime=regime,
        at_ns=int(scaled.features.bars_5m.end_ns[index]),
        counted_non_finite=sum(int((~np.isfinite(one)).sum()) for one in cut),
    )


def rows(found: Features) -> Rows:
    """Scaled rows of every bar: compute them once and cut matrices at any bar with `at`."""
    return Rows(
        features=found,
        strategic=_strategic(found),
        tactical=_tactical(found),
        regime=np.stack(
            [
                found.mmd,
                found.others_30m.volatility_30,
                found.lvn.skew,
                rolling_z(found.others_30m.price_acceleration, Z_BARS, Z_LEAST),
            ],
            axis=1,
        ),
    )


def _strategic(found: Features) -> Floats:
    close = found.bars_30m.close
    hour = 2.0 * np.pi * (found.bars_30m.end_ns % DAY_NS) / DAY_NS
    percent_to_node = 100.0 * found.lvn.distance / close
    return np.stack(
        [
            (found.mlmi.value - 50.0) / 50.0,
            found.mlmi.signal,
            np.clip(found.nwrqk.value / close - 1.0, -0.05, 0.05) / 0.05,
            np.clip(_slope_z(found), -2.0, 2.0) / 2.0,
            np.where(found.lvn.found > 0, np.exp(-percent_to_node), 0.0),
            found.lvn.strength / 100.0,
            np.sin(hour),
            np.cos(hour),
            np.tanh(20.0 * found.others_30m.momentum_20),
            np.tanh(10.0 * found.others_30m.momentum_50),
            np.minimum(found.mmd, 3.0),
            np.clip(found.others_30m.volatility_30, 0.0, 3.0),
            np.tanh(found.lvn.skew),
        ],
        axis=1,
    )


def _slope_z(found: Features) -> Floats:
    """z-score of the regression's slope; NaN stays NaN in the warm-up, so that it is counted."""
    slope = found.nwrqk.slope
    return np.where(np.isfinite(slope), rolling_z(slope, Z_BARS, Z_LEAST), np.nan)


def _tactical(found: Features) -> Floats:
    gaps, close = found.fvg, found.bars_5m.close
    standing = (gaps.bullish_active + gaps.bearish_active) > 0
    percent = 100.0 * found.others_5m.momentum_5
    return np.stack(
        [
            gaps.bullish_active,
            gaps.bearish_active,
            np.where(standing, np.clip(gaps.nearest_level / close - 1.0, -0.02, 0.02) / 0.02, 0.0),
            np.where(standing, np.exp(-0.1 * gaps.age), 0.0),
            gaps.mitigation_signal,
            np.tanh(np.clip(percent, -10.0, 10.0) / 5.0),
            np.tanh(np.log1p(np.maximum(found.others_5m.volume_ratio - 1.0, 0.0))),
        ],
        axis=1,
    )


def _bounded(figures: Floats) -> Matrix:
    finite = np.where(np.isfinite(figures), figures, 0.0)
    return np.clip(finite, -LARGEST, LARGEST).astype(np.float32)
