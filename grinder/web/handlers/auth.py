"""Login, refresh, logout, and who one is.

Law: a refused login says only that it was refused; it takes as long for a name that is nobody's.  A page
never sees its tokens: they are in cookies no script can read, and a change needs the session's CSRF token.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from grinder.web.access.tokens import ACCESS_S, REFRESH_S, Pair, Refused
from grinder.web.access.users import User
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Nothing, Result, Route
from grinder.web.guard import REFRESH_COOKIE, SESSION_COOKIE, check_origin, json_answer, locked, unauthorised


class LoginBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A name, a password, a one-time code where the user has them; `cookie` for the session of a page."""

    username: Annotated[str, Meta(min_length=1, max_length=32)]
    password: Annotated[str, Meta(min_length=1, max_length=256)]
    totp: Annotated[str, Meta(pattern=r"^([0-9]{6})?$")] = ""
    cookie: bool = False


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The refresh token; left out by a page, whose cookie holds it."""

    refresh_token: Annotated[str, Meta(max_length=2000)] = ""


async def login(call: Call) -> Result:
    """Begin a session."""
    services, asked = call.services, call.body(LoginBody)
    check_origin(call.request, services)
    subject = f"login:{asked.username}"
    if left := services.attempts.locked_for_s(subject):
        raise locked(left)
    stored = services.users.stored_password(asked.username)
    right = await asyncio.to_thread(services.users.password_matches, asked.password, stored)
    user = services.users.find(asked.username)
    if not right or user is None:
        services.attempts.failed(subject)
        # A name that is nobody's is not written down: people type their password into the wrong field.
        whose = user.name if user is not None else "nobody"
        raise unauthorised("auth.login_refused", "name, password or code is wrong", f"password of {whose}")
    if user.has_totp:
        if not asked.totp:
            raise unauthorised("auth.code_missing", "a one-time code is needed")
        if not services.users.use_code(user.name, asked.totp):
            services.attempts.failed(subject)
            raise unauthorised(
                "auth.login_refused", "name, password or code is wrong", f"code of {user.name}"
            )
    services.attempts.succeeded(subject)
    call.audit("granted", user=user.name)
    pair = services.tokens.issue(user.name, user.role.name.lower())
    return _session(call, user, pair, cookie=asked.cookie)


async def refresh(call: Call) -> Result:
    """Go on with a session; the refresh token is used up."""
    services = call.services
    check_origin(call.request, services)
    given = call.body(RefreshBody).refresh_token
    text = given or call.request.cookies.get(REFRESH_COOKIE, "")
    try:
        used = services.tokens.rotate(text)
    except Refused as error:
        raise unauthorised("auth.token", "the token is not valid any more", error.reason) from None
    user = services.users.find(used.user)
    if user is None:
        raise unauthorised("auth.token", "the token is not valid any more", "no such user")
    call.audit("granted", user=user.name)
    pair = services.tokens.issue(user.name, user.role.name.lower(), used.family)
    return _session(call, user, pair, cookie=not given)


def _session(call: Call, user: User, pair: Pair, *, cookie: bool) -> web.Response:
    services = call.services
    found: dict[str, Any] = {
        "username": user.name,
        "role": user.role.name.lower(),
        "expires_in": ACCESS_S,
        "csrf": services.tokens.csrf(pair.family),
    }
    if not cookie:
        found.update(access_token=pair.access, refresh_token=pair.refresh, token_type="bearer")
        return json_answer(200, found)
    answer = json_answer(200, found)
    for name, value, path, lasts_s in (
        (SESSION_COOKIE, pair.access, "/", ACCESS_S),
        (REFRESH_COOKIE, pair.refresh, "/auth", REFRESH_S),
    ):
        answer.set_cookie(
            name,
            value,
            path=path,
            max_age=lasts_s,
            httponly=True,
            secure=services.settings.tls,
            samesite="Strict",
        )
    return answer


async def logout(call: Call) -> Result:
    """End the session with all its tokens."""
    if call.principal.token is not None:
        call.services.tokens.revoke_family(call.principal.token.family)
    answer = json_answer(200, {"status": "done"})
    answer.del_cookie(SESSION_COOKIE, path="/")
    answer.del_cookie(REFRESH_COOKIE, path="/auth")
    return answer


async def me(call: Call) -> Result:
    """Who the caller is and may see."""
    principal, services = call.principal, call.services
    user = services.users.find(principal.name) if principal.token else None
    return {
        "username": principal.name,
        "role": principal.role.name.lower(),
        "totp": bool(user and user.has_totp),
        "runs": list(principal.runs),
        "login": principal.token is not None,
        "expires_ns": principal.token.expires_ns if principal.token else None,
        "csrf": services.tokens.csrf(principal.token.family) if principal.token else "",
    }


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/auth/login",
        name="login",
        handler=login,
        role=Role.PUBLIC,
        rate=Rate.WRITE,
        body=LoginBody,
        summary="Begin a session",
        answer="Session",
        errors=(401, 423),
        needs_header=False,
    ),
    Route(
        method="POST",
        path="/auth/refresh",
        name="refresh",
        handler=refresh,
        role=Role.PUBLIC,
        rate=Rate.WRITE,
        body=RefreshBody,
        summary="Go on with a session",
        answer="Session",
        errors=(401,),
        needs_header=False,
    ),
    Route(
        method="POST",
        path="/auth/logout",
        name="logout",
        handler=logout,
        role=Role.VIEWER,
        rate=Rate.WRITE,
        body=Nothing,
        summary="End the session",
        errors=(409,),
    ),
    Route(
        method="GET",
        path="/auth/me",
        name="me",
        handler=me,
        role=Role.VIEWER,
        rate=Rate.READ,
        summary="Who the caller is",
    ),
)
