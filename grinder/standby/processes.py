"""Processes of this machine, told apart for certain, and a clock that all of them share.

Law: a process is its number and when it started, so a number that is used again is another process.  The
clock counts since the machine was booted, sleep included, and nobody can set it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import attrs

NS = 10**9

PROC = Path("/proc")

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ns() -> int:
    """Nanoseconds since the machine was booted."""
    return time.clock_gettime_ns(_CLOCK)


def boot_id() -> str:
    """What tells this boot of the machine from every other; empty where the system does not say."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@attrs.frozen
class ProcessId:
    """A process: its number, and its start in ticks of the system since the boot."""

    number: int
    started: int


def this_process() -> ProcessId:
    """The process that asks."""
    return ProcessId(os.getpid(), _started(os.getpid()))


def is_alive(process: ProcessId) -> bool:
    """Whether a process is there and could still do something; a dead one nobody waited for could not."""
    return bool(process.number) and _started(process.number) == process.started


def _started(number: int) -> int:
    """Start of a process; -1 when there is none, or only what is left of one."""
    try:
        told = (PROC / str(number) / "stat").read_text()
    except OSError:
        return -1
    # The name comes second, in parentheses, and may hold anything.
    fields = told[told.rindex(")") + 2 :].split()
    return -1 if fields[0] in ("Z", "X") else int(fields[19])
