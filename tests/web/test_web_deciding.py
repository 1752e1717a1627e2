"""A decision is asked for, computed beside the run, and in its ledger before it is answered."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from web_rig import Web, play, serving

from grinder.commands.inspect import replay_run
from grinder.ledger.reading import connect
from grinder.live.asking import ask
from grinder.marl.deciding.decision import as_json, as_parts_per_million
from grinder.marl.observing.observation import body_text, read_observation
from grinder.views.store import rebuild
from grinder.web.guard import LARGEST_BODY

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "marl"))

import decisions as told

USERS = [("otto", "operator"), ("vera", "viewer")]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that nothing holds back."""
    yield from paper(tmp_path_factory.mktemp("deciding"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run of this test alone: it is paused and killed."""
    yield from paper(tmp_path)


def paper(home: Path) -> Iterator[Path]:
    """The folder of a paper run that trades."""
    from live_runs import Running, trading, write_config

    config = write_config(home / "grinder.yaml")
    arguments = ("paper", "-c", str(config), "--out", "own", "--feed", "generated:7@60", "--json")
    with Running(*arguments, cwd=home):
        trading(home / "own")
        yield home / "own"


def decisions_of(run: Path) -> list[tuple[int, str, dict[str, Any]]]:
    """(position, stream, state) of every decision in a ledger."""
    connection = connect(run / "ledger.db")
    found = connection.execute(
        "SELECT rowid, originator_id, state FROM stored_events"
        " WHERE topic = 'DecisionReport/1' ORDER BY rowid"
    ).fetchall()
    connection.close()
    return [(position, stream, orjson.loads(state)) for position, stream, state in found]


def asked(symbol: str = "BTCUSDT", **parts: Any) -> dict[str, Any]:
    return {"symbol": symbol, "observation": told.body(told.BULLISH, **parts)}


async def listed(web: Web, position: int, query: str = "") -> list[dict[str, Any]]:
    """The list of decisions, once the views have come to a record."""
    for _ in range(100):
        found = (await web.get(f"/api/marl/decisions?limit=1000{query}")).json
        if found["as_of"]["position"] >= position:
            break
        await asyncio.sleep(0.1)
    items: list[dict[str, Any]] = found["items"]
    return items


def test_a_decision_is_in_the_ledger_with_who_asked_and_in_the_list_when_it_is_answered(
    calm: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, users=USERS) as web:
            await web.login("otto")
            found = await web.post("/decide", json=asked("btcusdt"))
            assert found.status == 200, found.text
            answer = found.json
            assert (answer["operator"], answer["symbol"], answer["gates"]) == ("otto", "BTCUSDT", [])
            expected = told.decide_by_rules(told.body(told.BULLISH))
            assert answer["decision"] == as_json(expected), "what any other process would have decided"
            assert answer["decision"]["action"] == "LONG"
            (stored,) = [one for one in decisions_of(calm) if one[0] == answer["position"]]
            position, stream, state = stored
            assert stream == "input/run"
            ppm = as_parts_per_million(expected)
            assert {name: state[name] for name in ("action", "size_ppm", "confidence_ppm", "price")} == {
                name: ppm[name] for name in ("action", "size_ppm", "confidence_ppm", "price")
            }
            assert state["operator"] == "otto"
            assert [one[0] for one in state["votes"]] == ["strategic", "tactical", "risk"]
            assert state["reasons"] == [[one.code, one.text] for one in expected.reasons]
            assert state["observation_hash"] == answer["decision"]["observation_hash"]
            rows = {one["position"]: one for one in await listed(web, position)}
            assert rows[position]["votes"] == state["votes"]
            assert rows[position]["operator"] == "otto"
            assert ("otto", "decide") in {(r["user"], r["action"]) for r in web.audit()}

    play(scene)


def test_a_model_that_is_missing_or_broken_leaves_the_decision_to_the_rules_and_says_so(
    calm: Path, tmp_path: Path
) -> None:
    broken = told.write_model(tmp_path / "broken", sha256="0" * 64)
    good = told.write_model(tmp_path / "good")
    cases = {None: "model.none", tmp_path / "nowhere": "model.missing", broken: "model.checksum", good: None}

    async def scene() -> None:
        for at, (model, code) in enumerate(cases.items()):
            home = tmp_path / f"home{at}"
            async with serving([calm], home, no_login=True, model=model) as web:
                found = (await web.post("/decide", json=asked())).json
                decision, (_, _, state) = found["decision"], decisions_of(calm)[-1]
                assert (decision["fallback"] or {}).get("code") == code
                assert decision["policy"] == ("rules" if code else "2024-01") == state["policy"]
                assert state["fallback"] == (code or "")
                if code:
                    assert code in [one["code"] for one in decision["reasons"]], "and in its reasons"

    play(scene)


def test_a_viewer_reads_decisions_and_asks_for_none(calm: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, users=USERS) as web:
            before = len(decisions_of(calm))
            await web.login("vera")
            refused = await web.post("/decide", json=asked())
            assert (refused.status, refused.json["code"]) == (403, "auth.role")
            assert (await web.get("/api/marl/decisions")).status == 200
            assert (await web.post("/decide", json=asked(), token="")).status == 401
            assert len(decisions_of(calm)) == before

    play(scene)


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """A body in which one value is another."""
    whole = orjson.loads(orjson.dumps(asked()))
    inner = whole
    for one in path[:-1]:
        inner = inner[one]
    inner[path[-1]] = value
    return whole  # type: ignore[no-any-return]


ROW = [0.0] * 13
BAD: list[tuple[dict[str, Any], int, str, str]] = [
    (changed(["observation", "matrices", "strategic", 3, 7], 3.5), 422, "observation.out_of_range",
     "observation.matrices.strategic[3][7]"),
    (changed(["observation", "matrices", "tactical", 0, 0], "x"), 422, "observation.wrong_type",
     "observation.matrices.tactical[0][0]"),
    (changed(["observation", "matrices", "strategic"], [ROW] * 47), 422, "observation.wrong_shape",
     "observation.matrices.strategic"),
    (changed(["observation", "matrices", "regime", 95], [0.0] * 5), 422, "observation.wrong_shape",
     "observation.matrices.regime[95]"),
    (changed(["observation", "gates"], []), 422, "observation.unknown_key", "observation"),
    (changed(["observation", "market", "price"], "0"), 422, "observation.bad_price",
     "observation.market.price"),
    (changed(["observation", "position", "size"], 0.5), 422, "observation.inconsistent",
     "observation.position.size"),
    (changed(["symbol"], "NOSUCHUSDT"), 404, "control.symbol", ""),
    (changed(["symbol"], "BTC/USDT"), 422, "request.invalid", ""),
    (changed(["colour"], "red"), 422, "request.invalid", ""),
    ({"symbol": "BTCUSDT"}, 422, "request.invalid", ""),
    ({"symbol": "BTCUSDT", "observation": []}, 422, "request.invalid", ""),
]  # fmt: skip


def test_a_body_that_is_no_observation_is_refused_with_its_place_and_leaves_no_record(
    calm: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, no_login=True) as web:
            before = len(decisions_of(calm))
            for body, status, code, place in BAD:
                web.services.limits._seen.clear()
                found = await web.post("/decide", json=body)
                assert (found.status, found.json["code"]) == (status, code), found.text
                assert found.json.get("place", "") == place
                assert found.json["fix"], "and how to mend it"
            large = await web.post("/decide", json={**asked(), "more": "x" * LARGEST_BODY})
            assert (large.status, large.json["code"]) == (413, "request.large")
            assert len(decisions_of(calm)) == before

    play(scene)


def test_halts_and_pauses_of_the_run_block_whatever_the_caller_observes(run: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([run], tmp_path, users=USERS) as web:
            await web.login("otto")

            async def decided() -> tuple[str, list[str], dict[str, Any]]:
                found = await web.post("/decide", json=asked())
                assert found.status == 200, found.text
                position, _, state = decisions_of(run)[-1]
                assert position == found.json["position"]
                assert (state["action"], state["gates"]) == (
                    found.json["decision"]["action"],
                    found.json["gates"],
                )
                return state["action"], state["gates"], state

            assert (await decided())[0] == "LONG"
            await web.post("/api/pause/BTCUSDT")
            assert (await decided())[:2] == ("BLOCKED", ["pause of BTCUSDT (operator)"])
            await web.post("/api/resume/BTCUSDT")
            # A pause the server has not heard of: the run refuses what was decided without it.
            await web.get("/api/status")
            ask(run, "/pause", {"operator": "somebody else"})
            assert (await decided())[:2] == ("BLOCKED", ["pause (operator)"])
            await web.post("/api/kill", json={"reason": "too hot"})
            action, gates, state = await decided()
            assert (action, state["size_ppm"]) == ("BLOCKED", 0)
            assert "kill switch (MANUAL: too hot)" in gates
            assert ["gate.in_force", "kill switch (MANUAL: too hot) is in force."] in state["reasons"]
            blocked = await listed(web, decisions_of(run)[-1][0], "&action=BLOCKED")
            assert len(blocked) == 3
            assert await listed(web, 0, "&action=LONG&symbol=btcusdt") != []
            assert await listed(web, 0, "&symbol=ETHUSDT") == []
            assert (await web.get("/api/marl/decisions?action=BUY")).status == 422

    play(scene)


def test_small_figures_may_be_spelled_as_programs_spell_them(calm: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, users=USERS) as web:
            await web.login("otto")
            body = asked()
            body["observation"]["matrices"]["strategic"][0][2] = 0.00001
            text = json.dumps(body)
            assert "1e-05" in text
            spelled = {"headers": {"Content-Type": "application/json"}}
            found = await web.post("/decide", data=text, **spelled)
            assert found.status == 200, found.text
            plain = await web.post("/decide", data=text.replace("1e-05", "0.00001"), **spelled)
            assert plain.json["decision"] == found.json["decision"]
            for odd in ("1e-999999999", "1e999999999", "1E+70", "1e400"):
                refused = await web.post("/decide", data=text.replace("1e-05", odd), **spelled)
                assert refused.status == 422, (odd, refused.text)

    play(scene)


def test_one_key_has_one_effect(calm: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, no_login=True) as web:
            before, key = len(decisions_of(calm)), {"Idempotency-Key": "decide once"}
            first = await web.post("/decide", json=asked(), headers=key)
            again = await web.post("/decide", json=asked(), headers=key)
            assert (again.status, again.text) == (200, first.text)
            assert len(decisions_of(calm)) == before + 1
            other = await web.post("/decide", json=asked(edge=None, market=OTHER), headers=key)
            assert (other.status, other.json["code"]) == (409, "idempotency.other_request")

    play(scene)


OTHER = {"spread_bps": 2, "atr": 0.004, "imbalance": 0, "price": "61250.5"}


def test_a_run_without_a_process_decides_nothing(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, no_login=True) as web:
            found = await web.post("/decide", json=asked())
            assert (found.status, found.json["code"]) == (503, "control.not_running")
            assert (await web.get("/api/marl/decisions")).json["items"] == []

    play(scene)


def test_a_ledger_with_decisions_replays_identically_rebuilds_and_travels(run: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([run], tmp_path, no_login=True) as web:
            places = []
            for _ in range(3):
                places.append((await web.post("/decide", json=asked())).json["position"])
                await asyncio.sleep(0.2)
            rows = await listed(web, places[-1])
            assert [one["position"] for one in rows] == places[::-1]
            page = (await web.get("/api/marl/decisions?limit=2&order=oldest")).json
            assert [one["position"] for one in page["items"]] == places[:2]
            rest = (await web.get(f"/api/marl/decisions?order=oldest&cursor={page['next']}")).json
            assert [one["position"] for one in rest["items"]] == places[2:]
            then = (await web.get(f"/api/marl/decisions?at={places[1]}")).json
            assert [one["position"] for one in then["items"]] == places[1::-1]
            ask(run, "/stop", {"orders": "cancel"})
            for _ in range(100):
                if not web.services.runs.by_name["own"].is_up:
                    break
                await asyncio.sleep(0.1)
            served: Any = web.services.runs.by_name["own"]
            await served.look()
            before = await listed(web, places[-1])
            rebuild(run)
            assert (await web.get("/api/marl/decisions?limit=1000")).json["items"] == before

    play(scene, timeout_s=60)
    result = replay_run(run, lambda stage, done, total: None)
    assert result["identical"]
    assert len(decisions_of(run)) == 3


def test_a_body_as_large_as_they_come_fits_and_does_not_hold_up_others(calm: Path, tmp_path: Path) -> None:
    rates = [0.123456789 + 0.0001 * at for at in range(1000)]
    edge = {"win_rate": 0.55, "payoff": 1.5, "round_trips": 900, "win_rates": rates}
    whole = told.body(told.BULLISH, edge=edge)
    for rows in whole["matrices"].values():
        for at, row in enumerate(rows):
            row[:] = [-2.345678901 + 0.01 * ((at * 7 + x * 3) % 400) for x in range(len(row))]
    text = '{"symbol": "BTCUSDT", "observation": ' + body_text(read_observation(whole)) + "}"
    assert 20_000 < len(text) < LARGEST_BODY

    async def scene() -> None:
        async with serving([calm], tmp_path, no_login=True) as web:
            head = {"Content-Type": "application/json"}
            longest = 0.0

            async def beat() -> None:
                nonlocal longest
                while True:
                    began = time.perf_counter()
                    await asyncio.sleep(0.001)
                    longest = max(longest, time.perf_counter() - began)

            beating = asyncio.create_task(beat())
            for _ in range(5):
                found = await web.post("/decide", data=text, headers=head)
                assert found.status == 200, found.text
            beating.cancel()
            assert longest < 0.5

    play(scene)


def test_the_document_says_what_is_observed_and_what_is_decided(calm: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([calm], tmp_path, no_login=True) as web:
            document = (await web.get("/api/openapi.json")).json
            schemas = document["components"]["schemas"]
            strategic = schemas["Observation"]["properties"]["matrices"]["properties"]["strategic"]
            assert (strategic["minItems"], strategic["items"]["minItems"]) == (48, 13)
            body = schemas["DecideBody"]["properties"]["observation"]
            assert body["$ref"] == "#/components/schemas/Observation"
            answer = (await web.post("/decide", json=asked())).json
            shape = schemas["Decision"]
            assert set(answer) == set(shape["required"])
            assert set(answer["decision"]) == set(shape["properties"]["decision"]["required"])
            jsonschema = pytest.importorskip("jsonschema_rs")
            jsonschema.validate(shape["properties"]["decision"], answer["decision"])
            jsonschema.validate(schemas["Observation"], asked()["observation"])

    play(scene)
