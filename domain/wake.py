"""When an actor wants to hear of the market.

Law (the wake contract): an actor's decision on a tick is non-empty exactly when the tick is inside its wake.
So a driver may skip every tick outside it, and a backtest that jumps decides what a live run decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Wake(NamedTuple):
    """Inside is: at or below `price_le`, at or above `price_ge`, or at or after `at_ns`; None never."""

    price_le: int | None = None
    price_ge: int | None = None
    at_ns: int | None = None


ASLEEP = Wake()
ALWAYS = Wake(at_ns=0)


def inside(wake: Wake, now_ns: int, price_ticks: int) -> bool:
    """Whether a tick is one the actor asked for."""
    le, ge, at = wake
    return (
        (le is not None and price_ticks <= le)
        or (ge is not None and price_ticks >= ge)
        or (at is not None and now_ns >= at)
    )


def joined(one: Wake, other: Wake) -> Wake:
    """A wake whose inside is the union of both."""
    return Wake(
        _pick(one.price_le, other.price_le, max),
        _pick(one.price_ge, other.price_ge, min),
        _pick(one.at_ns, other.at_ns, min),
    )


def _pick(a: int | None, b: int | None, choose: Callable[[int, int], int]) -> int | None:
    if a is None:
        return b
    if b is None:
        return a
    return choose(a, b)
