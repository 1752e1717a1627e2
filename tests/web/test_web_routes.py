"""The route table is the API: nothing beside it, every role held to it, the document made from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from web_rig import COST, Clock, play, serving

from grinder.web.admission import Rate, Role
from grinder.web.application import WebServer
from grinder.web.call import Route
from grinder.web.openapi import document
from grinder.web.routes import ROUTES
from grinder.web.settings import WebSettings

PARTS = {
    "{symbol}": "BTCUSDT",
    "{token}": "x" * 20,
    "{position:[0-9]+}": "5",
    "{position}": "5",
}


def path_of(route: Route) -> str:
    path = route.path
    for part, value in PARTS.items():
        path = path.replace(part, value)
    return path.split("{")[0] + ("page.js" if "{" in path else "")


def served(app: web.Application) -> set[tuple[str, str]]:
    found = set()
    for one in app.router.routes():
        info = one.resource.get_info() if one.resource else {}
        found.add((one.method, str(info.get("formatter", info.get("path")))))
    return found


def tabled(routes: tuple[Route, ...]) -> set[tuple[str, str]]:
    import re

    return {(one.method, re.sub(r"\{(\w+):.*\}", r"{\1}", one.path)) for one in routes}


def test_the_server_serves_the_rows_of_the_table_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as server:
            app = server.server.application()
            assert served(app) == tabled(ROUTES)

            async def hidden(request: web.Request) -> web.Response:
                return web.Response()

            app.router.add_get("/api/hidden", hidden, allow_head=False)
            assert served(app) - tabled(ROUTES) == {("GET", "/api/hidden")}, "one beside the table is found"

    play(scene)


def test_no_two_rows_are_one_route_and_every_change_has_a_role_or_its_own_proof() -> None:
    assert len({(one.method, one.path) for one in ROUTES}) == len(ROUTES)
    public = {one.name for one in ROUTES if one.role is Role.PUBLIC and one.changes}
    assert public == {"login", "refresh", "webhook"}
    assert all(one.rate is not Rate.FREE for one in ROUTES if one.changes)
    assert {one.name for one in ROUTES if one.step_up} == {"reset_kill"}


ROLES = {"nobody": "", "vera": "viewer", "otto": "operator", "ada": "admin"}


def test_every_route_is_held_to_its_role_for_every_role(finished: Path, tmp_path: Path) -> None:
    """Who has too low a role is refused before anything else of the request is looked at."""

    async def scene() -> None:
        users = [(name, role) for name, role in ROLES.items() if role]
        async with serving([finished], tmp_path, users=users) as server:
            tokens = {"nobody": ""}
            for name, _ in users:
                assert (await server.login(name)).status == 200
                tokens[name] = server.token
            checked = 0
            for route in ROUTES:
                if route.name in ("logout", "webhook", "metrics") or route.media == "text/html":
                    continue
                for rank, name in enumerate(ROLES):
                    server.services.limits._seen.clear()
                    found = await server.ask(route.method, path_of(route), token=tokens[name])
                    allowed = rank >= int(route.role)
                    refusals = (401,) if name == "nobody" else (403,)
                    code = (found.json or {}).get("code", "")
                    refused = found.status in refusals and code in ("auth.login", "auth.role")
                    assert refused is not allowed, (route.method, route.path, name, found.status, code)
                    checked += 1
            assert checked > 120
            seen = {(row["user"], row["action"], row["result"].split()[0]) for row in server.audit()}
            assert ("vera", "pause", "denied") in seen
            assert ("otto", "pause", "granted") in seen
            assert ("vera", "trades", "granted") in seen

    play(scene)


def test_the_document_names_every_route_of_the_api_and_is_served(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as server:
            found = await server.get("/api/openapi.json")
            assert found.status == 200
            assert found.json == document(ROUTES)
            named = {(m.upper(), p) for p, ways in found.json["paths"].items() for m in ways}
            assert {one for one in tabled(ROUTES) if one[1].startswith("/api")} - named <= {
                ("GET", "/api/pages/report")
            }

    play(scene)


# --- fuzzing -----------------------------------------------------------------------------------------------

schemathesis = pytest.importorskip("schemathesis")


class ServerThread:
    """A server on a loop of its own, for a client that blocks."""

    def __init__(self, run: Path, home: Path) -> None:
        # Limits are tested elsewhere; here they would answer instead of the routes.
        routes = tuple(
            attrs.evolve(one, rate=Rate.FREE) for one in ROUTES if not one.name.startswith("page.")
        )
        made = WebSettings(port=0, access_file=home / "access.db", no_login=True)
        self._loop = asyncio.new_event_loop()
        self._server = WebServer([run], made, clock=Clock(), cost=COST, routes=routes)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.address = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def fuzzed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = ServerThread(finished, tmp_path_factory.mktemp("fuzz"))
    found = schemathesis.openapi.from_url(f"{server.address}/api/openapi.json")
    yield found.exclude(path="/ws")
    server.close()


def drawn(operation: Any, statuses: dict[str, set[int]]) -> None:
    """Send what is drawn from an operation's schema, and hold the answers against it."""
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi import checks

    kept = (
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    )

    @settings(max_examples=12, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        answer = case.call(timeout=10)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=kept)
        statuses.setdefault(operation.label, set()).add(answer.status_code)

    holds()


def test_what_is_drawn_from_the_document_is_answered_as_the_document_says(fuzzed: Any) -> None:
    statuses: dict[str, set[int]] = {}
    for found in fuzzed.get_all_operations():
        drawn(found.ok(), statuses)
    assert len(statuses) > 35
    assert statuses["POST /decide"] == {422, 503}, "what fits comes as far as the run that is not there"
    assert {200, 422} <= statuses["GET /api/orders"] | statuses["GET /api/equity"]
