"""Fixtures for the tests of views; the runs themselves are those of the projections' tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "projections"))
sys.path.append(str(Path(__file__).parent))

from ledger_files import LedgerFile


@pytest.fixture
def ledger_file(tmp_path: Path) -> Iterator[Callable[[str], LedgerFile]]:
    """Makes ledgers in folders of their own."""
    made: list[LedgerFile] = []

    def make(name: str = "run") -> LedgerFile:
        folder = tmp_path / f"{name}-{len(made)}"
        folder.mkdir()
        made.append(LedgerFile(folder))
        return made[-1]

    yield make
    for one in made:
        one.application.close()
