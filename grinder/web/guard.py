"""The gate of the API: every request is known, counted, authorised and read before its handler sees it.

Law: deny by default.  The order is fixed: host, caller, rate, role, CSRF, one-time code, content,
idempotency; the decision is in the audit log before the handler runs.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import orjson
from aiohttp import web

from grinder.errors import UserError
from grinder.live.spec import LIVE
from grinder.log import logger
from grinder.web.access.tokens import Refused
from grinder.web.admission import Rate, Role
from grinder.web.call import NOBODY, Call, Nothing, Principal, Route, Services
from grinder.web.limits import Allowance
from grinder.web.problems import Problem, problem_of
from grinder.web.reading import read_body, read_query
from grinder.web.settings import LOOPBACK_NAMES

LARGEST_BODY: Final = 64 * 1024
SESSION_COOKIE: Final = "grinder_session"
REFRESH_COOKIE: Final = "grinder_refresh"
CSRF_HEADER: Final = "X-CSRF-Token"
CODE_HEADER: Final = "X-TOTP"
KEY_HEADER: Final = "Idempotency-Key"
LOCAL: Final = "local"
METRICS: Final = "metrics"

JSON_TYPES: Final = ("application/json",)

AioHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)


def json_answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    return web.Response(
        status=status, body=orjson.dumps(content), content_type="application/json", headers=headers
    )


# --- who calls, and from where -----------------------------------------------------------------------------


def address_of(request: web.Request, services: Services) -> str:
    """The caller's address; a proxy's word is taken where the proxy is trusted."""
    peer = request.remote or ""
    trusted = services.settings.trusted_proxies
    if not trusted:
        return peer
    # The last address is what the nearest proxy saw; each one before it is worth what the next one is.
    hops = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",") if one.strip()]
    found = peer
    while hops and inside(found, trusted):
        found = hops.pop()
    return found


def inside(address: str, networks: tuple[Any, ...]) -> bool:
    """Whether an address belongs to one of these networks."""
    try:
        one = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(one in network for network in networks)


def check_host(request: web.Request, services: Services) -> None:
    """Refuse a name this server is not called by: a page of another site had it resolved to here."""
    settings = services.settings
    name = _host_name(request.headers.get("Host", ""))
    if name not in (settings.host, *settings.names, *(LOOPBACK_NAMES if settings.loopback else ())):
        raise Problem(403, "request.host", "this server is not called by that name", value=name,
                      fix="use the address it was started with, or start it with --name")  # fmt: skip


def _host_name(text: str) -> str:
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def check_origin(request: web.Request, services: Services) -> None:
    """Refuse a request that a page of another site sent."""
    origin = request.headers.get("Origin")
    if origin is None or origin in services.settings.origins:
        return
    if urlsplit(origin).netloc != request.headers.get("Host", ""):
        raise Problem(403, "request.origin", "pages of this origin may not call", value=origin)


def caller(request: web.Request, services: Services) -> Principal:
    """Who calls: by bearer token, by a page's session, or from this machine without a login.

    Raises:
        Problem: 401, what was shown is worth nothing.
    """
    header = request.headers.get("Authorization", "")
    scheme, _, text = header.partition(" ")
    by_cookie = not header
    text = request.cookies.get(SESSION_COOKIE, "") if by_cookie else text.strip()
    if not text:
        if header:
            raise unauthorised("auth.scheme", "a bearer token is expected")
        return _without_login(services)
    if header and scheme.lower() != "bearer":
        # A metrics scraper or a basic login: whoever sends one believes to be known here.
        raise unauthorised("auth.scheme", "a bearer token is expected")
    scrape = services.settings.metrics_token
    if scrape and request.path == "/metrics" and hmac.compare_digest(text.encode(), scrape.encode()):
        return Principal(name=METRICS, role=Role.PUBLIC)
    try:
        token = services.tokens.check(text)
    except Refused as error:
        if by_cookie:
            # An ended session, or a cookie of another server of this machine, is worth as much as none:
            # refusing it would keep a browser from the very page on which it may log in.
            return _without_login(services)
        raise unauthorised("auth.token", "the token is not valid any more", reason=error.reason) from None
    user = services.users.find(token.user)
    if user is None:
        raise unauthorised("auth.token", "the token is not valid any more", reason="no such user")
    return Principal(name=user.name, role=user.role, runs=user.runs, token=token, by_cookie=by_cookie)


def _without_login(services: Services) -> Principal:
    if not services.settings.loopback:
        return NOBODY
    if services.settings.no_login:
        return Principal(name=LOCAL, role=Role.OPERATOR)
    if services.users.count() == 0:
        return Principal(name=LOCAL, role=Role.VIEWER)
    return NOBODY


def unauthorised(code: str, detail: str, reason: str = "") -> Problem:
    """A 401; `reason` is for the audit log only."""
    problem = Problem(401, code, detail, fix="log in at POST /auth/login",
                      headers={"WWW-Authenticate": "Bearer"})  # fmt: skip
    problem.__notes__ = [reason] if reason else []
    return problem


# --- what is allowed ---------------------------------------------------------------------------------------


def authorise(request: web.Request, services: Services, route: Route, principal: Principal) -> None:
    """Refuse who may not call a route.

    Raises:
        Problem: 401 or 403.
    """
    if principal.role < route.role:
        if principal.role is Role.PUBLIC:
            raise unauthorised("auth.login", "a login is needed")
        raise Problem(403, "auth.role", f"this takes the role {route.role.name.lower()}",
                      value=principal.role.name.lower(), fix="ask an administrator")  # fmt: skip
    if not route.changes:
        return
    check_origin(request, services)
    if principal.by_cookie and route.needs_header:
        shown = request.headers.get(CSRF_HEADER, "")
        assert principal.token is not None
        if not hmac.compare_digest(shown.encode(), services.tokens.csrf(principal.token.family).encode()):
            raise Problem(403, "auth.csrf", f"the header {CSRF_HEADER} does not fit the session",
                          fix="send what the login answered as `csrf`")  # fmt: skip


def step_up(request: web.Request, services: Services, principal: Principal) -> None:
    """Ask for a fresh one-time code.

    Raises:
        Problem: 403 or 423.
    """
    user = services.users.find(principal.name) if principal.token else None
    if user is None or not user.has_totp:
        raise Problem(403, "auth.no_totp", "this takes a user with one-time codes",
                      fix="run `grinder users totp NAME`, or use the command line")  # fmt: skip
    subject = f"code:{user.name}"
    if left := services.attempts.locked_for_s(subject):
        raise locked(left)
    given = request.headers.get(CODE_HEADER, "")
    if not given:
        raise Problem(403, "auth.code_missing", f"a one-time code is needed in the header {CODE_HEADER}")
    if not services.users.use_code(user.name, given):
        services.attempts.failed(subject)
        raise Problem(403, "auth.code", "the one-time code is wrong or was used")
    services.attempts.succeeded(subject)


def locked(left_s: int) -> Problem:
    """Too many failures."""
    return Problem(423, "auth.locked", "too many failures", fix=f"try again in {left_s} s",
                   headers={"Retry-After": str(left_s)})  # fmt: skip


async def body_of(request: web.Request, route: Route) -> bytes:
    """The raw body of a change.

    Raises:
        Problem: 413 or 415.
    """
    if not route.changes:
        return b""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, "request.large", f"a body has at most {LARGEST_BODY} bytes") from None
    # A form of another site can send any of the simple types, but not this one without being asked first.
    if raw and route.rate is not Rate.WEBHOOK and request.content_type not in JSON_TYPES:
        raise Problem(415, "request.type", "the body must be application/json", value=request.content_type)
    return raw


# --- all of it ---------------------------------------------------------------------------------------------


def gated(route: Route) -> AioHandler:
    """A route's handler behind the gate."""

    async def handle(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        began = time.perf_counter()
        answer = await _pass(request, services, route)
        services.metrics.requests.labels(route.name, str(answer.status)).inc()
        services.metrics.seconds.labels(route.name).observe(time.perf_counter() - began)
        return answer

    return handle


async def _pass(request: web.Request, services: Services, route: Route) -> web.StreamResponse:
    address = address_of(request, services)
    call = Call(
        request=request,
        services=services,
        route=route,
        principal=NOBODY,
        address=address,
        correlation_id=secrets.token_hex(8),
        query_given=Nothing(),
        body_given=None,
        raw=b"",
    )
    allowance: Allowance | None = None
    try:
        stranger: Problem | None = None
        try:
            call = attrs.evolve(call, principal=caller(request, services))
        except Problem as problem:
            stranger = problem  # counted all the same, or guessing would be free
        name = call.principal.name if call.principal.token else f"address:{address}"
        allowance = services.limits.take(name, route.rate)
        if not allowance.allowed:
            raise Problem(429, "request.rate", "too many requests", fix=f"wait {allowance.reset_s} s")
        if stranger is not None:
            raise stranger
        call = await _admitted(call)
        answer = await _handled(call)
    except Problem as problem:
        answer = refused(call, problem)
    except UserError as error:
        answer = refused(call, problem_of(error))
    except sqlite3.Error as error:
        # Views or the database of access: a decision that cannot be written down is not taken.
        logger().error("a request failed", route=route.name, fault=str(error))
        answer = json_answer(503, {"detail": "a database is not available", "code": "api.database"})
    answer.headers["X-Request-Id"] = call.correlation_id
    if allowance is not None and not answer.prepared:
        answer.headers.update(allowance.headers())
    return answer


async def _admitted(call: Call) -> Call:
    request, services, route = call.request, call.services, call.route
    authorise(request, services, route, call.principal)
    if route.step_up:
        step_up(request, services, call.principal)
    if route.role is not Role.PUBLIC:
        call.audit("granted")
    raw = await body_of(request, route)
    admitted = attrs.evolve(
        call,
        raw=raw,
        query_given=read_query(request.query, route.query),
        body_given=(read_body(raw, route.body, measured=route.measured) if route.body is not None else None),
    )
    if route.step_up_live and (await admitted.run().status() or {}).get("mode") == LIVE:
        step_up(request, services, call.principal)
    return admitted


async def _handled(call: Call) -> web.StreamResponse:
    key = call.request.headers.get(KEY_HEADER, "") if call.route.changes else ""
    if not key or call.route.role is Role.PUBLIC:
        return await _answered(call)
    repeats, name = call.services.repeats, call.principal.name
    kept = repeats.begin(name, key, call.request.method, call.request.path_qs, call.raw)
    if kept is not None:
        return web.Response(
            status=kept.status,
            body=kept.body,
            content_type="application/json",
            headers={"Idempotency-Replayed": "true"},
        )
    answer: web.StreamResponse | None = None
    try:
        try:
            answer = await _answered(call)
        except Problem as problem:
            answer = refused(call, problem)
        except UserError as error:
            answer = refused(call, problem_of(error))
    finally:
        body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        repeats.finish(name, key, answer.status if answer is not None else 500, body)
    return answer


async def _answered(call: Call) -> web.StreamResponse:
    found = await call.route.handler(call)
    if isinstance(found, web.StreamResponse):
        return found
    return json_answer(call.route.success, found)


def refused(call: Call, problem: Problem) -> web.Response:
    """The answer to a refused request; refusals of a caller are in the audit log."""
    call.services.metrics.refusals.labels(problem.code).inc()
    # Not those over the limit: a flood of them would fill the disk.
    if problem.status in (401, 403, 423) or (call.route.changes and problem.status != 429):
        reason = " ".join((problem.code, *getattr(problem, "__notes__", ())))
        call.audit(f"denied {problem.status} {reason}")
    return json_answer(problem.status, problem.as_dict(), problem.headers)


@web.middleware
async def frame(request: web.Request, handler: AioHandler) -> web.StreamResponse:
    """Around everything: the host's name, and JSON for what aiohttp itself refuses."""
    services = request.app[SERVICES]
    try:
        check_host(request, services)
        if request.method == "OPTIONS" and request.headers.get("Origin") in services.settings.origins:
            return web.Response(status=204)
        return await handler(request)
    except Problem as problem:
        services.metrics.refusals.labels(problem.code).inc()
        return json_answer(problem.status, problem.as_dict(), problem.headers)
    except web.HTTPMethodNotAllowed as error:
        headers = {"Allow": error.headers.get("Allow", "")}
        return json_answer(405, {"detail": "no such method here", "code": "request.method"}, headers)
    except web.HTTPNotFound:
        return json_answer(404, {"detail": "there is no such route", "code": "request.route"})


CONTENT_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


async def harden(request: web.Request, answer: web.StreamResponse) -> None:
    """Headers of every answer."""
    services = request.app[SERVICES]
    headers = answer.headers
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    headers["Server"] = "grinder"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    if request.path.startswith(("/api", "/auth", "/decide")):
        headers["Cache-Control"] = "no-store"
    if services.settings.tls:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    origin = request.headers.get("Origin", "")
    if origin in services.settings.origins:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Vary"] = "Origin"
        headers["Access-Control-Allow-Methods"] = "GET, POST"
        headers["Access-Control-Allow-Headers"] = ", ".join(
            ("Authorization", "Content-Type", KEY_HEADER, CODE_HEADER)
        )
