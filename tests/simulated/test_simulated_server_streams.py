"""The faults of streams, and of the market behind them, as a client of a toy server meets them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from toy_client import ORDER, Client, with_client
from toys import BTC, SECOND, T0, Watch, plan, quoted

from replay.exchange.rolling import quote_row
from replay.faults import FaultPlan

# --- faults of streams ---------------------------------------------------------------------------------


def told_of(faults: FaultPlan, count: int) -> list[dict[str, Any]]:
    """What a private socket hears of an order that is placed, filled in part, then filled."""
    heard: list[dict[str, Any]] = []

    async def talk(client: Client) -> None:
        await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place()
        quoted(client.server.desk, 608_000, 608_500)
        heard.extend(await client.hears(count))

    with_client(talk, faults)
    return heard


def test_a_fill_is_told_before_the_order() -> None:
    faults = plan({"kind": "fill_before_ack", "times": (1,)})
    assert [one["kind"] for one in told_of(faults, 2)] == ["fill", "new"]
    assert faults.fired() == {"fill_before_ack": 1}


def test_a_held_back_acknowledgement_comes_after_a_while_by_itself() -> None:
    async def talk(client: Client) -> None:
        await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place()
        assert await client.hears(1) == [{"kind": "new", "id": "a", "status": "working", "cum_qty": 0}]

    with_client(talk, plan({"kind": "fill_before_ack", "times": (1,)}))


def test_a_fill_is_told_twice_and_without_id_and_negative() -> None:
    assert [one.get("fill") for one in told_of(plan({"kind": "duplicate_fill"}), 3)] == [None, 1, 1]
    assert [one.get("fill") for one in told_of(plan({"kind": "fill_without_id"}), 2)] == [None, 0]
    assert [one["cum_qty"] for one in told_of(plan({"kind": "negative_fill"}), 2)] == [0, -10]
    assert [one["status"] for one in told_of(plan({"kind": "unknown_status", "times": (2,)}), 2)] == [
        "working",
        "BEWILDERED",
    ]


def test_a_fault_that_finds_no_place_is_not_counted() -> None:
    faults = plan({"kind": "duplicate_fill", "limit": 1})
    told_of(faults, 3)
    assert faults.fired() == {"duplicate_fill": 1}, "the acknowledgement had no execution to repeat"


def test_a_filled_order_is_shown_as_new_again() -> None:
    heard = told_of(plan({"kind": "status_regress"}), 3)
    assert [(one["kind"], one["status"], one["cum_qty"]) for one in heard] == [
        ("new", "working", 0),
        ("fill", "filled", 10),
        ("new", "working", 0),
    ]


def test_a_cut_stream_is_closed_refused_for_a_while_and_its_updates_are_lost() -> None:
    clock = Watch()
    faults = plan({"kind": "cut_stream", "operations": ("private",), "times": (2,), "seconds": 5})

    async def talk(client: Client) -> None:
        await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place()
        await client.hears(1)
        quoted(client.server.desk, 608_000, 608_500)
        await asyncio.wait_for(client.closed.wait(), 2)
        assert [one["kind"] for one in client.told] == ["new"]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.listen("/private")
        await client.listen("/market")
        clock.now_ns += 5 * SECOND
        await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place({**ORDER, "id": "b", "price": 600_000})
        assert [one["id"] for one in await client.hears(2)] == ["a", "b"]

    with_client(talk, faults, clock)


def test_a_muted_stream_stays_up_and_says_nothing_for_a_while() -> None:
    clock = Watch()
    faults = plan({"kind": "mute_stream", "operations": ("private",), "times": (1,), "seconds": 5})

    async def talk(client: Client) -> None:
        ws = await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place()
        await ws.send_str("still there")
        assert await client.hears(1) == [{"subscribed": "still there"}]
        clock.now_ns += 5 * SECOND
        await client.place({**ORDER, "id": "b"})
        assert [one.get("id") for one in await client.hears(2)] == [None, "b"]

    with_client(talk, faults, clock)


def rows_heard(faults: FaultPlan, count: int, rows: int = 3) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []

    async def talk(client: Client) -> None:
        await client.listen("/market")
        await asyncio.sleep(0.02)
        for number in range(rows):
            client.server.market(BTC, quote_row(T0 + number, 609_000 + number, 610_000, 10, 10))
        heard.extend(await client.hears(count))

    with_client(talk, faults)
    return heard


def test_a_sequence_gap_leaves_a_message_out_but_not_its_number() -> None:
    faults = plan({"kind": "sequence_gap", "times": (2,)})
    assert [one["n"] for one in rows_heard(faults, 2)] == [1, 3]


def test_a_checksum_is_wrong_once() -> None:
    faults = plan({"kind": "bad_checksum", "times": (2,)})
    assert [one["check"] for one in rows_heard(faults, 3)] == [1, -1, 3]
    assert faults.fired() == {"bad_checksum": 1}


def test_a_price_is_null_once() -> None:
    faults = plan({"kind": "null_price", "times": (2,)})
    assert [one["bid"] for one in rows_heard(faults, 3)] == [609_000, None, 609_002]


def test_the_exchange_itself_cancels_changes_filters_and_loses_money() -> None:
    faults = plan(
        {"kind": "external_cancel", "times": (1, 2), "reason": "self-trade prevention"},
        {"kind": "filters_change", "times": (3,), "amount": 5},
        {"kind": "withdraw", "times": (4,), "asset": "USDT", "amount": 9_999_999},
    )

    async def talk(client: Client) -> None:
        server = client.server
        server.market(BTC, quote_row(T0, 609_000, 610_000, 10, 10))
        assert faults.fired() == {}, "no order was there to cancel"
        await client.place()
        server.market(BTC, quote_row(T0, 609_100, 610_000, 10, 10))
        order = server.desk.find(client_order_id="a")
        assert order is not None
        assert order.reason == "self-trade prevention"
        server.market(BTC, quote_row(T0, 609_100, 610_000, 10, 10))
        assert server.desk.filters[BTC].tick == "0.5"
        server.market(BTC, quote_row(T0, 609_100, 610_000, 10, 10))
        assert server.desk.totals()["USDT"] == (0, 0)
        assert faults.fired() == {"external_cancel": 1, "filters_change": 1, "withdraw": 1}

    with_client(talk, faults)


def test_maintenance_refuses_requests_and_streams_and_then_is_over() -> None:
    clock = Watch()
    faults = plan({"kind": "maintenance", "operations": ("market",), "times": (1,), "seconds": 60})

    async def talk(client: Client) -> None:
        await client.listen("/private")
        await asyncio.sleep(0.02)
        client.server.market(BTC, quote_row(T0, 609_000, 610_000, 10, 10))
        await asyncio.wait_for(client.closed.wait(), 2)
        assert (await client.ask("POST", "/orders", json=[ORDER]))[0] == 503
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.listen("/market")
        clock.now_ns += 60 * SECOND
        assert (await client.place())[0]["status"] == "working"
        assert faults.fired() == {"maintenance": 1}

    with_client(talk, faults, clock)


def test_an_armed_dead_man_fires_when_the_time_has_come() -> None:
    clock = Watch()

    async def talk(client: Client) -> None:
        await client.place()
        client.server.desk.arm(30, clock.now_ns)
        clock.now_ns += 31 * SECOND
        client.server.tick()
        assert await client.json("GET", "/orders") == []

    with_client(talk, None, clock)
