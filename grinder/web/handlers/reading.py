"""What runs show: grids, risk, prices, positions, orders, trades, profit, equity, cycles, reconciliation.

Law: everything comes from the views, which come from the ledger; with ``at`` as of any record of it.  Every
answer says where it stands and whether it can be taken for now (``as_of``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from grinder.web import queries
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Route
from grinder.web.handlers.queries import AtQuery, DaysQuery, DecisionsQuery, ListQuery, PageQuery
from grinder.web.problems import Problem
from grinder.web.runs import ServedRun
from projections.changes import CHANGES
from projections.inventory import POSITIONS

FILTERS = ("symbol", "side", "status", "kind", "action")
"""Fields of the queries of lists that ask an exact value of a column."""

Ask = Callable[[sqlite3.Connection], dict[str, Any]]


async def answer(run: ServedRun, at: int | None, ask: Ask) -> dict[str, Any]:
    """Ask the views, and say where they stood."""

    def question(connection: sqlite3.Connection) -> tuple[int, dict[str, Any]]:
        return queries.place(connection), ask(connection)

    position, found = await run.views(at, question)
    as_of = run.freshness(at)
    return {**found, "as_of": {**as_of, "position": position}}


def listed(name: str) -> Callable[[Call], Awaitable[dict[str, Any]]]:
    """The handler of a listing."""
    listing = queries.LISTINGS[name]

    async def handle(call: Call) -> dict[str, Any]:
        asked = call.query(PageQuery)
        only = {field: getattr(asked, field, "") for field in FILTERS}
        only["symbol"] = asked.symbol.upper()
        for field, value in only.items():
            if value and field not in listing.filters:
                raise Problem(422, "request.filter", f"this list has no filter `{field}`", value=value)
        return await answer(
            call.run(),
            asked.at,
            lambda connection: queries.page(
                connection,
                listing,
                limit=asked.limit,
                cursor=asked.cursor,
                oldest_first=asked.order == "oldest",
                only=only,
            ),
        )

    return handle


async def grids(call: Call) -> dict[str, Any]:
    """Every grid."""
    return await answer(call.run(), call.query(AtQuery).at, lambda db: {"grids": queries.grids(db)})


async def grid(call: Call) -> dict[str, Any]:
    """One grid with its levels."""
    symbol = call.part("symbol").upper()

    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        found = queries.grid(connection, symbol)
        if found is None:
            raise Problem(404, "grid.unknown", "the run has no such grid", value=symbol)
        return {"grid": found}

    return await answer(call.run(), call.query(AtQuery).at, ask)


async def risk(call: Call) -> dict[str, Any]:
    """Risk, halts and limits; with what the process itself reports of its errors."""
    run, at = call.run(), call.query(AtQuery).at

    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        if not queries.is_open(connection):
            raise not_initialised()
        return queries.risk(connection)

    return await answer(run, at, ask)


def not_initialised() -> Problem:
    """The run has not opened its books."""
    return Problem(503, "run.not_initialised", "the run has no books yet", fix="wait for its start")


async def prices(call: Call) -> dict[str, Any]:
    """The latest price of every symbol: of the process, where one runs, or of the last record.

    Best bid and ask are the feed's, so they are there while a process runs; no feed of a run reports a volume
    of 24 hours, so that is null.
    """
    run, at = call.run(), call.query(AtQuery).at
    live = await run.status() if at is None else None

    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        found = queries.prices(connection)
        if not found:
            raise not_initialised()
        for row in found:
            row.update(bid=None, ask=None, volume_24h=None, source="ledger")
            newest = (live or {}).get("symbols", {}).get(row["symbol"], {})
            if newest.get("price") is not None and live is not None:
                row.update({name: newest.get(name) for name in ("price", "bid", "ask")}, source="run")
                row["ts_ns"] = newest.get("price_ns") or live["now_ns"]
        return {"prices": found}

    return await answer(run, at, ask)


async def positions(call: Call) -> dict[str, Any]:
    """Every holding."""
    return await answer(
        call.run(), call.query(AtQuery).at, lambda db: {"positions": queries.whole(db, POSITIONS)}
    )


async def pnl(call: Call) -> dict[str, Any]:
    """Profit and loss."""
    asked = call.query(DaysQuery)
    return await answer(call.run(), asked.at, lambda db: queries.pnl(db, asked.days))


async def reconciliation(call: Call) -> dict[str, Any]:
    """Comparisons with the exchange, a page of them, and what differed."""
    asked = call.query(ListQuery)
    listing = queries.LISTINGS["reconciliations"]

    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        found = queries.page(
            connection,
            listing,
            limit=asked.limit,
            cursor=asked.cursor,
            oldest_first=asked.order == "oldest",
            only={},
        )
        return {**found, **queries.reconciliation(connection)}

    return await answer(call.run(), asked.at, ask)


async def config_changes(call: Call) -> dict[str, Any]:
    """Every setting that was changed since the run began."""
    return await answer(
        call.run(),
        call.query(AtQuery).at,
        lambda connection: {"changes": queries.whole(connection, CHANGES)},
    )


SHORT_RISK = (
    "equity",
    "initial",
    "drawdown_ppm",
    "daily_drawdown_ppm",
    "kill_switch",
    "halt_reason",
    "pauses",
    "limits_use",
)


async def status(call: Call) -> dict[str, Any]:
    """Grids, risk and the process in one answer."""
    run, at = call.run(), call.query(AtQuery).at
    live = await run.status() if at is None else None

    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        if not queries.is_open(connection):
            raise not_initialised()
        found = queries.risk(connection)
        return {
            "grids": queries.grids(connection),
            "risk": {name: found[name] for name in SHORT_RISK},
            "pnl": queries.total(connection),
        }

    found = await answer(run, at, ask)
    system = {name: call.services.runs.by_name[name].freshness() for name in _seen(call)}
    return {
        **found,
        "live": live,
        "system": {"runs": list(system.values()), "time_ns": call.services.clock()},
    }


def _seen(call: Call) -> list[str]:
    allowed = call.principal.runs
    return [name for name in call.services.runs.by_name if not allowed or name in allowed]


def _list(path: str, name: str, summary: str, query: type[PageQuery] = ListQuery) -> Route:
    return Route(
        method="GET",
        path=path,
        name=name,
        handler=listed(name),
        role=Role.VIEWER,
        rate=Rate.READ,
        query=query,
        summary=summary,
        answer=f"{name.capitalize()}Page",
        errors=(404, 503),
    )


def _read(
    path: str, name: str, handler: Any, summary: str, query: Any = AtQuery, answer: str = "Object"
) -> Route:
    return Route(
        method="GET",
        path=path,
        name=name,
        handler=handler,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=query,
        summary=summary,
        answer=answer,
        errors=(404, 503),
    )


ROUTES: tuple[Route, ...] = (
    _read("/api/status", "status", status, "Grids, risk, profit and the process"),
    _read("/api/grids", "grids", grids, "Every grid with its state", answer="Grids"),
    _read("/api/grids/{symbol}", "grid", grid, "One grid with its levels"),
    _read("/api/risk", "risk", risk, "Equity, drawdown, limits, halts, pauses"),
    _read("/api/prices", "prices", prices, "The latest price of every symbol", answer="Prices"),
    _read("/api/positions", "positions", positions, "Every holding", answer="Positions"),
    _read("/api/pnl", "pnl", pnl, "Profit and loss: in all, by symbol, by day", DaysQuery, "Pnl"),
    _read("/api/config-changes", "config_changes", config_changes, "Every change of terms", answer="Changes"),
    _list("/api/orders", "orders", "Every order that was ever wanted"),
    _list("/api/trades", "trades", "Every execution"),
    _list("/api/equity", "equity", "The equity curve"),
    _list("/api/cycles", "cycles", "Every cycle of every level"),
    _list("/api/halts", "halts", "Every halt, pause and reset"),
    _list("/api/marl/decisions", "decisions", "Every decision of the agents", DecisionsQuery),
    _read(
        "/api/reconciliation",
        "reconciliation",
        reconciliation,
        "Comparisons of the books with the exchange",
        ListQuery,
        "ReconciliationPage",
    ),
)
