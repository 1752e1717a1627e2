"""The WebSocket: what happens as it happens, from any record on, without a gap."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from web_rig import Web, play, serving

from grinder.ledger.reading import connect
from grinder.web.handlers.stream import TOPICS, topics_of


class Socket:
    """A client that keeps what it is told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.last = 0

    async def say(self, **what: Any) -> None:
        await self.socket.send_json(what)

    async def next(self) -> dict[str, Any]:
        """The next message."""
        message = await self.socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        found: dict[str, Any] = message.json()
        if found["type"] == "event":
            self.events.append(found)
            self.last = found["seq"]
        return found

    async def until(self, kind: str, position: int = 0) -> dict[str, Any]:
        """Read until a message of a kind comes that stands at a position or beyond."""
        while True:
            found = await self.next()
            if found["type"] == kind and found.get("seq", position) >= position:
                return found


async def opened(web: Web, token: str = "", path: str = "/ws") -> Socket:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Socket(await web.session.ws_connect(web.address + path, headers=headers))


def shown(run: Path, topics: tuple[str, ...], after: int = 0, until: int = 2**62) -> list[int]:
    """Positions of the records these topics show, read from the ledger."""
    connection = connect(run / "ledger.db")
    found = connection.execute(
        "SELECT rowid, topic FROM stored_events WHERE rowid > ? AND rowid <= ? ORDER BY rowid", (after, until)
    ).fetchall()
    connection.close()
    return [position for position, topic in found if any(one in topics_of(topic) for one in topics)]


@pytest.mark.parametrize("topics", [("ledger",), ("trades",), ("orders", "risk"), tuple(TOPICS)])
def test_a_reader_that_comes_back_gets_everything_after_what_it_saw_once(
    finished: Path, tmp_path: Path, topics: tuple[str, ...]
) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            head = web.services.runs.by_name[finished.name].head
            expected, seen, last = shown(finished, topics), [], 0
            while last < head:
                reader = await opened(web)
                await reader.say(subscribe=list(topics), after=last)
                while len(reader.events) < 90 and last < head:
                    found = await reader.next()
                    last = found["seq"] if found["type"] in ("event", "at") else last
                await reader.socket.close()
                seen += [one["seq"] for one in reader.events]
            assert expected
            assert seen == expected

    play(scene)


def test_a_live_run_is_followed_and_a_cut_reader_resumes_without_a_gap(live: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, no_login=True) as web:
            reader = await opened(web)
            await reader.say(subscribe=["ledger"])
            began = (await reader.until("subscribed"))["after"]
            first = (await web.post("/api/pause")).json["position"]
            await reader.until("event", first)
            reader.socket._response.connection.transport.abort()  # type: ignore[union-attr]
            second = (await web.post("/api/resume")).json["position"]
            again = await opened(web)
            await again.say(subscribe=["ledger"], after=reader.last)
            await again.until("event", second)
            seen = [one["seq"] for one in (*reader.events, *again.events)]
            assert seen == list(range(began + 1, again.last + 1)), "no gap, none twice"
            commands = [one for one in again.events if "commands" in topics_of(one["kind"])]
            assert commands[-1]["data"]["operator"] == "local"

    play(scene)


def test_trades_come_with_their_row_and_a_beat_says_whether_it_is_now(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            reader = await opened(web)
            await reader.say(subscribe=["trades"], after=0)
            beat = await reader.until("at", 1)
            assert not beat["stale"]
            assert beat["seq"] == beat["head"]
            assert all(one["row"]["position"] == one["seq"] for one in reader.events)
            assert {one["row"]["symbol"] for one in reader.events} == {"BTCUSDT"}
            (tmp_path / "gone").mkdir()
            (finished / "ledger.db").rename(tmp_path / "gone" / "ledger.db")
            try:
                while not beat["stale"]:
                    beat = await reader.until("at")
                assert beat["fault"] == "ledger.missing"
            finally:
                (tmp_path / "gone" / "ledger.db").rename(finished / "ledger.db")
            await reader.say(unsubscribe=["trades"])
            assert (await reader.until("subscribed"))["topics"] == []

    play(scene)


def test_what_a_reader_says_wrong_is_answered_and_the_third_time_ends_it(
    finished: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            reader = await opened(web)
            await reader.say(subscribe=["trades"], after=10**9)
            assert (await reader.until("error"))["code"] == "stream.ahead"
            await reader.say(subscribe=["secrets"])
            assert (await reader.until("error"))["code"] == "stream.topic"
            await reader.socket.send_str("{no json")
            assert (await reader.until("error"))["code"] == "request.json"
            while (await reader.socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert reader.socket.close_code == 1008
            other = await opened(web)
            await other.socket.send_str("x" * 10_000)
            while (await other.socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert other.socket.close_code == 1009

    play(scene)


def test_a_socket_ends_with_its_session(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, users=[("vera", "viewer")]) as web:
            found = await web.get("/ws")
            assert found.status == 401
            await web.login("vera")
            assert (await web.get("/ws")).status == 426
            reader = await opened(web, web.token)
            await reader.say(subscribe=["runs"])
            await reader.until("subscribed")
            old = web.token
            await web.login("vera")
            await reader.say(token=web.token)
            await reader.until("subscribed")
            await web.post("/auth/logout", token=old)
            await reader.until("at")
            await web.post("/auth/logout")
            async with asyncio.timeout(6):
                while (await reader.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert reader.socket.close_code == 1008

    play(scene)


def test_a_reader_that_does_not_read_is_let_go_and_the_others_go_on(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grinder.web.handlers import stream

    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(stream, "BATCH", 50)

    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            host, port = web.address.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            key = "dGhlIHNhbXBsZSBub25jZQ=="
            writer.write(
                f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            text = b'{"subscribe": ["ledger"], "after": 0}'
            frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
            for turn in range(400):  # asked again and again, the whole ledger fills every buffer on the way
                if writer.transport.is_closing() or (web.services.metrics.open_sockets == 0 and turn > 20):
                    break
                writer.write(frame)
                await asyncio.sleep(0.02)
            async with asyncio.timeout(5):
                while web.services.metrics.open_sockets:
                    await asyncio.sleep(0.05)
            other = await opened(web)
            await other.say(subscribe=["trades"], after=0)
            assert await other.until("at", 1)
            writer.transport.abort()

    play(scene)
