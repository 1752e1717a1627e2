"""What goes wrong between us and Kraken, over real sockets: late orders, strange streams, limits of calls."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from kraken_world import Told, World, client_id, order, quick_streams, ref, run, world
from toys import BTC, T0, Watch, plan

from actors.ports import (
    Gap,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    RateLimited,
    SnapshotStatus,
)
from domain.inputs import FillReport
from grinder.simulated.protocols.kraken_counters import Tier
from replay.faults import FaultPlan


async def filled(here: World, told: Told, number: int = 1) -> list[FillReport]:
    """Place an order, let it be executed, and wait for what the stream tells of it."""
    [answer] = await here.connector.place([order(number, "buy", 609_000, 30)])
    assert isinstance(answer, Placed), answer
    here.traded(609_000, 40)
    await told.until(lambda: bool(told.of(FillReport)))
    return told.of(FillReport)


def test_an_order_that_arrives_late_is_found_then() -> None:
    async def work() -> None:
        rule = {"kind": "late_order", "operations": ("place",), "times": (1,), "seconds": 0.15}
        async with world(plan(rule)) as here:
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown)
            assert await here.connector.order(ref(1)) is None
            await asyncio.sleep(0.2)
            late = await here.connector.order(ref(1))
            assert late is not None
            assert late.status is SnapshotStatus.WORKING

    run(work)


def test_a_list_of_open_orders_that_misses_one_does_not_hide_it_from_a_single_question() -> None:
    async def work() -> None:
        async with world(plan({"kind": "omit_open_order", "times": (1,)})) as here:
            await here.connector.place([order(1)])
            assert await here.connector.open_orders() == []
            seen = await here.connector.order(ref(1))
            assert seen is not None
            assert seen.status is SnapshotStatus.WORKING

    run(work)


def test_a_refused_cancel_is_no_end_of_the_order() -> None:
    async def work() -> None:
        async with world(plan({"kind": "cancel_refused", "times": (1,)})) as here:
            await here.connector.place([order(1)])
            [answer] = await here.connector.cancel([ref(1)])
            assert isinstance(answer, OrderRefused)
            seen = await here.connector.order(ref(1))
            assert seen is not None
            assert seen.status is SnapshotStatus.WORKING

    run(work)


def test_an_execution_told_twice_has_one_id() -> None:
    async def work() -> None:
        faults = plan({"kind": "duplicate_fill", "operations": ("private",), "every": 1})
        async with world(faults) as here, here.listening() as told:
            await filled(here, told)
            await told.until(lambda: len(told.of(FillReport)) == 2)
            assert len({one.fill_id for one in told.of(FillReport)}) == 1

    run(work)


def test_an_execution_without_an_id_gets_one_that_follows_from_it() -> None:
    async def work() -> list[FillReport]:
        watch = Watch(T0 + 123_456_789)
        faults = plan({"kind": "fill_without_id", "operations": ("private",), "every": 1})
        async with world(faults, clock=watch) as here, here.listening() as told:
            return await filled(here, told)

    [first], [again] = run(work), run(work)
    assert first == again
    assert first.fill_id.startswith("synthetic-")


def test_an_execution_told_before_its_order_names_the_order_all_the_same() -> None:
    async def work() -> None:
        faults = plan({"kind": "fill_before_ack", "operations": ("private",), "times": (1,)})
        async with world(faults) as here, here.listening() as told:
            [fill] = await filled(here, told)
            assert (fill.client_order_id, fill.symbol, fill.lots) == (client_id(1), BTC, 30)
            first = next(one for one in told.signals if isinstance(one, FillReport | OrderSnapshot))
            assert isinstance(first, FillReport)
            assert not told.of(Gap)

    run(work)


def test_an_order_shown_new_after_its_end_is_told_as_it_came() -> None:
    async def work() -> None:
        faults = plan({"kind": "status_regress", "every": 1})
        async with world(faults) as here, here.listening() as told:
            await filled(here, told)
            await told.until(lambda: len(told.of(OrderSnapshot)) >= 6)
            states = [one.status for one in told.of(OrderSnapshot)]
            assert states[-3:] == [SnapshotStatus.FILLED, SnapshotStatus.PENDING, SnapshotStatus.WORKING]
            assert told.of(OrderSnapshot)[-1].filled_lots == 30  # what is filled stays filled

    run(work)


def test_an_order_the_exchange_cancels_by_itself_says_why() -> None:
    async def work() -> None:
        faults = plan({"kind": "external_cancel", "times": (1,), "reason": "Delisted"})
        async with world(faults) as here, here.listening() as told:
            await here.connector.place([order(1)])
            here.quoted(609_000, 609_020)
            await told.until(
                lambda: any(one.status is SnapshotStatus.CANCELLED for one in told.of(OrderSnapshot))
            )
            assert told.of(OrderSnapshot)[-1].reason == "Delisted"

    run(work)


@pytest.mark.parametrize("kind", ["negative_fill", "unknown_status"])
def test_a_strange_private_message_is_no_fill_and_no_end(kind: str) -> None:
    async def work() -> None:
        faults = plan({"kind": kind, "operations": ("private",), "times": (2,)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                await here.connector.place([order(1, "buy", 609_000, 30)])
                await told.until(lambda: len(told.of(OrderSnapshot)) == 2)
                here.traded(609_000, 40)
                if kind == "unknown_status":
                    await told.until(lambda: len(told.of(OrderSnapshot)) == 4)
                    states = [one.status for one in told.of(OrderSnapshot)]
                    assert states[2:] == [SnapshotStatus.UNREADABLE] * 2
                    return
                await told.until(lambda: told.ups.count("private") == 2 and bool(told.of(FillReport)))
                assert told.of(Gap)
                assert [one.lots for one in told.of(FillReport)] == [30]  # from the fresh stream

    run(work)


def test_a_price_of_null_is_a_gap_and_the_book_comes_anew() -> None:
    async def work() -> None:
        faults = plan({"kind": "null_price", "operations": ("market",), "times": (1,)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                here.quoted(609_000, 609_020)
                await told.until(lambda: bool(told.of(Gap)))
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_000)

    run(work)


def test_calls_beyond_the_counter_are_refused_and_orders_are_not() -> None:
    async def work() -> None:
        async with world(clock=Watch(T0), calls=Tier(4, 0.5)) as here:
            for _ in range(4):
                await here.connector.balances()
            with pytest.raises(RateLimited, match="EAPI"):
                await here.connector.balances()
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, Placed)

    run(work)


def test_a_key_that_may_not_listen_leaves_the_private_stream_down() -> None:
    async def work() -> None:
        with quick_streams():
            async with world() as here:
                here.server.token_is_good = lambda token: False  # type: ignore[method-assign]
                told = Told()
                task = asyncio.ensure_future(here.connector.listen(told))
                try:
                    await told.until(lambda: "public" in told.ups)
                    await told.until(lambda: any(one.startswith("private") for one in told.downs))
                    assert "private" not in told.ups
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    run(work)


def test_a_stream_that_is_asked_to_reconnect_does_and_loses_nothing() -> None:
    async def work() -> None:
        with quick_streams():
            async with world() as here, here.listening() as told:
                here.connector.reconnect("")
                await told.until(lambda: told.ups.count("private") == 2 and told.ups.count("public") == 2)
                assert len(await filled(here, told)) == 1

    run(work)


# --- the wire itself -----------------------------------------------------------------------------------


def test_a_client_id_is_free_text_of_18_or_a_uuid_and_never_beside_a_userref() -> None:
    async def work() -> None:
        async with world() as here:
            send = here.connector._transport.private
            asked = {
                "pair": "XBTUSDT",
                "type": "buy",
                "ordertype": "limit",
                "price": "60000",
                "volume": "0.01",
            }
            for good in (
                "a" * 18,
                "6d1b345e-2821-457a-9e2c-0f9d8c7b6a50",
                "6d1b345e2821457a9e2c0f9d8c7b6a51",
            ):
                assert (await send("AddOrder", **asked, cl_ord_id=good))["txid"]
            for bad in ("a" * 19, "zz1b345e2821457a9e2c0f9d8c7b6a51"):
                with pytest.raises(OrderRefused, match="cl_ord_id"):
                    await send("AddOrder", **asked, cl_ord_id=bad)
            with pytest.raises(OrderRefused, match="cl_ord_id"):
                await send("AddOrder", **asked, cl_ord_id="b", userref="7")
            await send("AddOrder", **asked, userref="7")
            assert await send("CancelOrder", txid="7") == {"count": 1}
            with pytest.raises(OutcomeUnknown, match="in use"):
                await send("AddOrder", **asked, cl_ord_id="a" * 18)
            assert (await send("CancelAll"))["count"] == 3
            assert (await send("AddOrder", **asked, cl_ord_id="a" * 18))[
                "txid"
            ]  # unique among open ones only

    run(work)


def test_requests_that_are_not_what_the_documents_say_are_refused() -> None:
    async def work() -> None:
        async with world() as here:
            send = here.connector._transport.private
            asked: dict[str, Any] = {
                "pair": "XBTUSDT",
                "type": "buy",
                "ordertype": "limit",
                "price": "60000",
                "volume": "0.01",
            }
            for change in (
                {"pair": "NOPE"},
                {"type": "hold"},
                {"ordertype": "stop-loss"},
                {"price": "60000.05"},
                {"price": "-1"},
                {"volume": "0.0105"},
                {"volume": "0"},
                {"volume": "1e400"},
                {"timeinforce": "IOC", "oflags": "post"},
            ):
                with pytest.raises(OrderRefused):
                    await send("AddOrder", **{**asked, **change})
            with pytest.raises(OrderRefused, match="orders"):
                await send("AddOrderBatch", pair="XBTUSDT", orders=[asked])
            with pytest.raises(OrderRefused):
                await send("AddOrderBatch", pair="XBTUSDT", orders="no list")
            with pytest.raises(OrderRefused):
                await send("CancelAllOrdersAfter", timeout="86400")
            assert here.desk.orders == {}

    run(work)


def test_a_body_that_was_changed_on_the_way_is_not_believed() -> None:
    async def work() -> None:
        async with world() as here:
            signing = here.connector._transport._signing
            request = signing.sign("CancelAll", ["private"], "POST", {})
            await here.connector.place([order(1)])
            async with aiohttp.ClientSession() as session:
                body = request["body"] + "&asset=XBT"
                answer = await session.post(request["url"], data=body.encode(), headers=request["headers"])
                assert await answer.json() == {"error": ["EAPI:Invalid signature"]}
            assert len(here.desk.open_orders()) == 1

    run(work)


def test_the_socket_refuses_what_it_does_not_know_and_goes_on() -> None:
    async def work() -> None:
        async with world(FaultPlan()) as here, aiohttp.ClientSession() as session:
            line = here.running.line
            async with session.ws_connect(line["ws_private"]) as socket:
                heard: list[dict[str, Any]] = []

                async def ask(message: Any) -> dict[str, Any]:
                    await socket.send_str(message if isinstance(message, str) else json.dumps(message))
                    while True:
                        heard.append(json.loads(await socket.receive_str(timeout=3)))
                        if "method" in heard[-1] or "error" in heard[-1]:
                            return heard[-1]

                assert (await ask({"method": "ping", "req_id": 7}))["req_id"] == 7
                assert (await ask({"method": "sing"}))["success"] is False
                assert "error" in await ask("no json")
                assert "error" in await ask("[1]")
                bad_token = {"method": "subscribe", "params": {"channel": "executions", "token": "x"}}
                assert (await ask(bad_token))["error"] == "ESession:Invalid session"
                nowhere = {"method": "subscribe", "params": {"channel": "book", "symbol": ["NO/PE"]}}
                assert (await ask(nowhere))["symbol"] == "NO/PE"
                unpaid = {"method": "cancel_all", "params": {"token": "x"}}
                assert (await ask(unpaid))["error"] == "ESession:Invalid session"
                token = (await here.connector._transport.private("GetWebSocketsToken"))["token"]
                good = {"channel": "executions", "token": token}
                assert (await ask({"method": "subscribe", "params": good}))["success"] is True
                placing = {
                    "order_type": "limit",
                    "side": "buy",
                    "symbol": "BTC/USDT",
                    "limit_price": 60000.1,
                    "order_qty": 0.01,
                    "cl_ord_id": "by-socket",
                    "token": token,
                }
                added = await ask({"method": "add_order", "params": placing})
                assert added["result"]["cl_ord_id"] == "by-socket"
                [resting] = here.desk.open_orders()
                assert (resting.price_ticks, resting.lots) == (600_001, 10)
                ending = {"method": "cancel_order", "params": {"cl_ord_id": ["by-socket"], "token": token}}
                while (await ask(ending))["method"] != "cancel_order":
                    pass
                assert here.desk.open_orders() == []
                assert heard[0]["channel"] == "status"

    run(work)
