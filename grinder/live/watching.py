"""Who watches a run: log, alerts, metrics, tape and health, as far as they are configured.

Law: watching never decides, never delays trading, and a watcher that fails is itself only reported.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from actors.records import new_row
from domain.notes import TapeSegmentReport
from domain.portfolio_state import PortfolioState, equity
from grinder.ledger.reading import connect
from grinder.live.life import TRADING, Life
from grinder.live.listening import NoTape, Tape
from grinder.live.measuring import Measured
from grinder.live.spec import RunSpec
from grinder.observation.alerts import Alert, Alerts, LogSink
from grinder.observation.books import show_books
from grinder.observation.budgets import Budgets
from grinder.observation.health import (
    EVERY_S,
    DataFreshness,
    DiskSpace,
    ExchangeConnection,
    Health,
    Ledger,
    PositionSync,
    RiskLimits,
)
from grinder.observation.metrics import Metrics
from grinder.observation.records import SUMMED, LedgerMetrics
from grinder.observation.webhooks import webhook_sinks
from grinder.run_folder import RunFolder
from grinder.standby.sight import standbys
from grinder.tape.layout import FOLDER
from grinder.tape.writer import TapeSettings, TapeWriter

NS = 10**9

MB = 1024 * 1024

BEGIN_S = 10.0
"""Longest wait for the first block of the tape to be on the disk."""

LONGEST_SILENCE_S = 30.0
"""A request must have been answered no longer ago than this; the session asks every twenty seconds."""

FRESH_S = 2.0
"""Oldest price that is fresh; a tenth of `live.stale_seconds` where that is more."""

_SUMMED_ROWS = (
    "SELECT rowid, originator_id, originator_version, topic, CAST(state AS BLOB), ts_ns, cause, chain "
    "FROM stored_events WHERE topic IN ({}) ORDER BY rowid"
)

LATE_COMPARISONS = 3.0
"""Comparisons may be this many periods late before they count as missing."""


class _RunTape:
    """The tape of a run: frames with the turn of the gate and the record they came after."""

    def __init__(self, writer: TapeWriter, run: Life) -> None:
        self._writer = writer
        self._run = run

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Keep a frame."""
        run = self._run
        self._writer.frame(stream, frame, received_ns, run.gate.turn, run.core.position)


class Watching:
    """What a run tells those who watch it.

    Raises:
        ConfigError: a receiver of alerts has no address.
    """

    def __init__(self, folder: RunFolder, spec: RunSpec) -> None:
        self._folder = folder
        self._spec = spec
        self.metrics = Metrics(Budgets(notify=self.notify))
        self.records = LedgerMetrics(self.metrics)
        self.measured = Measured(self.metrics)
        sinks = webhook_sinks(spec.config.observe.alerts, os.environ, str(folder.path))
        self.alerts = Alerts((LogSink(), *sinks), counted=self._counted, delivered=self._delivered)
        self.health_of: Health | None = None
        self._server: Any = None
        self._tape: TapeWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --- told on the way -------------------------------------------------------------------------------

    def notify(self, alert: Alert) -> None:
        """Something somebody should know."""
        self.alerts(alert)

    def _counted(self, level: str, told: bool) -> None:
        if told:
            self.metrics.count("alerts", level)
        else:
            self.metrics.count("alerts_held_back")

    def _delivered(self, receiver: str, alerts: int, taken: bool) -> None:
        if not taken:
            self.metrics.count("alerts_lost", receiver, by=alerts)

    def broke(self, failure: BaseException, stored: bool) -> None:
        """The run ends at once.

        Args:
            stored: whether the ledger could be written until then.
        """
        kind = "run_failed" if stored else "ledger_failed"
        if not stored:
            self.metrics.count("ledger_errors")
        self.metrics.count("errors", type(failure).__name__, kind)
        self.notify(Alert(level="CRITICAL", kind=kind, text=f"the run ends at once: {failure!r}"))

    def restore(self, ledger: Path) -> None:
        """Let sums go on from what the ledger holds."""
        topics = sorted(SUMMED)
        marks = ",".join("?" * len(topics))
        with closing(connect(ledger)) as connection:
            found = connection.execute(_SUMMED_ROWS.format(marks), topics)
            self.records.restore(map(new_row, found))

    def group_stored(self, records: int, seconds: float) -> None:
        """A group became durable."""
        self.metrics.durable(records, round(seconds * NS))

    def looked(self, now_ns: int, turn: int, position: int) -> None:
        """The gate looks at the newest prices, after a record of the ledger."""
        if self._tape is not None:
            self._tape.flushed(now_ns, turn, position)

    # --- life ------------------------------------------------------------------------------------------

    async def start(self, run: Life) -> None:
        """Serve metrics and look at the health from now on."""
        period_s = run.spec.config.live.reconcile_seconds
        stale_s = run.spec.config.live.stale_seconds
        checks: list[Any] = [
            ExchangeConnection(
                connected=lambda: (
                    bool(run.noted.streams) and all(one == "up" for one in run.noted.streams.values())
                ),
                last_answer_ns=lambda: run.session.wire.answered_ns if run.session else 0,
                clock=run.clock,
                longest_s=LONGEST_SILENCE_S * run.pace,
            ),
            DataFreshness(
                received_ns=lambda: run.gate.received_ns,
                symbols=lambda: run.symbols,
                clock=run.clock,
                longest_s=max(FRESH_S, stale_s / 10) * run.pace,
            ),
            Ledger(failure=lambda: run.loop_core.failure, verified=lambda: run.chain.whole),
            DiskSpace(
                path=run.folder.path, least_share=0.0, least_bytes=run.spec.config.live.disk_free_mb * MB
            ),
            RiskLimits(
                halted=lambda: run.portfolio().halted,
                drawdown_ppm=lambda: _fallen_ppm(run.portfolio()),
                limit_ppm=lambda: run.portfolio().session_drawdown_ppm,
            ),
            PositionSync(
                last_reconcile_ns=lambda: run.session.reconciling.compared_ns if run.session else 0,
                drift_ppm=lambda: run.session.reconciling.drift_ppm if run.session else 0,
                clock=run.clock,
                longest_s=max(120.0, LATE_COMPARISONS * period_s, run.pace * 10),
            ),
        ]
        self.health_of = Health(checks, self.notify)
        self.metrics.before_scrape(lambda: self._show(run))
        port = run.spec.config.observe.metrics_port
        if port:
            from grinder.observation.server import ObservationServer

            self._server = ObservationServer(
                self.metrics,
                self.health_of,
                alive=lambda: run.broken is None,
                ready=lambda: run.phase == TRADING,
                port=port,
            )
            await self._server.start()
        every_s = EVERY_S * run.pace
        self._tasks = [asyncio.create_task(self._watch_health(run, self.health_of, every_s), name="health")]
        if run.pace == 1:  # on a market that is played fast, durations are in that market's time
            self._tasks.append(asyncio.create_task(self.metrics.watch_budgets(run.clock), name="budgets"))

    @staticmethod
    async def _watch_health(run: Life, health: Health, every_s: float) -> None:
        """Look while the run trades: before that, and while it stops, nothing has to be well."""
        while True:
            await asyncio.sleep(every_s)
            if run.phase == TRADING:
                await health.look()

    async def open_tape(self, run: Life) -> Tape:
        """The tape raw frames go to, where one is kept."""
        recording = run.spec.config.record
        if not recording.tape or run.connector is None:
            return NoTape()
        loop = asyncio.get_running_loop()

        def sealed(report: TapeSegmentReport) -> None:
            # On the tape's thread; after the loop's end nobody is left to learn it.
            if not loop.is_closed():
                loop.call_soon_threadsafe(run.note, report)

        self._tape = TapeWriter(
            self._folder.path / FOLDER,
            run.account.taped,
            run.clock(),
            run.core.position,
            sealed=sealed,
            notify=self.notify,
            settings=TapeSettings(segment_bytes=recording.segment_mb * MB),
        )
        # A process that is killed a moment later has then left at least whose frames it would have kept.
        await asyncio.to_thread(self._tape.begun, BEGIN_S)
        return _RunTape(self._tape, run)

    async def close_tape(self, position: int) -> None:
        """Seal the tape, while the ledger can still learn of it."""
        tape, self._tape = self._tape, None
        if tape is not None:
            await asyncio.to_thread(tape.close, position)
            await asyncio.sleep(0)

    def _show(self, run: Life) -> None:
        """What is known now, before a scrape."""
        _show(self.metrics, run)
        self.records.show(run.clock())
        self.measured.show(run.session)
        self.metrics.follow("verify_failures", run.chain.failures)
        self.metrics.follow("quotes", run.gate.seen)
        self.metrics.follow("ticks_let_in", run.gate.let_in)
        self.metrics.show("disk_free_bytes", shutil.disk_usage(self._folder.path).free)
        if self._tape is not None:
            self.metrics.follow("tape_frames", self._tape.frames)
            self.metrics.follow("tape_bytes", self._tape.bytes)
            self.metrics.follow("tape_dropped", self._tape.dropped)
            self.metrics.show("tape_queue_bytes", self._tape.waiting_bytes)

    async def health(self, run: Life) -> dict[str, Any]:
        """Whether all is well."""
        # The last round, not a new one: rounds that fail are counted, and heartbeats come ten times as often.
        report = self.health_of.report if self.health_of is not None else None
        found = report.as_dict() if report and report.results else {"healthy": True, "checks": []}
        return {**found, "phase": run.phase, "position": run.loop_core.durable_position}

    async def close(self) -> None:
        """Stop watching; what is told last is delivered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.stop()
        await asyncio.to_thread(self.alerts.close)


def _fallen_ppm(state: PortfolioState) -> int:
    """How far equity is below the session's highest, ppm."""
    high = state.session_high
    return max(0, high - equity(state)) * 1_000_000 // high if high > 0 else 0


def _show(metrics: Metrics, run: Life) -> None:
    """What the states say now, before a scrape."""
    show_books(metrics, run.core, run.gate.prices, run.gate.received_ns, run.clock())
    metrics.show("ledger_seq", run.loop_core.durable_position)
    metrics.show("lease_epoch", run.tenure.lease.epoch if run.tenure else 0)
    metrics.show("standbys", len(standbys(run.folder.path)) if run.tenure else 0)
    metrics.show("event_bus_depth", run.core.position - run.loop_core.durable_position)
    for stream, known in run.noted.streams.items():
        metrics.show("ws_connected", int(known == "up"), stream)
    metrics.forget("run_phase")
    metrics.show("run_phase", 1, run.phase)
