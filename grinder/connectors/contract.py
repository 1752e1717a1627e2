"""The contract every connector keeps, as checks that can be run against any exchange.

Law: a check knows the port and the stage (`grinder.connectors.stage`), no exchange and no test runner.  What
the port leaves open (an acknowledgement that comes later, a backfill without client ids) the checks leave
open too; nothing else.

A package with a connector of its own runs it like this::

    @pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.name)
    def test_my_exchange_keeps_the_contract(check):
        contract.play(check, MyStage)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import attrs

from actors.ports import Capabilities
from grinder.connectors import contract_faults as faults
from grinder.connectors import contract_funding as funding
from grinder.connectors import contract_market as market
from grinder.connectors import contract_orders as orders
from grinder.connectors.stage import SPREAD, Scene, Stage, eventually

TIMEOUT_S = 30.0
"""How long one check may take."""


@attrs.frozen
class Check:
    """One thing a connector promises.

    Attributes:
        name: a sentence with underscores.
        applies: whether it means anything for an exchange of these capabilities.
    """

    name: str
    run: Callable[[Scene], Awaitable[None]]
    applies: Callable[[Capabilities], bool]


def play(check: Check, make_stage: Callable[[], Stage]) -> bool:
    """Run one check on a stage of its own, and see that nothing is left behind.

    Returns:
        False when the check means nothing for this exchange.

    Raises:
        Broken: the connector does not keep the contract.
        TimeoutError: the check did not end within `TIMEOUT_S`.
    """
    stage = make_stage()
    if not check.applies(stage.capabilities):
        return False
    asyncio.run(_played(check, stage))
    return True


async def _played(check: Check, stage: Stage) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await stage.open()
        try:
            await stage.quote(stage.price_ticks, stage.price_ticks + SPREAD)
            before = asyncio.all_tasks()
            connector = stage.connector()
            await connector.open()
            try:
                connector.list_instruments({stage.instrument.symbol: stage.instrument}, {})
                await check.run(Scene(stage, connector))
            finally:
                await connector.close()

            async def nothing_left() -> bool:
                return not stage.connections() and asyncio.all_tasks() <= before | stage.own_tasks()

            await eventually(nothing_left, "closing leaves no task and no connection")
        finally:
            await stage.close()


def _always(capabilities: Capabilities) -> bool:
    return True


CHECKS: tuple[Check, ...] = (
    *(
        Check(one.__name__, one, _always)
        for one in (
            market.rules_are_those_of_the_instrument,
            market.the_key_is_known_to_trade_and_not_to_withdraw,
            market.balances_match_the_exchange,
            market.quotes_arrive,
            market.a_frame_nobody_can_read_is_a_gap,
            orders.a_placed_order_rests_and_is_found_by_its_client_id,
            orders.a_refused_order_leaves_nothing,
            orders.a_post_only_order_that_crosses_never_fills,
            orders.the_same_id_never_makes_two_orders,
            orders.a_cancel_ends_an_order,
            orders.cancelling_an_unknown_order_is_a_refusal,
            orders.fills_arrive_once_and_equal_the_backfill,
            orders.an_order_that_may_take_takes,
            orders.foreign_orders_are_listed,
            orders.cancel_all_ends_every_order_of_a_symbol,
            faults.an_unreadable_answer_is_unknown_or_unavailable,
            faults.a_lost_answer_is_unknown_and_the_order_is_found,
            faults.a_lost_request_is_unknown_and_the_order_is_not_found,
            faults.a_status_nobody_knows_is_unreadable,
            faults.amounts_nobody_can_read_are_never_taken,
            faults.an_execution_without_an_id_gets_the_same_on_both_ways,
            faults.reconnecting_brings_every_stream_up_again,
            faults.ending_the_listener_ends_every_socket,
        )
    ),
    Check(
        orders.a_batch_answers_one_for_each_order.__name__,
        orders.a_batch_answers_one_for_each_order,
        lambda capabilities: capabilities.place_batch > 1,
    ),
    Check(
        faults.a_short_batch_is_unknown_for_whom_it_leaves_out.__name__,
        faults.a_short_batch_is_unknown_for_whom_it_leaves_out,
        lambda capabilities: capabilities.place_batch > 1,
    ),
    Check(
        orders.the_dead_man_switch_arms_and_disarms.__name__,
        orders.the_dead_man_switch_arms_and_disarms,
        lambda capabilities: bool(capabilities.dead_man),
    ),
    Check(
        orders.the_dead_man_switch_ends_orders_when_nobody_arms_it_again.__name__,
        orders.the_dead_man_switch_ends_orders_when_nobody_arms_it_again,
        lambda capabilities: bool(capabilities.dead_man),
    ),
    Check(
        orders.reduce_only_never_opens_a_position.__name__,
        orders.reduce_only_never_opens_a_position,
        lambda capabilities: capabilities.positions,
    ),
    Check(
        funding.funding_is_listed_once_under_the_id_the_stream_gives_it.__name__,
        funding.funding_is_listed_once_under_the_id_the_stream_gives_it,
        lambda capabilities: capabilities.fundings,
    ),
)
"""Every check, in the order of a first reading."""
