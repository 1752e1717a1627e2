"""Who may call a route, and how often.

Law: a role includes all roles below it, and a caller's calls are counted by kind; what a call does is
nothing to it.
"""

from __future__ import annotations

from enum import Enum, IntEnum


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
