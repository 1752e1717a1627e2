"""The simulated Bybit's wire, as its documents describe it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from bybit_rig import ASK, BID, KEYS, ORDER, Rig, bybit, until
from toys import BTC, instrument, plan

from replay.faults import FaultPlan


def run(check: Callable[[Rig], Awaitable[None]], faults: FaultPlan | None = None, **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), bybit(faults, **options) as rig:
            await check(rig)

    asyncio.run(main())


def test_a_signed_order_is_acknowledged_with_the_limits_in_the_headers() -> None:
    async def check(rig: Rig) -> None:
        body, headers = await rig.post("order/create", ORDER)
        assert body["retCode"] == 0
        assert body["result"] == {"orderId": "1000000000000000001", "orderLinkId": "first"}
        assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("10", "9")
        assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) >= body["time"]
        listed, _ = await rig.get("order/realtime", "category=spot&openOnly=0")
        (row,) = listed["result"]["list"]
        assert (row["orderStatus"], row["price"], row["leavesQty"]) == ("New", "60000.0", "0.01")

    run(check)


@pytest.mark.parametrize(
    ("how", "code"), [({"secret": "other"}, 10004), ({"ahead_ms": 5000}, 10002), ({"ahead_ms": -6000}, 10002)]
)
def test_a_bad_signature_and_a_stamp_outside_the_window_are_refused(how: dict[str, Any], code: int) -> None:
    async def check(rig: Rig) -> None:
        body, _ = await rig.post("order/create", ORDER, **how)
        assert body["retCode"] == code
        assert rig.desk.orders == {}

    run(check)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"orderLinkId": "a" * 37}, 10001),
        ({"orderLinkId": "no spaces"}, 10001),
        ({"symbol": "NOPE"}, 170121),
        ({"price": "60000.05"}, 170134),
        ({"qty": "0.0001"}, 170137),
        ({"qty": "0.001", "price": "1000.0"}, 170140),
        ({"qty": "1"}, 170131),
        ({"category": "inverse"}, 10001),
        ({"side": "Hold"}, 10001),
        ({"price": None}, 170134),
        ({"qty": {"deep": []}}, 170137),
    ],
)
def test_an_order_that_cannot_be_taken_is_refused_with_bybits_code(change: dict[str, Any], code: int) -> None:
    async def check(rig: Rig) -> None:
        body, _ = await rig.post("order/create", ORDER | change)
        assert body["retCode"] == code
        assert rig.desk.orders == {}

    run(check)


def test_steps_that_change_are_published_and_kept() -> None:
    async def check(rig: Rig) -> None:
        rig.desk.replace_instrument(instrument(tick="0.5", lot="0.002"))
        body, _ = await rig.get("market/instruments-info", f"category=spot&symbol={BTC}")
        (row,) = body["result"]["list"]
        assert row["priceFilter"]["tickSize"] == "0.5"
        assert row["lotSizeFilter"]["basePrecision"] == "0.002"
        body, _ = await rig.post("order/create", ORDER | {"price": "60000.1"})
        assert body["retCode"] == 170134
        body, _ = await rig.post("order/create", ORDER | {"qty": "0.003"})
        assert body["retCode"] == 170137
        rig.desk.set_trading(BTC, trading=False)
        body, _ = await rig.post("order/create", ORDER)
        assert body["retCode"] != 0

    run(check)


def test_a_client_id_is_never_taken_twice() -> None:
    async def check(rig: Rig) -> None:
        await rig.post("order/create", ORDER)
        await rig.post("order/cancel", {"category": "spot", "symbol": BTC, "orderLinkId": "first"})
        body, _ = await rig.post("order/create", ORDER)
        assert body["retCode"] == 170141

    run(check)


def test_a_crossing_post_only_order_is_pushed_as_cancelled() -> None:
    async def check(rig: Rig) -> None:
        async with rig.socket("private", "order.spot") as ws:
            body, _ = await rig.post("order/create", ORDER | {"price": "61001.0"})
            assert body["retCode"] == 0
            (row,) = (await ws.receive_json())["data"]
        assert row["orderStatus"] == "Cancelled"
        assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"

    run(check)


def test_a_fill_is_pushed_as_execution_order_and_wallet() -> None:
    async def check(rig: Rig) -> None:
        await rig.post("order/create", ORDER)
        async with rig.socket("private", "order", "execution", "wallet") as ws:
            rig.quote(599_000, 599_010)
            pushed = {(said := await ws.receive_json())["topic"]: said["data"][0] for _ in range(3)}
        assert pushed["execution"]["execPrice"] == "60000.0"
        assert pushed["execution"]["isMaker"] is True
        assert pushed["order"]["orderStatus"] == "Filled"
        assert pushed["order"]["cumExecValue"] == "600"
        coins = {coin["coin"]: coin["walletBalance"] for coin in pushed["wallet"]["coin"]}
        assert coins == {"BTC": "1.01", "USDT": "9399.94"}

    run(check)


def test_private_topics_need_a_login() -> None:
    async def check(rig: Rig) -> None:
        async with rig.http.ws_connect(f"{rig.ws}/private") as ws:
            await ws.send_json({"op": "subscribe", "args": ["order"]})
            assert (await ws.receive_json())["success"] is False
            await ws.send_json({"op": "auth", "args": [KEYS.key, 99999999999999, "wrong"]})
            assert (await ws.receive_json())["success"] is False
            await ws.send_json({"op": "ping", "req_id": "1"})
            assert (await ws.receive_json())["op"] == "pong"
            await ws.send_str("nonsense")
            assert "error" in await ws.receive_json()
            await ws.send_json({"op": "ping"})
            assert (await ws.receive_json())["op"] == "pong"

    run(check)


def test_a_book_is_a_snapshot_and_then_deltas_in_sequence() -> None:
    async def check(rig: Rig) -> None:
        async with rig.socket("public/spot", f"orderbook.50.{BTC}", f"publicTrade.{BTC}") as ws:
            first = await ws.receive_json()
            assert first["type"] == "snapshot"
            assert first["data"]["b"] == [["60999.0", "5"]]
            rig.quote(BID + 1, ASK)
            second = await ws.receive_json()
            assert second["type"] == "delta"
            assert second["data"]["u"] == first["data"]["u"] + 1
            assert second["data"]["b"] == [["60999.0", "0"], ["60999.1", "5"]]
            assert second["data"]["a"] == []
            rig.trade(ASK, 3)
            (trade,) = (await ws.receive_json())["data"]
            assert (trade["p"], trade["v"], trade["S"]) == ("61001.0", "0.003", "Buy")

    run(check)


def test_a_topic_nobody_knows_is_refused() -> None:
    async def check(rig: Rig) -> None:
        async with rig.http.ws_connect(f"{rig.ws}/public/spot") as ws:
            for topic in ("orderbook.50.NOPE", "orderbook.7." + BTC, "kline.1." + BTC, "order"):
                await ws.send_json({"op": "subscribe", "args": [topic]})
                assert (await ws.receive_json())["success"] is False

    run(check)


def test_orders_over_the_trade_socket_meet_what_they_meet_over_http() -> None:
    async def check(rig: Rig) -> None:
        async with rig.http.ws_connect(f"{rig.ws}/trade") as ws:
            await ws.send_json({"reqId": "1", "op": "order.create", "args": [ORDER]})
            assert (await ws.receive_json())["retCode"] == 20001
            await ws.send_json({"op": "auth", "args": rig.login()})
            assert (await ws.receive_json())["retCode"] == 0
            said = []
            for body in (ORDER, ORDER, ORDER | {"qty": "9", "orderLinkId": "x"}):
                await ws.send_json({"reqId": "2", "op": "order.create", "args": [body]})
                said.append(await ws.receive_json())
        assert [one["retCode"] for one in said] == [0, 170141, 170131]
        assert said[0]["data"]["orderLinkId"] == "first"
        assert said[2]["header"]["X-Bapi-Limit-Status"] == "7"

    run(check)


def test_ten_orders_a_second_and_no_more() -> None:
    async def check(rig: Rig) -> None:
        row = {key: value for key, value in ORDER.items() if key != "category"}
        rows = [row | {"orderLinkId": f"n{number}", "qty": "0.001"} for number in range(10)]
        body, headers = await rig.post("order/create-batch", {"category": "spot", "request": rows})
        assert [item["code"] for item in body["retExtInfo"]["list"]] == [0] * 10
        assert headers["X-Bapi-Limit-Status"] == "0"
        body, _ = await rig.post("order/create-batch", {"category": "spot", "request": rows[:1]})
        assert body["retCode"] == 10006

    run(check)


def test_six_hundred_requests_in_five_seconds_and_the_address_is_shut_out() -> None:
    async def check(rig: Rig) -> None:
        answers = []
        for _ in range(605):
            async with rig.http.get(f"{rig.rest}/v5/market/time") as answer:
                answers.append(answer.status)
        assert answers[:600] == [200] * 600
        assert answers[600:] == [403] * 5
        assert rig.server.limiter.banned(rig.server.clock() + 599 * 10**9)

    run(check)


def test_the_switch_fires_when_nobody_watches_any_more() -> None:
    async def check(rig: Rig) -> None:
        body, _ = await rig.post("order/disconnected-cancel-all", {"product": "SPOT", "timeWindow": 2})
        assert body["retCode"] == 10001
        await rig.post("order/disconnected-cancel-all", {"product": "SPOT", "timeWindow": 3})
        known, _ = await rig.get("account/query-dcp-info")
        assert known["result"]["dcpInfos"][0]["timeWindow"] == "3"
        await rig.post("order/create", ORDER)
        async with rig.socket("private", "dcp.spot"), rig.socket("private", "dcp.spot"):
            await rig.post("order/create", ORDER | {"orderLinkId": "second"})
        await until(lambda: not rig.desk.open_orders())
        listed, _ = await rig.get("order/history", "category=spot")
        assert [row["cancelType"] for row in listed["result"]["list"]] == ["CancelByDCP"] * 2

    run(check)


def test_a_listing_of_executions_spans_at_most_a_week() -> None:
    async def check(rig: Rig) -> None:
        week = 7 * 86_400_000
        body, _ = await rig.get("execution/list", f"category=spot&startTime=1&endTime={week + 2}")
        assert body["retCode"] == 10001

    run(check)


def test_a_late_order_was_signed_in_time() -> None:
    async def check(rig: Rig) -> None:
        with pytest.raises(aiohttp.ClientError):
            await rig.post("order/create", ORDER)
        await until(lambda: bool(rig.desk.orders))

    run(check, plan({"kind": "late_order", "operations": ("place",), "times": (1,), "seconds": 0.2}))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"category": []}', b'{"request": 5}', b"\xff"])
@pytest.mark.parametrize("path", ["order/create", "order/create-batch", "order/disconnected-cancel-all"])
def test_nonsense_is_answered_and_ends_nothing(path: str, body: bytes) -> None:
    async def check(rig: Rig) -> None:
        signed = rig.headers(body.decode("latin-1"))
        async with rig.http.post(f"{rig.rest}/v5/{path}", data=body, headers=signed) as answer:
            assert answer.status == 200
            assert (await answer.json())["retCode"] != 0
        assert (await rig.get("market/time"))[0]["retCode"] == 0

    run(check)
