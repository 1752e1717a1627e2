"""Figures over the last bars: mean, standard deviation, z-score, correlation.

Law: windows are copied into rows of their own before they are summed, so an entry does not depend on how many
bars follow, to the last bit.  NaN before the first finite value is a warm-up and not a value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from grinder.marl.bars.closed import Floats

BLOCK = 1024
"""Windows copied at a time: bounds the memory of a long series."""

FLAT = 1e-12
"""A standard deviation below this is that of a constant."""


def rolling(
    values: Floats, window: int, figure: Callable[[Floats], Floats], least: int | None = None
) -> Floats:
    """`figure` of the last `window` values at every bar; shape (n,).

    Args:
        values: shape (n,), possibly NaN up to the first value.
        figure: (rows, width) -> (rows,), width being `window`, or less where `least` allows.
        least: how many values are enough; None asks for a full window.  NaN with fewer.
    """
    out = np.full(len(values), np.nan)
    finite = np.isfinite(values)
    if not finite.any():
        return out
    first = int(np.argmax(finite))
    body = values[first:]
    for size in range(least or window, min(window, len(body) + 1)):
        out[first + size - 1] = figure(body[None, :size])[0]
    if len(body) >= window:
        view = sliding_window_view(body, window)
        for at in range(0, len(view), BLOCK):
            rows = np.ascontiguousarray(view[at : at + BLOCK])
            start = first + window - 1 + at
            out[start : start + len(rows)] = figure(rows)
    return out


def rolling_mean(values: Floats, window: int, least: int | None = None) -> Floats:
    """Arithmetic mean of the last `window` values."""
    return rolling(values, window, lambda rows: rows.mean(axis=1), least)


def rolling_std(values: Floats, window: int, least: int | None = None) -> Floats:
    """Population standard deviation of the last `window` values."""
    return rolling(values, window, lambda rows: rows.std(axis=1), least)


def rolling_z(values: Floats, window: int, least: int) -> Floats:
    """(value - mean) / population standard deviation over the last `window` values, this one included.

    0 where fewer than `least` values are there or where they are all the same: nothing unusual can be said.
    """
    mean, std = rolling_mean(values, window, least), rolling_std(values, window, least)
    known = std > FLAT
    return np.where(known, (values - mean) / np.where(known, std, 1.0), 0.0)


def rolling_correlation(left: Floats, right: Floats, window: int, least: int) -> Floats:
    """Pearson correlation of the last `window` pairs, within [-1, 1]; 0 with fewer than `least` pairs or a
    flat side.

    A pair exists where both values are finite; each side may begin with NaN.
    """
    pairs = np.where(np.isfinite(left) & np.isfinite(right), left + 1j * right, np.nan)
    out = np.zeros(len(left))
    known = np.flatnonzero(np.isfinite(pairs))
    if len(known) < least:
        return out
    body = pairs[known[0] :]
    for size in range(least, min(window, len(body) + 1)):
        out[known[0] + size - 1] = _correlation(body[None, :size])[0]
    if len(body) >= window:
        view = sliding_window_view(body, window)
        for at in range(0, len(view), BLOCK):
            rows = np.ascontiguousarray(view[at : at + BLOCK])
            start = known[0] + window - 1 + at
            out[start : start + len(rows)] = _correlation(rows)
    return out


def _correlation(pairs: np.ndarray[tuple[int, ...], np.dtype[np.complex128]]) -> Floats:
    left = pairs.real - pairs.real.mean(axis=1, keepdims=True)
    right = pairs.imag - pairs.imag.mean(axis=1, keepdims=True)
    size = np.sqrt((left**2).mean(axis=1) * (right**2).mean(axis=1))
    known = size > FLAT**2
    covariance = (left * right).mean(axis=1)
    return np.where(known, np.clip(covariance / np.where(known, size, 1.0), -1.0, 1.0), 0.0)
