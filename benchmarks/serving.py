"""`grinder ui` as users start it, and questions to it over HTTP.

Law: a process of its own, asked over a socket; what is measured holds everything between the two.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

CALLS_A_MINUTE = 290
"""What one caller may ask; who asks more is answered 429."""


@contextmanager
def serving(folder: Path, home: Path) -> Iterator[str]:
    """The address of `grinder ui` on a run.

    Args:
        home: where users and the audit log are kept.
    """
    arguments = ["ui", str(folder), "--port", "0", "--json"]
    program = [sys.executable, "-m", "grinder", *arguments]
    environment = {"GRINDER_ACCESS_FILE": str(home / "access.db"), "HOME": str(home), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        program, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[1]
    )
    try:
        assert process.stdout is not None
        told = b""
        while not told.rstrip().endswith(b"}"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server did not start")
            told += line
        yield json.loads(told)["address"]
    finally:
        process.terminate()
        process.wait(20)


def asked(address: str, path: str) -> tuple[float, Any]:
    """(seconds until the last byte of the answer, the answer)."""
    started = perf_counter()
    with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
        body = answer.read()
    return perf_counter() - started, json.loads(body)


def in_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in ms."""
    ordered = sorted(seconds)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e3, 1),
        "max_ms": round(ordered[-1] * 1e3, 1),
    }
