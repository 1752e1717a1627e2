"""The tests of this room use the small runs of the ledger's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ledger"))


@attrs.frozen
class Home:
    """A folder with a market, a configuration and a finished run of both."""

    path: Path

    @property
    def yaml(self) -> str:
        return str(self.path / "grinder.yaml")

    @property
    def data(self) -> str:
        return str(self.path / "trades.csv")

    @property
    def run(self) -> str:
        return str(self.path / "run")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    from small_ledgers import SETTINGS, run_into, trades_file, yaml_of

    folder = tmp_path_factory.mktemp("home")
    run_into(folder / "run", trades_file(folder / "trades.csv", 20_000))
    (folder / "grinder.yaml").write_text(yaml_of(SETTINGS))
    return Home(folder)
