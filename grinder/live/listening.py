"""What the streams bring, sent where it belongs: frames to the tape, prices to the gate, all to the session.

Law: nothing is dropped and nothing is held back; a quote is also told to the session, which watches its age.
Where a frame ends, prices are looked at and what was learned is stored: neither waits for the loop's turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.ports import Listener, Quote, Signal, Trade
from grinder.live.gate import Gate
from grinder.live.measuring import Measured


class Tape(Protocol):
    """Who keeps raw frames."""

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Keep a frame."""


class NoTape:
    """Keeps nothing."""

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Let a frame go."""


class Dispatcher:
    """The `Listener` of a run's connector.

    Args:
        store: asked at the end of every frame to store what was learned of it.
    """

    def __init__(
        self,
        session: Listener,
        gate: Gate,
        tape: Tape,
        measured: Measured | None = None,
        store: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._gate = gate
        self._tape = tape
        self._measured = measured
        self._store = store

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A raw frame."""
        self._gate.begin()
        self._tape.frame(stream, frame, received_ns)
        if self._measured is not None:
            self._measured.frame(stream)

    def signal(self, stream: str, signal: Signal) -> None:
        """What a frame meant."""
        if self._measured is not None:
            self._measured.signal(signal)
        if isinstance(signal, Quote):
            self._gate.quote(signal.symbol, signal.bid_ticks, signal.ask_ticks)
        elif isinstance(signal, Trade):
            return
        self._session.signal(stream, signal)

    def frame_end(self, stream: str) -> None:
        """All of a frame was told."""
        self._gate.look()
        self._store()

    def stream_up(self, stream: str) -> None:
        """A stream is up."""
        self._session.stream_up(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        """A stream is down."""
        self._session.stream_down(stream, reason)
