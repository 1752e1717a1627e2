"""Executions under fire: early, late, twice, without a name, and never invented."""

from __future__ import annotations

import asyncio

import attrs
from session_rig import CANCELLED, Rig, play

from actors.ports import OrderRefused


def filled(rig: Rig) -> list[int]:
    return [one.lots for one in rig.records("OrderFilled")]


def test_f07_an_execution_may_come_before_the_acknowledgement() -> None:
    async def story(rig: Rig) -> None:
        rig.exchange.next["place"] = ["received"]
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 4, stream="fill then order")
        order = held.terms.client_order_id
        assert rig.status(order) == "partially_filled"
        assert rig.books().orders[order].exchange_order_id == held.exchange_id
        assert not rig.records("MessageRefused")

    play(story)


def test_f08_rest_that_lags_behind_the_stream_takes_nothing_back() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        stale = held.snapshot()
        rig.exchange.reads["open_orders"] = [lambda seen: [stale] for _ in range(3)]
        rig.exchange.execute(held, 10)
        order = held.terms.client_order_id
        await asyncio.sleep(150)
        assert rig.status(order) == "filled" and rig.books().orders[order].filled_lots == 10
        assert order not in rig.exchange.sent("cancel")
        assert not rig.records("MessageRefused")

    play(story)


def test_f09_a_refused_cancel_of_an_order_that_has_just_traded_reports_the_execution() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 10, stream="")  # the stream has not said so yet
        rig.session.cancelling.want(held.terms.client_order_id, "COINUSD")
        rig.session.cancelling.pump()
        await asyncio.sleep(5)
        assert rig.status(held.terms.client_order_id) == "filled" and filled(rig) == [10]
        assert not rig.records("OrderCancelledReport")

    play(story)


def test_f10_an_execution_after_the_end_is_booked() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        end = attrs.evolve(held.snapshot(), status=CANCELLED)
        rig.exchange.tell(end)
        rig.exchange.execute(held, 3, stream="fill")
        (booked,) = rig.records("OrderFilled")
        assert booked.late and booked.lots == 3
        assert "late_fill" in rig.kinds()

    play(story)


def test_f11_the_end_of_a_partly_filled_order_waits_for_its_executions() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 6, stream="")  # lost by the stream
        rig.exchange.end(held, CANCELLED)
        assert not rig.records("OrderCancelledReport"), "4 lots would be released, and 6 with them"
        await asyncio.sleep(3)
        order = held.terms.client_order_id
        assert filled(rig) == [6] and rig.status(order) == "cancelled"
        (closed,) = rig.records("OrderClosed")
        assert closed.unfilled_lots == 4
        await asyncio.sleep(5)
        rig.tick(93)
        await asyncio.sleep(1)
        again = rig.records("OrderSubmitted")[-1].terms
        assert (again.side, again.lots) == ("sell", 6), "only what was bought is sold"

    play(story)


def test_f12_an_execution_told_twice_is_booked_once() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        fill = rig.exchange.execute(held, 4)
        rig.exchange.tell(fill)
        await asyncio.sleep(70)  # and REST lists it as well
        assert filled(rig) == [4]
        assert not rig.records("MessageRefused")

    play(story)


def test_f13_an_execution_missed_while_the_stream_was_cut_is_fetched_on_its_return() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.session.stream_down("private", "cut")
        rig.exchange.execute(held, 10, stream="")
        await asyncio.sleep(1)
        rig.session.stream_up("private")
        await asyncio.sleep(2)
        assert filled(rig) == [10]
        assert [one.state for one in rig.records("StreamReport")][-2:] == ["down", "up"]

    play(story)


def test_f13_while_the_stream_is_down_executions_come_by_rest() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.session.stream_down("private", "cut")
        await asyncio.sleep(31)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 10, stream="")
        await asyncio.sleep(8)
        assert filled(rig) == [10], "fetched every 7.5 s"

    play(story)


def test_f14_an_execution_without_an_id_is_booked_once_under_the_name_rest_has_for_it() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        fill = rig.exchange.execute(held, 4, stream="")
        rig.exchange.tell(attrs.evolve(fill, fill_id=""))
        await asyncio.sleep(3)
        assert [one.fill_id for one in rig.records("OrderFilled")] == [fill.fill_id]

    play(story)


def test_f14_executions_without_any_id_get_the_same_synthetic_ones_every_time() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        rig.exchange.execute(held, 3, stream="", fill_id="")
        rig.exchange.execute(held, 3, stream="", fill_id="")
        await asyncio.sleep(65)
        names = [one.fill_id for one in rig.records("OrderFilled")]
        assert len(set(names)) == 2 and all(one.startswith("synthetic-") for one in names)
        await asyncio.sleep(120)
        assert len(rig.records("OrderFilled")) == 2

    play(story)


def test_f26_a_stream_that_owes_executions_is_found_out_and_renewed() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=2)
        await asyncio.sleep(130)  # two fetches during which the stream was up
        first, second = rig.exchange.resting()
        rig.exchange.streaming = False  # it answers pings and says nothing
        rig.exchange.execute(first, 10)
        await asyncio.sleep(60)
        assert filled(rig) == [10]
        assert rig.exchange.reconnected == ["private"]
        assert "stale" in [one.state for one in rig.records("StreamReport")]
        assert "private_stream_stale" in rig.kinds()
        assert rig.exchange.streaming
        rig.exchange.execute(second, 10)
        assert filled(rig) == [10, 10]

    play(story)


def test_an_execution_of_an_order_nobody_knows_is_never_invented() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        before = rig.books().balances
        fill = rig.exchange.execute(held, 4, stream="")
        rig.exchange.executions.clear()
        stranger = attrs.evolve(fill, client_order_id="c0ffee00" + "f" * 24, exchange_order_id="x9")
        rig.exchange.tell(stranger)
        assert rig.books().balances == before
        assert "unmatched_fill" in rig.kinds()
        asked = len(rig.exchange.sent("open_orders"))
        await asyncio.sleep(3)
        assert len(rig.exchange.sent("open_orders")) > asked, "it needs reconciliation"

    play(story)


def test_figures_that_cannot_be_are_never_booked() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (held,) = rig.exchange.resting()
        fill = rig.exchange.execute(held, 4, stream="")
        rig.exchange.executions.clear()
        for wrong in ({"lots": -4}, {"lots": 40}, {"price_ticks": 0}, {"side": "sell"}):
            rig.exchange.tell(attrs.evolve(fill, fill_id=f"w{wrong}", **wrong))
        rig.exchange.tell(attrs.evolve(held.snapshot(), filled_lots=99))
        assert not rig.records("OrderFilled") and not rig.records("MessageRefused")
        assert rig.kinds().count("unreadable_fill") == 4 and "unreadable_order" in rig.kinds()

    play(story)


def test_a_fee_of_a_refused_cancel_changes_nothing() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        (order,) = rig.ids()
        rig.exchange.next["cancel"] = [OrderRefused("-2011", "Unknown order sent.")]
        rig.session.cancelling.want(order, "COINUSD")
        rig.session.cancelling.pump()
        await asyncio.sleep(1)
        assert rig.status(order) == "open", "a cancel error is never absence"

    play(story)
