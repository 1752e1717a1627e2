"""The pauses a session asks for, and their ends.

Law: each reason is paused once and resumed once, by name; a reason that outlived a restart is resumed unless
its cause is found again.  A pause stops new orders in the core; whether working orders are cancelled is said
by whoever pauses.
"""

from __future__ import annotations

from domain.inputs import PauseTrading, ResumeTrading
from grinder.live.session.wire import MAINTENANCE, Wire

CIRCUIT_OPEN = "circuit_open"
STREAM_STALE = "stream_stale"
CLOCK_DRIFT = "clock_drift"
INSTRUMENT_CHANGED = "instrument_changed"
NOT_TRADING = "not_trading"
AUTHENTICATION = "authentication"

_OPERATOR = "session"


class Pauses:
    """The pauses in force that this session asked for."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._active: dict[tuple[str, str], bool] = {}

    def active(self, reason: str, symbol: str = "") -> bool:
        """Whether a pause is in force."""
        return (reason, symbol) in self._active

    def inherit(self, paused: list[tuple[str, str]]) -> None:
        """Take over the pauses an earlier process asked for, as (reason, symbol)."""
        for reason, symbol in paused:
            if reason in OWN:
                self._active[reason, symbol] = True

    def pause(self, reason: str, text: str, symbol: str = "", level: str = "WARNING") -> bool:
        """Stop new orders for a reason; False when that is so already."""
        if (reason, symbol) in self._active or self.wire.stopped:
            return False
        self._active[reason, symbol] = True
        self.wire.alert(level, reason, text, symbol)
        self.wire.tell(PauseTrading(reason=reason, symbol=symbol, operator=_OPERATOR))
        return True

    def resume(self, reason: str, symbol: str = "") -> bool:
        """End a pause; False when there was none."""
        if self._active.pop((reason, symbol), None) is None or self.wire.stopped:
            return False
        self.wire.alert("INFO", f"{reason}_over", "new orders may leave again", symbol)
        self.wire.tell(ResumeTrading(reason=reason, symbol=symbol, operator=_OPERATOR))
        return True


OWN = frozenset(
    {CIRCUIT_OPEN, STREAM_STALE, CLOCK_DRIFT, INSTRUMENT_CHANGED, NOT_TRADING, MAINTENANCE, AUTHENTICATION}
)
"""Reasons that are the session's to resume."""
