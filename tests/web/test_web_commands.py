"""Commands reach a real run: in its ledger with who gave them before they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from web_rig import play, serving

from grinder.ledger.reading import connect


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run of this test alone: its kill switch ends its grids."""
    from live_runs import Running, trading, write_config

    config = write_config(tmp_path / "grinder.yaml")
    arguments = ("paper", "-c", str(config), "--out", "own", "--feed", "generated:7@60", "--json")
    with Running(*arguments, cwd=tmp_path):
        trading(tmp_path / "own")
        yield tmp_path / "own"


def record(run: Path, position: int) -> tuple[str, dict[str, Any]]:
    connection = connect(run / "ledger.db")
    row = connection.execute("SELECT topic, state FROM stored_events WHERE rowid = ?", (position,)).fetchone()
    connection.close()
    return row[0], orjson.loads(row[1])


def test_every_command_is_in_the_ledger_with_its_operator_when_it_is_answered(
    run: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([run], tmp_path, users=[("otto", "operator")]) as web:
            secret = web.add_user("ada", "admin", codes=True)
            await web.login("otto")

            async def done(path: str, topic: str, **more: Any) -> dict[str, Any]:
                found = await web.post(path, **more)
                assert found.status == 200, (path, found.text)
                kind, state = record(run, found.json["position"])
                assert kind == topic
                return state

            paused = await done("/api/pause/btcusdt", "PauseTrading/1")
            assert paused == {"reason": "operator", "symbol": "BTCUSDT", "operator": "otto"}
            grid = (await web.get("/api/grids/BTCUSDT")).json
            assert grid["as_of"]["running"]
            shown = await web.get("/api/status")
            assert shown.json["live"]["symbols"]["BTCUSDT"]["pauses"] == ["operator"]
            resumed = await done("/api/resume/BTCUSDT", "ResumeTrading/1")
            assert (resumed["symbol"], resumed["operator"]) == ("BTCUSDT", "otto")
            assert (await done("/api/pause", "PauseTrading/1"))["symbol"] == ""
            await done("/api/resume", "ResumeTrading/1")
            stopped = await done("/api/grids/BTCUSDT/stop", "StopGrid/1", json={"on_stop": "keep"})
            assert stopped == {"symbol": "BTCUSDT", "on_stop": "keep", "reason": "operator by otto"}
            killed = await done("/api/kill", "HaltTrading/1", json={"reason": "too hot"})
            assert killed == {"reason": "MANUAL: too hot", "operator": "otto"}
            paper = await web.post("/api/ha/failover")
            assert (paper.status, paper.json["code"]) == (409, "failover.paper")
            refused = await web.post("/api/resume/BTCUSDT")
            assert (refused.status, refused.json["code"]) == (403, "risk.halted")
            assert (await web.post("/api/reset-kill")).status == 403
            await web.login("ada", totp=web.code(secret))
            reset = await done("/api/reset-kill", "ResetHalt/1", headers={"X-TOTP": web.code(secret, 1)})
            assert reset == {"operator": "ada"}
            head = {"Idempotency-Key": "once"}
            first = await web.post("/api/pause", headers=head, json={})
            again = await web.post("/api/pause", headers=head, json={})
            assert first.json["position"] == again.json["position"], "one record for one key"
            head = {"Idempotency-Key": "at once"}
            both = await asyncio.gather(*(web.post("/api/pause", headers=head, json={}) for _ in range(3)))
            assert sorted({one.status for one in both} | {200, 409}) == [200, 409]
            assert len({one.json["position"] for one in both if one.status == 200}) == 1
            done_rows = [(r["user"], r["action"]) for r in web.audit() if r["result"].startswith("done")]
            assert ("otto", "kill") in done_rows
            assert ("ada", "reset_kill") in done_rows

    play(scene)


def test_what_begins_to_trade_real_money_takes_a_fresh_code_and_what_ends_it_does_not(
    run: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([run], tmp_path) as web:
            secret = web.add_user("otto", "operator", codes=True)
            web.add_user("olga", "operator")
            served: Any = web.services.runs.by_name["own"]
            told = served.status

            async def as_live() -> dict[str, Any]:
                return {**(await told() or {}), "mode": "live"}

            served.status = as_live
            start, deploy = "/api/grids/BTCUSDT/start", "/api/deploy"
            asked = {"symbol": "BTCUSDT", "settings": {"grid_number": 12}}
            await web.login("olga")
            assert (await web.post(start)).json["code"] == "auth.no_totp"
            await web.login("otto", totp=web.code(secret))
            assert (await web.post(start)).json["code"] == "auth.code_missing"
            assert (await web.post(deploy, json=asked)).json["code"] == "auth.code_missing"
            assert (await web.post("/api/pause")).status == 200
            assert (await web.post("/api/resume")).status == 200
            fresh = await web.post(deploy, json=asked, headers={"X-TOTP": web.code(secret, 1)})
            assert fresh.json["status"] == "done", fresh.text
            assert (await web.post("/api/kill")).status == 200

    play(scene)


def test_a_grid_is_stopped_started_deployed_and_rebalanced_over_the_api(run: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([run], tmp_path, users=[("otto", "operator"), ("vera", "viewer")]) as web:
            await web.login("vera")
            asked = {"symbol": "btcusdt", "settings": {"grid_number": 10}}
            plan = (await web.post("/api/deploy/preview", json=asked)).json
            assert (len(plan["plan"]["levels"]), plan["terms"]["grid_number"]) == (10, "10")
            assert plan["changes"] == [{"setting": "grids.BTCUSDT.grid_number", "old": "16", "new": "10"}]
            assert (await web.post("/api/deploy", json=asked)).status == 403, "looking is not deploying"
            await web.login("otto")

            async def status(wanted: str) -> dict[str, Any]:
                for _ in range(200):
                    web.services.runs.by_name["own"]._asked_ns = 0
                    live = (await web.get("/api/status")).json["live"] or {"symbols": {}}
                    grid: dict[str, Any] = live["symbols"].get("BTCUSDT", {})
                    if grid.get("status") == wanted:
                        return grid
                    await asyncio.sleep(0.05)
                raise AssertionError(f"not {wanted}")

            key = {"Idempotency-Key": "deploy-once"}
            first = await web.post("/api/deploy", json=asked, headers=key)
            again = await web.post("/api/deploy", json=asked, headers=key)
            assert first.json == again.json and first.json["status"] == "done", "one record for one key"
            kind, state = record(run, first.json["position"])
            assert (kind, state["operator"], state["changes"][0]["new"]) == ("DeployGrid/1", "otto", "10")
            assert len((await status("running"))["levels"]) == 10
            changes: list[dict[str, Any]] = []
            while not changes:  # the views follow the ledger
                await asyncio.sleep(0.05)
                changes = (await web.get("/api/config-changes")).json["changes"]
            (change,) = changes
            said = (change["operator"], change["setting"], change["old"], change["new"])
            assert said == ("otto", "grids.BTCUSDT.grid_number", "16", "10")

            assert (await web.post("/api/rebalance", json={})).json["symbols"] == ["BTCUSDT"]
            await status("running")
            await web.post("/api/grids/BTCUSDT/stop", json={"on_stop": "cancel"})
            await status("stopped")
            refused = await web.post("/api/rebalance", json={"symbol": "BTCUSDT"})
            assert (refused.status, refused.json["code"]) == (409, "grid.not_running")
            await web.post("/api/pause")
            blocked = await web.post("/api/grids/BTCUSDT/start")
            assert (blocked.status, blocked.json["status"]) == (200, "blocked")
            assert blocked.json["reason"] == "PAUSED"
            await web.post("/api/resume")
            assert (await web.post("/api/grids/BTCUSDT/start")).json["status"] == "done"
            assert len((await status("running"))["levels"]) == 10, "under the terms deployed last"

            twice = await web.post("/api/grids/BTCUSDT/start")
            assert (twice.status, twice.json["code"]) == (409, "grid.already_open")

            await web.post("/api/kill", json={})
            for path, body in (
                ("/api/grids/BTCUSDT/start", None),
                ("/api/deploy", {"symbol": "BTCUSDT", "settings": {"grid_number": 8}}),
                ("/api/rebalance", {}),
            ):
                refused = await web.post(path, json=body)
                assert (refused.status, refused.json["code"]) == (403, "risk.halted"), path
            done = [row["action"] for row in web.audit() if row["result"].startswith(("done", "blocked"))]
            assert {"deploy", "rebalance", "start_grid", "stop_grid"} <= set(done)

    play(scene)


def test_a_run_that_ends_is_told_from_one_that_hangs(run: Path, tmp_path: Path) -> None:
    import os
    import signal
    import time

    from live_runs import process_of

    async def scene() -> None:
        async with serving([run], tmp_path, no_login=True) as web:
            assert (await web.get("/ready")).status == 200
            process = process_of(run)
            os.kill(process, signal.SIGSTOP)
            try:
                began = time.monotonic()
                for _ in range(3):  # an answer that was under way as the process stopped counts for a second
                    web.services.runs.by_name["own"]._asked_ns = 0
                    found = await web.get("/api/status")
                    if found.json["as_of"]["stale"]:
                        break
                assert time.monotonic() - began < 15
                assert found.json["as_of"]["stale"], "it runs and does not answer"
                assert found.json["live"] is None
                assert (await web.get("/ready")).status == 503
            finally:
                os.kill(process, signal.SIGCONT)
            web.clock.forward(2)
            assert not (await web.get("/api/status")).json["as_of"]["stale"]

    play(scene)
