"""What a route is, and what its handler is given: who calls, with what, and the parts of the program.

Law: everything about a route is data in its row.  The server, the document about the API and the tests are
made from the same rows, so they cannot disagree.  By the time a handler sees a call it was authenticated,
authorised, counted and read; a handler decides nothing of that again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet

import attrs
import msgspec
from aiohttp import web

from grinder.marl.agents.policy import Policy
from grinder.web.access.attempts import Attempts
from grinder.web.access.audit import Audit
from grinder.web.access.repeats import Repeats
from grinder.web.access.signals import Signals
from grinder.web.access.store import AccessStore
from grinder.web.access.tokens import Token, Tokens
from grinder.web.access.users import Users
from grinder.web.admission import Rate, Role
from grinder.web.limits import Limits
from grinder.web.market import MarketOverview
from grinder.web.measuring import WebMetrics
from grinder.web.runs import Runs, ServedRun
from grinder.web.settings import WebSettings

S = TypeVar("S", bound=msgspec.Struct)

Result: TypeAlias = "web.StreamResponse | Mapping[str, Any]"
Handler: TypeAlias = "Callable[[Call], Awaitable[Result]]"


class Nothing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A query or body without any field."""


@attrs.frozen(kw_only=True)
class Route:
    """One row.

    Attributes:
        path: aiohttp's notation, such as ``/api/grids/{symbol}``.
        name: the action, as the audit log and the document call it.
        query, body: what may be sent; a field that is not in it is refused.  A `body` of None: none is read.
        measured: the body's figures are measures, not amounts, and may be spelled with exponents.
        own_body: what the handler reads from the raw body itself, for the document.
        answer: name of the answer's schema (`grinder.web.openapi.ANSWERS`).
        success: status of an answer that went well.
        errors: statuses a caller has to expect beside those of every route.
        step_up: a fresh one-time code is asked for, whoever calls.
        step_up_live: it is where the run trades real money.
        needs_header: a write of a page's session needs the session's CSRF token (False only where the caller
            proves itself with every request, or has no session yet).
        media: of the answer.
    """

    method: str
    path: str
    name: str
    handler: Handler
    role: Role
    rate: Rate
    summary: str
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    measured: bool = False
    own_body: type[msgspec.Struct] | None = None
    answer: str = "Object"
    success: int = 200
    errors: tuple[int, ...] = ()
    step_up: bool = False
    step_up_live: bool = False
    needs_header: bool = True
    media: str = "application/json"

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method not in ("GET", "HEAD")


@attrs.frozen(kw_only=True)
class Services:
    """The parts of the program."""

    settings: WebSettings
    clock: Callable[[], int]
    runs: Runs
    store: AccessStore
    users: Users
    tokens: Tokens
    attempts: Attempts
    audit: Audit
    repeats: Repeats
    signals: Signals
    limits: Limits
    market: MarketOverview
    metrics: WebMetrics
    policy: Policy
    routes: tuple[Route, ...]
    sockets: WeakSet[web.WebSocketResponse] = attrs.field(factory=WeakSet)


@attrs.frozen(kw_only=True)
class Principal:
    """Who calls.

    Attributes:
        name: as the ledger and the audit log say it.
        runs: names of the runs that may be seen; empty for all.
        token: what was shown; None for a caller on this machine without a login.
        by_cookie: a page's session: changes need its CSRF token.
    """

    name: str
    role: Role
    runs: tuple[str, ...] = ()
    token: Token | None = None
    by_cookie: bool = False


NOBODY = Principal(name="", role=Role.PUBLIC)


@attrs.frozen(kw_only=True)
class Call:
    """One request."""

    request: web.Request
    services: Services
    route: Route
    principal: Principal
    address: str
    correlation_id: str
    query_given: msgspec.Struct
    body_given: msgspec.Struct | None
    raw: bytes

    def query(self, kind: type[S]) -> S:
        """The query, read."""
        assert isinstance(self.query_given, kind)
        return self.query_given

    def body(self, kind: type[S]) -> S:
        """The body, read."""
        assert isinstance(self.body_given, kind)
        return self.body_given

    def run(self) -> ServedRun:
        """The run that is asked about.

        Raises:
            Problem: 404, there is none the caller may see.
        """
        name: str = getattr(self.query_given, "run", "")
        return self.services.runs.find(name, self.principal.runs)

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    def audit(self, result: str, **changes: Any) -> None:
        """Write a decision about this call."""
        self.services.audit.write(
            changes.get("user", self.principal.name),
            self.route.name,
            self.request.path if self.route.name != "webhook" else "/api/tv-alert",
            result,
            self.address,
            self.correlation_id,
        )
