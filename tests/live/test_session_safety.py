"""What keeps the account safe: limits, clocks, circuits, switches, and the stop."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal

import attrs
import pytest
from session_rig import T0, Quote, Rig, play

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Gap,
    OrderRefused,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from grinder.live.session.guarding import cool_down_s


def paused(rig: Rig) -> list[tuple[str, str]]:
    pauses = rig.core.state_of("portfolio").pauses
    return sorted((reason, symbol) for symbol in pauses for reason in pauses[symbol])


def test_f19_steps_that_changed_pause_the_symbol() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.rule = attrs.evolve(rig.exchange.rule, tick=Decimal("0.5"))
        await asyncio.sleep(3_601)
        assert paused(rig) == [("instrument_changed", "COINUSD")]
        assert "instrument_changed" in rig.kinds()
        rig.exchange.rule = attrs.evolve(rig.exchange.rule, tick=Decimal(1))
        await asyncio.sleep(3_601)
        assert paused(rig) == []

    play(story)


def test_f19_a_filter_refusal_reads_the_rules_at_once_and_there_is_no_hot_loop() -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(100)
        rig.exchange.next["place"] = [OrderRefused("-1013", "Filter failure: PRICE_FILTER")] * 500
        await rig.start(levels=1)
        asked = len(rig.exchange.sent("rules"))
        await asyncio.sleep(300)
        assert len(rig.exchange.sent("rules")) > asked
        assert len(rig.exchange.sent("place")) < 20

    play(story)


def test_a_smallest_value_that_changed_is_listed_anew() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.rule = attrs.evolve(
            rig.exchange.rule, min_notional=Decimal(50), maker_bps=Decimal("1.5"), taker_bps=Decimal(4)
        )
        await asyncio.sleep(3_601)
        listed = rig.books().instruments["COINUSD"]
        assert (listed.min_notional, listed.maker_fee_ppm, listed.taker_fee_ppm) == (50, 150, 400)
        assert paused(rig) == []

    play(story)


def test_f20_an_order_without_funds_is_refused_shown_and_tried_ever_more_rarely() -> None:
    async def story(rig: Rig) -> None:
        broke = OrderRefused("-2010", "Account has insufficient balance for requested action.")
        rig.exchange.next["place"] = [broke] * 500
        await rig.start(levels=1)
        await asyncio.sleep(600)
        assert "order_refused" in rig.kinds()
        assert 2 <= len(rig.exchange.sent("place")) <= 11
        assert rig.records("OrderRejectedReport")[0].text == broke.text

    play(story)


def test_f25_nothing_is_sent_after_the_stop() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=3)
        rig.tick(80)
        rig.session.wire.ready = False
        for held in rig.exchange.resting():
            rig.exchange.execute(held, 10)
        await asyncio.sleep(0)
        rig.session.wire.ready = True  # orders are queued, their tasks are made, none has run yet
        rig.session._pump()
        rig.session.stop()
        asked = len(rig.exchange.asked)
        rig.session.submit(rig.records("OrderSubmitted")[-1], rig.clock())
        await asyncio.sleep(600)
        assert len(rig.exchange.asked) == asked
        await rig.reborn()
        await asyncio.sleep(60)
        sent = rig.exchange.sent("place")
        assert len(sent) == len(set(sent))

    play(story)


def test_f25_a_slow_answer_after_the_stop_tells_nothing() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["silent"]
        await rig.start(levels=1)
        rows = len(rig.journal.rows)
        rig.session.stop()
        await asyncio.sleep(60)
        assert not rig.records("OrderAcceptedReport") and not rig.records("NoAnswerReport")
        assert len(rig.journal.rows) == rows

    play(story)


@pytest.mark.parametrize("banned", [False, True])
def test_f28_back_off_survives_a_restart(banned: bool) -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.reads["open_orders"] = [RateLimited("-1003", "too much", 300.0, banned=banned)]
        await rig.session.reconcile("operator")
        asked = len(rig.exchange.asked)
        limited = rig.clock()
        for _ in range(3):  # a restart loop
            await rig.die()
            reborn = asyncio.create_task(rig.reborn())
            await asyncio.sleep(20)
            reborn.cancel()
            assert len(rig.exchange.asked) == asked
        await rig.die()
        await rig.reborn()
        assert rig.exchange.asked[asked][0] >= limited + 300 * 10**9
        await asyncio.sleep(5)
        assert {rig.status(i) for i in rig.ids()} == {"open"}

    play(story)


def test_f29_while_limited_only_cancels_leave_and_while_banned_nothing() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        first, second = rig.ids()
        rig.exchange.next["place"] = [RateLimited("-1003", "too many", 60.0)]
        rig.exchange.execute(rig.exchange.of(second)[0], 10)
        await asyncio.sleep(1)
        asked = len(rig.exchange.asked)
        await asyncio.sleep(30)
        assert len(rig.exchange.asked) == asked
        rig.exchange.next["cancel"] = [RateLimited("-1003", "banned", 120.0, banned=True)]
        rig.session.cancelling.want(first, "COINUSD")
        rig.session.cancelling.pump()
        await asyncio.sleep(1)
        assert [what for _, what, _ in rig.exchange.asked[asked:]] == ["cancel"]
        asked = len(rig.exchange.asked)
        await asyncio.sleep(115)
        assert len(rig.exchange.asked) == asked, "Retry-After is honoured"
        await asyncio.sleep(10)
        assert rig.status(first) == "cancelled"
        assert [one.banned for one in rig.records("RateLimitReport")] == [False, True]

    play(story)


@pytest.mark.parametrize("seconds", [10, -10])
def test_f30_a_clock_that_drifts_pauses_trading_until_it_is_right_again(seconds: int) -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.drift_ns = seconds * 10**9
        rig.exchange.reads["open_orders"] = [ClockSkewed("-1021", "recvWindow")]
        await rig.session.reconcile("operator")
        await asyncio.sleep(1)
        assert paused(rig) == [("clock_drift", "")]
        rig.exchange.drift_ns = 0
        await asyncio.sleep(61)
        assert paused(rig) == []

    play(story)


def test_f31_announced_maintenance_takes_the_dead_man_switch_off_first() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        assert rig.exchange.armed and 0 not in rig.exchange.armed
        await rig.session.expect_maintenance("from 04:00 on")
        assert rig.exchange.armed[-1] == 0 and paused(rig) == [("maintenance", "")]
        closed = [Unavailable("maintenance")] * 4
        rig.exchange.reads["open_orders"] = closed
        await asyncio.sleep(25)
        assert rig.exchange.armed[-1] == 0, "it stays off"
        await asyncio.sleep(1_000)
        assert paused(rig) == [] and rig.exchange.armed[-1] == 60
        assert {rig.status(i) for i in rig.ids()} == {"open"}

    play(story)


def test_f31_maintenance_a_stream_tells_of_does_the_same() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.session.signal("market", Gap(stream="market", detail="the exchange is in maintenance mode"))
        await asyncio.sleep(1)
        assert rig.exchange.armed[-1] == 0 and paused(rig) == [("maintenance", "")]

    play(story)


def test_f32_the_switch_is_refreshed_well_before_it_fires() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        await asyncio.sleep(300)
        times = [at for at, what, _ in rig.exchange.asked if what == "dead_man"]
        placed = [at for at, what, _ in rig.exchange.asked if what == "place"]
        assert times[0] < placed[0], "armed before the first order"
        assert max(b - a for a, b in itertools.pairwise(times)) <= 21 * 10**9
        assert set(rig.exchange.armed) == {60}

    play(story)


def test_five_failures_in_a_row_open_the_circuit_and_a_reading_request_closes_it() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        down = [Unavailable("503")] * 4
        rig.exchange.reads = {what: list(down) for what in ("fills", "open_orders", "time", "balances")}
        await asyncio.sleep(140)
        assert "circuit_open" in [one.reason for one in rig.records("PauseTrading")]
        assert not [one for one in rig.exchange.resting() if one.terms.client_order_id in rig.ids()[:2]]
        await asyncio.sleep(600)
        assert paused(rig) == []
        assert len(rig.exchange.resting()) == 2, "the grid is there again"

    play(story)


def test_the_fifth_failure_in_a_row_opens_the_circuit_and_the_fourth_does_not() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        session = rig.session

        def fail(times: int) -> None:
            for _ in range(times):
                session.wire.failed("time", Unavailable("503"))

        fail(4)
        assert session.circuit.state == "closed"
        session.wire.succeeded()
        fail(4)
        assert session.circuit.state == "closed", "a success begins the count anew"
        session.wire.failed("place", OrderRefused("-2010", "Filter failure: MIN_NOTIONAL"))
        fail(4)
        assert session.circuit.state == "closed", "a refusal is an answer"
        fail(1)
        assert session.circuit.state == "open"
        assert paused(rig) == [("circuit_open", "")]

    play(story)


def test_the_wait_before_the_next_try_doubles_up_to_thirty_two_times() -> None:
    assert [cool_down_s(10.0, trips) for trips in range(1, 9)] == [10, 20, 40, 80, 160, 320, 320, 320]


def test_a_circuit_that_opens_again_soon_waits_longer_and_one_that_held_begins_anew() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        session = rig.session

        async def opened_for() -> float:
            for _ in range(5):
                session.wire.failed("time", Unavailable("503"))
            began = rig.clock()
            while session.circuit.state != "closed":
                await asyncio.sleep(0.1)
            return (rig.clock() - began) / 10**9

        waits = [await opened_for(), await opened_for()]
        rig.exchange.reads["open_orders"] = [Unavailable("503")]
        waits.append(await opened_for())
        await asyncio.sleep(601)
        waits.append(await opened_for())
        assert [round(one, -1) for one in waits] == [10, 20, 40 + 80, 10], waits

    play(story, reconcile_every_s=10**6, fills_every_s=10**6)


def test_orders_of_unknown_outcome_open_the_circuit_as_well() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [OutcomeUnknown("504")] * 5
        rig.exchange.capabilities = attrs.evolve(rig.exchange.capabilities, place_batch=1)
        rig.exchange.reads["order"] = [Unavailable("503")] * 5
        await rig.start(levels=5, price=150)
        await asyncio.sleep(1)
        assert ("circuit_open", "") in paused(rig)
        await asyncio.sleep(300)
        assert paused(rig) == [] and len(rig.exchange.resting()) == 5

    play(story)


def test_an_old_quote_pauses_and_an_older_one_cancels() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)

        def quote() -> None:
            now = rig.clock()
            rig.session.signal("market", Quote(
                symbol="COINUSD", bid_ticks=104, ask_ticks=106, bid_lots=1, ask_lots=1,
                exchange_ns=now, received_ns=now,
            ))  # fmt: skip

        quote()
        await asyncio.sleep(28)
        assert paused(rig) == []
        await asyncio.sleep(10)
        assert paused(rig) == [("stream_stale", "COINUSD")] and rig.exchange.resting()
        await asyncio.sleep(100)
        assert not rig.exchange.resting()
        quote()
        assert paused(rig) == []
        await asyncio.sleep(3)
        assert len(rig.exchange.resting()) == 1

    play(story, quote_pause_s=30, quote_cancel_s=120)


def test_a_refused_key_pauses_and_cries_out() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [AuthenticationFailed("-2015", "Invalid API-key, IP, or permissions")]
        await rig.start(levels=1)
        assert ("authentication", "") in paused(rig)
        assert [one.level for one in rig.alerts if one.kind == "authentication"] == ["CRITICAL"]
        assert rig.records("OrderRejectedReport")[0].reason == "authentication"

    play(story)


def test_every_order_is_cancelled_and_confirmed_before_a_graceful_end() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=3)
        rig.exchange.next["cancel"] = ["received", "dropped", "lost"]
        assert await rig.session.cancel_working() == ()
        assert not rig.exchange.resting()
        assert await rig.session.drain(5.0)
        assert rig.exchange.armed[-1] == 60, "it is the last thing that is taken off"
        assert await rig.session.release()
        assert rig.exchange.armed[-1] == 0, "nothing is left, so the switch is taken off"

    play(story)


def test_kept_orders_outlive_the_run_because_the_switch_is_taken_off_last() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=3)
        assert await rig.session.drain(5.0)
        assert rig.exchange.armed[-1] == 60
        arm, refused = rig.exchange.arm_dead_man, 0

        async def twice_away(seconds: int) -> None:
            nonlocal refused
            if refused < 2:
                refused += 1
                raise Unavailable("503")
            await arm(seconds)

        rig.exchange.arm_dead_man = twice_away  # type: ignore[method-assign]
        assert await rig.session.release(keep_orders=True)
        assert rig.exchange.armed[-1] == 0 and refused == 2
        rig.session.stop()
        await asyncio.sleep(600)
        assert len(rig.exchange.resting()) == 3
        assert rig.exchange.armed[-1] == 0, "nothing armed it again"

    play(story)


def test_a_switch_that_stays_armed_over_kept_orders_is_told() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)

        async def away(seconds: int) -> None:
            raise Unavailable("503")

        rig.exchange.arm_dead_man = away  # type: ignore[method-assign]
        assert not await rig.session.release(keep_orders=True)
        assert "dead_man_not_disarmed" in rig.kinds()

    play(story)


def test_a_refresh_on_its_way_cannot_arm_the_switch_again_after_it_was_taken_off() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        arm = rig.exchange.arm_dead_man

        async def slow(seconds: int) -> None:
            await asyncio.sleep(3.0 if seconds else 0.0)
            await arm(seconds)

        rig.exchange.arm_dead_man = slow  # type: ignore[method-assign]
        refreshing = asyncio.get_running_loop().create_task(rig.session.dead_man.refresh())
        await asyncio.sleep(1.0)
        await rig.session.release(keep_orders=True)
        await refreshing
        assert rig.exchange.armed[-2:] == [60, 0]

    play(story)


def test_refreshings_of_the_switch_that_fail_are_told_at_the_second() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)

        async def away(seconds: int) -> None:
            raise Unavailable("503")

        rig.exchange.arm_dead_man = away  # type: ignore[method-assign]
        await rig.session.dead_man.refresh()
        assert "dead_man_not_refreshed" not in rig.kinds()
        await rig.session.dead_man.refresh()
        await rig.session.dead_man.refresh()
        assert rig.kinds().count("dead_man_not_refreshed") == 1
        del rig.exchange.arm_dead_man
        await rig.session.dead_man.refresh()
        assert rig.exchange.armed[-1] == 60

    play(story)


def test_orders_that_cannot_be_cancelled_are_named_and_the_switch_stays_armed() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        rig.exchange.next["cancel"] = [OutcomeUnknown("504")] * 1_000
        left = await rig.session.cancel_working()
        assert sorted(left) == sorted(rig.ids()) and "orders_left" in rig.kinds()
        await rig.session.drain(5.0)
        assert not await rig.session.release()
        assert rig.exchange.armed[-1] == 60

    play(story, cancel_all_s=10)


def test_pauses_of_an_earlier_process_end_when_their_cause_is_over() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.drift_ns = 5 * 10**9
        await asyncio.sleep(61)
        assert paused(rig) == [("clock_drift", "")]
        await rig.die()
        rig.exchange.drift_ns = 0
        await rig.reborn()
        assert paused(rig) == []
        assert rig.clock() > T0

    play(story)


def test_no_order_leaves_while_the_switch_cannot_be_armed() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.arm_dead_man = refuse  # type: ignore[method-assign]
        await rig.start(levels=1)
        await asyncio.sleep(60)
        assert not rig.exchange.sent("place") and "unguarded" in rig.kinds()
        del rig.exchange.arm_dead_man
        await asyncio.sleep(120)
        assert len(rig.exchange.resting()) == 1

    async def refuse(seconds: int) -> None:
        raise Unavailable("503")

    play(story)


def test_a_task_that_fails_unexpectedly_ends_the_session() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)

        async def broken(symbol: str, since_ns: int) -> None:
            raise KeyError("a mistake of ours")

        rig.exchange.fills = broken  # type: ignore[assignment, method-assign]
        await asyncio.sleep(61)
        assert rig.running is not None and rig.running.done()
        with pytest.raises(KeyError):
            rig.running.result()
        rig.running = None

    play(story)
