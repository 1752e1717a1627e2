"""A slice: a part of a run's history that stands by itself, replays and verifies.

Law: what came before is carried as states, not as records: one `CarryState` for each actor, the smallest
thing from which the rest follows.  Then come the slice's own inputs, and every event is decided anew from
them; without redaction each is the one the run recorded, or the slice is not made.  A slice that begins with
the first record carries nothing.

Redaction gives every name that says whose run it is another, the same one everywhere: ids of ledger, orders
and executions, operators, reasons somebody typed, an exchange's own words.  Amounts, prices and times stay:
they are what the report is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from actors.core import Core
from actors.journal import Journal, MemoryJournal
from actors.records import LedgerRow
from actors.sequencer import CoreFailure
from domain.codec import decode, encode, state_text
from domain.inputs import ACCOUNT, CarryState, HaltTrading
from domain.notes import DecisionReport
from domain.orders import ENDED
from domain.record import Record
from domain.risk_events import BlockReason
from replay.compare import Divergence, PlainRow, difference

NO_LEDGER = "00000000"

NEW_NAMES = {
    "exchange_order_id": "exchange order",
    "foreign_orders": "exchange order",
    "fill_id": "fill",
    "fill_ids": "fill",
    "funding_id": "funding",
    "funding_ids": "funding",
    "operator": "operator",
}
"""Fields whose values (or, of a map, keys) get new names, and what the names begin with."""

DROPPED = frozenset({"text", "evidence", "program"})
"""Fields that only people read, left empty; so is ``detail``."""

RULES = "rules"
"""The policy of a decision that no model made."""

REASONS = frozenset({"reason", "halted", "stop_reason", "pauses"})
_A_WORD = re.compile(r"[A-Za-z0-9_.\-]*")
_KNOWN_REASONS = frozenset({*(one.value for one in BlockReason), "operator", "forked"})
_OF_A_LEDGER = re.compile(r"[0-9a-f]{8}(?:[0-9a-f]{6}(?:[0-9a-f]{18})?)?")


class HistoryOtherwise(Exception):
    """Today's code decides something else than the run recorded, so a slice of it would not be that run."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(f"record {divergence.position} comes out otherwise")
        self.divergence = divergence


@attrs.frozen
class Sliced:
    """What became of a slice.

    Attributes:
        first, last: positions in the run, moved out to where an input begins and an answer ends.
        carried: records that stand for everything before.
        offset: a record of the slice was at ``position + offset`` in the run.
    """

    core: Core
    first: int
    last: int
    carried: int
    offset: int


_ORDER_ID = re.compile(rb"[0-9a-f]{32}")


def orders_named(recorded: Iterable[PlainRow]) -> frozenset[str]:
    """Ids of the orders that records speak of."""
    return frozenset(found.decode() for row in recorded for found in _ORDER_ID.findall(row[4]))


class Redactor:
    """Gives names that say whose run it is new ones, consistently.

    Args:
        named: orders the slice speaks of; of the orders that ended before it, the others are left out (books
            look an order up by its id and in no other way).  None keeps all.
    """

    def __init__(self, ledger_id: str, named: frozenset[str] | None = None) -> None:
        self._ledger_id = ledger_id
        self._named = named
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def record(self, report: Record) -> Record:
        """An input under the new names."""
        if isinstance(report, CarryState):
            return CarryState(stream=report.stream, state=self.state(report.state, report.stream))
        if isinstance(report, HaltTrading) and report.reason not in _KNOWN_REASONS:
            self._new("reason", report.reason)
        fields = self._walk("", json.loads(encode(report)))
        if "sha256" in fields:
            fields["sha256"] = "0" * 64
        if isinstance(report, DecisionReport):
            fields |= self._decided(report)
        found: Record = decode(report.TOPIC, json.dumps(fields))
        return found

    def _decided(self, told: DecisionReport) -> dict[str, Any]:
        """A halt holds what somebody typed, and so does its sentence; a model is its owner's."""
        return {
            "gates": [self._new("halt", one) for one in told.gates],
            "reasons": [[code, ""] for code, _ in told.reasons],
            "policy": told.policy if told.policy == RULES else self._new("model", told.policy),
            "observation_hash": "0" * 64,
        }

    def state(self, text: str, stream: str = "") -> str:
        """An actor's state under the new names."""
        fields = json.loads(text)
        if stream == ACCOUNT and self._named is not None:
            self._leave_out(fields, self._named)
        return json.dumps(self._walk("", fields), sort_keys=True, separators=(",", ":"))

    def _leave_out(self, books: dict[str, Any], named: frozenset[str]) -> None:
        ended = books.get("ended", {})
        orders = books.get("orders", {})
        gone = {
            one for one in ended.values() if one not in named and orders.get(one, {}).get("status") in ENDED
        }
        books["ended"] = {number: one for number, one in ended.items() if one not in gone}
        books["orders"] = {one: order for one, order in orders.items() if one not in gone}

    def _walk(self, name: str, found: Any) -> Any:
        if isinstance(found, dict):
            return {self._key(name, key): self._walk(key, value) for key, value in found.items()}
        if isinstance(found, list):
            return [self._walk(name, one) for one in found]
        return self._text(name, found) if isinstance(found, str) else found

    def _key(self, name: str, key: str) -> str:
        return self._new(NEW_NAMES[name], key) if name in NEW_NAMES else self._own(key)

    def _text(self, name: str, text: str) -> str:
        if name in NEW_NAMES:
            return self._new(NEW_NAMES[name], text)
        if name in DROPPED or name == "detail":
            return ""
        if name in ("halted", "stop_reason") and text not in _KNOWN_REASONS:
            return self._new("reason", text)
        if name in REASONS:
            known = self._names.get(("reason", text))
            return known or (text if _A_WORD.fullmatch(text) else self._new("reason", text))
        return self._own(text)

    def _own(self, text: str) -> str:
        """Ids that begin with the ledger's: the same rest after another beginning."""
        if text.startswith(self._ledger_id) and _OF_A_LEDGER.fullmatch(text):
            return NO_LEDGER + text[8:]
        return text

    def _new(self, kind: str, text: str) -> str:
        if not text:
            return text
        if (kind, text) not in self._names:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[kind, text] = f"{kind} {number}"
        return self._names[kind, text]


def cut(
    recorded: Iterable[PlainRow],
    first: int,
    last: int,
    journal: Journal,
    redactor: Redactor | None = None,
    between: Callable[[int], None] = lambda position: None,
) -> Sliced:
    """Write a slice into a journal.

    Args:
        recorded: the run's records, from its first on.
        first, last: positions of the run; `first` must be an input, `last` where its answer ends.
        between: called with the position after every input.

    Raises:
        HistoryOtherwise: the run does not replay under this program.
        UnknownTopicError: a newer program wrote it.
    """
    rows = iter(recorded)
    before = Core(MemoryJournal())
    row = next(rows, None)
    last_ns = 0
    while row is not None and row[0] < first:
        if row[0] == row[6]:
            before.journal.rows.clear()  # type: ignore[attr-defined]
            _learn(before, decode(row[3], row[4]), row)
            last_ns = row[5]
            between(row[0])
        row = next(rows, None)
    core = Core(journal)
    if first > 1:
        for name in before.names():
            carried: Record = CarryState(stream=name, state=state_text(before.state_of(name)))
            core.learn(redactor.record(carried) if redactor else carried, last_ns)
    carried_records = core.position
    offset = first - 1 - carried_records
    check = None if redactor else _Check(journal, offset)
    if check is not None:
        core.journal = check
    while row is not None and row[0] <= last:
        if check is not None:
            check.expect(row)
        if row[0] == row[6]:
            report = decode(row[3], row[4])
            _learn(core, redactor.record(report) if redactor else report, row)
            between(row[0])
        row = next(rows, None)
    if check is not None:
        check.end()
    return Sliced(core, first, last, carried_records, offset)


def _learn(core: Core, report: Record, row: PlainRow) -> None:
    try:
        core.learn(report, row[5])
    except CoreFailure as failure:
        raised = Divergence(row[0], failure.stream, "answer", row[4].decode(), str(failure), row[0])
        raise HistoryOtherwise(raised) from failure
    core.take_intents()


class _Check:
    """Holds what a slice decides against what the run recorded; positions, versions and chains aside."""

    def __init__(self, then: Journal, offset: int) -> None:
        self._then = then
        self._offset = offset
        self._decided: list[LedgerRow] = []
        self._recorded: list[PlainRow] = []

    def append(self, row: LedgerRow) -> None:
        """One record of the slice."""
        self._decided.append(row)
        self._then.append(row)

    def commit(self) -> None:
        """Make everything so far durable."""
        self._then.commit()

    def expect(self, row: PlainRow) -> None:
        """One record of the run; an input ends what is compared of the one before it."""
        if row[0] == row[6]:
            self.end()
        self._recorded.append(row)

    def end(self) -> None:
        """Compare an input and its answer.

        Raises:
            HistoryOtherwise: they differ.
        """
        for at in range(max(len(self._decided), len(self._recorded))):
            mine = self._decided[at] if at < len(self._decided) else None
            theirs = LedgerRow._make(self._recorded[at]) if at < len(self._recorded) else None
            if mine is not None:
                at_run = mine.position + self._offset
                mine = mine._replace(position=at_run, cause=mine.cause + self._offset)
            if mine is not None and theirs is not None:
                mine = mine._replace(version=theirs.version, chain=theirs.chain)
            found = difference(theirs, mine)
            if found is not None:
                raise HistoryOtherwise(found)
        self._decided.clear()
        self._recorded.clear()
