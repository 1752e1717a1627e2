"""The frame on the tape that an input came from.

Law: the tape is only read; a segment that is missing or damaged gives no frame and no error, because an
explanation does not depend on it (`grinder replay --from-tape` is what proves the tape).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.records import LedgerRow
from domain.inputs import ClockReport, TickReport
from grinder.inspection.records import iso

LONGEST = 400
"""Characters of a frame that are shown."""

LARGEST_SEGMENT = 64 << 20
"""Bytes of a segment that are looked through for an explanation."""


def frame_of(run: Path, row: LedgerRow, record: Any) -> dict[str, Any] | None:
    """The newest frame that was there when an input was learned, and that speaks of it if one does.

    None without a tape, or for inputs that come from no frame (commands, the clock, notes).
    """
    if row.cause != row.position or isinstance(record, ClockReport):
        return None
    if row.stream not in ("input/market", "input/exchange") or not (run / "tape").is_dir():
        return None
    from grinder.tape.layout import Frame, TapeError, segments
    from grinder.tape.reader import Segment

    ids = [
        one.encode()
        for name in ("fill_id", "exchange_order_id", "client_order_id")
        if len(one := str(getattr(record, name, ""))) > 3
    ]
    newest: tuple[Path, Frame] | None = None
    speaking: tuple[Path, Frame] | None = None
    for path in reversed(segments(run / "tape")):
        if path.stat().st_size > LARGEST_SEGMENT:
            continue
        try:
            for entry in Segment(path).entries():
                if not isinstance(entry, Frame):
                    continue
                if entry.received_ns > row.ts_ns or entry.position >= row.position:
                    break
                newest = (path, entry)
                if any(one in entry.frame for one in ids):
                    speaking = (path, entry)
        except TapeError:
            continue
        if newest is not None:
            break
    if newest is None or (
        not isinstance(record, TickReport) and speaking is None and not _answers(newest[1], row)
    ):
        return None
    path, found = speaking or newest
    return {
        "segment": path.name,
        "stream": found.stream,
        "received_ns": found.received_ns,
        "received": iso(found.received_ns),
        "to_input_ns": row.ts_ns - found.received_ns,
        "names_it": speaking is not None,
        "frame": found.frame[:LONGEST].decode("utf-8", "replace"),
    }


def _answers(frame: Any, row: LedgerRow) -> bool:
    """Whether a frame that names nothing is still what came last before the input."""
    return bool(frame.position == row.position - 1)
