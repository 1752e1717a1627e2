"""Every metric of a run, in one registry of its own.

Law: counting costs about a microsecond and waits for nobody; amounts are shown, never computed with, so they
are floats here and nowhere else.  What the states of the core already say is read when somebody scrapes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from grinder.observation.budgets import BUDGETS, OTHER_STAGES, Budgets
from grinder.observation.durations import MS_BOUNDS, US_BOUNDS, DurationFamily

MS: Final = 1_000_000
US: Final = 1_000
BPS_BOUNDS: Final = (-100, -50, -20, -10, -5, 0, 5, 10, 20, 50, 100, 200, 500)

_CREATED: Final = re.compile(rb"^(# (HELP|TYPE) )?grinder_\w+_created[ {].*\n", re.MULTILINE)
"""When each counter began: a series beside every counter that nobody asks for."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES: Final = (
    # business
    ("pnl_total", "Profit since the ledger began, or of one kind of it, in the quote currency.", ("kind",)),
    ("equity", "Equity at the latest marks, in the quote currency.", ()),
    ("fill_rate", "Orders filled of those that ended, 0 to 1.", ()),
    ("realized_pnl", "Realised profit in the quote currency.", ("period",)),
    # system
    ("event_bus_depth", "Records on their way to the disk.", ()),
    ("run_phase", "1 for the phase the run is in.", ("phase",)),
    ("connector_uptime", "Share of the last 30 days a stream was connected, 0 to 1.", ("stream",)),
    # data
    ("staleness_ms", "Age of a symbol's newest price.", ("symbol",)),
    ("ws_connected", "1 while a stream is connected.", ("stream",)),
    ("clock_drift_ms", "The exchange's clock less ours.", ()),
    # risk
    ("drawdown_pct", "Fall of equity from its highest.", ("period",)),
    ("inventory_notional", "Worth of a symbol's holding at its mark, in the quote currency.", ("symbol",)),
    ("risk_halted", "1 while trading is halted, on the whole account or on a symbol.", ()),
    ("kill_switch", "1 while trading is latched off, by the operator or a limit of the whole account.", ()),
    ("paused", "Pauses in force.", ("reason",)),
    ("circuit_state", "0 closed, 1 half open, 2 open.", ()),
    ("margin_utilisation", "Margin in use of the margin there is, 0 to 1.", ("symbol",)),
    ("funding_paid", "Funding received less funding paid, in the quote currency.", ()),
    # grid
    ("grid_step_bps", "Distance between the two levels around the price.", ("symbol",)),
    ("grid_width_bps", "Distance from the lowest to the highest level.", ("symbol",)),
    ("grid_center", "Middle of the grid.", ("symbol",)),
    ("grid_price", "Newest price of a symbol.", ("symbol",)),
    # orders
    ("open_orders", "Orders working at the exchange.", ("symbol",)),
    ("unknown_orders", "Orders whose outcome nobody knows yet.", ()),
    ("stuck_orders", "Orders waiting for an answer for more than ten seconds.", ()),
    ("position", "Base units held, as a number of whole ones.", ("symbol",)),
    ("drift", "Exchange less books, in whole units of the asset, at the last comparison.", ("subject",)),
    # ledger
    ("ledger_seq", "Position of the last durable record.", ()),
    ("lease_epoch", "Epoch of the lease this process holds; 0 where a run needs none.", ()),
    ("standbys", "Processes that follow the run and could take over.", ()),
    ("disk_free_bytes", "Room on the ledger's disk.", ()),
    # tape
    ("tape_queue_bytes", "Frames waiting to be written.", ()),
)

_COUNTERS: Final = (
    ("round_trips", "Grid cycles completed.", ("symbol",)),
    ("errors", "Errors, by their class and what was asked for.", ("type", "module")),
    ("alerts", "Alerts told.", ("level",)),
    ("alerts_held_back", "Alerts held back, because the same was told within a minute.", ()),
    ("alerts_lost", "Alerts a receiver did not take.", ("receiver",)),
    ("sla_breaches", "Checks that found a stage above its budget.", ("stage",)),
    ("frames", "Frames received.", ("stream",)),
    ("gaps", "Losses a stream showed.", ("stream",)),
    ("reconnects", "Times a stream was lost.", ("stream",)),
    ("quotes", "Prices that came.", ()),
    ("ticks_let_in", "Prices that became inputs.", ()),
    ("orders_submitted", "Orders handed to the exchange.", ()),
    ("orders_accepted", "Orders the exchange let rest.", ()),
    ("orders_filled", "Orders filled completely.", ()),
    ("orders_rejected", "Orders the exchange refused.", ("reason",)),
    ("orders_cancelled", "Orders that ended with a rest.", ("reason",)),
    ("orders_refused", "Orders the books refused.", ("reason",)),
    ("orders_throttled", "Orders held back by the request budget.", ("reason",)),
    ("orders_absent", "Orders shown not to have reached the exchange.", ()),
    ("orders_unknown", "Requests that were not answered.", ()),
    ("reason_code", "Orders risk blocked.", ("reason",)),
    ("fills", "Executions booked.", ("liquidity",)),
    ("late_fills", "Executions booked after their order had ended.", ()),
    ("dedup_duplicates", "Executions the stream brought that were booked already.", ()),
    ("dedup_gaps", "Executions that had to be fetched, because the stream had not brought them.", ()),
    ("drift_alerts", "Differences between exchange and books.", ()),
    ("reconciliations", "Comparisons with the exchange.", ("cause",)),
    ("halts", "Halts.", ("reason",)),
    ("pauses", "Pauses.", ("reason",)),
    ("rate_limits", "Refusals for too many requests.", ("code",)),
    ("orphans", "Orders with our prefix the books do not know.", ()),
    ("records", "Records decided.", ("topic",)),
    ("ledger_writes", "Groups made durable.", ()),
    ("ledger_errors", "Groups that could not be stored.", ()),
    ("verify_failures", "Checks that found the chain on the disk broken.", ()),
    ("tape_frames", "Frames kept.", ()),
    ("tape_bytes", "Bytes of frames kept, before compression.", ()),
    ("tape_dropped", "Frames lost because the disk did not follow.", ()),
    ("tape_segments", "Segments sealed.", ()),
)


class Metrics:
    """The metrics of one run, by the names of docs/observation.md without their prefix ``grinder_``.

    Attributes:
        registry: what is scraped.
        budgets: the latency budgets, fed by `stage`.
    """

    def __init__(self, budgets: Budgets | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.budgets = budgets or Budgets()
        self.gauges = {
            name: Gauge(f"grinder_{name}", text, labels, registry=self.registry)
            for name, text, labels in _GAUGES
        }
        self.counters = {
            name: Counter(f"grinder_{name}", text, labels, registry=self.registry)
            for name, text, labels in _COUNTERS
        }
        self._rt_pnl = Histogram(
            "grinder_round_trip_pnl_bps",
            "Profit of a grid cycle after fees, in bps of what it cost.",
            buckets=BPS_BOUNDS,
            registry=self.registry,
        )
        self._fill_pnl = self._gauge_of("fill_pnl", "Realised profit of the latest fill, quote currency.")
        self._stage_ms = self._durations("stage_latency_ms", "Time a stage took.", MS_BOUNDS, MS, "stage")
        self._stage_us = self._durations("stage_latency_us", "The same, finer.", US_BOUNDS, US, "stage")
        self._order_ms = self._durations(
            "order_latency_ms", "Order sent to its answer.", MS_BOUNDS, MS
        ).child()
        self._decision_ms = self._durations("decision_latency_ms", "Input to rest.", MS_BOUNDS, MS).child()
        self._poll_ms = self._durations("poll_latency_ms", "Reading requests.", MS_BOUNDS, MS).child()
        self._append_ms = self._durations("ledger_append_ms", "Group to durable.", MS_BOUNDS, MS).child()
        self._append_us = self._durations("ledger_append_us", "The same, finer.", US_BOUNDS, US).child()
        stages = (*(one.stage for one in BUDGETS), *OTHER_STAGES)
        self._stages = {name: (self._stage_ms.child(name), self._stage_us.child(name)) for name in stages}
        self._windows = self.budgets.windows
        self._before_scrape: list[Callable[[], None]] = []
        self._followed: dict[tuple[str, tuple[str, ...]], int] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Counter] = {}
        ProcessCollector(namespace="grinder", registry=self.registry)

    # --- durations, ns; the hot path -------------------------------------------------------------------

    def stage(self, stage: str, duration_ns: int) -> None:
        """A stage took so long; about half a microsecond.

        Raises:
            KeyError: there is no such stage.
        """
        in_ms, in_us = self._stages[stage]
        in_ms.observe(duration_ns)
        in_us.observe(duration_ns)
        window = self._windows.get(stage)
        if window is not None:
            window.observe(duration_ns)

    def decided(self, duration_ns: int) -> None:
        """The core went from an input to rest."""
        self._decision_ms.observe(duration_ns)
        self.stage("decide", duration_ns)
        self.stage("policy_decision", duration_ns)

    def durable(self, records: int, duration_ns: int) -> None:
        """A group of records went to the disk."""
        self._append_ms.observe(duration_ns)
        self._append_us.observe(duration_ns)
        self.stage("durable", duration_ns)
        self.count("ledger_writes")

    def answered(self, duration_ns: int) -> None:
        """The exchange answered an order, so long after the input that led to it, by the ledger's times."""
        self._order_ms.observe(duration_ns)
        self.stage("total", duration_ns)

    def polled(self, duration_ns: int) -> None:
        """A reading request was answered."""
        self._poll_ms.observe(duration_ns)

    # --- counts and values -----------------------------------------------------------------------------

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter; under a microsecond.

        Raises:
            KeyError: there is no such counter.
        """
        child = self._children.get((name, labels))
        if child is None:
            counter = self.counters[name]
            child = self._children[name, labels] = counter.labels(*labels) if labels else counter
        child.inc(by)

    def follow(self, name: str, total: int, *labels: str) -> None:
        """Bring a counter up to a total that somebody else counts."""
        key = (name, labels)
        self.count(name, *labels, by=max(total - self._followed.get(key, 0), 0))
        self._followed[key] = total

    def show(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge.

        Raises:
            KeyError: there is no such gauge.
        """
        gauge = self.gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def forget(self, name: str) -> None:
        """Drop every labelled value of a gauge, before those that are there now are shown."""
        self.gauges[name].clear()

    def round_trip(self, symbol: str, profit_bps: float) -> None:
        """A grid cycle was completed."""
        self.count("round_trips", symbol)
        self._rt_pnl.observe(profit_bps)

    def fill_profit(self, profit: float) -> None:
        """What the latest fill realised, in the quote currency."""
        self._fill_pnl.set(profit)

    async def watch_budgets(self, clock: Callable[[], int], every_s: float = 10.0) -> None:
        """Hold the stages against their budgets again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            for breach in self.budgets.check(clock()):
                self.count("sla_breaches", breach.stage)

    # --- scraping --------------------------------------------------------------------------------------

    def before_scrape(self, call: Callable[[], None]) -> None:
        """Call this before each scrape; it shows what the states say then."""
        self._before_scrape.append(call)

    def text(self) -> bytes:
        """Everything in the text format of Prometheus, version 0.0.4."""
        for call in self._before_scrape:
            call()
        return _CREATED.sub(b"", generate_latest(self.registry))

    def _durations(
        self, name: str, text: str, bounds: tuple[int, ...], unit_ns: int, label: str = ""
    ) -> DurationFamily:
        family = DurationFamily(f"grinder_{name}", text, bounds, unit_ns, label)
        self.registry.register(family)
        return family

    def _gauge_of(self, name: str, text: str) -> Gauge:
        return Gauge(f"grinder_{name}", text, registry=self.registry)
