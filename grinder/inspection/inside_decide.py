"""Into the debugger, in the very `decide` that made a record.

Law: the ledger's inputs go to a fresh core, as in a replay, up to the message that led to the record; what
that core writes goes nowhere.  It decides from the recorded inputs alone, so it decides what the run did.
"""

from __future__ import annotations

import pdb
from collections.abc import Callable
from typing import Any, TextIO

from actors.core import Core
from actors.records import LedgerRow
from domain.codec import decode
from grinder.errors import UserError
from grinder.inspection.records import Records


class _Forgetting:
    """A journal that keeps only what an input led to."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []

    def append(self, row: LedgerRow) -> None:
        """Take a record."""
        self.rows.append(row)

    def commit(self) -> None:
        """Nothing is kept."""


def stop_in_decide(
    records: Records,
    position: int,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    told: Callable[[int, int], None] | None = None,
) -> bool:
    """Replay to the message that led to a record and enter pdb there; whether the record came out the same.

    Raises:
        UserError: the record was not decided by an actor: it is an input.
    """
    row = records.row(position)
    if row is None or row.cause == row.position:
        raise UserError(
            "debug.no_decision",
            "an input is learned, not decided; there is no decide to stop in",
            value=str(position),
            fix="choose a record it led to: an event of an actor",
        )
    journal = _Forgetting()
    core = Core(journal)
    turn = records.turn(position)
    for one in records.since(1):
        if one.position >= turn[0].position:
            break
        if one.cause == one.position:
            core.learn(decode(one.topic, one.state), one.ts_ns)
            core.take_intents()
            journal.rows.clear()
            if told and one.position % 4096 < 16:
                told(one.position, turn[0].position)
    if told:
        told(turn[0].position, turn[0].position)
    _learn_stopping(core, turn[0], row, pdb.Pdb(stdin=stdin, stdout=stdout))
    made = next((one for one in journal.rows if one.position == position), None)
    return made == row


def _learn_stopping(core: Core, first: LedgerRow, row: LedgerRow, debugger: pdb.Pdb) -> None:
    """Let the core learn an input, stopping where the actor of `row` hears of its cause."""
    if row.stream not in core.names():
        core._start(row.stream)  # it would start with this very message
    actor: Any = core._actors[row.stream]
    receive, decide = actor.on_receive, actor._decide

    def deciding(*given: Any) -> Any:
        # None: the person left the debugger; nothing was decided, and what follows does not matter.
        return debugger.runcall(decide, *given) or ()

    def stopping(message: tuple[int, Any]) -> None:
        if message[0] == row.cause:
            actor._decide = deciding
        try:
            receive(message)
        finally:
            actor._decide = decide

    actor.on_receive = stopping
    core.learn(decode(first.topic, first.state), first.ts_ns)
