"""The routes of the pages: the shell, its files, and one answer for everything a page shows.

Law: one request a page, so all figures of a page are of one record of the ledger.  Nothing here changes
anything: controls use the commands of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Handler, Route
from grinder.web.pages import ledger, listings, questions, runs
from grinder.web.pages.asked import Asked, AskedChart, AskedCompare, AskedList
from grinder.web.pages.charts import chart, equity, overview_lines
from grinder.web.pages.files import NAMES, shell, static
from grinder.web.pages.now import health_of, running_status

HOME = "/ui"
"""Path of the first page."""


def _of_views(question: Callable[..., Mapping[str, Any]]) -> Handler:
    """A page that needs the views alone."""

    async def handle(call: Call) -> Mapping[str, Any]:
        asked, run = call.query(Asked), call.run()
        found = await run.views(
            asked.at, lambda connection: question(connection, asked, call.request.match_info)
        )
        now = await running_status(run) if asked.at is None else None
        return {"as_of": run.freshness(asked.at), "now": now, **found}

    return handle


def _page(
    path: str, name: str, summary: str, handler: Handler, query: type[Asked] = Asked, media: str = ""
) -> Route:
    return Route(
        method="GET",
        path=path,
        name=f"page.{name}",
        handler=handler,
        role=Role.VIEWER,
        rate=Rate.PAGE,
        summary=summary,
        query=query,
        errors=(404, 503),
        media=media or "application/json",
    )


def _public(path: str, name: str, handler: Handler, media: str) -> Route:
    return Route(
        method="GET",
        path=path,
        name=name,
        handler=handler,
        role=Role.PUBLIC,
        rate=Rate.FREE,
        summary="A file of the dashboard; it holds no figure.",
        errors=(404,),
        media=media,
    )


ROUTES: tuple[Route, ...] = (
    _public(HOME, "page.shell", shell, "text/html"),
    _public(f"{HOME}/static/{{name:{NAMES}}}", "page.file", static, "application/octet-stream"),
    _page("/api/pages/overview", "overview", "Account, grids, last fills.", _of_views(questions.overview)),
    _page("/api/pages/grids", "grids", "Every grid.", _of_views(questions.grids)),
    _page("/api/pages/grids/{symbol}", "grid", "One grid with its levels.", _of_views(questions.grid)),
    _page("/api/pages/orders", "orders", "Orders, newest first.", _of_views(listings.orders), AskedList),
    _page("/api/pages/fills", "fills", "Executions, newest first.", _of_views(listings.fills), AskedList),
    _page("/api/pages/decisions", "decisions", "Decisions.", _of_views(listings.decisions), AskedList),
    _page("/api/pages/balances", "balances", "What is held.", _of_views(questions.balances)),
    _page("/api/pages/risk", "risk", "Limits, their use, halts.", _of_views(questions.risk)),
    _page("/api/pages/market", "market", "Prices of every symbol.", overview_lines),
    _page("/api/pages/reconciliation", "reconciliation", "Comparisons.", _of_views(questions.reconciliation)),
    _page("/api/pages/chart/{symbol}", "chart", "Candles, executions, orders.", chart, AskedChart),
    _page("/api/pages/equity", "equity", "Equity over time, and where records lie in time.", equity),
    _page("/api/pages/health", "health", "The process, its streams and its ledger.", health_of),
    _page("/api/pages/config", "config", "What the run was made from.", runs.config),
    _page("/api/pages/runs", "runs", "The runs served, and the run folders beside one.", runs.beside),
    _page("/api/pages/compare", "compare", "Two runs side by side.", runs.compare, AskedCompare),
    _page("/api/pages/report", "report", "The report of a run.", runs.report, AskedCompare, "text/html"),
    _page("/api/pages/ledger", "ledger", "Records around a position.", ledger.around, AskedList),
    _page("/api/pages/ledger/{position}", "record", "One record, why it is there.", ledger.record),
)
