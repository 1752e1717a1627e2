"""The search for the next wanted row against a scan of every row."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import QUICK

from replay.search import BLOCK, ExtremeIndex


def scan(low: list[int], high: list[int], start: int, le: int | None, ge: int | None) -> int | None:
    """The first row at or after `start` that is wanted."""
    for row in range(start, len(low)):
        if (le is not None and low[row] <= le) or (ge is not None and high[row] >= ge):
            return row
    return None


def indexed(low: list[int], high: list[int]) -> ExtremeIndex:
    return ExtremeIndex(np.array(low, dtype=np.int64), np.array(high, dtype=np.int64))


SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1]

bounds = st.none() | st.integers(-5, 105) | st.sampled_from([-(1 << 70), (1 << 63) - 1, 1 << 70])


@QUICK
@given(
    size=st.sampled_from([*SIZES, 3, 17]),
    seed=st.integers(0, 10**6),
    start=st.integers(0, 2 * BLOCK + 2),
    le=bounds,
    ge=bounds,
)
def test_the_first_wanted_row_is_the_one_a_scan_finds(
    size: int, seed: int, start: int, le: int | None, ge: int | None
) -> None:
    chance = random.Random(seed)
    low = [chance.randrange(101) for _ in range(size)]
    high = [chance.randrange(101) for _ in range(size)]
    assert indexed(low, high).first(start, le, ge) == scan(low, high, start, le, ge)


@pytest.mark.parametrize("size", SIZES)
def test_a_single_wanted_row_is_found_wherever_it_lies(size: int) -> None:
    for place in {0, size // 2, size - 1, BLOCK - 1, BLOCK} & set(range(size)):
        low, high = [50] * size, [50] * size
        low[place] = 10
        rows = indexed(low, high)
        for start in sorted({0, place - 1, place, place + 1} & set(range(size + 1))):
            expected = place if start <= place else None
            assert rows.first(start, 10, None) == expected
            assert rows.first(start, 10, 51) == expected
            assert rows.first(start, 9, 51) is None


def test_without_a_bound_nothing_is_wanted() -> None:
    assert indexed([1, 2], [1, 2]).first(0, None, None) is None


def test_a_bound_is_inside() -> None:
    rows = indexed([10, 20, 30], [10, 20, 30])
    assert rows.first(1, 19, None) is None
    assert rows.first(1, 20, None) == 1
    assert rows.first(0, None, 30) == 2
    assert rows.first(0, None, 31) is None
