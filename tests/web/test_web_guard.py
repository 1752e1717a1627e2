"""The gate: hosts, origins, sessions of pages, limits, repeats, sizes, and the settings that are refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from web_rig import PASSWORD, Web, play, serving

from grinder.errors import UserError
from grinder.web.admission import Rate
from grinder.web.limits import Limits
from grinder.web.settings import WebSettings


def test_a_server_is_refused_that_would_be_open_to_others(tmp_path: Path) -> None:
    def settings(**changes: Any) -> WebSettings:
        return WebSettings(access_file=tmp_path / "access.db", **changes)

    cert = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    for users, changes, code in (
        (0, {"host": "0.0.0.0"}, "ui.exposed"),
        (3, {"host": "0.0.0.0"}, "ui.exposed"),
        (0, {"host": "10.1.2.3", **cert}, "ui.exposed"),
        (3, {"host": "::", "no_login": True, **cert}, "ui.no_login"),
        (0, {"tls_cert": tmp_path / "cert.pem"}, "ui.tls"),
        (0, {"webhook_secret": "short"}, "ui.secret"),
        (0, {"webhook_token": "short"}, "ui.secret"),
    ):
        with pytest.raises(UserError) as found:
            settings(**changes).check(users)  # type: ignore[arg-type]
        assert found.value.code == code
    settings().check(0)
    settings(host="0.0.0.0", **cert).check(1)
    assert "s3cret" not in repr(settings(webhook_secret="s3cret" * 4))


def test_without_users_this_machine_may_look_and_with_no_login_command_but_never_reset(
    finished: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path / "a") as web:
            assert (await web.get("/api/trades")).status == 200
            assert (await web.post("/api/pause")).json["code"] == "auth.role"
            assert (await web.get("/auth/me")).json["role"] == "viewer"
        async with serving([finished], tmp_path / "b", no_login=True) as web:
            assert (await web.post("/api/pause")).json["code"] == "control.not_running"
            assert (await web.post("/api/reset-kill")).json["code"] == "auth.role"
        async with serving([finished], tmp_path / "c", users=[("vera", "viewer")]) as web:
            assert (await web.get("/api/trades")).status == 401
            for path in ("/", "/health", "/ready", "/api/openapi.json"):
                assert (await web.get(path)).status == 200

    play(scene)


def test_a_name_this_server_is_not_called_by_is_refused(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, names=("grid.example",)) as web:
            for host, status in (
                ("evil.example", 403),
                ("evil.example:8000", 403),
                ("127.0.0.1.evil.example", 403),
                ("grid.example", 200),
                ("localhost:1", 200),
                ("[::1]:8000", 200),
            ):
                found = await web.get("/api/grids", headers={"Host": host})
                assert found.status == status, host

    play(scene)


def test_a_page_of_another_site_can_neither_command_nor_listen(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        origins = ("https://desk.example",)
        async with serving([finished], tmp_path, no_login=True, origins=origins) as web:
            evil = {"Origin": "https://evil.example"}
            assert (await web.post("/api/pause", headers=evil)).json["code"] == "request.origin"
            form = {"Content-Type": "text/plain"}
            assert (await web.post("/api/kill", headers=form, data="{}")).status == 415
            assert (
                await web.post("/auth/login", headers=evil, json={"username": "a", "password": "b"})
            ).status == 403
            assert (await web.get("/ws", headers=evil)).status == 403
            good = await web.post("/api/pause", headers={"Origin": origins[0]})
            assert good.json["code"] == "control.not_running"
            assert good.headers["Access-Control-Allow-Origin"] == origins[0]
            assert (await web.ask("OPTIONS", "/api/pause", headers={"Origin": origins[0]})).status == 204
            own = {"Origin": web.address, "Host": web.address.removeprefix("http://")}
            assert (await web.post("/api/pause", headers=own)).json["code"] == "control.not_running"

    play(scene)


async def page_session(web: Web, name: str) -> tuple[dict[str, str], str]:
    """The cookies of a page's session, and its CSRF token."""
    body = {"username": name, "password": PASSWORD, "cookie": True}
    async with web.session.post(web.address + "/auth/login", json=body) as answer:
        assert answer.status == 200
        found = await answer.json()
        assert "access_token" not in found
        assert "refresh_token" not in found
        for cookie in answer.cookies.values():
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
        return {name: cookie.value for name, cookie in answer.cookies.items()}, found["csrf"]


def test_a_change_from_a_page_needs_the_token_of_its_own_session(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, users=[("otto", "operator"), ("olga", "operator")]) as web:
            cookies, csrf = await page_session(web, "otto")
            _, other = await page_session(web, "olga")
            shown = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            assert (await web.get("/api/trades", headers=shown)).status == 200
            for given in ({}, {"X-CSRF-Token": other}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "ü"}):
                found = await web.post("/api/pause", headers={**shown, **given})
                assert (found.status, found.json["code"]) == (403, "auth.csrf")
            found = await web.post("/api/pause", headers={**shown, "X-CSRF-Token": csrf})
            assert found.json["code"] == "control.not_running"
            renewed = await web.post("/auth/refresh", headers=shown)
            assert renewed.status == 200
            assert renewed.json["csrf"] == csrf
            assert (await web.post("/auth/logout", headers={**shown, "X-CSRF-Token": csrf})).status == 200
            assert (await web.get("/api/trades", headers=shown)).status == 401

    play(scene)


def test_login_refresh_logout_and_the_lock_after_five_failures(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, users=[("vera", "viewer")]) as web:
            assert (await web.login("vera")).json["expires_in"] == 900
            first = web.refresh
            assert (await web.get("/auth/me")).json["username"] == "vera"
            found = await web.post("/auth/refresh", json={"refresh_token": first})
            assert found.status == 200
            again = await web.post("/auth/refresh", json={"refresh_token": first})
            assert again.status == 401
            assert (await web.get("/auth/me", token=found.json["access_token"])).status == 401, "stolen"
            await web.login("vera")
            old = web.token
            assert (await web.post("/auth/logout")).status == 200
            assert (await web.get("/auth/me", token=old)).status == 401
            await web.login("vera")
            web.clock.forward(15 * 60 + 1)
            assert (await web.get("/auth/me")).json["code"] == "auth.token"
            for name in ("vera", "nobody-knows"):
                web.services.limits._seen.clear()
                answers = [(await web.login(name, "wrong password")).status for _ in range(5)]
                assert answers == [401] * 5
                locked = await web.login(name)
                assert locked.status == 423
                assert int(locked.headers["Retry-After"]) > 800
            web.clock.forward(15 * 60 + 1)
            assert (await web.login("vera")).status == 200
            results = [row["result"] for row in web.audit() if row["action"] == "login"]
            assert sum(one.startswith("denied 423") for one in results) == 2
            assert web.services.audit.verify().ok
            written = str(web.audit())
            assert PASSWORD not in written
            assert web.token not in written
            assert "nobody-knows" not in written, "it may be a password in the wrong field"

    play(scene)


def test_a_user_with_codes_needs_one_to_log_in_and_a_fresh_one_to_step_up(
    finished: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            secret = web.add_user("ada", "admin", codes=True)
            web.add_user("abel", "admin")
            assert (await web.login("ada")).json["code"] == "auth.code_missing"
            assert (await web.login("ada", totp="000000")).status == 401
            code = web.code(secret)
            assert (await web.login("ada", totp=code)).status == 200
            reset = "/api/reset-kill"
            assert (await web.post(reset)).json["code"] == "auth.code_missing"
            assert (await web.post(reset, headers={"X-TOTP": code})).json["code"] == "auth.code", "used"
            found = await web.post(reset, headers={"X-TOTP": web.code(secret, 1)})
            assert found.json["code"] == "control.not_running", "past the gate"
            wrong = [(await web.post(reset, headers={"X-TOTP": "000000"})).status for _ in range(5)]
            assert set(wrong) == {403}
            web.clock.forward(60)
            assert (await web.post(reset, headers={"X-TOTP": web.code(secret)})).status == 423
            await web.login("abel")
            assert (await web.post(reset)).json["code"] == "auth.no_totp"

    play(scene)


def test_a_caller_over_the_limit_is_told_when_to_come_again(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, no_login=True) as web:
            for rate, path, method in ((Rate.WRITE, "/api/pause", "POST"), (Rate.READ, "/api/grids", "GET")):
                for number in range(rate.per_minute):
                    found = await web.ask(method, path)
                    assert found.status != 429
                    assert found.headers["X-RateLimit-Limit"] == str(rate.per_minute)
                    assert found.headers["X-RateLimit-Remaining"] == str(rate.per_minute - number - 1)
                found = await web.ask(method, path)
                assert (found.status, found.json["code"]) == (429, "request.rate")
                assert 0 < int(found.headers["Retry-After"]) <= 60
            web.clock.forward(61)
            assert (await web.get("/api/grids")).status == 200
            assert (await web.get("/health")).status == 200

    play(scene)


def test_every_kind_of_route_has_the_limit_it_was_promised() -> None:
    assert {one.label: one.per_minute for one in Rate if one in (Rate.READ, Rate.WRITE, Rate.WEBHOOK)} == {
        "read": 100,
        "write": 20,
        "webhook": 60,
    }
    now = [0]
    limits = Limits(lambda: now[0])
    taken = [limits.take("a", Rate.WEBHOOK).allowed for _ in range(70)]
    assert taken == [True] * 60 + [False] * 10
    assert limits.take("b", Rate.WEBHOOK).allowed
    for second in range(0, 600, 1):
        now[0] = 10**12 + second * 10**9
        limits.take("c", Rate.WRITE)
        kept = [one for one in limits._seen[("c", "write")] if one > now[0] - 60 * 10**9]
        assert len(kept) <= 20


def test_tokens_that_are_worth_nothing_are_counted_as_well(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, users=[("vera", "viewer")]) as web:
            found = [(await web.get("/api/grids", token=f"x.y.{n}")).status for n in range(103)]
            assert found[:100] == [401] * 100
            assert set(found[100:]) == {429}

    play(scene)


def test_the_same_key_gets_the_same_answer_and_another_body_is_refused(
    finished: Path, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path, no_login=True) as web:
            head = {"Idempotency-Key": "k1"}
            first = await web.post("/api/ledger/verify", headers=head, json={"head": "0" * 64})
            assert first.status == 200
            second = await web.post("/api/ledger/verify", headers=head, json={"head": "0" * 64})
            assert (second.status, second.text) == (200, first.text)
            assert second.headers["Idempotency-Replayed"] == "true"
            done = [row for row in web.audit() if row["result"].startswith("done")]
            assert len(done) == 1, "worked on once"
            for body, path in (({"head": "1" * 64}, "/api/ledger/verify"), ({"head": "0" * 64}, "/api/kill")):
                found = await web.post(path, headers=head, json=body)
                assert found.status in (409, 422)
            assert (await web.post("/api/ledger/verify", headers=head, json={})).status == 409
            web.clock.forward(24 * 3600 + 1)
            assert (await web.post("/api/ledger/verify", headers=head, json={})).status == 200
            bad = {"Idempotency-Key": "k" * 200}
            assert (await web.post("/api/ledger/verify", headers=bad, json={})).status == 422

    play(scene)


def test_metrics_take_their_own_token_where_one_is_set(finished: Path, tmp_path: Path) -> None:
    token = "m" * 32

    async def scene() -> None:
        async with serving([finished], tmp_path, metrics_token=token) as web:
            assert (await web.get("/metrics")).status == 401
            assert (await web.get("/metrics", token="n" * 32)).status == 401
            found = await web.get("/metrics", token=token)
            assert found.status == 200
            assert "grinder_api_requests_total" in found.text
            assert (await web.get("/api/grids", token=token)).status == 401, "it opens nothing else"

    play(scene)


def test_a_proxy_is_believed_only_where_it_is_trusted(finished: Path, tmp_path: Path) -> None:
    from grinder.web.settings import networks

    async def scene() -> None:
        forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        async with serving([finished], tmp_path / "a", no_login=True) as web:
            await web.post("/api/pause", headers=forwarded)
            assert web.audit()[0]["address"] == "127.0.0.1"
        trusted = {"trusted_proxies": networks(("127.0.0.1",))}
        async with serving([finished], tmp_path / "b", no_login=True, **trusted) as web:
            await web.post("/api/pause", headers=forwarded)
            assert web.audit()[0]["address"] == "198.51.100.7"

    play(scene)


def test_over_tls_browsers_are_told_to_stay_there_and_old_versions_are_refused(
    finished: Path, tmp_path: Path
) -> None:
    import ssl

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")

    async def scene() -> None:
        settings = {"tls_cert": cert, "tls_key": key}
        async with serving([finished], tmp_path, users=[("vera", "viewer")], **settings) as web:
            assert web.address.startswith("https://")
            found = await web.get("/health")
            assert found.status == 200
            assert "max-age" in found.headers["Strict-Transport-Security"]
            body = {"username": "vera", "password": PASSWORD, "cookie": True}
            async with web.session.post(web.address + "/auth/login", json=body) as answer:
                assert all(one["secure"] for one in answer.cookies.values())
            context = web.server._tls()
            assert context is not None
            assert context.minimum_version >= ssl.TLSVersion.TLSv1_2

    play(scene)


def test_every_answer_forbids_frames_sniffing_and_caching(finished: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving([finished], tmp_path) as web:
            for path in ("/api/grids", "/api/nothing", "/health"):
                headers = (await web.get(path)).headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["X-Frame-Options"] == "DENY"
                assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                assert "aiohttp" not in headers["Server"]
            assert (await web.get("/api/grids")).headers["Cache-Control"] == "no-store"

    play(scene)
