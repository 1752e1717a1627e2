"""The driver of a backtest: rows of the market, in time order, to the exchange and to the core.

Law: an order of events that no dictionary, thread or clock can change.  At one instant: reports reach the
core, then requests reach the exchange, then funding, then timers, then the next row; a row is seen by the
exchange before the core; symbols go by name.  So with no latency a fill, its re-armed order and the
acknowledgement all happen before the next row.

Rows that nobody wants to hear of are never visited: the exchange wants the rows that reach its best orders,
the core those inside its wakes.  `replay/search.py` finds the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.runtime import Runtime
from domain.inputs import ClockReport, TakeCheckpoint, TickReport
from domain.record import Record
from domain.wake import Wake, joined
from replay.exchange.session import SimulatedExchange
from replay.search import ExtremeIndex
from replay.ticks import Ticks

NEVER = 1 << 62

REPORT, REQUEST, FUNDING, TIMER, ROW = range(5)
"""What happens first at one instant."""

EXCHANGE_TURN, CORE_TURN = range(2)
"""Who sees a row first."""

CLOCK_TIMER = -1
"""The clock's place among the timers of the symbols, which are numbered from 0."""

Candidate = tuple[int, int, int, int, int]
"""(time, kind, number of the symbol, row, turn): what happens next is the smallest."""

Progress = Callable[[int, int], None]
"""Called with (time in ns, position in the ledger) now and then."""


class _SymbolFeed:
    """One symbol's rows as the exchange and the core move through them."""

    def __init__(self, name: str, ticks: Ticks, feed_latency_ns: int) -> None:
        self.name = name
        self.ticks = ticks
        self.latency_ns = feed_latency_ns
        self.touches = ExtremeIndex(ticks.low, ticks.high)
        same = ticks.low is ticks.price and ticks.high is ticks.price
        self.prices = self.touches if same else ExtremeIndex(ticks.price, ticks.price)
        self.exchange_row = 0
        """First row the exchange has not seen."""
        self.core_row = 0
        """First row the core has not been past."""
        self.next_touch: int | None = 0
        """Row the exchange wants next; row 0 always, so that it knows a market."""
        self.next_tick: int | None = None
        self.orders_changed = False
        self.wake: Wake | None = None
        # What the wake was computed from; kept, so that no other state can come to lie in its place.
        self.own_state: object = None
        self.risk_state: object = None

    def first_tick(self, wake: Wake) -> int | None:
        """First row not past that is inside a wake's prices; the very first row for one that is due."""
        if wake.at_ns is not None and self.core_row == 0:
            return 0
        return self.prices.first(self.core_row, wake.price_le, wake.price_ge)

    def pass_core(self, now_ns: int, passed: bool) -> None:
        """Move the core past every row it would have been told by now, had it wanted to hear.

        `passed` says whether this symbol's turn at this very instant is over.
        """
        row = int(self.ticks.ts.searchsorted(now_ns - self.latency_ns, side="right" if passed else "left"))
        if not self.latency_ns:
            row = max(row, self.exchange_row - 1)
        self.core_row = max(self.core_row, row)

    def pass_exchange(self, now_ns: int, passed: bool) -> int:
        """Move the exchange past every row that has happened by now; returns the last of them, or -1."""
        row = int(self.ticks.ts.searchsorted(now_ns, side="right" if passed else "left"))
        self.exchange_row = max(self.exchange_row, row)
        return self.exchange_row - 1

    def time_of(self, row: int) -> int:
        return int(self.ticks.ts[row])

    def price_at(self, now_ns: int) -> int | None:
        """Last price the core knows as a timer fires; None before the first.

        Timers come before the rows of their instant, so those count only if the core has been told them.
        The very first row is known at once: there is nothing before it, and no order it could fill.
        """
        told_ns = now_ns - self.latency_ns
        row = max(self.core_row, int(self.ticks.ts.searchsorted(told_ns))) - 1
        if row < 0 and self.time_of(0) <= told_ns:
            row = 0
        return int(self.ticks.price[row]) if row >= 0 else None

    def last_price(self, now_ns: int) -> int | None:
        """Last price once every row that reaches the core by now has been told."""
        row = int(self.ticks.ts.searchsorted(now_ns - self.latency_ns, side="right")) - 1
        return int(self.ticks.price[row]) if row >= 0 else None


class Backtest:
    """Drives a runtime whose session is a simulated exchange over the rows of its markets."""

    def __init__(
        self,
        runtime: Runtime,
        exchange: SimulatedExchange,
        markets: dict[str, Ticks],
        *,
        until_ns: int = NEVER,
    ) -> None:
        self.runtime = runtime
        self.core = runtime.core
        self.exchange = exchange
        latency = exchange.rules.feed_latency_ns
        self._feeds = [_SymbolFeed(name, markets[name], latency) for name in sorted(markets)]
        self._by_name = {feed.name: feed for feed in self._feeds}
        self.start_ns = min(feed.time_of(0) for feed in self._feeds)
        self.end_ns = min(until_ns, max(feed.time_of(len(feed.ticks) - 1) for feed in self._feeds))
        self.now_ns = self.start_ns
        self._funding = self._boundaries(self.start_ns)
        self._stale = True
        self._clock_at: int | None = None
        # The row that had its turn last: its instant, and the number of its symbol.
        self._row_ns, self._row_number = -1, -1

    # --- the run ---------------------------------------------------------------------------------------

    def open(self, commands: Sequence[Record]) -> None:
        """Give the operator's opening commands, at the time of the first row."""
        for command in commands:
            self.runtime.learn(command, self.start_ns)

    def begin_at(self, now_ns: int) -> None:
        """Begin in the middle: the rows up to a time are known to both sides and move nothing any more."""
        self.now_ns = self.start_ns = now_ns
        for feed in self._feeds:
            feed.pass_core(now_ns, passed=True)
            self.exchange.markets[feed.name].at = feed.pass_exchange(now_ns, passed=True)
            if feed.exchange_row:
                feed.next_touch, feed.orders_changed = None, True
        self._funding = self._boundaries(now_ns)
        self._stale = True

    def rules_changed(self) -> None:
        """The exchange's rules are others from now on: latencies, funding."""
        known = self._funding
        self._funding = {
            symbol: min(known.get(symbol, at), at) for symbol, at in self._boundaries(self.now_ns).items()
        }
        for feed in self._feeds:
            feed.latency_ns = self.exchange.rules.feed_latency_ns
            feed.orders_changed, feed.wake = True, None
            feed.own_state = feed.risk_state = None
        self._stale = True

    def run(
        self,
        progress: Progress | None = None,
        every: int = 256,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """Run to the end of the data, let what is under way arrive, mark and checkpoint.

        `between` is called between two inputs; what it raises ends the run there.
        """
        steps = 0
        while self.step(self.end_ns):
            steps += 1
            between()
            if progress and steps % every == 0:
                progress(self.now_ns, self.core.position)
        self.now_ns = self.end_ns
        while self._deliver():
            pass
        self._tell_clock(self.now_ns, final=True)
        while self._deliver():
            pass  # what the last mark decided is carried out as well
        self._learn(TakeCheckpoint(reason="end of run"), self.now_ns)
        self.core.journal.commit()
        if progress:
            progress(self.now_ns, self.core.position)

    def step(self, until_ns: int) -> bool:
        """Do the next thing that happens at or before a time; False when there is none."""
        exchange = self.exchange
        # What is due now comes before anything a search could find, so the search waits until it is done.
        at = exchange.next_report_ns()
        if at is not None and at <= self.now_ns:
            self._learn(exchange.take_report(), self.now_ns)
            return True
        at = exchange.next_request_ns()
        if at is not None and at <= self.now_ns:
            self._request()
            return True
        if self._stale:
            self._rearm()
        at, kind, number, _, turn = self._next()
        if at > until_ns:
            return False
        self.now_ns = max(at, self.now_ns)
        if kind == ROW:
            self._row_ns, self._row_number = self.now_ns, number
            self._row(self._feeds[number], turn)
        elif kind == REPORT:
            self._learn(exchange.take_report(), self.now_ns)
        elif kind == REQUEST:
            self._request()
        elif kind == FUNDING:
            self._pay_funding()
        elif number == CLOCK_TIMER:
            self._tell_clock(self.now_ns)
        else:
            feed = self._feeds[number]
            self._tick(feed, feed.price_at(self.now_ns))
        return True

    # --- what is next ----------------------------------------------------------------------------------

    def _next(self) -> Candidate:
        """The next thing to happen: the smallest of all candidates."""
        best: Candidate = (NEVER, ROW, 0, 0, 0)
        at = self.exchange.next_report_ns()
        if at is not None:
            best = min(best, (at, REPORT, 0, 0, 0))
        at = self.exchange.next_request_ns()
        if at is not None:
            best = min(best, (at, REQUEST, 0, 0, 0))
        for at in self._funding.values():
            best = min(best, (at, FUNDING, 0, 0, 0))
        if self._clock_at is not None:
            best = min(best, (self._clock_at, TIMER, CLOCK_TIMER, 0, 0))
        for number, feed in enumerate(self._feeds):
            row = feed.next_touch
            if row is not None:
                best = min(best, (feed.time_of(row), ROW, number, row, EXCHANGE_TURN))
            row = feed.next_tick
            if row is not None:
                best = min(best, (feed.time_of(row) + feed.latency_ns, ROW, number, row, CORE_TURN))
            timer = feed.wake.at_ns if feed.wake else None
            if timer is not None and feed.core_row > 0:
                best = min(best, (max(timer, self.now_ns), TIMER, number, 0, 0))
        return best

    def _rearm(self) -> None:
        """Search anew for what each side of each symbol wants, from where it stands."""
        self._stale = False
        self._clock_at = self.core.clock_wake().at_ns
        if self._clock_at is not None:
            self._clock_at = max(self._clock_at, self.start_ns + self.exchange.rules.feed_latency_ns)
        for number, feed in enumerate(self._feeds):
            if feed.orders_changed:
                feed.orders_changed = False
                book = self.exchange.books[feed.name]
                feed.next_touch = feed.touches.first(feed.exchange_row, book.best_buy(), book.best_sell())
            own, risk = self.core.wake_states(feed.name)
            if feed.wake is not None and own is feed.own_state and risk is feed.risk_state:
                continue  # states never change in place: the same objects want the same rows
            feed.own_state, feed.risk_state = own, risk
            wake = joined(*self.core.wake_of(feed.name))
            if wake != feed.wake:
                feed.wake = wake
                feed.pass_core(self.now_ns, self._passed(number))
                feed.next_tick = feed.first_tick(wake)

    # --- what happens ----------------------------------------------------------------------------------

    def _learn(self, report: Record, now_ns: int) -> None:
        self.runtime.learn(report, now_ns)
        self._stale = True

    def _deliver(self) -> bool:
        """Let the next report or request under way arrive; False when there is none."""
        report, request = self.exchange.next_report_ns(), self.exchange.next_request_ns()
        if report is not None and (request is None or report <= request):
            self.now_ns = max(self.now_ns, report)
            self._learn(self.exchange.take_report(), self.now_ns)
            return True
        if request is not None:
            self.now_ns = max(self.now_ns, request)
            self._request()
            return True
        return False

    def _row(self, feed: _SymbolFeed, turn: int) -> None:
        if turn == CORE_TURN and feed.next_tick is not None:
            row = feed.next_tick
            feed.core_row = row + 1
            if not feed.latency_ns:
                # The exchange saw the row first, even if it had no order there to notice it by.
                feed.exchange_row = max(feed.exchange_row, row + 1)
            self._tick(feed, int(feed.ticks.price[row]))
        elif feed.next_touch is not None:
            row = feed.next_touch
            feed.exchange_row = row + 1
            feed.orders_changed = True
            self._stale = True
            self.exchange.on_row(feed.name, row)

    def _tick(self, feed: _SymbolFeed, price_ticks: int | None) -> None:
        if price_ticks is None:
            return
        feed.wake = None  # what was searched for has been found: search anew after the answer
        self._learn(TickReport(symbol=feed.name, price_ticks=price_ticks), self.now_ns)

    def _request(self) -> None:
        """A request arrives: the exchange judges it by the last row before now.

        Rows of this very instant that the exchange has not seen come after it, so they can fill it.
        """
        feed = self._by_name.get(self.exchange.next_request_symbol())
        if feed is not None:
            self._look(feed)
            feed.orders_changed = True
        self.exchange.handle_request()
        self._stale = True

    def _pay_funding(self) -> None:
        for symbol, at in list(self._funding.items()):
            if at <= self.now_ns:
                self._look(self._by_name[symbol])
                if self.exchange.markets[symbol].started:
                    self.exchange.pay_funding(symbol, self.now_ns)
                self._funding[symbol] = at + self.exchange.rules.funding[symbol][1]

    def _look(self, feed: _SymbolFeed) -> None:
        """Let the exchange see a symbol's market as it is now."""
        number = self._feeds.index(feed)
        self.exchange.markets[feed.name].at = feed.pass_exchange(self.now_ns, self._passed(number))

    def _passed(self, number: int) -> bool:
        """Whether a symbol has had its turn at this instant: symbols go by number."""
        return self._row_ns == self.now_ns and number < self._row_number

    def _tell_clock(self, now_ns: int, final: bool = False) -> None:
        marks = []
        for feed in self._feeds:
            price = feed.last_price(now_ns) if final else feed.price_at(now_ns)
            if price is not None:
                marks.append((feed.name, price))
        self._learn(ClockReport(marks=tuple(marks)), now_ns)

    def _boundaries(self, after_ns: int) -> dict[str, int]:
        """The next funding of each symbol that has any."""
        return {
            symbol: (after_ns // interval + 1) * interval
            for symbol, (_, interval) in sorted(self.exchange.rules.funding.items())
            if interval and symbol in self._by_name
        }
