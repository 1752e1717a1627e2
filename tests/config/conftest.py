"""A sound configuration to break, and a way to write it down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

SOUND: Final = """\
version: 1
account:
  quote: USDT
  balance: "10000"
  fees: {maker_bps: "1", taker_bps: "5"}
fills: {model: touch}
instruments:
  BTCUSDT: {kind: spot, tick: "0.1", lot: "0.001"}
  ETHUSDT: {kind: linear}
risk: {orders_per_minute: 60}
run: {mark_interval_seconds: 300}
grids:
  - symbol: BTCUSDT
    mode: long
    spacing: arithmetic
    lower_price: "60000"
    upper_price: "63000"
    grid_number: 20
    quote_investment: "5000"
  - symbol: ETHUSDT
    mode: neutral
    spacing: geometric
    center_price: "3000"
    spacing_bps: "20"
    levels_per_side: 10
    quantity: "0.01"
"""


@pytest.fixture
def sound() -> str:
    """Text of a configuration without a problem."""
    return SOUND


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Write text to a file and return its path; the file is called grinder.yaml unless named."""

    def write(text: str, name: str = "grinder.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
