"""How a private stream misreports what happened to an order.

Law: pure: an update in, what is told instead out; the same for a wire server and the exchange in the process.
"""

from __future__ import annotations

import attrs

from actors.ports import SnapshotStatus
from replay.exchange.desk import DeskUpdate

HELD_S = 1.0
"""How long a held-back message waits for the one that should overtake it."""

UPDATE_FAULTS = frozenset({"fill_before_ack", "duplicate_fill", "fill_without_id", "status_regress"})

ENDED = frozenset({SnapshotStatus.FILLED, SnapshotStatus.CANCELLED, SnapshotStatus.EXPIRED})


def misreported(update: DeskUpdate, kind: str) -> list[DeskUpdate]:
    """What the stream tells instead of an update; the update alone where the fault finds no place."""
    if kind == "duplicate_fill" and update.execution is not None:
        return [update, update]
    if kind == "fill_without_id" and update.execution is not None:
        update.execution.nameless = True  # an execution that has no id has none anywhere
        return [attrs.evolve(update, execution=attrs.evolve(update.execution, number=0))]
    if kind == "status_regress" and update.status in ENDED:
        again = attrs.evolve(
            update,
            kind="new",
            status=SnapshotStatus.WORKING,
            execution=None,
            filled_lots=0,
            filled_value=0,
        )
        return [update, again]
    return [update]
