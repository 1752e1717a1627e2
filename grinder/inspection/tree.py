"""The tree of an explanation: records as branches, each with its time, its words and its rule.

Law: a branch hangs on the record that caused it; what an exchange answered hangs on the record that asked.
Built of plain records, it can be printed, or given as JSON, without the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.inspection.amounts import Scales
from grinder.inspection.records import Records, iso, span
from grinder.inspection.words import RULES, say


@attrs.define
class Branch:
    """One record of an explanation.

    Attributes:
        says, rule: what happened, and what it was decided by, in words.
        checks: limits held against an order, as (name, figures, passed).
        after_ns: time since the record it hangs on.
        subject: it is what was asked about.
        left_out: records that hang here and are not shown.
        notes: more to say, such as the frame on the tape.
    """

    position: int
    stream: str
    topic: str
    ts_ns: int
    says: str
    rule: str = ""
    checks: list[dict[str, Any]] = attrs.Factory(list)
    after_ns: int = 0
    subject: bool = False
    left_out: int = 0
    notes: list[str] = attrs.Factory(list)
    frame: dict[str, Any] | None = None
    next_order: str = ""
    branches: list[Branch] = attrs.Factory(list)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        found: dict[str, Any] = {
            "position": self.position,
            "stream": self.stream,
            "type": self.topic,
            "ts_ns": self.ts_ns,
            "time": iso(self.ts_ns),
            "after_ns": self.after_ns,
            "says": self.says,
        }
        for name in ("rule", "checks", "subject", "left_out", "notes", "frame", "next_order"):
            if value := getattr(self, name):
                found[name] = value
        found["branches"] = [one.as_dict() for one in self.branches]
        return found

    def walk(self) -> Iterator[Branch]:
        """This branch and everything on it."""
        yield self
        for one in self.branches:
            yield from one.walk()

    def hang(self, branch: Branch) -> None:
        """Hang a branch on this one."""
        branch.after_ns = branch.ts_ns - self.ts_ns
        self.branches.append(branch)


def branch_of(records: Records, scales: Scales, row: LedgerRow) -> Branch:
    """A record as a branch without twigs."""
    record = records.decoded(row)
    name = row.topic.partition("/")[0]
    rule = RULES.get(name, "")
    return Branch(row.position, row.stream, row.topic, row.ts_ns, say(scales, record), rule)


def grown(records: Records, scales: Scales, turn: list[LedgerRow], wanted: frozenset[int]) -> Branch:
    """The tree of one input: branches at the wanted positions and on the way to them, the rest counted."""
    by_position = {row.position: row for row in turn}
    shown: set[int] = {turn[0].position}
    for position in sorted(wanted):
        at = position
        while at in by_position and at not in shown:
            shown.add(at)
            at = by_position[at].cause
    made: dict[int, Branch] = {}
    for row in turn:
        if row.position in shown:
            made[row.position] = branch_of(records, scales, row)
            if row.cause != row.position:
                made[row.cause].hang(made[row.position])
        else:
            at = row.cause
            while at not in made:
                at = by_position[at].cause
            made[at].left_out += 1
    return made[turn[0].position]


def render(branch: Branch, verbose: bool = True) -> Iterator[str]:
    """The tree as lines of text."""
    yield from _lines(branch, "", "", verbose)


def _lines(branch: Branch, first: str, rest: str, verbose: bool) -> Iterator[str]:
    mark = "=> " if branch.subject else ""
    after = f"  +{span(branch.after_ns)}" if branch.after_ns else ""
    name = branch.topic.partition("/")[0]
    yield f"{first}{mark}{iso(branch.ts_ns)} #{branch.position:,} {name} [{branch.stream}]{after}"
    below = "|  " if branch.branches or branch.left_out else "   "
    yield f"{rest}{below}{branch.says}"
    if verbose and branch.rule:
        yield f"{rest}{below}rule: {branch.rule}"
    for check in branch.checks if verbose else ():
        yield f"{rest}{below}  {'ok ' if check['passed'] else 'NO '} {check['limit']}: {check['figures']}"
    for note in branch.notes:
        yield f"{rest}{below}{note}"
    last = len(branch.branches) - 1
    for at, one in enumerate(branch.branches):
        end = at == last and not branch.left_out
        yield from _lines(
            one, f"{rest}{'`- ' if end else '|- '}", f"{rest}{'   ' if end else '|  '}", verbose
        )
    if branch.left_out:
        records = "record" if branch.left_out == 1 else "records"
        yield f"{rest}`- and {branch.left_out:,} other {records} of the same input"
