"""The WebSockets of the simulated OKX: logins, subscriptions, orders, and the chain of a book."""

from __future__ import annotations

import json
import time

import aiohttp
import attrs
import pytest
from okx_rig import ASK, KEYS, login, order, raw, run, socket, subscribing
from toys import BTC

from grinder.simulated.protocols.okx_streams import CONNECTIONS_PER_S, OPERATIONS_PER_H
from replay.exchange.rolling import quote_row, trade_row

ORDERS = {"channel": "orders", "instType": "SPOT"}


def test_orders_are_pushed_only_after_a_login() -> None:
    async def test() -> None:
        async with raw() as (client, server), socket(client, "private") as ws:
            await ws.send_json(subscribing(ORDERS))
            assert (await ws.receive_json())["code"] == "60011"
            await ws.send_json(login())
            assert (await ws.receive_json())["event"] == "login"
            await ws.send_json(subscribing(ORDERS))
            assert (await ws.receive_json())["event"] == "subscribe"
            await client.post("trade/order", order(clOrdId="x1", ordType="post_only"))
            live = (await ws.receive_json())["data"][0]
            assert (live["clOrdId"], live["state"], live["accFillSz"]) == ("x1", "live", "0")
            server.market(BTC, quote_row(time.time_ns(), 599_990, 600_000, 50, 50))
            filled = (await ws.receive_json())["data"][0]
            assert (filled["state"], filled["fillPx"], filled["fillSz"]) == ("filled", "60000.0", "0.01")
            assert (filled["execType"], filled["fillFee"], filled["fillFeeCcy"]) == ("M", "-0.06", "USDT")
            assert filled["tradeId"]

    run(test)


@pytest.mark.parametrize(
    ("wrong", "at", "code"),
    [
        ({"key": "other"}, "", "60005"),
        ({"secret": "other"}, "", "60007"),
        ({"passphrase": "other"}, "", "60024"),
        ({}, "1600000000", "60006"),
        ({}, "soon", "60004"),
    ],
)
def test_a_wrong_login_is_refused_and_the_socket_closed(wrong: dict[str, str], at: str, code: str) -> None:
    async def test() -> None:
        async with raw() as (client, _), socket(client, "private") as ws:
            await ws.send_json(login(attrs.evolve(KEYS, **wrong), at))
            assert (await ws.receive_json())["code"] == code
            assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    run(test)


def test_a_post_only_order_that_would_take_is_acknowledged_then_cancelled_with_source_31() -> None:
    async def test() -> None:
        async with raw() as (client, server), socket(client, "private") as ws:
            await ws.send_json(login())
            await ws.send_json(subscribing(ORDERS))
            await ws.receive_json()
            await ws.receive_json()
            answer = await client.post("trade/order", order(ordType="post_only", px="61001", clOrdId="x1"))
            assert answer["data"][0]["sCode"] == "0"
            pushed = (await ws.receive_json())["data"][0]
            assert (pushed["state"], pushed["cancelSource"], pushed["accFillSz"]) == ("canceled", "31", "0")
            assert (await client.get("trade/order?instId=BTC-USDT&clOrdId=x1"))[1]["data"][0][
                "state"
            ] == "canceled"
            assert not server.desk.executions

    run(test)


def test_orders_can_be_sent_by_a_socket() -> None:
    async def test() -> None:
        async with raw() as (client, server), socket(client, "private") as ws:
            await ws.send_json({"id": "1", "op": "order", "args": [order()]})
            assert (await ws.receive_json())["code"] == "60011"
            await ws.send_json(login())
            await ws.receive_json()
            await ws.send_json(
                {"id": "2", "op": "batch-orders", "args": [order(clOrdId="x1"), order(sz="100")]}
            )
            answer = await ws.receive_json()
            assert (answer["id"], answer["code"]) == ("2", "2")
            assert [one["sCode"] for one in answer["data"]] == ["0", "51008"]
            for operation, changes in (("amend-order", {"newPx": "60001"}), ("cancel-order", {})):
                asked = {"instId": "BTC-USDT", "clOrdId": "x1", **changes}
                await ws.send_json({"id": "3", "op": operation, "args": [asked]})
                assert (await ws.receive_json())["code"] == "0"
            assert not server.desk.open_orders()

    run(test)


def test_three_connections_a_second_are_the_most() -> None:
    async def test() -> None:
        async with raw() as (client, _):
            url = client.base.replace("http", "ws") + "/ws/v5/public"
            made = [await client.session.ws_connect(url) for _ in range(CONNECTIONS_PER_S)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.session.ws_connect(url)
            assert refused.value.status == 429
            for one in made:
                await one.close()

    run(test)


def test_480_subscriptions_an_hour_are_the_most_of_a_connection() -> None:
    async def test() -> None:
        async with raw() as (client, _), socket(client, "public") as ws:
            asked = subscribing({"channel": "trades", "instId": "BTC-USDT"})
            for _ in range(OPERATIONS_PER_H):
                await ws.send_json(asked)
                assert (await ws.receive_json())["event"] == "subscribe"
            await ws.send_json(asked)
            assert (await ws.receive_json())["code"] == "60014"
            assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    run(test)


def test_channels_are_subscribed_to_and_left() -> None:
    async def test() -> None:
        async with raw() as (client, server), socket(client, "public") as ws:
            await ws.send_str("ping")
            assert await ws.receive_str() == "pong"
            await ws.send_json(subscribing({"channel": "nothing", "instId": "BTC-USDT"}))
            assert (await ws.receive_json())["code"] == "60018"
            await ws.send_json(subscribing({"channel": "trades", "instId": "BTC-USDT"}))
            assert (await ws.receive_json())["event"] == "subscribe"
            server.market(BTC, trade_row(time.time_ns(), 610_000, 3, -1, server.desk.quote(BTC)))
            told = (await ws.receive_json())["data"][0]
            assert (told["px"], told["sz"], told["side"]) == ("61000.0", "0.003", "sell")
            await ws.send_json({"op": "unsubscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
            assert (await ws.receive_json())["event"] == "unsubscribe"
            for text in ("{", '{"op": "subscribe"}', '{"op": "subscribe", "args": ["x"]}', "[]"):
                await ws.send_str(text)
                assert "error" in json.dumps(await ws.receive_json())

    run(test)


def test_the_book_is_a_chain_with_checksums() -> None:
    async def test() -> None:
        async with raw() as (client, server), socket(client, "public") as ws:
            await ws.send_json(subscribing({"channel": "books", "instId": "BTC-USDT"}))
            await ws.receive_json()
            first = await ws.receive_json()
            assert first["action"] == "snapshot"
            assert first["data"][0]["prevSeqId"] == -1
            last = first["data"][0]["seqId"]
            for bid in (609_991, 609_992):
                server.market(BTC, quote_row(time.time_ns(), bid, ASK, 50, 50))
                change = await ws.receive_json()
                [row] = change["data"]
                assert (change["action"], row["prevSeqId"]) == ("update", last)
                last = row["seqId"]
                assert [level[1] == "0" for level in row["bids"]] == [True, False]

    run(test)
