"""Alerts: what somebody should know now, told at most once a minute and never at the price of trading.

Law: telling an alert never waits and never fails.  The same kind of the same symbol goes out at most once a
minute; what was held back is counted in the next one.  Delivery is on a thread of each receiver, in batches,
with retries; a receiver that cannot be reached loses alerts, and that is counted and logged.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import attrs
import pykka
import tenacity

from grinder.log import logger
from grinder.observation.redaction import REDACTOR

NS = 10**9

INFO, WARNING, CRITICAL = "INFO", "WARNING", "CRITICAL"
LEVELS: Final = {INFO: 0, WARNING: 1, CRITICAL: 2}

REPEAT_NS: Final = 60 * NS
BATCH_S: Final = 5.0
RETRIES: Final = 3
MOST_WAITING: Final = 1_000
"""Alerts waiting for one receiver; more are dropped and counted, so memory stays bounded."""

MOST_REMEMBERED: Final = 4_096
"""Kinds and symbols remembered for holding repetitions back."""


@attrs.frozen
class Alert:
    """Something that somebody should know.

    Attributes:
        level: ``INFO``, ``WARNING`` or ``CRITICAL``.
        kind: a stable word, such as ``stream_stale``; see docs/observation.md.
        symbol: what it is about; empty for all.
        text: one sentence.
        detail: figures, as text.
    """

    level: str
    kind: str
    symbol: str = ""
    text: str = ""
    detail: dict[str, str] = attrs.field(factory=dict)


Notify = Callable[[Alert], None]


@attrs.frozen
class Told:
    """An alert with its time, ns, and how many of the same were held back before it."""

    alert: Alert
    ts_ns: int
    held_back: int = 0


class DeliveryFailed(Exception):
    """A receiver did not take a batch; the text holds no address and no secret."""


class Sink(Protocol):
    """Where alerts go to."""

    name: str
    level: str
    """The least level it is told of."""

    def deliver(self, batch: list[Told]) -> None:
        """Hand over a batch, waiting for it.

        Raises:
            DeliveryFailed: it was not taken, and may be tried again.
        """


class LogSink:
    """Alerts into the log, as they come."""

    name = "log"
    level = INFO

    def deliver(self, batch: list[Told]) -> None:
        """Log each alert at its level."""
        for one in batch:
            log = {INFO: logger().info, WARNING: logger().warning, CRITICAL: logger().critical}
            alert = one.alert
            log[alert.level](
                "alert",
                kind=alert.kind,
                symbol=alert.symbol,
                text=alert.text,
                held_back=one.held_back,
                **{f"detail_{name}": value for name, value in alert.detail.items()},
            )


class DeliveryActor(pykka.ThreadingActor):
    """The edge actor of one receiver: gathers a batch, hands it over, retries."""

    use_daemon_thread = True

    def __init__(
        self,
        sink: Sink,
        batch_s: float,
        waits_s: tuple[float, ...],
        delivered: Callable[[str, int, bool], None],
    ) -> None:
        super().__init__()
        self._sink = sink
        self._batch_s = batch_s
        self._waits_s = waits_s
        self._delivered = delivered
        self._gathered: list[Told] = []
        self._timer: threading.Timer | None = None

    def on_receive(self, message: Any) -> None:
        """Take an alert (`Told`), or hand over what was gathered (anything else)."""
        if not isinstance(message, Told):
            self._hand_over()
            return
        self._gathered.append(message)
        if message.alert.level == CRITICAL or self._batch_s <= 0:
            self._hand_over()  # what must be acted on now does not wait for company
        elif self._timer is None:
            self._timer = threading.Timer(self._batch_s, self._ring)
            self._timer.daemon = True
            self._timer.start()

    def on_stop(self) -> None:
        """Hand over what is left, with one retry: whoever ends does not want to wait."""
        self._waits_s = self._waits_s[:1]
        self._hand_over()

    def _ring(self) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell("due")

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._gathered = self._gathered, []
        if not batch:
            return
        waits = [tenacity.wait_fixed(seconds) for seconds in self._waits_s] or [tenacity.wait_fixed(0)]
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(1 + len(self._waits_s)),
            wait=tenacity.wait_chain(*waits),
            retry=tenacity.retry_if_exception_type(DeliveryFailed),
            reraise=True,
        )
        try:
            attempts(self._sink.deliver, batch)
        except DeliveryFailed as failure:
            logger().error("alerts lost", sink=self._sink.name, alerts=len(batch), reason=str(failure))
            self._delivered(self._sink.name, len(batch), False)
        else:
            self._delivered(self._sink.name, len(batch), True)


class Alerts:
    """Takes alerts from anywhere, on any thread, and hands them to who wants them.

    Args:
        clock: ns; times of the alerts, and what a minute is measured by.
        batch_s: how long alerts below CRITICAL wait for others.
        repeat_ns: the same kind and symbol is told at most once in this time.
        waits_s: seconds before each retry.
        counted: told of each alert: level and whether it was told (False: held back or dropped).
        delivered: told, on a receiver's thread, of each batch: receiver, alerts, whether it was taken.
    """

    def __init__(
        self,
        sinks: Iterable[Sink] = (LogSink(),),
        clock: Callable[[], int] = time.time_ns,
        *,
        batch_s: float = BATCH_S,
        repeat_ns: int = REPEAT_NS,
        waits_s: tuple[float, ...] = (1.0, 2.0, 4.0),
        counted: Callable[[str, bool], None] = lambda level, told: None,
        delivered: Callable[[str, int, bool], None] = lambda sink, alerts, taken: None,
    ) -> None:
        self._clock = clock
        self._repeat_ns = repeat_ns
        self._counted = counted
        self._after_delivery = delivered
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self._waiting: dict[str, int] = {}
        self._sinks: list[tuple[Sink, pykka.ActorRef[DeliveryActor] | None]] = []
        for sink in sinks:
            actor = None
            if not isinstance(sink, LogSink):
                actor = DeliveryActor.start(sink, batch_s, waits_s, self._done)
            self._sinks.append((sink, actor))
            self._waiting[sink.name] = 0

    def __call__(self, alert: Alert) -> None:
        """Tell an alert; returns at once."""
        told, admitted = self._admitted(alert)
        self._counted(alert.level, admitted)
        for sink, actor in self._sinks:
            if LEVELS[alert.level] < LEVELS[sink.level]:
                continue
            if actor is None:
                sink.deliver([told])  # the log holds each of them
            elif not admitted:
                continue
            elif self._has_room(sink.name):
                try:
                    actor.tell(told)
                except pykka.ActorDeadError:
                    logger().error("alerts lost", sink=sink.name, alerts=1, reason="its thread has ended")

    def close(self, timeout_s: float = 5.0) -> None:
        """Hand over what waits, once, and end the threads; gives up on a receiver after the time-out."""
        ends = [actor.stop(block=False) for _, actor in self._sinks if actor is not None]
        until = time.monotonic() + timeout_s
        for end in ends:
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError):
                end.get(timeout=max(until - time.monotonic(), 0.01))

    def _admitted(self, alert: Alert) -> tuple[Told, bool]:
        """An alert without its secrets, and whether it may go out now."""
        if alert.level not in LEVELS:
            raise ValueError(f"level {alert.level!r}: use INFO, WARNING or CRITICAL")
        now_ns = self._clock()
        hidden = attrs.evolve(
            alert,
            text=REDACTOR.text(alert.text),
            detail={name: str(value) for name, value in REDACTOR.value(alert.detail).items()},
        )
        key = (alert.kind, alert.symbol)
        with self._lock:
            last_ns, held_back = self._last.get(key, (now_ns - self._repeat_ns, 0))
            if now_ns - last_ns < self._repeat_ns:
                self._last[key] = (last_ns, held_back + 1)
                return Told(hidden, now_ns), False
            self._last.pop(key, None)  # to the end: the oldest are forgotten first
            self._last[key] = (now_ns, 0)
            if len(self._last) > MOST_REMEMBERED:
                del self._last[next(iter(self._last))]
        return Told(hidden, now_ns, held_back), True

    def _has_room(self, sink: str) -> bool:
        with self._lock:
            if self._waiting[sink] >= MOST_WAITING:
                return False
            self._waiting[sink] += 1
            return True

    def _done(self, sink: str, alerts: int, taken: bool) -> None:
        with self._lock:
            self._waiting[sink] -= alerts
        self._after_delivery(sink, alerts, taken)
