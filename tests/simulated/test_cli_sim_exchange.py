"""The command `sim-exchange`: its one line, its market, its clean end, and what it refuses."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from toys import BTC, SECOND

from grinder.cli import main
from grinder.commands.sim_exchange import ExchangeOptions, currencies, desk_of, market_of
from grinder.errors import UserError
from grinder.simulated.market import events_of, generated, looped, pump
from grinder.simulated.protocols import PROTOCOLS
from replay import virtual_time
from replay.exchange.rolling import MarketRow
from replay.generated import MarketShape
from replay.ticks import TickOrigin, Ticks
from replay.virtual_time import VirtualTimeLoop

HERE = Path(__file__).resolve().parent
TOY = "toys:ToyServer"


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", "--protocol", TOY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE}"},
    )


def asked(line: dict[str, Any], path: str) -> Any:
    with urllib.request.urlopen(line["rest"] + path, timeout=5) as answer:
        return json.load(answer)


def trades(tmp_path: Path, rows: int = 5) -> Path:
    path = tmp_path / "trades.csv"
    header = "id,price,qty,quote_qty,time,is_buyer_maker"
    lines = [f"{n},{100 + n}.5,0.{n + 1},1,{1_700_000_000_000 + 100 * n},true" for n in range(rows)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_prints_one_line_serves_and_ends_cleanly_when_told(number: signal.Signals) -> None:
    process = started("--key", "mine", "--secret", "hidden", "--speed", "20")
    try:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert line["protocol"] == "toy"
        assert line["key"] == "mine"
        assert line["port"] == int(line["rest"].rsplit(":", 1)[1])
        assert asked(line, "/orders") == []
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
        assert rest == ""
        assert process.returncode == 0
        assert "faults fired: {}" in errors
        assert "hidden" not in errors + json.dumps(line)
    finally:
        process.kill()


def test_it_ends_by_itself_with_its_data_and_tells_which_faults_fired(tmp_path: Path) -> None:
    plan = tmp_path / "faults.yaml"
    plan.write_text("faults: [{kind: withdraw, asset: USDT, amount: 1, limit: 2}]")
    process = started("--data", f"{BTC}={trades(tmp_path)}", "--faults", str(plan), "--speed", "100")
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert len(out.splitlines()) == 1
    assert "{'withdraw': 2}" in errors


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    first = started()
    try:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["port"]
        second = started("--port", str(port))
        _, errors = second.communicate(timeout=20)
        assert second.returncode == 5
        assert "[sim.port]" in errors
    finally:
        first.kill()
        first.communicate()


def refused(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["sim-exchange", *arguments])
    assert result.exit_code == 2, result.output
    return result


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--protocol", "nasdaq"), "usage.protocol"),
        (("--protocol", "nowhere:Server"), "usage.protocol"),
        (("--protocol", TOY, "--host", "0.0.0.0"), "sim.host"),
        (("--protocol", TOY, "--host", "exchange.example"), "sim.host"),
        (("--protocol", TOY, "--speed", "0"), "usage.speed"),
        (("--protocol", TOY, "--balance", "USDT"), "usage.balance"),
        (("--protocol", TOY, "--balance", "USDT=-5"), "usage.amount"),
        (("--protocol", TOY, "--balance", "USDT=much"), "usage.amount"),
        (("--protocol", TOY, "--balance", "USDT=Infinity"), "usage.amount"),
        (("--protocol", TOY, "--maker-bps", "0.001"), "usage.amount"),
        (("--protocol", TOY, "--funding-bps", "--1"), "usage.amount"),
        (("--protocol", TOY, "--faults", "/nowhere.yaml"), "sim.faults"),
        (("--protocol", TOY, "--data", "/nowhere.csv"), "data."),
        (("--protocol", TOY, "--data", "x", "--generated"), "usage.market"),
    ],
)
def test_a_wrong_option_is_refused_with_its_place(arguments: tuple[str, ...], code: str) -> None:
    assert f"[{code}" in refused(*arguments).output


def test_the_command_names_every_protocol() -> None:
    shown = CliRunner().invoke(main, ["sim-exchange", "--help"]).output
    assert [name for name in PROTOCOLS if name not in shown] == []


# --- what it is made of --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "bps", "funding"),
    [
        ("linear", "1.5", {BTC: (150, 60 * 10**9)}),
        ("linear", "-0.5", {BTC: (-50, 60 * 10**9)}),
        ("linear", "0", {}),
        ("spot", "1.5", {}),
    ],
)
def test_perpetuals_pay_the_funding_that_is_asked_for(
    kind: str, bps: str, funding: dict[str, tuple[int, int]]
) -> None:
    options = ExchangeOptions(protocol=TOY, kind=kind, funding_bps=bps, funding_seconds=60)
    instruments, _ = market_of(options)
    assert desk_of(options, instruments).rules.funding == funding


def test_balances_and_instruments_come_from_the_options() -> None:
    options = ExchangeOptions(
        protocol=TOY, balances=("USDT=12.5", "btc=0.25", "BNB=3"), maker_bps="1.5", min_notional="10"
    )
    instruments, _ = market_of(options)
    one = instruments[BTC]
    assert (one.tick, one.lot, one.maker_fee_ppm, one.kind) == ("0.1", "0.001", 150, "spot")
    desk = desk_of(options, instruments)
    assert desk.totals()["BTC"] == (25 * 10 ** (one.base_decimals - 2), 0)
    assert desk.totals()["USDT"] == (125 * 10 ** (one.quote_decimals - 1), 0)
    assert desk.totals()["BNB"][0] == 3 * 10**8
    usual = desk_of(ExchangeOptions(protocol=TOY), instruments)
    assert usual.totals()["USDT"] == (10_000 * 10**one.quote_decimals, 0)
    linear, _ = market_of(ExchangeOptions(protocol="binance-usdm", leverage="3"))
    assert (linear[BTC].kind, linear[BTC].leverage_ppm) == ("linear", 3_000_000)
    assert market_of(ExchangeOptions(protocol="okx", kind="linear"))[0][BTC].kind == "linear"


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("BTCUSDT", ("BTC", "USDT")), ("ETHBTC", ("ETH", "BTC")), ("SOLUSD", ("SOL", "USD"))],
)
def test_currencies_are_told_from_the_name(symbol: str, expected: tuple[str, str]) -> None:
    assert currencies(symbol) == expected


def test_a_name_without_a_known_quote_is_refused() -> None:
    with pytest.raises(UserError, match=r"sim\.symbol"):
        currencies("APPLE")


def test_data_is_listed_with_its_own_steps(tmp_path: Path) -> None:
    path = trades(tmp_path)
    instruments, events = market_of(ExchangeOptions(protocol=TOY, data=(f"BTC/USDT={path}",)))
    assert list(instruments) == [BTC]
    assert instruments[BTC].lot == "0.1"
    rows = list(events)
    assert [since for since, _, _ in rows] == [100_000_000 * n for n in range(5)]
    assert all(row.bid < row.price < row.ask for _, _, row in rows), "quotes around the price"


# --- the market ----------------------------------------------------------------------------------------


def ticks(symbol: str, times_s: list[int], start_s: int = 1_000) -> Ticks:
    prices = np.arange(100, 100 + len(times_s), dtype=np.int64)
    stamps = (np.array(times_s, dtype=np.int64) + start_s) * SECOND
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES,
        tick=Decimal(1),
        lot=Decimal(1),
        ts=stamps,
        price=prices,
        low=prices,
        high=prices,
    )


def test_rows_of_several_symbols_come_in_the_order_of_their_times() -> None:
    markets = {"B": ticks("B", [0, 2, 4]), "A": ticks("A", [1, 2, 9])}
    seen = [(since // SECOND, symbol) for since, symbol, _ in events_of(markets)]
    assert seen == [(0, "B"), (1, "A"), (2, "A"), (2, "B"), (4, "B"), (9, "A")]


def test_looped_data_begins_again_a_second_later() -> None:
    seen = [since // SECOND for since, _, _ in itertools.islice(looped({"A": ticks("A", [0, 3])}), 5)]
    assert seen == [0, 3, 4, 7, 8]


def test_a_generated_market_never_ends_jumps_or_goes_back_in_time() -> None:
    events = list(itertools.islice(generated(MarketShape(), 3), 20_000))
    times = [since for since, _, _ in events]
    assert times == sorted(times)
    mids = [(row.bid + row.ask) // 2 for _, _, row in events]
    assert max(abs(a - b) for a, b in itertools.pairwise(mids)) < 5_000
    assert events == list(itertools.islice(generated(MarketShape(), 3), 20_000))


class Shown:
    def __init__(self, clock: Any) -> None:
        self.rows: list[tuple[int, str, MarketRow]] = []
        self.ticks = 0
        self.clock = clock

    def market(self, symbol: str, row: MarketRow) -> None:
        self.rows.append((self.clock(), symbol, row))

    def tick(self) -> None:
        self.ticks += 1


def test_the_market_is_shown_at_its_pace_dated_now() -> None:
    async def run(loop: VirtualTimeLoop) -> tuple[Shown, list[int]]:
        shown, begun = Shown(loop.now_ns), list[int]()
        events = events_of({"A": ticks("A", [0, 10, 30])})
        await pump(events, shown, loop.now_ns, 2.0, lambda: begun.append(loop.now_ns()))
        return shown, begun

    shown, begun = virtual_time.run(run, 5_000 * SECOND)
    assert begun == [5_000 * SECOND]
    at = [ns / SECOND - 5_000 for ns, _, _ in shown.rows]
    assert at == pytest.approx([0, 5, 15], abs=1e-6)
    assert [row.ts_ns for _, _, row in shown.rows] == [ns for ns, _, _ in shown.rows]
    assert shown.ticks >= 290, "time passes for the exchange between two rows"


def test_a_market_that_is_behind_still_lets_others_work() -> None:
    async def run() -> int:
        done = 0

        async def other() -> None:
            nonlocal done
            while True:
                await asyncio.sleep(0)
                done += 1

        beside = asyncio.ensure_future(other())
        shown = Shown(lambda: 0)

        def slow(symbol: str, row: MarketRow) -> None:
            import time

            time.sleep(0.002)

        shown.market = slow  # type: ignore[method-assign]
        await pump(events_of({"A": ticks("A", list(range(100)))}), shown, lambda: 0, 1e9)
        beside.cancel()
        return done

    assert asyncio.run(run()) > 10
