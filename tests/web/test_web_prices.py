"""Prices over the API: of a running bot what its feed told last, of the ledger what it holds."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from web_rig import play, serving

FIELDS = {"symbol", "price", "bid", "ask", "volume_24h", "ts_ns", "source"}


def test_a_running_bot_tells_the_best_quotes_of_its_feed_and_invents_no_volume(tmp_path: Path) -> None:
    from live_runs import Running, trading, write_config

    async def scene() -> None:
        async with serving([tmp_path / "own"], tmp_path) as web:
            found = (await web.get("/api/prices")).json
            (one,) = found["prices"]
            assert set(one) == FIELDS
            assert (one["source"], one["volume_24h"]) == ("run", None)
            bid, ask = Decimal(one["bid"]), Decimal(one["ask"])
            assert 0 < bid < ask
            assert bid <= Decimal(one["price"]) <= ask, "the price is between the quotes it was made from"
            first = one["ts_ns"]
            for _ in range(200):
                (one,) = (await web.get("/api/prices")).json["prices"]
                if one["ts_ns"] > first:
                    break
                await asyncio.sleep(0.05)
            assert one["ts_ns"] > first, "the time is that of the price, and prices come"
            now = (await web.get("/api/pages/market")).json["now"]["symbols"]["BTCUSDT"]
            assert {"bid", "ask"} <= set(now) and isinstance(now["price_ns"], str)
            (past,) = (await web.get(f"/api/prices?at={found['as_of']['position']}")).json["prices"]
            assert set(past) == FIELDS
            assert (past["source"], past["bid"], past["ask"], past["volume_24h"]) == (
                "ledger",
                None,
                None,
                None,
            )

    config = write_config(tmp_path / "grinder.yaml")
    with Running(
        "paper", "-c", str(config), "--out", "own", "--feed", "generated:7@60", "--json", cwd=tmp_path
    ):
        trading(tmp_path / "own")
        play(scene)
