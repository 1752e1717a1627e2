"""The gate: the core hears of the market when it asked to, and of the newest price only.

Law: the wake contract.  A price inside a symbol's wake becomes an input, any other is kept and forgotten
with the next.  Ticks are coalesced: of all that come between two turns of the loop the core sees those of the
first frame that wakes it and the last ones, however many they are.  After every input the newest prices are
held against the new wakes.  Only prices pass here, never fills.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from actors.core import Core
from domain.inputs import ClockReport, TickReport
from domain.record import Record
from domain.wake import Wake, inside, joined
from grinder.live.clock import NS, Clock

SAME_PRICE_MOST = 64
"""Times in a row that a symbol may ask for one and the same price before it has to wait."""

SAME_PRICE_WAIT_NS = NS // 4

NEVER_NS = 1 << 63

LONGEST_TIMER_S = 3600.0


class _Symbol:
    """What the gate knows of a symbol."""

    __slots__ = ("came_ns", "own", "price", "quiet_until_ns", "risk", "same", "told", "wake")

    def __init__(self) -> None:
        self.price: int | None = None
        self.came_ns = 0
        self.wake: Wake | None = None
        self.own: object = None
        self.risk: object = None
        self.told: int | None = None
        self.same = 0
        self.quiet_until_ns = 0


class Gate:
    """Between the feeds and the core.

    Attributes:
        is_open: whether prices reach the core; closed until trading starts and after it stops.
        prices: the newest price of each symbol, ticks.
        quotes: the newest best bid and ask of each symbol, ticks.
        seen: prices that came; let_in: inputs made of them.
        turn: how many times prices were looked at; with the ledger's position it places a frame of the tape.
        flushing: told the time and the turn before prices are looked at (the tape keeps it).
        admitted: told how long after it came a price was let in, ns.
    """

    def __init__(
        self,
        core: Core,
        learn: Callable[[Record], int],
        clock: Clock,
        symbols: Iterable[str],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._core = core
        self._learn = learn
        self._clock = clock
        self._symbols = {symbol: _Symbol() for symbol in sorted(symbols)}
        self._loop = loop or asyncio.get_running_loop()
        self._scheduled: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_ns = self._newest_ns = 0
        self._moved: set[str] = set()
        self._all = True
        self._in_frame = self._due = False
        self.is_open = False
        self.prices: dict[str, int] = {}
        self.quotes: dict[str, tuple[int, int]] = {}
        self.received_ns: dict[str, int] = {}
        self.seen = self.let_in = self.turn = 0
        self.flushing: Callable[[int, int], None] = lambda now_ns, turn: None
        self.admitted: Callable[[int], None] = lambda duration_ns: None

    def open(self) -> None:
        """Let prices in from now on, the newest known ones first."""
        self.is_open = True
        self._look_soon_at_all()

    def close(self) -> None:
        """Let nothing in any more."""
        self.is_open = False
        for handle in (self._scheduled, self._timer):
            if handle is not None:
                handle.cancel()
        self._scheduled = self._timer = None

    def quote(self, symbol: str, bid_ticks: int, ask_ticks: int) -> None:
        """The best quotes of a symbol: its price is their middle, rounded down."""
        self.quotes[symbol] = (bid_ticks, ask_ticks)
        self.price(symbol, (bid_ticks + ask_ticks) // 2)

    def price(self, symbol: str, ticks: int) -> None:
        """The newest price of a symbol; others than those traded are ignored."""
        known = self._symbols.get(symbol)
        if known is None:
            return
        self.seen += 1
        first = known.price is None
        known.price = self.prices[symbol] = ticks
        self.received_ns[symbol] = now_ns = self._newest_ns = self._clock()
        known.came_ns = time.perf_counter_ns()
        self._moved.add(symbol)
        if self._scheduled is not None or not self.is_open:
            return
        # Most prices are outside every wake: those cost a comparison, not a turn of the loop.
        if first or now_ns >= self._next_ns:
            self._all = True
        elif not inside(self._wake(symbol, known), now_ns, ticks):
            return
        if self._in_frame:
            self._due = True
        else:
            self._schedule()

    def learned(self, report: Record) -> None:
        """After every input: wakes may have moved, so the newest prices are looked at again."""
        self._look_soon_at_all()

    def begin(self) -> None:
        """A frame begins: its prices are looked at when all of it was told."""
        if self._due:
            self._schedule()  # the one before never ended
        self._in_frame, self._due = True, False

    def look(self) -> None:
        """A frame ends: look at its prices now, if one of them wakes the core.

        Only the first time between two turns of the loop: where it is behind, ticks are better coalesced.
        """
        due, self._in_frame, self._due = self._due, False, False
        if due and self._scheduled is None:
            self._flush(self._newest_ns, self._all)

    def _look_soon_at_all(self) -> None:
        self._all = True
        self._schedule()

    def _schedule(self) -> None:
        if self._scheduled is None and self.is_open:
            self._scheduled = self._loop.call_soon(self._on_turn)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols whose prices may pass, sorted."""
        return tuple(self._symbols)

    def _on_turn(self) -> None:
        self.flush(everything=self._all)

    def flush(self, everything: bool = True) -> None:
        """Look at the newest prices now, and let in those that are wanted.

        Where neither price nor wake is new, nothing can be wanted before the time of the timer; so less than
        everything comes to the same, and sooner.
        """
        self._flush(self._clock(), everything)

    def _flush(self, now_ns: int, everything: bool) -> None:
        self._scheduled = None
        if not self.is_open or not self.prices:
            return
        self.turn += 1
        self.flushing(now_ns, self.turn)
        due = self._core.clock_wake().at_ns
        if due is not None and now_ns >= due:
            self._learn(ClockReport(marks=tuple(sorted(self.prices.items()))))
        everything = everything or now_ns >= self._next_ns
        moved, self._moved, self._all = self._moved, set(), False
        next_ns = None if everything or self._next_ns == NEVER_NS else self._next_ns
        for name in self._symbols if everything else sorted(moved):
            at_ns = self._look(name, self._symbols[name], now_ns)
            if at_ns is not None and (next_ns is None or at_ns < next_ns):
                next_ns = at_ns
        if self._all:
            return  # what was learned just now has everything looked at again
        due = self._core.clock_wake().at_ns
        if due is not None and (next_ns is None or due < next_ns):
            next_ns = due
        if everything or self._timer is None or next_ns != self._next_ns:
            self._arm(next_ns)

    def _look(self, name: str, symbol: _Symbol, now_ns: int) -> int | None:
        """Tell a symbol its price if it wants to hear it; returns when time alone makes it want to."""
        price = symbol.price
        if price is None:
            return None
        wake = self._wake(name, symbol)
        if inside(wake, now_ns, price):
            if self._is_repeating(symbol, price, now_ns):
                return symbol.quiet_until_ns
            self.let_in += 1
            if symbol.came_ns:  # asked for again, the same price took no further way
                self.admitted(time.perf_counter_ns() - symbol.came_ns)
                symbol.came_ns = 0
            self._learn(TickReport(symbol=name, price_ticks=price))
            if self._all:
                return None  # it will be looked at again
            wake = self._wake(name, symbol)
        return wake.at_ns

    def _is_repeating(self, symbol: _Symbol, price: int, now_ns: int) -> bool:
        """Whether a symbol asks for one price without end: then it waits, and everybody else goes on."""
        if symbol.told != price:
            symbol.told, symbol.same, symbol.quiet_until_ns = price, 0, 0
        if now_ns < symbol.quiet_until_ns:
            return True
        symbol.same += 1
        if symbol.same % SAME_PRICE_MOST == 0:
            symbol.quiet_until_ns = now_ns + SAME_PRICE_WAIT_NS
        return False

    def _wake(self, name: str, symbol: _Symbol) -> Wake:
        own, risk = self._core.wake_states(name)
        if symbol.wake is None or own is not symbol.own or risk is not symbol.risk:
            symbol.own, symbol.risk = own, risk
            symbol.wake = joined(*self._core.wake_of(name))
        return symbol.wake

    def _arm(self, at_ns: int | None) -> None:
        self._next_ns = NEVER_NS if at_ns is None else at_ns
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at_ns is None or self._scheduled is not None:
            return
        seconds = min(max(at_ns - self._clock(), 0) / NS, LONGEST_TIMER_S)
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._look_soon_at_all()
