"""A real server on a free port of this machine, with runs, users and a clock the test owns."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ledger"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from grinder.web.access import totp
from grinder.web.application import WebServer
from grinder.web.market import MarketSource
from grinder.web.settings import WebSettings

NS = 10**9
COST = 8
"""log2 of the passwords' cost: the tests are not about how long it takes."""

PASSWORD = "four words and a number 7"


class Clock:
    """Real time, moved on by the test."""

    def __init__(self) -> None:
        import time

        self._real = time.time_ns
        self.ahead_ns = 0

    def __call__(self) -> int:
        return self._real() + self.ahead_ns

    def forward(self, seconds: float) -> None:
        self.ahead_ns += round(seconds * NS)


@attrs.frozen
class Reply:
    """An answer, read whole."""

    status: int
    headers: Any
    text: str
    json: Any


@attrs.define
class Web:
    """A server and a client of it."""

    server: WebServer
    address: str
    session: aiohttp.ClientSession
    clock: Clock
    token: str = ""
    refresh: str = ""
    csrf: str = ""

    @property
    def services(self) -> Any:
        return self.server.services

    async def ask(self, method: str, path: str, *, token: str | None = None, **more: Any) -> Reply:
        headers = dict(more.pop("headers", {}))
        shown = self.token if token is None else token
        if shown:
            headers.setdefault("Authorization", f"Bearer {shown}")
        async with self.session.request(method, self.address + path, headers=headers, **more) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            found = await answer.json() if is_json and text else None
            return Reply(answer.status, answer.headers, text, found)

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, **more: Any) -> Reply:
        return await self.ask("POST", path, **more)

    async def login(self, name: str, password: str = PASSWORD, **more: Any) -> Reply:
        body = {"username": name, "password": password, **more}
        found = await self.post("/auth/login", json=body, token="")
        if found.status == 200:
            self.token = found.json.get("access_token", "")
            self.refresh = found.json.get("refresh_token", "")
            self.csrf = found.json["csrf"]
        return found

    def add_user(
        self, name: str, role: str = "viewer", runs: Sequence[str] = (), *, codes: bool = False
    ) -> str:
        """Add a user; the secret of the codes, where there are any."""
        self.services.users.add(name, role, PASSWORD, tuple(runs))
        return str(self.services.users.new_totp(name)) if codes else ""

    def code(self, secret: str, steps: int = 0) -> str:
        """A one-time code, of now or of so many steps later."""
        return totp.code(totp.secret_bytes(secret), totp.step_of(self.clock()) + steps)

    def audit(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.services.audit.page(None, 1000)
        return found


@asynccontextmanager
async def serving(
    folders: Sequence[Path],
    home: Path,
    *,
    users: Sequence[tuple[str, str]] = (),
    market: MarketSource | None = None,
    **settings: Any,
) -> AsyncIterator[Web]:
    clock = Clock()
    made = WebSettings(port=0, access_file=home / "access" / "access.db", **settings)
    server = WebServer(folders, made, clock=clock, market=market, cost=COST)
    for name, role in users:
        server.services.users.add(name, role, PASSWORD)
    address = await server.start()
    connector = aiohttp.TCPConnector(ssl=False)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        try:
            yield Web(server, address, session, clock)
        finally:
            await server.stop()


def play(scene: Callable[[], Coroutine[Any, Any, None]], timeout_s: float = 30.0) -> None:
    """Run a scene, bounded in time."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout_s):
            await scene()

    asyncio.run(bounded())
