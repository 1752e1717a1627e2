"""What a run notes of the inputs that go by, for whoever asks how it goes.

Law: it only looks; the ledger has all of it.
"""

from __future__ import annotations

import attrs

from domain.inputs import FillReport, ReconciliationReport
from domain.notes import StreamReport
from domain.record import Record


@attrs.define
class Noted:
    """What went by since this process began.

    Attributes:
        fills: how many executions.
        reconciled_ns: when books and exchange were last compared, 0 before.
        amounts: what the exchange said it holds when nothing was in flight.
        streams: ``up`` or ``down``, by stream.
    """

    fills: int = 0
    reconciled_ns: int = 0
    amounts: ReconciliationReport | None = None
    streams: dict[str, str] = attrs.field(factory=dict)

    def learned(self, report: Record, now_ns: int) -> None:
        """An input went by, at the core's time."""
        if isinstance(report, FillReport):
            self.fills += 1
        elif isinstance(report, ReconciliationReport):
            self.reconciled_ns = now_ns
            if not report.in_flight:
                self.amounts = report
        elif isinstance(report, StreamReport) and report.state in ("up", "down"):
            self.streams[report.stream] = report.state  # after a gap it is up as before
