"""ccxt and Bybit's own SDK trade on the simulated Bybit with nothing changed but the addresses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import ccxt
import ccxt.pro
import pybit.unified_trading as pybit
import pytest
from bybit_rig import ASK, BID, KEYS, Rig, bybit, until
from pybit.exceptions import InvalidRequestError
from toys import BTC

LIMIT_S = 30


def run(check: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), bybit(**options) as rig:
            await check(rig)

    asyncio.run(main())


# --- ccxt ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def ccxt_client(rig: Rig, **options: Any) -> Any:
    client = ccxt.pro.bybit({"apiKey": KEYS.key, "secret": KEYS.secret, "options": options})
    sockets = {"spot": f"{rig.ws}/public/spot", "linear": f"{rig.ws}/public/linear"}
    private = {"spot": {"unified": f"{rig.ws}/private"}, "contract": f"{rig.ws}/private"}
    private["trade"] = f"{rig.ws}/trade"
    client.urls["api"] = {
        "public": rig.rest,
        "private": rig.rest,
        "ws": {"public": sockets, "private": private},
    }
    try:
        yield client
    finally:
        await client.close()


def test_ccxt_reads_the_market_and_the_account() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            markets = await client.load_markets()
            assert markets["BTC/USDT"]["precision"] == {"amount": 0.001, "price": 0.1}
            balance = await client.fetch_balance()
            assert balance["USDT"]["total"] == 10_000
            book = await client.fetch_order_book("BTC/USDT")
            assert book["bids"][0] == [60999.0, 5.0]
            ticker = await client.fetch_ticker("BTC/USDT")
            assert ticker["bid"] == 60999.0
            assert abs(await client.fetch_time() - client.milliseconds()) < 2000

    run(check)


def test_ccxt_places_lists_amends_and_cancels() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            placed = await client.create_order(
                "BTC/USDT", "limit", "buy", 0.01, 60000, {"postOnly": True, "clientOrderId": "mine-1"}
            )
            (listed,) = await client.fetch_open_orders("BTC/USDT")
            assert (listed["id"], listed["clientOrderId"], listed["status"]) == (
                placed["id"],
                "mine-1",
                "open",
            )
            await client.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.02, 59990)
            one = await client.fetch_open_order(placed["id"], "BTC/USDT")
            assert (one["price"], one["amount"]) == (59990, 0.02)
            await client.cancel_order(placed["id"], "BTC/USDT")
            assert await client.fetch_open_orders("BTC/USDT") == []
            (ended,) = await client.fetch_canceled_orders("BTC/USDT")
            assert ended["status"] == "canceled"

    run(check)


def test_ccxt_sends_a_batch_and_takes() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            await client.load_markets()
            rows = [
                {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": 0.01, "price": 60000 - n}
                for n in range(3)
            ]
            assert len(await client.create_orders(rows)) == 3
            await client.cancel_all_orders("BTC/USDT")
            taken = await client.create_order(
                "BTC/USDT", "limit", "sell", 0.01, 60000, {"timeInForce": "IOC"}
            )
            (trade,) = await client.fetch_my_trades("BTC/USDT")
            assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (taken["id"], 60999.0, "taker")
            assert trade["fee"]["currency"] == "USDT"

    run(check)


def test_ccxt_knows_every_refusal() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            with pytest.raises(ccxt.InsufficientFunds):
                await client.create_order("BTC/USDT", "limit", "buy", 5, 60000)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order("1000000000000000099", "BTC/USDT")
            client.secret = "wrong"
            with pytest.raises(ccxt.AuthenticationError):
                await client.fetch_open_orders("BTC/USDT")

    run(check)


def test_ccxt_watches_orders_and_the_book() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            await client.load_markets()
            book = await client.watch_order_book("BTC/USDT", 50)
            assert book["bids"][0][0] == 60999.0
            rig.quote(BID + 5, ASK + 5)
            book = await client.watch_order_book("BTC/USDT", 50)
            assert book["bids"][0][0] == 60999.5
            watching = asyncio.create_task(client.watch_orders("BTC/USDT"))
            await until(lambda: any("order" in socket.topics for socket in rig.server.sockets))
            await client.create_order("BTC/USDT", "limit", "buy", 0.01, 60000)
            (pushed,) = await watching
            assert pushed["status"] == "open"
            trading = asyncio.create_task(client.watch_my_trades("BTC/USDT"))
            await until(lambda: any("execution" in socket.topics for socket in rig.server.sockets))
            rig.quote(590_000, 590_010)
            (trade,) = await trading
            assert (trade["price"], trade["amount"]) == (60000.0, 0.01)

    run(check)


def test_ccxt_trades_over_a_websocket() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig) as client:
            await client.load_markets()
            placed = await client.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 60000)
            assert len(rig.desk.open_orders()) == 1
            await client.cancel_order_ws(placed["id"], "BTC/USDT")
            assert rig.desk.open_orders() == []
            with pytest.raises(ccxt.InsufficientFunds):
                await client.create_order_ws("BTC/USDT", "limit", "buy", 5, 60000)

    run(check)


def test_ccxt_holds_a_linear_position() -> None:
    async def check(rig: Rig) -> None:
        async with ccxt_client(rig, defaultType="swap") as client:
            await client.create_order("BTC/USDT:USDT", "market", "sell", 0.01)
            (position,) = await client.fetch_positions(["BTC/USDT:USDT"])
            assert (position["side"], position["contracts"]) == ("short", 0.01)
            with pytest.raises(ccxt.InvalidOrder):
                await client.create_order("BTC/USDT:USDT", "limit", "sell", 0.01, 62000, {"reduceOnly": True})

    run(check, kind="linear")


# --- pybit ---------------------------------------------------------------------------------------------


async def in_thread(work: Callable[..., None], *args: Any) -> None:
    """Run a blocking client; one that never comes back fails the test instead of holding it up."""
    ended: Future[None] = Future()

    def run_it() -> None:
        try:
            ended.set_result(work(*args))
        except BaseException as error:  # noqa: BLE001 -- handed on to whoever waits
            ended.set_exception(error)

    threading.Thread(target=run_it, daemon=True).start()
    await asyncio.wrap_future(ended)


def pybit_client(rig: Rig) -> Any:
    client = pybit.HTTP(api_key=KEYS.key, api_secret=KEYS.secret, max_retries=1)
    client.endpoint = rig.rest
    return client


def test_pybit_trades_over_http() -> None:
    def trade(rig: Rig) -> None:
        client = pybit_client(rig)
        assert client.get_server_time()["retCode"] == 0
        rules = client.get_instruments_info(category="spot", symbol=BTC)["result"]["list"]
        assert rules[0]["priceFilter"]["tickSize"] == "0.1"
        made = client.place_order(
            category="spot",
            symbol=BTC,
            side="Buy",
            orderType="Limit",
            qty="0.01",
            price="60000",
            timeInForce="PostOnly",
            orderLinkId="pybit-1",
        )
        identity = made["result"]["orderId"]
        (row,) = client.get_open_orders(category="spot", symbol=BTC)["result"]["list"]
        assert (row["orderId"], row["orderLinkId"]) == (identity, "pybit-1")
        client.amend_order(category="spot", symbol=BTC, orderId=identity, price="59000")
        with pytest.raises(InvalidRequestError) as duplicate:
            client.place_order(**{**row_of(row), "orderLinkId": "pybit-1"})
        assert duplicate.value.status_code == 170141
        batch = client.place_batch_order(
            category="spot",
            request=[row_of(row) | {"orderLinkId": "pybit-2"}, row_of(row) | {"qty": "99"}],
        )
        assert [one["code"] for one in batch["retExtInfo"]["list"]] == [0, 170131]
        client.cancel_order(category="spot", symbol=BTC, orderId=identity)
        client.cancel_all_orders(category="spot")
        assert client.get_open_orders(category="spot")["result"]["list"] == []
        assert len(client.get_order_history(category="spot")["result"]["list"]) == 2
        client.place_order(category="spot", symbol=BTC, side="Buy", orderType="Market", qty="610.01")
        (execution,) = client.get_executions(category="spot")["result"]["list"]
        assert (execution["execQty"], execution["execPrice"]) == ("0.01", "61001.0")
        (account,) = client.get_wallet_balance(accountType="UNIFIED", coin="BTC")["result"]["list"]
        assert account["coin"][0]["walletBalance"] == "1.01"
        assert client.get_api_key_information()["result"]["readOnly"] == 0
        assert client.set_dcp(timeWindow=40, product="SPOT")["retCode"] == 0
        assert (
            client.get_fee_rates(category="spot", symbol=BTC)["result"]["list"][0]["makerFeeRate"] == "0.0001"
        )

    async def check(rig: Rig) -> None:
        await in_thread(trade, rig)

    run(check)


def row_of(row: dict[str, Any]) -> dict[str, Any]:
    names = ("category", "symbol", "side", "orderType", "qty", "price", "timeInForce")
    return {name: row[name] for name in names}


@contextlib.contextmanager
def pybit_socket(rig: Rig, kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(pybit, "PRIVATE_WSS", f"{rig.ws}/private")
    monkeypatch.setattr(pybit, "PUBLIC_WSS", f"{rig.ws}/public/{{CHANNEL_TYPE}}")
    keys: dict[str, Any] = {"api_key": KEYS.key, "api_secret": KEYS.secret} if kind == "private" else {}
    keys["private_auth_expire"] = 30  # a busy machine may need more than its second
    client = pybit.WebSocket(channel_type=kind, testnet=False, retries=2, restart_on_error=False, **keys)
    try:
        yield client
    finally:
        client.exit()


def test_pybit_hears_orders_executions_and_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, list[Any]] = {"order": [], "execution": [], "book": [], "wallet": []}

    def trade(rig: Rig, loop: asyncio.AbstractEventLoop) -> None:
        with (
            pybit_socket(rig, "private", monkeypatch) as private,
            pybit_socket(rig, "spot", monkeypatch) as public,
        ):
            private.order_stream(said["order"].append)
            private.execution_stream(said["execution"].append)
            private.wallet_stream(said["wallet"].append)
            public.orderbook_stream(50, BTC, said["book"].append)
            wait(lambda: bool(said["book"]))
            client = pybit_client(rig)
            client.place_order(
                category="spot", symbol=BTC, side="Buy", orderType="Limit", qty="0.01", price="60000"
            )
            wait(lambda: bool(said["order"]))
            loop.call_soon_threadsafe(rig.quote, 599_000, 599_010)
            wait(lambda: bool(said["execution"]) and len(said["book"]) > 1)

    def wait(true: Callable[[], bool]) -> None:
        asyncio.run(until(true))

    async def check(rig: Rig) -> None:
        await in_thread(trade, rig, asyncio.get_running_loop())

    run(check)
    assert said["order"][0]["data"][0]["orderStatus"] == "New"
    assert said["execution"][0]["data"][0]["execPrice"] == "60000.0"
    assert said["book"][-1]["data"]["b"] == [["59900.0", "5"]]
    assert said["wallet"]


def test_pybit_trades_over_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    def trade(rig: Rig) -> None:
        monkeypatch.setattr("pybit._websocket_trading.TRADE_WSS", f"{rig.ws}/trade")
        keys: dict[str, Any] = {"api_key": KEYS.key, "api_secret": KEYS.secret, "private_auth_expire": 30}
        client = pybit.WebSocketTrading(testnet=False, restart_on_error=False, **keys)
        order = {"category": "spot", "symbol": BTC, "side": "Buy", "orderType": "Limit", "price": "60000"}
        try:
            # Its callbacks are registered after sending: an answer may come before them, so the desk tells.
            client.place_order(print, qty="0.01", orderLinkId="ws-1", **order)
            asyncio.run(until(lambda: len(rig.desk.open_orders()) == 1))
            client.cancel_order(print, category="spot", symbol=BTC, orderLinkId="ws-1")
            asyncio.run(until(lambda: rig.desk.open_orders() == []))
        finally:
            client.exit()

    async def check(rig: Rig) -> None:
        await in_thread(trade, rig)

    run(check)
