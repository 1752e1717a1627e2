"""Funding as the simulated exchanges list and push it, read by other people's client libraries."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from binance_rig import Rig as BinanceRig
from binance_rig import listening, order, rig
from binance_rig import run as run_binance
from binance_rig import until as until_binance
from bybit_rig import BTC, Rig, bybit
from test_wire_binance_clients import ccxt_client as binance_client
from test_wire_bybit_clients import ccxt_client, in_thread, pybit_client, run

from actors.ports import Placed
from domain.inputs import FundingReport
from grinder.connectors.binance import usdm
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan

UNIFIED = "BTC/USDT:USDT"
RATE_PPM = 1_000
RULES = {BTC: (RATE_PPM, 10**18)}


async def bought(one: BinanceRig) -> None:
    """Take a position of 0.1 BTC."""
    taking = order(1, lots=100, order_type="market", time_in_force="ioc")
    (answer,) = await one.connector.place([taking])
    assert isinstance(answer, Placed), answer


async def held(rig: Rig) -> None:
    """Take a position of 0.01 BTC and pay funding on it."""
    body = {"category": "linear", "symbol": BTC, "side": "Buy", "orderType": "Market", "qty": "0.01"}
    assert (await rig.post("order/create", body))[0]["retCode"] == 0
    rig.desk.rules.funding.update(RULES)
    rig.desk.pay_funding(BTC, time.time_ns())


def test_bybit_lists_funding_among_executions_under_the_id_it_pushed() -> None:
    async def check(rig: Rig) -> None:
        async with rig.socket("private", "execution.linear") as ws:
            await held(rig)
            pushed: dict[str, Any] = {"execType": ""}
            while pushed["execType"] != "Funding":
                (pushed,) = (await ws.receive_json(timeout=5))["data"]
        async with ccxt_client(rig, defaultType="swap") as client:
            (found,) = await client.fetch_funding_history(UNIFIED)
        assert found["info"]["execId"] == pushed["execId"]
        assert found["amount"] == pytest.approx(-rig.desk.funding[0].units / 10 ** rig.desk.decimals("USDT"))
        assert pushed["execFee"] == found["info"]["execFee"]

    run(check, kind="linear")


def test_pybit_reads_funding_in_the_transaction_log_too() -> None:
    def look(rig: Rig) -> None:
        client = pybit_client(rig)
        asked = {"accountType": "UNIFIED", "category": "linear", "type": "SETTLEMENT"}
        (row,) = client.get_transaction_log(**asked)["result"]["list"]
        executed = client.get_executions(category="linear", execType="Funding")["result"]["list"]
        assert (row["tradeId"], row["symbol"]) == (executed[0]["execId"], BTC)
        assert row["funding"] == row["change"] == f"-{executed[0]['execFee']}", "there a charge is negative"
        assert row["id"] != executed[0]["execId"]
        assert client.get_transaction_log(**{**asked, "type": "TRADE"})["result"]["list"] == []
        trades = client.get_executions(category="linear", execType="Trade")["result"]["list"]
        assert [one["execType"] for one in trades] == ["Trade"]

    async def check(rig: Rig) -> None:
        await held(rig)
        await in_thread(look, rig)

    run(check, kind="linear")


def test_bybit_refuses_a_log_of_more_than_seven_days() -> None:
    async def check() -> None:
        async with bybit(FaultPlan(), kind="linear") as rig:
            body, _ = await rig.get("account/transaction-log", "endTime=900000000&startTime=1")
            assert body["retCode"] == 10001

    asyncio.run(check())


def test_ccxt_reads_the_income_of_binances_perpetuals() -> None:
    async def work() -> None:
        async with rig(futures=True, rules=ExchangeRules(funding=dict(RULES))) as one:
            client = binance_client(one, True)
            try:
                await bought(one)
                one.desk.pay_funding(BTC, time.time_ns())
                (found,) = await client.fetch_funding_history(UNIFIED)
                assert found["amount"] == pytest.approx(one.desk.funding[0].units / 10**8)
                assert (
                    await client.fetch_funding_history(UNIFIED, since=int(time.time() * 1000) + 60_000) == []
                )
            finally:
                await client.close()

    run_binance(work())


def test_income_on_several_pages_is_read_to_its_end_each_payment_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usdm, "PAGE", 2)

    async def work() -> None:
        async with rig(futures=True, rules=ExchangeRules(funding=dict(RULES))) as one:
            await bought(one)
            now = time.time_ns()
            for minute in range(7, 0, -1):
                one.desk.pay_funding(BTC, now - minute * 60 * 10**9)
            found = await one.connector.fundings(now - 600 * 10**9)
            assert [report.units for report in found] == [report.units for report in one.desk.funding]
            assert len({report.funding_id for report in found}) == 7
            late = await one.connector.fundings(now - 150 * 10**9)
            assert late == found[-2:]

    run_binance(work())


def test_a_payment_told_because_of_the_stream_is_not_told_again_by_the_next() -> None:
    async def work() -> None:
        async with (
            rig(futures=True, rules=ExchangeRules(funding=dict(RULES))) as one,
            listening(one) as heard,
        ):
            await bought(one)
            one.desk.pay_funding(BTC, time.time_ns())
            await until_binance(lambda: heard.of(FundingReport))
            one.server.tell_account("FUNDING_FEE", "0")
            await asyncio.sleep(0.3)
            assert len(heard.of(FundingReport)) == 1
            assert any(b"FUNDING_FEE" in frame for _, frame in heard.frames[-1:]), (
                "the stream did speak of it"
            )

    run_binance(work())
