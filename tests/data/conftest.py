"""Fixtures of the market data tests."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """The folder of recorded market data beside the checkout; skips where there is none."""
    if not REAL_DATA.is_dir():
        pytest.skip("no recorded market data beside the checkout")
    return REAL_DATA
