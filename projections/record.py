"""What a projection is given: one record of the ledger, decoded.

Law: the place of a record (position, time, cause) comes from the ledger, never from the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.record import Record

if TYPE_CHECKING:
    from projections.view import View


class LedgerRecord(NamedTuple):
    """One record.

    Attributes:
        position: place in the ledger.
        stream, version: the actor (or input stream) it belongs to, and its place there.
        topic: as written; `event` may be of a later version.
        ts_ns: time of the input being handled.
        cause: position of the input or event that led here.
        event: the decoded input or event.
    """

    position: int
    stream: str
    version: int
    topic: str
    ts_ns: int
    cause: int
    event: Any


Handler = Callable[["View", LedgerRecord, Any], None]
"""What a projection does with one class of event: (view, record, the record's event)."""

Handlers = Mapping[type[Record], Handler]


def dispatch(handlers: Handlers, view: View, record: LedgerRecord) -> None:
    """Give a record to the handler of its class; a class without one changes nothing."""
    handler = handlers.get(type(record.event))
    if handler is not None:
        handler(view, record, record.event)
