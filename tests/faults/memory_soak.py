"""Memory of a paper run over weeks of its market: a process of its own, so nothing else is in the figure.

Law: measures what the system says the process holds (resident memory) against the time of the market, after a
part that fills caches; a straight line through the samples is the growth.

    python tests/faults/memory_soak.py [HOURS] [SPEED]     hours of the market, and how much faster it passes

prints one JSON object: inputs, records, fills, hours, MB at the start and the end, MB per hour of the market
and per thousand inputs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("live", "faults")]

import fault_runs  # noqa: E402
from live_runs import SETTINGS  # noqa: E402

from domain.record import Record  # noqa: E402
from grinder.errors import ExitStatus  # noqa: E402
from grinder.live.run import LiveRun  # noqa: E402

ROWS_PER_HOUR = 5_000
SAMPLES_PER_HOUR = 60
WARM_SHARE = 0.3
"""Of the run, before memory is judged: what is loaded and cached once is no growth."""

LIVELY: dict[str, Any] = {
    **SETTINGS,
    "grids": [{**SETTINGS["grids"][0], "grid_number": 120, "lower_price": "60300", "upper_price": "61700"}],
}


def resident_mb() -> float:
    """Memory this process holds, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line that fits best."""
    count = len(points)
    mean_x, mean_y = (sum(one[axis] for one in points) / count for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


class Sampler:
    """Looks at the process's memory as the market's time passes."""

    def __init__(self) -> None:
        self.inputs = 0
        self.next_ns = 0
        self.points: list[tuple[float, int, float]] = []
        self.run: LiveRun | None = None

    def watch(self, run: LiveRun) -> None:
        self.run = run
        run.learn = self._after(run.learn)  # type: ignore[method-assign]

    def _after(self, learn: Callable[[Record], int]) -> Callable[[Record], int]:
        def looked(report: Record) -> int:
            position = learn(report)
            self.inputs += 1
            assert self.run is not None
            now = self.run.clock()
            feed = self.run.tasks.get("feed 0")
            # A market that has ended is let go of, which would hide what has grown.
            if now >= self.next_ns and feed is not None and not feed.done():
                self.next_ns = now + 3_600 * 10**9 // SAMPLES_PER_HOUR
                self.points.append((now / 3.6e12, self.inputs, resident_mb()))
            return position

        return looked


def measured(folder: Path, hours: float, speed: int) -> dict[str, Any]:
    """One run, and how its memory grew."""
    fault_runs.SPEED, fault_runs.LONGEST_S = speed, 24 * 3_600
    live = {**LIVELY, "account": SETTINGS["account"]}
    sampler = Sampler()
    spec = fault_runs.paper_spec(rows=int(hours * ROWS_PER_HOUR), speed=speed, settings=live)
    began = time.monotonic()
    status = fault_runs.played(folder, sampler.watch, spec=spec)
    assert status is ExitStatus.DONE, status
    assert sampler.run is not None
    warm = sampler.points[int(len(sampler.points) * WARM_SHARE) :]
    return {
        "hours": round(sampler.points[-1][0] - sampler.points[0][0], 2),
        "judged_hours": round(warm[-1][0] - warm[0][0], 2),
        "inputs": sampler.inputs,
        "judged_inputs": warm[-1][1] - warm[0][1],
        "records": sampler.run.core.position,
        "fills": sampler.run.noted.fills,
        "orders_in_books": len(sampler.run.books().orders),
        "first_mb": round(warm[0][2], 2),
        "last_mb": round(warm[-1][2], 2),
        "mb_per_hour": round(slope([(at, mb) for at, _, mb in warm]), 4),
        "mb_per_thousand_inputs": round(slope([(count / 1_000, mb) for _, count, mb in warm]), 4),
        "seconds": round(time.monotonic() - began, 1),
    }


def main(words: list[str]) -> int:
    """Measure and print; status 1 when memory grows by a megabyte an hour or more."""
    hours = float(words[0]) if words else 500.0
    speed = int(words[1]) if len(words) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder) / "run", hours, speed)
    print(json.dumps(found))
    return int(found["mb_per_hour"] >= 1.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
