"""The gate lets in what the core asked for, once, and the newest of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from live_runs import opened_core

from domain.inputs import ClockReport, PauseTrading, TickReport
from domain.record import Record
from domain.wake import inside, joined
from grinder.live.gate import SAME_PRICE_MOST, Gate

S = 10**9


class World:
    """A core behind a gate, without a journal."""

    def __init__(self) -> None:
        self.core = opened_core()
        self.learned: list[Record] = []
        self.now = 1_700_000_000 * S
        self.gate = Gate(self.core, self.learn, lambda: self.now, ("BTCUSDT",))

    def learn(self, report: Record) -> int:
        position = self.core.learn(report, self.now)
        self.core.take_intents()
        self.learned.append(report)
        self.gate.learned(report)
        return position

    def ticks(self) -> list[int]:
        return [one.price_ticks for one in self.learned if isinstance(one, TickReport)]


def running(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(World()), 10)

    asyncio.run(main())


def test_nothing_passes_a_closed_gate_and_the_newest_price_passes_when_it_opens() -> None:
    async def test(world: World) -> None:
        world.gate.quote("BTCUSDT", 610_000, 610_002)
        world.gate.quote("BTCUSDT", 611_000, 611_003)
        await asyncio.sleep(0.01)
        assert world.learned == []
        world.gate.open()
        await asyncio.sleep(0.01)
        assert world.ticks() == [611_001], "the middle of the newest quotes, rounded down"
        world.gate.close()
        world.gate.price("BTCUSDT", 700_000)
        await asyncio.sleep(0.01)
        assert world.ticks() == [611_001]

    running(test)


def test_a_flood_of_prices_between_two_turns_becomes_one_input() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        for step in range(10_000):
            world.gate.price("BTCUSDT", 600_000 + step)
        await asyncio.sleep(0.01)
        assert world.ticks() == [609_999]
        assert world.gate.seen == 10_000

    running(test)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_prices_of_a_frame_are_looked_at_where_it_ends_and_the_last_of_them_counts() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        await settled()
        world.gate.begin()
        world.gate.price("BTCUSDT", 610_000)
        world.gate.price("BTCUSDT", 610_500)
        assert world.ticks() == [], "the frame may say more"
        world.gate.look()
        assert world.ticks() == [610_500], "and no turn of the loop was waited for"

    running(test)


def test_of_the_frames_between_two_turns_the_first_is_looked_at_at_once_and_the_others_together() -> None:
    async def test(world: World) -> None:
        told: list[int] = []

        def learn(report: Record) -> int:
            if isinstance(report, TickReport):
                told.append(report.price_ticks)
            gate.learned(report)
            return 0

        gate = Gate(world.core, learn, lambda: world.now, ("BTCUSDT",))
        gate.open()
        await settled()
        for ticks in (610_000, 610_001, 610_002, 610_003):
            gate.begin()
            gate.price("BTCUSDT", ticks)
            gate.look()
        assert told == [610_000]
        await settled()
        assert set(told) == {610_000, 610_003}, "those between came and went"

    running(test)


def test_a_price_that_wakes_nobody_is_not_looked_at_where_its_frame_ends() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        world.gate.price("BTCUSDT", 610_000)
        await settled()
        turn, learned = world.gate.turn, len(world.learned)
        world.gate.begin()
        world.gate.price("BTCUSDT", 610_001)
        world.gate.look()
        assert (world.gate.turn, len(world.learned)) == (turn, learned)

    running(test)


def test_the_prices_of_a_frame_that_never_ended_are_looked_at_after_the_next_one() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        await settled()
        world.gate.begin()
        world.gate.price("BTCUSDT", 610_000)
        world.gate.begin()
        await settled()
        assert world.ticks() == [610_000]

    running(test)


def test_a_price_outside_every_wake_is_no_input() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        world.gate.price("BTCUSDT", 610_000)
        await asyncio.sleep(0.01)
        before = len(world.learned)
        wake = joined(*world.core.wake_of("BTCUSDT"))
        for price in range(610_001, 610_200):
            assert not inside(wake, world.now, price)
            world.gate.price("BTCUSDT", price)
            await asyncio.sleep(0)
        assert len(world.learned) == before
        world.gate.price("ETHUSDT", 1)
        assert "ETHUSDT" not in world.gate.prices

    running(test)


def test_the_clock_is_told_the_time_at_its_boundary_with_the_newest_prices() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        world.gate.price("BTCUSDT", 610_000)
        await asyncio.sleep(0.01)
        (first,) = [one for one in world.learned if isinstance(one, ClockReport)]
        assert first.marks == (("BTCUSDT", 610_000),)
        due = world.core.clock_wake().at_ns
        assert due is not None
        world.gate.price("BTCUSDT", 610_001)
        await asyncio.sleep(0.01)
        assert len([one for one in world.learned if isinstance(one, ClockReport)]) == 1
        world.now = due
        world.gate.price("BTCUSDT", 610_002)
        await asyncio.sleep(0.01)
        told = [one for one in world.learned if isinstance(one, ClockReport)]
        assert [one.marks for one in told[1:]] == [(("BTCUSDT", 610_002),)]

    running(test)


def test_a_timer_fires_without_any_price() -> None:
    async def test(world: World) -> None:
        world.gate.open()
        world.gate.price("BTCUSDT", 610_000)
        await asyncio.sleep(0.01)
        due = world.core.clock_wake().at_ns
        assert due is not None
        world.now = due - S // 20
        world.gate.learned(PauseTrading(reason="test", symbol="", operator="test"))
        await asyncio.sleep(0.01)
        world.now = due
        await asyncio.sleep(0.1)
        assert len([one for one in world.learned if isinstance(one, ClockReport)]) == 2

    running(test)


def test_a_symbol_that_asks_for_one_price_for_ever_leaves_the_others_their_turn() -> None:
    """A wake that its own answer does not end must not become a hot loop."""

    async def test(world: World) -> None:
        asked = 0

        def learn(report: Record) -> int:
            nonlocal asked
            asked += isinstance(report, TickReport)
            gate.learned(report)
            return 0

        gate = Gate(world.core, learn, lambda: world.now, ("BTCUSDT",))
        gate.open()
        gate.price("BTCUSDT", 610_000)  # the core never learns it, so it wants it again and again
        for _ in range(5 * SAME_PRICE_MOST):
            await asyncio.sleep(0)
        assert asked <= SAME_PRICE_MOST + 2

    running(test)
