"""A run on OKX's swaps over the wire: sizes in contracts, funding while no process ran, proven in the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from live_runs import REPO, Running, process_of, status_of, trading, wait_for, write_config

from domain.codec import decode
from domain.inputs import FundingReport
from domain.instrument import Instrument, contract_units
from grinder.cli import main
from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.errors import ExitStatus
from grinder.ledger.reading import connect
from grinder.live.clock import RealClock
from grinder.live.rebuild import rebuild
from grinder.secrets import Credentials
from grinder.views.summary import summary

NAME = "okx-swap"
KEYS = {"KEY": "sim-key", "SECRET": "sim-secret", "PASSPHRASE": "sim-phrase"}
FUNDING_S = 4
"""Between two payments: so short that some fall into a restart."""


@attrs.frozen
class Exchange:
    """A running `grinder sim-exchange`."""

    line: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> dict[str, str]:
        return {name: self.line[name] for name in ("rest", "ws", "ws_private")}


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    options = (
        "--protocol okx --kind linear --generated --speed 60 --balance USDT=20000 --key sim-key"
        f" --secret sim-secret --passphrase sim-phrase --funding-bps 5 --funding-seconds {FUNDING_S}"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *options.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    yield Exchange(orjson.loads(process.stdout.readline()), process)
    process.kill()
    process.communicate()


def started(exchange: Exchange, folder: Path) -> Running:
    config = write_config(
        folder / "grinder.yaml",
        account={"exchange": NAME, "balance": "10000", "endpoint": exchange.endpoint},
        instruments={"BTCUSDT": {"kind": "linear", "leverage": "3"}},
        record={"tape": True},
    )
    env = {f"GRINDER_OKX_SWAP_{name}": value for name, value in KEYS.items()}
    env["GRINDER_SECRETS_FILE"] = str(folder / "none.json")
    return Running("run", "-c", str(config), "--out", "run", "--json", cwd=folder, env=env)


def listed(exchange: Exchange, instrument: Instrument, until_ns: int) -> dict[str, FundingReport]:
    """What the exchange says it exchanged before a time, by id."""

    async def asked() -> list[FundingReport]:
        keys = Credentials(KEYS["KEY"], KEYS["SECRET"], KEYS["PASSPHRASE"])
        connector = registry.find(NAME).make(Endpoint(**exchange.endpoint), keys, RealClock())
        await connector.open()
        try:
            connector.list_instruments({"BTCUSDT": instrument}, {})
            everything = await connector.fundings(0)
            late = {one.funding_id for one in await connector.fundings(until_ns)}
            return [one for one in everything if one.funding_id not in late]
        finally:
            await connector.close()

    return {one.funding_id: one for one in asyncio.run(asyncio.wait_for(asked(), 20))}


def records(run: Path, name: str) -> list[tuple[int, Any]]:
    """(position, record) of a class by its name without the version."""
    asked = "SELECT rowid, topic, CAST(state AS BLOB) FROM stored_events WHERE topic LIKE ? ORDER BY rowid"
    with closing(connect(run / "ledger.db")) as connection:
        found = connection.execute(asked, (f"{name}/%",)).fetchall()
    return [(position, decode(topic, state)) for position, topic, state in found]


def said(*arguments: str) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def killed(running: Running, run: Path) -> None:
    """Every process of a run dies at once."""
    child = process_of(run)
    os.kill(child, signal.SIGSTOP)  # or it would stop in order, as its supervisor is gone
    running.process.kill()
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{child}").exists(), why="the end of the run process")


@pytest.mark.slow
def test_a_run_on_swaps_books_the_funding_of_the_time_no_process_ran_and_is_proven(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(exchange, tmp_path) as running:
        trading(run, orders=8)
        wait_for(lambda: records(run, "FundingPaid"), timeout_s=45, why="funding told by the stream")
        killed(running, run)
    before = {one.funding_id for _, one in records(run, "FundingPaid")}
    time.sleep(FUNDING_S + 1)
    with started(exchange, tmp_path) as running:
        wait_for(lambda: status_of(run).get("resumed_records"), timeout_s=45, why="a new process")
        trading(run, orders=8)
        fetched = status_of(run)["fills"]  # of the time no process ran; no frame says anything of those
        wait_for(lambda: status_of(run).get("fills", 0) > fetched, timeout_s=45, why="one it is told of")
        until_ns = time.time_ns()
        time.sleep(1.5)
        said("stop", str(run), "--cancel")
        code, _, err = running.ended(60)
    assert code == ExitStatus.DONE, err.decode()[-2000:]

    instrument = rebuild(run / "ledger.db").core.state_of("account").instruments["BTCUSDT"]
    assert (instrument.kind, contract_units(instrument)) == ("linear", 100 * instrument.base_per_lot)
    paid = {one.funding_id: one.units for _, one in records(run, "FundingPaid")}
    due = listed(exchange, instrument, until_ns)
    assert len(paid) == len(records(run, "FundingPaid")), "each is booked once"
    assert {one: paid.get(one) for one in due} == {one: report.units for one, report in due.items()}
    (_, restarted), ready = [
        [at for at, report in records(run, "RunReport") if report.phase == phase]
        for phase in ("started", "ready")
    ]
    missed = [one for at, one in records(run, "FundingPaid") if restarted < at < ready[-1]]
    assert {one.funding_id for one in missed} - before, "booked before trading went on"
    assert not records(run, "DifferenceFound")

    assert said("replay", str(run))["identical"]
    proof = said("replay", str(run), "--from-tape")
    assert proof["inputs_from_frames"] > 0
    said("rebuild", str(run))
    total = summary(run)
    assert total.identity_residual == "0"
    assert Decimal(total.funding) < 0


def test_a_paper_run_on_the_prices_of_swaps_trades_and_is_proven_from_their_frames(
    exchange: Exchange, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    config = write_config(
        tmp_path / "grinder.yaml",
        account={"exchange": NAME, "balance": "10000", "endpoint": exchange.endpoint},
        instruments={"BTCUSDT": {"kind": "linear", "leverage": "3"}},
        record={"tape": True},
    )
    arguments = ("paper", "-c", str(config), "--out", "run", "--feed", "exchange", "--json")
    with Running(*arguments, cwd=tmp_path) as running:
        trading(run, orders=5)
        wait_for(lambda: status_of(run).get("fills", 0) > 0, why="an execution")
        running.process.send_signal(signal.SIGINT)
        code, _, err = running.ended(60)
    assert code == ExitStatus.DONE, err.decode()[-2000:]
    assert contract_units(rebuild(run / "ledger.db").core.state_of("account").instruments["BTCUSDT"])
    proof = said("replay", str(run), "--from-tape")
    assert proof["identical"] is True
    assert proof["inputs_from_frames"] >= len(records(run, "TickReport")) > 0
