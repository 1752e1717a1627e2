"""FVG, fair value gaps: a price range that three bars jumped over, until the market comes back for it.

Law: a zone is known at the close of its third bar and cannot be mitigated by it.  From then on it is active
until a bar reaches its far side (mitigated) or until it is too old.  Read on raw bars: a gap is one of traded
prices.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars, Floats
from grinder.marl.indicators.rolling import rolling_mean


@attrs.frozen(kw_only=True)
class FvgSettings:
    """Attributes:
    body_factor: the middle bar's body exceeds this many mean bodies; None switches the filter off.
    body_window: bars before the third one whose bodies are averaged; the middle bar is the last of them.
    gap_least: smallest height of a zone as a share of the close.
    age_most: bars that a zone stays active.
    """

    body_factor: float | None = 1.5
    body_window: int = 20
    gap_least: float = 0.001
    age_most: int = 50


PLAIN = FvgSettings(body_factor=None, gap_least=0.0)
"""The three-bar rule alone."""


@attrs.frozen(eq=False, kw_only=True)
class Fvg:
    """Shape (n,) each; all zero where there is nothing to tell.

    Attributes:
        bullish_active, bearish_active: 1 when a zone of that kind is active after the bar.
        nearest_level: the edge of an active zone that is nearest to the close, quote units.
        age: bars since the creation of that zone.
        mitigation_signal: 1 on a bar that mitigates any zone.
        direction: +1 when it was a bullish one, -1 a bearish one; of both the higher zone's, 0 if equally
            high.
        size: height of the highest zone that was mitigated, quote units.
    """

    bullish_active: Floats
    bearish_active: Floats
    nearest_level: Floats
    age: Floats
    mitigation_signal: Floats
    direction: Floats
    size: Floats


@attrs.frozen
class Zone:
    """A gap between `bottom` and `top`, created by bar `born`; direction +1 bullish, -1 bearish."""

    born: int
    direction: int
    bottom: float
    top: float

    @property
    def size(self) -> float:
        """Height, quote units."""
        return self.top - self.bottom

    def mitigated(self, low: float, high: float) -> bool:
        """Whether a bar reaches the far side."""
        return low <= self.bottom if self.direction > 0 else high >= self.top


def fvg(bars: Bars, settings: FvgSettings | None = None) -> Fvg:
    """Gaps of raw bars."""
    chosen = settings or FvgSettings()
    created = {zone.born: zone for zone in zones(bars, chosen)}
    lows, highs, closes = bars.low.tolist(), bars.high.tolist(), bars.close.tolist()
    out = np.zeros((len(bars), 7))
    active: list[Zone] = []
    for index, (low, high, close) in enumerate(zip(lows, highs, closes, strict=True)):
        if not active and index not in created:
            continue
        young = [zone for zone in active if index - zone.born <= chosen.age_most]
        gone = [zone for zone in young if zone.mitigated(low, high)]
        active = [zone for zone in young if not zone.mitigated(low, high)]
        if index in created:
            active.append(created[index])
        out[index] = (*_standing(active, index, close), *_mitigation(gone))
    return Fvg(**dict(zip((one.name for one in attrs.fields(Fvg)), out.T.copy(), strict=True)))


def zones(bars: Bars, settings: FvgSettings | None = None) -> tuple[Zone, ...]:
    """Every zone that the bars create, in order.

    Bullish at i: low[i] > high[i-2], zone [high[i-2], low[i]]; bearish mirrored.  With the body filter a zone
    needs `body_window` bars before it.
    """
    chosen = settings or FvgSettings()
    if len(bars) < 3:
        return ()
    size = len(bars)
    strong = np.ones(size, dtype=np.bool_)
    if chosen.body_factor is not None:
        body = np.abs(bars.close - bars.open)
        mean = rolling_mean(body, chosen.body_window)
        strong = np.where(np.isfinite(mean), body > chosen.body_factor * mean, False)
    up = np.full(size, -np.inf)
    down = np.full(size, -np.inf)
    up[2:] = np.where(strong[1:-1], bars.low[2:] - bars.high[:-2], -np.inf)
    down[2:] = np.where(strong[1:-1], bars.low[:-2] - bars.high[2:], -np.inf)
    gap = np.maximum(up, down)
    found = np.flatnonzero((gap > 0) & (gap / bars.close >= chosen.gap_least))
    return tuple(_zone(bars, int(index), up[index] > 0) for index in found)


def _zone(bars: Bars, index: int, bullish: bool) -> Zone:
    if bullish:
        return Zone(index, 1, float(bars.high[index - 2]), float(bars.low[index]))
    return Zone(index, -1, float(bars.high[index]), float(bars.low[index - 2]))


def _standing(active: list[Zone], index: int, close: float) -> tuple[float, float, float, float]:
    """Active kinds and the nearest edge; of equally near ones the younger zone's, then the lower one."""
    if not active:
        return 0.0, 0.0, 0.0, 0.0
    edges = [(abs(edge - close), -zone.born, edge) for zone in active for edge in (zone.bottom, zone.top)]
    _, born, level = min(edges)
    bullish = any(zone.direction > 0 for zone in active)
    bearish = any(zone.direction < 0 for zone in active)
    return float(bullish), float(bearish), level, float(index + born)


def _mitigation(gone: list[Zone]) -> tuple[float, float, float]:
    if not gone:
        return 0.0, 0.0, 0.0
    bullish = max((zone.size for zone in gone if zone.direction > 0), default=0.0)
    bearish = max((zone.size for zone in gone if zone.direction < 0), default=0.0)
    return 1.0, float(np.sign(bullish - bearish)), max(bullish, bearish)
