"""A finished run, and one under way, for all tests of the API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ledger"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a backtest; the tests only read it."""
    from small_ledgers import run_into, trades_file

    home = tmp_path_factory.mktemp("web")
    run_into(home / "finished", trades_file(home / "trades.csv", 20_000))
    return home / "finished"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a paper run that trades while the tests command it."""
    from live_runs import Running, trading, write_config

    home = tmp_path_factory.mktemp("live")
    config = write_config(home / "grinder.yaml")
    run = home / "paper"
    arguments = ("paper", "-c", str(config), "--out", "paper", "--feed", "generated:7@60", "--json")
    with Running(*arguments, cwd=home):
        trading(run)
        yield run
