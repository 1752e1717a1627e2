"""The ledger's records as metrics: what was decided is counted where it is written.

Law: a record is read after it was decided and changes nothing.  Records that only have to be counted are not
decoded; those that are, are rare.  Profit here is for watching; the views hold it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from actors.records import LedgerRow
from domain.codec import decode
from domain.grid_events import LevelFilled
from domain.inputs import (
    NoAnswerReport,
    OrphanOrderReport,
    RateLimitReport,
    ReconciliationReport,
)
from domain.instrument import InstrumentListed
from domain.notes import StreamReport, TapeSegmentReport
from domain.order_events import (
    DifferenceFound,
    FundingPaid,
    OrderAccepted,
    OrderBlocked,
    OrderClosed,
    OrderFilled,
    OrderRefused,
    OrderSubmitted,
    OrderThrottled,
)
from domain.orders import OrderStatus
from domain.record import Record
from domain.risk_events import DayOpened, SymbolHalted, TradingHalted, TradingPaused
from grinder.observation.alerts import NS
from grinder.observation.metrics import Metrics
from grinder.observation.uptime import Uptime
from grinder.scaling import FEWEST_DECIMALS

SESSION, DAILY, ALL_TIME = "session", "daily", "all_time"

STUCK_NS = 10 * NS
"""An order without an answer for longer is stuck."""


class LedgerMetrics:
    """Keeps the metrics that follow from records.

    Attributes:
        profit: grid profit less fees, quote currency, by period; ``session`` begins with the process.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counting = True
        self._one: dict[str, int] = {}
        self._unit_of: dict[str, int] = {}
        self._opened_day = 0
        self.profit = {SESSION: 0.0, DAILY: 0.0, ALL_TIME: 0.0}
        self.fees = self.funding = 0.0
        self._now_ns = 0
        self._unanswered: dict[str, int] = {}
        self._uptimes: dict[str, Uptime] = {}
        self._ended = self._filled = 0
        self._topics: dict[str, int] = {}
        self._handlers: dict[str, Callable[[Any], None]] = {
            record.TOPIC: handler for record, handler in self._table()
        }

    def _table(self) -> Iterable[tuple[type[Record], Callable[[Any], None]]]:
        count = self._metrics.count
        yield InstrumentListed, self._on_listed
        yield OrderFilled, self._on_filled
        yield OrderClosed, self._on_closed
        yield LevelFilled, self._on_level
        yield FundingPaid, self._on_funding
        yield DayOpened, self._on_day
        yield DifferenceFound, self._on_difference
        yield OrderSubmitted, self._on_submitted
        yield OrderAccepted, self._on_accepted
        yield OrderRefused, lambda event: count("orders_refused", event.reason)
        yield OrderThrottled, lambda event: count("orders_throttled", event.reason)
        yield OrderBlocked, lambda event: count("reason_code", event.reason)
        yield NoAnswerReport, lambda event: count("orders_unknown")
        yield OrphanOrderReport, lambda event: count("orphans")
        yield RateLimitReport, lambda event: count("rate_limits", event.code)
        yield ReconciliationReport, self._on_reconciled
        yield TradingHalted, lambda event: count("halts", event.reason)
        yield SymbolHalted, lambda event: count("halts", event.reason)
        yield TradingPaused, lambda event: count("pauses", event.reason)
        yield StreamReport, self._on_stream
        yield TapeSegmentReport, lambda event: count("tape_segments")

    def restore(self, rows: Iterable[LedgerRow]) -> None:
        """Take in what was recorded before this process: sums go on from there, nothing is counted again."""
        self._counting = False
        for row in rows:
            if row.topic in SUMMED:
                self._handlers[row.topic](decode(row.topic, row.state))
        self._counting = True
        self.profit[SESSION] = 0.0
        self._show()

    def rows(self, rows: Iterable[LedgerRow]) -> None:
        """Records that were written just now."""
        for row in rows:
            topic = row.topic
            self._topics[topic] = self._topics.get(topic, 0) + 1
            handler = self._handlers.get(topic)
            if handler is not None:
                self._now_ns = row.ts_ns
                handler(decode(topic, row.state))
        for topic, number in self._topics.items():
            self._metrics.count("records", topic.partition("/")[0], by=number)
        self._topics.clear()

    def show(self, now_ns: int) -> None:
        """What depends on the time it is asked for: orders without an answer, uptimes."""
        stuck = sum(now_ns - since_ns > STUCK_NS for since_ns in self._unanswered.values())
        self._metrics.show("stuck_orders", stuck)
        for stream, uptime in self._uptimes.items():
            self._metrics.show("connector_uptime", uptime.share(now_ns), stream)

    # --- one record ------------------------------------------------------------------------------------

    def _on_listed(self, event: InstrumentListed) -> None:
        one = event.instrument
        self._one[one.symbol] = 10**one.quote_decimals
        self._unit_of.update(
            {
                one.base: 10**one.base_decimals,
                one.quote: 10**one.quote_decimals,
                one.symbol: 10**one.base_decimals,  # a perpetual's position goes by its symbol
            }
        )

    def _on_submitted(self, event: OrderSubmitted) -> None:
        self._metrics.count("orders_submitted")
        self._unanswered[event.terms.client_order_id] = self._now_ns

    def _on_accepted(self, event: OrderAccepted) -> None:
        self._metrics.count("orders_accepted")
        self._answer(event.client_order_id)

    def _answer(self, order_id: str) -> None:
        """Times are those of the inputs: from the one that led to the order to the one that answered it."""
        since_ns = self._unanswered.pop(order_id, None)
        if since_ns is not None:
            self._metrics.answered(self._now_ns - since_ns)

    def _on_filled(self, event: OrderFilled) -> None:
        one = self._one.get(event.symbol, 1)
        self.fees += event.fee_value / one
        self._earn(-event.fee_value / one)
        if not self._counting:
            return
        self._metrics.count("fills", event.liquidity)
        self._answer(event.client_order_id)
        if event.late:
            self._metrics.count("late_fills")
        if event.status == OrderStatus.FILLED:
            self._metrics.count("orders_filled")
            self._end(filled=True)

    def _on_closed(self, event: OrderClosed) -> None:
        self._answer(event.client_order_id)
        if event.status == OrderStatus.REJECTED:
            self._metrics.count("orders_rejected", event.reason)
        elif event.status == OrderStatus.ABSENT:
            self._metrics.count("orders_absent")
        else:
            self._metrics.count("orders_cancelled", event.reason)
        self._end(filled=False)

    def _end(self, *, filled: bool) -> None:
        self._ended += 1
        self._filled += filled
        self._metrics.show("fill_rate", self._filled / self._ended)

    def _on_level(self, event: LevelFilled) -> None:
        one = self._one.get(event.symbol, 1)
        self._earn(event.profit / one)
        if not self._counting:
            return
        self._metrics.fill_profit(event.profit / one)
        if event.cycle_done:
            basis = event.cost - event.profit
            self._metrics.round_trip(event.symbol, event.profit / basis * 10_000 if basis > 0 else 0.0)

    def _on_funding(self, event: FundingPaid) -> None:
        self.funding += event.units / self._one.get(event.symbol, 1)
        self._metrics.show("funding_paid", self.funding)

    def _on_day(self, event: DayOpened) -> None:
        self.profit[DAILY] = 0.0
        self._show()

    def _on_difference(self, event: DifferenceFound) -> None:
        self._metrics.count("drift_alerts")
        unit = self._unit_of.get(event.subject, 10**FEWEST_DECIMALS)
        self._metrics.show("drift", (event.exchange - event.books) / unit, event.subject)

    def _on_reconciled(self, event: ReconciliationReport) -> None:
        self._metrics.count("reconciliations", event.cause)
        if not event.in_flight:
            for subject, _ in (*event.balances, *event.positions):
                self._metrics.show("drift", 0.0, subject)  # what differs is said right after it

    def _on_stream(self, event: StreamReport) -> None:
        if event.state == "gap":
            self._metrics.count("gaps", event.stream)
        elif event.state == "down":
            self._metrics.count("reconnects", event.stream)
        if event.state in ("up", "down"):
            self._metrics.show("ws_connected", int(event.state == "up"), event.stream)
            uptime = self._uptimes.setdefault(event.stream, Uptime(self._now_ns))
            (uptime.up if event.state == "up" else uptime.down)(self._now_ns)

    def _earn(self, amount: float) -> None:
        for period in self.profit:
            self.profit[period] += amount
        if self._counting:
            self._show()

    def _show(self) -> None:
        for period, amount in self.profit.items():
            self._metrics.show("realized_pnl", amount, period)
        self._metrics.show("pnl_total", self.profit[ALL_TIME], "realised")
        self._metrics.show("pnl_total", -self.fees, "fees")
        self._metrics.show("pnl_total", self.funding, "funding")


SUMMED = frozenset(one.TOPIC for one in (InstrumentListed, OrderFilled, LevelFilled, FundingPaid, DayOpened))
