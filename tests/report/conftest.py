"""Small runs on generated markets, with their views, for the tests of reports."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from grinder import __version__
from grinder.commands.backtest import execute
from grinder.config import config_as_dict, load_config
from grinder.run_folder import RunFolder
from grinder.views.store import update
from grinder.wiring import data_digest, ledger_id_of
from replay.generated import MarketShape, generate

BTC = MarketShape(rows=12_000, spacing_ns=20 * 10**9)
ETH = attrs.evolve(BTC, symbol="ETHUSDT", tick=Decimal("0.01"), start_ticks=300_000, reach_ticks=6_000)

SETTINGS: dict[str, Any] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {
        "BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"},
        "ETHUSDT": {
            "kind": "linear",
            "tick": "0.01",
            "lot": "0.001",
            "min_notional": "5",
            "funding_rate_bps": "1",
        },
    },
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "long",
            "spacing": "geometric",
            "lower_price": "60500",
            "upper_price": "63000",
            "grid_number": 40,
            "quote_investment": "8000",
            "initial_inventory": "buy",
            "stop_loss_price": "40000",
            "take_profit_price": "63500",
        },
        {
            "symbol": "ETHUSDT",
            "mode": "neutral",
            "spacing": "uniform",
            "center_price": "2970",
            "spacing_bps": "8",
            "levels_per_side": 16,
            "quantity": "0.05",
        },
    ],
}


def settings(*symbols: str, **of_the_grid: object) -> dict[str, Any]:
    """The settings above for some symbols, their grids changed in some places."""
    found = copy.deepcopy(SETTINGS)
    found["grids"] = [{**grid, **of_the_grid} for grid in found["grids"] if grid["symbol"] in symbols]
    found["instruments"] = {symbol: found["instruments"][symbol] for symbol in symbols}
    return found


def run_into(path: Path, chosen: dict[str, Any], *shapes: MarketShape) -> RunFolder:
    """Run generated markets into a folder and project them."""
    config = load_config([], {}, chosen)
    markets = {shape.symbol: generate(shape, 3) for shape in shapes}
    digest = data_digest(markets)
    ledger_id = ledger_id_of(config, digest, 7)
    manifest = {
        "kind": "backtest",
        "program": __version__,
        "ledger_id": ledger_id,
        "seed": 7,
        "config": config_as_dict(config),
        "data": {"sha256": digest, "arguments": ["somewhere/market.csv"]},
    }
    folder = RunFolder(path)
    folder.create()
    execute(config, markets, folder, ledger_id, 7, manifest, lambda stage, done, total: None)
    update(folder.path)
    return folder


@pytest.fixture(scope="session")
def two_symbols(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A long spot grid and a neutral one on a perpetual."""
    path = tmp_path_factory.mktemp("report") / "two symbols"
    return run_into(path, settings("BTCUSDT", "ETHUSDT"), BTC, ETH)


@pytest.fixture
def without_fills(tmp_path: Path) -> RunFolder:
    """A grid that the price never reaches."""
    changes = {"lower_price": "20000", "upper_price": "30000", "initial_inventory": "none"}
    stops = {"stop_loss_price": None, "take_profit_price": None}
    return run_into(tmp_path / "quiet", settings("BTCUSDT", **changes, **stops), BTC)
