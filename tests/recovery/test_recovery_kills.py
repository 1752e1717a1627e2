"""A run that was ended at any moment goes on to the end an undisturbed one has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_ledgers import REPO

PROGRAM = Path(__file__).with_name("recovery_kills.py")
SEEDS = (20240611, 20240612)
"""One for each of two processes; the moments drawn are the same every time, what they hit is not."""


def findings(folder: Path, what: str, count: int) -> list[tuple[int, dict[str, Any]]]:
    """(seed, findings) of programs that ran side by side."""
    started = []
    for seed in SEEDS:
        (folder / str(seed)).mkdir()
        arguments = [sys.executable, str(PROGRAM), str(folder / str(seed)), what, str(count), str(seed)]
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        started.append(
            subprocess.Popen(
                arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
            )
        )
    found = []
    for seed, process in zip(SEEDS, started, strict=True):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, f"seed {seed}: {err}"
        found.append((seed, json.loads(out)))
    return found


def check_continued(whole: dict[str, Any], seed: int) -> None:
    """Whatever was left verifies, and what came of it is the undisturbed run."""
    for number, one in enumerate(whole["signals"]):
        where = f"seed {seed}, signal {number}: {one}"
        assert one["ok"], where
        assert one["ok_after"], where
        assert one["head"] == whole["head"], where
        assert one["residual"] == "0", where
        assert one["resumed"] <= whole["records"], where
        left = one.get("again", one)
        assert left["ok"], where
        assert one["resumed"] == left["records"], f"what was durable is compared, not written again; {where}"


@pytest.mark.slow
def test_a_run_killed_at_any_of_200_moments_goes_on_to_the_same_head(tmp_path: Path) -> None:
    positions: set[int] = set()
    moments: set[str] = set()
    killed = 0
    for seed, whole in findings(tmp_path, "kill", 100):
        check_continued(whole, seed)
        for one in whole["signals"]:
            killed += one["status"] == -9
            assert one["replays"], f"a kill cut an input's events apart; seed {seed}: {one}"
            positions.add(one["records"])
            middle = 0 < one["records"] < whole["records"]
            moments.add("middle" if middle else "begun" if one["begun"] else "before")
            if one["records"] == whole["records"]:
                moments.add("finished" if one["finished"] else "unfinished")
    assert killed == 200
    assert len(positions) >= 40, "the kills hit few different positions"
    assert {"before", "middle", "finished"} <= moments, "a kind of moment was never hit"


@pytest.mark.slow
def test_a_run_interrupted_at_any_moment_goes_on_to_the_same_head(tmp_path: Path) -> None:
    statuses: list[int] = []
    for seed, whole in findings(tmp_path, "interrupt", 20):
        check_continued(whole, seed)
        statuses += [one["status"] for one in whole["signals"]]
        for one in whole["signals"]:
            told = "run the same command again to go on" in one["said"]
            assert told == (one["status"] == 130), f"seed {seed}: {one}"
    assert statuses.count(130) >= 15
    assert -999 not in statuses, "an interrupted run hung"
