"""What a route is: one row that says who may call it, how often, with what, and what comes back.

Law: everything about a route is data in its row.  The server, the document about the API and the tests are
made from the same rows, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from grinder.web.call import Call


class Role(IntEnum):
    """Who may call a route; a higher role may do all that a lower one may."""

    PUBLIC = 0
    """Anybody; the handler itself may still ask for a proof of another kind."""
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


ROLES = {role.name.lower(): role for role in Role if role is not Role.PUBLIC}
"""Roles a user can have, by name."""


class Rate(Enum):
    """How often one caller may call routes of a kind: requests in any minute; 0 is no limit."""

    FREE = ("free", 0)
    PAGE = ("page", 300)
    READ = ("read", 100)
    WRITE = ("write", 20)
    WEBHOOK = ("webhook", 60)

    def __init__(self, label: str, per_minute: int) -> None:
        self.label = label
        self.per_minute = per_minute


class Nothing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A query or body without any field."""


Result: TypeAlias = "web.StreamResponse | Mapping[str, Any]"
Handler: TypeAlias = "Callable[[Call], Awaitable[Result]]"


@attrs.frozen(kw_only=True)
class Route:
    """One row.

    Attributes:
        path: aiohttp's notation, such as ``/api/grids/{symbol}``.
        name: the action, as the audit log and the document call it.
        query, body: what may be sent; a field that is not in it is refused.  A `body` of None: none is read.
        own_body: what the handler reads from the raw body itself, for the document.
        answer: name of the answer's schema (`grinder.web.openapi.ANSWERS`).
        success: status of an answer that went well.
        errors: statuses a caller has to expect beside those of every route.
        step_up: a fresh one-time code is asked for, whoever calls.
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
    own_body: type[msgspec.Struct] | None = None
    answer: str = "Object"
    success: int = 200
    errors: tuple[int, ...] = ()
    step_up: bool = False
    needs_header: bool = True
    media: str = "application/json"

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method not in ("GET", "HEAD")
