"""What the tables of the views refuse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from small_ledgers import run_into, trades_file


def test_a_symbol_has_one_position(tmp_path: Path) -> None:
    run_into(tmp_path / "run", trades_file(tmp_path / "trades.csv", 2_000))
    with closing(sqlite3.connect(tmp_path / "run" / "views.db", isolation_level=None)) as views:
        assert views.execute("SELECT symbol FROM positions").fetchall() == [("BTCUSDT",)]
        with pytest.raises(sqlite3.IntegrityError, match=r"positions\.symbol"):
            views.execute("INSERT INTO positions SELECT * FROM positions")
