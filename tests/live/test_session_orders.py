"""Orders under fire: what a session makes of answers that are lost, late, doubled or wrong."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from session_rig import CANCELLED, REJECTED, UNREADABLE, Rig, play

from actors.ports import (
    ClockSkewed,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from domain.order_events import CancelSubmitted


def test_orders_leave_in_batches_and_are_accepted() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=7, price=200)
        assert rig.exchange.sent("place") == rig.ids()
        assert len(rig.ids()) == 7
        assert {rig.status(i) for i in rig.ids()} == {"open"}

    play(story)


def test_f01_an_order_whose_answer_is_lost_is_asked_for_and_never_sent_again() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["silent"]
        await rig.start(levels=1)
        (order,) = rig.ids()
        assert rig.status(order) == "pending"
        await asyncio.sleep(15)
        assert [one.client_order_id for one in rig.records("NoAnswerReport")] == [order]
        assert rig.status(order) == "open"
        assert rig.exchange.sent("place") == [order]
        assert order in rig.exchange.sent("order")

    play(story)


def test_f02_an_order_that_never_arrived_is_absent_only_after_the_horizon_and_two_endpoints() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["dropped"]
        await rig.start(levels=1)
        (order,) = rig.ids()
        await asyncio.sleep(8)
        assert rig.status(order) == "unknown", "the in-flight horizon is not over"
        await asyncio.sleep(15)
        assert rig.status(order) == "absent"
        (report,) = rig.records("OrderAbsentReport")
        assert "order query" in report.evidence and "open orders" in report.evidence
        sent = next(at for at, what, _ in rig.exchange.asked if what == "place")
        proof = [what for at, what, _ in rig.exchange.asked if at - sent >= 10 * 10**9]
        assert {"order", "fills", "open_orders"} <= set(proof)
        assert len(rig.ids()) == 2, "the level orders anew, under another id"
        assert len(rig.exchange.resting()) == 1

    play(story)


def test_f02_the_time_in_which_an_exchange_takes_a_signed_request_is_waited_for_as_well() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.capabilities = attrs.evolve(rig.exchange.capabilities, order_valid_s=5)
        rig.exchange.next["place"] = ["late 14.9"]
        await rig.start(levels=1)
        (order,) = rig.ids()
        await asyncio.sleep(14.5)
        assert rig.status(order) == "unknown", "it may still arrive"
        await asyncio.sleep(20)
        assert rig.status(order) == "open" and rig.ids() == [order]
        assert not rig.records("OrderAbsentReport")

    play(story)


def test_f02_every_look_that_shows_an_absence_comes_after_the_horizon() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.capabilities = attrs.evolve(rig.exchange.capabilities, order_valid_s=5)
        rig.exchange.next["place"] = ["dropped"]
        await rig.start(levels=1)
        await asyncio.sleep(40)
        (report,) = rig.records("OrderAbsentReport")
        assert report.evidence.startswith("more than 15 s after")
        sent = next(at for at, what, _ in rig.exchange.asked if what == "place")
        told = next(row.ts_ns for row in rig.journal.rows if row.topic.startswith("OrderAbsentReport"))
        looks = [(what, at - sent) for at, what, _ in rig.exchange.asked if sent < at <= told]
        last = looks[-3:]
        assert [what for what, _ in last] == ["order", "fills", "open_orders"]
        assert min(after for _, after in last) >= 15 * 10**9

    play(story)


def test_f05_an_order_that_arrives_while_the_last_look_is_on_its_way_is_taken_back_and_cancelled() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["dropped"]
        rig.exchange.streaming = False
        await rig.start(levels=1)
        (first,) = rig.ids()
        terms = rig.records("OrderSubmitted")[0].terms

        def listed_and_then_there(seen: list[OrderSnapshot]) -> list[OrderSnapshot]:
            rig.exchange.put(terms)
            return seen

        await asyncio.sleep(9.5)
        rig.exchange.reads["open_orders"] = [listed_and_then_there]
        await asyncio.sleep(10)
        assert rig.status(first) == "absent", "every look was right when it was taken"
        await asyncio.sleep(180)
        assert rig.status(first) == "cancelled"
        (left,) = rig.exchange.resting()
        assert left.terms.client_order_id == rig.ids()[1] and rig.records("OrderReappeared")

    play(story)


def test_f02_an_order_only_one_endpoint_denies_is_not_absent() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["lost"]
        rig.exchange.reads["order"] = [lambda seen: None] * 8  # the single query lags behind the list
        await rig.start(levels=1)
        await asyncio.sleep(40)
        assert not rig.records("OrderAbsentReport")
        assert rig.status(rig.ids()[0]) == "open"

    play(story)


def test_a_refused_order_is_recorded_and_skipped_and_the_others_of_its_batch_work() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [None, OrderRefused("-2010", "Account has insufficient balance"), None]
        await rig.start(levels=3)
        assert [rig.status(one) for one in rig.ids()[:3]] == ["open", "rejected", "open"]
        assert [one.reason for one in rig.records("OrderRejectedReport")] == ["-2010"]
        assert not rig.records("PauseTrading")

    play(story)


@pytest.mark.parametrize("code", ["-1007", "504", "51149", "EGeneral:Internal error"])
def test_f03_an_answer_that_the_status_is_unknown_is_no_refusal(code: str) -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [OutcomeUnknown(code, "status unknown")]
        await rig.start(levels=1)
        assert rig.status(rig.ids()[0]) == "unknown"
        assert not rig.records("OrderRejectedReport")

    play(story)


def test_f04_a_duplicate_id_means_that_the_order_may_exist_and_it_is_asked_for() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        twice = rig.records("OrderSubmitted")[0]
        rig.session.submit(twice, rig.clock())
        await asyncio.sleep(1)
        assert rig.exchange.sent("place") == [order], "the same intent handed over again is not sent again"
        assert "sent_twice" in rig.kinds()

    play(story)

    async def refused(rig: Rig) -> None:
        # The exchange took the order although its first answer, which nobody saw, was lost below us.
        rig.exchange.next["place"] = ["lost as duplicate"]
        await rig.start(levels=1)
        await asyncio.sleep(3)
        assert not rig.records("OrderRejectedReport")
        assert rig.status(rig.ids()[0]) == "open"

    play(refused)


@pytest.mark.parametrize("streaming", [True, False])
def test_f05_a_late_order_is_taken_back_and_the_level_keeps_one_order(streaming: bool) -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["late 60"]
        rig.exchange.streaming = streaming  # without the stream the list of open orders shows it
        await rig.start(levels=1)
        await asyncio.sleep(30)
        first, second = rig.ids()
        assert rig.status(first) == "absent" and rig.status(second) == "open"
        await asyncio.sleep(180)
        assert rig.status(first) == "cancelled"
        assert [one.terms.client_order_id for one in rig.exchange.resting()] == [second]
        assert rig.records("OrderReappeared") and "late_order" in rig.kinds()

    play(story)


def test_f15_a_status_that_comes_after_the_end_changes_nothing() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        before = held.snapshot()
        rig.exchange.execute(held, 10)
        rows = len(rig.journal.rows)
        rig.exchange.tell(before)
        await asyncio.sleep(0.5)
        assert rig.status(before.client_order_id) == "filled"
        assert not rig.records("MessageRefused"), "what is stale is not even told"
        assert len(rig.journal.rows) >= rows

    play(story)


def test_f16_a_level_has_one_working_order_through_a_late_order_and_a_restart() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["late 45"]
        await rig.start(levels=1)
        await asyncio.sleep(30)
        first, second = rig.ids()
        await rig.die()
        await asyncio.sleep(5)
        await rig.reborn()
        await asyncio.sleep(60)
        assert [one.terms.client_order_id for one in rig.exchange.resting()] == [second]
        assert (rig.status(first), rig.status(second)) == ("cancelled", "open")

    play(story)


def test_cancels_leave_before_the_orders_that_were_decided_with_them() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        first, second = rig.ids()
        rig.session.wire.ready = False
        rig.exchange.execute(rig.exchange.of(second)[0], 10)
        await asyncio.sleep(0.1)
        rig.session.wire.ready = True
        rig.session.submit(CancelSubmitted(client_order_id=first, symbol="COINUSD"), rig.clock())
        await asyncio.sleep(1)
        assert [what for _, what, _ in rig.exchange.asked if what in ("place", "cancel")][2:] == [
            "cancel",
            "place",
        ]

    play(story)


def test_an_intent_the_books_do_not_hold_as_pending_never_leaves() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        intent = rig.records("OrderSubmitted")[0]
        strange = attrs.evolve(intent.terms, client_order_id="c0ffee00" + "0" * 23 + "9")
        rig.session.submit(attrs.evolve(intent, terms=strange), rig.clock())
        await asyncio.sleep(1)
        assert strange.client_order_id not in rig.exchange.sent("place")
        assert "not_sent" in rig.kinds()

    play(story)


def test_a_refusal_is_reported_in_the_exchanges_words() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [OrderRefused("-2010", "Order would immediately match and take.")]
        await rig.start(levels=1)
        (report,) = rig.records("OrderRejectedReport")
        assert (report.reason, report.text) == ("-2010", "Order would immediately match and take.")

    play(story)


def test_a_limited_or_skewed_order_is_certainly_not_there() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [ClockSkewed("-1021", "outside of the recvWindow")]
        await rig.start(levels=1)
        assert rig.records("OrderRejectedReport")[0].reason == "clock_skewed"
        assert rig.exchange.sent("time") != [""], "the clock is measured again"
        await asyncio.sleep(5)
        assert len(rig.exchange.resting()) == 1

    play(story)

    async def limited(rig: Rig) -> None:
        rig.exchange.next["place"] = [RateLimited("-1003", "too many", 7.0)]
        await rig.start(levels=1)
        assert rig.records("OrderRejectedReport")[0].reason == "rate_limited"
        (report,) = rig.records("RateLimitReport")
        assert 6.5e9 < report.until_ns - rig.clock() < 7e9

    play(limited)


def test_an_order_that_is_only_received_waits_for_the_stream_and_is_then_asked_for() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["received", "received"]
        await rig.start(levels=2)
        first, second = rig.ids()
        assert {rig.status(first), rig.status(second)} == {"pending"}
        rig.exchange.tell(rig.exchange.of(first)[0].snapshot())
        assert rig.status(first) == "open"
        await asyncio.sleep(4)
        assert rig.status(second) == "open"
        assert rig.exchange.sent("order") == [second]

    play(story)


def test_a_short_answer_leaves_the_rest_unknown() -> None:
    async def story(rig: Rig) -> None:
        real = rig.exchange.place
        rig.exchange.place = lambda orders: cut(real(orders))  # type: ignore[method-assign]

        async def cut(answers):  # type: ignore[no-untyped-def]
            return (await answers)[:-1]

        await rig.start(levels=3)
        assert [one.client_order_id for one in rig.records("NoAnswerReport")] == rig.ids()[-1:]
        await asyncio.sleep(5)
        assert {rig.status(i) for i in rig.ids()} == {"open"}

    play(story)


@pytest.mark.parametrize("status", [UNREADABLE, REJECTED])
def test_an_unreadable_status_is_never_success_or_failure(status: SnapshotStatus) -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["received"]
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.tell(attrs.evolve(held.snapshot(), status=status, reason="odd"))
        order = held.terms.client_order_id
        if status is UNREADABLE:
            assert rig.status(order) == "pending" and "unreadable_order" in rig.kinds()
            await asyncio.sleep(5)
            assert rig.status(order) == "open"
        else:
            assert rig.status(order) == "rejected"

    play(story)


def test_a_cancelled_order_that_has_not_left_is_simply_not_sent() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1, price=80)
        assert not rig.ids()
        rig.session.wire.ready = False  # nothing leaves yet
        rig.tick(105)
        await asyncio.sleep(0.1)
        (order,) = rig.ids()
        rig.session.cancelling.want(order, "COINUSD")
        rig.session.wire.ready = True
        await asyncio.sleep(0.5)
        assert order not in rig.exchange.sent("place") and not rig.exchange.sent("cancel")
        assert rig.status(order) == "rejected"

    play(story)


def test_a_stuck_order_is_cancelled_and_asked_for() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["lost"]
        rig.exchange.streaming = False
        rig.exchange.reads["order"] = [
            lambda seen: attrs.evolve(seen, status=SnapshotStatus.PENDING) for _ in range(60)
        ]
        rig.exchange.reads["open_orders"] = [lambda seen: [] for _ in range(60)]
        await rig.start(levels=1)
        await asyncio.sleep(110)
        assert rig.status(rig.ids()[0]) == "unknown" and not rig.exchange.sent("cancel")
        await asyncio.sleep(60)
        assert rig.ids()[0] in rig.exchange.sent("cancel") and "stuck_order" in rig.kinds()
        assert rig.status(rig.ids()[0]) == "cancelled"

    play(story)


def test_a_maintenance_answer_to_an_order_is_certain() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = [Unavailable("50001", "service temporarily unavailable")]
        await rig.start(levels=1)
        assert rig.status(rig.ids()[0]) == "rejected"
        assert "maintenance" in rig.kinds()

    play(story)


def test_cancels_are_repeated_until_the_order_has_ended() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        rig.exchange.next["cancel"] = [
            "dropped", OutcomeUnknown("504"), OrderRefused("-1", "try later"), "lost",
        ]  # fmt: skip
        rig.session.cancelling.want(order, "COINUSD")
        rig.session.cancelling.pump()
        await asyncio.sleep(40)
        assert rig.exchange.sent("cancel") == [order] * 4
        assert rig.status(order) == "cancelled"
        assert rig.records("OrderCancelledReport")[0].reason == "requested"
        assert len(rig.records("CancelRejectedReport")) == 1

    play(story)


def test_a_lost_order_of_an_unknown_cancel_stays_as_it_is() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.end(held, CANCELLED, "self trade")
        (report,) = rig.records("OrderCancelledReport")
        assert report.reason == "self trade"

    play(story)
