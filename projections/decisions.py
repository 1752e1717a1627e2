"""Decisions: what the agents answered whenever somebody asked them.

Law: one row per decision, as it was recorded; a decision changes nothing else.
"""

from __future__ import annotations

import msgspec

from domain.notes import DecisionReport
from projections.counts import one_more
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import INT, TEXT, Row, Table, View

DECISIONS = Table(
    "decisions",
    {
        "position": INT,
        "ts_ns": INT,
        "symbol": TEXT,
        "action": TEXT,
        "direction": TEXT,
        "size_ppm": INT,
        "confidence_ppm": INT,
        "stop_share_ppm": INT,
        "target_share_ppm": INT,
        "price": TEXT,
        "policy": TEXT,
        "fallback": TEXT,
        "votes": TEXT,
        "reasons": TEXT,
        "gates": TEXT,
        "operator": TEXT,
        "schema_hash": TEXT,
        "observation_hash": TEXT,
    },
    ("position",),
    (("symbol", "position"), ("action", "position")),
    born="position",
    settled=True,
)
"""`votes`, `reasons` and `gates` are the lists of the record as JSON, `price` the text that was observed."""

LISTS = ("votes", "reasons", "gates")
"""Columns that hold a list."""

TABLES: tuple[Table, ...] = (DECISIONS,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """Nothing decided."""
    return ()


def _on_decision(view: View, record: LedgerRecord, event: DecisionReport) -> None:
    row = {name: getattr(event, name, None) for name in DECISIONS.columns}
    row.update(position=record.position, ts_ns=record.ts_ns)
    row.update({name: msgspec.json.encode(row[name]).decode() for name in LISTS})
    one_more(view, event.symbol, "decisions")
    view.of(DECISIONS).put(row)


HANDLERS: Handlers = {DecisionReport: _on_decision}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
