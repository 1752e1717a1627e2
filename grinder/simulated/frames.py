"""The private wire of the exchange in the process: signals as JSON, and back.

Law: a frame holds everything its signals say, in integers, so that a tape of them decodes to the same
signals.  It exists only between `grinder.connectors.simulated` and its own tapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from actors.ports import Expired, Gap, OrderSnapshot, Quote, Signal, SnapshotStatus, Trade
from domain.inputs import FillReport, FundingReport

SIMULATED = "simulated"
"""Name of the exchange in the process."""

KINDS: dict[str, type[Any]] = {
    one.__name__: one for one in (Quote, Trade, OrderSnapshot, FillReport, FundingReport, Gap, Expired)
}


def frame_of(signals: Iterable[Signal]) -> bytes:
    """One frame that holds these signals."""
    told: Any = signals
    return orjson.dumps([[type(one).__name__, attrs.asdict(one)] for one in told])


class FrameDecoder:
    """Frames to signals; keeps `actors.ports.Decoder`."""

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a frame says; one nobody can read is a `Gap`."""
        try:
            return [_signal(name, fields) for name, fields in orjson.loads(frame)]
        except (ValueError, TypeError, KeyError) as error:
            return [Gap(stream=stream, detail=f"unreadable frame: {error!r}"[:200])]


def _signal(name: str, fields: dict[str, Any]) -> Signal:
    if name == "OrderSnapshot":
        fields = {**fields, "status": SnapshotStatus(fields["status"])}
    made: Signal = KINDS[name](**fields)
    return made
