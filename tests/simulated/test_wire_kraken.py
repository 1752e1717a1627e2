"""The Kraken connector against the simulated Kraken, over real sockets."""

from __future__ import annotations

import asyncio
import time

import pytest
from kraken_world import KEYS, client_id, order, placed, ref, run, world
from toys import BTC, SECOND, T0, USDT, Watch, desk_at, plan

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from grinder.secrets import Credentials
from grinder.simulated.protocols.kraken_counters import STARTER


def test_an_order_rests_is_found_by_either_id_and_is_cancelled() -> None:
    async def work() -> None:
        async with world() as here:
            answer = await placed(here, 1)
            assert answer.resting
            by_ours = await here.connector.order(ref(1))
            by_theirs = await here.connector.order(
                OrderRef(client_order_id="", exchange_order_id=answer.exchange_order_id, symbol=BTC)
            )
            assert by_ours == by_theirs
            assert by_ours == OrderSnapshot(
                client_order_id=client_id(1),
                exchange_order_id=answer.exchange_order_id,
                symbol=BTC,
                side="buy",
                status=SnapshotStatus.WORKING,
                price_ticks=600_000,
                lots=10,
                filled_lots=0,
            )
            assert await here.connector.open_orders() == [by_ours]
            assert await here.connector.cancel([ref(1)]) == [None]
            ended = await here.connector.order(ref(1))
            assert ended is not None
            assert (ended.status, ended.reason) == (SnapshotStatus.CANCELLED, "User requested")
            assert await here.connector.open_orders() == []
            [again] = await here.connector.cancel([ref(1)])
            assert isinstance(again, OrderRefused)
            assert again.code == "EOrder:Unknown order"

    run(work)


def test_an_order_nobody_placed_is_not_known() -> None:
    async def work() -> None:
        async with world() as here:
            assert await here.connector.order(ref(7)) is None
            assert await here.connector.order(ref(7, "O00000-00000-000099")) is None

    run(work)


def test_refusals_carry_krakens_words() -> None:
    async def work() -> None:
        async with world() as here:
            cases = {
                "EOrder:Post only order": order(1, "buy", 620_000),
                "EOrder:Insufficient funds": order(2, "buy", 600_000, 9_000),
                "EOrder:Cost minimum not met": order(3, "buy", 10, 1),
            }
            for words, terms in cases.items():
                [answer] = await here.connector.place([terms])
                assert isinstance(answer, OrderRefused), answer
                assert answer.code == words
            assert here.desk.open_orders() == []

    run(work)


def test_a_batch_is_answered_order_by_order() -> None:
    async def work() -> None:
        async with world() as here:
            answers = await here.connector.place(
                [order(1), order(2, "buy", 620_000), order(3, "sell", 620_000)]
            )
            assert [type(one) for one in answers] == [Placed, OrderRefused, Placed]
            assert await here.connector.cancel([ref(1), ref(3)]) == [None, None]
            missing = await here.connector.cancel([ref(1), ref(3)])
            assert all(isinstance(one, OutcomeUnknown) for one in missing)

    run(work)


def test_a_batch_refused_for_one_orders_arguments_still_places_the_others() -> None:
    async def work() -> None:
        async with world() as here:
            bad = order(2, client_order_id="x" * 33)
            answers = await here.connector.place([order(1), bad, order(3)])
            assert [type(one) for one in answers] == [Placed, OrderRefused, Placed]
            assert len(here.desk.open_orders()) == 2

    run(work)


def test_market_and_immediate_orders_take() -> None:
    async def work() -> None:
        async with world() as here:
            taking = order(1, "buy", 610_010, 5, time_in_force="ioc")
            market = order(2, "sell", 609_990, 5, order_type="market", time_in_force="ioc")
            assert all(isinstance(one, Placed) for one in await here.connector.place([taking, market]))
            fills = await here.connector.fills(BTC, 0)
            assert [(one.side, one.price_ticks, one.lots, one.liquidity) for one in fills] == [
                ("buy", 610_010, 5, "taker"),
                ("sell", 609_990, 5, "taker"),
            ]
            bought = await here.connector.order(ref(1))
            assert bought is not None
            assert (bought.status, bought.filled_lots) == (SnapshotStatus.FILLED, 5)

    run(work)


def test_amending_moves_a_resting_order() -> None:
    async def work() -> None:
        async with world() as here:
            await placed(here, 1)
            await here.connector.amend(ref(1), 599_000, 20)
            seen = await here.connector.order(ref(1))
            assert seen is not None
            assert (seen.price_ticks, seen.lots) == (599_000, 20)
            with pytest.raises(OrderRefused, match="Post only"):
                await here.connector.amend(ref(1), 620_000, 20)

    run(work)


def test_fills_are_read_over_all_pages_and_name_their_orders() -> None:
    async def work() -> None:
        async with world(desk=desk_at(balances={"USDT": 10**6 * USDT, "BTC": 10**6})) as here:
            for number in range(1, 131):
                here.desk.place(order(number, "buy", 610_010, 1, time_in_force="ioc"), time.time_ns())
            fills = await here.connector.fills(BTC, 0)
            assert [one.client_order_id for one in fills] == [client_id(n) for n in range(1, 131)]
            assert len({one.fill_id for one in fills}) == 130
            later = await here.connector.fills(BTC, time.time_ns() + SECOND)
            assert later == []

    run(work)


def test_balances_are_totals_under_common_names() -> None:
    async def work() -> None:
        async with world() as here:
            await placed(here, 1)
            balances = await here.connector.balances()
            assert {asset: str(total.normalize()) for asset, total in balances.items()} == {
                "BTC": "1",
                "USDT": "1E+4",
            }
            assert await here.connector.positions() == []

    run(work)


def test_rules_are_those_of_the_listed_pair_with_the_accounts_fees() -> None:
    async def work() -> None:
        async with world() as here:
            rules = await here.connector.rules([BTC, "NOPE"])
            assert list(rules) == [BTC]
            one = rules[BTC]
            assert (one.native, one.base, one.quote, one.kind) == ("XBTUSDT", "BTC", "USDT", "spot")
            assert (str(one.tick), str(one.lot)) == ("0.1", "0.001")
            assert (one.maker_bps, one.taker_bps) == (1, 5)
            assert (one.min_notional, one.min_quantity) == (5, one.lot)
            assert one.trading

    run(work)


def test_the_pairs_counter_refuses_the_impatient_and_never_a_cancel() -> None:
    async def work() -> None:
        watch = Watch(T0)
        async with world(clock=watch, tier=STARTER) as here:
            for number in range(1, 8):  # each: +1 for adding, +8 for cancelling at once
                await placed(here, number)
                assert await here.connector.cancel([ref(number)]) == [None]
            [refused] = await here.connector.place([order(50)])
            assert isinstance(refused, RateLimited), refused
            assert (refused.code, refused.banned) == ("EOrder:Rate limit exceeded", False)
            assert here.desk.open_orders() == []
            watch.now_ns += int(refused.retry_after_s * SECOND)
            await placed(here, 51)

    run(work)


def test_the_key_says_what_it_may_do() -> None:
    async def work() -> None:
        async with world() as here:
            told = await here.connector.permissions()
            assert (told.trade, told.withdraw) == (True, False)
            here.server.rights = (*here.server.rights, "withdraw-funds")
            assert (await here.connector.permissions()).withdraw
            here.server.rights = ()
            tried = await here.connector.permissions()
            assert (tried.trade, tried.withdraw) == (True, False)
            assert "does not say" in tried.text
            assert here.desk.orders == {}

    run(work)


def test_a_wrong_secret_and_a_wrong_key_are_told_apart_from_a_refusal() -> None:
    async def work() -> None:
        for wrong in (
            Credentials(KEYS.key, "c2VjcmV0"),
            Credentials(KEYS.key, "no base64"),
            Credentials("NOBODY", KEYS.secret),
        ):
            async with world(credentials=wrong) as here:
                with pytest.raises(AuthenticationFailed):
                    await here.connector.balances()
                [answer] = await here.connector.place([order(1)])
                assert isinstance(answer, AuthenticationFailed)

    run(work)


def test_a_nonce_that_is_too_low_is_caught_up_with_or_told() -> None:
    async def work() -> None:
        async with world() as here:
            here.server._last_nonce = time.time_ns() + 30 * SECOND  # another program on the key, clock ahead
            await placed(here, 1)
            here.server._last_nonce = time.time_ns() + 3600 * SECOND
            with pytest.raises(ClockSkewed):
                await here.connector.balances()

    run(work)


def test_many_requests_at_once_leave_with_rising_nonces() -> None:
    async def work() -> None:
        async with world() as here:
            answers = await asyncio.gather(*(here.connector.place([order(n)]) for n in range(1, 16)))
            assert all(isinstance(one, Placed) for [one] in answers)

    run(work)


@pytest.mark.parametrize("kind", ["html_body", "truncated_body", "drop_reply", "status_unknown"])
def test_an_order_whose_answer_is_lost_or_unreadable_is_left_open(kind: str) -> None:
    async def work() -> None:
        faults = plan({"kind": kind, "operations": ("place",), "times": (1,)})
        async with world(faults) as here:
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown), answer
            found = await here.connector.order(ref(1))
            assert (found is None) == (here.desk.open_orders() == [])
            assert faults.fired() == {kind: 1}

    run(work)


def test_a_request_that_never_arrived_leaves_no_order() -> None:
    async def work() -> None:
        async with world(plan({"kind": "drop_request", "operations": ("place",), "times": (1,)})) as here:
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown)
            assert await here.connector.order(ref(1)) is None

    run(work)


def test_the_same_id_sent_again_while_its_order_is_open_shows_that_it_arrived() -> None:
    async def work() -> None:
        async with world(plan({"kind": "drop_reply", "operations": ("place",), "times": (1,)})) as here:
            await here.connector.place([order(1)])
            [again] = await here.connector.place([order(1)])
            assert isinstance(again, OutcomeUnknown), again
            assert len(here.desk.open_orders()) == 1

    run(work)


def test_a_batch_answered_too_short_leaves_every_order_open() -> None:
    async def work() -> None:
        async with world(plan({"kind": "short_batch", "operations": ("place",), "times": (1,)})) as here:
            answers = await here.connector.place([order(1), order(2)])
            assert all(isinstance(one, OutcomeUnknown) for one in answers), answers

    run(work)


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("html_body", "open_orders"), ("truncated_body", "balances"), ("null_price", "open_orders")],
)
def test_an_unreadable_answer_to_a_question_is_unavailable(kind: str, operation: str) -> None:
    async def work() -> None:
        async with world(plan({"kind": kind, "operations": (operation,), "times": (1,)})) as here:
            await placed(here, 1)
            with pytest.raises(Unavailable):
                await (
                    here.connector.open_orders if operation == "open_orders" else here.connector.balances
                )()

    run(work)


def test_a_status_nobody_knows_is_neither_success_nor_failure() -> None:
    async def work() -> None:
        rule = {"kind": "unknown_status", "operations": ("open_orders",), "times": (1,)}
        async with world(plan(rule)) as here:
            await placed(here, 1)
            [seen] = await here.connector.open_orders()
            assert seen.status is SnapshotStatus.UNREADABLE

    run(work)


@pytest.mark.parametrize(("kind", "banned"), [("rate_limit", False), ("ban", True)])
def test_too_many_requests_and_a_lockout_say_when_to_come_back(kind: str, banned: bool) -> None:
    async def work() -> None:
        rule = {"kind": kind, "operations": ("balances",), "times": (1,), "retry_after": 0.01}
        async with world(plan(rule)) as here:
            with pytest.raises(RateLimited) as caught:
                await here.connector.balances()
            assert caught.value.banned is banned
            assert caught.value.retry_after_s > 0

    run(work)


def test_maintenance_leaves_an_order_open_and_a_question_unanswered() -> None:
    async def work() -> None:
        async with world(plan({"kind": "maintenance", "operations": ("place",), "seconds": 5.0})) as here:
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, OutcomeUnknown)
            with pytest.raises(Unavailable):
                await here.connector.open_orders()

    run(work)


def test_the_dead_man_cancels_everything_once() -> None:
    async def work() -> None:
        watch = Watch(T0)
        async with world(clock=watch) as here:
            await placed(here, 1)
            await here.connector.arm_dead_man(60)
            watch.now_ns += 59 * SECOND
            assert len(await here.connector.open_orders()) == 1
            await here.connector.arm_dead_man(60)
            watch.now_ns += 61 * SECOND
            assert await here.connector.open_orders() == []
            ended = await here.connector.order(ref(1))
            assert ended is not None
            assert ended.status is SnapshotStatus.CANCELLED
            await placed(here, 2)
            watch.now_ns += 3600 * SECOND
            assert len(await here.connector.open_orders()) == 1
            await here.connector.arm_dead_man(60)
            await here.connector.arm_dead_man(0)
            watch.now_ns += 3600 * SECOND
            assert len(await here.connector.open_orders()) == 1

    run(work)


def test_cancelling_all_of_a_symbol_ends_foreign_orders_too() -> None:
    async def work() -> None:
        async with world() as here:
            for number in range(1, 4):
                await placed(here, number)
            here.desk.place(order(9, client_order_id=""), time.time_ns())
            foreign = [one for one in await here.connector.open_orders() if not one.client_order_id]
            assert len(foreign) == 1
            await here.connector.cancel_all(BTC)
            assert here.desk.open_orders() == []
            await here.connector.cancel_all(BTC)

    run(work)


def test_the_exchanges_clock_is_told_to_half_a_second() -> None:
    async def work() -> None:
        async with world() as here:
            assert abs(await here.connector.server_time_ns() - time.time_ns()) <= SECOND

    run(work)


def test_nothing_is_sent_after_closing() -> None:
    async def work() -> None:
        async with world() as here:
            await here.connector.close()
            [answer] = await here.connector.place([order(1)])
            assert isinstance(answer, OrderRefused)
            assert here.desk.orders == {}

    run(work)
