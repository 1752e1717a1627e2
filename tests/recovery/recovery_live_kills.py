"""Kills a live run at drawn moments, again and again, on one ledger and one exchange that outlives it.

Law: a program of its own, so that the run's processes are forked from one that has imported everything; the
exchange is a process of its own behind its real wire protocol, and is never killed.

    python recovery_live_kills.py FOLDER COUNT SEED

prints one JSON object: what was found after each kill, and what exchange and ledger say in the end.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import attrs
import ccxt.async_support
from live_runs import REPO, SETTINGS, status_of
from recovery_kills import ended, forked

from actors.ports import RateLimited
from domain.orders import ENDED
from grinder.config import load_config
from grinder.connectors import registry
from grinder.connectors.binance.spot import SpotConnector
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.simulated import SimulatedConnector  # noqa: F401  imported before the forks
from grinder.ledger.reading import is_begun
from grinder.ledger.verify import verify
from grinder.live import patience
from grinder.live.clock import RealClock
from grinder.live.process import run_process
from grinder.live.rebuild import rebuild
from grinder.live.session import SessionSettings, backfilling, cancelling, reconciling, resolving
from grinder.live.spec import LOCAL, RunSpec, prepare
from grinder.run_folder import RunFolder
from grinder.secrets import Credentials
from grinder.standby.waiting import Asked
from grinder.views.summary import summary

KEY = SECRET = "grinder"
LEDGER_ID = "0badcafe"
SYMBOL = "BTCUSDT"
PROTOCOL = "roomy_exchange:RoomyBinance"
STARTS_IN_A_LIFE = 5.0
"""The longest life of a process, in times it takes one to start: a fifth of the kills hit a start."""


patience.SessionSettings = functools.partial(  # type: ignore[misc,assignment]
    SessionSettings, in_flight_s=0.3, start_difference_s=0.5
)
for part in (backfilling, cancelling, reconciling, resolving):
    part.FIRST_DELAY_S = 0.1  # type: ignore[attr-defined]
SpotConnector.capabilities = attrs.evolve(SpotConnector.capabilities, order_valid_s=0)
# On this machine nothing is under way for longer; a process that lives for a second has to get to work.


class Subject:
    """An exchange, a folder, and the processes of its run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.run = RunFolder(folder / "run")
        self.exchange = subprocess.Popen(
            [
                *(sys.executable, "-m", "grinder", "sim-exchange", "--protocol", PROTOCOL, "--generated"),
                *("--speed", "1500", "--seed", str(seed), "--balance", "USDT=20000"),
                *("--key", KEY, "--secret", SECRET),
            ],
            cwd=REPO,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(REPO), str(Path(__file__).parent)))},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.exchange.stdout is not None
        line = orjson.loads(self.exchange.stdout.readline())
        self.endpoint = {name: line[name] for name in ("rest", "ws", "ws_private") if line.get(name)}
        os.environ.update(GRINDER_BINANCE_KEY=KEY, GRINDER_BINANCE_SECRET=SECRET)
        account = {"exchange": "binance", "balance": "10000", "endpoint": self.endpoint}
        grid = {**SETTINGS["grids"][0], "grid_number": 60, "quote_investment": "9000"}
        config = load_config([], {}, {**SETTINGS, "account": account, "grids": [grid]})
        prepare(self.run, RunSpec(mode=LOCAL, ledger_id=LEDGER_ID, config=config))

    def start(self) -> int:
        """A process of the run; its id."""
        return forked(lambda: sys.exit(int(run_process(self.run.path, Asked()))), self.output)

    def start_and_trade(self, orders: int = 10, within_s: float = 60.0) -> int:
        """A process of the run, once it trades."""
        child = self.start()
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            found = status_of(self.run.path)
            if found.get("phase") == "trading" and len(found.get("orders", ())) >= orders:
                return child
            time.sleep(0.02)
        found = status_of(self.run.path)
        os.kill(child, signal.SIGKILL)
        ended(child)
        told = {name: found.get(name) for name in ("phase", "pauses", "unknown_orders", "streams")}
        raise AssertionError(f"no trading within {within_s} s: {told} {self.output.read_text()[-3000:]}")

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def close(self) -> None:
        self.exchange.kill()
        self.exchange.communicate()


def ledger_state(subject: Subject) -> dict[str, Any]:
    """What a kill left: whole, and with every order it speaks of under one id."""
    if not subject.run.ledger.is_file() or not is_begun(subject.run.ledger):
        return {"ok": True, "records": 0}
    verdict = verify(subject.run.ledger)
    return {"ok": verdict.ok, "records": verdict.records, "reason": verdict.reason}


async def on_exchange(subject: Subject) -> dict[str, Any]:
    """What the exchange has, asked for again when so many starts have used its limits up."""
    while True:
        try:
            return await _on_exchange(subject)
        except RateLimited as limited:
            await asyncio.sleep(limited.retry_after_s + 1)


async def _on_exchange(subject: Subject) -> dict[str, Any]:
    """Every order, execution and balance, by the exchange's own account."""
    connector = registry.find("binance").make(
        Endpoint(**subject.endpoint), Credentials(KEY, SECRET), RealClock()
    )
    try:
        await connector.open()
        books = rebuild(subject.run.ledger).core.state_of("account")
        connector.list_instruments(books.instruments, {})
        exchange = ccxt.async_support.binance({"apiKey": KEY, "secret": SECRET})
        for name in exchange.urls["api"]:
            url = str(exchange.urls["api"][name])
            if "/api/" in url:
                exchange.urls["api"][name] = subject.endpoint["rest"] + url[url.index("/api/") :]
        try:
            placed = await exchange.private_get_allorders({"symbol": SYMBOL, "limit": 1000})
        finally:
            await exchange.close()
        return {
            "open": [one.client_order_id for one in await connector.open_orders()],
            "fills": await connector.fills(SYMBOL, 0),
            "placed": Counter(one["clientOrderId"] for one in placed),
            "balances": await connector.balances(),
        }
    finally:
        await connector.close()


def compared(subject: Subject) -> dict[str, Any]:
    """The ledger against the exchange, once nothing runs any more."""
    rebuilt = rebuild(subject.run.ledger)
    books = rebuilt.core.state_of("account")
    seen = asyncio.run(asyncio.wait_for(on_exchange(subject), 240))
    booked = sorted(fill for order in books.orders.values() for fill in order.fill_ids)
    there = sorted(one.fill_id for one in seen["fills"])
    instrument = books.instruments[SYMBOL]
    amounts = {
        asset: (str(seen["balances"].get(asset, 0)), books.balances.get(f"wallet:{asset}", 0), decimals)
        for asset, decimals in (
            (instrument.base, instrument.base_decimals),
            (instrument.quote, instrument.quote_decimals),
        )
    }
    return {
        "records": rebuilt.records,
        "fills_booked": len(booked),
        "fills_equal": booked == there,
        "fills_twice": len(booked) - len(set(booked)),
        "ids_twice": [name for name, times in seen["placed"].items() if times > 1],
        "left_open": seen["open"],
        "books_open": [i for i, order in books.orders.items() if order.status not in ENDED],
        "balances_equal": all(
            int(_units(text, decimals)) == units for text, units, decimals in amounts.values()
        ),
        "amounts": {asset: [text, str(units)] for asset, (text, units, _) in amounts.items()},
        "residual": summary(subject.run.path).identity_residual,
        "orders": len(seen["placed"]),
    }


def _units(text: str, decimals: int) -> int:
    return int(Decimal(text).scaleb(decimals))


def main(folder: Path, count: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    subject = Subject(folder, seed)
    kills: list[dict[str, Any]] = []
    try:
        started = time.monotonic()
        first = subject.start_and_trade()
        start_s = time.monotonic() - started
        os.kill(first, signal.SIGKILL)
        ended(first)
        for _ in range(count):
            child = subject.start()
            time.sleep(chance.random() * STARTS_IN_A_LIFE * start_s)
            os.kill(child, signal.SIGKILL)
            status = ended(child)
            kills.append({"status": status, "said": "", **ledger_state(subject)})
            if status != -signal.SIGKILL:
                kills[-1]["said"] = subject.output.read_text()[-3000:]
        child = subject.start_and_trade(orders=1)
        time.sleep(2.0)
        os.kill(child, signal.SIGTERM)
        status = ended(child, within_s=40)
        found = {"status": status, "said": subject.output.read_text()[-3000:] if status else ""}
        return {"kills": kills, "last": found, **compared(subject)}
    finally:
        subject.close()


if __name__ == "__main__":
    where, times, drawn = sys.argv[1:]
    print(json.dumps(main(Path(where), int(times), int(drawn))))
