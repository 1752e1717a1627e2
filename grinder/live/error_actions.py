"""What follows from an error, by its class.

Law: a critical error is told and latches the kill switch.  A stream that cannot be brought back pauses
trading until it is back.  What comes again and again pauses trading until the operator has looked.  All else
is counted and gone on from.  A count begins anew after five minutes without its kind, and that of a
connection with the next success.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from actors.ports import ExchangeError, OutcomeUnknown, Unavailable
from domain.inputs import HaltTrading, PauseTrading, ResumeTrading
from domain.notes import StreamReport
from domain.record import Record
from grinder.live.clock import NS, Clock
from grinder.live.errors import MOST, REASON, WHO, WINDOW_NS
from grinder.observation.alerts import CRITICAL, INFO, WARNING, Alert, Notify

CONNECTION = "connection"
"""Reason of the pause while a stream cannot be brought back."""

MOST_ATTEMPTS = 5
"""More attempts in a row than this in vain, and trading pauses."""

FORGOTTEN_NS = 300 * NS
"""A count begins anew after this long without its kind."""

OF_A_CONNECTION = (OutcomeUnknown, Unavailable)

CRITICAL_KINDS = frozenset({"sent_twice", "ledger_damaged"})
"""Alerts that say that something is so that must never be."""


@attrs.define
class Count:
    """Errors of one kind: how many since they began anew, and when the last came, ns."""

    number: int = 0
    last_ns: int = 0


class ErrorActions:
    """Counts errors of a run by kind and does what has to follow.

    Args:
        learn: takes a command, a moment later: never in the middle of another input.
        pace: seconds of the clock in one of ours; times are in ours.
        paused: whether an earlier process paused because of its connection.
    """

    def __init__(
        self,
        clock: Clock,
        learn: Callable[[Record], None],
        notify: Notify,
        pace: float = 1.0,
        *,
        paused: bool = False,
    ) -> None:
        self._clock = clock
        self._learn = learn
        self._notify = notify
        self._pace = pace
        self._paused = paused
        self._counts: dict[str, Count] = {}
        self._attempts: dict[str, int] = {}
        self._gaps: dict[str, deque[int]] = {}

    # --- what is told ----------------------------------------------------------------------------------

    def alert(self, alert: Alert) -> None:
        """Tell an alert; one that must never be latches the kill switch as well."""
        self._notify(alert)
        if alert.kind in CRITICAL_KINDS:
            self._learn(HaltTrading(reason=alert.kind))

    def failed(self, error: ExchangeError) -> None:
        """A request failed: counted.  The session holds back, asks again or opens the circuit."""
        self._count(type(error).__name__)

    def answered(self) -> None:
        """A request was answered: errors of the connection are over."""
        for kind in OF_A_CONNECTION:
            self._counts.pop(kind.__name__, None)

    def learned(self, report: Record) -> None:
        """Look at an input that went by."""
        if not isinstance(report, StreamReport):
            return
        if report.state == "down":
            self._count("StreamDown")
            self._down(report.stream, report.detail)
        elif report.state == "up":
            self._counts.pop("StreamDown", None)
            self._up(report.stream)
        elif report.state == "gap":
            self._count("StreamGap")
            self._gap(report.stream)

    def counts(self) -> dict[str, int]:
        """How many of each kind since it began anew."""
        oldest = self._clock() - round(FORGOTTEN_NS * self._pace)
        return {kind: one.number for kind, one in sorted(self._counts.items()) if one.last_ns > oldest}

    # --- what follows ----------------------------------------------------------------------------------

    def _count(self, kind: str) -> None:
        now_ns = self._clock()
        one = self._counts.setdefault(kind, Count())
        if now_ns - one.last_ns >= FORGOTTEN_NS * self._pace:
            one.number = 0
        one.number += 1
        one.last_ns = now_ns

    def _down(self, stream: str, why: str) -> None:
        attempts = self._attempts[stream] = self._attempts.get(stream, 0) + 1
        if attempts <= MOST_ATTEMPTS or self._paused:
            return
        self._paused = True
        text = f"{stream} could not be brought back {attempts} times in a row: {why}"
        self._notify(Alert(WARNING, CONNECTION, text=text))
        self._learn(PauseTrading(reason=CONNECTION, symbol="", operator=WHO))

    def _up(self, stream: str) -> None:
        self._attempts[stream] = 0
        if self._paused and not any(one > MOST_ATTEMPTS for one in self._attempts.values()):
            self._paused = False
            self._notify(Alert(INFO, f"{CONNECTION}_over", text="every stream is back"))
            self._learn(ResumeTrading(reason=CONNECTION, symbol="", operator=WHO))

    def _gap(self, stream: str) -> None:
        now_ns = self._clock()
        seen = self._gaps.setdefault(stream, deque(maxlen=MOST + 1))
        seen.append(now_ns)
        if len(seen) <= MOST or now_ns - seen[0] > WINDOW_NS * self._pace:
            return
        seen.clear()
        text = f"more than {MOST} losses in a minute on {stream}"
        self._notify(Alert(CRITICAL, "errors_repeat", text=text))
        self._learn(PauseTrading(reason=REASON, symbol="", operator=WHO))
