"""The tape of a live run: frames and turns placed by the gate's turn and the ledger's position.

Law: a frame is kept before it is understood; where it belongs is said by what was known when it came.
"""

from __future__ import annotations

from typing import Protocol

from grinder.live.gate import Gate
from grinder.tape.writer import TapeWriter


class Positioned(Protocol):
    """What knows the ledger's position: `actors.core.Core`."""

    position: int


class GateTape:
    """Plugs a writer into a run: it is the `Tape` of `grinder.live.listening.Dispatcher`.

    From its making on, the gate's turns are kept as well.
    """

    def __init__(self, writer: TapeWriter, gate: Gate, core: Positioned) -> None:
        self.writer = writer
        self._gate = gate
        self._core = core
        gate.flushing = self._flushing

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Keep a frame."""
        self.writer.frame(stream, frame, received_ns, self._gate.turn, self._core.position)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Seal what is there; whether that was done in time."""
        return self.writer.close(self._core.position, timeout_s)

    def _flushing(self, now_ns: int, turn: int) -> None:
        self.writer.flushed(now_ns, turn, self._core.position)
