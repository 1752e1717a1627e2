"""Latency budgets: what each stage may take, and whether it keeps to it.

Law: a duration is measured outside the ledger, so no timing changes a record.  A budget is broken when the
99th percentile of the last minute lies above it, and that is decided exactly, by counting, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import attrs

from grinder.observation.alerts import NS, WARNING, Alert

MS: Final = 1_000_000


@attrs.frozen
class Budget:
    """What a stage may take.

    Attributes:
        budget_ms: its 99th percentile over a minute may not lie above.
        target_ms: what it should take.
        what: from where to where.
    """

    stage: str
    budget_ms: int
    target_ms: int
    what: str


BUDGETS: Final = (
    Budget("ws_receive", 5, 2, "the exchange's time of a frame to its arrival, less the clocks' difference"),
    Budget("parse_validate", 2, 1, "a frame's arrival to its signals"),
    Budget("feature_compute", 10, 5, "a price to the gate's decision to let it in"),
    Budget("policy_decision", 10, 5, "an input to the core at rest"),
    Budget("risk_check", 5, 2, "the part of it that the portfolio takes"),
    Budget("order_placement", 50, 30, "a durable intent to the answer of its request"),
    Budget("total", 82, 45, "the input that led to an order to the one that answered it"),
)

OTHER_STAGES: Final = ("decide", "durable")
"""Measured without a budget, in microseconds: the core at work, and a group on its way to the disk."""

CELL_NS: Final = 10 * NS
CELLS: Final = 6
"""The last minute is the last six cells of ten seconds."""


class StageWindow:
    """The last minute of one stage: how many were measured, and how many were above its budget."""

    __slots__ = ("_cells", "_now", "budget_ns", "longest_ns", "over", "seen")

    def __init__(self, budget_ns: int) -> None:
        self.budget_ns = budget_ns
        self.seen = self.over = self.longest_ns = 0
        self._cells: list[tuple[int, int, int, int]] = []
        self._now = 0

    def observe(self, duration_ns: int) -> None:
        """One duration; a few tenths of a microsecond."""
        self.seen += 1
        if duration_ns > self.budget_ns:
            self.over += 1
        if duration_ns > self.longest_ns:
            self.longest_ns = duration_ns

    def close_cell(self, now_ns: int) -> tuple[int, int, int]:
        """Begin a new cell; returns (seen, over, longest in ns) of the last minute."""
        self._cells.append((now_ns, self.seen, self.over, self.longest_ns))
        self.seen = self.over = self.longest_ns = 0
        self._cells = [one for one in self._cells if one[0] > now_ns - CELLS * CELL_NS]
        return (
            sum(one[1] for one in self._cells),
            sum(one[2] for one in self._cells),
            max(one[3] for one in self._cells),
        )


def is_broken(seen: int, over: int) -> bool:
    """Whether the 99th percentile (nearest rank) is too long, when `over` of `seen` durations are."""
    rank = -(-seen * 99 // 100)
    return over > seen - rank


@attrs.frozen
class Breach:
    """A stage whose budget is broken now.

    Attributes:
        since_ns: when that was first seen.
    """

    stage: str
    seen: int
    over: int
    longest_ns: int
    since_ns: int


class Budgets:
    """Watches the stages; `check` is to be called every ten seconds.

    Attributes:
        breaches: the stages whose budget was broken at the last check.
    """

    def __init__(
        self, budgets: Iterable[Budget] = BUDGETS, notify: Callable[[Alert], None] = lambda alert: None
    ) -> None:
        self.budgets = {one.stage: one for one in budgets}
        self.windows = {one.stage: StageWindow(one.budget_ms * MS) for one in self.budgets.values()}
        self.breaches: dict[str, Breach] = {}
        self._notify = notify

    def check(self, now_ns: int) -> tuple[Breach, ...]:
        """Close the cell of every stage and tell which budgets are broken."""
        for stage, window in self.windows.items():
            seen, over, longest_ns = window.close_cell(now_ns)
            if not is_broken(seen, over):
                self.breaches.pop(stage, None)
                continue
            known = self.breaches.get(stage)
            breach = Breach(stage, seen, over, longest_ns, known.since_ns if known else now_ns)
            self.breaches[stage] = breach
            self._notify(self._alert(breach))
        return tuple(self.breaches.values())

    def broken_for_ns(self, stage: str, now_ns: int) -> int:
        """How long a stage's budget has been broken; 0 when it is kept.  (Throttle after five minutes.)"""
        breach = self.breaches.get(stage)
        return now_ns - breach.since_ns if breach else 0

    def _alert(self, breach: Breach) -> Alert:
        budget = self.budgets[breach.stage]
        return Alert(
            level=WARNING,
            kind=f"slow_{breach.stage}",
            text=f"{breach.over} of {breach.seen} in the last minute took longer than {budget.budget_ms} ms",
            detail={
                "budget_ms": str(budget.budget_ms),
                "longest_ms": f"{breach.longest_ns // MS}",
            },
        )
