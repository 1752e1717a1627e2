"""Runs to travel from: backtests of three kinds, and one as a paper run would have left it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for room in ("ledger", "live", "projections", "travel"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / room))


@pytest.fixture(scope="session")
def spot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long spot grid with initial inventory."""
    from travel_runs import SPOT, backtest_into

    return backtest_into(tmp_path_factory.mktemp("spot"), SPOT)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same under latencies that are drawn, with fills limited by volume."""
    from travel_runs import SLOW, backtest_into

    return backtest_into(tmp_path_factory.mktemp("slow"), SLOW)


@pytest.fixture(scope="session")
def perpetual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neutral grid on a perpetual with funding."""
    from travel_runs import PERPETUAL, backtest_into

    return backtest_into(tmp_path_factory.mktemp("perpetual"), PERPETUAL)


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the live session on the simulated exchange, over a market its feed names."""
    from travel_runs import paper_into

    return paper_into(tmp_path_factory.mktemp("paper") / "run")
