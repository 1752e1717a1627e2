"""A finished small run, made once; tests copy it before they change it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_ledgers import run_into, trades_file


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of some hundred records."""
    folder = tmp_path_factory.mktemp("finished")
    run_into(folder / "run", trades_file(folder / "trades.csv", 20_000))
    return folder / "run"
