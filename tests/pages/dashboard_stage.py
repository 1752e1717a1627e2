"""Runs on generated markets, one of them growing, served with their pages to a real browser."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from chromium import BINARY, Browser, Process

from actors.journal import MemoryJournal
from domain.inputs import CorrectBalance
from domain.notes import DecisionReport, HandOver
from domain.record import Record
from grinder import __version__
from grinder.commands.backtest import execute
from grinder.config import config_as_dict, load_config
from grinder.ledger.recorder import open_application
from grinder.live.control import ControlServer
from grinder.live.deployed import differences, grid_of, terms_of, with_settings
from grinder.live.rebuild import rebuild
from grinder.plan import plan_grid
from grinder.run_folder import RunFolder
from grinder.views.store import update
from grinder.web.application import WebServer
from grinder.web.market import MarketSource
from grinder.web.settings import WebSettings
from grinder.wiring import data_digest, ledger_id_of
from replay.generated import MarketShape, generate

PASSWORD = "four words and a number 7"

PICTURES = Path(__file__).resolve().parents[2] / "build" / "pages"

BTC = MarketShape(rows=3_000, spacing_ns=60 * 10**9)
ETH = attrs.evolve(BTC, symbol="ETHUSDT", tick=Decimal("0.01"), start_ticks=300_000, reach_ticks=6_000)

SETTINGS: dict[str, Any] = {
    "account": {"balance": "20000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {
        symbol: {"kind": "spot", "tick": tick, "lot": "0.001", "min_notional": "5"}
        for symbol, tick in (("BTCUSDT", "0.1"), ("ETHUSDT", "0.01"))
    },
    "risk": {"session_drawdown_pct": "15", "daily_drawdown_pct": "10", "inventory_max_quote": "9500"},
    "grids": [
        {"symbol": symbol, "mode": "long", "spacing": "arithmetic", "lower_price": low, "upper_price": high,
         "grid_number": 30, "quote_investment": "8000", "initial_inventory": "buy"}
        for symbol, low, high in (("BTCUSDT", "60000", "63000"), ("ETHUSDT", "2900", "3100"))
    ],
}  # fmt: skip


def _backtest(path: Path) -> RunFolder:
    config = load_config([], {}, SETTINGS)
    markets = {shape.symbol: generate(shape, 3) for shape in (BTC, ETH)}
    digest = data_digest(markets)
    ledger_id = ledger_id_of(config, digest, 7)
    manifest = {
        "kind": "backtest",
        "program": __version__,
        "ledger_id": ledger_id,
        "seed": 7,
        "config": config_as_dict(config),
        "data": {"sha256": digest, "arguments": ["somewhere/market.csv"]},
    }
    folder = RunFolder(path)
    folder.create()
    execute(config, markets, folder, ledger_id, 7, manifest, lambda stage, done, total: None)
    _decide(folder)
    update(folder.path)
    return folder


VOTES = (
    ("strategic", "long 0.75", "long", 812_345),
    ("tactical", "enter, stop 2 ATR, scale 1", "long", 603_000),
    ("risk", "none, multiplier 1", "neutral", 512_000),
)

DECIDED: tuple[dict[str, Any], ...] = (
    {"action": "LONG", "size_ppm": 374_400, "confidence_ppm": 712_000, "stop_share_ppm": 8_123,
     "target_share_ppm": 12_185, "reasons": (
         ("vote.won", "long has 0.7120, and 0.65 suffice."), ("timing.enter", "The tactical agent enters."),
         ("model.none", "The rules decide: no model is configured."))},
    {"action": "HOLD", "symbol": "ETHUSDT", "price": "3000.12", "reasons": (
        ("vote.below_threshold", "The vote is long with a score of 0.5024, below 0.65."),)},
    {"action": "BLOCKED", "confidence_ppm": 1_000_000,
     "gates": ("kill switch (MANUAL: too hot)", "pause (operator)"),
     "reasons": (("gate.in_force", "kill switch (MANUAL: too hot) is in force."),
                 ("gate.in_force", "pause (operator) is in force."))},
    {"action": "EMERGENCY_STOP", "policy": "2024-01", "fallback": "", "reasons": (
        ("risk.veto", "The risk agent vetoes with emergency_stop at 0.9012."),)},
)  # fmt: skip


def _decide(folder: RunFolder) -> None:
    """Somebody asks for decisions at the end of the run."""
    found = rebuild(folder.ledger)
    journal = found.core.journal
    assert isinstance(journal, MemoryJournal)
    for at, changes in enumerate(DECIDED, 1):
        fields: dict[str, Any] = {
            "symbol": "BTCUSDT", "action": "HOLD", "direction": "long", "size_ppm": 0,
            "confidence_ppm": 502_400, "stop_share_ppm": 0, "target_share_ppm": 0,
            "price": "61250.5", "policy": "rules",
            "fallback": "model.none", "votes": VOTES, "reasons": (), "gates": (), "schema_hash": "a" * 64,
            "observation_hash": "b" * 64, "operator": "anna", **changes,
        }  # fmt: skip
        found.core.learn(DecisionReport(**fields), found.last_ns + at * 10**9)
    application = open_application(folder.ledger, create=False)
    recorder = application.ledger_recorder
    recorder.append_rows(journal.rows, recorder.take_epoch())
    application.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two grids over two days."""
    folder = _backtest(tmp_path_factory.mktemp("pages") / "finished")
    shutil.copytree(folder.path, folder.path.with_name("another"))
    return folder


class Growing:
    """A copy of a run whose ledger holds its first records only, and then more and more of them."""

    def __init__(self, whole: RunFolder, path: Path, records: int) -> None:
        self.whole = whole
        self.folder = RunFolder(path)
        self.folder.create()
        shutil.copy(whole.ledger, self.folder.ledger)
        shutil.copy(whole.manifest, self.folder.manifest)
        with closing(sqlite3.connect(self.folder.ledger)) as db:
            db.execute("DROP TRIGGER stored_events_no_delete")
            db.execute("DELETE FROM stored_events WHERE rowid > ?", (records,))
            db.commit()
        self.head = records

    def grow(self, records: int) -> int:
        """Append so many records; the new head."""
        with closing(sqlite3.connect(self.folder.ledger)) as db:
            db.execute("ATTACH ? AS whole", (str(self.whole.ledger),))
            db.execute(
                "INSERT INTO stored_events SELECT * FROM whole.stored_events "
                "WHERE rowid > ? AND rowid <= ? ORDER BY rowid",
                (self.head, self.head + records),
            )
            db.commit()
        self.head += records
        return self.head


class FakeGrids:
    """The grids of a run as wholes: keeps what is asked, and plans with the real planner."""

    def __init__(self, growing: Growing) -> None:
        self.growing = growing
        self.asked: list[tuple[str, Any]] = []
        self.statuses = {"BTCUSDT": "running", "ETHUSDT": "stopped"}
        self.blocked = ""

    def _answer(self, **more: Any) -> dict[str, Any]:
        if self.blocked:
            return {
                "position": self.growing.head,
                "status": "blocked",
                "reason": self.blocked,
                "detail": "why",
            }
        return {"position": self.growing.head, "status": "done", "waits": False, "changes": [], **more}

    async def start(self, symbol: str, operator: str) -> dict[str, Any]:
        self.asked.append(("start", symbol))
        if not self.blocked:
            self.statuses[symbol] = "running"
        return self._answer()

    async def deploy(self, symbol: str, settings: Mapping[str, object], operator: str) -> dict[str, Any]:
        self.asked.append(("deploy", (symbol, dict(settings))))
        return self._answer(waits=True)

    async def rebalance(self, symbols: Sequence[str], operator: str) -> dict[str, Any]:
        self.asked.append(("rebalance", tuple(symbols)))
        return self._answer(symbols=list(symbols))

    def preview(self, symbol: str, settings: Mapping[str, object]) -> dict[str, Any]:
        before = load_config([], {}, SETTINGS)
        after = with_settings(before, symbol, settings)
        steps = {one: (Decimal(i["tick"]), Decimal(i["lot"])) for one, i in SETTINGS["instruments"].items()}
        changes = differences(before, after, symbol)
        return {
            "symbol": symbol,
            "status": self.statuses[symbol],
            "price": "61000",
            "terms": terms_of(after, symbol),
            "changes": [{"setting": one.setting, "old": one.old, "new": one.new} for one in changes],
            "plan": plan_grid(after, grid_of(after, symbol), steps).as_dict(),
        }


class FakeRun:
    """What the control socket of a run speaks to: keeps the commands it is given."""

    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")

    def __init__(self, growing: Growing) -> None:
        self.growing = growing
        self.grids = FakeGrids(growing)
        self.given: list[Record] = []
        self.halted = ""
        self.pauses: list[str] = []
        self.node, self.standbys = "main", ["standby"]

    async def command(self, command: Record) -> int:
        self.given.append(command)
        kind = type(command).__name__
        if kind == "HaltTrading":
            self.halted = str(getattr(command, "reason", ""))
        elif kind == "PauseTrading":
            self.pauses = [str(getattr(command, "reason", ""))]
        elif kind == "ResumeTrading":
            self.pauses = []
        return self.growing.head

    def status(self) -> dict[str, Any]:
        one = {"status": "running", "price": "61000", "pauses": [], "halted": False, "levels": []}
        return {
            "mode": "paper",
            "feed": "generated:3@60",
            "exchange": "simulated",
            "phase": "trading",
            "halted": self.halted,
            "pauses": self.pauses,
            "streams": {"market": "up", "private": "up"},
            "balances": {"BTC": "0.1", "USDT": "1000"},
            "unknown_orders": [],
            "durable_position": self.growing.head,
            "head": "0" * 64,
            "position": self.growing.head,
            "now_ns": 1_700_000_000_000_000_000,
            "requests_suspended_until_ns": 0,
            "last_reconciliation_ns": 1_700_000_000_000_000_000,
            "dead_man_seconds": 0,
            "disk_low": False,
            "lease": {
                "node": self.node,
                "epoch": 3,
                "reason": "start",
                "held_seconds": 90_061,
                "standbys": [{"node": one, "position": 1, "behind": 0} for one in self.standbys],
            },
            "prices_seen": 10,
            "prices_let_in": 1,
            "fills": 1,
            "symbols": {
                symbol: {**one, "status": self.grids.statuses.get(symbol, "running")}
                for symbol in self.symbols
            },
        }

    async def health(self) -> dict[str, Any]:
        return {"healthy": True}

    def request_stop(self, orders: str) -> None:
        raise AssertionError("nobody asked for that")

    async def differences(self, symbol: str) -> list[CorrectBalance]:
        return []

    async def hand_over(self, operator: str) -> dict[str, Any]:
        self.given.append(HandOver(node=self.standbys[0], operator=operator))
        self.node, self.standbys = self.standbys[0], []
        return {"position": self.growing.head, "node": self.node}


@attrs.define
class Stage:
    """A browser before a server with a finished run and one under way."""

    browser: Browser
    server: WebServer
    address: str
    growing: Growing
    run: FakeRun
    control: ControlServer

    async def show(self, page: str, run: str = "finished", **more: object) -> None:
        """Open a page and wait until it is drawn."""
        query = "&".join([f"run={run}", *(f"{name}={value}" for name, value in more.items())])
        # Loaded anew, not only turned to: every page must stand alone.
        await self.browser.open("about:blank")
        await self.browser.open(f"{self.address}/ui#/{page}?{query}")
        await self.browser.until("document.documentElement.dataset.ready === 'true'")
        await self.browser.until("Boolean(document.documentElement.dataset.shown)")

    async def login(self, user: str, page: str = "overview", run: str = "growing") -> None:
        """Log in as a person does."""
        browser = self.browser
        await browser.open(f"{self.address}/ui#/{page}?run={run}")
        await browser.until("document.querySelector('dialog[open] input[name=username]')")
        for name, value in (("username", user), ("password", PASSWORD)):
            await browser.run(f"document.querySelector('dialog [name={name}]').value = '{value}'")
        await browser.click("dialog button[type=submit]")
        await browser.until(
            "!document.querySelector('dialog[open]') && document.documentElement.dataset.ready"
        )

    async def text(self, selector: str = "#page") -> str:
        """What an element says."""
        found = await self.browser.run(f"document.querySelector({selector!r}).innerText")
        assert isinstance(found, str)
        return found


Staging = Callable[..., Any]


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The browser of all tests."""
    made = Process(tmp_path_factory.mktemp("profile"))
    yield made
    made.end()


@pytest.fixture
def staged(finished: RunFolder, process: Process, tmp_path: Path) -> Staging:
    """A context manager that opens the stage."""

    @asynccontextmanager
    async def open_stage(
        width: int = 1440,
        height: int = 900,
        *,
        no_login: bool = True,
        user: str = "",
        role: str = "operator",
        market: MarketSource | None = None,
    ) -> AsyncIterator[Stage]:
        assert BINARY is not None
        growing = Growing(finished, tmp_path / "growing", 1_200)
        run = FakeRun(growing)
        settings = WebSettings(port=0, access_file=tmp_path / "access.db", no_login=no_login)
        server = WebServer([finished.path, growing.folder.path], settings, market=market, cost=8)
        if user:
            server.services.users.add(user, role, PASSWORD, ())
        control = ControlServer(growing.folder.path, run)
        await control.start()
        try:
            address = await server.start()
            async with Browser(process, (width, height)) as browser:
                yield Stage(browser, server, address, growing, run, control)
        finally:
            await control.close()
            await server.stop()

    return open_stage
