"""Virtual time: it jumps, it is exact, it is the same every time, and it waits for the world outside."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest

from replay import virtual_time
from replay.virtual_time import NothingLeft, VirtualTimeLoop

T0 = 1_700_000_000 * 10**9


def test_a_year_of_sleep_takes_no_time_and_the_clock_is_exact() -> None:
    async def main(loop: VirtualTimeLoop) -> int:
        await asyncio.sleep(365 * 86_400)
        return loop.now_ns()

    assert virtual_time.run(main, T0) == T0 + 365 * 86_400 * 10**9


def test_timers_fire_in_the_order_of_their_time() -> None:
    async def main(loop: VirtualTimeLoop) -> list[tuple[str, int]]:
        seen: list[tuple[str, int]] = []

        async def after(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, loop.now_ns()))

        await asyncio.gather(after("c", 3), after("a", 0.001), after("b", 0.5))
        return seen

    assert virtual_time.run(main) == [("a", 10**6), ("b", 5 * 10**8), ("c", 3 * 10**9)]


def test_time_outs_follow_the_virtual_clock() -> None:
    async def main(loop: VirtualTimeLoop) -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 5)
        async with asyncio.timeout(10):
            await asyncio.sleep(9.999)
        return loop.time()

    assert virtual_time.run(main) == pytest.approx(14.999, abs=1e-6)


def story(seed: int) -> list[tuple[int, int]]:
    """What a few tasks with seeded sleeps do to each other."""

    async def main(loop: VirtualTimeLoop) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        queue: asyncio.Queue[int] = asyncio.Queue(2)

        async def talk(number: int) -> None:
            chance = random.Random(seed * 100 + number)
            for _ in range(50):
                await asyncio.sleep(chance.random())
                await queue.put(number)

        async def hear() -> None:
            chance = random.Random(seed)
            for _ in range(200):
                told.append((await queue.get(), loop.now_ns()))
                await asyncio.sleep(chance.random() / 10)

        await asyncio.gather(hear(), *(talk(number) for number in range(4)))
        return told

    return virtual_time.run(main, T0)


def test_the_same_program_sees_the_same_times() -> None:
    assert story(1) == story(1)
    assert story(1) != story(2)


def test_time_stands_still_while_a_thread_works() -> None:
    async def main(loop: VirtualTimeLoop) -> int:
        woken: list[int] = []
        loop.call_later(5, lambda: woken.append(loop.now_ns()))
        await loop.run_in_executor(None, time.sleep, 0.05)
        assert woken == []
        return loop.now_ns()

    assert virtual_time.run(main) == 0


def test_time_stands_still_within_outside_and_until_a_hold_is_released() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        done = asyncio.Event()

        def work() -> None:
            time.sleep(0.05)
            loop.call_soon_threadsafe(done.set)

        with loop.outside():
            threading.Thread(target=work).start()
            await asyncio.wait_for(done.wait(), 0.001)
        assert loop.now_ns() == 0
        release = loop.hold()
        release()
        release()
        await asyncio.sleep(1)
        assert loop.now_ns() == 10**9

    virtual_time.run(main)


def test_waiting_for_what_cannot_come_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "PATIENCE_S", 0.05)

    async def main(loop: VirtualTimeLoop) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NothingLeft):
        virtual_time.run(main)


def test_real_sockets_work_on_virtual_time() -> None:
    async def main(loop: VirtualTimeLoop) -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        got = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return got

    assert virtual_time.run(main) == b"hello\n"
