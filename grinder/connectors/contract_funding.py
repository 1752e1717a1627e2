"""What a connector to perpetuals promises of funding, where it can list it.

Law: a check knows the port and the stage, no exchange and no test runner; see `grinder.connectors.contract`.
"""

from __future__ import annotations

import asyncio

from domain.instrument import LINEAR
from domain.orders import TimeInForce
from grinder.connectors.stage import Heard, Scene, eventually, expect

NS = 10**9

CLOCK_UNSURE_S = 1.0
"""By more than this no connector mistakes the clock of an exchange that answers."""


async def funding_is_listed_once_under_the_id_the_stream_gives_it(scene: Scene) -> None:
    """So that whoever missed it on the stream books it from the list, and nobody books it twice."""
    if scene.stage.instrument.kind != LINEAR:
        return
    before_ns = await scene.connector.server_time_ns() - NS
    async with scene.listening() as heard:
        await scene.connector.place([scene.terms(-50, time_in_force=TimeInForce.IOC.value)])

        async def holds() -> bool:
            return any(one.base_units > 0 for one in await scene.connector.positions())

        await eventually(holds, "an order that takes opens a position")
        # What was exchanged before the streams were up is for the backfill.  A connector knows the exchange's
        # clock to half of an answer's time, so a payment at that very moment may count as one from before.
        await asyncio.sleep(CLOCK_UNSURE_S)
        if not await scene.stage.pay_funding():
            return

        async def listed() -> bool:
            return bool(await scene.connector.fundings(before_ns))

        await eventually(listed, "funding is listed")
        await eventually(lambda: _told(heard), "funding is told of by the stream, or because of it")
    [payment] = found = await scene.connector.fundings(before_ns)
    expect(payment.symbol == scene.symbol and payment.units < 0, f"a buyer did not pay: {payment}")
    expect({one.funding_id for one in heard.fundings()} == {payment.funding_id}, "it has two ids")
    expect(heard.fundings()[0].units == payment.units, "list and stream tell different amounts")
    expect(found == await scene.connector.fundings(before_ns), "the list changes by being read")
    after_ns = await scene.connector.server_time_ns() + NS
    expect(not await scene.connector.fundings(after_ns), "funding is listed that is older than was asked for")


async def _told(heard: Heard) -> bool:
    return bool(heard.fundings())
