"""Binance over the wire when things go wrong: lost answers, limits, maintenance, spoilt streams."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from binance_rig import BTC, MARKETS, SECOND, hex_id, listening, order, placed, ref, rig, run, until

from actors.ports import (
    Gap,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    RateLimited,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.inputs import FillReport
from grinder.connectors.binance.errors import is_duplicate

# --- trouble --------------------------------------------------------------------------------------------


@MARKETS
@pytest.mark.parametrize(
    "kind", ["drop_reply", "html_body", "truncated_body", "status_unknown", "drop_request"]
)
def test_an_order_without_a_readable_answer_is_unknown_never_done_or_refused(
    futures: bool, kind: str
) -> None:
    async def work() -> None:
        fault = {"kind": kind, "operations": ("place",), "times": (1,)}
        async with rig(futures=futures, faults=(fault,)) as one:
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown), answer
            if kind == "status_unknown":
                assert answer.code == "-1007"
            if kind in ("drop_reply", "html_body", "truncated_body"):
                found = await one.connector.order(ref(1))
                assert found is not None
                (again,) = await one.connector.place([order(1)])
                assert isinstance(again, OrderRefused)
                assert is_duplicate(again)
            if kind == "drop_request":
                assert await one.connector.order(ref(1)) is None

    run(work())


@MARKETS
def test_reading_requests_without_a_readable_answer_are_unavailable(futures: bool) -> None:
    async def work() -> None:
        faults = tuple(
            {"kind": kind, "operations": (operation,), "times": (1,)}
            for operation, kind in (
                ("order", "html_body"),
                ("open_orders", "truncated_body"),
                ("fills", "drop_reply"),
                ("balances", "html_body"),
            )
        )
        async with rig(futures=futures, faults=faults) as one:
            for request in (
                lambda: one.connector.order(ref(1)),
                one.connector.open_orders,
                lambda: one.connector.fills(BTC, 0),
                one.connector.balances,
            ):
                with pytest.raises(Unavailable):
                    await request()

    run(work())


@MARKETS
@pytest.mark.parametrize(("kind", "banned"), [("rate_limit", False), ("ban", True)])
def test_too_many_requests_say_for_how_long_and_whether_we_are_shut_out(
    futures: bool, kind: str, banned: bool
) -> None:
    async def work() -> None:
        faults = ({"kind": kind, "operations": ("place",), "times": (1,), "retry_after": 7},)
        async with rig(futures=futures, faults=faults) as one:
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, RateLimited)
            assert (answer.retry_after_s, answer.banned, answer.code) == (7.0, banned, "-1003")
            assert not one.desk.orders

    run(work())


@MARKETS
def test_the_servers_own_limits_count_weight_and_lead_to_429_and_then_418(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            one.server.limiter.capacity = one.server.limiter.used(time.time_ns()) + 1
            one.server.limiter.patience = 3
            seen = []
            for _ in range(4):
                try:
                    await one.connector.balances()
                except RateLimited as error:
                    seen.append((error.banned, error.retry_after_s > 0))
            assert seen == [(False, True), (False, True), (True, True), (True, True)]

    run(work())


@MARKETS
def test_used_weight_and_order_counts_are_told_in_headers(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            await placed(one, 1)
            path = "/fapi/v1/time" if futures else "/api/v3/time"
            async with aiohttp.ClientSession() as session, session.get(one.endpoint.rest + path) as answer:
                assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) > 2
                assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"

    run(work())


@MARKETS
def test_too_many_orders_are_a_rate_limit_and_not_a_refusal(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            one.server.order_limiters[0][1].capacity = 1
            await placed(one, 1)
            (answer,) = await one.connector.place([order(2)])
            assert isinstance(answer, RateLimited)
            assert answer.code == "-1015"

    run(work())


@MARKETS
def test_maintenance_is_certainly_not_done(futures: bool) -> None:
    async def work() -> None:
        faults = ({"kind": "maintenance", "operations": ("place",), "times": (1,), "seconds": 60},)
        async with rig(futures=futures, faults=faults) as one:
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, Unavailable)
            with pytest.raises(Unavailable):
                await one.connector.open_orders()

    run(work())


# --- planned faults, as they look from this side of the wire --------------------------------------------


def test_status_unknown_then_new_on_the_stream_then_a_retry_meets_the_duplicate() -> None:
    async def work(seed: int) -> bool:
        fault = {"kind": "status_unknown", "times": (1,), "name": f"seed {seed}"}
        async with rig(futures=True, faults=(fault,)) as one, listening(one) as heard:
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown)
            assert answer.code == "-1007"
            if not one.desk.orders:
                return False
            await until(lambda: heard.of(OrderSnapshot))
            assert heard.of(OrderSnapshot)[0].client_order_id == hex_id(1)
            (again,) = await one.connector.place([order(1)])
            assert isinstance(again, OrderRefused)
            assert again.code == "-4116"
            return True

    assert {run(work(seed)) for seed in range(6)} == {True, False}


@MARKETS
def test_a_lost_frame_of_the_market_is_a_gap_and_the_stream_is_renewed(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "sequence_gap", "operations": ("market",), "times": (3,)}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            for _ in range(3):  # the first row was the rig's
                one.trade(610_000, 5)
            await until(lambda: heard.of(Gap))
            await until(lambda: heard.ups.count("market") == 2)
            one.trade(610_000, 5)
            await until(lambda: heard.of(Trade)[-1].trade_id == "4")
            assert len(heard.of(Gap)) == 1

    run(work())


@MARKETS
def test_an_execution_told_twice_has_the_same_id_twice_and_is_backfilled_once(futures: bool) -> None:
    async def work() -> None:
        faults = tuple(
            {"kind": "duplicate_fill", "operations": (operation,), "times": times, "name": operation}
            for operation, times in (("private", (2,)), ("fills", (1,)))
        )
        async with rig(futures=futures, faults=faults) as one, listening(one) as heard:
            await placed(one, 1)
            one.trade(608_000, 500)
            await until(lambda: len(heard.of(FillReport)) == 2)
            (fill,) = await one.connector.fills(BTC, 0)
            assert heard.of(FillReport) == [fill, fill]

    run(work())


@MARKETS
def test_an_execution_without_an_id_is_given_the_same_one_wherever_it_is_told(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "fill_without_id", "operations": ("private",), "times": (2,)}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            await placed(one, 1)
            one.trade(608_000, 500)
            await until(lambda: heard.of(FillReport))
            assert heard.of(FillReport)[0].fill_id.startswith("synthetic-")
            assert await one.connector.fills(BTC, 0) == heard.of(FillReport)

    run(work())


@MARKETS
def test_an_order_that_regresses_on_the_stream_is_told_as_the_exchange_tells_it(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "status_regress", "operations": ("private",), "times": (2,)}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            await placed(one, 1)
            one.trade(608_000, 500)
            await until(lambda: len(heard.of(OrderSnapshot)) == 3)
            statuses = [snapshot.status for snapshot in heard.of(OrderSnapshot)]
            assert statuses == ["working", "filled", "working"]

    run(work())


@MARKETS
@pytest.mark.parametrize(("kind", "status"), [("null_price", "unreadable"), ("unknown_status", "unreadable")])
def test_a_spoilt_order_is_named_and_unreadable_never_success(futures: bool, kind: str, status: str) -> None:
    async def work() -> None:
        faults = ({"kind": kind, "operations": ("order",), "times": (1,)},)
        async with rig(futures=futures, faults=faults) as one:
            await placed(one, 1)
            found = await one.connector.order(ref(1))
            assert found is not None
            assert (found.client_order_id, found.status) == (hex_id(1), status)

    run(work())


@MARKETS
def test_a_price_too_far_from_the_market_and_too_many_orders_are_refused(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            far = order(1, price=4_000_000, lots=1, time_in_force="gtc")
            (answer,) = await one.connector.place([far])
            assert isinstance(answer, OrderRefused)
            assert (answer.code, "PERCENT_PRICE" in answer.text) in (("-1013", True), ("-4016", False))
            one.desk.max_open_orders = 1
            await placed(one, 2)
            (answer,) = await one.connector.place([order(3)])
            assert isinstance(answer, OrderRefused)
            assert answer.code == ("-2025" if futures else "-1013")

    run(work())


def test_a_listen_key_is_kept_alive_and_connections_are_renewed_before_the_exchange_ends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        async with rig(futures=True) as one:
            server: Any = one.server
            async with listening(one) as heard:
                first = server._listen_until_ns
                await until(lambda: server._listen_until_ns > first + SECOND // 50)
                await until(lambda: ("private", "a day old") in heard.downs)
                await until(lambda: ("market", "a day old") in heard.downs)

    monkeypatch.setattr("grinder.connectors.binance.usdm.KEEP_KEY_S", 0.05)
    monkeypatch.setattr("grinder.connectors.binance.shared.RENEW_AFTER_S", 0.4)
    run(work())


@MARKETS
def test_an_execution_that_overtakes_its_order_is_told_first_under_the_same_id(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "fill_before_ack", "operations": ("private",), "times": (1,)}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            await placed(one, 1)
            one.trade(608_000, 500)
            await until(lambda: len(heard.signals) >= 3 and len(heard.of(OrderSnapshot)) == 2)
            kinds = [type(signal) for stream, signal in heard.signals if stream == "private"]
            assert kinds == [FillReport, OrderSnapshot, OrderSnapshot]
            assert {one.client_order_id for one in heard.of(OrderSnapshot)} == {hex_id(1)}

    run(work())


@MARKETS
def test_an_order_that_comes_late_is_unknown_then_not_there_then_there(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "late_order", "times": (1,), "seconds": 0.3}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown)
            assert await one.connector.order(ref(1)) is None
            await until(lambda: heard.of(OrderSnapshot))
            assert await one.connector.order(ref(1)) is not None

    run(work())


@MARKETS
def test_an_order_that_the_list_of_open_orders_omits_is_found_by_its_name(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "omit_open_order", "times": (1,)}
        async with rig(futures=futures, faults=(fault,)) as one:
            await placed(one, 1)
            assert await one.connector.open_orders() == []
            assert await one.connector.order(ref(1)) is not None
            assert len(await one.connector.open_orders()) == 1

    run(work())


@MARKETS
def test_a_cancel_without_an_answer_is_sent_once_and_unknown(futures: bool) -> None:
    """Sent twice, the second would be refused, and the order taken for one that could not be cancelled."""

    async def work() -> None:
        fault = {"kind": "drop_reply", "operations": ("cancel",), "times": (1,)}
        async with rig(futures=futures, faults=(fault,)) as one:
            await placed(one, 1)
            (answer,) = await one.connector.cancel([ref(1)])
            assert isinstance(answer, OutcomeUnknown)
            found = await one.connector.order(ref(1))
            assert found is not None
            assert found.status is SnapshotStatus.CANCELLED

    run(work())


@MARKETS
def test_what_the_exchange_cancels_by_itself_says_so(futures: bool) -> None:
    async def work() -> None:
        fault = {"kind": "external_cancel", "operations": ("market",), "times": (2,), "reason": "delisting"}
        async with rig(futures=futures, faults=(fault,)) as one, listening(one) as heard:
            await placed(one, 1)
            one.row()
            await until(lambda: len(heard.of(OrderSnapshot)) == 2)
            ended = heard.of(OrderSnapshot)[-1]
            assert (ended.client_order_id, ended.status) == (hex_id(1), SnapshotStatus.CANCELLED)
            assert ended.reason == ("CANCELED" if futures else "DELISTING")

    run(work())
