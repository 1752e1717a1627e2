"""From a quote to an order on its way, on a live core with a durable ledger.

Law: the real gate, core, journal and event loop, ten symbols at a fixed rate of quotes, each a frame of its
own; only the exchange is missing, because its time is not ours.  Every tenth quote of a symbol passes one
more level, whose order is then decided: those quotes are timed.  The raw fsync of the disk stands beside the
figures.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from actors.core import Core
from actors.journal import MemoryJournal
from domain.grids.spec import BOUNDED, GridSpec
from domain.inputs import OpenAccount, OpenPortfolio, StartClock, StartGrid
from domain.instrument import Instrument, ListInstrument
from domain.record import Record
from grinder.collecting import rare_collections
from grinder.ledger.quick import store_on
from grinder.ledger.recorder import open_application
from grinder.live.awake import awake
from grinder.live.clock import RealClock
from grinder.live.core_loop import CoreLoop
from grinder.live.gate import Gate

SYMBOLS = 10
LEVELS = 40
LOWEST = 100_000
STEP = 100
ORDER_EVERY = 10
"""One quote in this many passes a level."""

ROUNDS = 4
"""Fresh grids for as many rounds: a round ends when every level has its order."""

RATES = (1_000, 3_000)
"""Quotes a second over all symbols."""


def _instrument(number: int) -> Instrument:
    base = f"C{number}"
    return Instrument(
        symbol=f"{base}USDT",
        kind="spot",
        base=base,
        quote="USDT",
        tick="0.1",
        lot="0.001",
        tick_size=1,
        price_decimals=1,
        base_decimals=8,
        quote_decimals=10,
        quote_per_tick_base=10,
        base_per_lot=100_000,
        min_notional=0,
        maker_fee_ppm=1_000,
        taker_fee_ppm=1_000,
    )


def _opening(instruments: list[Instrument]) -> list[Record]:
    cash = 10**17
    spec = GridSpec(
        spacing="arithmetic",
        form=BOUNDED,
        count=LEVELS,
        lower_ticks=LOWEST,
        upper_ticks=LOWEST + STEP * LEVELS,
        lots=10,
    )
    commands: list[Record] = [
        OpenAccount(
            ledger_id="bench000", exchange="none", quote="USDT", decimals=(), balances=(("USDT", cash),)
        ),
        OpenPortfolio(
            session_drawdown_ppm=30_000,
            daily_drawdown_ppm=50_000,
            inventory_max=cash,
            orders_per_minute=0,
            cash=cash,
        ),
        StartClock(mark_interval_ns=300 * 10**9),
    ]
    commands += [ListInstrument(instrument=one) for one in instruments]
    commands += [
        StartGrid(
            symbol=one.symbol,
            symbol_index=number,
            ledger_id="bench000",
            spec=spec,
            mode="long",
            initial_inventory="none",
            existing_units=0,
            stop_loss_ticks=0,
            take_profit_ticks=0,
            on_stop="cancel",
            post_only=True,
        )
        for number, one in enumerate(instruments)
    ]
    return commands


def percentiles(nanoseconds: list[int]) -> dict[str, float]:
    """Median and 99th percentile, in microseconds; nothing of nothing."""
    ordered = sorted(nanoseconds)
    if not ordered:
        return {}
    return {f"p{q}_us": round(ordered[len(ordered) * q // 100] / 1e3, 1) for q in (50, 99)}


def raw_fsync(folder: Path, rounds: int = 300) -> dict[str, float]:
    """One page appended and synced: what no ledger on this disk can beat."""
    spent = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(rounds):
            started = perf_counter_ns()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            spent.append(perf_counter_ns() - started)
    return percentiles(spent)


class Timer:
    """Times the quotes that lead to an order."""

    def __init__(self) -> None:
        self.quoted_ns = 0
        self.decided: list[int] = []
        self.handed: list[int] = []
        self.starts: dict[str, int] = {}
        self.lag_ns: list[int] = []

    def submit(self, intent: Record, now_ns: int) -> None:
        order_id = intent.terms.client_order_id  # type: ignore[attr-defined]
        started = self.starts.pop(order_id, None)
        if started is not None:
            self.handed.append(perf_counter_ns() - started)


async def measure(path: Path, rate: int, timer: Timer) -> None:
    """Quotes at a rate until every level has its order, on a ledger without records."""
    instruments = [_instrument(number) for number in range(SYMBOLS)]
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    writer, here = store_on(recorder, recorder.take_epoch(), path)
    clock = RealClock()
    core = Core(MemoryJournal())
    loop = CoreLoop(core, writer, clock, timer.submit, failed=print, here=here)
    gate = Gate(core, loop.learn, clock, [one.symbol for one in instruments])
    loop.after_learn.append(gate.learned)
    take = core.take_intents

    def timed_take() -> list[Record]:
        intents = take()
        if intents and timer.quoted_ns:
            timer.decided.append(perf_counter_ns() - timer.quoted_ns)
            for one in intents:
                timer.starts[one.terms.client_order_id] = timer.quoted_ns  # type: ignore[attr-defined]
        return intents

    core.take_intents = timed_take  # type: ignore[method-assign]
    for command in _opening(instruments):
        await loop.learn_durably(command)
    for one in instruments:
        gate.quote(one.symbol, LOWEST - 1, LOWEST - 1)
    gate.open()
    await asyncio.sleep(0.2)
    await _quotes(gate, loop, timer, [one.symbol for one in instruments], rate)
    await asyncio.sleep(0.2)
    gate.close()
    await loop.durable(core.position)
    writer.stop()
    application.close()


async def _quotes(gate: Gate, loop: CoreLoop, timer: Timer, symbols: list[str], rate: int) -> None:
    """Quotes at a fixed rate, each at its own moment; `lag_ns` is how late the loop let it in."""
    started = perf_counter()
    level = dict.fromkeys(symbols, 0)
    for number in range(LEVELS * ORDER_EVERY * len(symbols)):
        due = started + number / rate
        wait = due - perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        else:
            await asyncio.sleep(0)
        timer.lag_ns.append(max(0, round((perf_counter() - due) * 1e9)))
        symbol = symbols[number % len(symbols)]
        passes = number // len(symbols) % ORDER_EVERY == 0 and level[symbol] < LEVELS - 1
        level[symbol] += passes
        price = LOWEST + STEP * (level[symbol] - 1) + 1 + number % (STEP - 2)
        timer.quoted_ns = perf_counter_ns()
        gate.begin()  # as in grinder/live/listening.py
        gate.quote(symbol, price, price)
        gate.look()
        loop.store()


def _at(rate: int, folder: Path, name: str) -> dict[str, Any]:
    timer = Timer()
    for number in range(ROUNDS):
        with rare_collections():  # as a run's process does
            asyncio.run(measure(folder / f"{name}-{number}.db", rate, timer))
    return {
        "orders": len(timer.handed),
        "decided": percentiles(timer.decided),
        "handed_over": percentiles(timer.handed),
        "behind": percentiles(timer.lag_ns),
    }


def run(path: Path | None) -> dict[str, Any]:
    """Percentiles in microseconds: quote to decided, quote to handed to the session, and how late quotes
    were let in (a queue that grows would show there); as a run is set up by default, and kept awake."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        figures: dict[str, Any] = {"fsync": raw_fsync(folder)}
        for rate in RATES:
            figures[f"at_{rate}_per_s"] = _at(rate, folder, f"{rate}")
        with awake(True) as kept:
            if kept:
                figures["kept_awake"] = {
                    f"at_{rate}_per_s": _at(rate, folder, f"awake-{rate}") for rate in RATES
                }
    figures["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return figures
