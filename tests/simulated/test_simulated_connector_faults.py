"""The exchange in the process under every fault, on virtual time: of requests, and of streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from connector_scene import CANCELLED, FILLED, WORKING, Ear, Scene, play, ref
from toys import BTC, SECOND

from actors.ports import (
    ClockSkewed,
    Gap,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from domain.inputs import FillReport
from replay.exchange.rolling import quote_row

# --- faults of requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "exists", "waits_s"),
    [
        ({"kind": "drop_request"}, False, 5),
        ({"kind": "drop_reply"}, True, 5),
        ({"kind": "delay_reply", "seconds": 9}, True, 5),
        ({"kind": "html_body"}, True, 0),
        ({"kind": "truncated_body"}, True, 0),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_an_order_without_an_answer_is_unknown_whether_it_exists_or_not(
    rule: dict[str, Any], exists: bool, waits_s: int
) -> None:
    async def act(scene: Scene) -> None:
        began = scene.loop.time()
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        assert int(scene.loop.time() - began) == waits_s
        assert (await scene.it.order(ref()) is not None) is exists

    scene = play(act, {**rule, "operations": ("place",), "limit": 1})
    assert scene.faults.fired() == {rule["kind"]: 1}
    assert scene.ear.statuses() == ([WORKING] if exists else []), "the stream tells what exists"


def test_a_delay_within_patience_is_only_a_delay() -> None:
    async def act(scene: Scene) -> None:
        began = scene.loop.time()
        assert await scene.place() == [Placed(exchange_order_id="1", resting=True)]
        assert scene.loop.time() - began == pytest.approx(3.1, abs=0.01)

    play(act, {"kind": "delay_reply", "operations": ("place",), "seconds": 3})


def test_a_late_order_is_not_there_and_appears_after_its_time() -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        await asyncio.sleep(50)
        assert await scene.it.order(ref()) is None
        assert await scene.it.open_orders() == []
        await asyncio.sleep(10)
        assert [one.client_order_id for one in await scene.it.open_orders()] == ["a"]

    assert play(act, {"kind": "late_order", "seconds": 60, "limit": 1}).ear.statuses() == [WORKING]


def test_an_unknown_status_leaves_either_outcome() -> None:
    outcomes: set[bool] = set()

    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, OutcomeUnknown)
        assert answer.code == "status_unknown"
        outcomes.add(await scene.it.order(ref()) is not None)

    for seed in range(8):
        play(act, {"kind": "status_unknown", "limit": 1}, seed=seed)
    assert outcomes == {True, False}


@pytest.mark.parametrize("banned", [False, True])
def test_who_is_limited_learns_for_how_long_and_nothing_was_done(banned: bool) -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, RateLimited)
        assert answer.banned is banned
        assert answer.retry_after_s == pytest.approx(30)
        await asyncio.sleep(29)
        with pytest.raises(RateLimited) as caught:
            await scene.it.balances()
        assert caught.value.retry_after_s < 1
        await asyncio.sleep(1)
        assert await scene.it.open_orders() == []

    kind = "ban" if banned else "rate_limit"
    play(act, {"kind": kind, "operations": ("place",), "retry_after": 30, "limit": 1})


def test_during_maintenance_nothing_answers_and_the_streams_come_back_after_it() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        scene.it.push(BTC, quote_row(scene.loop.now_ns(), 609_000, 610_000, 5, 5))
        (answer,) = await scene.place("b")
        assert isinstance(answer, Unavailable)
        with pytest.raises(Unavailable):
            await scene.it.order(ref())
        await asyncio.sleep(61)
        assert len(await scene.it.open_orders()) == 1

    rule = {"kind": "maintenance", "operations": ("market",), "seconds": 60, "limit": 1}
    streams = play(act, rule).ear.streams
    assert sorted(streams[2:4]) == ["market down", "private down"]
    assert sorted(streams[4:6]) == ["market up", "private up"]


@pytest.mark.parametrize("drift_s", [-10, 10])
def test_a_drifting_clock_refuses_until_it_is_measured_again(drift_s: int) -> None:
    async def act(scene: Scene) -> None:
        (answer,) = await scene.place()
        assert isinstance(answer, ClockSkewed)
        with pytest.raises(ClockSkewed):
            await scene.it.balances()
        told_ns = await scene.it.server_time_ns()
        assert told_ns - scene.loop.now_ns() == pytest.approx(drift_s * SECOND, abs=SECOND)
        assert isinstance((await scene.place())[0], Placed)

    rule = {"kind": "clock_drift", "operations": ("place",), "seconds": drift_s, "limit": 1}
    play(act, rule)


def test_a_refused_cancel_says_nothing_about_the_order() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        (answer,) = await scene.cancel()
        assert isinstance(answer, OrderRefused)
        found = await scene.it.order(ref())
        assert found is not None
        assert found.status is WORKING

    play(act, {"kind": "cancel_refused", "limit": 1})


def test_a_lost_answer_to_a_cancel_may_have_been_carried_out() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a", "b")
        answers = await scene.cancel("a", "b")
        assert [type(one) for one in answers] == [OutcomeUnknown] * 2
        assert await scene.it.open_orders() == []

    play(act, {"kind": "drop_reply", "operations": ("cancel",), "limit": 1})


def test_a_short_batch_leaves_the_last_unknown() -> None:
    async def act(scene: Scene) -> None:
        first, second = await scene.place("a", "b")
        assert isinstance(first, Placed)
        assert isinstance(second, OutcomeUnknown)
        assert len(await scene.it.open_orders()) == 2

    play(act, {"kind": "short_batch", "limit": 1})


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("drop_request", "order"),
        ("drop_reply", "open_orders"),
        ("html_body", "balances"),
        ("truncated_body", "positions"),
        ("null_price", "fills"),
        ("negative_fill", "fills"),
        ("delay_reply", "rules"),
    ],
)
def test_a_reading_request_that_fails_is_unavailable(kind: str, operation: str) -> None:
    async def act(scene: Scene) -> None:
        asked = {
            "order": lambda: scene.it.order(ref()),
            "open_orders": scene.it.open_orders,
            "balances": scene.it.balances,
            "positions": scene.it.positions,
            "fills": lambda: scene.it.fills(BTC, 0),
            "rules": lambda: scene.it.rules([BTC]),
        }
        with pytest.raises(Unavailable):
            await asked[operation]()  # type: ignore[operator]
        await asked[operation]()  # type: ignore[operator]

    play(act, {"kind": kind, "operations": (operation,), "limit": 1, "seconds": 9})


def test_lists_omit_orders_show_unknown_statuses_and_repeat_executions() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a", "b")
        assert len(await scene.it.open_orders()) == 1
        shown = await scene.it.open_orders()
        assert [one.status for one in shown] == [SnapshotStatus.UNREADABLE, WORKING]
        single = await scene.it.order(ref())
        assert single is not None
        assert single.status is SnapshotStatus.UNREADABLE
        await scene.falls()
        fills = await scene.it.fills(BTC, 0)
        assert len(fills) == 3
        assert fills[1] == fills[2]
        assert len(await scene.it.fills(BTC, 0)) == 2

    play(
        act,
        {"kind": "omit_open_order", "times": (1,)},
        {"kind": "unknown_status", "operations": ("open_orders",), "times": (2,)},
        {"kind": "unknown_status", "operations": ("order",), "times": (1,)},
        {"kind": "duplicate_fill", "operations": ("fills",), "times": (1,)},
    )


def test_reading_lags_behind_the_stream() -> None:
    async def act(scene: Scene) -> None:
        await asyncio.sleep(60)
        await scene.place()
        await asyncio.sleep(30)
        await scene.falls()
        assert scene.ear.statuses() == [WORKING, FILLED]
        found = await scene.it.order(ref())
        assert found is not None
        assert (found.status, found.filled_lots) == (WORKING, 0)
        assert await scene.it.fills(BTC, 0) == []
        await asyncio.sleep(60)
        found = await scene.it.order(ref())
        assert found is not None
        assert found.status is FILLED

    play(act, {"kind": "lag_rest", "seconds": 20, "for_s": 60, "limit": 1})


# --- faults of streams ---------------------------------------------------------------------------------


async def filled(scene: Scene) -> None:
    await scene.place()
    await scene.falls()
    await asyncio.sleep(2)


def test_a_fill_is_told_before_the_order() -> None:
    ear = play(filled, {"kind": "fill_before_ack", "limit": 1}).ear
    assert [type(one) for one in ear.private()] == [FillReport, OrderSnapshot, OrderSnapshot]
    assert ear.statuses() == [FILLED, WORKING]


def test_a_held_acknowledgement_comes_by_itself() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        assert scene.ear.private() == []
        await asyncio.sleep(2)

    assert play(act, {"kind": "fill_before_ack", "limit": 1}).ear.statuses() == [WORKING]


def test_fills_are_told_twice_or_without_an_id_that_lists_do_not_know_either() -> None:
    fills = play(filled, {"kind": "duplicate_fill"}).ear.fills()
    assert len(fills) == 2
    assert fills[0] == fills[1]

    async def act(scene: Scene) -> None:
        await filled(scene)
        assert await scene.it.fills(BTC, 0) == scene.ear.fills()
        assert scene.ear.fills()[0].fill_id.startswith("synthetic-")

    assert play(act, {"kind": "fill_without_id"}).faults.fired() == {"fill_without_id": 1}


def test_a_filled_order_is_told_as_new_again() -> None:
    ear = play(filled, {"kind": "status_regress"}).ear
    assert ear.statuses() == [WORKING, FILLED, WORKING]


def test_unreadable_messages_are_gaps_and_unknown_statuses_unreadable() -> None:
    ear = play(filled, {"kind": "negative_fill"}).ear
    assert [type(one) for one in ear.private()] == [OrderSnapshot, Gap]
    ear = play(filled, {"kind": "unknown_status", "times": (2,)}).ear
    assert ear.statuses() == [WORKING, SnapshotStatus.UNREADABLE]


def test_market_faults_are_gaps() -> None:
    async def act(scene: Scene) -> None:
        for number in range(4):
            scene.it.push(BTC, quote_row(scene.loop.now_ns(), 609_000 + number, 610_000, 5, 5))
        await asyncio.sleep(1)

    kinds = ("sequence_gap", "bad_checksum", "null_price")
    rules = [{"kind": kind, "times": (number,)} for number, kind in enumerate(kinds, 1)]
    ear = play(act, *rules).ear
    assert [type(one) for _, one in ear.heard] == [Gap, Gap, Gap, Quote]


def test_a_cut_stream_loses_what_happens_and_comes_back() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a")
        await scene.place("b", price=600_000)
        await scene.falls()
        assert scene.ear.private() == []
        await asyncio.sleep(12)
        await scene.falls(599_000)
        assert [one.client_order_id for one in scene.ear.fills()] == ["b"]
        assert len(await scene.it.fills(BTC, 0)) == 2

    rule = {"kind": "cut_stream", "operations": ("private",), "seconds": 10, "limit": 1}
    assert play(act, rule).ear.streams[2:] == ["private down", "private up"]


def test_a_muted_stream_is_up_and_silent_until_it_is_renewed() -> None:
    async def act(scene: Scene) -> None:
        await scene.place("a")
        await scene.falls()
        assert scene.ear.private() == []
        scene.it.reconnect("private")
        await asyncio.sleep(1)
        await scene.place("b", price=600_000)
        await asyncio.sleep(1)
        assert scene.ear.statuses() == [WORKING]

    rule = {"kind": "mute_stream", "operations": ("private",), "seconds": 999, "limit": 1}
    assert play(act, rule).ear.streams[2:] == ["private down", "private up"]


def test_a_new_listener_takes_the_place_of_one_that_ends_later() -> None:
    second = Ear()

    async def act(scene: Scene) -> None:
        listening = asyncio.ensure_future(scene.it.listen(second))
        await asyncio.sleep(1)
        scene.listening.cancel()
        await asyncio.sleep(1)
        await scene.place()
        await asyncio.sleep(1)
        listening.cancel()

    scene = play(act)
    assert scene.ear.statuses() == []
    assert second.statuses() == [WORKING]
    assert second.streams == ["market up", "private up"]


def test_the_exchange_cancels_by_itself_and_says_why() -> None:
    async def act(scene: Scene) -> None:
        await scene.place()
        await scene.falls(609_500)

    rule = {"kind": "external_cancel", "reason": "self-trade prevention", "limit": 1}
    last = play(act, rule).ear.private()[-1]
    assert isinstance(last, OrderSnapshot)
    assert (last.status, last.reason) == (CANCELLED, "self-trade prevention")
