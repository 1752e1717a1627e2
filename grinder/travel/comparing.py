"""A backtest over the market a live run saw itself, from the commands its ledger begins with.

Law: nothing of the live run is used but what it was told at the start, the market, and when it was to end:
every fill is the model's.  Instruments, balances and ids are those of its ledger, so order matches order.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from actors.core import Core
from actors.journal import Journal
from domain.inputs import (
    STREAM,
    OpenAccount,
    OpenPortfolio,
    SetRequestBudget,
    StartClock,
    StartGrid,
    TickReport,
)
from domain.instrument import Instrument, ListInstrument
from domain.notes import NOTES, RunReport
from domain.record import Record
from grinder import __version__
from grinder.commands.backtest import Progress
from grinder.config import config_as_dict
from grinder.errors import UserError
from grinder.interruption import Interruption
from grinder.ledger.lock import WriterLock
from grinder.opening import exchange_rules
from grinder.run_folder import RunFolder
from grinder.storing import store_run
from grinder.travel.markets import Market, market_of
from grinder.travel.parents import WITH_SESSION, Parent, records_of
from replay.backtest import Backtest
from replay.exchange.session import SimulatedExchange
from replay.fork import ForkingRuntime, Until, drive

STARTED, STOPPING = "started", "stopping"
"""Phases of a process, as `RunReport` names them."""

OPENING = (OpenAccount, OpenPortfolio, StartClock, ListInstrument, StartGrid, SetRequestBudget)


def run_backtest_of(live: Parent, out: Path, progress: Progress) -> None:
    """Run it into a folder.

    Raises:
        UserError: it is no paper or live run, or it never traded.
        TapeError: its market was not recorded, or the recording is damaged.
    """
    if live.base not in WITH_SESSION:
        raise UserError(
            "usage.diff",
            "--backtest is for paper and live runs, and simulations",
            place=str(live.folder.path),
            value=live.kind,
            fix="give a second run",
        )
    commands, began_ns, last_ns = _opening(live)
    listed: dict[str, Instrument] = {
        one.instrument.symbol: one.instrument for one in commands if isinstance(one, ListInstrument)
    }
    config = live.config()
    market = market_of(live, config, config, (), listed)
    manifest: dict[str, Any] = {
        "kind": "comparison",
        "program": __version__,
        "ledger_id": live.ledger_id,
        "seed": live.seed,
        "config": config_as_dict(config),
        "of": str(live.folder.path.resolve()),
        "market": market.source,
    }

    def produce(journal: Journal, interruption: Interruption) -> Core:
        core = Core(journal)
        run = _wired(core, commands, listed, market, exchange_rules(config, _decimals(listed)), live.seed)
        run.begin_at(_last_row(market, began_ns) - 1)
        for command in commands:
            run.runtime.learn(command, run.now_ns)
        total = max(1, last_ns - began_ns)
        drive(
            run,
            Until(time_ns=last_ns),
            lambda now_ns, position: progress("backtest", max(0, now_ns - began_ns), total),
            interruption.obey,
        )
        return core

    folder = RunFolder(out)
    found = folder.read_manifest() if out.exists() else {}
    if found and found.get("of") != manifest["of"]:
        raise UserError("usage.out", "the folder holds another run", value=str(out), fix="name another")
    folder.create()
    with WriterLock(folder.path):
        store_run(folder, live.ledger_id, manifest, produce)


def _wired(
    core: Core,
    commands: list[Record],
    listed: dict[str, Instrument],
    market: Market,
    rules: Any,
    seed: int,
) -> Backtest:
    opened = next(one for one in commands if isinstance(one, OpenAccount))
    exchange = SimulatedExchange(dict(listed), market.rows, dict(opened.balances), rules, seed)
    return Backtest(ForkingRuntime(core, exchange, ()), exchange, market.rows)


def _decimals(listed: dict[str, Instrument]) -> int:
    return max(one.quote_decimals for one in listed.values())


def _opening(live: Parent) -> tuple[list[Record], int, int]:
    """(opening commands, time of the first price, when it was told to end or heard last)."""
    commands: list[Record] = []
    began_ns = 0
    with live.connected() as connection:
        for row, event in records_of(connection, *OPENING, TickReport):
            if isinstance(event, TickReport):
                began_ns = row.ts_ns
                break
            commands.append(event)
        ends_ns = _told_to_end(connection) or _last_input(connection)
    if not began_ns:
        raise UserError(
            "usage.diff",
            "the run never heard a price, so there is nothing to compare",
            place=str(live.folder.path),
            fix="choose a run that traded",
        )
    return commands, began_ns, ends_ns


def _told_to_end(connection: sqlite3.Connection) -> int:
    """When the last process began to stop; 0 while it goes on, or if it was killed.

    From there on the run cancels its orders, which no market tells a model to do.
    """
    stopping_ns = 0
    for row, report in records_of(connection, RunReport):
        if report.phase == STOPPING:
            stopping_ns = row.ts_ns
        elif report.phase == STARTED:
            stopping_ns = 0
    return stopping_ns


def _last_input(connection: sqlite3.Connection) -> int:
    notes = sorted({STREAM[kind] for kind in NOTES})
    marks = ",".join("?" * len(notes))
    found = connection.execute(
        f"SELECT max(ts_ns) FROM stored_events WHERE originator_id NOT IN ({marks})", notes
    ).fetchone()[0]
    return int(found)


def _last_row(market: Market, now_ns: int) -> int:
    """Time of the last row of any symbol at or before a time: its price is what the gate let in first."""
    times = []
    for ticks in market.rows.values():
        row = int(ticks.ts.searchsorted(now_ns, side="right")) - 1
        if row >= 0:
            times.append(int(ticks.ts[row]))
    return max(times, default=now_ns)
