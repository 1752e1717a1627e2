"""What every simulated exchange does with requests, sockets and faults, over real connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from toy_client import LOST_ANSWER, ORDER, Client, with_client
from toys import BTC, SECOND, T0, Watch, plan, traded

from replay.exchange.rolling import quote_row


def test_an_order_is_placed_listed_and_cancelled_over_the_wire() -> None:
    async def talk(client: Client) -> None:
        assert (await client.place())[0]["status"] == "working"
        assert await client.json("GET", "/orders") == ["a"]
        assert await client.json("DELETE", "/orders?id=a") == {"done": True}
        assert await client.json("GET", "/orders") == []
        assert await client.json("DELETE", "/orders?id=a") == {"done": False}

    with_client(talk)


def test_the_ready_line_says_where_the_server_is_and_the_key() -> None:
    async def talk(client: Client) -> None:
        line = client.running.line
        assert line["protocol"] == "toy"
        assert line["key"] == "key"
        assert line["rest"].endswith(str(line["port"]))
        assert line["port"] > 0
        assert "secret" not in str(line)

    with_client(talk)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"[{}]", b'[{"id":1}]', b"[" * 100_000, b"\xff\xfe", b'{"a":null}'], ids=repr
)
def test_a_malformed_request_is_answered_with_400_and_the_server_goes_on(body: bytes) -> None:
    async def talk(client: Client) -> None:
        status, _ = await client.ask("POST", "/orders", data=body)
        assert status == 400
        assert (await client.place())[0]["status"] == "working"

    with_client(talk)


def test_unknown_paths_huge_bodies_and_malformed_frames_do_not_end_the_server() -> None:
    async def talk(client: Client) -> None:
        assert (await client.ask("GET", "/nowhere"))[0] == 404
        assert (await client.ask("POST", "/orders", data=b"x" * 2_000_000))[0] in (400, 413)
        ws = await client.listen()
        await ws.send_str("höchst")
        assert (await client.hears(1))[0]["error"] == "bad_request"
        await ws.send_bytes(b"\x00\x01")
        await ws.send_str("fine")
        assert (await client.hears(2))[1] == {"subscribed": "fine"}

    with_client(talk)


def test_updates_reach_private_sockets_and_rows_the_others() -> None:
    async def talk(client: Client) -> None:
        await client.listen("/private")
        await asyncio.sleep(0.02)
        await client.place()
        client.server.market(BTC, quote_row(T0, 608_000, 608_990, 10, 10))
        assert [one["kind"] for one in await client.hears(2)] == ["new", "fill"]
        client.told.clear()
        await client.listen("/market")
        await asyncio.sleep(0.02)
        client.server.market(BTC, quote_row(T0, 608_000, 608_980, 10, 10))
        assert [one["ask"] for one in await client.hears(1)] == [608_980]

    with_client(talk)


# --- faults of requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "exists"), [("drop_request", False), ("drop_reply", True)], ids=["request", "reply"]
)
def test_a_dropped_request_was_not_carried_out_and_a_dropped_reply_was(kind: str, exists: bool) -> None:
    faults = plan({"kind": kind, "times": (1,)})

    async def talk(client: Client) -> None:
        with pytest.raises(LOST_ANSWER):
            await client.place()
        assert await client.json("GET", "/orders") == (["a"] if exists else [])
        assert faults.fired() == {kind: 1}

    with_client(talk, faults)


def test_a_late_order_is_not_there_and_then_it_is() -> None:
    async def talk(client: Client) -> None:
        with pytest.raises(LOST_ANSWER):
            await client.place()
        assert await client.json("GET", "/order?id=a") is None
        await asyncio.sleep(0.25)
        assert (await client.json("GET", "/order?id=a"))["status"] == "working"

    with_client(talk, plan({"kind": "late_order", "times": (1,), "seconds": 0.2}))


def test_a_late_order_is_judged_by_the_time_at_which_it_arrived() -> None:
    clock = Watch()
    arrived: list[int] = []

    async def talk(client: Client) -> None:
        carried_out = client.server.desk.place

        def place(*asked: Any) -> Any:
            arrived.append(client.server.arrived_ms())
            return carried_out(*asked)

        client.server.desk.place = place  # type: ignore[method-assign]
        with pytest.raises(LOST_ANSWER):
            await client.place()
        clock.now_ns += 60 * SECOND
        await asyncio.sleep(0.25)
        await client.place({**ORDER, "id": "b"})

    with_client(talk, plan({"kind": "late_order", "times": (1,), "seconds": 0.2}), clock)
    assert arrived == [T0 // 10**6, T0 // 10**6 + 60_000]


def test_a_delayed_reply_comes_late_and_the_order_is_there_at_once() -> None:
    async def talk(client: Client) -> None:
        waiting = asyncio.ensure_future(client.place())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert await client.json("GET", "/orders") == ["a"]
        assert (await waiting)[0]["status"] == "working"

    with_client(talk, plan({"kind": "delay_reply", "operations": ("place",), "seconds": 0.3, "limit": 1}))


@pytest.mark.parametrize(
    ("kind", "status"), [("rate_limit", 429), ("ban", 418), ("maintenance", 503), ("status_unknown", 504)]
)
def test_a_refusing_exchange_answers_with_its_status(kind: str, status: int) -> None:
    faults = plan({"kind": kind, "operations": ("place",), "times": (1,), "retry_after": 7, "seconds": 7})

    async def talk(client: Client) -> None:
        got, _ = await client.ask("POST", "/orders", json=[ORDER])
        assert got == status
        assert faults.fired() == {kind: 1}

    with_client(talk, faults)


def test_who_is_limited_stays_limited_until_the_time_is_over() -> None:
    clock = Watch()
    faults = plan({"kind": "rate_limit", "operations": ("place",), "times": (1,), "retry_after": 7})

    async def talk(client: Client) -> None:
        assert (await client.ask("POST", "/orders", json=[ORDER]))[0] == 429
        clock.now_ns += 6 * SECOND
        async with client.http.get(client.url + "/orders") as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "1", "what is left of it"
        clock.now_ns += SECOND
        assert (await client.ask("GET", "/orders"))[0] == 200
        assert faults.fired() == {"rate_limit": 1}

    with_client(talk, faults, clock)


def test_an_unknown_status_answer_leaves_either_outcome() -> None:
    outcomes = set()
    for seed in range(8):
        found: list[Any] = []

        async def talk(client: Client, found: list[Any] = found) -> None:
            await client.ask("POST", "/orders", json=[ORDER])
            found.extend(await client.json("GET", "/orders"))

        with_client(talk, plan({"kind": "status_unknown", "times": (1,)}, seed=seed))
        outcomes.add(bool(found))
    assert outcomes == {True, False}


def test_html_and_truncated_bodies_come_although_the_order_was_placed() -> None:
    async def talk(client: Client) -> None:
        _, page = await client.ask("POST", "/orders", json=[ORDER])
        assert page.startswith(b"<html>")
        _, half = await client.ask("POST", "/orders", json=[{**ORDER, "id": "b"}])
        assert half.startswith(b'[{"id": "b"')
        assert not half.endswith(b"]")
        assert await client.json("GET", "/orders") == ["a", "b"]

    with_client(talk, plan({"kind": "html_body", "times": (1,)}, {"kind": "truncated_body", "times": (2,)}))


def test_a_short_batch_is_answered_with_one_item_too_few() -> None:
    async def talk(client: Client) -> None:
        answered = await client.place(ORDER, {**ORDER, "id": "b"})
        assert [one["id"] for one in answered] == ["a"]
        assert await client.json("GET", "/orders") == ["a", "b"]

    with_client(talk, plan({"kind": "short_batch", "times": (1,)}))


def test_a_list_of_open_orders_omits_one_that_a_single_query_still_shows() -> None:
    faults = plan({"kind": "omit_open_order", "times": (1, 2)})

    async def talk(client: Client) -> None:
        assert await client.json("GET", "/orders") == []
        assert faults.fired() == {}, "there was nothing to omit"
        await client.place()
        assert await client.json("GET", "/orders") == []
        assert (await client.json("GET", "/order?id=a"))["status"] == "working"
        assert await client.json("GET", "/orders") == ["a"]
        assert faults.fired() == {"omit_open_order": 1}

    with_client(talk, faults)


def test_lagging_reads_answer_as_of_an_earlier_time() -> None:
    clock = Watch()

    async def talk(client: Client) -> None:
        await client.place()
        clock.now_ns += 30 * SECOND
        traded(client.server.desk, 608_000, 100, clock.now_ns)
        clock.now_ns += SECOND
        assert (await client.json("GET", "/order?id=a")) == {"id": "a", "status": "working", "cum_qty": 0}
        assert await client.json("GET", "/fills") == []
        assert await client.json("GET", "/orders") == ["a"]
        clock.now_ns += 60 * SECOND
        assert (await client.json("GET", "/order?id=a"))["status"] == "filled"

    with_client(
        talk, plan({"kind": "lag_rest", "times": (1,), "seconds": 20, "for_s": 60, "limit": 1}), clock
    )


def test_a_cancel_may_be_refused_although_the_order_is_open() -> None:
    async def talk(client: Client) -> None:
        await client.place()
        assert (await client.ask("DELETE", "/orders?id=a"))[0] == 400
        assert await client.json("GET", "/orders") == ["a"]

    with_client(talk, plan({"kind": "cancel_refused", "times": (1,)}))


def test_the_clock_it_tells_drifts_and_comes_back() -> None:
    clock = Watch()

    async def talk(client: Client) -> None:
        assert await client.json("GET", "/time") == {"ms": T0 // 10**6 + 10_000}
        clock.now_ns += 60 * SECOND
        assert await client.json("GET", "/time") == {"ms": T0 // 10**6 + 60_000}

    rule = {"kind": "clock_drift", "operations": ("time",), "seconds": 10, "for_s": 60, "limit": 1}
    with_client(talk, plan(rule), clock)


def test_lists_show_a_status_nobody_knows_and_a_fill_twice_and_negative() -> None:
    rules = (
        {"kind": "unknown_status", "operations": ("order",), "times": (1,)},
        {"kind": "duplicate_fill", "operations": ("fills",), "times": (2,)},
        {"kind": "negative_fill", "operations": ("fills",), "times": (3,)},
    )

    async def talk(client: Client) -> None:
        await client.place()
        assert (await client.json("GET", "/order?id=a"))["status"] == "BEWILDERED"
        traded(client.server.desk, 608_000, 100)
        assert await client.json("GET", "/fills") == [{"fill": 1, "qty": 10}]
        assert await client.json("GET", "/fills") == [{"fill": 1, "qty": 10}] * 2
        assert await client.json("GET", "/fills") == [{"fill": 1, "qty": -10}]

    with_client(talk, plan(*rules))
