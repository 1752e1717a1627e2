"""The queries of the reading routes.

Law: every field has a bound; what is not a field is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from grinder.marl.deciding.decision import ACTIONS

MOST: int = 2**62

Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,20}$")]
NoSymbol = Annotated[str, Meta(pattern=r"^([A-Za-z0-9]{2,20})?$")]
RunName = Annotated[str, Meta(max_length=128)]
Position = Annotated[int, Meta(ge=0, le=MOST)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Word = Annotated[str, Meta(pattern=r"^[a-z_]{0,32}$")]


class RunQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which run; the first one by default."""

    run: RunName = ""


class AtQuery(RunQuery, kw_only=True):
    """And as of which record; the latest by default."""

    at: Position | None = None


class PageQuery(AtQuery, kw_only=True):
    """A page of what is ordered by records and belongs to symbols."""

    limit: Limit = 100
    cursor: Position | None = None
    order: Literal["newest", "oldest"] = "newest"
    symbol: NoSymbol = ""


class ListQuery(PageQuery, kw_only=True):
    """A page of a list."""

    side: Literal["", "buy", "sell"] = ""
    status: Word = ""
    kind: Word = ""


class DecisionsQuery(PageQuery, kw_only=True):
    """A page of decisions."""

    action: Annotated[str, Meta(pattern=f"^({'|'.join(ACTIONS)})?$")] = ""


class DaysQuery(AtQuery, kw_only=True):
    """How many rows of days."""

    days: Limit = 100


class LedgerQuery(RunQuery, kw_only=True):
    """Records ``from`` to ``to``, both included."""

    first: Position = msgspec.field(name="from", default=1)
    last: Position | None = msgspec.field(name="to", default=None)
    limit: Limit = 200


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A page of the audit log, newest first."""

    limit: Limit = 100
    cursor: Position | None = None
    user: Annotated[str, Meta(max_length=32)] = ""
    result: Literal["", "granted", "denied", "done"] = ""


class AlertsQuery(RunQuery, kw_only=True):
    """A page of alerts, newest first."""

    limit: Limit = 100
    cursor: Position | None = None
    symbol: NoSymbol = ""


class MarketQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Coins by their names at the source, separated by commas."""

    coins: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,50}(,[a-z0-9-]{1,50}){0,24}$")] = "bitcoin,ethereum"
    currency: Annotated[str, Meta(pattern=r"^[a-z]{2,10}$")] = "usd"
