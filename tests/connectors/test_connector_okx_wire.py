"""The OKX connector over the wire: what is OKX's own, beyond the contract every connector keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from contract import KEYS, WireStage, imported

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Expired,
    Gap,
    OrderRefused,
    OutcomeUnknown,
    Placed,
    Quote,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.okx.connector import OkxConnector
from grinder.connectors.stage import Scene, eventually
from grinder.simulated.protocols.okx import OkxServer
from replay.faults import FaultPlan, FaultRule

SECOND = 10**9


@asynccontextmanager
async def played(**options: Any) -> AsyncIterator[tuple[Scene, OkxConnector, OkxServer]]:
    """A connector and its server, with a quote."""
    stage = WireStage(registry.find("okx"), OkxServer)
    await stage.open()
    connector = OkxConnector(endpoint(stage, **options), KEYS, time.time_ns)
    try:
        await stage.quote(stage.price_ticks, stage.price_ticks + 10)
        await connector.open()
        connector.list_instruments({"BTCUSDT": stage.instrument}, {})
        assert isinstance(stage.server, OkxServer)
        yield Scene(stage, connector), connector, stage.server
    finally:
        await connector.close()
        await stage.close()


def endpoint(stage: WireStage, **options: Any) -> Endpoint:
    line = stage.running.line
    return Endpoint(line["rest"], line["ws"], line["ws_private"], **options)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


async def signalled(heard: Any, kind: type, words: str) -> Any:
    async def told() -> bool:
        return any(isinstance(one, kind) for one in heard.signals)

    await eventually(told, words)
    return next(one for one in reversed(heard.signals) if isinstance(one, kind))


def test_a_post_only_order_that_would_take_is_acknowledged_and_then_cancelled_on_the_stream() -> None:
    async def test() -> None:
        async with played() as (scene, connector, _), scene.listening() as heard:
            terms = scene.terms(below=-50)
            [answer] = await connector.place([terms])
            assert isinstance(answer, Placed)
            assert not answer.resting

            async def cancelled() -> bool:
                return any(
                    one.status is SnapshotStatus.CANCELLED for one in heard.orders(terms.client_order_id)
                )

            await eventually(cancelled, "the cancel is pushed")
            assert heard.orders(terms.client_order_id)[-1].reason == "31: post-only would take"

    run(test)


def test_a_clock_that_is_off_is_measured_again_after_one_refusal() -> None:
    async def test() -> None:
        async with played() as (_, connector, server):
            server.faults = FaultPlan([FaultRule(kind="clock_drift", operations=("time",), seconds=45.0)])
            assert abs(await connector.server_time_ns() - time.time_ns() - 45 * SECOND) < 5 * SECOND
            with pytest.raises(ClockSkewed) as refused:
                await connector.balances()
            assert refused.value.code == "50102"
            assert await connector.balances()

    run(test)


def test_too_many_requests_are_told_with_how_long_to_wait() -> None:
    async def test() -> None:
        async with played() as (scene, connector, _):
            refused = None
            for _ in range(70):
                [answer] = await connector.place([scene.terms()])
                if isinstance(answer, RateLimited):
                    refused = answer
                    break
                assert isinstance(answer, Placed)
            assert refused is not None
            assert refused.retry_after_s == 2.0
            assert not refused.banned

    run(test)


@pytest.mark.parametrize(
    ("kind", "retry", "banned"), [("rate_limit", 7.0, False), ("ban", 600.0, True)], ids=["429", "403"]
)
def test_the_exchange_that_says_how_long_is_believed(kind: str, retry: float, banned: bool) -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            server.faults = FaultPlan([FaultRule(kind=kind, operations=("place",), retry_after=retry)])
            [answer] = await connector.place([scene.terms()])
            assert isinstance(answer, RateLimited)
            assert (answer.retry_after_s, answer.banned) == (retry, banned)

    run(test)


@pytest.mark.parametrize("chance", range(3))
def test_a_status_okx_does_not_know_is_unknown_whether_it_was_done_or_not(chance: int) -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            server.faults = FaultPlan([FaultRule(kind="status_unknown", name=str(chance), times=(1,))])
            terms = scene.terms()
            [answer] = await connector.place([terms])
            assert isinstance(answer, OutcomeUnknown)
            assert answer.code == "51149"
            found = await connector.order(scene.ref(terms))
            assert (found is not None) is await scene.rests(terms)

    run(test)


def test_maintenance_is_no_refusal_of_an_order() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            rule = FaultRule(kind="maintenance", operations=("place",), seconds=60.0)
            server.faults = FaultPlan([rule])
            [answer] = await connector.place([scene.terms()])
            assert isinstance(answer, Unavailable)
            with pytest.raises(Unavailable):
                await connector.open_orders()

    run(test)


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"key": "other"}, "50111"),
        ({"secret": "other"}, "50113"),
        ({"passphrase": "other"}, "50105"),
        ({"key": ""}, "no_key"),
    ],
)
def test_a_wrong_key_is_a_failed_authentication(keys: dict[str, str], code: str) -> None:
    async def test() -> None:
        async with played() as (scene, _, _):
            assert isinstance(scene.stage, WireStage)
            wrong = attrs.evolve(KEYS, **keys)
            connector = OkxConnector(endpoint(scene.stage), wrong, time.time_ns)
            await connector.open()
            connector.list_instruments({"BTCUSDT": scene.stage.instrument}, {})
            try:
                with pytest.raises(AuthenticationFailed) as refused:
                    await connector.balances()
                assert refused.value.code == code
                [answer] = await connector.place([scene.terms()])
                assert isinstance(answer, AuthenticationFailed)
            finally:
                await connector.close()

    run(test)


def test_a_connector_without_keys_reads_the_market() -> None:
    async def test() -> None:
        async with played() as (scene, _, _):
            assert isinstance(scene.stage, WireStage)
            scene.connector = connector = OkxConnector(endpoint(scene.stage), None, time.time_ns)
            scene.stage.streams = 1
            await connector.open()
            try:
                rules = await connector.rules(["BTCUSDT", "BTC-USDT", "ETHUSDT"])
                assert sorted(rules) == ["BTC-USDT", "BTCUSDT"]
                assert rules["BTCUSDT"].maker_bps is None
                connector.list_instruments({"BTCUSDT": scene.stage.instrument}, {})
                async with scene.listening() as heard:
                    await scene.stage.quote(600_100, 600_110)
                    await signalled(heard, Quote, "a quote comes")
                    assert list(heard.up) == ["public"]
            finally:
                await connector.close()

    run(test)


def test_fees_and_permissions_are_those_of_the_account() -> None:
    async def test() -> None:
        async with played() as (_, connector, server):
            rules = (await connector.rules(["BTCUSDT"]))["BTCUSDT"]
            assert (rules.maker_bps, rules.taker_bps) == (2, 5)
            server.permissions = "read_only,withdraw,trade"
            assert (await connector.permissions()).withdraw
            server.permissions = "read_only"
            assert not (await connector.permissions()).trade

    run(test)


def test_orders_and_executions_are_read_over_all_pages() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            server.trading.limiter.capacity = 0
            sent = []
            for start in range(0, 240, 20):
                orders = [scene.terms(50 + start + place, lots=1) for place in range(20)]
                answers = await connector.place(orders)
                assert all(isinstance(one, Placed) for one in answers)
                sent += orders
            listed = await connector.open_orders()
            assert {one.client_order_id for one in listed} == {one.client_order_id for one in sent}
            assert len(listed) == 240
            began = time.time_ns() - SECOND
            await scene.stage.quote(599_000, 599_100)
            for since in (began, 0):  # of late, and with the history
                fills = await connector.fills("BTCUSDT", since)
                assert [one.client_order_id for one in fills] == [
                    one.client_order_id for one in sorted(sent, key=lambda one: -one.price_ticks)
                ]
            assert not await connector.fills("BTCUSDT", time.time_ns() + 3600 * SECOND)

    run(test)


def test_an_order_is_amended_in_place() -> None:
    async def test() -> None:
        async with played() as (scene, connector, _):
            terms = scene.terms()
            exchange_id = await scene.placed(terms)
            await connector.amend(scene.ref(terms, exchange_id), terms.price_ticks - 5, terms.lots + 2)
            found = await connector.order(scene.ref(terms))
            assert found is not None
            assert (found.price_ticks, found.lots) == (terms.price_ticks - 5, terms.lots + 2)
            with pytest.raises(OrderRefused):
                await connector.amend(scene.ref(scene.terms()), terms.price_ticks, 1)

    run(test)


def test_a_batch_of_cancels_answers_each_by_itself() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            terms = scene.terms()
            await scene.placed(terms)
            answers = await connector.cancel([scene.ref(scene.terms()), scene.ref(terms)])
            assert isinstance(answers[0], OrderRefused)
            assert answers[1] is None
            server.faults = FaultPlan([FaultRule(kind="short_batch", operations=("cancel",), times=(1,))])
            orders = [scene.terms(50), scene.terms(51)]
            for one in orders:
                await scene.placed(one)
            answers = await connector.cancel([scene.ref(one) for one in orders])
            assert answers[0] is None
            assert isinstance(answers[1], OutcomeUnknown)

    run(test)


def test_a_refused_cancel_says_nothing_about_the_order() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            terms = scene.terms()
            await scene.placed(terms)
            server.faults = FaultPlan([FaultRule(kind="cancel_refused", times=(1,))])
            [answer] = await connector.cancel([scene.ref(terms)])
            assert isinstance(answer, OrderRefused)
            assert await scene.is_found(terms)

    run(test)


def test_the_dead_man_switch_takes_10_to_120_seconds_or_none() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            terms = scene.terms()
            await scene.placed(terms)
            for seconds in (9, 121):
                with pytest.raises(OrderRefused):
                    await connector.arm_dead_man(seconds)
            server._limiters.clear()  # one a second is allowed
            await connector.arm_dead_man(10)
            assert server.desk.armed
            true = server.clock
            server.clock = lambda: true() + 11 * SECOND
            server.tick()
            server.clock = true
            found = await connector.order(scene.ref(terms))
            assert found is not None
            assert found.status is SnapshotStatus.CANCELLED
            assert found.reason == "20: dead man's switch"
            await connector.arm_dead_man(0)
            assert not server.desk.armed

    run(test)


def test_books_are_held_to_their_numbers_and_checksums_and_renewed_after_a_loss() -> None:
    async def test() -> None:
        async with played(extra={"quotes": "books"}) as (scene, _, server), scene.listening() as heard:
            for kind in ("sequence_gap", "bad_checksum"):
                await scene.stage.quote(600_000, 600_010)
                gaps = sum(isinstance(one, Gap) for one in heard.signals)
                ups = heard.ups
                server.faults = FaultPlan([FaultRule(kind=kind, times=(1,))])
                await scene.stage.quote(600_002, 600_012)
                await scene.stage.quote(600_003, 600_013)

                async def lost(before: int = gaps) -> bool:
                    return sum(isinstance(one, Gap) for one in heard.signals) > before

                async def renewed(before: int = ups) -> bool:
                    return heard.ups > before

                await eventually(lost, f"a {kind} is told")
                await eventually(renewed, "the stream is renewed")

            async def current() -> bool:
                quotes = [one for one in heard.signals if isinstance(one, Quote)]
                return quotes[-1].bid_ticks == 600_003

            await eventually(current, "the snapshot tells where the market is")

    run(test)


def test_a_private_stream_that_is_cut_comes_back_and_the_backfill_has_what_was_missed() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server), scene.listening() as heard:
            terms = scene.terms()
            await scene.placed(terms)
            began = time.time_ns() - SECOND
            ups = heard.ups
            server.hang_up(private=True)
            await scene.stage.quote(terms.price_ticks - 10, terms.price_ticks)

            async def back() -> bool:
                return heard.ups > ups and all(heard.up.values())

            await eventually(back, "the private stream is back")
            assert not heard.fills(terms.client_order_id)
            [fill] = await connector.fills("BTCUSDT", began)
            assert fill.client_order_id == terms.client_order_id

    run(test)


def test_an_announced_end_of_a_stream_is_told() -> None:
    async def test() -> None:
        async with played() as (scene, _, server), scene.listening() as heard:
            notice = (
                '{"event":"notice","code":"64008","msg":"The connection will soon be closed","connId":"1"}'
            )
            for socket in server.sockets:
                socket.put(notice)
            assert (await signalled(heard, Expired, "the notice is told")).detail.startswith("64008")

    run(test)


@pytest.mark.parametrize("kind", ["null_price", "negative_fill", "unknown_status"])
def test_what_cannot_be_read_on_the_stream_is_never_a_fill_of_something_else(kind: str) -> None:
    async def test() -> None:
        async with played() as (scene, connector, server), scene.listening() as heard:
            operation = "market" if kind == "null_price" else "private"
            terms = scene.terms()
            await scene.placed(terms)
            before = len(heard.signals)
            server.faults = FaultPlan([FaultRule(kind=kind, operations=(operation,), times=(1,))])
            await scene.stage.quote(terms.price_ticks - 10, terms.price_ticks)

            async def told() -> bool:
                return any(
                    isinstance(one, Gap) or getattr(one, "status", None) is SnapshotStatus.UNREADABLE
                    for one in heard.signals[before:]
                )

            await eventually(told, "a gap, or an order without a status")
            assert all(one.lots == terms.lots for one in heard.fills(terms.client_order_id))
            assert [one.lots for one in await connector.fills("BTCUSDT", 0)] == [terms.lots]

    run(test)


def test_a_closed_connector_makes_no_request() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            await connector.close()
            await connector.close()
            [answer] = await connector.place([scene.terms()])
            assert isinstance(answer, Unavailable)
            with pytest.raises(Unavailable):
                await connector.balances()
            assert not server.desk.orders

    run(test)


def test_the_server_is_found_to_be_away() -> None:
    async def test() -> None:
        connector = OkxConnector(Endpoint("http://127.0.0.1:1", "ws://127.0.0.1:1"), KEYS, time.time_ns)
        with pytest.raises(Unavailable):
            await connector.open()
        await connector.close()

    run(test)


def test_the_stage_of_the_suite_is_this_server() -> None:
    assert imported("grinder.simulated.protocols.okx:OkxServer") is OkxServer
