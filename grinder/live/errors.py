"""Errors that come again and again: after too many of one kind in a minute, trading pauses.

Law: one error is recorded and the order is skipped; what repeats is not, because each try asks the exchange.
The pause is an input like any other and is ended by the operator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from domain.inputs import CancelRejectedReport, NoAnswerReport, OrderRejectedReport, PauseTrading
from domain.record import Record
from grinder.live.clock import NS, Clock
from grinder.observation.alerts import Alert, Notify

MOST = 10
"""More errors of one kind than this in the window, and trading pauses."""

WINDOW_NS = 60 * NS

REASON = "errors"

WHO = "errors"

COUNTED = (OrderRejectedReport, CancelRejectedReport, NoAnswerReport)


ORDINARY_TEXTS = ("never sent", "immediately match", "post only", "post-only")
"""Words of refusals that belong to trading: an order of ours that never left, or one the market overtook."""


HANDLED_REASONS = ("rate_limited", "clock_skewed", "authentication", "unavailable")
"""Refusals with an answer of their own: a time to wait, a clock to measure, a circuit that opens."""


def _is_ordinary(report: Record) -> bool:
    if getattr(report, "reason", "") in HANDLED_REASONS:
        return True
    text = str(getattr(report, "text", "")).lower()
    return any(words in text for words in ORDINARY_TEXTS)


class ErrorTally:
    """Counts what the exchange refuses or leaves open, by kind.

    Args:
        learn: takes the pause, a moment later: never in the middle of another input.
        pace: seconds of the clock in one of ours; the window is in ours.
    """

    def __init__(
        self, clock: Clock, learn: Callable[[Record], None], notify: Notify, pace: float = 1.0
    ) -> None:
        self._clock = clock
        self._learn = learn
        self._notify = notify
        self._window_ns = round(WINDOW_NS * pace)
        self._seen: dict[str, deque[int]] = {}

    def learned(self, report: Record) -> None:
        """Look at an input that went by."""
        if not isinstance(report, COUNTED) or _is_ordinary(report):
            return
        kind = f"{type(report).__name__} {getattr(report, 'reason', '')}".strip()
        now_ns = self._clock()
        seen = self._seen.setdefault(kind, deque(maxlen=MOST + 1))
        seen.append(now_ns)
        if len(seen) <= MOST or now_ns - seen[0] > self._window_ns:
            return
        seen.clear()
        text = f"more than {MOST} times in a minute: {kind}"
        self._notify(Alert(level="CRITICAL", kind="errors_repeat", text=text))
        self._learn(PauseTrading(reason=REASON, symbol="", operator=WHO))
