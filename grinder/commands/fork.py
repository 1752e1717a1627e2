"""Fork a run: its history up to a position, other settings from there on, in a folder of its own.

Law: the parent is only read.  A backtest is executed again, so its exchange is at the fork exactly what it
was; of a paper or live run the exchange is gone, so one that changes nothing goes on with the answers that
were recorded, and one that changes something goes on against the simulated exchange, and says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from actors.core import Core
from actors.journal import Journal
from actors.sequencer import CoreFailure
from domain.codec import decode
from domain.inputs import FillReport, StartGrid, TickReport
from domain.instrument import Instrument, ListInstrument
from grinder import __version__
from grinder.collecting import rare_collections
from grinder.commands.backtest import Progress, scales_of
from grinder.config import Config, config_as_dict
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.inspection.lookup import catch_up
from grinder.inspection.records import when
from grinder.interruption import Interruption
from grinder.ledger.lock import WriterLock
from grinder.opening import exchange_rules
from grinder.run_folder import RunFolder
from grinder.storing import store_run
from grinder.travel.changes import changes_between, described, settings_text, with_settings
from grinder.travel.markets import Market, market_of
from grinder.travel.parents import (
    BACKTEST,
    FORK,
    WITH_SESSION,
    Parent,
    checked_position,
    read_parent,
    records_of,
    row_at,
    rows_through,
)
from grinder.travel.times import instant_ns
from grinder.views.store import update
from grinder.views.summary import summary
from grinder.wiring import wire_backtest
from replay.backtest import Backtest
from replay.compare import Divergence
from replay.fork import (
    Changes,
    ForkingRuntime,
    ForkPoint,
    HistoryDiffers,
    HistoryJournal,
    UnderWay,
    Until,
    drive,
    resumptions,
    stand_in,
)

EXECUTION, RECORDED, MODEL = "execution", "recorded inputs", "simulated exchange"
"""What a fork goes on with."""


class ForkDiverged(UserError):
    """The parent's history does not come out again, so there is nothing to fork."""

    status = ExitStatus.DIVERGED

    def __init__(self, found: Divergence, run: Path) -> None:
        super().__init__(
            "fork.diverged",
            f"record {found.position} of {found.stream} of the parent comes out otherwise in {found.field}",
            place=str(run),
            value=f"expected {found.expected[:200]}, produced {found.actual[:200]}",
            fix="use the version of grinder that wrote it; see `grinder replay --code`",
        )


class RulesRaised(UserError):
    """Today's rules raise over the parent's history, so there is nothing to fork."""

    status = ExitStatus.DIVERGED

    def __init__(self, position: int, failure: CoreFailure, run: Path) -> None:
        super().__init__(
            "fork.rules_raised",
            f"the rules raise instead of deciding record {position} of the parent: {failure}",
            place=str(run),
            fix="use the version of grinder that wrote it; see `grinder replay --code`",
        )


@attrs.frozen(kw_only=True)
class Plan:
    """A fork worked out, before anything is written.

    Attributes:
        asked: the position asked for; at: where an input's events end there.
        points: every change from the root's history on, this one last.
        before: the configuration the root was made from; after: the one in force at the end.
        goes_on: `EXECUTION`, `RECORDED` or `MODEL`.
        notes: what should be known of it, in sentences.
    """

    parent: Parent
    asked: int
    at: int
    points: tuple[ForkPoint, ...]
    changes: Changes | None
    before: Config
    after: Config
    until: Until
    goes_on: str
    manifest: dict[str, Any]
    notes: tuple[str, ...]


def fork(
    run: Path,
    at: int | str,
    settings: Mapping[str, object],
    until: str,
    out: Path,
    data: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Fork a run; see the docs page for the keys.

    Args:
        at: a position, or a time (UTC): then the last record before it or at it.

    Raises:
        UserError: a position, setting or folder cannot be used; nothing was written.
        LedgerError: the parent's ledger is damaged.
        ForkDiverged: this program does not come to the parent's history.
    """
    parent = read_parent(run)
    if out.resolve() == run.resolve():
        raise UserError(
            "usage.out", "a fork goes into a folder of its own", value=str(out), fix="name another"
        )
    with parent.connected() as connection:
        plan = make_plan(parent, connection, position_of(connection, at), settings, parse_until(until))
        listed = listed_in(connection)
        market = None
        if plan.goes_on != RECORDED:
            market = market_of(parent, plan.before, plan.after, data, listed)
        folder = RunFolder(out)
        _refuse_other(folder, plan.manifest)
        folder.create()
        producer = _Producer(plan, connection, market, progress)
        try:
            with WriterLock(folder.path), rare_collections():
                done = store_run(folder, parent.ledger_id, plan.manifest, producer.produce)
        except HistoryDiffers as found:
            raise ForkDiverged(found.divergence, run) from found
        except CoreFailure as failure:
            if not producer.awaited:
                raise  # past the parent's history: a fault of the rules, not of the run
            raise RulesRaised(producer.awaited, failure, run) from failure
        same = row_at(connection, done.records)
        identical = same is not None and same.chain.hex() == done.head
    update(out, progress=lambda at_record: progress("projections", at_record, done.records))
    catch_up(out, lambda at_record, total: progress("lookup", at_record, total))
    totals = summary(out)
    notes = [*plan.notes, *producer.notes]
    return {
        "run": str(out),
        "parent": str(run),
        "asked": plan.asked,
        "position": plan.at,
        "settings": {key: str(value) for key, value in settings.items()},
        "changes": described(plan.changes),
        "goes_on_with": plan.goes_on,
        "market": market.source if market else "",
        "notes": notes,
        "records": done.records,
        "head": done.head,
        "identical": identical,
        "resumed_records": done.resumed_records,
        "fills": totals.fills,
        "cycles": totals.cycles,
        "equity_start": totals.equity_start,
        "equity_end": totals.equity_end,
        "identity_residual": totals.identity_residual,
    }


def position_of(connection: sqlite3.Connection, at: int | str) -> int:
    """Where a fork is asked for.

    Raises:
        UserError: it is neither a position nor a time the ledger reaches back to.
    """
    if isinstance(at, int):
        return at
    digits = at.replace(",", "").removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 15:
        return int(digits)
    # The clock of a ledger never runs back, so the newest record of a time is the last before it.
    found = connection.execute(
        "SELECT max(rowid) FROM stored_events WHERE ts_ns <= ?", (when(at, "--at"),)
    ).fetchone()[0]
    if found is None:
        raise UserError(
            "usage.position", "--at lies before the first record", value=at, fix="give a later time, or 1"
        )
    return int(found)


def parse_until(text: str) -> Until:
    """``--until`` of a command line: a position, or a time.

    Raises:
        UserError: it is neither.
    """
    if not text:
        return Until()
    if text.isascii() and text.isdigit() and len(text) < 15:
        return Until(position=int(text))
    return Until(time_ns=instant_ns(text))


def listed_in(connection: sqlite3.Connection) -> dict[str, Instrument]:
    """The instruments as a ledger first listed them, by symbol."""
    found: dict[str, Instrument] = {}
    for _, command in records_of(connection, ListInstrument):
        found.setdefault(command.instrument.symbol, command.instrument)
    return found


def make_plan(
    parent: Parent, connection: sqlite3.Connection, asked: int, settings: Mapping[str, object], until: Until
) -> Plan:
    """Work a fork out.

    Raises:
        UserError: the position is not in the ledger, or a setting cannot be changed.
    """
    at = parent.end_of_input(connection, checked_position(parent, asked, "--at"))
    notes = [f"record {asked} is part of an answer that ends with record {at}"] if at != asked else []
    opened = _opening_end(parent, connection)
    if settings and at < opened:
        notes.append(f"settings are all given with record {opened}, so they change after it")
        at = opened
    if until.position is not None and until.position < at:
        raise UserError(
            "usage.until", "--until lies before the fork", value=str(until.position), fix=f"give {at} or more"
        )
    listed, base = listed_in(connection), parent.base
    earlier = list((parent.manifest.get("fork") or {}).get("points", ()))
    if settings:
        earlier = [one for one in earlier if one["at"] < at]
    config = prior = before = parent.config_at(at)
    points: list[ForkPoint] = []
    mode = BACKTEST if base == BACKTEST else MODEL
    changes: Changes | None = None
    wanted = [*earlier, *([{"at": at, "settings": dict(settings)}] if settings else ())]
    for one in wanted:
        after = with_settings(config, one["settings"])
        changes = changes_between(config, after, one["settings"], listed, parent.ledger_id, mode)
        prior, config = config, after
        if changes is not None:
            points.append(ForkPoint(one["at"], changes))
    changed = bool(settings) and changes is not None
    if settings and not changed:
        notes.append("these settings change nothing that a run computes")
    if settings and prior.risk is None and config.risk is not None:
        notes.append(f"there was no risk section: limits not given take their defaults ({_limits(config)})")
    goes_on = EXECUTION if base == BACKTEST else MODEL if changed else RECORDED
    if goes_on == MODEL:
        if base not in WITH_SESSION:
            raise UserError(
                "fork.no_market",
                "only backtests, simulations, paper and live runs can go on under other settings",
                place=str(parent.folder.path),
                value=base,
                fix="fork the run it was made from",
            )
        notes.append("fills after the fork are those of a model: the simulated exchange stands in")
        if parent.manifest.get("faults"):
            notes.append("the fault plan is not in the model: nothing goes wrong after the fork")
    return Plan(
        parent=parent,
        asked=asked,
        at=at,
        points=tuple(points),
        changes=changes if changed else None,
        before=before,
        after=config,
        until=until,
        goes_on=goes_on,
        manifest=_manifest(parent, connection, at, settings, until, before, config, wanted, goes_on),
        notes=tuple(notes),
    )


def _limits(config: Config) -> str:
    """The limits of a configuration, as they are written."""
    fields = attrs.asdict(config.risk) if config.risk is not None else {}
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in fields.items())


def _manifest(
    parent: Parent,
    connection: sqlite3.Connection,
    at: int,
    settings: Mapping[str, object],
    until: Until,
    before: Config,
    after: Config,
    points: Sequence[Mapping[str, Any]],
    goes_on: str,
) -> dict[str, Any]:
    row = row_at(connection, at)
    kept = ("data", "feed", "rows", "mode", "faults")
    return {
        "kind": FORK,
        "program": __version__,
        "ledger_id": parent.ledger_id,
        "seed": parent.seed,
        "config": config_as_dict(after),
        **{name: parent.manifest[name] for name in kept if name in parent.manifest},
        "fork": {
            "parent": str(parent.folder.path.resolve()),
            "root": str(parent.root.resolve()),
            "base": parent.base,
            "at": at,
            "head": row.chain.hex() if row else "",
            "settings": settings_text(settings),
            "until": attrs.asdict(until),
            "goes_on_with": goes_on,
            "config": config_as_dict(before),
            "points": [{"at": one["at"], "settings": dict(one["settings"])} for one in points],
        },
    }


def _refuse_other(folder: RunFolder, manifest: dict[str, Any]) -> None:
    found = folder.read_manifest()
    if (found and found.get("fork") != manifest["fork"]) or (not found and folder.ledger.exists()):
        raise LedgerError(
            "ledger.other_run",
            "the folder holds another run",
            place=str(folder.path),
            fix="use another --out folder",
        )


def _opening_end(parent: Parent, connection: sqlite3.Connection) -> int:
    """Where the answer to the last opening command ends."""
    first = connection.execute(
        "SELECT min(rowid) FROM stored_events WHERE topic GLOB ?",
        (f"{TickReport.TOPIC.partition('/')[0]}/*",),
    ).fetchone()[0]
    last = 1
    for row, _ in records_of(connection, StartGrid):
        if first is None or row.position < first:
            last = row.position
    return parent.end_of_input(connection, last)


class _Producer:
    """Writes a fork's records into a journal.

    Attributes:
        notes: what came up on the way.
    """

    def __init__(
        self, plan: Plan, connection: sqlite3.Connection, market: Market | None, progress: Progress
    ) -> None:
        self._plan = plan
        self._connection = connection
        self._market = market
        self._progress = progress
        self._history: HistoryJournal | None = None
        self.notes: list[str] = []

    @property
    def awaited(self) -> int:
        """Position of the parent's record that has to come next; 0 past its history."""
        return self._history.awaited if self._history is not None else 0

    def produce(self, journal: Journal, interruption: Interruption) -> Core:
        """Run from the first record to the fork, and on."""
        if self._plan.goes_on == EXECUTION:
            return self._execute(journal, interruption)
        last = self._plan.parent.records if self._market is None else self._plan.at
        self._history = history = HistoryJournal(self._rows(last), journal)
        core, under_way, now_ns = self._follow(history, last, interruption)
        return core if self._market is None else self._model(core, history, under_way, now_ns, interruption)

    def _execute(self, journal: Journal, interruption: Interruption) -> Core:
        plan, market = self._plan, self._market
        assert market is not None
        self._history = history = HistoryJournal(rows_through(self._connection, plan.at), journal)
        wired = wire_backtest(
            plan.before,
            market.rows,
            scales_of(market.rows),
            history,
            ledger_id=plan.parent.ledger_id,
            seed=plan.parent.seed,
        )
        run, commands = wired.backtest, wired.opening.commands
        runtime = ForkingRuntime(wired.core, wired.exchange, plan.points, len(commands), run.rules_changed)
        run.runtime = runtime
        run.open(commands)
        history.check()
        self._drive(run, runtime, history, interruption)
        return wired.core

    def _follow(
        self, history: HistoryJournal, last: int, interruption: Interruption
    ) -> tuple[Core, UnderWay, int]:
        """Learn the inputs that were recorded: up to the fork when it changes something, else to the end."""
        plan = self._plan
        core, under_way, now_ns = Core(history), UnderWay(), 0
        until = plan.until
        for position, _, _, topic, state, ts_ns, cause, _ in self._rows(last):
            if cause != position:
                continue
            if self._market is None and (
                (until.position is not None and core.position >= until.position)
                or (until.time_ns is not None and position > plan.at and ts_ns > until.time_ns)
            ):
                break
            now_ns, report = ts_ns, decode(topic, state)
            core.learn(report, ts_ns)
            under_way.take(core.take_intents())
            under_way.fills += isinstance(report, FillReport)
            history.check()
            interruption.obey()
            if position % 4096 < 8:
                self._progress("run", position, last)
        return core, under_way, now_ns

    def _rows(self, last: int) -> Any:
        return rows_through(self._connection, last)

    def _model(
        self,
        core: Core,
        history: HistoryJournal,
        under_way: UnderWay,
        now_ns: int,
        interruption: Interruption,
    ) -> Core:
        plan, market = self._plan, self._market
        assert market is not None
        instruments = core.state_of("account").instruments
        decimals = max(one.quote_decimals for one in instruments.values())
        before = plan.points[-1]
        rules = exchange_rules(plan.after, decimals)
        exchange = stand_in(core, market.rows, rules, plan.parent.seed, under_way, now_ns)
        run = Backtest(ForkingRuntime(core, exchange, ()), exchange, market.rows)
        runtime = ForkingRuntime(core, exchange, [before], changed=run.rules_changed)
        run.runtime = runtime
        run.begin_at(now_ns)
        runtime.go_on(now_ns)
        for resumed in resumptions(core):
            self.notes.append(f"the pause for {resumed.reason} ends at the fork: nothing is left to end it")
            runtime.learn(resumed, now_ns)
        self._drive(run, runtime, history, interruption)
        return core

    def _drive(
        self, run: Backtest, runtime: ForkingRuntime, history: HistoryJournal, interruption: Interruption
    ) -> None:
        total = max(1, run.end_ns - run.start_ns)

        def between() -> None:
            history.check()
            interruption.obey()

        drive(
            run,
            self._plan.until,
            lambda now_ns, position: self._progress("run", min(now_ns - run.start_ns, total), total),
            between,
        )
        history.check()
        for symbol in runtime.unapplied:
            self.notes.append(f"the grid of {symbol} had ended before the fork: no new one was started")
