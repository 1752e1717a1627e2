"""Memory of a run stays where it is; the long measure is `make soak-memory`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from live_runs import REPO, opened_core

from actors.core import Core
from actors.records import LedgerRow
from domain.inputs import TickReport


class Forgetting:
    """A journal that keeps nothing."""

    def append(self, row: LedgerRow) -> None:
        """Let go of it."""

    def commit(self) -> None:
        """Nothing to do."""


@pytest.mark.slow
def test_an_accelerated_paper_run_holds_no_more_memory_at_the_end() -> None:
    """A whole run, with ledger, tape watcher, views of orders and metrics, over days of its market."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("memory_soak.py")), "40", "20000"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout
    found = json.loads(done.stdout)
    assert found["judged_hours"] > 10
    assert found["judged_inputs"] > 500
    assert found["mb_per_hour"] < 1.0, found
    assert -1 < found["last_mb"] - found["first_mb"] < 8, found


def test_ten_thousand_inputs_leave_nothing_behind_in_the_core() -> None:
    core: Core = opened_core()
    core.journal = Forgetting()
    price = TickReport(symbol="BTCUSDT", price_ticks=700_000)

    def feed(inputs: int, at: int) -> None:
        for number in range(inputs):
            core.learn(price, at + number)
            core.take_intents()

    feed(2_000, 10)
    tracemalloc.start()
    try:
        feed(1_000, 10_000)
        before, _ = tracemalloc.get_traced_memory()
        feed(10_000, 20_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert core.position > 13_000
    assert after - before < 100_000, f"{after - before} bytes over ten thousand inputs"
