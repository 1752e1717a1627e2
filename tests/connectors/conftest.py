"""What tests of connectors share."""

from __future__ import annotations

from pathlib import Path

import pytest
from kraken_listed import SHARED


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded payloads beside the checkout; skips where there is none."""
    found = SHARED / "fixtures" / "kraken"
    if not found.is_dir():
        pytest.skip("no recorded payloads beside the checkout")
    return found
