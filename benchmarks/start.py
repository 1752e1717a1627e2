"""How long `grinder --help` takes, against an interpreter that does nothing.

Law: whole processes, from outside.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

ROUNDS = 9


def _seconds(*command: str) -> float:
    started = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


def run(path: Path | None) -> dict[str, Any]:
    """Median wall seconds."""
    bare = [_seconds(sys.executable, "-c", "pass") for _ in range(ROUNDS)]
    ours = [_seconds(sys.executable, "-m", "grinder", "--help") for _ in range(ROUNDS)]
    return {
        "help_s": round(statistics.median(ours), 3),
        "bare_interpreter_s": round(statistics.median(bare), 3),
        "ratio": round(statistics.median(ours) / statistics.median(bare), 1),
    }
