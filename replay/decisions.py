"""Every decision of a ledger held against what today's code would decide in its place.

Law: the ledger says what happened.  Each actor's state is built from the events the ledger holds, each
message is put to today's rules in that state, and the answer is compared; then the ledger's own events, not
the answer, are what the state goes on with.  So one changed rule is found at every place it would have
mattered, and not as an avalanche behind the first.

A rule that raises is a difference like any other: it is named with its record, and the comparison goes on
with what the ledger says.  An actor that cannot take over an event of the ledger has no state any more, so it
is not asked again.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import attrs

from actors.records import LedgerRow
from domain.codec import decode, encode, state_text
from domain.inputs import ACCOUNT, CLOCK, EVERYONE, PORTFOLIO, CarryState, targets
from domain.record import Record
from replay.compare import PlainRow
from replay.todays_rules import Raised, RuleRaised, TodaysActor


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
        after_recorded, after_decided: what today's code makes of that state with each of the two (an answer
            that never came leaves it as it is); None where it cannot.
        changed: fields in which these two differ, each as [recorded, decided]; empty where one is None.
        raised: what today's code raised; None when it answered.
    """

    position: int
    stream: str
    ts_ns: int
    message: str
    cause: int
    recorded: Answer
    decided: Answer
    before: dict[str, Any]
    after_recorded: dict[str, Any] | None
    after_decided: dict[str, Any] | None
    changed: dict[str, list[Any]]
    raised: Raised | None = None


@attrs.frozen(kw_only=True)
class CodeResult:
    """Outcome of the comparison.

    Attributes:
        records: records read; decisions: messages that were put to today's code.
        otherwise: decisions that differ.
        by_topic: differing events by topic; of a pair, that of the ledger's where there is one.
        unrouted: records of the ledger that today's code would never have been asked for.
        raised: how many times today's code raised.
        lost: actors that could not take over an event of the ledger, and its position; they are not asked
            from there on.
    """

    records: int
    decisions: int
    otherwise: int
    by_topic: dict[str, int]
    unrouted: int
    raised: int
    lost: dict[str, int]
    first: Otherwise | None


@attrs.frozen
class _Asking:
    """One message to one actor, and what the ledger holds as its answer.

    Attributes:
        cause: position of the message; last: of the newest record before what comes next.
    """

    actor: TodaysActor
    now_ns: int
    cause: int
    message: Record
    rows: list[LedgerRow]
    last: int


class Decisions:
    """Walks a ledger input by input."""

    def __init__(self) -> None:
        self._actors = {name: TodaysActor(name) for name in (ACCOUNT, PORTFOLIO, CLOCK)}
        self._by_topic: Counter[str] = Counter()
        self._lost: dict[str, int] = {}
        self._first: Otherwise | None = None
        self._records = self._decisions = self._otherwise = self._unrouted = self._raised = 0

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
            raised=self._raised,
            lost=self._lost,
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
            actor = self._actor(name)
            rows = events.pop((name, cause), [])
            last = rows[-1].position if rows else last
            asking = _Asking(actor, asked.ts_ns, cause, message, rows, last)
            for row, event in self._message(asking):
                heard = self._heard(asking, row, event, events)
                inbox.extend((target, row.position, event) for target in heard)
        for rows in events.values():
            self._unrouted += len(rows)
            for row in rows:
                self._follow(row)

    def _actor(self, name: str) -> TodaysActor:
        return self._actors.get(name) or self._actors.setdefault(name, TodaysActor(name))

    def _message(self, asking: _Asking) -> list[tuple[LedgerRow, Record]]:
        """Put one message to today's code, compare, and go on with what the ledger says."""
        actor, rows = asking.actor, asking.rows
        if actor.stream in self._lost:
            return [(row, decode(row.topic, row.state)) for row in rows]
        self._decisions += 1
        decided, raised = self._asked(asking)
        followed: list[tuple[LedgerRow, Record]] = []
        differs = raised is not None
        if raised is not None and not rows:
            self._note(asking, None, None, None, raised)
        for row, event in zip_longest(rows, decided):
            recorded = decode(row.topic, row.state) if row is not None else None
            if raised is not None or not _same(recorded, event):
                differs = True
                self._by_topic[row.topic if row is not None else event.TOPIC] += 1
                self._note(asking, row, recorded, event, raised)
            if row is not None and recorded is not None:
                differs |= not self._take(asking, row, recorded)
                followed.append((row, recorded))
        self._otherwise += differs
        return followed

    def _note(
        self,
        asking: _Asking,
        row: LedgerRow | None,
        recorded: Record | None,
        decided: Record | None,
        raised: Raised | None = None,
    ) -> None:
        """Keep the first difference."""
        if self._first is None:
            self._first = _otherwise(asking, row, recorded, decided, raised)

    def _asked(self, asking: _Asking) -> tuple[list[Record], Raised | None]:
        """What today's code answers, or what it raised; a carried state is taken over."""
        actor, message = asking.actor, asking.message
        try:
            decided = actor.asked(asking.now_ns, message)
            if isinstance(message, CarryState):
                actor.state = actor.carried(message)
        except RuleRaised as error:
            self._raised += 1
            if isinstance(message, CarryState):
                self._lost[actor.stream] = asking.cause
            return [], error.found
        return decided, None

    def _take(self, asking: _Asking, row: LedgerRow, recorded: Record) -> bool:
        """Take over an event of the ledger; an actor that cannot is not asked again."""
        actor = asking.actor
        if actor.stream in self._lost:
            return True
        try:
            actor.state = actor.evolved(recorded)
        except RuleRaised as error:
            self._raised += 1
            self._lost[actor.stream] = row.position
            self._note(asking, row, recorded, recorded, error.found)
            return False
        return True

    def _heard(
        self,
        asking: _Asking,
        row: LedgerRow,
        event: Record,
        events: Mapping[tuple[str, int], list[LedgerRow]],
    ) -> tuple[str, ...]:
        """Who hears of an event; where today's code raises, those the ledger holds an answer of."""
        try:
            return asking.actor.routed(event)
        except RuleRaised as error:
            self._raised += 1
            self._note(asking, row, event, event, error.found)
            return tuple(stream for stream, cause in events if cause == row.position)

    def _follow(self, row: LedgerRow) -> None:
        """An event today's code would not have been asked for happened all the same."""
        recorded = decode(row.topic, row.state)
        self._by_topic[row.topic] += 1
        self._take(_Asking(self._actor(row.stream), row.ts_ns, row.cause, recorded, [row], 0), row, recorded)


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
    asking: _Asking,
    row: LedgerRow | None,
    recorded: Record | None,
    decided: Record | None,
    raised: Raised | None,
) -> Otherwise:
    actor = asking.actor
    left, in_left = _after(actor, recorded, "evolve")
    right, in_right = _after(actor, decided, "evolve decided")
    return Otherwise(
        position=row.position if row is not None else asking.last,
        stream=actor.stream,
        ts_ns=asking.now_ns,
        message=asking.message.TOPIC,
        cause=asking.cause,
        recorded=Answer(row.topic, row.state.decode()) if row is not None else Answer(),
        decided=Answer(decided.TOPIC, encode(decided).decode()) if decided is not None else Answer(),
        before=_fields(actor.state),
        after_recorded=left,
        after_decided=right,
        changed=_changed(left, right),
        raised=raised or in_left or in_right,
    )


def _after(
    actor: TodaysActor, event: Record | None, during: str
) -> tuple[dict[str, Any] | None, Raised | None]:
    """The state with an event, as it is without one; or what today's code raised over it."""
    if event is None:
        return _fields(actor.state), None
    try:
        return _fields(actor.evolved(event, during)), None
    except RuleRaised as error:
        return None, error.found


def _changed(left: dict[str, Any] | None, right: dict[str, Any] | None) -> dict[str, list[Any]]:
    if left is None or right is None:
        return {}
    return {
        name: [left.get(name), right.get(name)]
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    }


def _fields(state: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(state_text(state))
    return found
