"""The streams of the exchange in the process: what a listener hears, when, and what it never hears.

Law: signals reach the listener in the order in which they happened, one latency later, each with the frame it
would have come in; what happens while a stream is down, or silent, is lost to it, as on a wire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from actors.ports import Gap, Listener, OrderSnapshot, Signal, SnapshotStatus
from domain.inputs import FillReport, FundingReport
from grinder.simulated import told
from grinder.simulated.frames import frame_of
from grinder.simulated.misreporting import HELD_S, UPDATE_FAULTS, misreported
from grinder.simulated.timers import Timers
from replay.exchange.desk import DeskUpdate
from replay.faults import Fault, FaultPlan

MARKET, PRIVATE = "market", "private"
UNREADABLE = frozenset({"null_price", "negative_fill"})


class LocalStreams:
    """The market stream and the private one, for one listener at a time.

    Args:
        stream_prefix: what a listener knows both by begins with, where it hears another exchange's as well.
    """

    def __init__(
        self,
        faults: FaultPlan,
        clock: Callable[[], int],
        latency_s: float,
        fill_prefix: str,
        stream_prefix: str = "",
    ) -> None:
        self.faults = faults
        self.clock = clock
        self.latency_s = latency_s
        self.fill_prefix = fill_prefix
        self.stream_prefix = stream_prefix
        self._listener: Listener | None = None
        self._up: set[str] = set()
        self._queue: deque[Callable[[], None]] = deque()
        self._held: dict[str, DeskUpdate] = {}
        self._timers = Timers()

    # --- the listener's side ---------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> None:
        """Tell a listener until cancelled."""
        self._listener = listener
        self._up.clear()
        try:
            await asyncio.sleep(self.latency_s)
            for stream in (MARKET, PRIVATE):
                self._connect(stream)
            await asyncio.Event().wait()
        finally:
            if self._listener is listener:  # another may have taken its place
                self._listener = None
                self._up.clear()

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream that is up (an empty name: both); a silent one speaks again."""
        for one in (MARKET, PRIVATE):
            if stream in ("", one, self.stream_prefix + one) and one in self._up:
                self._down(one, "asked to reconnect", 0.0)

    def close(self) -> None:
        """Nothing is told any more."""
        self._listener = None
        self._up.clear()
        self._timers.cancel()

    # --- the exchange's side ---------------------------------------------------------------------------

    def on_market(self, signals: Sequence[Signal], fault: Fault | None) -> None:
        """The market stream tells something, as a fault lets it."""
        kind = fault.kind if fault else ""
        if fault is not None and kind in ("cut_stream", "maintenance"):
            if fault.began:
                self._cut(fault, MARKET)
            return
        if kind == "mute_stream":
            return
        if kind in ("sequence_gap", "bad_checksum", "null_price"):
            signals = [Gap(stream=MARKET, detail=kind)]
        self._tell(MARKET, signals)

    def on_update(self, update: DeskUpdate) -> None:
        """The private stream tells of an order, as the fault plan lets it."""
        fault = self.faults.draw("private", self.clock(), update.order.symbol)
        kind = fault.kind if fault else ""
        overtaken = self._held.pop(update.order.exchange_id, None)
        if fault is not None and kind in ("cut_stream", "maintenance", "mute_stream"):
            if fault.began and kind != "mute_stream":
                self._cut(fault, PRIVATE)
            return
        updates = [update]
        if fault is not None and kind in UPDATE_FAULTS:
            if kind == "fill_before_ack" and update.kind == "new" and PRIVATE in self._up:
                self._hold(update)
                return
            updates = misreported(update, kind)
            if len(updates) == 1 and updates[0] is update:
                self.faults.had_no_effect(fault)
        for one in (*updates, *([overtaken] if overtaken else [])):
            signals = told.signals_of(one, self.fill_prefix)
            if fault is not None and kind in UNREADABLE | {"unknown_status"}:
                signals = self._spoilt(signals, fault)
            self._tell(PRIVATE, signals)

    def on_funding(self, report: FundingReport, now_ns: int) -> None:
        """The private stream tells of funding."""
        self._tell(PRIVATE, [report])

    # --- within ----------------------------------------------------------------------------------------

    def _spoilt(self, signals: list[Signal], fault: Fault) -> list[Signal]:
        """What a decoder makes of a frame with a fault in it."""
        if fault.kind == "unknown_status":
            return [
                attrs.evolve(one, status=SnapshotStatus.UNREADABLE) if isinstance(one, OrderSnapshot) else one
                for one in signals
            ]
        if fault.kind == "negative_fill" and not any(isinstance(one, FillReport) for one in signals):
            self.faults.had_no_effect(fault)
            return signals
        return [Gap(stream=PRIVATE, detail=f"unreadable frame: {fault.kind}")]

    def _hold(self, update: DeskUpdate) -> None:
        """Hold an acknowledgement back until the order's next update, or for a while."""
        key = update.order.exchange_id
        self._held[key] = update

        def release() -> None:
            held = self._held.pop(key, None)
            if held is not None:
                self._tell(PRIVATE, told.signals_of(held, self.fill_prefix))

        self._timers.later(HELD_S, release)

    def _tell(self, stream: str, signals: Sequence[Signal]) -> None:
        if not signals or stream not in self._up:
            return
        frame = frame_of(signals)

        def tell() -> None:
            listener = self._listener
            if listener is None or stream not in self._up:
                return
            name = self.stream_prefix + stream
            listener.frame(name, frame, self.clock())
            for one in signals:
                listener.signal(name, one)
            listener.frame_end(name)

        self._queue.append(tell)
        self._timers.later(self.latency_s, self._next)

    def _next(self) -> None:
        # Timers of one time are not kept in order by asyncio; the queue is.
        if self._queue:
            self._queue.popleft()()

    def _cut(self, fault: Fault, stream: str) -> None:
        for one in (MARKET, PRIVATE) if fault.kind == "maintenance" else (stream,):
            self._down(one, fault.kind, fault.seconds)

    def _down(self, stream: str, reason: str, for_s: float) -> None:
        if stream not in self._up:
            return
        self._up.discard(stream)
        if self._listener is not None:
            self._listener.stream_down(self.stream_prefix + stream, reason)
        self._timers.later(for_s + self.latency_s, lambda: self._connect(stream))

    def _connect(self, stream: str) -> None:
        """Bring a stream up, or try again while the exchange refuses it."""
        if self._listener is None or stream in self._up:
            return
        now_ns = self.clock()
        for kind in ("maintenance", f"cut_stream/{stream}"):
            if self.faults.lasting(kind, now_ns) is not None:
                self._timers.later(1.0, lambda: self._connect(stream))
                return
        self.faults.end(f"mute_stream/{stream}")
        self._up.add(stream)
        self._listener.stream_up(self.stream_prefix + stream)
