"""Books against exchange: at the start, after a crash, and every minute."""

from __future__ import annotations

import asyncio

import attrs
from session_rig import CANCELLED, Rig, play

from actors.ports import Expired, Gap, OutcomeUnknown, Unavailable
from domain.inputs import CorrectBalance


def test_f06_an_order_the_list_omits_is_asked_for_singly_before_anything_is_said() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        rig.exchange.omitted = [rig.exchange.resting()[0].exchange_id]
        await asyncio.sleep(600)
        assert {rig.status(i) for i in rig.ids()} == {"open"}
        assert rig.exchange.resting()[0].terms.client_order_id in rig.exchange.sent("order")
        assert not rig.records("OrderCancelledReport") and not rig.records("OrderAbsentReport")

    play(story)


def test_an_order_that_ended_unseen_is_found_by_the_next_reconciliation() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.streaming = False
        rig.exchange.execute(held, 4)
        rig.exchange.end(held, CANCELLED)
        await asyncio.sleep(62)
        assert rig.status(held.terms.client_order_id) == "cancelled"
        assert [one.lots for one in rig.records("OrderFilled")] == [4], "the executions came first"

    play(story)


def test_f18_a_cancel_nobody_asked_for_is_shown() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.end(held, CANCELLED, "STP")
        (report,) = rig.records("OrderCancelledReport")
        assert report.reason == "STP"
        assert "external_cancel" in rig.kinds()

    play(story)


def test_f21_holdings_that_differ_at_the_start_are_shown_and_pause_the_symbol() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.coins = 7
        await rig.start(levels=1)
        (found,) = rig.records("DifferenceFound")
        assert (found.subject, found.books, found.exchange) == ("COIN", 0, 7)
        assert not rig.ids(), "the symbol waits for a person"
        assert "difference" in rig.kinds()

    play(story, start_difference_s=3)


def test_a_difference_that_goes_away_by_itself_is_none() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.coins = 7
        rig.loop.call_later(5, lambda: setattr(rig.exchange, "coins", 0))
        await rig.start(levels=1)
        assert not rig.records("DifferenceFound") and rig.ids()

    play(story, start_difference_s=10)


def test_a_withdrawal_by_hand_is_a_difference_once_it_has_lasted() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.dollars -= 20_000
        await asyncio.sleep(70)
        assert not rig.records("DifferenceFound"), "executions may lag behind balances"
        await asyncio.sleep(120)
        (found,) = rig.records("DifferenceFound")
        assert (found.subject, found.exchange) == ("USD", 80_000)
        await asyncio.sleep(600)
        assert len(rig.records("DifferenceFound")) == 1, "said once"

    play(story)


def test_a_second_withdrawal_of_the_same_amount_is_another_difference_and_waits_as_long() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.dollars -= 20_000
        await asyncio.sleep(200)
        (found,) = rig.records("DifferenceFound")
        taken = CorrectBalance(
            subject=found.subject, units=-20_000, price_ticks=0, reason="seen", operator="ann"
        )
        rig.exchange.dollars -= 20_000
        rig.learn(taken)
        await asyncio.sleep(70)
        assert len(rig.records("DifferenceFound")) == 1, "it may be executions again"
        await asyncio.sleep(120)
        assert [one.exchange for one in rig.records("DifferenceFound")] == [80_000, 60_000]
        assert rig.kinds().count("difference") == 2

    play(story)


def test_f22_an_order_that_cannot_be_found_at_the_start_is_unknown_and_not_assumed() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        await rig.die()
        held = rig.exchange.orders.pop(rig.exchange.resting()[0].exchange_id)
        rig.exchange.reads["order"] = [Unavailable("503")] * 3
        await rig.reborn()
        assert rig.status(order) == "open", "nobody knows yet"
        assert not rig.records("OrderAbsentReport") and not rig.records("OrderCancelledReport")
        rig.exchange.orders[held.exchange_id] = held
        await asyncio.sleep(120)
        assert rig.status(order) == "open"

    play(story)


def test_f22_an_order_that_died_with_its_answer_is_asked_for_at_the_start() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["silent"]
        await rig.start(levels=1)
        await rig.die()
        await rig.reborn()
        (order,) = rig.ids()
        await asyncio.sleep(1)
        assert rig.records("NoAnswerReport") and rig.status(order) == "open"
        assert rig.exchange.sent("place") == [order]

    play(story)


def test_f23_foreign_orders_are_reported_and_left_alone() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        mine = rig.exchange.resting()[0].terms
        by_hand = rig.exchange.put(attrs.evolve(mine, client_order_id=""))
        other = rig.exchange.put(attrs.evolve(mine, client_order_id="deadbeef" + "0" * 24))
        await asyncio.sleep(200)
        last = rig.records("ReconciliationReport")[-1]
        assert last.foreign_orders == (by_hand.exchange_id, other.exchange_id)
        assert rig.kinds().count("foreign_orders") == 1
        rig.exchange.execute(by_hand, 1)
        left = await rig.session.cancel_working()
        assert left == () and rig.exchange.resting() == [by_hand, other]
        assert not rig.records("OrphanOrderReport")

    play(story)


def test_f24_an_order_of_ours_the_books_do_not_know_is_cancelled_before_trading() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        mine = rig.exchange.resting()[0].terms
        await rig.die()
        orphan = rig.exchange.put(attrs.evolve(mine, client_order_id="c0ffee00" + "a" * 24))
        await rig.reborn()
        await asyncio.sleep(1)
        assert orphan.status is CANCELLED
        assert [one.exchange_order_id for one in rig.records("OrphanCancelSubmitted")] == [orphan.exchange_id]
        await asyncio.sleep(120)
        assert len(rig.records("OrphanOrderReport")) == 1

    play(story)


def test_f24_nothing_new_leaves_before_what_was_left_open_is_settled() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["dropped", "silent"]
        await rig.start(levels=2)
        mine = rig.records("OrderSubmitted")[0].terms
        await rig.die()
        orphan = rig.exchange.put(attrs.evolve(mine, client_order_id="c0ffee00" + "a" * 24))
        rig.exchange.next["cancel"] = ["dropped", "received"]
        placed = len(rig.exchange.sent("place"))
        await rig.reborn()
        assert len(rig.exchange.sent("place")) == placed
        assert orphan.status is CANCELLED
        assert sorted(rig.status(i) for i in rig.ids()[:2]) == ["absent", "open"]
        await asyncio.sleep(5)
        assert len(rig.exchange.resting()) == 2
        assert "unsettled_start" not in rig.kinds()

    play(story)


def test_f24_trading_waits_for_as_long_as_an_orphan_works_and_says_so() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        mine = rig.exchange.resting()[0].terms
        await rig.die()
        orphan = rig.exchange.put(attrs.evolve(mine, client_order_id="c0ffee00" + "a" * 24))
        rig.exchange.next["cancel"] = [OutcomeUnknown("504")] * 10_000
        starting = asyncio.get_running_loop().create_task(rig.reborn())
        await asyncio.sleep(600)
        assert not starting.done() and not rig.session.wire.ready
        assert orphan.status is not CANCELLED
        told = [one.level for one in rig.alerts if one.kind == "unsettled_start"]
        assert set(told) == {"CRITICAL"} and len(told) >= 9
        rig.exchange.next["cancel"] = []
        await asyncio.wait_for(starting, 60)
        assert orphan.status is CANCELLED and rig.session.wire.ready

    play(story)


def test_f22_trading_waits_a_minute_for_an_order_nobody_knows_of_and_goes_on_asking_for_it() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["dropped", "dropped"]
        await rig.start(levels=2)
        await rig.die()
        rig.exchange.reads["order"] = [Unavailable("503")] * 40
        began = rig.clock()
        await rig.reborn()
        assert 60 <= (rig.clock() - began) / 10**9 <= 62
        assert [rig.status(one) for one in rig.ids()] == ["unknown", "unknown"], "never assumed"
        assert [one.level for one in rig.alerts if one.kind == "unsettled_start"] == ["WARNING"]
        assert len(rig.exchange.sent("place")) == 2, "each keeps its level"
        await asyncio.sleep(1_800)
        assert [rig.status(one) for one in rig.ids()[:2]] == ["absent", "absent"]
        assert len(rig.exchange.resting()) == 2

    play(story)


def test_f24_the_cancel_of_an_orphan_is_repeated_until_it_is_gone() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        mine = rig.exchange.resting()[0].terms
        orphan = rig.exchange.put(attrs.evolve(mine, client_order_id="c0ffee00" + "a" * 24))
        rig.exchange.next["cancel"] = ["dropped", "dropped"]
        await rig.session.reconcile("operator")
        await asyncio.sleep(30)
        assert orphan.status is CANCELLED
        assert not rig.session.cancelling.busy()

    play(story)


def test_f27_a_stream_that_expires_is_filled_in_from_rest() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 10, stream="")
        rig.session.signal("private", Expired(stream="private", detail="listen key"))
        await asyncio.sleep(3)
        assert rig.status(held.terms.client_order_id) == "filled"
        note = rig.records("StreamReport")[-1]
        assert (note.state, note.detail) == ("gap", "expired: listen key")

    play(story)


def test_f33_a_gap_of_a_private_stream_starts_a_backfill() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 10, stream="")
        rig.session.signal("private", Gap(stream="private", detail="sequence 4 then 6"))
        await asyncio.sleep(3)
        assert rig.status(held.terms.client_order_id) == "filled"

    play(story)


def test_an_order_denied_by_every_endpoint_for_long_is_over_and_cried_out() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        rig.exchange.orders.clear()
        await asyncio.sleep(100)
        assert rig.status(order) == "open"
        await asyncio.sleep(120)
        assert rig.status(order) == "cancelled"
        assert "order_vanished" in rig.kinds()

    play(story)


def test_the_start_repeats_itself_until_every_question_is_answered_and_orders_wait() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.reads["open_orders"] = [Unavailable("502")] * 3
        await rig.start(levels=1)
        asked = [at for at, what, _ in rig.exchange.asked if what == "open_orders"]
        placed = [at for at, what, _ in rig.exchange.asked if what == "place"]
        assert len(asked) >= 4 and placed[0] > asked[3]

    play(story)


def test_a_second_start_changes_nothing() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        await rig.die()
        await rig.reborn()
        await asyncio.sleep(1)
        orders = rig.books().orders
        await rig.die()
        await rig.reborn()
        await asyncio.sleep(1)
        assert rig.books().orders == orders
        assert rig.exchange.sent("place") == rig.ids() and not rig.exchange.sent("cancel")

    play(story)


def test_a_cancel_that_died_with_its_process_is_sent_again() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        rig.exchange.next["cancel"] = ["dropped"]
        rig.stop_grid()
        await asyncio.sleep(0.005)
        await rig.die()
        await rig.reborn()
        await asyncio.sleep(3)
        assert rig.status(order) == "cancelled"

    play(story)
