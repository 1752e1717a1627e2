"""The market overview, from a server that answers as CoinGecko does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from web_rig import play, serving

from grinder.web.market import CoinGecko

PRICES = {"bitcoin": {"usd": 61234.56789012345}, "ethereum": {"usd": 3021.1}}
MARKETS = [
    {
        "id": "bitcoin",
        "symbol": "btc",
        "name": "Bitcoin",
        "image": "https://example.invalid/btc.png",
        "current_price": 61234.56,
        "market_cap": 1207394400172,
        "market_cap_rank": 1,
        "total_volume": 31260929299,
        "high_24h": 62000,
        "low_24h": 60000,
        "price_change_percentage_24h": -3.12,
        "roi": None,
        "last_updated": "2026-04-07T16:49:31.736Z",
    }
]
PEPE = {"id": "pepe", "coin_id": 29850, "name": "Pepe", "symbol": "PEPE", "market_cap_rank": 25, "score": 0}
TRENDING = {"coins": [{"item": PEPE}], "nfts": [], "categories": []}


class Market:
    """A server of recorded answers, that can fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing: dict[str, Any] = {}
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        failing = self.failing.get(request.path) or self.failing.get("*")
        if failing is not None:
            return web.Response(status=failing[0], text=failing[1])
        found = {"/simple/price": PRICES, "/coins/markets": MARKETS, "/search/trending": TRENDING}
        return web.json_response(found[request.path])


@asynccontextmanager
async def market() -> AsyncIterator[Market]:
    made = Market()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def test_recorded_answers_are_shown_and_kept_for_a_minute(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with market() as source, serving([finished], tmp_path, market=CoinGecko(source.address)) as api:
            found = (await api.get("/api/market?coins=bitcoin,ethereum&currency=usd")).json
            assert found["prices"]["bitcoin"]["usd"] == "61234.56789012345"
            assert found["markets"][0]["market_cap"] == "1207394400172"
            assert "image" not in found["markets"][0], "nothing is loaded from elsewhere"
            assert found["trending"] == [
                {"id": "pepe", "symbol": "PEPE", "name": "Pepe", "market_cap_rank": "25"}
            ]
            assert not found["stale"]
            assert len(source.asked) == 3
            await api.get("/api/market?coins=bitcoin,ethereum&currency=usd")
            assert len(source.asked) == 3
            api.clock.forward(61)
            await api.get("/api/market?coins=bitcoin,ethereum&currency=usd")
            assert len(source.asked) == 6

    play(scene)


def test_a_source_that_fails_leaves_the_last_answer_marked_as_stale(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with market() as source, serving([finished], tmp_path, market=CoinGecko(source.address)) as api:
            source.failing["/search/trending"] = (429, "slow down")
            found = (await api.get("/api/market")).json
            assert found["trending"] is None
            assert found["stale"]
            assert found["prices"]
            for failing in ((500, "no"), (200, "<html>"), (200, "[" * 100_000), (200, '"text"')):
                source.failing["*"] = failing
                api.clock.forward(61)
                found = await api.get("/api/market")
                assert found.status == 200
                if failing[1] != '"text"':
                    assert found.json["stale"]
                    assert found.json["prices"]["bitcoin"]["usd"]

    play(scene)


def test_without_being_asked_to_nothing_leaves_the_machine(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as api:
            found = (await api.get("/api/market")).json
            assert found["prices"] is None
            assert found["fault"].startswith("the market overview is off")
            assert (await api.get("/api/market?coins=../../etc")).status == 422

    play(scene)
