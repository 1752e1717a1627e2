"""The Bybit connector over real sockets when things go wrong: lost answers, limits, clocks, keys."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bybit_world import BID, BTC, World, order, ref, run, since, until

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    OrderRefused,
    OutcomeUnknown,
    Placed,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from domain.inputs import FillReport
from grinder.secrets import Credentials

# --- faults --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "status_unknown"}, "10000"),
        ({"kind": "html_body"}, "502"),
        ({"kind": "truncated_body"}, "unreadable"),
        ({"kind": "drop_reply"}, "connection"),
        ({"kind": "drop_request"}, "connection"),
        ({"kind": "maintenance", "seconds": 0.1}, "503"),
    ],
)
def test_an_answer_that_says_nothing_leaves_the_order_open(fault: dict[str, Any], code: str) -> None:
    async def check(one: World) -> None:
        answers = await one.connector.place([order(1)])
        assert isinstance(answers[0], OutcomeUnknown)
        assert answers[0].code == code

    run(check, {"operations": ("place",), "times": (1,), **fault})


@pytest.mark.parametrize("operation", ["open_orders", "balances", "fills"])
def test_a_reading_request_whose_answer_is_nonsense_is_unavailable(operation: str) -> None:
    async def check(one: World) -> None:
        ask = {
            "open_orders": one.connector.open_orders,
            "balances": one.connector.balances,
            "fills": lambda: one.connector.fills(BTC, since()),
        }[operation]
        with pytest.raises(Unavailable):
            await ask()
        await ask()

    run(check, {"kind": "html_body", "operations": (operation,), "times": (1,)})


def test_a_batch_answered_with_one_item_too_few_is_open_for_the_missing_one() -> None:
    async def check(one: World) -> None:
        answers = await one.connector.place([order(1), order(2)])
        assert isinstance(answers[0], Placed)
        assert isinstance(answers[1], OutcomeUnknown)
        assert await one.connector.order(ref(2)) is not None

    run(check, {"kind": "short_batch", "operations": ("place",), "times": (1,)})


@pytest.mark.parametrize(("kind", "operation"), [("null_price", "open_orders"), ("negative_fill", "fills")])
def test_a_row_with_a_part_that_cannot_be_is_unavailable(kind: str, operation: str) -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1), order(2, price=BID - 10)])
        one.quote(BID - 100, BID - 90)
        with pytest.raises(Unavailable, match="unreadable"):
            await (
                one.connector.open_orders()
                if operation == "open_orders"
                else one.connector.fills(BTC, since())
            )

    run(check, {"kind": kind, "operations": (operation,), "times": (1,)})


def test_a_status_nobody_knows_is_neither_success_nor_failure() -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1)])
        found = await one.connector.order(ref(1))
        assert found is not None
        assert found.status is SnapshotStatus.UNREADABLE

    run(check, {"kind": "unknown_status", "operations": ("order",), "times": (1,)})


def test_a_rate_limit_says_when_to_come_back() -> None:
    async def check(one: World) -> None:
        (answer,) = await one.connector.place([order(1)])
        assert isinstance(answer, RateLimited)
        assert not answer.banned
        assert 2 < answer.retry_after_s <= 3.1

    run(check, {"kind": "rate_limit", "operations": ("place",), "times": (1,), "retry_after": 3})


def test_the_endpoints_own_limit_is_ten_orders_a_second() -> None:
    async def check(one: World) -> None:
        answers = await one.connector.place([order(number) for number in range(10)])
        assert all(isinstance(answer, Placed) for answer in answers)
        more = await one.connector.place([order(10), order(11)])
        assert [type(answer) for answer in more] == [RateLimited, RateLimited]
        assert len(one.desk.orders) == 10

    run(check)


def test_a_ban_is_told_as_a_ban() -> None:
    async def check(one: World) -> None:
        with pytest.raises(RateLimited) as banned:
            await one.connector.open_orders()
        assert banned.value.banned
        assert banned.value.retry_after_s == 600

    run(check, {"kind": "ban", "operations": ("open_orders",), "times": (1,), "retry_after": 600})


def test_a_clock_that_runs_away_is_told_and_measured_anew() -> None:
    async def check(one: World) -> None:
        drift = await one.connector.server_time_ns() - time.time_ns()
        assert 9 * 10**9 < drift < 11 * 10**9
        await one.connector.open_orders()  # stamped by the exchange's clock

    run(check, {"kind": "clock_drift", "operations": ("time",), "times": (1,), "seconds": 10, "for_s": 60})


def test_a_request_outside_the_time_window_was_certainly_not_done() -> None:
    ahead = [0]

    async def check(one: World) -> None:
        ahead[0] = 30 * 10**9
        (answer,) = await one.connector.place([order(1)])
        assert isinstance(answer, ClockSkewed)
        assert answer.code == "10002"
        with pytest.raises(ClockSkewed):
            await one.connector.open_orders()
        await one.connector.server_time_ns()
        assert isinstance((await one.connector.place([order(2)]))[0], Placed)

    run(check, clock=lambda: time.time_ns() + ahead[0])


@pytest.mark.parametrize(
    ("keys", "code"), [(Credentials("wrong", "secret-1"), "10003"), (Credentials("key-1", "wrong"), "10004")]
)
def test_a_wrong_key_is_told(keys: Credentials, code: str) -> None:
    async def check(one: World) -> None:
        (answer,) = await one.connector.place([order(1)])
        assert isinstance(answer, AuthenticationFailed)
        assert answer.code == code

    run(check, keys=keys)


def test_a_cancel_that_is_refused_is_no_statement_about_the_order() -> None:
    async def check(one: World) -> None:
        await one.connector.place([order(1)])
        (answer,) = await one.connector.cancel([ref(1)])
        assert isinstance(answer, OrderRefused)
        found = await one.connector.order(ref(1))
        assert found is not None
        assert found.status is SnapshotStatus.WORKING

    run(check, {"kind": "cancel_refused", "operations": ("cancel",), "times": (1,)})


def test_a_late_order_is_found_when_it_appears() -> None:
    async def check(one: World) -> None:
        (answer,) = await one.connector.place([order(1)])
        assert isinstance(answer, OutcomeUnknown)
        assert await one.connector.order(ref(1)) is None
        await until(lambda: bool(one.desk.orders))
        found = await one.connector.order(ref(1))
        assert found is not None
        assert found.status is SnapshotStatus.WORKING

    run(check, {"kind": "late_order", "operations": ("place",), "times": (1,), "seconds": 0.3})


def test_an_execution_without_an_id_gets_one_that_is_the_same_each_time() -> None:
    async def check(one: World) -> None:
        async with one.listening() as told:
            await one.connector.place([order(1)])
            one.quote(BID - 2000, BID - 1990)
            await until(lambda: bool(told.of(FillReport)))
        (fill,) = told.of(FillReport)
        assert fill.fill_id.startswith("synthetic-")
        again = one.connector.decoder()
        assert fill in [signal for stream, raw in told.frames for signal in again.decode(stream, raw, 0)]

    run(check, {"kind": "fill_without_id", "operations": ("private",), "times": (2,)})
