"""What the benchmarks run on: a grid and a market.

Law: the same grid for every figure: neutral, centered, touch, no fees, no limits.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from grinder.config import Config, load_config
from grinder.data import DataArgument, InstrumentScale, load
from replay.generated import MarketShape, generate
from replay.ticks import Ticks

SYMBOL = "BTCUSDT"


def config(levels: int, spacing_bps: str, center: str) -> Config:
    """A neutral grid of `levels` a side."""
    grid = {
        "symbol": SYMBOL,
        "mode": "neutral",
        "spacing": "geometric",
        "center_price": center,
        "spacing_bps": spacing_bps,
        "levels_per_side": levels,
        "quantity": "0.001",
    }
    return load_config(
        [],
        {},
        {
            "account": {"balance": "100000", "fees": {"maker_bps": "0", "taker_bps": "0"}},
            "instruments": {SYMBOL: {"kind": "linear", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
            "grids": [grid],
        },
    )


def market(path: Path | None) -> tuple[Ticks, str]:
    """Rows and the price to center the grid on."""
    if path is None:
        ticks = generate(MarketShape(symbol=SYMBOL, start_ticks=500_000, rows=1_000_000), seed=5)
    else:
        scale = InstrumentScale(tick=Decimal("0.1"), lot=Decimal("0.001"))
        ticks = load(
            [DataArgument(path, SYMBOL)], symbols={SYMBOL: scale}, default_symbol=SYMBOL, sizes=False
        )[SYMBOL]
    return ticks, "50000"
