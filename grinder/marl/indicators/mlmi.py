"""MLMI, the machine learning momentum index: nearest neighbours vote on what followed a cross of two
averages.

Law: a sample is learned from only when its outcome is known.  At every cross of a fast and a slow weighted
mean the sample stored before gets its label, +1 when the close is now at least its price and -1 otherwise,
and the present one is stored without a label.  Each bar is then compared with the labelled samples in the
plane of two smoothed relative strengths, and the nearest of them vote.  Read on Heikin-Ashi closes.

The published indicator labels the new point with the move that led to it, stores every cross again on each
call and holds its signal while the vote is above 2; none of that is done here.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.marl.bars.closed import Bars, Floats, Ints
from grinder.marl.bars.heikin_ashi import heikin_ashi
from grinder.marl.indicators.averages import rsi, wma

NEUTRAL = 50.0


@attrs.frozen(kw_only=True)
class MlmiSettings:
    """Windows are bars.

    Attributes:
        neighbours: how many samples vote.
        fast, slow: weighted means whose crosses are samples.
        rsi_fast, rsi_slow: relative strengths that place a sample, each smoothed over `smoothing` bars.
        level: a vote that rises through it (or falls through its negative) is a signal by itself.
        samples_max: the oldest sample leaves beyond it.
        warm_up: bars in which the value is neutral and no signal is given; samples are stored already.
    """

    neighbours: int = 200
    fast: int = 5
    slow: int = 20
    rsi_fast: int = 5
    rsi_slow: int = 20
    smoothing: int = 20
    level: float = 2.0
    samples_max: int = 10_000
    warm_up: int = 100


PRD = MlmiSettings(neighbours=5, rsi_slow=14, smoothing=5)
"""The preset "prd": 5 neighbours, a relative strength of 14 bars, smoothed over 5."""


@attrs.frozen(eq=False, kw_only=True)
class Mlmi:
    """Shape (n,) each.

    Attributes:
        value: 50 + 50 * vote / voters, 0 to 100; 50 is neutral.
        signal: +1, -1 or 0, on the bar where it arises.
        vote: sum of the neighbours' labels; 0 without any.
        voters: how many voted.
    """

    value: Floats
    signal: Floats
    vote: Floats
    voters: Ints


def mlmi(bars: Bars, settings: MlmiSettings | None = None) -> Mlmi:
    """The index of raw bars, which it turns into Heikin-Ashi itself."""
    return mlmi_of_closes(heikin_ashi(bars).close, settings)


def mlmi_of_closes(closes: Floats, settings: MlmiSettings | None = None) -> Mlmi:
    """The index of closes of shape (n,).

    The signal is +1 on a bar where the fast mean crosses the slow one upward while the vote is positive, or
    where the vote rises through the level; -1 mirrored.
    """
    chosen = settings or MlmiSettings()
    cross = crosses(wma(closes, chosen.fast), wma(closes, chosen.slow))
    places = np.stack(
        [
            wma(rsi(closes, chosen.rsi_slow), chosen.smoothing),
            wma(rsi(closes, chosen.rsi_fast), chosen.smoothing),
        ],
        axis=1,
    )
    vote, voters = _votes(closes, places, np.flatnonzero(cross != 0), chosen)
    value = NEUTRAL + NEUTRAL * vote / np.maximum(voters, 1)
    before = np.concatenate([[0.0], vote[:-1]]) if len(vote) else vote
    up = ((cross > 0) & (vote > 0)) | ((before <= chosen.level) & (vote > chosen.level))
    down = ((cross < 0) & (vote < 0)) | ((before >= -chosen.level) & (vote < -chosen.level))
    signal = up.astype(np.float64) - down.astype(np.float64)
    value[: chosen.warm_up], signal[: chosen.warm_up] = NEUTRAL, 0.0
    return Mlmi(value=value, signal=signal, vote=vote, voters=voters)


def crosses(fast: Floats, slow: Floats) -> Floats:
    """+1 where `fast` comes above `slow` from at or below it on the bar before; -1 mirrored; else 0."""
    out = np.zeros(len(fast))
    if len(fast) > 1:
        now, before = (fast - slow)[1:], (fast - slow)[:-1]
        out[1:] = ((now > 0) & (before <= 0)).astype(np.float64) - ((now < 0) & (before >= 0))
    return out


def _votes(closes: Floats, places: Floats, at: Ints, chosen: MlmiSettings) -> tuple[Floats, Ints]:
    """Vote and number of voters at every bar; `at` are the bars of the crosses."""
    size = len(closes)
    vote, voters = np.zeros(size), np.zeros(size, dtype=np.int64)
    samples = at[np.isfinite(places[at]).all(axis=1)]
    labels = np.where(closes[samples[1:]] >= closes[samples[:-1]], 1.0, -1.0)
    ends = np.append(samples[2:], size)
    for known in range(1, len(samples)):
        # From this cross to the next, samples 0..known-1 have labels and sample `known` waits for its own.
        begin, end = int(samples[known]), int(ends[known - 1])
        oldest = max(0, known + 1 - chosen.samples_max)
        learned = places[samples[oldest:known]]
        vote[begin:end] = nearest_vote(places[begin:end], learned, labels[oldest:known], chosen.neighbours)
        voters[begin:end] = min(chosen.neighbours, known - oldest)
    return vote, voters


def nearest_vote(places: Floats, learned: Floats, labels: Floats, neighbours: int) -> Floats:
    """Sum of the labels of the nearest samples by Euclid; equally near ones oldest first."""
    if len(labels) <= neighbours:
        return np.full(len(places), labels.sum())
    distance = ((places[:, None, :] - learned[None, :, :]) ** 2).sum(axis=2)
    order = np.argsort(distance, axis=1, kind="stable")[:, :neighbours]
    return np.asarray(labels[order].sum(axis=1), dtype=np.float64)
