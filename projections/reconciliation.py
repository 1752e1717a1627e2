"""Reconciliation: every comparison of the books with the exchange, and what it found.

Law: an observation and its differences stay as they were seen; a later correction does not erase them.
"""

from __future__ import annotations

from domain.notes import StreamReport, TapeSegmentReport
from domain.order_events import AccountReconciled, DifferenceFound, OrphanCancelSubmitted
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import INT, TEXT, Row, Table, View

COMPARISONS = Table(
    "reconciliations",
    {
        "position": INT,
        "ts_ns": INT,
        "cause": TEXT,
        "open_orders": INT,
        "foreign_orders": TEXT,
        "differences": INT,
    },
    ("position",),
    born="position",
    settled=True,
)
"""`foreign_orders` are the ids of orders on the account that are not ours, separated by spaces."""

DIFFERENCES = Table(
    "differences",
    {
        "position": INT,
        "ts_ns": INT,
        "cause": TEXT,
        "kind": TEXT,
        "subject": TEXT,
        "books": TEXT,
        "exchange": TEXT,
        "drift_ppm": INT,
    },
    ("position",),
    (("subject",),),
    born="position",
    settled=True,
)
"""`kind` is ``amount`` (units of an asset, or base units of a position) or ``orphan`` (an order of ours that
the books did not want, by its client order id)."""

STREAMS = Table(
    "streams", {"stream": TEXT, "state": TEXT, "detail": TEXT, "changes": INT, "ts_ns": INT}, ("stream",)
)
"""The last thing that happened to each stream, and how often something did."""

TAPE = Table(
    "tape_segments",
    {"name": TEXT, "sha256": TEXT, "frames": INT, "bytes": INT, "first_ns": INT, "last_ns": INT},
    ("name",),
)

TABLES: tuple[Table, ...] = (COMPARISONS, DIFFERENCES, STREAMS, TAPE)


def initial() -> tuple[tuple[Table, Row], ...]:
    """Nothing compared."""
    return ()


def _on_reconciled(view: View, record: LedgerRecord, event: AccountReconciled) -> None:
    view.of(COMPARISONS).put(
        {
            "position": record.position,
            "ts_ns": record.ts_ns,
            "cause": event.cause,
            "open_orders": event.open_orders,
            "foreign_orders": " ".join(event.foreign_orders),
            "differences": event.differences,
        }
    )


def _on_difference(view: View, record: LedgerRecord, event: DifferenceFound) -> None:
    row = DIFFERENCES.blank(position=record.position, ts_ns=record.ts_ns, kind="amount", cause=event.cause)
    row.update(subject=event.subject, books=str(event.books), exchange=str(event.exchange))
    row["drift_ppm"] = event.drift_ppm
    view.of(DIFFERENCES).put(row)


def _on_orphan(view: View, record: LedgerRecord, event: OrphanCancelSubmitted) -> None:
    row = DIFFERENCES.blank(position=record.position, ts_ns=record.ts_ns, kind="orphan", cause="orders")
    row.update(subject=event.client_order_id, books="", exchange=event.exchange_order_id, drift_ppm=0)
    view.of(DIFFERENCES).put(row)


def _on_stream(view: View, record: LedgerRecord, event: StreamReport) -> None:
    found = view.of(STREAMS).edit(event.stream)
    row = found or view.of(STREAMS).put(STREAMS.blank(stream=event.stream, changes=0))
    row.update(state=event.state, detail=event.detail, ts_ns=record.ts_ns)
    row["changes"] += 1


def _on_segment(view: View, record: LedgerRecord, event: TapeSegmentReport) -> None:
    view.of(TAPE).put(
        {
            "name": event.name,
            "sha256": event.sha256,
            "frames": event.frames,
            "bytes": event.bytes,
            "first_ns": event.first_ns,
            "last_ns": event.last_ns,
        }
    )


HANDLERS: Handlers = {
    AccountReconciled: _on_reconciled,
    DifferenceFound: _on_difference,
    OrphanCancelSubmitted: _on_orphan,
    StreamReport: _on_stream,
    TapeSegmentReport: _on_segment,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
