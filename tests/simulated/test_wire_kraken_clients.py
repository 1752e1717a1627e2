"""Clients that others wrote trade on the simulated Kraken, with nothing but their addresses changed."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from typing import Any

import ccxt.async_support as ccxt_rest
import ccxt.pro as ccxt_streams
import pytest
from ccxt.base.errors import DDoSProtection, InsufficientFunds, InvalidNonce, InvalidOrder
from kraken.exceptions import KrakenInsufficientFundsError, KrakenUnknownOrderError
from kraken.spot import Market, SpotClient, SpotOrderBookClient, SpotWSClient, Trade, User
from kraken_world import KEYS, client_id, order, run, world
from toys import SECOND, T0, Watch, plan

from domain.inputs import FillReport
from grinder.simulated.protocols.kraken_counters import STARTER
from grinder.simulated.server import Running

PAIR = "BTC/USDT"


async def until(holds: Any, seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


# --- ccxt ----------------------------------------------------------------------------------------------


def with_addresses(client: Any, running: Running) -> Any:
    """The client, with only its addresses changed: Kraken spot has no sandbox."""
    line = running.line
    client.urls["api"]["public"] = client.urls["api"]["private"] = line["rest"]
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"] |= {
            "public": line["ws"],
            "private": line["ws_private"],
            "publicV2": line["ws"],
            "privateV2": line["ws_private"],
        }
    return client


def ccxt_client(running: Running, module: Any = ccxt_rest) -> Any:
    settings = {"apiKey": KEYS.key, "secret": KEYS.secret, "enableRateLimit": False}
    return with_addresses(module.kraken(settings), running)


def test_ccxt_trades() -> None:
    async def work() -> None:
        async with world() as here:
            client = ccxt_client(here.running)
            try:
                market = (await client.load_markets())[PAIR]
                assert (market["id"], market["precision"]["price"]) == ("XBTUSDT", 0.1)
                assert market["limits"]["amount"]["min"] == 0.001
                params = {"postOnly": True, "clientOrderId": client_id(1)}
                made = await client.create_order(PAIR, "limit", "buy", 0.01, 60_000, params)
                assert (made["status"], made["id"][0]) == (None, "O")
                [seen] = await client.fetch_open_orders(PAIR)
                assert (seen["id"], seen["clientOrderId"]) == (made["id"], client_id(1))
                assert (seen["price"], seen["amount"], seen["side"]) == (60_000.0, 0.01, "buy")
                assert (await client.fetch_order(made["id"]))["status"] == "open"
                await client.cancel_order(made["id"])
                assert (await client.fetch_order(made["id"]))["status"] == "canceled"
                assert [one["id"] for one in await client.fetch_closed_orders(PAIR)] == [made["id"]]
                await client.create_order(PAIR, "market", "buy", 0.01)
                [fill] = await client.fetch_my_trades(PAIR)
                assert (fill["price"], fill["amount"], fill["takerOrMaker"]) == (61_001.0, 0.01, "taker")
                assert fill["fee"] == {"cost": pytest.approx(0.305005), "currency": "USDT"}
                balance = await client.fetch_balance()
                assert balance["BTC"]["total"] == 1.01
            finally:
                await client.close()

    run(work)


def test_ccxt_meets_the_errors_it_types() -> None:
    async def work() -> None:
        watch = Watch(T0)
        async with world(clock=watch, tier=STARTER) as here:
            client = ccxt_client(here.running)
            try:
                with pytest.raises(InsufficientFunds):
                    await client.create_order(PAIR, "limit", "buy", 9, 60_000)
                with pytest.raises(InvalidOrder, match="Unknown order"):
                    await client.cancel_order("O00000-00000-000099")
                with pytest.raises(ccxt_rest.ExchangeError, match="Post only order"):
                    await client.create_order(PAIR, "limit", "buy", 0.01, 62_000, {"postOnly": True})
                batch = [
                    {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.001, "price": 50_000 + n}
                    for n in range(15)
                ]
                assert len(await client.create_orders(batch)) == 15
                await client.cancel_orders([one["id"] for one in await client.fetch_open_orders(PAIR)])
                with pytest.raises(DDoSProtection):
                    await client.create_order(PAIR, "limit", "buy", 0.01, 60_000)
                watch.now_ns += 120 * SECOND
                await client.create_order(PAIR, "limit", "buy", 0.01, 60_000)
                await client.cancel_all_orders()
                assert here.desk.open_orders() == []
                answer = await client.cancel_all_orders_after(60_000)
                assert answer["result"]["triggerTime"] > answer["result"]["currentTime"]
                here.server._last_nonce = 10**18
                with pytest.raises(InvalidNonce):
                    await client.fetch_balance()
            finally:
                await client.close()

    run(work)


def test_ccxts_streams_bring_the_book_orders_and_fills() -> None:
    async def work() -> None:
        async with world() as here:
            client = ccxt_client(here.running, ccxt_streams)
            try:
                await client.load_markets()
                book = await client.watch_order_book(PAIR, 10)
                assert (book["bids"][0][0], book["asks"][0][0]) == (60_999.0, 61_001.0)
                watching = asyncio.ensure_future(client.watch_orders(PAIR))
                await until(lambda: any("executions" in one.topics for one in here.server.sockets))
                here.desk.place(order(1, "buy", 609_000, 30), time.time_ns())
                [seen] = await watching
                # ccxt shows Kraken's userref of 0 as the client's id, if there is one.
                assert (seen["info"]["cl_ord_id"], seen["status"]) == (client_id(1), "open")
                for step in range(1, 6):
                    here.quoted(609_980 - step, 610_000 - step)
                    book = await client.watch_order_book(PAIR, 10)
                assert book["bids"][0][0] == 60_997.5
                filling = asyncio.ensure_future(client.watch_my_trades(PAIR))
                await asyncio.sleep(0.05)
                here.traded(609_000, 40)
                fills = await filling
                assert [(one["amount"], one["price"], one["side"]) for one in fills] == [
                    (0.03, 60_900.0, "buy")
                ]
            finally:
                await client.close()

    run(work)


# --- python-kraken-sdk ---------------------------------------------------------------------------------


def test_the_sdk_trades_over_rest() -> None:
    async def work() -> None:
        async with world() as here:
            url = here.running.line["rest"]
            trade, user = Trade(KEYS.key, KEYS.secret, url), User(KEYS.key, KEYS.secret, url)

            def trades() -> None:
                pairs = Market(url=url).get_asset_pairs(pair="XBTUSDT")
                assert pairs["XBTUSDT"]["tick_size"] == "0.1"
                made = trade.create_order(
                    ordertype="limit",
                    side="buy",
                    pair="XBTUSDT",
                    volume="0.01",
                    price="60000.0",
                    oflags="post",
                    cl_ord_id=client_id(1),
                )
                [txid] = made["txid"]
                assert made["descr"]["order"] == "buy 0.010 XBTUSDT @ limit 60000.0"
                assert user.get_open_orders(cl_ord_id=client_id(1))["open"][txid]["vol"] == "0.010"
                assert trade.amend_order(cl_ord_id=client_id(1), limit_price="59000.0", order_qty="0.02")
                assert user.get_orders_info(txid=txid)[txid]["descr"]["price"] == "59000.0"
                assert trade.cancel_order(cl_ord_id=client_id(1)) == {"count": 1}
                assert user.get_closed_orders()["closed"][txid]["status"] == "canceled"
                with pytest.raises(KrakenUnknownOrderError):
                    trade.cancel_order(txid=txid)
                with pytest.raises(KrakenInsufficientFundsError):
                    trade.create_order(
                        ordertype="limit", side="buy", pair="XBTUSDT", volume="9", price="60000.0"
                    )
                orders = [
                    {"ordertype": "limit", "type": "buy", "volume": "0.01", "price": f"5000{n}.0"}
                    for n in range(3)
                ]
                batch = trade.create_order_batch(orders=orders, pair="XBTUSDT")
                ids = [one["txid"] for one in batch["orders"]]
                assert trade.cancel_order_batch(orders=ids) == {"count": 3}
                trade.create_order(ordertype="market", side="buy", pair="XBTUSDT", volume="0.01")
                [fill] = user.get_trades_history()["trades"].values()
                assert (fill["price"], fill["maker"]) == ("61001.0", False)
                assert user.get_account_balance()["XXBT"] == "1.01"
                assert user.get_balances()["USDT"]["hold_trade"] == "0"
                assert trade.cancel_all_orders_after_x(timeout=60)["triggerTime"] != "0"

            await asyncio.to_thread(trades)

    run(work)


def test_the_sdks_stream_places_an_order_and_sees_it_filled() -> None:
    async def work() -> None:
        async with world() as here:
            line = here.running.line
            heard: list[dict[str, Any]] = []

            class Client(SpotWSClient):
                async def on_message(self, message: dict[str, Any]) -> None:  # type: ignore[override]
                    heard.append(message)

            client = Client(
                key=KEYS.key,
                secret=KEYS.secret,
                rest_url=line["rest"],
                ws_url=line["ws"].removesuffix("/v2"),
                auth_ws_url=line["ws_private"].removesuffix("/v2"),
            )
            await client.start()
            try:
                await client.subscribe(params={"channel": "executions", "snap_orders": True})
                await client.subscribe(params={"channel": "ticker", "symbol": [PAIR]})
                await until(lambda: any(one.get("channel") == "ticker" for one in heard))
                params = {
                    "order_type": "limit",
                    "side": "buy",
                    "symbol": PAIR,
                    "limit_price": 60_900.0,
                    "order_qty": 0.03,
                    "post_only": True,
                    "cl_ord_id": client_id(5),
                }
                await client.send_message({"method": "add_order", "params": params})
                await until(lambda: len(here.desk.open_orders()) == 1)
                here.traded(609_000, 40)

                def told() -> list[str]:
                    data = [one["data"] for one in heard if one.get("channel") == "executions"]
                    return [entry["exec_type"] for entries in data for entry in entries]

                await until(lambda: "filled" in told())
                assert told() == ["pending_new", "new", "trade", "filled"]
                [fill] = await here.connector.fills("BTCUSDT", 0)
                assert isinstance(fill, FillReport)
                assert fill.client_order_id == client_id(5)
            finally:
                await client.close()

    run(work, 30)


def test_the_sdks_own_book_agrees_with_our_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, Any]] = []
    books: list[dict[str, Any]] = []
    over = threading.Event()

    async def follow() -> None:
        """In a thread of its own: the client asks for the pair's decimals with a blocking request."""

        async def hear(pair: str, message: dict[str, Any]) -> None:
            books.append(copy.deepcopy(client.get(pair)))
            heard.append(message)

        client = SpotOrderBookClient(depth=10, callback=hear)
        await client.start()
        try:
            await client.add_book(pairs=[PAIR])
            while not over.is_set():
                await asyncio.sleep(0.02)
        finally:
            await client.close()

    async def work() -> None:
        faults = plan({"kind": "bad_checksum", "operations": ("market",), "times": (6,)})
        async with world(faults) as here:
            line = here.running.line
            monkeypatch.setattr(SpotClient, "URL", line["rest"])
            monkeypatch.setattr(SpotWSClient, "WS_URL", line["ws"].removesuffix("/v2"))
            following = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(follow())))
            try:
                await until(lambda: len(heard) == 1)
                for step in range(1, 6):
                    here.quoted(609_990 - 3 * step, 610_010 - 3 * step, 100 * step)
                await until(lambda: len(heard) == 6)
                assert all(book["valid"] for book in books)
                assert next(iter(books[-1]["bid"])) == "60997.5"
                here.quoted(609_000, 609_020)  # with a wrong checksum
                await until(lambda: any("Checksum mismatch" in str(one) for one in heard))
            finally:
                over.set()
                await following

    run(work, 30)
