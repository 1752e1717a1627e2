"""One WebSocket kept up, against a real server on loopback."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
import pytest
from aiohttp import WSMsgType, web

from actors.ports import Gap, Quote, Signal
from grinder.connectors.converting import Unreadable
from grinder.connectors.streams import Keeping, Stream, StreamLost

QUICK = Keeping(first_delay_s=0.01, longest_delay_s=0.05, steady_s=0.0)


def quote(received_ns: int, ticks: int) -> Quote:
    return Quote(
        symbol="BTCUSDT",
        bid_ticks=ticks,
        ask_ticks=ticks + 1,
        bid_lots=1,
        ask_lots=1,
        exchange_ns=0,
        received_ns=received_ns,
    )


class TicksDecoder:
    """Frames ``{"ticks": n}``; anything else that is not JSON is a gap."""

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        try:
            body = json.loads(frame)
        except ValueError:
            return [Gap(stream=stream, detail="unreadable")]
        return [quote(received_ns, body["ticks"])] if isinstance(body, list) or "ticks" in body else []


@attrs.define
class Told:
    """What the listener was told, and an event each time."""

    frames: list[bytes] = attrs.field(factory=list)
    signals: list[Signal] = attrs.field(factory=list)
    ups: int = 0
    downs: list[str] = attrs.field(factory=list)
    order: list[str] = attrs.field(factory=list)

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.frames.append(frame)
        self.order.append("frame")

    def signal(self, stream: str, signal: Signal) -> None:
        self.signals.append(signal)
        self.order.append("signal")

    def frame_end(self, stream: str) -> None:
        self.order.append("end")

    def stream_up(self, stream: str) -> None:
        self.ups += 1

    def stream_down(self, stream: str, reason: str) -> None:
        self.downs.append(reason)


class Server:
    """A WebSocket server whose sockets are run by `handle`."""

    def __init__(self, handle: Callable[[web.WebSocketResponse], Awaitable[None]]) -> None:
        self.handle = handle
        self.connections = 0
        self.url = ""

    async def __aenter__(self) -> Server:
        async def socket(request: web.Request) -> web.WebSocketResponse:
            self.connections += 1
            response = web.WebSocketResponse()
            await response.prepare(request)
            await self.handle(response)
            return response

        app = web.Application()
        app.router.add_get("/ws", socket)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        host, port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/ws"
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.runner.cleanup()


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def stream(url: Any, told: Told, keeping: Keeping = QUICK, **more: Any) -> Stream:
    return Stream(
        "public", url, listener=told, decoder=TicksDecoder(), clock=lambda: 7, keeping=keeping, **more
    )


async def during(one: Stream, check: Awaitable[None]) -> None:
    running = asyncio.create_task(one.run())
    try:
        await check
    finally:
        running.cancel()
        await asyncio.wait((running,), timeout=3)
        assert running.cancelled()


def test_frames_are_told_before_they_are_decoded_and_the_stream_comes_up_after_greeting() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        asked = await socket.receive_json()
        await socket.send_json({"subscribed": asked["subscribe"]})
        await socket.send_json({"ticks": 5})
        await socket.receive()

    async def greet(one: Stream) -> None:
        await one.send({"subscribe": "book"})
        assert json.loads(await one.receive()) == {"subscribed": "book"}
        assert not one.up

    async def main() -> None:
        told = Told()
        async with Server(handle) as server:
            one = stream(server.url, told, greet=greet)
            await during(one, until(lambda: bool(told.signals)))
        assert told.ups == 1
        assert told.frames[0] == b'{"subscribed": "book"}'
        assert told.signals == [quote(7, 5)]
        assert told.downs == ["closed"]

    asyncio.run(main())


class HalfDecoder:
    """Every frame is one quote, and then something nobody can read."""

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        yield quote(received_ns, 1)
        raise Unreadable("half a frame")


def test_every_frame_ends_even_one_of_which_only_a_part_can_be_read() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"ticks": 1})
        await socket.send_json({"ticks": 2})
        await socket.receive()

    async def main() -> None:
        for decoder in (TicksDecoder(), HalfDecoder()):
            told = Told()
            async with Server(handle) as server:
                one = Stream(
                    "public", server.url, listener=told, decoder=decoder, clock=lambda: 7, keeping=QUICK
                )
                await during(one, until(lambda told=told: told.order.count("end") >= 2))
            assert told.order[:6] == ["frame", "signal", "end"] * 2
            assert ("half a frame" in str(told.downs)) is isinstance(decoder, HalfDecoder)

    asyncio.run(main())


def test_a_connection_the_exchange_ends_is_renewed_with_an_address_asked_for_anew() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"ticks": 1})
        await socket.close(code=1001)

    async def main() -> None:
        told, asked = Told(), []
        async with Server(handle) as server:

            async def address() -> str:
                asked.append(1)
                return server.url

            await during(stream(address, told), until(lambda: len(told.signals) >= 3))
        assert len(asked) >= 3
        assert told.downs[0] == "ended by the exchange (1001)"

    asyncio.run(main())


def test_delays_before_reconnections_double_and_are_spread_by_a_tenth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    drawn = iter((0.5, 0.0, 1.0, 0.75, 0.5, 0.5, 0.5))

    async def main() -> None:
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            await real(0)

        told = Told()
        keeping = attrs.evolve(QUICK, first_delay_s=1.0, longest_delay_s=8.0, steady_s=60.0)
        one = stream("http://127.0.0.1:9/nobody", told, keeping, chance=lambda: next(drawn))
        monkeypatch.setattr(asyncio, "sleep", sleep)
        running = asyncio.create_task(one.run())
        while len(waited) < 5:
            await real(0.001)
        running.cancel()
        await asyncio.wait((running,))
        monkeypatch.undo()

    asyncio.run(main())
    assert waited[:5] == pytest.approx([1.0, 1.8, 4.4, 8.4, 8.0])


def test_a_silent_connection_is_renewed() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async def main() -> None:
        told = Told()
        quick = attrs.evolve(QUICK, silence_s=0.05)
        async with Server(handle) as server:
            await during(stream(server.url, told, quick), until(lambda: told.ups >= 2))
        assert told.downs[0] == "silent for 0.05 s"

    asyncio.run(main())


def test_the_keep_alive_frames_are_sent_and_their_answers_are_a_sign_of_life() -> None:
    pings: list[str] = []

    async def handle(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                pings.append(message.data)
                await socket.send_json({"op": "pong"})

    async def main() -> None:
        told = Told()
        quick = attrs.evolve(QUICK, keep_alive=lambda: {"op": "ping"}, keep_alive_s=0.03, silence_s=0.3)
        async with Server(handle) as server:
            await during(stream(server.url, told, quick), until(lambda: len(pings) >= 15))
            assert server.connections == 1
        assert pings[0] == '{"op":"ping"}'

    asyncio.run(main())


def test_a_gap_renews_the_stream_at_once_when_it_had_been_well() -> None:
    first = [True]

    async def handle(socket: web.WebSocketResponse) -> None:
        if first.pop() if first else False:
            await socket.send_str("<html>")
        await socket.send_json({"ticks": 2})
        await socket.receive()

    async def main() -> None:
        told = Told()
        async with Server(handle) as server:
            await during(
                stream(server.url, told), until(lambda: told.ups >= 2 and quote(7, 2) in told.signals)
            )
        assert told.signals[0] == Gap(stream="public", detail="unreadable")
        assert told.downs[0] == "unreadable"

    asyncio.run(main())


def test_a_dropped_stream_comes_back() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async def main() -> None:
        told = Told()
        async with Server(handle) as server:
            one = stream(server.url, told)

            async def check() -> None:
                await until(lambda: one.up)
                one.drop("audit")
                await until(lambda: told.ups == 2)

            await during(one, check())
            assert server.connections == 2
        assert told.downs == ["audit", "closed"]

    asyncio.run(main())


def test_attempts_wait_twice_as_long_each_time_until_one_lasts() -> None:
    async def main() -> None:
        told = Told()
        waits: list[float] = []
        loop = asyncio.get_running_loop()

        async def address() -> str:
            waits.append(loop.time())
            raise StreamLost("no listen key")

        quick = Keeping(first_delay_s=0.02, longest_delay_s=0.08, steady_s=60)
        one = stream(address, told, quick, chance=lambda: 0.5)
        await during(one, until(lambda: len(waits) >= 6))
        for (before, after), least in zip(
            itertools.pairwise(waits), (0.02, 0.04, 0.08, 0.08, 0.08), strict=False
        ):
            assert after - before >= least - 0.001
        assert told.ups == 0
        assert set(told.downs) == {"no listen key", "closed"} or set(told.downs) == {"no listen key"}

    asyncio.run(main())


def test_a_mistake_in_a_decoder_ends_the_stream_instead_of_renewing_it() -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.send_str("[]")
        await socket.receive()

    async def main() -> None:
        async with Server(handle) as server:
            async with asyncio.timeout(5):
                with pytest.raises(TypeError):
                    await stream(server.url, Told()).run()
            assert server.connections == 1

    asyncio.run(main())


def test_sending_without_a_connection_is_refused() -> None:
    async def main() -> None:
        one = stream("http://127.0.0.1:1/ws", Told())
        try:
            await one.send({})
        except StreamLost as lost:
            assert str(lost) == "not connected"
        else:
            raise AssertionError("sent into nothing")
        one.drop()

    asyncio.run(main())
