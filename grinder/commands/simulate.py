"""A simulation whose clock is in the user's hand: typed commands, or a script on standard input.

Law: time moves by commands only; the same commands over the same configuration, market, faults and seed write
the same ledger, and into the same folder they prove it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from actors.core import Core
from actors.journal import Journal
from domain.inputs import (
    FillReport,
    HaltTrading,
    PauseTrading,
    ResetHalt,
    ResumeTrading,
    StopGrid,
    TickReport,
)
from domain.order_events import CancelSubmitted, OrderSubmitted
from domain.record import Record
from grinder import __version__
from grinder.commands.backtest import load_markets
from grinder.config import Config, config_as_dict
from grinder.data import parse_data_argument
from grinder.errors import LedgerError, UserError
from grinder.interruption import Interruption
from grinder.ledger.lock import WriterLock
from grinder.live.accounts import scales_asked, symbols_of
from grinder.live.feeds import FeedName, Playback, generated
from grinder.live.status import core_status
from grinder.run_folder import RunFolder
from grinder.storing import store_run
from grinder.travel.parents import SIMULATION
from grinder.travel.simulation import Goal, Simulation
from grinder.travel.times import instant_ns, span_ns, time_text
from grinder.views.summary import summary
from grinder.wiring import data_digest, ledger_id_of
from replay.faults import FaultFileError, FaultPlan

HELP = """\
step [N]             the next N inputs of the core, and what comes in the same instant
step order|fill|cancel|tick   the next of its kind
run SPAN             let time pass: run 60s, run 5m, run 2h
jump TIME            let time pass up to a moment: jump 2023-11-15T12:00
speed X              show X seconds of the market in one of yours; 0 does not wait
pause [SYMBOL]       let no new order leave;  resume [SYMBOL]
stop SYMBOL cancel|keep|flatten   end a grid
halt REASON          latch the kill switch;  reset
price, status, orders, help, quit"""

PACE_S = 0.05

Say = Callable[[str], None]


@attrs.frozen(kw_only=True)
class SimulationAsked:
    """What to simulate.

    Attributes:
        data: data arguments; empty for a generated market.
        rows: trades of a generated market; 0 for the usual number.
    """

    config: Config
    seed: int = 0
    data: Sequence[str] = ()
    faults: Path | None = None
    rows: int = 0


def simulate(asked: SimulationAsked, out: Path | None, lines: Iterator[str], say: Say) -> dict[str, Any]:
    """Obey commands until they end; see the docs page for the keys.

    Raises:
        UserError: the configuration, the market, the faults or the folder cannot be used.
    """
    if out is not None:
        return _into(asked, RunFolder(out), lines, say)
    with tempfile.TemporaryDirectory(prefix="grinder-simulate-") as temporary:
        return {**_into(asked, RunFolder(Path(temporary)), lines, say), "run": ""}


def _into(asked: SimulationAsked, folder: RunFolder, lines: Iterator[str], say: Say) -> dict[str, Any]:
    playback = playback_of(asked)
    digest = data_digest(playback.markets)
    ledger_id = ledger_id_of(asked.config, digest, asked.seed)
    manifest = {
        "kind": SIMULATION,
        "program": __version__,
        "ledger_id": ledger_id,
        "seed": asked.seed,
        "config": config_as_dict(asked.config),
        "data": {"sha256": digest, "arguments": list(asked.data)},
        "rows": asked.rows,
        "faults": str(asked.faults or ""),
    }
    found = folder.read_manifest() if folder.path.exists() else {}
    if (found and found.get("kind") != SIMULATION) or (not found and folder.ledger.exists()):
        raise LedgerError(
            "ledger.other_run",
            "the folder holds another run",
            place=str(folder.path),
            fix="use another --out folder",
        )
    faults = _faults(asked)
    folder.create()
    consoles: list[Console] = []

    def produce(journal: Journal, interruption: Interruption) -> Core:
        world = Simulation(asked.config, playback, ledger_id, asked.seed, faults, journal)
        console = Console(world, say, interruption)
        consoles.append(console)
        try:
            world.start()
            for line in lines:
                if not console.obey(line):
                    break
            world.end()
        finally:
            world.close()
        return world.core

    with WriterLock(folder.path):
        done = store_run(folder, ledger_id, manifest, produce)
    totals = summary(folder.path)
    return {
        "run": str(folder.path),
        "commands": consoles[0].told,
        "records": done.records,
        "resumed_records": done.resumed_records,
        "head": done.head,
        "faults": dict(faults.fired()),
        "alerts": len(consoles[0].world.alerts),
        "fills": totals.fills,
        "cycles": totals.cycles,
        "equity_start": totals.equity_start,
        "equity_end": totals.equity_end,
        "identity_residual": totals.identity_residual,
    }


def playback_of(asked: SimulationAsked) -> Playback:
    """The market of a simulation: what its data say, or what its seed makes.

    Raises:
        DataError: the data cannot be read.
    """
    config = asked.config
    if asked.data:
        return Playback(load_markets(config, [parse_data_argument(one) for one in asked.data]), 1.0)
    feed = FeedName("generated", str(abs(asked.seed)), 1.0)
    return generated(feed, symbols_of(config), scales_asked(config), asked.rows)


def _faults(asked: SimulationAsked) -> FaultPlan:
    if asked.faults is None:
        return FaultPlan((), asked.seed)
    try:
        return FaultPlan.from_file(asked.faults, asked.seed)
    except (FaultFileError, OSError) as error:
        raise UserError(
            "simulate.faults", str(error), place=str(asked.faults), fix="see docs/sim-exchange.md"
        ) from error


def typed_lines(prompt: str = "> ") -> Iterator[str]:
    """Lines from a terminal with a prompt, or from whatever standard input is; Ctrl-C at the prompt ends."""
    interactive = sys.stdin.isatty()
    while True:
        if interactive:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            return
        finally:
            signal.signal(signal.SIGINT, before)
        if not line:
            return
        yield line


class Console:
    """Obeys one command after the other.

    Attributes:
        told: every command with what came of it.
    """

    def __init__(self, world: Simulation, say: Say, interruption: Interruption) -> None:
        self.world = world
        self._say = say
        self._interruption = interruption
        self._speed = 0
        self.told: list[dict[str, Any]] = []

    def obey(self, line: str) -> bool:
        """Carry a line out; False when it was the last."""
        words = line.split("#", 1)[0].split()
        if not words:
            return True
        name, arguments = words[0].lower(), words[1:]
        if name in ("quit", "exit"):
            return False
        try:
            said = self._command(name)(arguments)
        except UserError as error:
            said = f"error: {error.render()}"
        if self._interruption.requested:
            self._interruption.requested = False
            said += " (interrupted)"
        self.told.append({"command": " ".join(words), "said": said, **self._place()})
        self._say(said)
        return True

    def _command(self, name: str) -> Callable[[list[str]], str]:
        found: Callable[[list[str]], str] | None = getattr(self, f"do_{name}", None)
        if found is None:
            raise UserError("simulate.command", "there is no such command", value=name, fix="type help")
        return found

    # --- time ------------------------------------------------------------------------------------------

    def do_step(self, words: list[str]) -> str:
        """Inputs one by one, or up to one of a kind."""
        wanted = words[0].lower() if words else "1"
        if wanted.isascii() and wanted.isdigit():
            seen = iter(range(1, int(wanted) + 1))
            last = int(wanted)
            self.world.step(self._or_interrupted(lambda report, intents: next(seen, last) >= last))
            return self._line()
        if wanted not in GOALS:
            raise UserError(
                "simulate.step",
                "step takes a number or a kind",
                value=wanted,
                fix=f"one of {', '.join(GOALS)}",
            )
        found = self.world.step(self._or_interrupted(GOALS[wanted]))
        return self._line() if found else f"{self._line()}; no {wanted} came"

    def do_run(self, words: list[str]) -> str:
        """Let time pass."""
        span = span_ns(words[0] if words else "")
        self._pass(self.world.clock() + span)
        return self._line()

    def do_jump(self, words: list[str]) -> str:
        """Let time pass up to a moment."""
        at_ns = instant_ns(" ".join(words))
        if at_ns < self.world.clock():
            raise UserError(
                "simulate.jump",
                "time does not run back",
                value=time_text(at_ns),
                fix=f"it is {time_text(self.world.clock())}",
            )
        self._pass(at_ns)
        return self._line()

    def do_speed(self, words: list[str]) -> str:
        """How fast time is shown."""
        if len(words) != 1 or not (words[0].isascii() and words[0].isdigit()):
            raise UserError("simulate.speed", "speed takes a whole number", fix="write speed 100, or speed 0")
        self._speed = int(words[0])
        return f"speed {self._speed}" if self._speed else "time passes at once"

    def _pass(self, until_ns: int) -> None:
        goal = self._or_interrupted(lambda report, intents: False)
        piece_ns = int(self._speed * PACE_S * 10**9)
        while not self._interruption.requested and not self.world.over and self.world.clock() < until_ns:
            at_ns = min(until_ns, self.world.clock() + piece_ns) if piece_ns else until_ns
            self.world.run_until(at_ns, goal)
            if piece_ns:
                time.sleep(PACE_S)

    def _or_interrupted(self, goal: Goal) -> Goal:
        return lambda report, intents: self._interruption.requested or goal(report, intents)

    # --- the operator ----------------------------------------------------------------------------------

    def do_pause(self, words: list[str]) -> str:
        """No new order leaves."""
        return self._learn(PauseTrading(reason="operator", symbol=self._symbol(words), operator="operator"))

    def do_resume(self, words: list[str]) -> str:
        """Orders leave again."""
        return self._learn(ResumeTrading(reason="operator", symbol=self._symbol(words), operator="operator"))

    def do_stop(self, words: list[str]) -> str:
        """A grid ends."""
        symbol, action = self._symbol(words), (words[1] if len(words) > 1 else "cancel")
        if not symbol or action not in ("cancel", "keep", "flatten"):
            raise UserError("simulate.stop", "stop takes a symbol and what to do", fix="stop BTCUSDT cancel")
        return self._learn(StopGrid(symbol=symbol, on_stop=action, reason="operator"))

    def do_halt(self, words: list[str]) -> str:
        """The kill switch."""
        return self._learn(HaltTrading(reason=" ".join(words) or "operator"))

    def do_reset(self, words: list[str]) -> str:
        """Release it."""
        return self._learn(ResetHalt(operator="operator"))

    def _symbol(self, words: list[str]) -> str:
        if words and words[0] not in self.world.gate.symbols:
            known = ", ".join(self.world.gate.symbols)
            raise UserError("simulate.symbol", "it is not traded here", value=words[0], fix=f"one of {known}")
        return words[0] if words else ""

    def _learn(self, command: Record) -> str:
        position = self.world.learn(command)
        return f"record {position:,}: {command.TOPIC}"

    # --- looking ---------------------------------------------------------------------------------------

    def do_price(self, words: list[str]) -> str:
        """The newest prices."""
        found = self._status()["symbols"]
        return ", ".join(f"{symbol} {one.get('price') or 'unknown'}" for symbol, one in found.items())

    def do_status(self, words: list[str]) -> str:
        """Grids, holdings, equity, faults."""
        found = self._status()
        lines = [self._line(), f"equity {found.get('equity')}"]
        for symbol, one in found["symbols"].items():
            paused = f", paused: {', '.join(one['pauses'])}" if one.get("pauses") else ""
            lines.append(
                f"{symbol} {one['status']}, price {one.get('price')}, holds {one.get('inventory')}, "
                f"{one.get('cycles')} cycles{paused}"
            )
        lines.append(f"faults {dict(self.world.faults.fired())}, alerts {len(self.world.alerts)}")
        return "\n".join(lines)

    def do_orders(self, words: list[str]) -> str:
        """Working orders."""
        orders = self._status().get("orders", [])
        lines = [
            f"{one['symbol']} {one['side']} {one['quantity']} at {one['price']} {one['status']}"
            for one in orders
        ]
        return "\n".join(lines) or "no orders"

    def do_help(self, words: list[str]) -> str:
        """The commands."""
        return HELP

    def _status(self) -> dict[str, Any]:
        return core_status(self.world.core, self.world.gate.prices)

    def _line(self) -> str:
        place = self._place()
        over = "; the market has ended" if self.world.over else ""
        return f"{place['time']}  record {place['position']:,}  fills {place['fills']}{over}"

    def _place(self) -> dict[str, Any]:
        world = self.world
        return {
            "time": time_text(world.clock()),
            "now_ns": world.clock(),
            "position": world.core.position,
            "fills": world.counts.get("FillReport", 0),
        }


GOALS: dict[str, Goal] = {
    "order": lambda report, intents: any(isinstance(one, OrderSubmitted) for one in intents),
    "cancel": lambda report, intents: any(isinstance(one, CancelSubmitted) for one in intents),
    "fill": lambda report, intents: isinstance(report, FillReport),
    "tick": lambda report, intents: isinstance(report, TickReport),
}
