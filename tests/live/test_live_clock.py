"""Time does not run back, begins after the ledger's end, and may pass faster."""

from __future__ import annotations

import asyncio
import time

import pytest

from grinder.live.clock import NS, FastLoop, LoopClock, RealClock


class Wall:
    def __init__(self) -> None:
        self.now = 1_000 * NS
        self.stopwatch = 5

    def pass_time(self, ns: int) -> None:
        self.now += ns
        self.stopwatch += ns


def test_a_machine_clock_set_back_does_not_take_the_run_along() -> None:
    wall = Wall()
    clock = RealClock(0, lambda: wall.now, lambda: wall.stopwatch)
    wall.pass_time(NS)
    before = clock()
    wall.now -= 3_600 * NS
    assert clock() >= before
    wall.pass_time(NS)
    assert clock() == before + NS, "it goes on as a stopwatch"
    assert clock.ahead_ns() == 3_600 * NS


def test_a_machine_clock_set_forward_is_followed() -> None:
    wall = Wall()
    clock = RealClock(0, lambda: wall.now, lambda: wall.stopwatch)
    wall.now += 60 * NS
    assert clock() == wall.now


def test_a_run_never_begins_before_its_ledger_ended() -> None:
    wall = Wall()
    clock = RealClock(2_000 * NS, lambda: wall.now, lambda: wall.stopwatch)
    assert clock() >= 2_000 * NS
    wall.pass_time(7)
    assert clock() == 2_000 * NS + 7


def test_a_fast_loop_sleeps_a_second_in_a_fraction_of_one() -> None:
    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop.time, 50 * NS)
        began = time.monotonic()
        await asyncio.sleep(100)
        return clock(), time.monotonic() - began

    with asyncio.Runner(loop_factory=lambda: FastLoop(1000)) as runner:
        now_ns, took_s = runner.run(main())
    assert now_ns >= 150 * NS
    assert 0.09 < took_s < 1.0
    assert (now_ns / NS - 50) / 1000 <= took_s, "a thousand of its seconds take one"


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_is_above_nothing(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        FastLoop(speed)
