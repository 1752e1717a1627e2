"""A fork: a run as it was up to a position, changed there, and run on.

Law: history is never rewritten.  Up to the fork every record must come out as the parent's ledger holds it;
what is changed enters as inputs between two others, like anything the core ever learns; so the ledger of a
fork replays and verifies like any other, and a fork that changes nothing is its parent's ledger again.

A grid is not changed in place: it is stopped with its orders cancelled, and started anew under the new
settings once the exchange has confirmed the last cancel.  What the old grid held the new one takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from actors.core import Core
from actors.journal import Journal
from actors.records import LedgerRow
from actors.runtime import Runtime
from domain.account_state import AccountState
from domain.grid_state import LONG, GridStatus, SymbolState, inventory
from domain.inputs import (
    ACCOUNT,
    PORTFOLIO,
    ChangeLimits,
    ResumeTrading,
    StartGrid,
    StopGrid,
    symbol_actor,
)
from domain.instrument import LINEAR, Instrument, ListInstrument
from domain.notes import RunReport
from domain.order_events import CancelSubmitted, OrderSubmitted
from domain.orders import ENDED, OrderStatus
from domain.record import Record
from replay.backtest import Backtest
from replay.compare import Divergence, PlainRow, difference
from replay.exchange.rules import ExchangeRules
from replay.exchange.session import SimulatedExchange
from replay.ticks import Ticks

FORKED = "forked"

_evolve: Callable[..., Any] = attrs.evolve
"""Records are attrs classes that type checkers are told are dataclasses."""

OF_A_PERSON = frozenset({"operator", "difference"})
"""Pauses that only a person ends; every other one belongs to an edge that a model of the exchange lacks."""


@attrs.frozen(kw_only=True)
class Changes:
    """What is different from a fork on; everything that is not given stays.

    Attributes:
        detail: the settings as they were asked for; kept in the ledger.
        mode: what the run goes on as; kept in the ledger.
        program: version of the program; kept in the ledger.
        instruments: fields of listed instruments that change, by symbol.
        grids: the grids that are started anew.
        rules: the simulated exchange's rules.
    """

    detail: str
    mode: str
    program: str
    instruments: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    limits: ChangeLimits | None = None
    grids: tuple[StartGrid, ...] = ()
    rules: ExchangeRules | None = None


@attrs.frozen
class ForkPoint:
    """Where changes enter: after the input that writes record `at`."""

    at: int
    changes: Changes


class HistoryDiffers(Exception):
    """What should be the parent's history came out differently."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(f"record {divergence.position} of {divergence.stream} differs")
        self.divergence = divergence


class HistoryJournal:
    """Holds the first records against the parent's ledger, and hands every record on.

    After the first difference nothing is handed on; whoever drives has to `check` between two inputs.

    Args:
        parent: the parent's records up to the fork, where a whole input ends.
    """

    def __init__(self, parent: Iterator[PlainRow], then: Journal) -> None:
        self._parent = parent
        self._then = then
        self._expected: PlainRow | None = next(parent, None)
        self._divergence: Divergence | None = None

    def append(self, row: LedgerRow) -> None:
        """Take one record."""
        if self._divergence is not None:
            return
        if self._expected is not None:
            if row != self._expected:
                self._divergence = difference(self._expected, row)
                return
            self._expected = next(self._parent, None)
        self._then.append(row)

    @property
    def awaited(self) -> int:
        """Position of the parent's record that has to come next; 0 when all of them came."""
        return self._expected[0] if self._expected is not None else 0

    def check(self) -> None:
        """Raises HistoryDiffers: a record was not the parent's."""
        if self._divergence is not None:
            raise HistoryDiffers(self._divergence)

    def commit(self) -> None:
        """Make everything so far durable."""
        self._then.commit()


class ForkingRuntime(Runtime):
    """A runtime that changes settings between two inputs.

    Attributes:
        applied: position after which each fork's changes entered.
        unapplied: symbols whose grid had ended before, so that no new one was started.
    """

    def __init__(
        self,
        core: Core,
        exchange: SimulatedExchange,
        points: Sequence[ForkPoint],
        opening: int = 0,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(core, exchange)
        self.exchange = exchange
        self._points = list(points)
        self._opening = opening
        self._changed = changed
        self._starting: dict[str, StartGrid] = {}
        self.applied: list[int] = []
        self.unapplied: list[str] = []

    def learn(self, report: Record, now_ns: int) -> None:
        """As inherited; after the input of a fork, what changes there."""
        super().learn(report, now_ns)
        self._opening -= 1
        self.go_on(now_ns)

    def go_on(self, now_ns: int) -> None:
        """Apply what is due now that the core is at rest."""
        if self._opening > 0:
            return  # settings can only change once all of them were given
        while self._points and self.core.position >= self._points[0].at:
            self._apply(self._points.pop(0).changes, now_ns)
        for symbol in sorted(self._starting):
            self._start(symbol, now_ns)

    def _apply(self, changes: Changes, now_ns: int) -> None:
        self.applied.append(self.core.position)
        learn = super().learn
        note = RunReport(phase=FORKED, mode=changes.mode, program=changes.program, detail=changes.detail)
        learn(note, now_ns)
        listed: Mapping[str, Instrument] = _account(self.core).instruments
        for symbol, fields in sorted(changes.instruments.items()):
            instrument = _evolve(listed[symbol], **fields)
            self.exchange.relist(instrument)
            learn(ListInstrument(instrument=instrument), now_ns)
        if changes.rules is not None:
            self.exchange.rules = changes.rules
            self._changed()
        if changes.limits is not None:
            learn(changes.limits, now_ns)
        for start in changes.grids:
            grid = _grid(self.core, start.symbol)
            if grid.status in (GridStatus.STOPPED, GridStatus.STOPPING):
                self.unapplied.append(start.symbol)
                continue
            self._starting[start.symbol] = start
            if grid.status is not GridStatus.NEW:
                learn(StopGrid(symbol=start.symbol, on_stop="cancel", reason=FORKED), now_ns)

    def _start(self, symbol: str, now_ns: int) -> None:
        grid = _grid(self.core, symbol)
        works = grid.grid_order or any(level.order_id for level in grid.levels)
        if grid.status not in (GridStatus.NEW, GridStatus.STOPPED) or works:
            return
        start, held = self._starting.pop(symbol), inventory(grid)
        if start.mode == LONG and held > 0:
            start = _evolve(start, initial_inventory="existing", existing_units=held)
        super().learn(start, now_ns)


def _account(core: Core) -> AccountState:
    state: AccountState = core.state_of(ACCOUNT)
    return state


def _grid(core: Core, symbol: str) -> SymbolState:
    state: SymbolState = core.state_of(symbol_actor(symbol))
    return state


# --- the simulated exchange in the place of a real one -------------------------------------------------


@attrs.define
class UnderWay:
    """Requests of a history, by client order id, as far as they were decided."""

    orders: dict[str, OrderSubmitted] = attrs.field(factory=dict)
    cancels: dict[str, CancelSubmitted] = attrs.field(factory=dict)
    fills: int = 0

    def take(self, intents: Sequence[Record]) -> None:
        """Note intents that left."""
        for intent in intents:
            if isinstance(intent, OrderSubmitted):
                self.orders[intent.terms.client_order_id] = intent
            elif isinstance(intent, CancelSubmitted):
                self.cancels[intent.client_order_id] = intent


def stand_in(
    core: Core,
    markets: Mapping[str, Ticks],
    rules: ExchangeRules,
    seed: int,
    under_way: UnderWay,
    now_ns: int,
) -> SimulatedExchange:
    """A simulated exchange that holds what the books say the real one held.

    Orders that were acknowledged rest, at the end of the queue of their price; requests without an answer
    arrive anew.
    """
    books = _account(core)
    wallets = {
        name.removeprefix("wallet:"): units
        for name, units in books.balances.items()
        if name.startswith("wallet:")
    }
    exchange = SimulatedExchange(dict(books.instruments), markets, wallets, rules, seed)
    exchange.start_numbers(len(under_way.orders), under_way.fills)
    for symbol, position in books.positions.items():
        if books.instruments[symbol].kind == LINEAR and position.units:
            exchange.wallet.position[symbol] = position.units
            exchange.wallet.cost[symbol] = position.cost
    for order_id, order in sorted(books.orders.items()):
        if order.status in ENDED:
            continue
        submitted = under_way.orders[order_id]
        if order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN) and not order.exchange_order_id:
            exchange.submit(submitted, now_ns)
            continue
        terms = _evolve(submitted.terms, price_ticks=order.price_ticks, lots=order.lots)
        exchange.hold(terms, order.exchange_order_id, order.filled_lots)
        if order.cancels and not order.cancel_refused and order_id in under_way.cancels:
            exchange.submit(under_way.cancels[order_id], now_ns)
    return exchange


def resumptions(core: Core) -> list[ResumeTrading]:
    """What ends the pauses that nobody is left to end: those for the sake of streams, clocks and requests."""
    pauses: Mapping[str, tuple[str, ...]] = core.state_of(PORTFOLIO).pauses
    return [
        ResumeTrading(reason=reason, symbol=symbol, operator=FORKED)
        for symbol in sorted(pauses)
        for reason in pauses[symbol]
        if reason not in OF_A_PERSON
    ]


# --- driving -------------------------------------------------------------------------------------------


@attrs.frozen
class Until:
    """Where a fork ends early: after the input that reaches a position, or before what is later than a time.

    Nothing is added there: no mark, no checkpoint.
    """

    position: int | None = None
    time_ns: int | None = None


def drive(
    run: Backtest,
    until: Until,
    progress: Callable[[int, int], None],
    between: Callable[[], None],
    every: int = 256,
) -> None:
    """Run to the end of the data, or as far as `until` says."""
    if until.position is None and until.time_ns is None:
        run.run(progress, every, between)
        return
    end_ns = run.end_ns if until.time_ns is None else min(run.end_ns, until.time_ns)
    steps = 0
    while (until.position is None or run.core.position < until.position) and run.step(end_ns):
        steps += 1
        between()
        if steps % every == 0:
            progress(run.now_ns, run.core.position)
    run.core.journal.commit()
