"""Every indicator of a run of 5-minute bars, and of the 30-minute bars made of them.

Law: computed once and read by the matrices, the regime and the synergies alike, so they cannot disagree.  The
30-minute bars are the exact aggregates of the given ones; which of them had closed at a 5-minute close is
`closed`. An entry depends on no later bar: the figures of a prefix are the prefix of the figures.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.aggregation import aggregate
from grinder.marl.bars.closed import Bars, Floats, Ints, latest_closed
from grinder.marl.indicators.fvg import Fvg, FvgSettings, fvg
from grinder.marl.indicators.lvn import Lvn, LvnSettings, lvn
from grinder.marl.indicators.mlmi import Mlmi, MlmiSettings, mlmi
from grinder.marl.indicators.mmd import MmdSettings, mmd_score
from grinder.marl.indicators.nwrqk import NwRqk, NwRqkSettings, nwrqk
from grinder.marl.indicators.others import Others, others
from grinder.marl.schema import STRATEGIC_NS, TACTICAL_NS


@attrs.frozen(kw_only=True)
class IndicatorSettings:
    """How each indicator is computed."""

    mlmi: MlmiSettings = attrs.field(factory=MlmiSettings)
    nwrqk: NwRqkSettings = attrs.field(factory=NwRqkSettings)
    fvg: FvgSettings = attrs.field(factory=FvgSettings)
    lvn: LvnSettings = attrs.field(factory=LvnSettings)
    mmd: MmdSettings = attrs.field(factory=MmdSettings)


@attrs.frozen(eq=False, kw_only=True)
class Features:
    """Indicators; n 5-minute bars, m 30-minute bars.

    Attributes:
        bars_5m, bars_30m: the bars themselves.
        fvg, others_5m: shape (n,) each.
        mlmi, nwrqk, lvn, mmd, others_30m: shape (m,) each.
        closed: int64, shape (n,): the 30-minute bar that had closed last at the close of each 5-minute bar,
            -1 for none.
        closes_30m: bool, shape (n,): whether that bar closed at this very moment.
    """

    bars_5m: Bars
    bars_30m: Bars
    fvg: Fvg
    others_5m: Others
    mlmi: Mlmi
    nwrqk: NwRqk
    lvn: Lvn
    mmd: Floats
    others_30m: Others
    closed: Ints
    closes_30m: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def features(
    bars_5m: Bars, settings: IndicatorSettings | None = None, scores_30m: int | None = None
) -> Features:
    """All indicators of these bars.

    Args:
        bars_5m: closed, oldest first; holes (session breaks) are allowed, their half hours do not exist.
        scores_30m: computes the discrepancy for that many of the newest 30-minute bars only and leaves 0
            before; None for all.  The rest is cheap.

    Raises:
        ValueError: bars of another length.
    """
    if bars_5m.bar_ns != TACTICAL_NS:
        raise ValueError(f"5-minute bars are wanted, not bars of {bars_5m.bar_ns} ns")
    chosen = settings or IndicatorSettings()
    bars_30m = aggregate(bars_5m, STRATEGIC_NS)
    closed = latest_closed(bars_30m, bars_5m.end_ns)
    ends = bars_30m.end_ns[np.maximum(closed, 0)] if len(bars_30m) else np.zeros(len(bars_5m), dtype=np.int64)
    return Features(
        bars_5m=bars_5m,
        bars_30m=bars_30m,
        fvg=fvg(bars_5m, chosen.fvg),
        others_5m=others(bars_5m),
        mlmi=mlmi(bars_30m, chosen.mlmi),
        nwrqk=nwrqk(bars_30m, chosen.nwrqk),
        lvn=lvn(bars_30m, chosen.lvn),
        mmd=mmd_score(bars_30m, chosen.mmd, scores_30m),
        others_30m=others(bars_30m),
        closed=closed,
        closes_30m=(closed >= 0) & (ends == bars_5m.end_ns),
    )
