"""Other people's client libraries trade on the simulated Binance with nothing changed but the address."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import ccxt.pro as ccxt
import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_rig import ASK, BID, KEYS, Rig, rig, run, until
from binance_sdk_spot.spot import Spot

MARKETS = pytest.mark.parametrize("futures", [False, True], ids=["spot", "usdm"])


def moved(urls: Any, host: str) -> Any:
    """The same addresses on another host."""
    if isinstance(urls, dict):
        return {name: moved(one, host) for name, one in urls.items()}
    return host + urlsplit(urls).path if isinstance(urls, str) else urls


def ccxt_client(one: Rig, futures: bool) -> Any:
    make = ccxt.binanceusdm if futures else ccxt.binance
    client = make({"apiKey": KEYS.key, "secret": KEYS.secret})
    urls = client.urls["api"]
    client.urls["api"] = moved(urls, one.endpoint.rest) | {"ws": moved(urls["ws"], one.endpoint.ws)}
    return client


@MARKETS
def test_ccxt_trades_with_only_its_addresses_changed(futures: bool) -> None:
    symbol = "BTC/USDT:USDT" if futures else "BTC/USDT"

    async def work(one: Rig, client: Any) -> None:
        one.trade(610_000, 5)
        markets = await client.load_markets()
        assert list(markets) == [symbol]
        assert (markets[symbol]["precision"]["price"], markets[symbol]["limits"]["cost"]["min"]) == (0.1, 5)
        assert (await client.fetch_ticker(symbol))["last"] == 61_000
        assert (await client.fetch_order_book(symbol))["bids"] == [[60_999, 5]]
        assert (await client.fetch_ohlcv(symbol, "1m"))[-1][4] == 61_000
        assert (await client.fetch_ohlcv(symbol, "1h"))[-1][5] == 0.005
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        resting = await client.create_order(symbol, "limit", "buy", 0.01, 60_000, {"postOnly": True})
        assert resting["status"] == "open"
        assert [found["id"] for found in await client.fetch_open_orders(symbol)] == [resting["id"]]
        with pytest.raises(ccxt.InvalidOrder):
            await client.create_order(symbol, "limit", "buy", 0.01, 62_000, {"postOnly": True})
        with pytest.raises(ccxt.ExchangeError, match="-4164" if futures else "NOTIONAL"):
            await client.create_order(symbol, "limit", "buy", 0.001, 100)
        assert (await client.cancel_order(resting["id"], symbol))["status"] == "canceled"
        assert (await client.fetch_order(resting["id"], symbol))["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(resting["id"], symbol)
        filled = await client.create_order(symbol, "market", "buy", 0.01)
        assert (filled["status"], filled["average"]) == ("closed", 61_001)
        (own,) = await client.fetch_my_trades(symbol)
        assert own["fee"] == {"currency": "USDT", "cost": 0.305005}
        assert [found["status"] for found in await client.fetch_orders(symbol)] == ["canceled", "closed"]
        if futures:
            (held,) = await client.fetch_positions([symbol])
            assert (held["contracts"], held["side"], held["entryPrice"]) == (0.01, "long", 61_001)
            asked = {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01}
            batch = await client.create_orders([{**asked, "price": 60_000 + n} for n in range(3)])
            assert len(batch) == 3
        else:
            await client.create_order(symbol, "limit", "buy", 0.01, 60_000)
        await client.cancel_all_orders(symbol)
        assert not one.desk.open_orders()

    async def whole() -> None:
        async with rig(futures=futures) as one:
            client = ccxt_client(one, futures)
            try:
                await work(one, client)
            finally:
                await client.close()

    run(whole())


@MARKETS
def test_ccxts_streams_tell_of_market_orders_and_executions(futures: bool) -> None:
    symbol = "BTC/USDT:USDT" if futures else "BTC/USDT"

    async def move(one: Rig) -> None:
        for count in range(10_000):
            await asyncio.sleep(0.02)
            one.row(BID - count % 3, ASK + count % 2)
            one.trade(610_000, 5)

    async def watch(one: Rig, client: Any) -> None:
        await client.load_markets()
        assert (await client.watch_trades(symbol))[0]["price"] == 61_000
        assert (await client.watch_bids_asks([symbol]))[symbol]["ask"] in (61_001, 61_001.1)
        assert len((await client.watch_order_book(symbol))["bids"]) == 1
        orders = asyncio.create_task(client.watch_orders(symbol))
        await until(lambda: any(one.server.sockets) and _private(one))
        placed = await client.create_order(symbol, "limit", "buy", 0.01, 60_000)
        assert [(order["id"], order["status"]) for order in await orders] == [(placed["id"], "open")]
        own = asyncio.create_task(client.watch_my_trades(symbol))
        await asyncio.sleep(0.05)
        await client.create_order(symbol, "market", "buy", 0.01)
        assert [trade["amount"] for trade in await own] == [0.01]

    async def whole() -> None:
        async with rig(futures=futures) as one:
            client = ccxt_client(one, futures)
            moving = asyncio.create_task(move(one))
            try:
                await watch(one, client)
            finally:
                moving.cancel()
                await client.close()

    run(whole())


def _private(one: Rig) -> bool:
    return any("user" in socket.memory or "subscriptions" in socket.memory for socket in one.server.sockets)


def sdk(one: Rig) -> Spot:
    keys = {"api_key": KEYS.key, "api_secret": KEYS.secret}
    return Spot(
        config_rest_api=ConfigurationRestAPI(**keys, base_path=one.endpoint.rest, timeout=5000),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=one.endpoint.ws),
        config_ws_api=ConfigurationWebSocketAPI(**keys, stream_url=one.endpoint.ws_private),
    )


def test_binances_own_kit_trades_over_rest() -> None:
    def trade(client: Any) -> None:
        assert [one.symbol for one in client.exchange_info().data().symbols] == ["BTCUSDT"]
        asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": 0.01}
        resting = client.new_order(**asked, price=60_000, new_client_order_id="kit1").data()
        assert [one.order_id for one in client.get_open_orders("BTCUSDT").data()] == [resting.order_id]
        assert client.get_order("BTCUSDT", orig_client_order_id="kit1").data().status == "NEW"
        with pytest.raises(BadRequestError, match="Order would immediately match and take"):
            client.new_order(**asked, price=62_000)
        assert client.delete_order("BTCUSDT", order_id=resting.order_id).data().status == "CANCELED"
        bought = client.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01).data()
        assert (bought.status, bought.fills[0].price) == ("FILLED", "61001.00000000")
        assert client.my_trades("BTCUSDT").data()[0].commission == "0.305005"
        assert {one.asset for one in client.get_account().data().balances} == {"BTC", "USDT"}

    async def whole() -> None:
        async with rig() as one:
            await asyncio.to_thread(trade, sdk(one).rest_api)

    run(whole())


def test_binances_own_kit_hears_the_market_and_trades_over_its_websocket_interface() -> None:
    async def whole() -> None:
        async with rig() as one:
            kit = sdk(one)
            heard: list[Any] = []
            streams = await kit.websocket_streams.create_connection()
            (await streams.book_ticker(symbol="btcusdt")).on("message", heard.append)
            await until(lambda: any("btcusdt@bookTicker" in socket.topics for socket in one.server.sockets))
            one.row()
            await until(lambda: heard)
            assert heard[0].b == "60999.00000000"
            await streams.close_connection(close_session=True)

            orders = await kit.websocket_api.create_connection()
            events: list[Any] = []
            (await orders.user_data_stream_subscribe_signature()).stream.on("message", events.append)
            asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
            answer = (await orders.order_place(**asked, quantity=0.01, price=60_000)).data()
            assert answer.result.status == "NEW"
            await until(lambda: events)
            assert events[0].actual_instance.x == "NEW"
            await orders.close_connection(close_session=True)

    run(whole())
