"""Bad input to the API and the webhook: a row each of the table of promises, and nothing partly applied."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from web_rig import Reply, Web, play, serving

from grinder.ledger.reading import connect
from grinder.web.settings import networks

SECRET = "0123456789abcdef" * 2
TOKEN = "an-unguessable-token-in-the-path"


def records(run: Path) -> list[tuple[int, str, dict[str, Any]]]:
    """What an operator or an alert did, from the ledger: (position, topic, state)."""
    connection = connect(run / "ledger.db")
    found = connection.execute(
        "SELECT rowid, topic, state FROM stored_events WHERE originator_id = 'input/operator' ORDER BY rowid"
    ).fetchall()
    connection.close()
    return [(position, topic, orjson.loads(state)) for position, topic, state in found]


# --- the API -----------------------------------------------------------------------------------------------

API_ROWS: list[tuple[str, str, str, Any, int]] = [
    ("huge integer", "GET", f"/api/orders?limit={10**30}", None, 422),
    ("huge integer, 19 digits", "GET", "/api/orders?cursor=9999999999999999999", None, 422),
    ("page size 10^9", "GET", "/api/orders?limit=1000000000", None, 422),
    ("page size 0", "GET", "/api/trades?limit=0", None, 422),
    ("negative", "GET", "/api/trades?limit=-5", None, 422),
    ("exponent", "GET", "/api/trades?limit=1e2", None, 422),
    ("decimal point", "GET", "/api/trades?limit=5.0", None, 422),
    ("digits of another script", "GET", "/api/trades?limit=%D9%A5", None, 422),
    ("extra field in the query", "GET", "/api/trades?colour=red", None, 422),
    ("a name twice", "GET", "/api/trades?limit=5&limit=6", None, 422),
    ("a filter the list has not", "GET", "/api/equity?side=buy", None, 422),
    ("symbol that is none", "GET", "/api/trades?symbol='%3B%20DROP%20TABLE%20trades", None, 422),
    ("position beyond the ledger", "GET", "/api/trades?at=99999999", None, 404),
    ("another run's name", "GET", "/api/trades?run=somebody-elses", None, 404),
    ("unknown grid", "GET", "/api/grids/NOSUCHUSDT", None, 404),
    ("unknown record", "GET", "/api/ledger/99999999/causes", None, 404),
    ("unknown route", "GET", "/api/secret", None, 404),
    ("another method", "POST", "/api/trades", None, 405),
    ("extra field", "POST", "/api/kill", b'{"reason": "x", "quantity": 1}', 422),
    ("negative quantity", "POST", "/api/kill", b'{"quantity": -1}', 422),
    ("exponent in JSON", "POST", "/api/kill", b'{"reason": 1e400}', 422),
    ("NaN", "POST", "/api/kill", b'{"reason": NaN}', 422),
    ("huge integer in JSON", "POST", "/api/kill", b'{"reason": ' + b"9" * 5000 + b"}", 422),
    ("a key twice", "POST", "/api/kill", b'{"reason": "a", "reason": "b"}', 422),
    ("control characters", "POST", "/api/kill", b'{"reason": "a\\u0000b"}', 422),
    ("no object", "POST", "/api/kill", b"[1]", 422),
    ("deep nesting", "POST", "/api/kill", b"[" * 30_000, 422),
    ("not JSON", "POST", "/api/kill", b"{reason: x}", 400),
    ("not UTF-8", "POST", "/api/kill", b'{"reason": "\xff\xfe"}', 400),
    ("over the cap", "POST", "/api/kill", b'{"reason": "' + b"x" * 70_000 + b'"}', 413),
    ("a head that is none", "POST", "/api/ledger/verify", b'{"head": "zz"}', 422),
    ("too long a reason", "POST", "/api/kill", b'{"reason": "' + b"x" * 200 + b'"}', 422),
    ("symbol the run does not trade", "POST", "/api/pause/ETHUSDT", None, 404),
    ("start of a symbol the run does not trade", "POST", "/api/grids/ETHUSDT/start", None, 404),
    ("deploy without settings", "POST", "/api/deploy", b'{"symbol": "BTCUSDT"}', 422),
    (
        "deploy a number that is no text",
        "POST",
        "/api/deploy",
        b'{"symbol": "BTCUSDT", "settings": {"lower_price": 59000.5}}',
        422,
    ),
    ("deploy a list", "POST", "/api/deploy", b'{"symbol": "BTCUSDT", "settings": {"on_stop": []}}', 422),
    (
        "deploy an unknown setting",
        "POST",
        "/api/deploy",
        b'{"symbol": "BTCUSDT", "settings": {"spacing": "9", "grid_numbr": "8"}}',
        400,
    ),
    (
        "deploy bounds upside down",
        "POST",
        "/api/deploy",
        b'{"symbol": "BTCUSDT", "settings": {"lower_price": "90000"}}',
        400,
    ),
    ("deploy what is so already", "POST", "/api/deploy", b'{"symbol": "BTCUSDT", "settings": {}}', 400),
    ("deploy another symbol", "POST", "/api/deploy", b'{"symbol": "ETHUSDT", "settings": {}}', 404),
    (
        "preview of nonsense",
        "POST",
        "/api/deploy/preview",
        b'{"symbol": "BTCUSDT", "settings": {"grid_number": "1e400"}}',
        400,
    ),
    ("rebalance another symbol", "POST", "/api/rebalance", b'{"symbol": "ETHUSDT"}', 404),
    ("what becomes of orders", "POST", "/api/grids/BTCUSDT/stop", b'{"on_stop": "sell all"}', 422),
]


def test_bad_requests_are_refused_by_their_row_and_leave_no_record(live: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, no_login=True) as web:
            before = records(live)
            for what, method, path, body, status in API_ROWS:
                web.services.limits._seen.clear()
                headers = {"Content-Type": "application/json"} if body is not None else {}
                found = await web.ask(method, path, data=body, headers=headers)
                assert found.status == status, (what, found.status, found.text[:300])
                assert found.json["detail"], what
                assert found.json["code"], what
                assert len(found.text) < 1000, what
            assert records(live) == before
            denied = [row for row in web.audit() if row["result"].startswith("denied")]
            assert len(denied) >= sum(1 for row in API_ROWS if row[1] == "POST" and row[4] != 405)

    play(scene)


def test_what_belongs_to_another_run_is_not_there_and_a_viewer_changes_nothing(
    live: Path, finished: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([live, finished], tmp_path) as web:
            web.add_user("vera", "viewer", runs=[finished.name])
            web.add_user("otto", "operator", runs=[finished.name])
            before = records(live)
            await web.login("vera")
            assert (await web.get("/api/trades")).json["as_of"]["run"] == finished.name
            for path in ("/api/trades", "/api/ledger", "/api/status", "/api/alerts", "/api/grids/BTCUSDT"):
                hidden = await web.get(f"{path}?run={live.name}")
                unknown = await web.get(f"{path}?run=no-such-run")
                assert hidden.status == unknown.status == 404
                assert hidden.json["code"] == unknown.json["code"], "it does not even tell that it is there"
            shown = (await web.get("/api/runs")).json["runs"]
            assert [one["name"] for one in shown] == [finished.name]
            for path in ("/api/pause", "/api/resume", "/api/kill", "/api/reset-kill", "/api/ledger/verify"):
                assert (await web.post(path)).status == 403
            await web.login("otto")
            assert (await web.post(f"/api/pause?run={live.name}")).status == 404
            assert records(live) == before

    play(scene)


# --- the webhook -------------------------------------------------------------------------------------------


def alert(**changes: Any) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "action": "sell", "time": datetime.now(UTC).isoformat(), **changes}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Webhook-Signature": hmac.new(secret.encode(), body, sha256).hexdigest()}


async def sent(web: Web, body: bytes, *, path: str = "/api/tv-alert", kind: str = "application/json",
               headers: dict[str, str] | None = None) -> Reply:  # fmt: skip
    shown = signed(body) if headers is None else headers
    web.services.limits._seen.clear()
    return await web.post(path, data=body, headers={"Content-Type": kind, **shown}, token="")


Row = tuple[str, Callable[[], bytes], dict[str, Any], int, str]


def body_of(**changes: Any) -> Callable[[], bytes]:
    return lambda: orjson.dumps(alert(**changes))


def raw(text: bytes) -> Callable[[], bytes]:
    return lambda: text


WEBHOOK_ROWS: list[Row] = [
    ("missing token", body_of(id="a1"), {"headers": {}}, 401, "webhook.refused"),
    ("wrong token", body_of(id="a2"), {"headers": {}, "path": "/api/tv-alert/wrong"}, 401, "webhook.refused"),
    ("wrong signature", body_of(id="a3"), {"headers": {"X-Webhook-Signature": "0" * 64}}, 401,
     "webhook.refused"),
    ("signature that is none", body_of(id="a4"), {"headers": {"X-Webhook-Signature": "ü"}}, 401,
     "webhook.refused"),
    ("body over the cap", raw(b'{"zone": "' + b"x" * 70_000 + b'"}'), {"headers": {}}, 413, "request.large"),
    ("not JSON", raw(b"buy BTCUSDT now"), {}, 400, "request.json"),
    ("nothing", raw(b""), {}, 400, "request.json"),
    ("another type", body_of(), {"kind": "application/xml"}, 415, "webhook.type"),
    ("stale", body_of(time="2024-01-01T00:00:00Z"), {}, 409, "webhook.time"),
    ("from the future", body_of(time="2090-01-01T00:00:00Z"), {}, 409, "webhook.time"),
    ("no time", body_of(time="yesterday"), {}, 422, "webhook.time"),
    ("unknown action", body_of(action="moon"), {}, 422, "webhook.action"),
    ("unknown symbol", body_of(symbol="DOGEUSDT"), {}, 422, "webhook.symbol"),
    ("placeholder", raw(b'{"symbol": "BTCUSDT", "action": "buy", "price": {{close}}}'), {}, 422,
     "webhook.placeholder"),
    ("placeholder as text", body_of(price="{{close}}"), {}, 422, "webhook.placeholder"),
    ("negative price", body_of(price=-5), {}, 422, "request.amount"),
    ("price with an exponent", raw(b'{"symbol": "BTCUSDT", "action": "buy", "price": 6e4}'), {}, 422,
     "request.number"),
    ("exponent as text", body_of(price="6e4"), {}, 422, "request.amount"),
    ("NaN as text", body_of(price="NaN"), {}, 422, "request.amount"),
    ("price far from ours", body_of(price="1000"), {}, 409, "webhook.price"),
    ("extra field", body_of(quantity=1), {}, 422, "request.invalid"),
    ("missing field", raw(b'{"symbol": "BTCUSDT"}'), {}, 422, "request.invalid"),
    ("another run", body_of(), {"path": "/api/tv-alert?run=nobody"}, 404, "run.unknown"),
]  # fmt: skip


def test_bad_alerts_are_refused_by_their_row_and_leave_no_record(live: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, webhook_secret=SECRET, webhook_token=TOKEN) as web:
            before = records(live)
            for what, body, more, status, code in WEBHOOK_ROWS:
                found = await sent(web, body(), **more)
                assert (found.status, found.json["code"]) == (status, code), (what, found.text[:300])
                if status == 401:
                    assert found.json == {"detail": "refused", "code": "webhook.refused"}
            assert records(live) == before
            assert not any(TOKEN in row["resource"] or "wrong" in row["resource"] for row in web.audit())

    play(scene)


def test_an_alert_is_in_the_ledger_when_it_is_answered_and_a_repeat_does_nothing(
    live: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, webhook_secret=SECRET, webhook_token=TOKEN) as web:
            first = orjson.dumps(alert(symbol="BINANCE:btc", id="one"))
            found = await sent(web, first)
            assert (found.status, found.json["status"]) == (202, "accepted")
            position, topic, state = records(live)[-1]
            assert (position, topic) == (found.json["position"], "PauseTrading/1")
            assert state == {"reason": "tradingview", "symbol": "BTCUSDT", "operator": "tradingview"}
            count = len(records(live))
            again = await sent(web, orjson.dumps(alert(symbol="BTCUSDT", id="one", action="buy")))
            assert (again.status, again.json["status"]) == (200, "duplicate")
            same = orjson.dumps(alert(action="long"))
            tokened = {"headers": {}, "path": f"/api/tv-alert/{TOKEN}", "kind": "text/plain"}
            found = await sent(web, same, **tokened)
            assert (found.status, found.json["action"]) == (202, "resume")
            assert records(live)[-1][1:] == (
                "ResumeTrading/1",
                {"reason": "tradingview", "symbol": "BTCUSDT", "operator": "tradingview"},
            )
            assert (await sent(web, same, **tokened)).status == 409
            assert len(records(live)) == count + 1
            kept = (await web.get("/api/alerts", token="")).json
            assert [one["outcome"] for one in kept["items"]] == ["resume", "pause"]
            assert kept["stats"] == {
                "total": 2,
                "by_symbol": {"BTCUSDT": 2},
                "by_action": {"long": 1, "sell": 1},
            }
            assert (await web.get("/api/alerts?symbol=ethusdt")).json["items"] == []
            granted = [
                row for row in web.audit() if row["user"] == "tradingview" and row["result"] == "granted"
            ]
            assert len(granted) == 4

    play(scene)


def test_an_alert_ends_no_pause_an_operator_began(live: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, no_login=True, webhook_token=TOKEN) as web:
            path = {"headers": {}, "path": f"/api/tv-alert/{TOKEN}"}
            await web.post("/api/pause/BTCUSDT")
            await sent(web, orjson.dumps(alert(id="p1", action="short")), **path)
            await sent(web, orjson.dumps(alert(id="p2", action="buy")), **path)
            web.clock.forward(2)
            symbols = (await web.get("/api/status")).json["live"]["symbols"]
            assert symbols["BTCUSDT"]["pauses"] == ["operator"]
            await web.post("/api/resume/BTCUSDT")
            web.clock.forward(2)
            symbols = (await web.get("/api/status")).json["live"]["symbols"]
            assert symbols["BTCUSDT"]["pauses"] == []

    play(scene)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 401),
        ({"no_login": True}, 202),
        ({"webhook_allow": networks(("127.0.0.1",))}, 202),
        ({"webhook_allow": networks(("52.89.214.238", "10.0.0.0/8"))}, 403),
        ({"webhook_allow": networks(("10.0.0.0/8",)), "webhook_secret": SECRET}, 403),
        ({"webhook_secret": SECRET}, 401),
    ],
)
def test_without_a_proof_alerts_come_only_from_where_they_were_allowed(
    live: Path, tmp_path: Path, settings: dict[str, Any], status: int
) -> None:
    async def scene() -> None:
        async with serving([live], tmp_path, **settings) as web:
            body = orjson.dumps(alert(id=str(sorted(settings))))
            assert (await sent(web, body, headers={})).status == status
            if status == 202 and settings.get("no_login"):
                page = {"Origin": "https://evil.example"}
                assert (await sent(web, body, headers=page)).status == 403

    play(scene)


def test_the_template_that_ships_sends_what_the_webhook_takes() -> None:
    import re

    from grinder.web.handlers.webhook import AlertBody
    from grinder.web.reading import read_body

    text = (Path(__file__).resolve().parents[2] / "docs" / "tradingview.pine").read_text("utf-8")
    assert text.lstrip().startswith("//@version=") or "//@version=" in text
    samples = re.findall(r"// sample: (\{.*\})", text)
    assert samples
    for sample in samples:
        assert read_body(sample.encode(), AlertBody).symbol
