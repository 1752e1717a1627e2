"""Every decision of a ledger held against what today's code would decide in its place.

Law: the ledger says what happened.  Each actor's state is built from the events the ledger holds, each
message is put to today's rules in that state, and the answer is compared; then the ledger's own events, not
the answer, are what the state goes on with.  So one changed rule is found at every place it would have
mattered, and not as an avalanche behind the first.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

import attrs

from actors.core import RULES
from actors.core_actor import StateHashed
from actors.records import LedgerRow
from domain import symbol
from domain.codec import decode, encode, state_from, state_hash, state_text
from domain.inputs import ACCOUNT, CLOCK, EVERYONE, PORTFOLIO, CarryState, TakeCheckpoint, targets
from domain.record import Record
from domain.rejection import MessageRefused, Rejection
from replay.compare import PlainRow


@attrs.frozen
class Answer:
    """A record as it is stored, or as it would be: topic and state; both empty when there is none."""

    topic: str = ""
    state: str = ""


@attrs.frozen(kw_only=True)
class Otherwise:
    """The first event that today's code decides otherwise than the ledger says.

    Attributes:
        position: of the ledger's record; of a surplus answer, of the record it would have come after.
        message: topic of what the actor was asked, and its position.
        recorded, decided: the two events.
        before: the actor's state before it.
        after_recorded, after_decided: what today's code makes of that state with each of the two.
        changed: fields in which these two differ, each as [recorded, decided].
    """

    position: int
    stream: str
    ts_ns: int
    message: str
    cause: int
    recorded: Answer
    decided: Answer
    before: dict[str, Any]
    after_recorded: dict[str, Any]
    after_decided: dict[str, Any]
    changed: dict[str, list[Any]]


@attrs.frozen(kw_only=True)
class CodeResult:
    """Outcome of the comparison.

    Attributes:
        records: records read; decisions: messages that were put to today's code.
        otherwise: decisions that differ.
        by_topic: differing events by topic; of a pair, that of the ledger's where there is one.
        unrouted: records of the ledger that today's code would never have been asked for.
    """

    records: int
    decisions: int
    otherwise: int
    by_topic: dict[str, int]
    unrouted: int
    first: Otherwise | None


class _Actor:
    """One aggregate, with a state that follows the ledger."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.rules = RULES.get(stream, symbol)
        self.state: Any = self.rules.initial()

    def asked(self, now_ns: int, message: Record) -> list[Record]:
        """What today's code answers; the state stays as it is."""
        if isinstance(message, CarryState):
            return [StateHashed(sha256=state_hash(state_from(type(self.state), message.state)))]
        if isinstance(message, TakeCheckpoint):
            return [StateHashed(sha256=state_hash(self.state))]
        found = self.rules.decide(self.state, now_ns, message)
        if isinstance(found, Rejection):
            refused = MessageRefused(topic=message.TOPIC, reason=found.reason.value, detail=found.detail)
            return [refused]
        return list(found)

    def evolved(self, state: Any, event: Record) -> Any:
        """The state after an event."""
        return self.rules.evolve(state, event)


class Decisions:
    """Walks a ledger input by input."""

    def __init__(self) -> None:
        self._actors = {name: _Actor(name) for name in (ACCOUNT, PORTFOLIO, CLOCK)}
        self._by_topic: Counter[str] = Counter()
        self._first: Otherwise | None = None
        self._records = self._decisions = self._otherwise = self._unrouted = 0

    def compare(
        self, recorded: Iterable[PlainRow], progress: Callable[[int], None] = lambda done: None
    ) -> CodeResult:
        """Compare a whole ledger.

        Raises:
            UnknownTopicError: a newer program wrote it.
        """
        for group in _inputs(recorded):
            self._records += len(group)
            self._input(group)
            if self._records % 4096 < 16:
                progress(self._records)
        return CodeResult(
            records=self._records,
            decisions=self._decisions,
            otherwise=self._otherwise,
            by_topic=dict(sorted(self._by_topic.items())),
            unrouted=self._unrouted,
            first=self._first,
        )

    def _input(self, group: list[LedgerRow]) -> None:
        """One input and its answer, message by message in the order the core handles them."""
        asked = group[0]
        report = decode(asked.topic, asked.state)
        events: dict[tuple[str, int], list[LedgerRow]] = {}
        for row in group[1:]:
            events.setdefault((row.stream, row.cause), []).append(row)
        names = targets(report)
        if names == EVERYONE:
            names = tuple(sorted(self._actors))
        inbox: deque[tuple[str, int, Record]] = deque((name, asked.position, report) for name in names)
        last = asked.position
        while inbox:
            name, cause, message = inbox.popleft()
            actor = self._actors.get(name) or self._actors.setdefault(name, _Actor(name))
            rows = events.pop((name, cause), [])
            last = rows[-1].position if rows else last
            for row, event in self._message(actor, asked.ts_ns, cause, message, rows, last):
                inbox.extend((target, row.position, event) for target in actor.rules.route(event))
        for rows in events.values():
            self._unrouted += len(rows)
            for row in rows:
                self._follow(row)

    def _message(
        self, actor: _Actor, now_ns: int, cause: int, message: Record, rows: list[LedgerRow], last: int
    ) -> list[tuple[LedgerRow, Record]]:
        """Put one message to today's code, compare, and go on with what the ledger says."""
        self._decisions += 1
        decided = actor.asked(now_ns, message)
        followed: list[tuple[LedgerRow, Record]] = []
        differs = False
        if isinstance(message, CarryState):
            actor.state = state_from(type(actor.state), message.state)
        for row, event in zip_longest(rows, decided):
            recorded = decode(row.topic, row.state) if row is not None else None
            if not _same(recorded, event):
                differs = True
                kind = row.topic if row is not None else event.TOPIC
                self._by_topic[kind] += 1
                if self._first is None:
                    at = row.position if row is not None else last
                    self._first = _otherwise(actor, at, now_ns, message, cause, (row, recorded), event)
            if row is not None and recorded is not None:
                actor.state = actor.evolved(actor.state, recorded)
                followed.append((row, recorded))
        self._otherwise += differs
        return followed

    def _follow(self, row: LedgerRow) -> None:
        """An event today's code would not have been asked for happened all the same."""
        actor = self._actors.get(row.stream) or self._actors.setdefault(row.stream, _Actor(row.stream))
        actor.state = actor.evolved(actor.state, decode(row.topic, row.state))
        self._by_topic[row.topic] += 1


def _inputs(recorded: Iterable[PlainRow]) -> Iterator[list[LedgerRow]]:
    group: list[LedgerRow] = []
    for plain in recorded:
        row = LedgerRow._make(plain)
        if row.cause == row.position and group:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _same(recorded: Any, decided: Record | None) -> bool:
    """Whether two events are one: compared as the newest version of their class."""
    return type(recorded) is type(decided) and recorded == decided


def _otherwise(
    actor: _Actor,
    position: int,
    now_ns: int,
    message: Record,
    cause: int,
    recorded: tuple[LedgerRow | None, Any],
    decided: Record | None,
) -> Otherwise:
    row, event = recorded
    state = actor.state
    after = [actor.evolved(state, one) if one is not None else state for one in (event, decided)]
    left, right = (_fields(one) for one in after)
    return Otherwise(
        position=position,
        stream=actor.stream,
        ts_ns=now_ns,
        message=message.TOPIC,
        cause=cause,
        recorded=Answer(row.topic, row.state.decode()) if row is not None else Answer(),
        decided=Answer(decided.TOPIC, encode(decided).decode()) if decided is not None else Answer(),
        before=_fields(state),
        after_recorded=left,
        after_decided=right,
        changed={
            name: [left.get(name), right.get(name)]
            for name in sorted(left.keys() | right.keys())
            if left.get(name) != right.get(name)
        },
    )


def _fields(state: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(state_text(state))
    return found
