"""The tests of faults use the small ledgers and the small live runs of other rooms."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "ledger"), str(HERE.parents[1] / "live")]

from fault_runs import played, records_of  # noqa: E402
from small_ledgers import SETTINGS, run_into, trades_file  # noqa: E402

from actors.records import LedgerRow  # noqa: E402


@pytest.fixture(scope="session")
def paper_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished paper run."""
    folder = tmp_path_factory.mktemp("paper") / "run"
    played(folder)
    return folder


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[LedgerRow]:
    """A thousand records of a run."""
    folder = tmp_path_factory.mktemp("recorded")
    grid = {**SETTINGS["grids"][0], "grid_number": 60}
    settings = {**SETTINGS, "run": {"mark_interval_seconds": 60}, "grids": [grid]}
    run_into(folder / "run", trades_file(folder / "trades.csv", 8_000), settings)
    return records_of(folder / "run" / "ledger.db")


@pytest.fixture
def no_engine_warning(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the warning of the engine be said anew in this test."""
    from grinder.ledger.engine import warn_of_engine

    warn_of_engine.cache_clear()
    yield
    warn_of_engine.cache_clear()
