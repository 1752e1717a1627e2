"""What keeps an account safe while nobody looks: dead-man switch, circuit breaker, age of the data.

Law: the switch is armed before the first order and refreshed well before it fires; it is disarmed only when
nothing works any more, when orders are to be kept, or before maintenance that would make it fire.  Failures
in a row open the circuit, and only a reading request that succeeds closes it; other reading goes on, because
what ends on the exchange meanwhile has to be learned of.  A symbol without quotes takes no orders, and soon
has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from actors.ports import AuthenticationFailed, ExchangeError, Unavailable
from grinder.live.session.pausing import (
    AUTHENTICATION,
    CIRCUIT_OPEN,
    STREAM_STALE,
    Pauses,
)
from grinder.live.session.settings import NS
from grinder.live.session.wire import GUARD, MAINTENANCE, Wire

_MOST_DOUBLINGS = 5
_FORGIVEN_S = 600.0
"""A circuit that was closed for this long begins anew with its shortest wait."""

_REASONS = (MAINTENANCE, AUTHENTICATION, CIRCUIT_OPEN)

MOST_FAILURES = 2
"""So many refreshings in a row that failed are told."""

STOPPING = "stopping"
"""Why orders are given back while the session ends."""


def cool_down_s(first_s: float, trips: int) -> float:
    """The wait before the exchange is tried again: doubled with each trip, at most 32 times the first."""
    return first_s * (1 << min(trips - 1, _MOST_DOUBLINGS))


def is_maintenance(error: ExchangeError) -> bool:
    """Whether an exchange says that it is closed for work on it."""
    return isinstance(error, Unavailable) and any(
        word in f"{error.code} {error.text}".lower() for word in (MAINTENANCE, "upgrad")
    )


class DeadMan:
    """The exchange's switch that cancels everything when we fall silent."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        shortest, longest = wire.connector.capabilities.dead_man_s
        wanted = max(wire.settings.dead_man_s, shortest)
        self.seconds = min(wanted, longest) if longest else wanted
        self.there = bool(wire.connector.capabilities.dead_man)
        self.armed = False
        """It may be armed: it was asked for, and has not been taken off since."""
        self._until_ns = 0
        self._failures = 0
        self._asking = asyncio.Lock()
        self.off = False
        """Not to be armed again: the session is ending, or maintenance is near."""

    def every_s(self) -> float:
        """Time between two refreshings: three chances before it fires."""
        return max(1.0, self.seconds / 3)

    async def refresh(self) -> None:
        """Arm, or arm again; a failure leaves the switch to do its work."""
        if not self._may_arm():
            return
        async with self._asking:
            if not self._may_arm():
                return
            asked_ns = self.wire.clock()
            self.armed = True  # it may be, even if no answer comes
            try:
                await self._ask(self.seconds)
            except ExchangeError as error:
                self._not_refreshed(error)
                return
            self._until_ns = asked_ns + self.seconds * NS
            self._failures = 0

    def _may_arm(self) -> bool:
        return self.there and not self.off

    async def _ask(self, seconds: int) -> None:
        await self.wire.read("dead_man", lambda: self.wire.connector.arm_dead_man(seconds), GUARD)

    def _not_refreshed(self, error: ExchangeError) -> None:
        self._failures += 1
        self.wire.log.warning("dead_man_not_refreshed", code=error.code)
        if self._failures == MOST_FAILURES:
            text = f"the dead-man switch could not be refreshed {self._failures} times in a row: {error}"
            self.wire.alert("WARNING", "dead_man_not_refreshed", text)

    async def guards(self) -> bool:
        """Whether orders may leave: the switch is armed, or there is none; arms it if it has run out."""
        if not self.there or self.off:
            return True
        if self.wire.clock() >= self._until_ns:
            await self.refresh()
        armed = self.wire.clock() < self._until_ns
        if not armed:
            self.wire.alert("WARNING", "unguarded", "the dead-man switch cannot be armed; no order leaves")
        return armed

    async def disarm(self, why: str, tries: int = 1) -> None:
        """Take the switch off, and leave it off."""
        self.off = True
        if not self.there:
            return
        async with self._asking:  # a refresh on its way must not arrive after this
            while self.armed:
                tries -= 1
                try:
                    await self._ask(0)
                    self.armed = False
                    self.wire.log.info("dead_man_disarmed", why=why)
                except ExchangeError as error:
                    if tries <= 0:
                        self.wire.alert("WARNING", "dead_man_not_disarmed", f"{why}: {error}")
                        return
                    await asyncio.sleep(1.0)


class Circuit:
    """Stops sending after failures in a row, until a reading request succeeds; also maintenance and keys."""

    def __init__(self, wire: Wire, pauses: Pauses, dead_man: DeadMan) -> None:
        self.wire = wire
        self.pauses = pauses
        self.dead_man = dead_man
        self.cancel_working: Callable[[str, str], None] = lambda symbol, why: None
        self.reconcile: Callable[[], Awaitable[bool]] = _nothing
        self.on_clock: Callable[[], None] = lambda: None
        self.trips = 0
        """How often it has opened, or stayed open when tried, since it was closed for long."""
        self._closed_ns = 0
        self._probing = False
        self._asking = False

    @property
    def state(self) -> str:
        """``closed``, ``open``, or ``half open`` while it is tried whether the exchange answers again."""
        if not self.pauses.active(CIRCUIT_OPEN):
            return "closed"
        return "half open" if self._asking else "open"

    def failed(self, error: ExchangeError) -> None:
        """Take in a failure of any request."""
        if is_maintenance(error):
            self._open(MAINTENANCE, f"the exchange is under maintenance: {error}", "WARNING")
        elif isinstance(error, AuthenticationFailed):
            self._open(AUTHENTICATION, f"the exchange refuses the key: {error}", "CRITICAL")
        elif self.wire.failures >= self.wire.settings.breaker_failures:
            text = f"{self.wire.failures} requests in a row failed, the last with {error}"
            if self._open(CIRCUIT_OPEN, text, "WARNING"):
                self.cancel_working("", CIRCUIT_OPEN)

    def resume_probing(self) -> None:
        """Go on waiting for the end of what an earlier process paused for."""
        for reason in _REASONS:
            if self.pauses.active(reason):
                self.wire.refuse(reason)
                self._probe()

    async def expect_maintenance(self, text: str) -> None:
        """Maintenance is announced: nothing new, and the switch is taken off before it can fire."""
        self._open(MAINTENANCE, text, "WARNING")
        await self.dead_man.disarm(MAINTENANCE)

    def _open(self, reason: str, text: str, level: str) -> bool:
        if self.wire.stopped:
            return False
        if not self.wire.ready:  # nothing has been sent yet, and the start repeats itself
            if reason != CIRCUIT_OPEN:
                self.wire.alert(level, reason, text)
            return False
        fresh = self.pauses.pause(reason, text, level=level)
        if fresh:
            self.wire.refuse(reason)
            self._probe()
        return fresh

    def _probe(self) -> None:
        if not self._probing:
            self._probing = True
            if self.wire.clock() - self._closed_ns >= int(_FORGIVEN_S * NS):
                self.trips = 0
            self.wire.spawn(self._until_well())

    async def _until_well(self) -> None:
        """Half open: one reading request after the cool-down; closed when it succeeds and books agree."""
        wire = self.wire
        try:
            if self.pauses.active(MAINTENANCE):
                await self.dead_man.disarm(MAINTENANCE)
            while True:
                self.trips += 1
                cool = cool_down_s(wire.settings.breaker_cool_s, self.trips)
                free_in_s = (wire.free_at_ns() - wire.clock()) / NS
                await asyncio.sleep(max(cool, min(free_in_s, 3_600.0)))
                self._asking = True
                try:
                    await wire.read("open_orders", wire.connector.open_orders)
                    if await self.reconcile():
                        break
                except ExchangeError:
                    continue
                finally:
                    self._asking = False
        finally:
            self._probing = False
        self._closed_ns = wire.clock()
        if not wire.refuses(STOPPING):
            self.dead_man.off = False
            await self.dead_man.refresh()
        for reason in _REASONS:
            wire.accept(reason)
            self.pauses.resume(reason)


class DataAge:
    """When each symbol was last quoted."""

    def __init__(self, wire: Wire, pauses: Pauses) -> None:
        self.wire = wire
        self.pauses = pauses
        self.cancel_working: Callable[[str, str], None] = lambda symbol, why: None
        self._quoted_ns: dict[str, int] = {}
        self._cancelled: dict[str, bool] = {}

    def quoted(self, symbol: str) -> None:
        """A quote has come."""
        self._quoted_ns[symbol] = self.wire.clock()
        if self.pauses.active(STREAM_STALE, symbol):
            self._cancelled.pop(symbol, None)
            self.pauses.resume(STREAM_STALE, symbol)

    def check(self) -> None:
        """Pause what is not quoted any more; later have its orders cancelled, once."""
        settings, now = self.wire.settings, self.wire.clock()
        for symbol in sorted(self.wire.books().instruments):
            age_s = (now - self._quoted_ns.setdefault(symbol, now)) / NS
            if settings.quote_pause_s and age_s > settings.quote_pause_s:
                self.pauses.pause(STREAM_STALE, f"no quote for {age_s:.0f} s", symbol)
            if settings.quote_cancel_s and age_s > settings.quote_cancel_s and symbol not in self._cancelled:
                self._cancelled[symbol] = True
                self.cancel_working(symbol, STREAM_STALE)


async def _nothing() -> bool:
    return True
