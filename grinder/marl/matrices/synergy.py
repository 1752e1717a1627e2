"""Synergies: three different indicators that point the same way, in a known order, within fifty minutes.

Law: a pure fold over closed 5-minute bars: the state and the signals of one bar give the next state and
perhaps a synergy.  The first signal opens a sequence and the window of 10 bars, its own included.  A signal
the other way, or one after the window, begins anew with itself; one of a kind that is there already changes
nothing.  Signals of one bar come in the order mlmi, nwrqk, fvg.  After a synergy the next 5 bars detect as
ever and drop what they find.

No order begins with a gap, so a gap that would open a sequence opens none: it must not keep two later signals
from being the first two of one.  An indicator of half hours gives its signal once, on the 5-minute bar that
ends with its half hour, not again on the five bars after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from grinder.marl.bars.closed import Floats, Ints
from grinder.marl.indicators.others import momentum
from grinder.marl.indicators.rolling import rolling_correlation, rolling_std
from grinder.marl.matrices.features import Features
from grinder.marl.schema import SYNERGIES

MLMI, NWRQK, FVG = KINDS = ("mlmi", "nwrqk", "fvg")

ORDERS: dict[tuple[str, ...], str] = dict(
    zip(
        ((MLMI, NWRQK, FVG), (MLMI, FVG, NWRQK), (NWRQK, FVG, MLMI), (NWRQK, MLMI, FVG)),
        SYNERGIES,
        strict=True,
    )
)
"""Momentum continuation; early gap and late breakout; breakout, gap, momentum; range break with momentum."""

WINDOW_BARS = 10
COOLDOWN_BARS = 5

DISAGREEING = 0.7
"""Factor of the confidence when the half-hour trend does not point the same way."""
LATENESS = 0.3
"""Share of the confidence that is gone when a synergy completes on the last bar of the window."""

MLMI_AWAY = 25.0
SLOPE_SHARE = 0.3
SLOPE_BARS = 480
SLOPE_LEAST = 20
GAP_LEAST = 0.001
GAP_FULL = 0.01

CORRELATION_BARS = 288
CORRELATION_LEAST = 30


@attrs.frozen
class Signal:
    """One indicator's, on one bar.

    Attributes:
        kind: mlmi, nwrqk or fvg.
        direction: +1 or -1.
        strength: 0 to 1.
    """

    kind: str
    direction: int
    strength: float


@attrs.frozen(kw_only=True)
class BarSignals:
    """What one 5-minute bar tells.

    Attributes:
        signals: at most one of each kind, in the order of `KINDS`.
        trend: sign of the half-hour regression's slope; 0 for none.
        correlation: of 5-minute returns with the half hour before them, [-1, 1].
    """

    signals: tuple[Signal, ...] = ()
    trend: int = 0
    correlation: float = 0.0


@attrs.frozen(kw_only=True)
class Synergy:
    """Three signals in a known order.

    Attributes:
        type: TYPE_1 to TYPE_4.
        direction: +1 or -1.
        signals: as they came.
        bars_to_complete: 1 (all on one bar) to 10.
        confidence: 0 to 1: mean strength * (1 - 0.3 * (bars - 1) / 9) * (1, or 0.7 against the trend).
        trend_agrees: whether the half-hour trend points the same way.
        correlation: as the bar told it; reported, not part of the confidence.
        bar: number of the bar that completed it, from 0.
    """

    type: str
    direction: int
    signals: tuple[Signal, ...]
    bars_to_complete: int
    confidence: float
    trend_agrees: bool
    correlation: float
    bar: int


@attrs.frozen(kw_only=True)
class SynergyState:
    """What the fold remembers.

    Attributes:
        bar: number of the bar to come.
        first: bar of the sequence's first signal.
        sequence: signals so far, of different kinds and one direction.
        cooldown: bars to come in which a synergy is dropped.
    """

    bar: int = 0
    first: int = 0
    sequence: tuple[Signal, ...] = ()
    cooldown: int = 0


def step(state: SynergyState, told: BarSignals) -> tuple[SynergyState, Synergy | None]:
    """One bar on."""
    first, sequence = state.first, state.sequence
    synergy: Synergy | None = None
    for signal in told.signals:
        if not _goes_on(state.bar, first, sequence, signal):
            first, sequence = state.bar, (() if signal.kind == FVG else (signal,))
        elif all(signal.kind != one.kind for one in sequence):
            sequence = (*sequence, signal)
        if len(sequence) == len(KINDS):
            synergy = _synergy(state.bar, first, sequence, told)
            sequence = ()
    emitted = synergy if state.cooldown == 0 else None
    cooldown = COOLDOWN_BARS if emitted else max(state.cooldown - 1, 0)
    return SynergyState(bar=state.bar + 1, first=first, sequence=sequence, cooldown=cooldown), emitted


def detect(told: Sequence[BarSignals]) -> tuple[Synergy, ...]:
    """Every synergy of bars from the first on."""
    state, found = SynergyState(), []
    for one in told:
        state, synergy = step(state, one)
        if synergy is not None:
            found.append(synergy)
    return tuple(found)


def synergies(found: Features) -> tuple[Synergy, ...]:
    """Every synergy of these indicators; `bar` is the index of the 5-minute bar."""
    return detect(list(bar_signals(found)))


def standing(found: Sequence[Synergy], bar: int) -> Synergy | None:
    """The synergy that is on at the close of a bar: from the bar that completed it through its cool-down."""
    on = [one for one in found if 0 <= bar - one.bar <= COOLDOWN_BARS]
    return on[-1] if on else None


def _goes_on(bar: int, first: int, sequence: tuple[Signal, ...], signal: Signal) -> bool:
    """Whether a signal belongs to the sequence that is open."""
    in_time = bar - first < WINDOW_BARS
    return bool(sequence) and in_time and sequence[0].direction == signal.direction


def _synergy(bar: int, first: int, sequence: tuple[Signal, ...], told: BarSignals) -> Synergy:
    direction, bars = sequence[0].direction, bar - first + 1
    agrees = told.trend == direction
    mean = sum(one.strength for one in sequence) / len(sequence)
    confidence = mean * (1.0 - LATENESS * (bars - 1) / (WINDOW_BARS - 1)) * (1.0 if agrees else DISAGREEING)
    return Synergy(
        type=ORDERS[tuple(one.kind for one in sequence)],
        direction=direction,
        signals=sequence,
        bars_to_complete=bars,
        confidence=confidence,
        trend_agrees=agrees,
        correlation=told.correlation,
        bar=bar,
    )


# --- from indicators to signals ------------------------------------------------------------------------


def mlmi_strength(signal: Floats, value: Floats) -> Floats:
    """Signed strength of every half hour; 0 without a signal at least 25 away from neutral."""
    away = np.abs(value - 50.0)
    return np.where(away >= MLMI_AWAY, signal * np.minimum(away / 50.0, 1.0), 0.0)


def nwrqk_strength(signal: Floats, slope: Floats) -> Floats:
    """Signed strength; the slope must be at least 0.3 of its own deviation, and is full at twice of it.

    The deviation is that of the last 480 half hours; with fewer than 20 slopes there is none and no signal.
    """
    usual = rolling_std(slope, SLOPE_BARS, SLOPE_LEAST)
    known = (usual > 0) & (np.abs(slope) >= SLOPE_SHARE * usual)
    strength = np.minimum(np.abs(slope) / np.where(usual > 0, 2.0 * usual, 1.0), 1.0)
    return np.where(known, signal * strength, 0.0)


def fvg_strength(direction: Floats, size: Floats, close: Floats) -> Floats:
    """Signed strength; the mitigated gap must be 0.1 % of the close, and is full at 1 %."""
    share = size / close
    return np.where(share >= GAP_LEAST, direction * np.minimum(share / GAP_FULL, 1.0), 0.0)


def correlation_5m_30m(found: Features) -> Floats:
    """Correlation over a day of each 5-minute return with the half hour that had closed when it began.

    The two do not overlap, so a random walk has none: above 0 short moves continue the half hour, below they
    return.  Shape (n,); 0 with fewer than 30 pairs.
    """
    slow = momentum(found.bars_30m.close, 1)
    before = np.concatenate([[-1], found.closed[:-1]]) if len(found.closed) else found.closed
    last = np.where(before >= 0, np.append(slow, np.nan)[before], np.nan)
    return rolling_correlation(momentum(found.bars_5m.close, 1), last, CORRELATION_BARS, CORRELATION_LEAST)


def bar_signals(found: Features) -> Iterator[BarSignals]:
    """What each 5-minute bar tells, oldest first."""
    strengths = np.stack(
        [
            _once(found, mlmi_strength(found.mlmi.signal, found.mlmi.value)),
            _once(found, nwrqk_strength(found.nwrqk.signal, found.nwrqk.slope)),
            fvg_strength(found.fvg.direction, found.fvg.size, found.bars_5m.close),
        ],
        axis=1,
    )
    trends = _of_closed(found, np.sign(np.nan_to_num(found.nwrqk.slope))).astype(np.int64)
    for index, (trend, correlation) in enumerate(
        zip(trends.tolist(), correlation_5m_30m(found).tolist(), strict=True)
    ):
        told = [
            Signal(kind, 1 if strength > 0 else -1, abs(strength))
            for kind, strength in zip(KINDS, strengths[index].tolist(), strict=True)
            if strength
        ]
        yield BarSignals(signals=tuple(told), trend=trend, correlation=correlation)


def _of_closed(found: Features, figure: Floats) -> Floats:
    """A half-hour figure at every 5-minute close: that of the half hour closed last, 0 before the first."""
    closed: Ints = found.closed
    return np.where(closed >= 0, np.append(figure, 0.0)[closed], 0.0)


def _once(found: Features, figure: Floats) -> Floats:
    """The same, only on the bar that ends with the half hour."""
    return np.where(found.closes_30m, _of_closed(found, figure), 0.0)
