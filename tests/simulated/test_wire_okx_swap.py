"""The simulated OKX's swaps, as real clients see them: ccxt and python-okx with only an address changed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from okx_rig import ASK, BID, KEYS, Client, login, socket, subscribing
from toys import BTC, instrument

from grinder.simulated.protocols.okx import OkxServer
from grinder.simulated.server import Running, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan

NATIVE, UNIFIED = "BTC-USDT-SWAP", "BTC/USDT:USDT"
RATE_PPM = 1_000


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Running, Desk]]:
    """A server with a quote and 10,000 USDT; a contract is 0.1 BTC, a lot a hundredth of one."""
    one = instrument(
        kind="linear",
        base_decimals=8,
        base_per_lot=10**5,
        quote_decimals=9,
        quote_per_tick_base=1,
        min_notional=5 * 10**9,
        leverage_ppm=5_000_000,
    )
    rules = ExchangeRules(funding={BTC: (RATE_PPM, 10**18)})
    desk = Desk({BTC: one}, {"USDT": 10_000 * 10**9}, rules)
    running = await start(OkxServer(desk, KEYS, FaultPlan(), time.time_ns))
    running.server.market(BTC, quote_row(time.time_ns(), BID, ASK, 5_000, 5_000))
    try:
        yield running, desk
    finally:
        await running.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


@asynccontextmanager
async def ccxt_client(running: Running) -> AsyncIterator[Any]:
    import ccxt.async_support as ccxt

    keys = {"apiKey": KEYS.key, "secret": KEYS.secret, "password": KEYS.passphrase}
    client = ccxt.okx(keys | {"options": {"defaultType": "swap"}})
    client.urls["api"]["rest"] = running.line["rest"]
    try:
        yield client
    finally:
        await client.close()


def test_ccxt_trades_a_swap_with_only_its_address_changed() -> None:
    import ccxt.async_support as ccxt

    async def test() -> None:
        async with serving() as (running, desk), ccxt_client(running) as client:
            market = (await client.load_markets())[UNIFIED]
            assert (market["contractSize"], market["linear"], market["settle"]) == (0.1, True, "USDT")
            assert market["precision"] == {"amount": 0.01, "price": 0.1}
            assert (await client.set_leverage(5, UNIFIED, {"mgnMode": "cross"}))["code"] == "0"
            placed = await client.create_order(UNIFIED, "limit", "buy", 0.5, 60_000, {"postOnly": True})
            assert [order.lots for order in desk.open_orders()] == [50], "half a contract is fifty lots"
            found = await client.fetch_order(placed["id"], UNIFIED)
            assert (found["status"], found["amount"], found["info"]["tdMode"]) == ("open", 0.5, "cross")
            await client.cancel_order(placed["id"], UNIFIED)
            sold = await client.create_order(UNIFIED, "market", "sell", 1)
            assert (await client.fetch_order(sold["id"], UNIFIED))["average"] == 60_999.0
            (held,) = await client.fetch_positions([UNIFIED])
            assert (held["side"], held["contracts"], held["entryPrice"]) == ("short", 1, 60_999.0)
            (trade,) = await client.fetch_my_trades(UNIFIED)
            assert (trade["amount"], trade["fee"]["currency"]) == (1, "USDT")
            with pytest.raises(ccxt.ExchangeError, match="51169"):
                await client.create_order(UNIFIED, "limit", "sell", 1, 62_000, {"reduceOnly": True})
            closing = await client.create_order(UNIFIED, "market", "buy", 1, None, {"reduceOnly": True})
            assert (await client.fetch_order(closing["id"], UNIFIED))["reduceOnly"] is True
            assert desk.positions()[BTC][0] == 0

    run(test)


def test_ccxt_reads_the_funding_of_a_swap() -> None:
    async def test() -> None:
        async with serving() as (running, desk), ccxt_client(running) as client:
            await client.create_order(UNIFIED, "market", "buy", 1)
            desk.pay_funding(BTC, time.time_ns())
            (paid,) = await client.fetch_funding_history(UNIFIED)
            assert (paid["id"], paid["code"], paid["info"]["subType"]) == ("1", "USDT", "173")
            assert paid["amount"] == pytest.approx(desk.funding[0].units / 1e9)
            assert paid["amount"] == -desk.quote(BTC).price / 10 * 0.1 * RATE_PPM / 1e6  # type: ignore[union-attr]

    run(test)


def test_python_okx_trades_a_swap_with_only_its_address_changed() -> None:
    from okx.Account import AccountAPI
    from okx.PublicData import PublicAPI
    from okx.Trade import TradeAPI

    def trade(base: str, desk: Desk) -> None:
        keys: dict[str, Any] = {"domain": base, "flag": "0"}
        made = (KEYS.key, KEYS.secret, KEYS.passphrase)
        trading, account = TradeAPI(*made, **keys), AccountAPI(*made, **keys)
        (listed,) = PublicAPI(**keys).get_instruments("SWAP")["data"]
        assert [listed[key] for key in ("instId", "ctVal", "ctValCcy", "lotSz", "settleCcy", "ctType")] == [
            NATIVE, "0.1", "BTC", "0.01", "USDT", "linear"
        ]  # fmt: skip
        assert PublicAPI(**keys).get_instruments("SPOT")["data"] == []
        (setup,) = account.get_account_config()["data"]
        assert (setup["acctLv"], setup["posMode"]) == ("2", "net_mode")
        assert account.set_leverage(lever="5", mgnMode="cross", instId=NATIVE)["code"] == "0"
        sent = {"instId": NATIVE, "tdMode": "cross", "side": "buy", "posSide": "net", "sz": "0.3"}
        placed = trading.place_order(**sent, ordType="post_only", px="60000", clOrdId="a1")
        assert placed["data"][0]["sCode"] == "0"
        found = trading.get_order(NATIVE, clOrdId="a1")["data"][0]
        assert (found["state"], found["sz"], found["instType"]) == ("live", "0.3", "SWAP")
        assert trading.amend_order(NATIVE, clOrdId="a1", newSz="0.25")["code"] == "0"
        assert [one["sz"] for one in trading.get_order_list("SWAP")["data"]] == ["0.25"]
        assert trading.get_order_list("SPOT")["data"] == []
        assert trading.cancel_order(NATIVE, clOrdId="a1")["data"][0]["sCode"] == "0"
        assert trading.place_order(**sent, ordType="market")["data"][0]["sCode"] == "0"
        (fill,) = trading.get_fills("SWAP")["data"]
        assert (fill["fillSz"], fill["fillPx"], fill["feeCcy"]) == ("0.3", "61001.0", "USDT")
        (held,) = account.get_positions("SWAP")["data"]
        assert (held["pos"], held["posSide"], held["avgPx"]) == ("0.3", "net", "61001.0")
        (fees,) = account.get_fee_rates("SWAP", instFamily="BTC-USDT")["data"]
        assert (fees["makerU"], fees["takerU"]) == ("-0.0001", "-0.0005")
        desk.pay_funding(BTC, time.time_ns())
        (bill,) = account.get_account_bills(type="8")["data"]
        (again,) = account.get_account_bills_archive(type="8")["data"]
        assert bill == again
        assert (bill["instId"], bill["sz"], bill["balChg"][:1]) == (NATIVE, "0.3", "-")

    async def test() -> None:
        async with serving() as (running, desk):
            await asyncio.to_thread(trade, running.line["rest"], desk)

    run(test)


def order(**changes: Any) -> dict[str, Any]:
    given = {
        "instId": NATIVE,
        "tdMode": "cross",
        "side": "buy",
        "ordType": "limit",
        "px": "60000",
        "sz": "0.1",
    }
    return {**given, **changes}


@asynccontextmanager
async def raw() -> AsyncIterator[tuple[Client, Desk]]:
    import aiohttp

    async with serving() as (running, desk), aiohttp.ClientSession() as session:
        yield Client(session, running), desk


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tdMode": "cash"}, "51000"),
        ({"tdMode": "isolated"}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"sz": "0.015"}, "51121"),
        ({"sz": "0"}, "51020"),
        ({"instId": "BTC-USDT"}, "51001"),
        ({"reduceOnly": True}, "51169"),
        ({"sz": "100"}, "51008"),
    ],
)
def test_an_order_of_a_swap_that_cannot_be_taken_is_refused_in_its_item(
    changes: dict[str, Any], code: str
) -> None:
    async def test() -> None:
        async with raw() as (client, desk):
            answer = await client.post("trade/order", order(**changes))
            assert answer["data"][0]["sCode"] == code
            assert not desk.open_orders()

    run(test)


def test_funding_is_pushed_as_a_change_of_balance_that_does_not_say_how_much() -> None:
    async def test() -> None:
        async with raw() as (client, desk), socket(client, "private") as ws:
            await ws.send_json(login())
            assert (await ws.receive_json())["event"] == "login"
            await ws.send_json(subscribing({"channel": "balance_and_position"}))
            assert (await ws.receive_json())["event"] == "subscribe"
            await client.post("trade/order", order(ordType="market"))
            desk.pay_funding(BTC, time.time_ns())
            told = json.loads(await ws.receive_str())
            (row,) = told["data"]
            assert (told["arg"]["channel"], row["eventType"]) == ("balance_and_position", "funding_fee")
            assert [one["pos"] for one in row["posData"]] == ["0.1"]
            cash = sum(desk.totals()["USDT"])
            assert row["balData"][0]["cashBal"] == str(cash / 1e9)

    run(test)


def test_the_contract_of_an_instrument_that_says_it_is_the_one_listed() -> None:
    async def test() -> None:
        async with serving() as (_, desk):
            own = attrs.evolve(desk.instruments[BTC], base_per_contract=10**6)  # type: ignore[misc]
            server = OkxServer(Desk({BTC: own}, {}, ExchangeRules()), KEYS, FaultPlan(), time.time_ns)
            assert server.scales.quantity_text(BTC, 5) == "0.5"

    run(test)
