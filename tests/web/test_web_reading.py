"""What is read: the figures are those of the ledger, in pages, and as of any record of it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from web_rig import Web, play, serving

from actors.records import LedgerRow
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import open_application
from grinder.views.store import digest, rebuild
from grinder.views.summary import summary
from grinder.web.travel import TimeTravel
from projections.registry import TABLES

GRID_FIELDS = {
    "symbol", "status", "current_price", "lower", "upper", "grid_count", "filled_levels", "pending_buys",
    "pending_sells", "total_buys", "total_sells", "realized_pnl", "last_update",
}  # fmt: skip


TRAVELLING = (
    "status",
    "grids",
    "grids/BTCUSDT",
    "risk",
    "prices",
    "cycles",
    "positions",
    "orders",
    "pnl",
    "equity",
    "reconciliation",
    "marl/decisions",
)


def test_grids_risk_prices_and_status_have_their_fields(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            (grid,) = (await web.get("/api/grids")).json["grids"]
            assert set(grid) >= GRID_FIELDS
            assert (grid["lower"], grid["upper"], grid["grid_count"]) == ("60000", "62000", 20)
            one = (await web.get("/api/grids/btcusdt")).json["grid"]
            assert len(one["levels"]) == 20
            risk = (await web.get("/api/risk")).json
            assert set(risk) >= {
                "equity",
                "initial",
                "drawdown_ppm",
                "kill_switch",
                "limits_use",
                "pauses",
                "halts",
            }
            assert set(risk["limits_use"]) == {"session_drawdown_ppm", "daily_drawdown_ppm", "inventory"}
            (price,) = (await web.get("/api/prices")).json["prices"]
            assert set(price) >= {"symbol", "price", "bid", "ask", "volume_24h", "ts_ns"}
            status = (await web.get("/api/status")).json
            assert status["grids"] == [grid]
            assert status["risk"]["equity"] == risk["equity"]
            assert status["live"] is None

    play(scene)


def test_profit_and_loss_is_that_of_the_ledger(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            found, told = (await web.get("/api/pnl")).json, summary(finished)
            for name in ("grid_profit", "unpaired_pnl", "fees", "funding", "equity_end", "identity_residual"):
                assert found["total"][name] == getattr(told, name)
            assert found["total"]["identity_residual"] == "0"
            assert (await web.get("/api/positions")).json["positions"][0]["symbol"] == "BTCUSDT"

    play(scene)


@pytest.mark.parametrize("name", ["orders", "trades", "equity", "cycles"])
def test_pages_hold_every_row_once_in_either_order(finished: Path, tmp_path: Path, name: str) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            whole = (await web.get(f"/api/{name}?limit=1000")).json["items"]
            for order in ("newest", "oldest"):
                found: list[Any] = []
                cursor, page = None, {}
                while cursor is not None or not found:
                    at = "" if cursor is None else f"&cursor={cursor}"
                    page = (await web.get(f"/api/{name}?limit=7&order={order}{at}")).json
                    assert len(page["items"]) <= 7
                    found += page["items"]
                    cursor = page["next"]
                    web.services.limits._seen.clear()
                assert found == (whole if order == "newest" else whole[::-1])
            assert len(whole) > 10

    play(scene)


def test_filters_keep_what_they_name(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            trades = (await web.get("/api/trades?side=buy&symbol=btcusdt")).json["items"]
            assert trades
            assert {one["side"] for one in trades} == {"buy"}
            assert (await web.get("/api/trades?symbol=ETHUSDT")).json["items"] == []

    play(scene)


def test_the_ledger_is_shown_explained_and_verified(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "copy")

    async def scene() -> None:
        async with serving([run], tmp_path / "home", no_login=True) as web:
            found = (await web.get("/api/ledger?from=10&to=12")).json
            assert [one["position"] for one in found["items"]] == [10, 11, 12]
            assert found["next"] is None
            page = (await web.get("/api/ledger?from=10&limit=5")).json
            assert page["next"] == 15
            fill = (await web.get("/api/trades?limit=1")).json["items"][0]["position"]
            path = (await web.get(f"/api/ledger/{fill}/causes")).json["path"]
            assert {path[0]["position"], path[-1]["position"]} >= {fill}
            assert any(one["stream"].startswith("input/") for one in path)
            verdict = (await web.post("/api/ledger/verify", json={})).json
            assert verdict["ok"]
            assert verdict["records"] == found["as_of"]["head"]
            wrong = (await web.post("/api/ledger/verify", json={"head": "0" * 64})).json
            assert not wrong["ok"]
            with sqlite3.connect(run / "ledger.db") as db:
                db.execute("DROP TRIGGER stored_events_no_update")
                db.execute("UPDATE stored_events SET ts_ns = ts_ns + 1 WHERE rowid = 20")
            damaged = (await web.post("/api/ledger/verify")).json
            assert (damaged["ok"], damaged["first_bad"]) == (False, 20)

    play(scene)


# --- time travel -------------------------------------------------------------------------------------------


def dumped(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    return {
        table.name: connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {', '.join(table.key)}"
        ).fetchall()
        for table in TABLES
    }


def cut(finished: Path, folder: Path, position: int) -> dict[str, list[Any]]:
    """The views of a ledger that ends at a position, made in the ordinary way."""
    folder.mkdir()
    application = open_application(folder / "ledger.db", create=True)
    epoch = application.ledger_recorder.take_epoch()
    ledger = connect(finished / "ledger.db")
    kept: list[LedgerRow] = [row for row in rows(ledger) if row.position <= position]
    application.ledger_recorder.append_rows(kept, epoch)
    application.close()
    ledger.close()
    rebuild(folder)
    assert digest(folder)
    with sqlite3.connect(folder / "views.db") as views:
        return dumped(views)


def test_the_views_at_a_record_are_those_of_the_ledger_cut_there(finished: Path, tmp_path: Path) -> None:
    head = summary(finished).position
    travel = TimeTravel(finished / "views.db", finished / "ledger.db")
    order = [head // 2, 3, head - 1, 60, 61, head // 3, 1, head // 2 + 1]
    for number, position in enumerate(order):
        expected = cut(finished, tmp_path / str(number), position)
        assert travel.read(position, dumped) == expected, position
    assert all(not rows_ for name, rows_ in travel.read(0, dumped).items() if name == "trades")
    assert travel.read(77, dumped) == cut(finished, tmp_path / "last", 77)
    travel.close()


def test_every_reading_route_travels_and_the_answer_says_where_it_stands(
    finished: Path, tmp_path: Path
) -> None:
    async def at(web: Web, path: str, position: int) -> Any:
        found = await web.get(f"{path}?at={position}")
        assert found.status == 200, (path, found.text)
        assert found.json["as_of"]["position"] == position
        return found.json

    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            head = (await web.get("/api/grids")).json["as_of"]["head"]
            middle = head // 2
            trades = (await at(web, "/api/trades", middle))["items"]
            assert trades
            assert all(one["position"] <= middle for one in trades)
            later = [one["position"] for one in (await web.get("/api/trades?limit=1000")).json["items"]]
            assert [one for one in later if one <= middle][: len(trades)] == [
                one["position"] for one in trades
            ]
            for name in TRAVELLING:
                path = f"/api/{name}"
                await at(web, path, middle)
            assert (await web.get("/api/status?at=0")).status == 503, "before the books were opened"
            assert (await at(web, "/api/trades", 0))["items"] == []

    play(scene)
