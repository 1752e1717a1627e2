"""Runs of real processes on a simulated exchange over the wire, whatever its protocol."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
from live_runs import REPO, SETTINGS, Running, process_of, status_of, wait_for, write_config

from actors.ports import OrderSnapshot
from domain.order_events import OrderTerms
from grinder.config import load_config
from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.live.clock import RealClock
from grinder.live.emergency import finest_instruments
from grinder.secrets import Credentials

KEY, SECRET, PASSPHRASE = "sim-key", "c2VjcmV0IG9mIGEgc2ltdWxhdGVkIGV4Y2hhbmdl", "sim-pass"

FOREIGN = "f" * 32

LONGEST_S = 90.0
"""How long a test waits for processes that are started on a machine that has other work."""


@attrs.frozen
class OnExchange:
    """A running `grinder sim-exchange` and the runs on it.

    Attributes:
        protocol: as `sim-exchange` and the configuration call it.
        run: the run's folder.
    """

    protocol: str
    line: dict[str, Any]
    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def endpoint(self) -> dict[str, str]:
        return {name: self.line[name] for name in ("rest", "ws", "ws_private") if self.line.get(name)}

    @property
    def env(self) -> dict[str, str]:
        prefix = "GRINDER_" + self.protocol.upper().replace("-", "_")
        keys = {"KEY": KEY, "SECRET": SECRET, "PASSPHRASE": PASSPHRASE}
        none = {"GRINDER_SECRETS_FILE": str(self.folder / "none.json")}
        return {**none, **{f"{prefix}_{name}": value for name, value in keys.items()}}

    def settings(self, **live: Any) -> dict[str, Any]:
        """A grid so wide that the generated market leaves its orders alone."""
        linear = self.protocol.endswith(("-usdm", "-linear"))
        kind = "linear" if linear else "spot"
        wide = {
            **SETTINGS["grids"][0],
            "lower_price": "40000",
            "upper_price": "90000",
            "mode": "neutral" if linear else "long",
        }
        if linear:
            del wide["initial_inventory"]
        return {
            **SETTINGS,
            "account": {"exchange": self.protocol, "balance": "10000", "endpoint": self.endpoint},
            "instruments": {"BTCUSDT": {"kind": kind}},
            "live": {**SETTINGS["live"], **live},
            "grids": [wide],
        }

    def started(self, **live: Any) -> Running:
        """The run's supervisor, and with it the run."""
        config = write_config(self.folder / "grinder.yaml", **self.settings(**live))
        arguments = ("run", "-c", str(config), "--out", "run", "--json")
        return Running(*arguments, cwd=self.folder, env=self.env)

    def trading(self, orders: int) -> None:
        """Wait until the run trades and so many orders rest."""

        def look() -> bool:
            found = status_of(self.run)
            rest = [one for one in found.get("orders", ()) if one["status"] == "open"]
            return found.get("phase") == "trading" and len(rest) >= orders

        wait_for(look, timeout_s=LONGEST_S, why="trading with orders")

    def kill(self, running: Running) -> None:
        """End supervisor and run as a power cut would."""
        child = process_of(self.run)
        os.kill(child, signal.SIGSTOP)  # or it would stop in order, as its supervisor is gone
        running.process.kill()
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{child}").exists(), why="the end of the run process")

    def open_orders(self, *, place_foreign: bool = False) -> list[OrderSnapshot]:
        """What is open there, asked as the account's owner, without the ledger."""

        async def main() -> list[OrderSnapshot]:
            make = registry.find(self.protocol).make
            connector = make(Endpoint(**self.endpoint), Credentials(KEY, SECRET, PASSPHRASE), RealClock())
            await connector.open()
            try:
                connector.list_instruments(finest_instruments(load_config([], {}, self.settings())), {})
                if place_foreign:
                    await connector.place([_by_hand()])
                return await connector.open_orders()
            finally:
                await connector.close()

        return asyncio.run(asyncio.wait_for(main(), 20))

    def ids(self) -> list[str]:
        """Client order ids of what is open."""
        return sorted(one.client_order_id for one in self.open_orders())

    def emergency(self) -> int:
        """What the supervisor starts when nobody else can cancel; its exit status."""
        ended = subprocess.run(
            [sys.executable, "-m", "grinder.live.emergency", str(self.run)],
            cwd=REPO,
            env={**os.environ, **self.env},
            capture_output=True,
            timeout=120,
            check=False,
        )
        return ended.returncode


def _by_hand() -> OrderTerms:
    return OrderTerms(
        client_order_id=FOREIGN,
        symbol="BTCUSDT",
        side="buy",
        order_type="limit",
        time_in_force="gtc",
        reduce_only=False,
        price_ticks=50_000 * 10**12,
        lots=10**5,
    )


@contextmanager
def exchange(protocol: str, folder: Path) -> Iterator[OnExchange]:
    """A simulated exchange in a process of its own."""
    options = ["--protocol", protocol, "--generated", "--speed", "1", "--balance", "USDT=20000"]
    keys = ["--key", KEY, "--secret", SECRET, "--passphrase", PASSPHRASE]
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *options, *keys],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield OnExchange(protocol, orjson.loads(process.stdout.readline()), folder)
    finally:
        process.kill()
        process.communicate()
