"""The simulated OKX, as real clients see it: ccxt and python-okx with nothing but their addresses changed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from okx_rig import KEYS, headers, order, raw, run, serving

from grinder.secrets import Credentials

# --- real clients --------------------------------------------------------------------------------------


def test_ccxt_trades_on_it_with_only_its_address_changed() -> None:
    import ccxt.async_support as ccxt

    async def test() -> None:
        async with serving() as running:
            client = ccxt.okx({"apiKey": KEYS.key, "secret": KEYS.secret, "password": KEYS.passphrase})
            client.urls["api"]["rest"] = running.line["rest"]
            try:
                markets = await client.load_markets()
                assert markets["BTC/USDT"]["precision"] == {"amount": 0.001, "price": 0.1}
                assert (await client.fetch_balance())["USDT"]["total"] == 10_000
                assert (await client.fetch_ticker("BTC/USDT"))["bid"] == 60_999.0
                placed = await client.create_order(
                    "BTC/USDT", "limit", "buy", 0.01, 60_000, {"postOnly": True}
                )
                found = await client.fetch_order(placed["id"], "BTC/USDT")
                assert (found["status"], found["price"], found["amount"]) == ("open", 60_000, 0.01)
                assert [one["id"] for one in await client.fetch_open_orders("BTC/USDT")] == [placed["id"]]
                edited = await client.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.02, 59_000)
                assert (await client.fetch_order(edited["id"], "BTC/USDT"))["price"] == 59_000
                await client.cancel_order(placed["id"], "BTC/USDT")
                assert (await client.fetch_order(placed["id"], "BTC/USDT"))["status"] == "canceled"
                sold = await client.create_order("BTC/USDT", "market", "sell", 0.1)
                assert (await client.fetch_order(sold["id"], "BTC/USDT"))["average"] == 60_999.0
                bought = await client.create_market_buy_order_with_cost("BTC/USDT", 610.1)
                assert (await client.fetch_order(bought["id"], "BTC/USDT"))["filled"] == 0.01
                trades = await client.fetch_my_trades("BTC/USDT")
                assert [one["amount"] for one in trades] == [0.1, 0.01]
                assert trades[0]["fee"]["cost"] == 3.04995
                with pytest.raises(ccxt.InsufficientFunds):
                    await client.create_order("BTC/USDT", "limit", "buy", 100, 60_000)
                with pytest.raises(ccxt.OrderNotFound):
                    await client.cancel_order("999", "BTC/USDT")
                batch = [
                    {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": 0.01, "price": price}
                    for price in (50_000, 51_000)
                ]
                assert len(await client.create_orders(batch)) == 2
                await client.cancel_orders(
                    [one["id"] for one in await client.fetch_open_orders()], "BTC/USDT"
                )
                assert await client.fetch_open_orders() == []
                await client.cancel_all_orders_after(60_000)
            finally:
                await client.close()

    run(test)


def test_ccxt_hears_its_orders_and_the_market_with_only_its_addresses_changed() -> None:
    import ccxt.pro as ccxt

    async def test() -> None:
        async with serving() as running:
            client = ccxt.okx({"apiKey": KEYS.key, "secret": KEYS.secret, "password": KEYS.passphrase})
            client.urls["api"]["rest"] = running.line["rest"]
            client.urls["api"]["ws"] = running.line["ws"].removesuffix("/public")
            try:
                await client.load_markets()
                quotes = await client.watch_bids_asks(["BTC/USDT"])
                assert quotes["BTC/USDT"]["bid"] == 60_999.0
                book = await client.watch_order_book("BTC/USDT")
                assert book["asks"][0][0] == 61_001.0
                heard = asyncio.create_task(client.watch_orders("BTC/USDT"))
                while not any(
                    "orders:SPOT" in one.topics or "orders:ANY" in one.topics
                    for one in running.server.sockets
                ):
                    await asyncio.sleep(0.01)
                placed = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000)
                [told] = await heard
                assert (told["id"], told["status"]) == (placed["id"], "open")
            finally:
                await client.close()

    run(test)


def test_python_okx_trades_on_it_with_only_its_address_changed() -> None:
    from okx.Account import AccountAPI
    from okx.PublicData import PublicAPI
    from okx.Trade import TradeAPI

    def trade(base: str) -> None:
        keys: dict[str, Any] = {"domain": base, "flag": "0"}
        made = (KEYS.key, KEYS.secret, KEYS.passphrase)
        trading, account = TradeAPI(*made, **keys), AccountAPI(*made, **keys)
        listed = PublicAPI(**keys).get_instruments("SPOT")["data"]
        assert [(one["instId"], one["tickSz"], one["lotSz"]) for one in listed] == [
            ("BTC-USDT", "0.1", "0.001")
        ]
        sent = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "sz": "0.01"}
        placed = trading.place_order(**sent, ordType="post_only", px="60000", clOrdId="a1")
        assert placed["code"] == "0"
        assert placed["data"][0]["sCode"] == "0"
        found = trading.get_order("BTC-USDT", clOrdId="a1")["data"][0]
        assert (found["state"], found["px"], found["sz"]) == ("live", "60000.0", "0.01")
        assert (
            trading.place_order(**sent, ordType="limit", px="60000", clOrdId="a1")["data"][0]["sCode"]
            == "51016"
        )
        assert trading.amend_order("BTC-USDT", clOrdId="a1", newPx="60001")["code"] == "0"
        assert [one["px"] for one in trading.get_order_list("SPOT")["data"]] == ["60001.0"]
        assert trading.cancel_order("BTC-USDT", clOrdId="a1")["data"][0]["sCode"] == "0"
        bought = trading.place_order(**sent, ordType="ioc", px="62000")
        [fill] = trading.get_fills("SPOT")["data"]
        assert (fill["ordId"], fill["fillPx"], fill["execType"]) == (
            bought["data"][0]["ordId"],
            "61001.0",
            "T",
        )
        details = account.get_account_balance()["data"][0]["details"]
        assert {one["ccy"]: one["cashBal"] for one in details}["BTC"] == "1.01"
        assert account.get_account_config()["data"][0]["perm"] == "read_only,trade"
        many = [{**sent, "ordType": "limit", "px": str(px)} for px in (50_000, 51_000)]
        assert [one["sCode"] for one in trading.place_multiple_orders(many)["data"]] == ["0", "0"]
        wrong = TradeAPI(KEYS.key, "wrong", KEYS.passphrase, **keys)
        assert wrong.get_order_list("SPOT")["code"] == "50113"

    async def test() -> None:
        async with serving() as running:
            await asyncio.to_thread(trade, running.line["rest"])

    run(test)


# --- signatures and rates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "at", "code"),
    [
        (Credentials("other", KEYS.secret, KEYS.passphrase), "", "50111"),
        (Credentials(KEYS.key, "other", KEYS.passphrase), "", "50113"),
        (Credentials(KEYS.key, KEYS.secret, "other"), "", "50105"),
        (KEYS, "2020-01-01T00:00:00.000Z", "50102"),
        (KEYS, "yesterday", "50112"),
        (Credentials("", KEYS.secret, KEYS.passphrase), "", "50103"),
    ],
)
def test_a_request_that_is_not_signed_well_is_refused_with_its_code(
    keys: Credentials, at: str, code: str
) -> None:
    async def test() -> None:
        async with raw() as (client, _):
            status, answer = await client.get("account/balance", keys=keys, at=at)
            assert (status, answer["code"], answer["data"]) == (401, code, [])

    run(test)


def test_the_signature_covers_the_query() -> None:
    async def test() -> None:
        async with raw() as (client, _):
            assert (await client.get("account/balance?ccy=BTC"))[1]["code"] == "0"
            made = headers("GET", "/api/v5/account/balance?ccy=BTC")
            path = client.base + "/api/v5/account/balance?ccy=USDT"
            async with client.session.get(path, headers=made) as answer:
                assert (await answer.json())["code"] == "50113"

    run(test)


def test_too_many_requests_of_one_kind_are_refused_and_others_are_not() -> None:
    async def test() -> None:
        async with raw() as (client, _):
            codes = [(await client.get("account/config"))[1]["code"] for _ in range(7)]
            assert codes == ["0"] * 5 + ["50011"] * 2
            assert (await client.get("account/balance"))[0] == 200

    run(test)


def test_a_thousand_new_orders_in_two_seconds_are_the_most_of_an_account() -> None:
    async def test() -> None:
        async with raw() as (client, server):
            server.trading.limiter.capacity = 25
            answer = await client.post("trade/batch-orders", [order(sz="0.001")] * 20)
            assert answer["code"] == "0"
            answer = await client.post("trade/batch-orders", [order(sz="0.001")] * 20)
            assert [one["sCode"] for one in answer["data"]] == ["0"] * 5 + ["50061"] * 15
            assert answer["code"] == "2"

    run(test)


# --- orders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sz": "0.0101"}, "51121"),
        ({"sz": "0.00001"}, "51121"),
        ({"sz": "0"}, "51020"),
        ({"px": "1000", "sz": "0.001"}, "51020"),
        ({"px": "60000.05"}, "51000"),
        ({"px": "-1"}, "51000"),
        ({"px": None}, "51000"),
        ({"sz": "NaN"}, "51000"),
        ({"sz": "100"}, "51008"),
        ({"clOrdId": "with-hyphen"}, "51000"),
        ({"clOrdId": "a" * 33}, "51000"),
        ({"instId": "DOGE-USDT"}, "51001"),
        ({"ordType": "iceberg"}, "51000"),
        ({"side": "hold"}, "51000"),
        ({"tdMode": "cross"}, "51000"),
    ],
)
def test_an_order_that_cannot_be_taken_is_refused_in_its_item(changes: dict[str, Any], code: str) -> None:
    async def test() -> None:
        async with raw() as (client, server):
            answer = await client.post("trade/order", order(**changes))
            assert (answer["code"], answer["data"][0]["sCode"], answer["data"][0]["ordId"]) == ("1", code, "")
            assert not server.desk.open_orders()

    run(test)


def test_an_id_is_taken_once() -> None:
    async def test() -> None:
        async with raw() as (client, server):
            answers = [await client.post("trade/order", order(clOrdId="x1")) for _ in range(2)]
            assert [one["data"][0]["sCode"] for one in answers] == ["0", "51016"]
            assert len(server.desk.open_orders()) == 1

    run(test)


def test_more_than_twenty_orders_and_bodies_that_are_none_are_refused() -> None:
    async def test() -> None:
        async with raw() as (client, server):
            assert (await client.post("trade/batch-orders", [order()] * 21))["code"] == "51000"
            for body in ("[]", "7", "null", "{", '[["x"]]', "[" * 5000):
                answer = await client.post("trade/batch-orders", body)
                assert answer["code"] in ("50002", "51000"), body
            assert not server.desk.orders

    run(test)


@pytest.mark.parametrize("seconds", ["9", "121", "-1", "x", ""])
def test_the_dead_man_switch_is_set_to_0_or_10_to_120_seconds(seconds: str) -> None:
    async def test() -> None:
        async with raw() as (client, server):
            answer = await client.post("trade/cancel-all-after", {"timeOut": seconds})
            assert answer["code"] == "51000"
            assert not server.desk.armed
            answer = await client.post("trade/cancel-all-after", {"timeOut": "60"})
            assert int(answer["data"][0]["triggerTime"]) == pytest.approx(
                time.time() * 1000 + 60_000, abs=2000
            )
            assert server.desk.armed

    run(test)
