"""The dashboard's server hands a run over, to nobody or to a standby, for those who may."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson
from exchange_runs import LONGEST_S, OnExchange, exchange
from fault_runs import records_of
from live_runs import Running, status_of, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "web"))

from web_rig import Web, play, serving

from domain.notes import HandOver

ORDERS = 10
FAILOVER = "/api/ha/failover"


def has_standby(on: OnExchange) -> bool:
    return bool((status_of(on.run).get("lease") or {}).get("standbys"))


async def trades(web: Web, node: str) -> dict[str, Any]:
    """The lease, once a node trades."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            live = (await web.get("/api/status")).json["live"] or {}
            lease: dict[str, Any] = live.get("lease") or {}
            if live.get("phase") == "trading" and lease.get("node") == node:
                return lease
            web.services.limits._seen.clear()
            await asyncio.sleep(0.2)


def test_a_run_is_handed_over_by_who_may_when_a_standby_is_there(tmp_path: Path) -> None:
    with exchange("binance", tmp_path) as on, on.started() as first:
        on.trading(ORDERS)
        users = [("otto", "operator"), ("vera", "viewer")]

        async def scene() -> None:
            async with serving([on.run], tmp_path, users=users) as web:
                await web.login("vera")
                assert (await web.post(FAILOVER)).status == 403
                await web.login("otto")
                alone = await web.post(FAILOVER)
                assert (alone.status, alone.json["code"]) == (409, "failover.no_standby")
                assert "grinder standby" in alone.json["fix"]
                with Running("standby", "run", "--json", cwd=on.folder, env=on.env) as second:
                    await asyncio.to_thread(wait_for, lambda: has_standby(on), LONGEST_S, "a standby")
                    key = {"Idempotency-Key": "once"}
                    done = await web.post(FAILOVER, headers=key)
                    assert done.status == 200, done.text
                    assert done.json["node"] == "standby"
                    assert (await web.post(FAILOVER, headers=key)).json == done.json, "one effect for one key"
                    assert (await trades(web, "standby"))["epoch"] == 2
                    row = records_of(on.run / "ledger.db")[done.json["position"] - 1]
                    assert row.topic == HandOver.TOPIC
                    assert orjson.loads(row.state) == {"node": "standby", "operator": "otto"}
                    written = [(one["user"], one["action"], one["result"]) for one in web.audit()]
                    refused = [
                        result for user, action, result in written if (user, action) == ("vera", "failover")
                    ]
                    assert refused and refused[0].startswith("denied")
                    assert ("otto", "failover", f"done at {done.json['position']}") in written
                    assert (await web.post("/api/grids/BTCUSDT/stop")).status == 200
                    ended = await web.post("/api/kill")
                    assert ended.status == 200, "the standby takes every command now"
                    second.process.terminate()
                    await asyncio.to_thread(second.process.wait, LONGEST_S)

        play(scene, 120)
        first.process.terminate()
        first.process.wait(LONGEST_S)
