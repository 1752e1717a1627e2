"""The server itself: whether it lives, whether its runs do, its metrics, its document, the market overview.

Law: what anybody may ask says nothing about trading.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from grinder.web import pages
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Result, Route
from grinder.web.guard import METRICS, json_answer, unauthorised
from grinder.web.handlers.queries import MarketQuery
from grinder.web.measuring import CONTENT_TYPE
from grinder.web.openapi import document
from grinder.web.problems import Problem


async def root(call: Call) -> Result:
    """That it is there; a browser is sent to the pages."""
    if pages.HOME and "text/html" in call.request.headers.get("Accept", ""):
        return web.Response(status=303, headers={"Location": pages.HOME})
    return {"status": "ok", "timestamp": call.services.clock()}


async def health(call: Call) -> Result:
    """That its loop turns."""
    return {"status": "ok", "timestamp": call.services.clock()}


async def ready(call: Call) -> Result:
    """Whether every run is shown as it is now."""
    stale = [name for name, run in call.services.runs.by_name.items() if run.freshness()["stale"]]
    found = {"ready": not stale, "runs": len(call.services.runs.by_name), "stale": len(stale)}
    return json_answer(200 if not stale else 503, found)


async def metrics(call: Call) -> Result:
    """What Prometheus reads: with its own token where one is set, with a login elsewhere."""
    services, principal = call.services, call.principal
    if services.settings.metrics_token and principal.token is None and principal.name != METRICS:
        raise unauthorised("auth.metrics", "the token of the metrics is needed")
    if not services.settings.metrics_token and principal.role < Role.VIEWER:
        raise unauthorised("auth.login", "a login is needed")
    if principal.runs:
        raise Problem(403, "auth.runs", "metrics are about every run, and this user may see some")
    for name, run in services.runs.by_name.items():
        services.metrics.position.labels(name).set(run.head)
        services.metrics.stale.labels(name).set(run.freshness()["stale"])
    return web.Response(body=services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def openapi(call: Call) -> Result:
    """This document."""
    found = document(call.services.routes)
    return web.Response(body=orjson.dumps(found), content_type="application/json")


async def runs(call: Call) -> Result:
    """The runs the caller may see."""
    allowed = call.principal.runs
    found: list[dict[str, Any]] = []
    for name, run in call.services.runs.by_name.items():
        if not allowed or name in allowed:
            manifest = await run.work(run.folder.read_manifest)
            kind = {key: str(manifest.get(key, "")) for key in ("kind", "mode", "feed")}
            found.append({"name": name, **kind, "as_of": run.freshness()})
    return {"runs": found}


async def market(call: Call) -> Result:
    """Prices, markets and trending coins, from outside."""
    asked = call.query(MarketQuery)
    return await call.services.market.overview(tuple(asked.coins.split(",")), asked.currency)


def _public(path: str, name: str, handler: Any, summary: str, **changes: Any) -> Route:
    return Route(
        method="GET",
        path=path,
        name=name,
        handler=handler,
        role=Role.PUBLIC,
        rate=Rate.PAGE,
        summary=summary,
        **changes,
    )


ROUTES: tuple[Route, ...] = (
    _public("/", "root", root, "That the server is there"),
    _public("/health", "health", health, "Whether the server lives"),
    _public("/ready", "ready", ready, "Whether every run is shown as it is now", errors=(503,)),
    _public("/metrics", "metrics", metrics, "Metrics for Prometheus", media="text/plain", errors=(401,)),
    _public("/api/openapi.json", "openapi", openapi, "This document"),
    Route(
        method="GET",
        path="/api/runs",
        name="runs",
        handler=runs,
        role=Role.VIEWER,
        rate=Rate.READ,
        summary="The runs that are served",
    ),
    Route(
        method="GET",
        path="/api/market",
        name="market",
        handler=market,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=MarketQuery,
        summary="Market overview, for display only",
    ),
)
