"""What a proof is made of: who decodes, what comes out, and what stands in for the loop and the session.

Law: nothing here decides anything; it keeps what the walk needs and says what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from actors.ports import Decoder, OrderSnapshot, Signal, SnapshotStatus
from domain.inputs import (
    FillReport,
    FundingReport,
    OrderAcceptedReport,
    OrderCancelledReport,
    OrderRejectedReport,
)
from domain.instrument import Instrument
from domain.record import Record


class Source(Protocol):
    """What decodes one session's frames, as the connector did."""

    def relist(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The instruments from now on."""

    def decoder(self) -> Decoder:
        """A fresh decoder for them."""


MakeSource = Callable[[str], Source]
"""The source for an exchange's name."""


@attrs.frozen
class Difference:
    """The first thing that is not as the tape says.

    Attributes:
        position: of the ledger's record it is about.
        expected, actual: what the ledger holds, and what came out of the tape; empty where there is nothing.
    """

    position: int
    what: str
    expected: str
    actual: str


@attrs.frozen
class Proof:
    """Outcome of a proof.

    Attributes:
        frames: frames read.
        inputs_from_frames: inputs that came out of them as they are in the ledger.
        orders_from_frames: reports of orders (accepted, cancelled, rejected) that a private frame confirms.
        inputs_from_ledger: inputs of the ledger that no frame says anything of, by their kind.
        records: records that came out as they are in the ledger.
        uncovered: inputs of the market at the end of a session that a crash cut off the tape.
        untaped: positions at which processes began that were killed before they left anything on the tape.
    """

    frames: int
    inputs_from_frames: int
    records: int
    uncovered: int
    orders_from_frames: int
    inputs_from_ledger: dict[str, int]
    untaped: tuple[int, ...]
    first_difference: Difference | None


S = SnapshotStatus

CONFIRMS: Mapping[type[Record], frozenset[SnapshotStatus]] = {
    OrderAcceptedReport: frozenset({S.WORKING, S.FILLED, S.CANCELLED, S.EXPIRED}),
    OrderCancelledReport: frozenset({S.CANCELLED, S.EXPIRED}),
    OrderRejectedReport: frozenset({S.REJECTED}),
}
"""What a private frame has to show of an order to confirm a report of it, whenever the frame came."""


class StillLoop:
    """Stands for the loop a gate is scheduled on: here the tape says when it looks."""

    def call_soon(self, call: Callable[[], None]) -> StillLoop:
        return self

    def call_later(self, seconds: float, call: Callable[[], None]) -> StillLoop:
        return self

    def cancel(self) -> None:
        """There is nothing to cancel."""


class Private:
    """Stands for the session: keeps the executions the frames brought."""

    def __init__(self) -> None:
        self.fills: dict[str, FillReport | FundingReport] = {}
        self.shown: dict[str, set[SnapshotStatus]] = {}
        """Every status the frames showed an order in, by client order id."""

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A frame is read by the proof itself."""

    def signal(self, stream: str, signal: Signal) -> None:
        """Keep an execution by its id, and what was shown of an order."""
        if isinstance(signal, FillReport) and signal.fill_id:
            self.fills[signal.fill_id] = signal
        elif isinstance(signal, FundingReport):
            self.fills[signal.funding_id] = signal
        elif isinstance(signal, OrderSnapshot):
            self.shown.setdefault(signal.client_order_id, set()).add(signal.status)

    def frame_end(self, stream: str) -> None:
        """The tape says itself when prices were looked at."""

    def stream_up(self, stream: str) -> None:
        """Not on the tape."""

    def stream_down(self, stream: str, reason: str) -> None:
        """Not on the tape."""
