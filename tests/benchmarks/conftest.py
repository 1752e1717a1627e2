"""A short ledger for the benchmarks that run on a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import long_ledger


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, made as the long one is."""
    return long_ledger.make(tmp_path_factory.mktemp("bench") / "short", rows=2_000)
