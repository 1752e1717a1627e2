"""A generated market: seeded trades and quotes with ranges, trends and jumps.

Law: the same seed gives the same rows on every machine: integers drawn from a named stream, no float.  It is
for demonstrations and tests; it says nothing about how much a grid earns on a real market.
"""

from __future__ import annotations

import random
from decimal import Decimal
from hashlib import sha256

import attrs
import numpy as np

from replay.ticks import TickOrigin, Ticks


@attrs.frozen(kw_only=True)
class MarketShape:
    """What to generate.

    Attributes:
        start_ticks: first price.
        rows: number of trades.
        spacing_ns: mean time between trades.
        reach_ticks: how far a range swings to each side of its middle.
        jump_every: about one jump in this many rows.
    """

    symbol: str = "BTCUSDT"
    start_ticks: int = 610_000
    rows: int = 120_000
    spacing_ns: int = 720_000_000
    start_ns: int = 1_700_006_400 * 10**9
    reach_ticks: int = 9_000
    jump_every: int = 20_000
    tick: Decimal = Decimal("0.1")
    lot: Decimal = Decimal("0.001")


RANGE, UP, DOWN = "range", "up", "down"

_REGIMES = (RANGE, RANGE, RANGE, UP, DOWN)


def generate(shape: MarketShape, seed: int) -> Ticks:
    """Rows of a market of this shape; equal seeds give equal rows."""
    chance = random.Random(sha256(f"{seed}/market/{shape.symbol}".encode()).digest())
    draw = chance.randrange
    size = shape.rows
    ts, mid = np.empty(size, np.int64), np.empty(size, np.int64)
    side, qty = np.empty(size, np.int64), np.empty(size, np.int64)
    now, price, middle = shape.start_ns, shape.start_ticks, shape.start_ticks
    regime, left = RANGE, 0
    for row in range(size):
        if left == 0:
            regime, left = _REGIMES[draw(len(_REGIMES))], 1_000 + draw(6_000)
            middle = (price + shape.start_ticks) // 2
        left -= 1
        now += 1 + draw(2 * shape.spacing_ns)
        price = max(1, price + _move(shape, regime, price, middle, draw(1 << 30)))
        ts[row], mid[row] = now, price
        side[row] = 1 if draw(2) else -1
        qty[row] = 1 + draw(200)
    half = 1
    bid, ask = mid - half, mid + half
    traded = np.where(side > 0, ask, bid)
    sizes = 200 + (qty * 37) % 900
    return Ticks(
        symbol=shape.symbol,
        origin=TickOrigin.TRADES_AND_QUOTES,
        tick=shape.tick,
        lot=shape.lot,
        ts=ts,
        price=traded,
        low=traded,
        high=traded,
        qty=qty,
        side=side,
        bid=bid,
        ask=ask,
        bid_qty=sizes,
        ask_qty=sizes[::-1].copy(),
    )


def _move(shape: MarketShape, regime: str, price: int, middle: int, chance: int) -> int:
    """Change of the mid price in ticks: noise, the regime's pull, now and then a jump."""
    noise = chance % 121 - 60
    if chance % shape.jump_every == 0:
        return noise * 40
    if regime == RANGE:
        return noise - (price - middle) * 60 // (shape.reach_ticks * 4)
    return noise + (3 if regime == UP else -3)
