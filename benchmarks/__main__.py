"""`python -m benchmarks [NAME ...] [--ticks FILE.npz]`: run some or all benchmarks.

Law: one module per figure, each with `run(ticks) -> dict`.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks import (
    append,
    auditing,
    dashboard,
    explaining,
    grid,
    latency,
    long_ledger,
    replaying,
    restart,
    scrub,
    sockets,
    start,
)

BENCHMARKS = {
    "append": append.run,
    "audit": auditing.run,
    "dashboard": dashboard.run,
    "explain": explaining.run,
    "grid": grid.run,
    "latency": latency.run,
    "ledger": long_ledger.run,
    "replay": replaying.run,
    "restart": restart.run,
    "scrub": scrub.run,
    "sockets": sockets.run,
    "start": start.run,
}


def main() -> None:
    """Read the arguments, run, print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--ticks", type=Path, help="column archive (.npz); a generated market by default")
    arguments = parser.parse_args()
    for name in arguments.names or BENCHMARKS:
        figures = BENCHMARKS[name](arguments.ticks)
        print(json.dumps({"name": name, **figures, "load1": round(os.getloadavg()[0], 2)}), flush=True)


main()
