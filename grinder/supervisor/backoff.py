"""When a run that failed may be started again, remembered over the supervisor's own restart.

Law: each failure doubles the wait, a run that held for a while starts anew, and more than a few failures in a
minute keep it down: what fails at once will fail again, and every start asks the exchange.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from grinder.live.places import read_json, write_private
from grinder.log import logger

FIRST_S, LONGEST_S = 1.0, 30.0

MOST_CRASHES, WINDOW_S = 3, 60.0
"""More crashes than this in the window, and the run stays down."""

HELD_S = 300.0
"""A run that held this long has recovered: the next wait is the first again."""


@attrs.define
class BackOff:
    """The failures of one run.

    Attributes:
        path: where they are kept.
        crashes: times of the last ones, seconds since 1970.
        delay_s: the last wait; 0 after a run that held.
        not_before: no start before this time.
        restarts: starts after a failure, ever.
    """

    path: Path
    crashes: list[float] = attrs.field(factory=list)
    delay_s: float = 0.0
    not_before: float = 0.0
    restarts: int = 0

    @classmethod
    def load(cls, path: Path) -> BackOff:
        """What an earlier supervisor left; a fresh one when there is nothing readable."""
        found = read_json(path)
        crashes = found.get("crashes", [])
        return cls(
            path,
            [float(at) for at in crashes if isinstance(at, (int, float))]
            if isinstance(crashes, list)
            else [],
            _number(found.get("delay_s")),
            _number(found.get("not_before")),
            int(_number(found.get("restarts"))),
        )

    def failed(self, now: float, ran_s: float, *, counts: bool = True) -> bool:
        """A run failed after `ran_s` seconds; whether it may be started again at `not_before`.

        Args:
            counts: whether it counts as a crash; an exchange that is away does not.
        """
        self.delay_s = FIRST_S if ran_s >= HELD_S or not self.delay_s else min(LONGEST_S, self.delay_s * 2)
        self.not_before = now + self.delay_s
        if counts:
            self.crashes.append(now)
        self.crashes = [at for at in self.crashes if now - WINDOW_S < at <= now][-32:]
        may = len(self.crashes) <= MOST_CRASHES
        if may:
            self.restarts += 1
        self.save()
        return may

    def wait_s(self, now: float) -> float:
        """How long until a start is allowed; never longer than the longest wait, whatever the clock did."""
        return min(max(0.0, self.not_before - now), LONGEST_S)

    def save(self) -> None:
        """Keep it; on a disk that takes nothing it is remembered by this process alone."""
        content = {
            "crashes": self.crashes,
            "delay_s": self.delay_s,
            "not_before": self.not_before,
            "restarts": self.restarts,
        }
        try:
            write_private(self.path, content)
        except OSError as error:
            logger().error("the supervisor's memory cannot be kept", reason=str(error), file=str(self.path))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
