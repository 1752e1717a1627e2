"""Transition probabilities of a chain of states, counted over its latest ones.

Law: counts leave with the window, so an old market does not speak for the present one.  A state that was
never left within it has no counts: then the prior row speaks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grinder.marl.bars.closed import Floats

WINDOW = 50
ALPHA = 0.1
"""Pseudo-count of every transition (additive smoothing)."""


def transition_row(states: Sequence[int], prior: Floats, window: int = WINDOW) -> Floats:
    """Probabilities of the next state, given the last; sums to 1.

    (n_j + alpha) / (n + k alpha) over the transitions within the last `window` states that leave the last
    state, k the number of states; the prior's row with none.

    Args:
        states: 0..k-1, oldest first, at least one.
        prior: (k, k), rows sum to 1.
    """
    recent = np.asarray(states[-window:], dtype=np.int64)
    current = int(recent[-1])
    counts = np.bincount(recent[1:][recent[:-1] == current], minlength=len(prior)).astype(np.float64)
    total = counts.sum()
    if total == 0:
        return np.array(prior[current], dtype=np.float64)
    return np.asarray((counts + ALPHA) / (total + len(prior) * ALPHA), dtype=np.float64)
