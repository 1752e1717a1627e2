"""One request over HTTP: sent once, to the address that was signed; an answer is no more than an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from actors.ports import Unavailable
from grinder.connectors.converting import Unreadable
from grinder.connectors.http import HttpClient, NoAnswer, read


@asynccontextmanager
async def served(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[tuple[HttpClient, str]]:
    """A client, and the address of a server that answers everything with `handle`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = HttpClient()
    client.open()
    try:
        yield client, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_signed_request_does_not_follow_a_redirection(status: int) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def main() -> None:
        async with served(handle) as (client, address):
            answer = await client.send("POST", f"{address}/order", "signed", {"X-Sign": "secret"})
            assert answer.status == status

    asyncio.run(main())
    assert asked == ["/order"]


def test_an_address_is_sent_character_by_character_as_it_was_signed() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.raw_path)
        return web.Response(text="{}")

    async def main() -> None:
        async with served(handle) as (client, address):
            await client.send("GET", f"{address}/v5/a?b=%7E%2c+x&c=")

    asyncio.run(main())
    assert seen == ["/v5/a?b=%7E%2c+x&c="]


def test_a_connection_that_ends_without_an_answer_says_so_and_is_not_tried_again() -> None:
    asked = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def main() -> None:
        async with served(handle) as (client, address):
            with pytest.raises(NoAnswer) as none:
                await client.send("POST", f"{address}/order", "{}")
            assert none.value.code == "connection"

    asyncio.run(main())
    assert asked == 1


def test_an_answer_that_comes_too_late_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grinder.connectors.http.TIMEOUT_S", 0.05)

    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response()

    async def main() -> None:
        async with served(handle) as (client, address):
            with pytest.raises(NoAnswer) as none:
                await client.send("GET", f"{address}/")
            assert none.value.code == "timeout"

    asyncio.run(main())


def test_what_nobody_can_read_is_unavailable_and_every_other_failure_stays_what_it_is() -> None:
    def nonsense(text: str) -> int:
        raise Unreadable(text)

    with pytest.raises(Unavailable, match="no number"):
        read(nonsense, "no number")
    with pytest.raises(ZeroDivisionError):
        read(lambda: 1 // 0)
    assert read(int, "7", base=8) == 7
