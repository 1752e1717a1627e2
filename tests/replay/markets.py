"""Small markets, and a driver so simple that it can be checked by reading.

Law: `NaiveRun` visits every row of every market, in the order of the law of `replay/backtest.py`, and asks at
each one whether the core wants it.  It searches for nothing and skips nothing, so what the real driver skips
must not matter: the ledgers are equal byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from worlds import SECOND, T0, open_account, open_portfolio

from actors.core import Core
from actors.journal import MemoryJournal
from actors.records import LedgerRow
from actors.runtime import Runtime
from domain.inputs import ClockReport, StartClock, TakeCheckpoint, TickReport
from domain.instrument import LINEAR, Instrument, ListInstrument
from domain.record import Record
from domain.wake import inside, joined
from replay.backtest import Backtest
from replay.exchange.rules import ExchangeRules
from replay.exchange.session import SimulatedExchange
from replay.ticks import TickOrigin, Ticks


def column(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int64)


def trades(
    symbol: str,
    prices: Sequence[int],
    *,
    times: Sequence[int] | None = None,
    qty: Sequence[int] | None = None,
    gap_ns: int = SECOND,
) -> Ticks:
    """Trades at these prices, a second apart from `T0` on unless told."""
    price = column(prices)
    ts = column([T0 + i * gap_ns for i in range(len(prices))] if times is None else times)
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES,
        ts=ts,
        price=price,
        low=price,
        high=price,
        qty=None if qty is None else column(qty),
    )


Quote = tuple[int, int, int, int]
"""bid, ask, size at the bid, size at the ask."""


def quotes(symbol: str, rows: Sequence[Quote], *, times: Sequence[int] | None = None) -> Ticks:
    """Changes of the best quotes, a second apart from `T0` on unless told."""
    bid, ask, bid_qty, ask_qty = (column(values) for values in zip(*rows, strict=True))
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.QUOTES,
        ts=column([T0 + i * SECOND for i in range(len(rows))] if times is None else times),
        price=(bid + ask) // 2,
        low=ask,
        high=bid,
        bid=bid,
        ask=ask,
        bid_qty=bid_qty,
        ask_qty=ask_qty,
    )


def mixed(symbol: str, rows: Sequence[tuple[Quote, int, int]]) -> Ticks:
    """Rows of (quote, traded price, traded lots); a trade of 0 lots is a change of the quotes."""
    bid, ask, bid_qty, ask_qty = (column(values) for values in zip(*(row[0] for row in rows), strict=True))
    price, last = [], rows[0][1]
    for _, traded_price, lots in rows:
        last = traded_price if lots else last
        price.append(last)
    traded = column([row[2] for row in rows])
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES_AND_QUOTES,
        ts=column([T0 + i * SECOND for i in range(len(rows))]),
        price=column(price),
        low=np.where(traded > 0, column(price), ask),
        high=np.where(traded > 0, column(price), bid),
        qty=traded,
        bid=bid,
        ask=ask,
        bid_qty=bid_qty,
        ask_qty=ask_qty,
    )


def opening(
    instruments: Sequence[Instrument],
    balances: dict[str, int],
    grids: Sequence[Record],
    mark_interval_ns: int = 3_600 * SECOND,
    **limits: Any,
) -> list[Record]:
    """The operator's commands of a run."""
    quote = instruments[0].quote
    held = tuple(
        (i.symbol, balances[i.base]) for i in instruments if i.kind != LINEAR and balances.get(i.base)
    )
    return [
        open_account(quote, balances),
        open_portfolio(balances.get(quote, 0), holdings=held, **limits),
        StartClock(mark_interval_ns=mark_interval_ns),
        *(ListInstrument(instrument=one) for one in instruments),
        *grids,
    ]


REPORT, REQUEST, FUNDING, TIMER, ROW = range(5)


class NaiveRun:
    """A backtest without a search."""

    def __init__(self, runtime: Runtime, exchange: SimulatedExchange, markets: dict[str, Ticks]) -> None:
        self.runtime, self.exchange, self.markets = runtime, exchange, markets
        self.names = sorted(markets)
        self.start_ns = min(int(t.ts[0]) for t in markets.values())
        self.end_ns = max(int(t.ts[-1]) for t in markets.values())
        self.now_ns = self.start_ns
        self.seen = dict.fromkeys(self.names, 0)
        self.told = dict.fromkeys(self.names, 0)
        self.visited = 0
        self.funding = {
            s: (self.start_ns // every + 1) * every
            for s, (_, every) in sorted(exchange.rules.funding.items())
            if every and s in markets
        }

    def open(self, commands: Sequence[Record]) -> None:
        for command in commands:
            self.learn(command)

    def learn(self, report: Record) -> None:
        self.runtime.learn(report, self.now_ns)

    def wake(self, symbol: str) -> Any:
        return joined(*self.runtime.core.wake_of(symbol))

    def candidates(self) -> list[tuple[int, int, int, int, int]]:
        """(time, kind, symbol, row, turn) of all that can happen next; the smallest does."""
        exchange, latency = self.exchange, self.exchange.rules.feed_latency_ns
        found = [(at, FUNDING, 0, 0, 0) for at in self.funding.values()]
        for kind, at in ((REPORT, exchange.next_report_ns()), (REQUEST, exchange.next_request_ns())):
            if at is not None:
                found.append((max(at, self.now_ns), kind, 0, 0, 0))
        clock = self.runtime.core.clock_wake().at_ns
        if clock is not None:
            found.append((max(clock, self.now_ns, self.start_ns + latency), TIMER, -1, 0, 0))
        for number, symbol in enumerate(self.names):
            ts, seen, told = self.markets[symbol].ts, self.seen[symbol], self.told[symbol]
            if seen < len(ts):
                found.append((int(ts[seen]), ROW, number, seen, 0))
            if told < len(ts):
                found.append((int(ts[told]) + latency, ROW, number, told, 1))
            timer = self.wake(symbol).at_ns
            if timer is not None and told:
                found.append((max(timer, self.now_ns), TIMER, number, 0, 0))
        return found

    def run(self) -> None:
        while True:
            found = self.candidates()
            if not found or min(found)[0] > self.end_ns:
                break
            self.step(*min(found))
        self.now_ns = self.end_ns
        self.deliver()
        self.clock(final=True)
        self.deliver()
        self.learn(TakeCheckpoint(reason="end of run"))

    def deliver(self) -> None:
        """Let all that is under way arrive."""
        while under_way := [one for one in self.candidates() if one[1] in (REPORT, REQUEST)]:
            self.step(*min(under_way))

    def step(self, at: int, kind: int, number: int, row: int, turn: int) -> None:
        self.now_ns = max(at, self.now_ns)
        if kind == REPORT:
            self.learn(self.exchange.take_report())
        elif kind == REQUEST:
            self.exchange.handle_request()
        elif kind == FUNDING:
            self.pay_funding()
        elif kind == TIMER and number < 0:
            self.clock()
        elif kind == TIMER:
            self.tick(self.names[number], self.last_row(self.names[number]))
        elif turn == 0:
            self.exchange.on_row(self.names[number], row)
            self.seen[self.names[number]] = row + 1
            self.visited += 1
        else:
            self.told[self.names[number]] = row + 1
            price = int(self.markets[self.names[number]].price[row])
            if inside(self.wake(self.names[number]), self.now_ns, price):
                self.tick(self.names[number], row)

    def tick(self, symbol: str, row: int) -> None:
        self.learn(TickReport(symbol=symbol, price_ticks=int(self.markets[symbol].price[row])))

    def last_row(self, symbol: str, final: bool = False) -> int:
        """The last row the core knows; timers come before the rows of their instant, but for the first."""
        latency, ts = self.exchange.rules.feed_latency_ns, self.markets[symbol].ts.tolist()
        if final:
            return sum(at + latency <= self.now_ns for at in ts) - 1
        known = max(self.told[symbol], sum(at + latency < self.now_ns for at in ts))
        return known - 1 if known or ts[0] + latency > self.now_ns else 0

    def clock(self, final: bool = False) -> None:
        rows = [(symbol, self.last_row(symbol, final)) for symbol in self.names]
        marks = tuple((symbol, int(self.markets[symbol].price[row])) for symbol, row in rows if row >= 0)
        self.learn(ClockReport(marks=marks))

    def pay_funding(self) -> None:
        for symbol, at in sorted(self.funding.items()):
            if at <= self.now_ns:
                if self.exchange.markets[symbol].started:
                    self.exchange.pay_funding(symbol, self.now_ns)
                self.funding[symbol] = at + self.exchange.rules.funding[symbol][1]


class Run:
    """A finished run of either driver: its rows, core and exchange."""

    def __init__(
        self,
        driver: type[Backtest] | type[NaiveRun],
        instruments: Sequence[Instrument],
        markets: dict[str, Ticks],
        balances: dict[str, int],
        commands: Sequence[Record],
        rules: ExchangeRules | None = None,
        seed: int = 0,
    ) -> None:
        rules = rules or ExchangeRules()
        by_symbol = {one.symbol: one for one in instruments}
        self.exchange = SimulatedExchange(by_symbol, markets, balances, rules, seed)
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        self.driver = driver(Runtime(self.core, self.exchange), self.exchange, markets)
        self.driver.open(commands)
        self.driver.run()

    @property
    def rows(self) -> list[LedgerRow]:
        return self.journal.rows

    def said(self, topic: str) -> list[Any]:
        from domain.codec import decode

        return [decode(r.topic, r.state) for r in self.rows if r.topic.partition("/")[0] == topic]


def story(rows: Sequence[LedgerRow]) -> list[str]:
    """Rows as lines for people: what a failing comparison shows."""
    return [f"{r.position} {r.ts_ns - T0} {r.cause} {r.stream} {r.topic} {r.state.decode()}" for r in rows]
