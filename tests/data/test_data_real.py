"""The recorded files load with the row counts their README states; skipped where they are absent."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from grinder.data import DataArgument, describe, load, verify
from replay.ticks import TickOrigin

pytestmark = pytest.mark.real_data

ROW = re.compile(r"^\| (\S+\.(?:gz|csv|zip|feather|parquet)) \| \d+ \| (\d+) \|", re.MULTILINE)
HEADER_COUNTED = {"trades/ETHUSDT_usdm_public_trades_20230202.csv"}
"""The README counts this file's header as a row."""
NO_EVENTS = {"cryptofeed_tape/BINANCE.0.gz", "cryptofeed_tape/BINANCE.http.0.0.gz"}
"""REST replies only."""
ONE_SIDED = {"binance_depth_csv/btcusdt-depth-snap.csv"}
"""The first 99 levels of one side: no quote can be told from it."""
OTHER_EXCHANGES = re.compile(r"cryptofeed_tape/(OKX|KRAKEN)")


def listed(real_data: Path) -> dict[str, int]:
    """Files of the formats read here, with the rows the README states."""
    rows = {name: int(count) for name, count in ROW.findall((real_data / "README.md").read_text())}
    return {name: count for name, count in rows.items() if not OTHER_EXCHANGES.match(name)}


def test_every_file_is_described_with_the_rows_of_its_readme(real_data: Path) -> None:
    files = listed(real_data)
    assert len(files) > 40
    for name, rows in files.items():
        found = describe(real_data / name)
        assert found.rows == rows - (name in HEADER_COUNTED), name
        assert found.format != "unknown", name


def test_every_file_loads_sorted(real_data: Path) -> None:
    for name in listed(real_data):
        fatal = [fault.code for fault in verify(real_data / name) if fault.fatal]
        if name in NO_EVENTS | ONE_SIDED:
            assert fatal == ["data.empty"], name
            continue
        assert not fatal, name
        symbol = None if "tape" in name else "X"
        for ticks in load([DataArgument(real_data / name, symbol)], symbols={}, default_symbol=None).values():
            assert (np.diff(ticks.ts) >= 0).all(), name
            assert ticks.off_tick_rows == 0, name
            assert (ticks.price > 0).all(), name


@pytest.mark.parametrize(
    ("name", "symbol", "tick", "lot", "trades"),
    [
        ("spot_btcusdt", "BTCUSDT", "0.01", "0.00001", 9757),
        ("spot_ethusdt", "ETHUSDT", "0.01", "0.0001", 6106),
        ("usdm_btcusdt", "BTCUSDT", "0.1", "0.001", 21313),
        ("cm_btcusd_perp", "BTCUSD_PERP", "0.1", "1", 2286),
    ],
)
def test_binance_tapes_have_no_holes(
    real_data: Path, name: str, symbol: str, tick: str, lot: str, trades: int
) -> None:
    path = real_data / "binance_ws_tape" / f"{name}_20240808.gz"
    assert verify(path) == []
    found = describe(path)
    assert (found.symbol, found.tick, found.lot) == (symbol, tick, lot)
    ticks = load([DataArgument(path)], symbols={}, default_symbol=None)[symbol]
    assert ticks.side is not None and np.count_nonzero(ticks.side) == trades
    assert ticks.bid is not None and ticks.ask is not None and (ticks.bid <= ticks.ask).all()


def test_the_candles_of_2020_miss_542_minutes(real_data: Path) -> None:
    """541 rows fewer than minutes, and one minute stands there twice."""
    for name in ("LINK_BTC", "BAT_BTC"):
        found = describe(real_data / f"candles_1m/binance_spot_2020-02_03/{name}-1m.json.gz")
        assert (found.missing, found.faults["data.duplicate"]) == (542, 1)
        assert found.rows + found.missing - 1 == found.span_seconds // 60 + 1


def test_candles_of_five_minutes_are_told_from_their_steps(real_data: Path) -> None:
    found = describe(real_data / "candles_5m/LTC_BTC-5m.feather")
    assert (found.bar_seconds, found.tick, found.gaps) == (300, "0.00000001", 0)


def test_files_of_one_market_merge(real_data: Path) -> None:
    folder = real_data / "hyperliquid"
    paths = [folder / f"BTC_{what}_20250904.csv.gz" for what in ("orderbooks", "prices", "trades")]
    ticks = load([DataArgument(path, "BTC") for path in paths], symbols={}, default_symbol=None)["BTC"]
    assert ticks.origin is TickOrigin.TRADES_AND_QUOTES
    assert len(ticks) == 3785 + 27792 // 2 + 6675
    assert Decimal(int(ticks.price.min())) > 100_000
