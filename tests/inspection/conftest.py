"""Runs for the tests of the reading tools: a backtest with an inventory cap, and a story told by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for room in ("ledger", "live"):
    sys.path.insert(0, str(HERE.parent / room))
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose inventory cap kept orders back."""
    from small_ledgers import SETTINGS, run_into, trades_file

    folder = tmp_path_factory.mktemp("capped")
    grid = {**SETTINGS["grids"][0], "lower_price": "59500", "upper_price": "62500", "grid_number": 60}
    settings = {
        **SETTINGS,
        "risk": {
            "session_drawdown_pct": "20",
            "daily_drawdown_pct": "20",
            "inventory_max_quote": "4400",
            "orders_per_minute": 200,
        },
        "grids": [{**grid, "initial_inventory": "none"}],
    }
    run_into(folder / "run", trades_file(folder / "trades.csv", 20_000), settings)
    return folder / "run"


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """A run with a fill, a part of one, a rejection, silence, and a pause; see `stories`."""
    from stories import told

    return told(tmp_path / "run")
