"""A live run on an exchange is killed three hundred times: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("recovery_live_kills.py")

BATCHES = 15
KILLS = int(os.environ.get("GRINDER_LIVE_KILLS", "300")) // BATCHES
"""Kills of each batch, on one ledger and one exchange; more with ``GRINDER_LIVE_KILLS``."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(BATCHES))
def test_a_live_run_that_is_killed_at_any_moment_agrees_with_the_exchange_in_the_end(
    tmp_path: Path, seed: int
) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(KILLS), str(seed)],
        check=False,
        cwd=PROGRAM.parents[2],
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])},
        capture_output=True,
        timeout=KILLS * 10 + 420,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    kills = found["kills"]
    assert len(kills) == KILLS
    assert [one for one in kills if not one["ok"]] == [], "a ledger that does not verify"
    assert [one for one in kills if one["status"] != -9] == [], "a process that ended by itself"
    records = [one["records"] for one in kills]
    assert records == sorted(records), "a record that was there is gone"
    assert len(set(records)) > KILLS // 4, "the kills hit the run at work, not only its starts"
    assert found["last"] == {"status": 0, "said": ""}
    assert found["fills_booked"] > 0
    assert found["fills_equal"] and not found["fills_twice"]
    assert found["ids_twice"] == [], "an order that was sent twice"
    assert found["left_open"] == [], "an orphan"
    assert found["books_open"] == []
    assert found["balances_equal"], found["amounts"]
    assert found["residual"] == "0"
