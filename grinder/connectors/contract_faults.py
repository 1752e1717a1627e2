"""What a connector promises when things go wrong.

Law: a check knows the port and the stage, no exchange and no test runner; see `grinder.connectors.contract`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from actors.ports import (
    ExchangeError,
    OrderSnapshot,
    OutcomeUnknown,
    SnapshotStatus,
    Unavailable,
)
from grinder.connectors.contract_market import recently
from grinder.connectors.stage import SPREAD, Scene, eventually, expect

T = TypeVar("T")


async def an_unreadable_answer_is_unknown_or_unavailable(scene: Scene) -> None:
    """A page of HTML, or half an answer: never success, never refusal, never an empty list."""
    since = await recently(scene)
    reads: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("order", lambda: scene.connector.order(scene.ref(scene.terms()))),
        ("open_orders", scene.connector.open_orders),
        ("fills", lambda: scene.connector.fills(scene.symbol, since)),
        ("balances", scene.connector.balances),
    )
    for kind in ("html_body", "truncated_body"):
        for operation, read in reads:
            if not await scene.stage.disturb(operation, kind):
                continue
            try:
                found = await read()
            except Unavailable:
                continue
            expect(False, f"{operation} with {kind} gave {found!r}")
        for operation in ("place", "cancel"):
            terms = scene.terms()
            if operation == "cancel":
                await scene.placed(terms)
            if not await scene.stage.disturb(operation, kind):
                continue
            [answer] = (
                await scene.connector.place([terms])
                if operation == "place"
                else await scene.connector.cancel([scene.ref(terms)])
            )
            expect(
                isinstance(answer, OutcomeUnknown), f"{operation} with {kind} was answered with {answer!r}"
            )


async def a_lost_answer_is_unknown_and_the_order_is_found(scene: Scene) -> None:
    """The exchange took the order, the answer never came."""
    terms = scene.terms()
    if not await scene.stage.disturb("place", "drop_reply"):
        return
    [answer] = await scene.connector.place([terms])
    expect(isinstance(answer, OutcomeUnknown), f"a lost answer is {answer!r}")
    await eventually(lambda: scene.is_found(terms), "the order is found by its client id")


async def a_lost_request_is_unknown_and_the_order_is_not_found(scene: Scene) -> None:
    """It never arrived, which the client cannot know."""
    terms = scene.terms()
    if not await scene.stage.disturb("place", "drop_request"):
        return
    [answer] = await scene.connector.place([terms])
    expect(isinstance(answer, OutcomeUnknown), f"a lost request is {answer!r}")
    expect(await scene.connector.order(scene.ref(terms)) is None, "an order that never arrived is found")


async def a_short_batch_is_unknown_for_whom_it_leaves_out(scene: Scene) -> None:
    """As many answers as orders, and no guess."""
    orders = [scene.terms(50), scene.terms(51)]
    if not await scene.stage.disturb("place", "short_batch"):
        return
    answers = await scene.connector.place(orders)
    expect(len(answers) == 2, f"two orders, {len(answers)} answers")
    expect(any(isinstance(one, OutcomeUnknown) for one in answers), f"one was left out: {answers!r}")
    expect(
        not any(isinstance(one, ExchangeError) and not isinstance(one, OutcomeUnknown) for one in answers),
        f"a good order counts as refused: {answers!r}",
    )


async def a_status_nobody_knows_is_unreadable(scene: Scene) -> None:
    """Neither success nor an end, and never left out of the list."""
    terms = scene.terms()
    await scene.placed(terms)
    if await scene.stage.disturb("order", "unknown_status"):
        found = await _attempt(scene.connector.order(scene.ref(terms)))
        told = isinstance(found, OrderSnapshot) and found.status is SnapshotStatus.UNREADABLE
        expect(told or isinstance(found, Unavailable), f"an order of an unknown status is told as {found!r}")
    if await scene.stage.disturb("open_orders", "unknown_status"):
        listed = await _attempt(scene.connector.open_orders())
        if isinstance(listed, list):
            expect([one.client_order_id for one in listed] == [terms.client_order_id], f"listed: {listed!r}")
            told = listed[0].status in (SnapshotStatus.UNREADABLE, SnapshotStatus.WORKING)
            expect(told, f"an open order of an unknown status is told as {listed[0].status}")


async def amounts_nobody_can_read_are_never_taken(scene: Scene) -> None:
    """A price that is null, a quantity below zero: the request fails, or what it says is still right."""
    terms = scene.terms()
    await scene.placed(terms)
    await scene.stage.quote(terms.price_ticks - SPREAD, terms.price_ticks)
    since = await recently(scene)
    right = await scene.connector.fills(scene.symbol, since)
    expect(sum(one.lots for one in right) == terms.lots, f"the backfill tells {right}")
    for kind in ("null_price", "negative_fill"):
        if await scene.stage.disturb("fills", kind):
            found = await _attempt(scene.connector.fills(scene.symbol, since))
            expect(isinstance(found, Unavailable) or found == right, f"fills with {kind} are {found!r}")


async def an_execution_without_an_id_gets_the_same_on_both_ways(scene: Scene) -> None:
    """The stream and the backfill derive it alike; an execution that is told again has the same id again."""
    for kind in ("fill_without_id", "duplicate_fill"):
        terms = scene.terms(lots=scene.stage.lots + (kind == "duplicate_fill"))
        await scene.stage.quote(scene.stage.price_ticks, scene.stage.price_ticks + SPREAD)
        async with scene.listening() as heard:
            await scene.placed(terms)
            if not await scene.stage.disturb("private", kind):
                return
            await scene.stage.quote(terms.price_ticks - SPREAD, terms.price_ticks)

            async def told(client_id: str = terms.client_order_id) -> bool:
                return bool(heard.fills(client_id))

            await eventually(told, "the stream tells of the execution")
            fills = heard.fills(terms.client_order_id)
        if kind == "duplicate_fill":
            await scene.stage.disturb("fills", kind)
        found = await scene.connector.fills(scene.symbol, await recently(scene))
        ids = {one.fill_id for one in (*fills, *found[-1:])}
        expect(len(ids) == 1 and "" not in ids, f"with {kind} one execution has the ids {sorted(ids)}")


async def _attempt(request: Awaitable[T]) -> T | Unavailable:
    """What a reading request gives, or that it failed."""
    try:
        return await request
    except Unavailable as error:
        return error


async def reconnecting_brings_every_stream_up_again(scene: Scene) -> None:
    """And what happens afterwards is heard."""
    async with scene.listening() as heard:
        before = heard.ups
        scene.connector.reconnect("")

        async def up_again() -> bool:
            up = sum(heard.up.values()) >= scene.stage.streams
            return up and heard.ups >= before + scene.stage.streams

        await eventually(up_again, "every stream is up again")
        terms = scene.terms()
        await scene.placed(terms)

        async def told() -> bool:
            return bool(heard.orders(terms.client_order_id))

        await eventually(told, "the renewed stream tells of an order")


async def ending_the_listener_ends_every_socket(scene: Scene) -> None:
    """The task ends when it is cancelled, and the exchange sees the connections go."""
    async with scene.listening():
        listening = scene.stage.connections()
    await scene.connector.close()

    async def gone() -> bool:
        return scene.stage.connections() == 0

    await eventually(gone, f"of {listening} connections none is left")
