"""The Bybit connector against the simulated exchange, over real sockets."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import attrs
import pytest
from bybit_world import ASK, BID, BTC, KEYS, USDT, Told, World, order, ref, run, since, until

from actors.ports import (
    Gap,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    SnapshotStatus,
    Trade,
)
from domain.inputs import FillReport
from grinder.connectors.bybit.connector import PRODUCTION, TESTNET, BybitConnector, BybitLinearConnector
from grinder.secrets import Credentials


def test_rules_permissions_time_and_balances_are_read() -> None:
    async def check(one: World) -> None:
        rules = await one.connector.rules([BTC, "NOPEUSDT"])
        assert set(rules) == {BTC}
        assert (rules[BTC].tick, rules[BTC].lot) == (Decimal("0.1"), Decimal("0.001"))
        assert (rules[BTC].maker_bps, rules[BTC].taker_bps) == (Decimal(10), Decimal(20))
        assert rules[BTC].min_notional == 5
        allowed = await one.connector.permissions()
        assert allowed.trade
        assert not allowed.withdraw
        assert abs(await one.connector.server_time_ns() - time.time_ns()) < 10**9
        assert await one.connector.balances() == {"BTC": Decimal(1), "USDT": Decimal(10_000)}
        assert await one.connector.positions() == []

    run(check)


def test_without_a_key_only_the_market_is_read() -> None:
    async def check(one: World) -> None:
        rules = await one.connector.rules([BTC])
        assert rules[BTC].maker_bps is None

    run(check, keys=None)


def test_an_acknowledged_order_rests_only_when_the_stream_says_so() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            assert await one.connector.place([order(1)]) == [
                Placed(exchange_order_id="1000000000000000001", resting=False)
            ]
            await until(lambda: bool(told.of(OrderSnapshot)))
            snapshot = told.of(OrderSnapshot)[0]
            assert snapshot.status is SnapshotStatus.WORKING
            assert snapshot.client_order_id == f"{1:032x}"
            assert (snapshot.side, snapshot.price_ticks, snapshot.lots) == ("buy", BID - 1000, 1)
        assert await one.connector.open_orders() == [snapshot]

    run(check)
    assert not BybitConnector.capabilities.acknowledges


def test_a_post_only_order_that_would_take_is_acknowledged_and_cancelled_afterwards() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            (answer,) = await one.connector.place([order(1, price=ASK)])
            assert isinstance(answer, Placed)
            await until(lambda: bool(told.of(OrderSnapshot)))
            snapshot = told.of(OrderSnapshot)[0]
        assert snapshot.status is SnapshotStatus.CANCELLED
        assert snapshot.reason == "EC_PostOnlyWillTakeLiquidity"
        assert await one.connector.order(ref(1)) == snapshot
        assert await one.connector.open_orders() == []

    run(check)


def test_a_batch_is_answered_item_by_item() -> None:
    async def check(one: World) -> None:
        answers = await one.connector.place([order(1), order(2, lots=0), order(3)])
        assert isinstance(answers[0], Placed)
        assert isinstance(answers[1], OrderRefused)
        assert answers[1].code == "170137"
        assert isinstance(answers[2], Placed)
        cancelled = await one.connector.cancel([ref(1), ref(9), ref(3)])
        assert cancelled[0] is None
        assert isinstance(cancelled[1], OrderRefused)
        assert cancelled[1].code == "170213"
        assert cancelled[2] is None
        assert await one.connector.open_orders() == []

    run(check)


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("spot", {"lots": 1000}, "170131"),
        ("spot", {"price": 1000}, "170140"),
        ("linear", {"price": 1000}, "110094"),
        ("linear", {"reduce_only": True}, "110017"),
    ],
)
def test_a_refusal_is_certain_and_carries_the_code(kind: str, changes: dict[str, Any], code: str) -> None:
    async def check(one: World) -> None:
        (answer,) = await one.connector.place([order(1, **changes)])
        assert isinstance(answer, OrderRefused)
        assert answer.code == code
        assert await one.connector.order(ref(1)) is None

    run(check, kind=kind)


@pytest.mark.parametrize(("kind", "code"), [("spot", "170141"), ("linear", "110072")])
def test_a_duplicate_id_leaves_open_what_the_first_order_became(kind: str, code: str) -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1)])
        await one.connector.cancel([ref(1)])
        (answer,) = await one.connector.place([order(1)])
        assert isinstance(answer, OutcomeUnknown)
        assert answer.code == code
        found = await one.connector.order(ref(1))
        assert found is not None
        assert found.status is SnapshotStatus.CANCELLED
        assert len(one.desk.orders) == 1

    run(check, kind=kind)


def test_fills_come_on_the_stream_and_again_from_the_listing() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await one.connector.place(
                [order(1, lots=3), order(2, price=BID - 900), order(3, "sell", ASK + 100)]
            )
            one.quote(BID - 2000, BID - 1990)
            one.trade(BID - 1995, 10)
            await until(lambda: len(told.of(FillReport)) >= 2)
            await until(lambda: told.of(OrderSnapshot)[-1].status is SnapshotStatus.FILLED)
            fills = told.of(FillReport)
        assert sorted(fill.lots for fill in fills) == [1, 3]
        assert await one.connector.fills(BTC, since()) == fills
        first = next(fill for fill in fills if fill.lots == 3)
        assert (first.side, first.liquidity, first.fee_asset) == ("buy", "maker", "BTC")
        assert first.fee_units == 300  # a thousandth of 0.003 BTC
        assert first.fee_value == 300 * first.price_ticks * 100

    run(check)


def test_market_orders_are_counted_in_the_base() -> None:
    async def check(one: World) -> None:
        buy = order(1, order_type="market", time_in_force="ioc", price=ASK, lots=2)
        (answer,) = await one.connector.place([buy])
        assert isinstance(answer, Placed)
        (fill,) = await one.connector.fills(BTC, since())
        assert (fill.lots, fill.price_ticks, fill.liquidity) == (2, ASK, "taker")

    run(check)


def test_listings_are_read_to_their_last_page() -> None:
    async def check(one: World) -> None:
        now = time.time_ns()
        for number in range(120):
            one.desk.place(order(number, price=BID - 5000 - number), now)
        assert len(await one.connector.open_orders()) == 120
        one.quote(BID - 9000, BID - 8999)
        assert len(await one.connector.fills(BTC, since())) == 120
        assert await one.connector.open_orders() == []

    run(check)


def test_executions_of_more_than_a_week_are_asked_for_in_spans() -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1)])
        one.quote(BID - 2000, BID - 1990)
        (fill,) = await one.connector.fills(BTC, time.time_ns() - 30 * 86_400 * 10**9)
        assert fill.client_order_id == f"{1:032x}"

    run(check)


def test_foreign_orders_are_listed_without_a_client_id() -> None:
    async def check(one: World) -> None:
        one.desk.place(attrs.evolve(order(1), client_order_id=""), time.time_ns())
        (found,) = await one.connector.open_orders()
        assert found.client_order_id == ""
        named = OrderRef(client_order_id="", exchange_order_id=found.exchange_order_id, symbol=BTC)
        assert await one.connector.order(named) == found
        await one.connector.cancel_all(BTC)
        assert await one.connector.open_orders() == []

    run(check)


def test_an_order_is_amended_in_place() -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1)])
        await one.connector.amend(ref(1), BID - 1500, 2)
        found = await one.connector.order(ref(1))
        assert found is not None
        assert (found.price_ticks, found.lots) == (BID - 1500, 2)
        with pytest.raises(OrderRefused):
            await one.connector.amend(ref(7), BID, 1)

    run(check)


def test_a_linear_position_is_signed() -> None:
    async def check(one: World) -> None:
        sell = order(1, "sell", order_type="market", time_in_force="ioc", price=BID, lots=2)
        await one.connector.place([sell])
        (position,) = await one.connector.positions()
        assert position.base_units == -200_000
        (fill,) = await one.connector.fills(BTC, since())
        assert fill.fee_asset == "USDT"
        rules = await one.connector.rules([BTC])
        assert rules[BTC].kind == "linear"

    run(check, kind="linear")
    assert BybitLinearConnector.capabilities.positions


def test_each_request_goes_to_the_documented_path() -> None:
    asked: list[str] = []

    async def check(one: World) -> None:
        admitted = one.server._admitted

        async def noted(request: Any, *args: Any, **options: Any) -> Any:
            asked.append(f"{request.method} {request.path}")
            return await admitted(request, *args, **options)

        one.server._admitted = noted  # type: ignore[method-assign]
        await one.connector.place([order(1)])
        await one.connector.order(ref(1))
        await one.connector.cancel([ref(1)])
        await one.connector.place([order(2), order(3)])
        await one.connector.cancel([ref(2), ref(3)])
        await one.connector.balances()
        await one.connector.fills(BTC, since())

    run(check)
    assert asked == [
        "POST /v5/order/create",
        "GET /v5/order/realtime",
        "POST /v5/order/cancel",
        "POST /v5/order/create-batch",
        "POST /v5/order/cancel-batch",
        "GET /v5/account/wallet-balance",
        "GET /v5/execution/list",
    ]


# --- streams -------------------------------------------------------------------------------------------


def test_quotes_and_trades_come_from_the_public_stream() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await until(lambda: bool(told.of(Quote)))
            one.quote(BID + 10, ASK + 10, lots=7)
            one.trade(BID + 10, 2)
            await until(lambda: bool(told.of(Trade)))
        last = told.of(Quote)[-1]
        assert (last.bid_ticks, last.ask_ticks, last.bid_lots) == (BID + 10, ASK + 10, 7)
        (trade,) = told.of(Trade)
        assert (trade.price_ticks, trade.lots, trade.buyer_took) == (BID + 10, 2, False)
        assert told.frames[0][0] in ("public", "private")

    run(check)


def test_a_lost_delta_is_a_gap_and_a_fresh_snapshot_follows() -> None:
    async def check(one: World) -> None:
        deep = BybitConnector(one.endpoint(depth="50"), KEYS, time.time_ns)
        await deep.open()
        deep.list_instruments(one.desk.instruments, {})
        try:
            async with one.listening(deep) as told:
                await until(lambda: bool(told.of(Quote)))
                one.quote(BID + 1, ASK + 1)
                one.quote(BID + 2, ASK + 2)  # not told
                one.quote(BID + 3, ASK + 3)
                await until(lambda: bool(told.of(Gap)))
                await until(lambda: told.of(Quote)[-1].bid_ticks == BID + 3)
            assert [one.bid_ticks for one in told.of(Quote)] == [BID, BID + 1, BID + 3]
        finally:
            await deep.close()

    seen = run(check, {"kind": "sequence_gap", "operations": ("market",), "times": (3,)})
    assert seen.server.faults.fired() == {"sequence_gap": 1}


def test_a_price_of_null_on_the_stream_is_a_gap_and_the_stream_is_renewed() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await until(lambda: bool(told.of(Quote)))
            one.quote(BID + 1, ASK + 1)
            await until(lambda: told.ups.count("public") == 2)
            await until(lambda: told.of(Quote)[-1].bid_ticks == BID + 1)
        assert "unreadable" in told.of(Gap)[0].detail

    run(check, {"kind": "null_price", "operations": ("market",), "times": (2,)})


def test_a_private_stream_that_is_cut_comes_back_and_the_listing_has_what_was_missed() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await one.connector.place([order(1)])
            await until(lambda: bool(told.of(OrderSnapshot)))
            one.server.hang_up(private=True)
            one.quote(BID - 2000, BID - 1990)
            await until(lambda: told.ups.count("private") == 2)
            assert told.of(FillReport) == []
            assert len(await one.connector.fills(BTC, since())) == 1
        assert any(stream == "private" for stream, _ in told.downs)

    run(check)


def test_a_stream_is_renewed_when_asked() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            one.connector.reconnect("private")
            await until(lambda: told.ups.count("private") == 2)
            assert told.ups.count("public") == 1

    run(check)


def test_a_login_that_is_refused_is_told_and_tried_again() -> None:
    async def check(one: World) -> None:
        wrong = BybitConnector(one.endpoint(), Credentials("key-1", "wrong"), time.time_ns)
        await wrong.open()
        wrong.list_instruments(one.desk.instruments, {})
        told = Told()
        task = asyncio.create_task(wrong.listen(told))
        try:
            await until(lambda: any(stream == "private" for stream, _ in told.downs))
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await wrong.close()
        assert "AuthenticationFailed" in dict(told.downs)["private"]
        assert "private" not in told.ups

    run(check)


def test_a_frame_decodes_from_the_tape_as_it_did_live() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await one.connector.place([order(1), order(2, price=ASK)])
            for step in range(5):
                one.quote(BID - step * 400, ASK - step * 400)
            await until(lambda: bool(told.of(FillReport)))
        decoder = one.connector.decoder()
        again = [signal for stream, frame in told.frames for signal in decoder.decode(stream, frame, 0)]
        live = [
            attrs.evolve(signal, received_ns=0) if isinstance(signal, (Quote, Trade)) else signal
            for signal in told.signals
        ]
        assert again == live

    run(check)


# --- the dead man --------------------------------------------------------------------------------------


def test_orders_are_cancelled_when_the_private_stream_stays_away() -> None:
    async def check(one: World) -> None:
        await one.connector.arm_dead_man(3)
        async with one.listening():
            await one.connector.place([order(1)])
            await asyncio.sleep(0.05)
            assert one.desk.armed == {}
        await until(lambda: BTC in one.desk.armed)
        assert one.server.dcp_s["spot"] == 3
        await until(lambda: not one.desk.open_orders())
        found = await one.connector.order(ref(1))
        assert found is not None
        assert (found.status, found.reason) == (SnapshotStatus.CANCELLED, "EC_CancelByDCP")

    run(check)


def test_a_disarmed_switch_leaves_the_orders_alone() -> None:
    async def check(one: World) -> None:
        async with one.listening():
            await one.connector.arm_dead_man(3)
            await until(lambda: any("dcp.spot" in socket.topics for socket in one.server.sockets))
            await one.connector.arm_dead_man(0)
            await until(lambda: not any("dcp.spot" in socket.topics for socket in one.server.sockets))
        await asyncio.sleep(0.05)
        assert one.desk.armed == {}

    run(check)


def test_addresses_are_those_of_the_exchange() -> None:
    assert PRODUCTION.rest == "https://api.bybit.com"
    assert TESTNET is not None
    assert "testnet" in TESTNET.ws
    assert USDT == 10**11
