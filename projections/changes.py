"""Changes of configuration: what was changed, when, by whom, from what to what.

Law: one row per setting, in the order in which they were deployed; the settings a run began with are in its
manifest, and both together are what holds now.
"""

from __future__ import annotations

from domain.grid_events import ConfigChanged
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import INT, TEXT, Row, Table, View

CHANGES = Table(
    "config_changes",
    {
        "position": INT,
        "place": INT,
        "ts_ns": INT,
        "symbol": TEXT,
        "operator": TEXT,
        "setting": TEXT,
        "old": TEXT,
        "new": TEXT,
    },
    ("position", "place"),
    born="position",
    settled=True,
)
"""`place` counts the settings of a change from 0; `old` and `new` are empty where a setting is not given."""

TABLES: tuple[Table, ...] = (CHANGES,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """Nothing changed."""
    return ()


def _on_changed(view: View, record: LedgerRecord, event: ConfigChanged) -> None:
    for place, one in enumerate(event.changes):
        view.of(CHANGES).put(
            {
                "position": record.position,
                "place": place,
                "ts_ns": record.ts_ns,
                "symbol": event.symbol,
                "operator": event.operator,
                "setting": one.setting,
                "old": one.old,
                "new": one.new,
            }
        )


HANDLERS: Handlers = {ConfigChanged: _on_changed}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
