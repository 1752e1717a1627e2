"""Recorded candles become matrices that look like a market's; skipped where the recordings are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grinder.data import read_file
from grinder.marl.bars.candles import bars_of_table, tactical_bars
from grinder.marl.matrices.assembling import Matrices, assemble, at, rows
from grinder.marl.matrices.features import features
from grinder.marl.matrices.regime import regime_at
from grinder.marl.schema import REGIME, STRATEGIC, TACTICAL

pytestmark = pytest.mark.real_data

CANDLES = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(
    params=["candles_5m/ETH_BTC-5m.feather", "candles_1m/binance_spot_2020-02_03/LINK_BTC-1m.json.gz"]
)
def recorded(request: pytest.FixtureRequest) -> Path:
    path = CANDLES / str(request.param)
    if not path.is_file():
        pytest.skip("no recorded market data beside the checkout")
    return path


def test_recorded_candles_give_matrices_in_which_every_column_lives(recorded: Path) -> None:
    bars = tactical_bars(bars_of_table(read_file(recorded).tables[0]))
    found = features(bars)
    scaled = rows(found)
    made = at(scaled, len(bars) - 1)
    again = assemble(bars)
    assert isinstance(made, Matrices)
    assert isinstance(again, Matrices)
    for name in ("strategic", "tactical", "regime"):
        assert np.array_equal(getattr(made, name), getattr(again, name)), name
    assert made.counted_non_finite == 0
    for whole, schema in (
        (scaled.strategic, STRATEGIC),
        (scaled.tactical, TACTICAL),
        (scaled.regime, REGIME),
    ):
        for place, name in enumerate(schema.columns):
            late = whole[len(whole) // 2 :, place]
            assert np.isfinite(late).all(), name
            assert late.std() > 0.01, name
    told = regime_at(found, len(bars) - 1)
    assert told is not None
    assert told.probabilities.sum() == pytest.approx(1.0)
