"""What a proof is made of: who decodes, what comes out, and what stands in for the loop and the session.

Law: nothing here decides anything; it keeps what the walk needs and says what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from actors.ports import Decoder, Signal
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument


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
        records: records that came out as they are in the ledger.
        uncovered: inputs of the market at the end of a session that a crash cut off the tape.
    """

    frames: int
    inputs_from_frames: int
    records: int
    uncovered: int
    first_difference: Difference | None


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

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A frame is read by the proof itself."""

    def signal(self, stream: str, signal: Signal) -> None:
        """Keep an execution by its id."""
        if isinstance(signal, FillReport) and signal.fill_id:
            self.fills[signal.fill_id] = signal
        elif isinstance(signal, FundingReport):
            self.fills[signal.funding_id] = signal

    def stream_up(self, stream: str) -> None:
        """Not on the tape."""

    def stream_down(self, stream: str, reason: str) -> None:
        """Not on the tape."""
