"""Every projection, one line each, and the loop that feeds them.

Law: told in this order, record by record; a projection may read the tables of those before it, never those
after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import localcontext
from functools import cache
from typing import Protocol

from domain.codec import UPCASTERS
from projections import (
    changes,
    counts,
    cycles,
    decisions,
    equity,
    fills,
    grids,
    inventory,
    levels,
    listings,
    orders,
    pnl,
    prices,
    reconciliation,
    risk,
)
from projections.amounts import EXACT
from projections.record import Handler, Handlers, LedgerRecord
from projections.view import Load, Row, Table, View

MEANING = 1
"""Raise it when the rows of a projection change their meaning without changing their columns."""


class Projection(Protocol):
    """What a projection's module offers."""

    TABLES: tuple[Table, ...]
    HANDLERS: Handlers

    def initial(self) -> tuple[tuple[Table, Row], ...]:
        """Rows that exist before any record."""

    def apply(self, view: View, record: LedgerRecord) -> None:
        """What a record changes."""


PROJECTIONS: dict[str, Projection] = {
    "listings": listings,
    "counts": counts,
    "levels": levels,
    "grids": grids,
    "orders": orders,
    "fills": fills,
    "cycles": cycles,
    "inventory": inventory,
    "prices": prices,
    "pnl": pnl,
    "risk": risk,
    "equity": equity,
    "reconciliation": reconciliation,
    "changes": changes,
    "decisions": decisions,
}

TABLES: tuple[Table, ...] = tuple(table for one in PROJECTIONS.values() for table in one.TABLES)


def _handlers() -> dict[type, tuple[Handler, ...]]:
    joined: dict[type, tuple[Handler, ...]] = {}
    for one in PROJECTIONS.values():
        for kind, handler in one.HANDLERS.items():
            joined[kind] = (*joined.get(kind, ()), handler)
    return joined


_HANDLERS = _handlers()

TOPICS: frozenset[str] = frozenset({kind.TOPIC for one in PROJECTIONS.values() for kind in one.HANDLERS})
"""Topics that some projection reads; other records need not even be decoded."""


_NAMES = frozenset({topic.partition("/")[0] for topic in TOPICS})


@cache
def is_read(topic: str) -> bool:
    """Whether a record of this topic may change a row.

    A version this program does not know counts as well: decoding it fails, which is better than rows that
    are silently incomplete.
    """
    return topic in UPCASTERS or topic.partition("/")[0] in _NAMES


def fresh(load: Load | None = None) -> View:
    """A view before any record."""
    view = View(TABLES, load)
    for one in PROJECTIONS.values():
        for table, row in one.initial():
            view.of(table).put(row)
    return view


def apply_all(view: View, records: Iterable[LedgerRecord]) -> None:
    """Give records to every projection, in order."""
    handlers = _HANDLERS
    with localcontext(EXACT):
        for record in records:
            for handler in handlers.get(type(record.event), ()):
                handler(view, record, record.event)
