"""What is measured on the way from a frame to an answer: durations, and errors by their kind.

Law: measuring reads clocks and adds numbers; it decides nothing, and no duration reaches the ledger.  A stage
costs about a microsecond.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.core import Core
from actors.ports import ExchangeError, Quote, Signal, Trade
from domain.inputs import PORTFOLIO
from grinder.observation.metrics import Metrics

if TYPE_CHECKING:
    from grinder.live.session import LiveSession

_CIRCUIT = {"closed": 0, "half open": 1, "open": 2}


class Measured:
    """Stands beside dispatcher, gate, core and session of one run.

    Attributes:
        frames: how many frames each stream brought.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stage = metrics.stage
        self._began = 0
        self._risk_ns = 0
        self.frames: dict[str, int] = {}
        self.drift_ns: Callable[[], int] = lambda: 0
        """The clock of the exchange the frames come from, less ours."""

    # --- a frame ---------------------------------------------------------------------------------------

    def frame(self, stream: str) -> None:
        """A frame is about to be decoded."""
        self.frames[stream] = self.frames.get(stream, 0) + 1
        self._began = time.perf_counter_ns()

    def signal(self, signal: Signal) -> None:
        """It has been: this is the first of its signals, or a further one."""
        if not self._began:
            return
        self._stage("parse_validate", time.perf_counter_ns() - self._began)
        self._began = 0
        if isinstance(signal, (Quote, Trade)) and signal.exchange_ns:
            self._stage("ws_receive", max(0, signal.received_ns - signal.exchange_ns + self.drift_ns()))

    # --- the core --------------------------------------------------------------------------------------

    def watch(self, core: Core) -> None:
        """Time what the portfolio does of every input."""

        def around(handle: Callable[[Any], None]) -> Callable[[Any], None]:
            def timed(message: Any) -> None:
                began = time.perf_counter_ns()
                handle(message)
                self._risk_ns += time.perf_counter_ns() - began

            return timed

        core.stand_around(PORTFOLIO, around)

    def decided(self, duration_ns: int) -> None:
        """The core went from an input to rest."""
        self._metrics.decided(duration_ns)
        if self._risk_ns:
            self._stage("risk_check", self._risk_ns)
            self._risk_ns = 0

    def let_in(self, duration_ns: int) -> None:
        """The gate let a price in, so long after it came."""
        self._stage("feature_compute", duration_ns)

    # --- the session -----------------------------------------------------------------------------------

    def attach(self, session: LiveSession) -> None:
        """Hear of a session's requests."""
        session.wire.polled = self._metrics.polled
        session.placing.placed = lambda duration_ns: self._stage("order_placement", duration_ns)

    def failed(self, what: str, error: ExchangeError) -> None:
        """A request failed."""
        self._metrics.count("errors", type(error).__name__, what)

    def show(self, session: LiveSession | None) -> None:
        """What is known now, before a scrape."""
        metrics = self._metrics
        for stream, number in self.frames.items():
            metrics.follow("frames", number, stream)
        if session is None:
            return
        metrics.show("clock_drift_ms", session.clock_check.drift_ns / 1e6)
        metrics.show("circuit_state", _CIRCUIT[session.circuit.state])
        metrics.follow("dedup_duplicates", session.merger.duplicates)
        metrics.follow("dedup_gaps", session.merger.fetched)
