"""Processors are kept awake where that is asked for and may be had, for as long as the run lives."""

from __future__ import annotations

import os
from pathlib import Path

from live_runs import Running, process_of, status_of, wait_for, write_config

from grinder.live.awake import DEVICE, awake


def held(device: Path, process: int | str = "self") -> bool:
    """Whether a process has a file open."""
    folder = Path(f"/proc/{process}/fd")
    return any(os.path.realpath(one) == str(device) for one in folder.iterdir())


def test_the_device_is_asked_for_no_latency_and_let_go_at_the_end(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.touch()
    with awake(True, device) as kept:
        assert kept
        assert held(device)
        assert device.read_bytes() == bytes(4), "microseconds, as the kernel reads them"
    assert not held(device)


def test_nothing_is_asked_for_unless_it_is_wanted(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.touch()
    with awake(False, device) as kept:
        assert not kept
        assert not held(device)
    assert device.read_bytes() == b""


def test_where_it_may_not_be_had_the_run_goes_on(tmp_path: Path) -> None:
    for device in (tmp_path / "missing", tmp_path):
        with awake(True, device) as kept:
            assert not kept


def test_a_run_keeps_the_processors_awake_as_its_configuration_says(tmp_path: Path) -> None:
    write_config(tmp_path / "grinder.yaml", live={"disk_free_mb": 16, "keep_awake": True})
    run = tmp_path / "run"
    config, feed = tmp_path / "grinder.yaml", "generated:7@60"
    with Running(
        "paper", "-c", str(config), "--out", "run", "--feed", feed, "--json", cwd=tmp_path
    ) as running:
        wait_for(lambda: status_of(run).get("phase") == "trading", why="a run that trades")
        kept = held(DEVICE, process_of(run))
        running.process.terminate()
        _, _, said = running.ended()
    assert kept is os.access(DEVICE, os.W_OK)
    assert (b"the processors are not kept awake" in said) is not kept
