"""What a connector promises of orders.

Law: a check knows the port and the stage, no exchange and no test runner; see `grinder.connectors.contract`.
"""

from __future__ import annotations

import asyncio

from actors.ports import (
    ExchangeError,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    SnapshotStatus,
)
from domain.inputs import FillReport
from domain.instrument import LINEAR
from domain.orders import MARKET, SELL, TimeInForce
from grinder.connectors.contract_market import balances_are_told, recently
from grinder.connectors.stage import ENDED, GONE_S, HALF, SPREAD, TOO_MANY, Scene, eventually, expect


async def a_placed_order_rests_and_is_found_by_its_client_id(scene: Scene) -> None:
    """By a query, in the list of open orders, and on the exchange."""
    terms = scene.terms()
    async with scene.listening() as heard:
        exchange_id = await scene.placed(terms)
        found = await scene.connector.order(scene.ref(terms))
        listed = [one for one in await scene.connector.open_orders() if one.exchange_order_id == exchange_id]

        async def told() -> bool:
            return any(one.status is SnapshotStatus.WORKING for one in heard.orders(terms.client_order_id))

        await eventually(told, "the stream tells that the order works")
    for one in (found, *listed):
        expect(one is not None, "a resting order is not found")
        assert one is not None
        said = (one.client_order_id, one.side, one.price_ticks, one.lots, one.filled_lots)
        meant = (terms.client_order_id, terms.side, terms.price_ticks, terms.lots, 0)
        expect(said == meant, f"a resting order {meant} is told as {said}")
    expect(len(listed) == 1, f"the list of open orders holds it {len(listed)} times")
    expect(await scene.rests(terms), "what is said to rest does not")


async def a_refused_order_leaves_nothing(scene: Scene) -> None:
    """An order nobody can pay is refused, at once or on the stream, and nothing rests."""
    terms = scene.terms(lots=scene.stage.lots * TOO_MANY)
    [answer] = await scene.connector.place([terms])
    if scene.stage.capabilities.acknowledges or not isinstance(answer, Placed):
        expect(isinstance(answer, OrderRefused), f"an order nobody can pay was answered with {answer!r}")
    await eventually(lambda: scene.is_over(terms), "a refused order is over")
    expect(not await scene.rests(terms), "a refused order rests")


async def a_post_only_order_that_crosses_never_fills(scene: Scene) -> None:
    """It is refused, or cancelled a moment later."""
    terms = scene.terms(below=-SPREAD - HALF)
    async with scene.listening() as heard:
        [answer] = await scene.connector.place([terms])
        expect(isinstance(answer, (Placed, OrderRefused)), f"it was answered with {answer!r}")
        await eventually(lambda: scene.is_over(terms), "a post-only order that would take is over")
        expect(not heard.fills(terms.client_order_id), "a post-only order took")
    expect(not await scene.rests(terms), "a post-only order rests across the market")
    fills = await scene.connector.fills(scene.symbol, await recently(scene))
    expect(not fills, f"a post-only order took: {fills}")


async def the_same_id_never_makes_two_orders(scene: Scene) -> None:
    """Sent again while the first rests, an order is not there twice.

    A duplicate says that the order exists.  So its outcome is unknown, or it is a refusal that says that it
    is a duplicate: who took it for any other refusal would give the level away to another order.
    """
    terms = scene.terms()
    await scene.placed(terms)
    [again] = await scene.connector.place([terms])
    if scene.stage.capabilities.acknowledges or not isinstance(again, Placed):
        named = isinstance(again, OrderRefused) and "duplicat" in f"{again.code} {again.text}".lower()
        expect(named or isinstance(again, OutcomeUnknown), f"the second was answered with {again!r}")
    count = (await scene.stage.resting()).count(terms.client_order_id)
    expect(count == 1, f"one id rests {count} times")


async def a_cancel_ends_an_order(scene: Scene) -> None:
    """The answer, a query, the list and the stream agree that it is over."""
    terms = scene.terms()
    async with scene.listening() as heard:
        exchange_id = await scene.placed(terms)
        [answer] = await scene.connector.cancel([scene.ref(terms, exchange_id)])
        if isinstance(answer, OrderSnapshot):
            expect(answer.status in ENDED, f"the cancel's answer shows {answer.status}")
        else:
            expect(answer is None, f"cancelling a resting order was answered with {answer!r}")
        await eventually(lambda: scene.is_over(terms), "a cancelled order is over")

        async def told() -> bool:
            return any(one.status is SnapshotStatus.CANCELLED for one in heard.orders(terms.client_order_id))

        await eventually(told, "the stream tells of the cancel")
    expect(not await scene.rests(terms), "a cancelled order rests")
    open_ids = [one.client_order_id for one in await scene.connector.open_orders()]
    expect(terms.client_order_id not in open_ids, "a cancelled order is in the list of open orders")


async def cancelling_an_unknown_order_is_a_refusal(scene: Scene) -> None:
    """And a query for it says that it is not known."""
    terms = scene.terms()
    [answer] = await scene.connector.cancel([scene.ref(terms)])
    expect(isinstance(answer, OrderRefused), f"cancelling nothing was answered with {answer!r}")
    expect(await scene.connector.order(scene.ref(terms)) is None, "an order that never was is found")


async def fills_arrive_once_and_equal_the_backfill(scene: Scene) -> None:
    """The stream and the backfill tell the same executions under the same ids."""
    terms = scene.terms()
    async with scene.listening() as heard:
        await scene.placed(terms)
        await scene.stage.quote(terms.price_ticks - SPREAD, terms.price_ticks)

        async def filled() -> bool:
            return sum(one.lots for one in heard.fills(terms.client_order_id)) >= terms.lots

        async def closed() -> bool:
            return any(one.status is SnapshotStatus.FILLED for one in heard.orders(terms.client_order_id))

        await eventually(filled, "the stream tells of the execution")
        await eventually(closed, "the stream tells that the order is filled")
        told = heard.fills(terms.client_order_id)
    expect(sum(one.lots for one in told) == terms.lots, f"filled more than asked for: {told}")
    expect(len({one.fill_id for one in told}) == len(told), f"an execution was told twice: {told}")
    expect(all(one.fill_id for one in told), "an execution has no id")
    expect(all(one.liquidity == "maker" for one in told), "a resting order is said to have taken")
    found = await scene.connector.fills(scene.symbol, await recently(scene))
    expect(_anonymous(found, found) == _anonymous(told, found), f"backfill {found}, stream {told}")
    order = await scene.connector.order(scene.ref(terms))
    kept = order is None or (order.status is SnapshotStatus.FILLED and order.filled_lots == terms.lots)
    expect(kept, f"a filled order is told as {order}")
    await balances_are_told(scene)


def _anonymous(fills: list[FillReport], backfill: list[FillReport]) -> list[tuple[object, ...]]:
    """Executions as far as the backfill tells of them: some exchanges leave the client order id out."""
    named = all(one.client_order_id for one in backfill)
    return [
        (
            one.client_order_id if named else "",
            one.exchange_order_id,
            one.fill_id,
            one.symbol,
            one.side,
            one.price_ticks,
            one.lots,
            one.liquidity,
            one.fee_asset,
            one.fee_units,
            one.fee_value,
        )
        for one in fills
    ]


async def an_order_that_may_take_takes(scene: Scene) -> None:
    """A market order and a limit order that crosses are executed as takers."""
    market = scene.terms(below=-SPREAD, order_type=MARKET, time_in_force=TimeInForce.IOC.value)
    limit = scene.terms(below=-SPREAD - HALF, time_in_force=TimeInForce.GTC.value)
    async with scene.listening() as heard:
        for terms in (market, limit):
            [answer] = await scene.connector.place([terms])
            expect(isinstance(answer, Placed), f"it was answered with {answer!r}")

            async def filled(client_id: str = terms.client_order_id, lots: int = terms.lots) -> bool:
                return sum(one.lots for one in heard.fills(client_id)) == lots

            await eventually(filled, "an order that takes is executed")
            taken = heard.fills(terms.client_order_id)
            expect(all(one.liquidity == "taker" for one in taken), "an order that takes is said to have made")


async def a_batch_answers_one_for_each_order(scene: Scene) -> None:
    """In order, whatever becomes of each."""
    most = scene.stage.capabilities.place_batch
    good = [scene.terms(50 + place) for place in range(min(most, 3))]
    good[1] = scene.terms(51, lots=scene.stage.lots * TOO_MANY)
    answers = await scene.connector.place(good)
    expect(len(answers) == len(good), f"{len(good)} orders, {len(answers)} answers")
    refs = []
    for place, (terms, answer) in enumerate(zip(good, answers, strict=True)):
        if place == 1:
            if scene.stage.capabilities.acknowledges:
                expect(isinstance(answer, OrderRefused), f"what nobody can pay was answered with {answer!r}")
            await eventually(lambda one=terms: scene.is_over(one), "a refused order is over")  # type: ignore[misc]
            continue
        expect(isinstance(answer, Placed), f"order {place} of a batch was answered with {answer!r}")
        await eventually(lambda one=terms: scene.is_found(one), "an order of a batch is found")  # type: ignore[misc]
        refs.append(scene.ref(terms, answer.exchange_order_id if isinstance(answer, Placed) else ""))
    refs = refs[: scene.stage.capabilities.cancel_batch]
    ended = await scene.connector.cancel(refs)
    expect(len(ended) == len(refs), "a batch of cancels has missing answers")
    expect(not any(isinstance(one, ExchangeError) for one in ended), f"a cancel of a batch failed: {ended!r}")
    for ref in refs:

        async def over(one: OrderRef = ref) -> bool:
            found = await scene.connector.order(one)
            return found is None or found.status in ENDED

        await eventually(over, "an order of a cancelled batch is over")


async def foreign_orders_are_listed(scene: Scene) -> None:
    """Somebody else's order is in the list, and its id is not one of ours."""
    ours, theirs = scene.terms(), scene.stage.price_ticks - 60
    await scene.placed(ours)
    await scene.stage.foreign_order(theirs, scene.stage.lots)
    listed = await scene.connector.open_orders()
    expect(len(listed) == 2, f"two orders are open, {len(listed)} are listed")
    found = [one for one in listed if one.price_ticks == theirs and one.lots == scene.stage.lots]
    expect(len(found) == 1, f"the foreign order is not among {listed}")
    expect(found[0].client_order_id != ours.client_order_id, "a foreign order carries our id")
    expect(bool(found[0].exchange_order_id), "a foreign order has no exchange order id")


async def cancel_all_ends_every_order_of_a_symbol(scene: Scene) -> None:
    """For emergencies."""
    for below in (50, 51):
        await scene.placed(scene.terms(below))
    await scene.connector.cancel_all(scene.symbol)

    async def none_rests() -> bool:
        return not await scene.stage.resting()

    await eventually(none_rests, "nothing rests after cancel_all")
    expect(not await scene.connector.open_orders(), "an order is listed after cancel_all")


async def the_dead_man_switch_arms_and_disarms(scene: Scene) -> None:
    """Arming and disarming leave orders alone."""
    terms = scene.terms()
    await scene.placed(terms)
    shortest, longest = scene.stage.capabilities.dead_man_s
    expect(0 < shortest <= longest, f"the switch can be armed for {shortest} to {longest} s")
    await scene.connector.arm_dead_man(max(shortest, min(60, longest)))
    await scene.connector.arm_dead_man(0)
    expect(await scene.rests(terms), "arming the switch ended an order")


async def the_dead_man_switch_ends_orders_when_nobody_arms_it_again(scene: Scene) -> None:
    """After the armed time, with the client gone: on some exchanges it counts from the end of the stream."""
    terms = scene.terms()
    shortest, longest = scene.stage.capabilities.dead_man_s
    seconds = max(shortest, min(60, longest))
    async with scene.listening():
        await scene.placed(terms)
        await scene.connector.arm_dead_man(seconds)
    await asyncio.sleep(GONE_S)
    if not await scene.stage.elapse(seconds - 1):
        return
    expect(await scene.rests(terms), "the switch fired too early")
    await scene.stage.elapse(seconds + 1)
    await eventually(lambda: scene.is_over(terms), "the switch ends the order")
    expect(not await scene.rests(terms), "an order rests after the switch fired")


async def reduce_only_never_opens_a_position(scene: Scene) -> None:
    """Without a position it is refused."""
    if scene.stage.instrument.kind != LINEAR:
        return
    terms = scene.terms(-50, side=SELL, reduce_only=True)
    [answer] = await scene.connector.place([terms])
    if scene.stage.capabilities.acknowledges:
        expect(isinstance(answer, OrderRefused), f"it was answered with {answer!r}")
    await eventually(lambda: scene.is_over(terms), "a reduce-only order without a position is over")
    expect(not [one for one in await scene.connector.positions() if one.base_units], "a position was opened")
