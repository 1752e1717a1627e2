"""The Kraken connector against the simulated Kraken, over real sockets."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from kraken_world import KEYS, World, client_id, order, quick_streams, run, world
from toys import BTC, SECOND, T0, USDT, Watch, desk_at, plan

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Gap,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    RateLimited,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.inputs import FillReport
from grinder.secrets import Credentials
from grinder.simulated.protocols.kraken_counters import STARTER


def ref(number: int, exchange_order_id: str = "") -> OrderRef:
    return OrderRef(client_order_id=client_id(number), exchange_order_id=exchange_order_id, symbol=BTC)


async def placed(here: World, number: int, side: str = "buy", price: int = 600_000, lots: int = 10) -> Placed:
    [answer] = await here.connector.place([order(number, side, price, lots)])
    assert isinstance(answer, Placed), answer
    return answer


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


def test_the_stream_tells_quotes_trades_orders_and_fills() -> None:
    async def work() -> None:
        async with world() as here, here.listening() as told:
            await told.until(lambda: bool(told.of(Quote)))
            answer = await placed(here, 1, "buy", 609_000, 30)
            here.quoted(608_990, 609_010)
            here.traded(609_000, 40)
            await told.until(
                lambda: any(one.status is SnapshotStatus.FILLED for one in told.of(OrderSnapshot))
            )
            [fill] = told.of(FillReport)
            assert (fill.client_order_id, fill.exchange_order_id) == (client_id(1), answer.exchange_order_id)
            assert (fill.price_ticks, fill.lots, fill.side, fill.liquidity) == (609_000, 30, "buy", "maker")
            value = 609_000 * 30 * 10**4
            assert (fill.fee_asset, fill.fee_units, fill.fee_value) == (
                "USDT",
                value // 10_000,
                value // 10_000,
            )
            states = [one.status for one in told.of(OrderSnapshot)]
            assert states[:2] == [SnapshotStatus.PENDING, SnapshotStatus.WORKING]
            assert told.of(OrderSnapshot)[-1].filled_lots == 30
            [trade] = told.of(Trade)
            assert (trade.price_ticks, trade.lots, trade.buyer_took) == (609_000, 40, False)
            assert [(one.bid_ticks, one.ask_ticks) for one in told.of(Quote)][-1] == (608_990, 609_010)
            [same] = await here.connector.fills(BTC, 0)
            assert same == fill
            assert not told.of(Gap)

    run(work)


def test_a_cancel_on_the_stream_names_the_order_it_ended() -> None:
    async def work() -> None:
        async with world() as here, here.listening() as told:
            await placed(here, 1)
            await here.connector.cancel([ref(1)])
            await told.until(
                lambda: any(one.status is SnapshotStatus.CANCELLED for one in told.of(OrderSnapshot))
            )
            ended = told.of(OrderSnapshot)[-1]
            assert (ended.client_order_id, ended.symbol, ended.side) == (client_id(1), BTC, "buy")
            assert (ended.lots, ended.filled_lots, ended.reason) == (10, 0, "User requested")

    run(work)


def test_the_private_stream_begins_with_what_is_open_and_what_was_filled() -> None:
    async def work() -> None:
        async with world() as here:
            await placed(here, 1, "buy", 609_000, 30)
            here.desk.place(order(2, "buy", 610_010, 5, time_in_force="ioc"), time.time_ns())
            async with here.listening() as told:
                await told.until(lambda: bool(told.of(FillReport)))
                assert [one.client_order_id for one in told.of(OrderSnapshot)] == [client_id(1)]
                assert [one.client_order_id for one in told.of(FillReport)] == [client_id(2)]

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


def test_a_wrong_checksum_is_a_gap_and_brings_a_fresh_book() -> None:
    async def work() -> None:
        faults = plan({"kind": "bad_checksum", "operations": ("market",), "times": (2, 4)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                here.quoted(609_000, 609_020)
                here.quoted(609_100, 609_120)  # told with a wrong checksum
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_100)
                [gap] = told.of(Gap)
                assert "checksum" in gap.detail
                snapshots = [one for _, one, _ in told.frames if '"type":"snapshot"' in str(one)]
                assert sum('"channel":"book"' in str(one) for one in snapshots) == 2
                here.quoted(609_200, 609_220)
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_200)
                here.quoted(609_300, 609_320)  # and again
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_300)
                assert len(told.of(Gap)) == 2
                assert told.ups.count("public") == 3  # it is told that all is well again
                assert not told.downs  # the book was subscribed anew, nothing else

    run(work)


def test_a_book_that_does_not_come_anew_renews_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        faults = plan({"kind": "bad_checksum", "operations": ("market",), "times": (1,)})
        with quick_streams():
            async with world(faults) as here:
                talk = here.server._channels.talk

                async def deaf(socket: Any, text: str) -> None:
                    if len(socket.topics) < 2:  # deaf from its first two subscriptions on
                        await talk(socket, text)

                here.server._channels.talk = deaf  # type: ignore[method-assign]
                async with here.listening() as told:
                    await told.until(lambda: bool(told.of(Quote)))
                    here.quoted(609_000, 609_020)
                    await told.until(lambda: told.ups.count("public") == 2)
                    assert any("no snapshot" in one for one in told.downs)
                    await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_000)

    monkeypatch.setattr("grinder.connectors.kraken.renewing.SNAPSHOT_S", 0.05)
    run(work)


def test_a_message_left_out_shows_in_the_next_checksum() -> None:
    async def work() -> None:
        faults = plan({"kind": "sequence_gap", "operations": ("market",), "times": (2,)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                here.quoted(609_000, 609_020)
                here.quoted(609_100, 609_120, 700)  # never sent
                here.quoted(609_102, 609_122, 800)
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_102)
                assert "checksum" in told.of(Gap)[0].detail

    run(work)


def test_a_thousand_moves_of_the_market_never_break_the_copy_and_decode_again_from_the_tape() -> None:
    async def work() -> None:
        chance = random.Random(7)
        async with world() as here, here.listening() as told:
            await placed(here, 1, "buy", 600_000, 30)
            bid = 609_990
            for _ in range(1_000):
                bid += chance.choice((-40, -3, -1, 0, 1, 2, 5, 30))
                here.quoted(bid, bid + chance.randrange(1, 25), chance.randrange(1, 9_000))
                if chance.randrange(5) == 0:
                    here.traded(bid, chance.randrange(1, 50))
                if chance.randrange(20) == 0:
                    await asyncio.sleep(0)
            here.traded(600_000, 10)
            await told.until(lambda: told.of(Quote)[-1].bid_ticks == bid)
            await told.until(lambda: bool(told.of(FillReport)))
            assert not told.of(Gap)
            assert len(told.of(Quote)) > 900
            decoder = here.connector.decoder()
            again = [signal for frame in told.frames for signal in decoder.decode(*frame)]
            assert again == told.signals

    run(work)


def test_a_private_stream_that_is_cut_comes_back_and_tells_what_is_open() -> None:
    async def work() -> None:
        with quick_streams():
            async with world() as here, here.listening() as told:
                await placed(here, 1)
                here.server.hang_up(private=True)
                here.desk.place(order(2, "buy", 610_010, 5, time_in_force="ioc"), time.time_ns())
                await told.until(lambda: told.ups.count("private") == 2)
                await told.until(lambda: bool(told.of(FillReport)))
                assert told.of(OrderSnapshot)[-1].client_order_id == client_id(1)

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
