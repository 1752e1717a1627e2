"""Stepping through a ledger: where we are, where to go, what to show.  Knows no terminal.

Law: every command is a word that a script can send and a key that a person can press; both do the same and
answer with lines of text.  The ledger is only read and may grow meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.errors import UserError
from grinder.inspection.amounts import Scales, scales_of
from grinder.inspection.conditions import HELP, Condition, parse
from grinder.inspection.records import Records, iso, span
from grinder.inspection.travel import Travel, changes, summary, value_text
from grinder.inspection.words import RULES, fields_in_words, say

INPUT = "cause = rowid"
FILL = "topic LIKE 'OrderFilled/%'"
MOST = 12

COMMANDS: tuple[tuple[str, str, str, str], ...] = (
    ("next", "n", "[COUNT]", "to the next record"),
    ("back", "p", "[COUNT]", "to the record before"),
    ("input", "i", "[COUNT]", "to the next input: a price, a report of the exchange, a command"),
    ("input-back", "I", "[COUNT]", "to the input before"),
    ("fill", "f", "[COUNT]", "to the next fill"),
    ("fill-back", "F", "[COUNT]", "to the fill before"),
    ("find", "/", "CONDITION", f"to the next record that matches: {HELP}"),
    ("find-back", "?", "CONDITION", "to the match before"),
    ("again", "m", "", "to the next match of the last condition"),
    ("again-back", "M", "", "to its match before"),
    ("goto", "g", "PLACE", "to a position or a time"),
    ("start", "0", "", "to the first record"),
    ("end", "$", "", "to the newest record"),
    ("cause", "u", "", "to the record that led here"),
    ("effect", "d", "", "to the first record this one led to"),
    ("break", "b", "CONDITION", "stop at every match (or at a position) when running"),
    ("breaks", "B", "", "list the breakpoints"),
    ("clear", "x", "[NUMBER]", "remove a breakpoint, or all"),
    ("run", "c", "", "on to the next breakpoint"),
    ("run-back", "C", "", "back to the breakpoint before"),
    ("actor", "a", "[STREAM]", "whose state to show; without a name that of the record's own actor"),
    ("state", "s", "[STREAM]", "the whole state of an actor after the record"),
    ("why", "w", "", "the path of causes up to here"),
    ("then", "t", "", "everything the same input led to"),
    ("show", "v", "", "the record and what it changed, again"),
    ("follow", "o", "", "go along with new records as they come (again: stop)"),
    ("decide", "D", "", "enter pdb in the decide call that made this record"),
    ("help", "h", "", "this list"),
    ("quit", "q", "", "leave"),
)
"""Word, key, argument, meaning."""

KEYS = {key: word for word, key, _, _ in COMMANDS}
ASKING = frozenset({"find", "find-back", "goto", "break"})
"""Commands that need something typed."""

OPTIONAL = frozenset({"clear", "actor", "state"})


class Leave(Exception):
    """The person wants to leave."""


class EnterDecide(Exception):
    """The person wants pdb at a record; only the one who owns the terminal can do that."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(str(position))


@attrs.frozen
class Change:
    """What a record changed in its actor's state, as text."""

    path: str
    before: str
    after: str


class Stepper:
    """A place in a ledger and the ways from it."""

    def __init__(self, records: Records, told: Callable[[int, int], None] | None = None) -> None:
        """Raises UserError: the ledger is empty."""
        self.records = records
        self.travel = Travel(records, told)
        self.position = min(1, records.head())
        self.following = False
        self.watched = ""
        self.breaks: dict[int, Condition] = {}
        self.last: Condition | None = None
        self._scales: Scales = scales_of(records)
        if not self.position:
            raise UserError(
                "debug.empty", "the ledger holds no record yet", place=str(records.folder.path),
                fix="start the run first",
            )  # fmt: skip

    # --- commands --------------------------------------------------------------------------------------

    def do(self, line: str) -> list[str]:
        """Carry a command out and return what to say; moving says where we are then.

        Raises:
            UserError: it is none, or cannot be done here.
            Leave, EnterDecide: the terminal's owner has to act.
        """
        word, _, argument = line.strip().partition(" ")
        argument = argument.strip()
        if word.isdigit() and not argument:
            word, argument = "goto", word
        command = self._command(word)
        handler: Callable[[str], list[str]] = getattr(self, "do_" + command.replace("-", "_"))
        return handler(argument)

    def _command(self, word: str) -> str:
        names = [name for name, *_ in COMMANDS]
        if word in KEYS and (len(word) == 1):
            return KEYS[word]
        if word in names:
            return word
        begun = [name for name in names if word and name.startswith(word)]
        if len(begun) == 1:
            return begun[0]
        raise UserError(
            "debug.command",
            "there is no such command" if not begun else "several commands begin like this",
            value=word,
            fix=f"{', '.join(begun)}" if begun else "`help` lists them",
        )

    def do_next(self, argument: str) -> list[str]:
        return self.go(self._moved(_count(argument), ""))

    def do_back(self, argument: str) -> list[str]:
        return self.go(self._moved(-_count(argument), ""))

    def do_input(self, argument: str) -> list[str]:
        return self.go(self._moved(_count(argument), INPUT))

    def do_input_back(self, argument: str) -> list[str]:
        return self.go(self._moved(-_count(argument), INPUT))

    def do_fill(self, argument: str) -> list[str]:
        return self.go(self._moved(_count(argument), FILL))

    def do_fill_back(self, argument: str) -> list[str]:
        return self.go(self._moved(-_count(argument), FILL))

    def do_find(self, argument: str) -> list[str]:
        self.last = parse(argument)
        return self.do_again("")

    def do_find_back(self, argument: str) -> list[str]:
        self.last = parse(argument)
        return self.do_again_back("")

    def do_again(self, argument: str) -> list[str]:
        return self.go(self._matching([self._last()], forwards=True))

    def do_again_back(self, argument: str) -> list[str]:
        return self.go(self._matching([self._last()], forwards=False))

    def do_goto(self, argument: str) -> list[str]:
        if not argument:
            raise UserError("debug.place", "where to?", fix="write a position or a time")
        return self.go(min(max(self.records.place(argument, "goto"), 1), self.records.head()))

    def do_start(self, argument: str) -> list[str]:
        return self.go(1)

    def do_end(self, argument: str) -> list[str]:
        return self.go(self.records.head())

    def do_cause(self, argument: str) -> list[str]:
        return self.go(self.row().cause)

    def do_effect(self, argument: str) -> list[str]:
        effects = self.effects()
        if not effects:
            raise UserError("debug.no_effect", "nothing follows from this record", fix="`next` goes on")
        return self.go(effects[0].position)

    def do_break(self, argument: str) -> list[str]:
        plain = argument.replace(",", "").removeprefix("#")
        condition = parse(f"position={plain}" if plain.isdigit() else argument)
        number = max(self.breaks, default=0) + 1
        self.breaks[number] = condition
        return [f"breakpoint {number}: {condition.text}"]

    def do_breaks(self, argument: str) -> list[str]:
        return [f"{number}: {one.text}" for number, one in self.breaks.items()] or ["no breakpoints"]

    def do_clear(self, argument: str) -> list[str]:
        if not argument:
            self.breaks.clear()
            return ["no breakpoints"]
        if not argument.isdigit() or self.breaks.pop(int(argument), None) is None:
            raise UserError(
                "debug.breakpoint", "there is no such breakpoint", value=argument, fix="`breaks` lists them"
            )
        return self.do_breaks("")

    def do_run(self, argument: str) -> list[str]:
        return self.go(self._matching(self._to_run(), forwards=True))

    def do_run_back(self, argument: str) -> list[str]:
        return self.go(self._matching(self._to_run(), forwards=False))

    def do_actor(self, argument: str) -> list[str]:
        self.watched = self._actor(argument) if argument else ""
        return [f"shown is the state of {self.watched or 'the actor of each record'}"]

    def do_state(self, argument: str) -> list[str]:
        stream = self._actor(argument) if argument else self.actor()
        states = self.travel.at(self.position)
        if stream not in states:
            return [f"{stream} has no state yet at record {self.position:,}"]
        return [f"{stream} after record {self.position:,}:", *summary(self._scales, stream, states[stream])]

    def do_why(self, argument: str) -> list[str]:
        return self.why()

    def do_then(self, argument: str) -> list[str]:
        turn = self.records.turn(self.position)
        return [self._line(row, "=>" if row.position == self.position else "  ") for row in turn]

    def do_show(self, argument: str) -> list[str]:
        return self.shown()

    def do_follow(self, argument: str) -> list[str]:
        self.following = not self.following
        if self.following:
            self.position = self.records.head()
        return ["following new records" if self.following else "no longer following"]

    def do_decide(self, argument: str) -> list[str]:
        raise EnterDecide(self.position)

    def do_help(self, argument: str) -> list[str]:
        width = max(len(f"{word} {what}") for word, _, what, _ in COMMANDS[:6])
        return [f"{key}  {f'{word} {what}':<{width}} {meaning}" for word, key, what, meaning in COMMANDS]

    def do_quit(self, argument: str) -> list[str]:
        raise Leave

    # --- moving ----------------------------------------------------------------------------------------

    def go(self, position: int) -> list[str]:
        """Be at a position, and say what is there."""
        self.position = position
        self.following = self.following and position == self.records.head()
        return self.shown()

    def came(self) -> bool:
        """Whether new records came; when following, we are at the newest then."""
        head = self.records.head()
        if not self.following or head == self.position:
            return False
        self.position = head
        return True

    def _moved(self, count: int, where: str) -> int:
        forwards, condition = count > 0, f"AND {where}" if where else ""
        compare, order = (">", "ASC") if forwards else ("<", "DESC")
        rows = self.records.connection.execute(
            f"SELECT rowid FROM stored_events WHERE rowid {compare} ? {condition}"
            f" ORDER BY rowid {order} LIMIT ?",
            (self.position, abs(count)),
        ).fetchall()
        if not rows:
            raise _nothing("after" if forwards else "before", self.position)
        return int(rows[-1][0])

    def _matching(self, conditions: list[Condition], *, forwards: bool) -> int:
        step = 1 if forwards else -1
        source = self.records.since if forwards else self.records.before
        for row in source(self.position + step):
            if any(one.holds(self.records, self._scales, row) for one in conditions):
                return row.position
        raise _nothing("after" if forwards else "before", self.position, " that matches")

    def _last(self) -> Condition:
        if self.last is None:
            raise UserError("debug.no_condition", "nothing was looked for yet", fix="`find CONDITION`")
        return self.last

    def _to_run(self) -> list[Condition]:
        if not self.breaks:
            raise UserError(
                "debug.no_breaks", "there is no breakpoint to run to", fix="`break CONDITION` sets one"
            )
        return list(self.breaks.values())

    # --- looking ---------------------------------------------------------------------------------------

    def row(self) -> LedgerRow:
        """The record we are at."""
        found = self.records.row(self.position)
        assert found is not None
        return found

    def actor(self) -> str:
        """Whose state is shown: the one asked for, or the record's own; for an input who answers it first."""
        if self.watched:
            return self.watched
        row = self.row()
        if not row.stream.startswith("input/"):
            return row.stream
        return next((one.stream for one in self.records.turn(row.position)[1:]), "portfolio")

    def _actor(self, name: str) -> str:
        there = sorted(self.travel.at(self.records.head() if self.position == 0 else self.position))
        meant = [one for one in there if one.lower() == name.lower()]
        meant = meant or [one for one in there if name.lower() in one.lower()]
        if len(meant) != 1:
            raise UserError(
                "debug.actor", "there is no such actor", value=name, fix=f"choose from {', '.join(there)}"
            )
        return meant[0]

    def changed(self) -> list[Change]:
        """What the record changed in the state that is shown."""
        stream = self.actor()
        before, after = self.travel.at(self.position - 1), self.travel.at(self.position)
        if stream not in after:
            return []
        symbol = stream.partition("/")[2]
        old = before.get(stream)
        if old is None:
            from replay.folding import rules_of

            old = rules_of(stream).initial()
        return [
            Change(
                path,
                value_text(self._scales, path, one, symbol, holder),
                value_text(self._scales, path, other, symbol, holder),
            )
            for path, one, other, holder in changes(old, after[stream])
        ]

    def state_lines(self, most: int) -> list[str]:
        """The state that is shown, at most so many lines."""
        return self.do_state("")[:most]

    def effects(self) -> list[LedgerRow]:
        """The records this one led to directly."""
        turn = self.records.turn(self.position)
        return [row for row in turn if row.cause == self.position and row.position != self.position]

    def why(self) -> list[str]:
        """The path of causes, the input first."""
        return [
            self._line(row, "=>" if row.position == self.position else "  ")
            for row in reversed(self.records.path(self.position))
        ]

    def heading(self) -> str:
        """Where we are, in one line."""
        row, head = self.row(), self.records.head()
        before = self.records.row(self.position - 1)
        since = f" (+{span(row.ts_ns - before.ts_ns)})" if before and row.ts_ns != before.ts_ns else ""
        return f"record {row.position:,} of {head:,}  {iso(row.ts_ns)}{since}"

    def about(self) -> list[str]:
        """The record itself: kind, sentence, rule, fields."""
        row = self.row()
        record: Any = self.records.decoded(row)
        self._scales.learn(record)
        kind = "input" if row.cause == row.position else f"because of {row.cause:,}"
        lines = [
            f"{row.topic} of {row.stream} (its {row.version:,}.), {kind}",
            f"  {say(self._scales, record)}",
        ]
        if rule := RULES.get(type(record).__name__):
            lines.append(f"  rule: {rule}")
        return [*lines, f"  {fields_in_words(self._scales, record)}"]

    def shown(self) -> list[str]:
        """Everything about where we are, as plain lines."""
        lines = [self.heading(), *self.about()]
        if len(path := self.why()) > 1:
            lines += ["because of:", *path[:-1]]
        if effects := self.effects():
            lines += ["led to:", *(self._line(row, "  ") for row in effects[:MOST])]
        changed = self.changed()
        if changed:
            lines.append(f"changed in {self.actor()}:")
            lines += [f"  {one.path}: {one.before} -> {one.after}" for one in changed[:MOST]]
            if len(changed) > MOST:
                lines.append(f"  and {len(changed) - MOST} more")
        return lines

    def _line(self, row: LedgerRow, mark: str) -> str:
        record = self.records.decoded(row)
        self._scales.learn(record)
        name, says = row.topic.partition("/")[0], say(self._scales, record)
        return f"{mark} #{row.position:,} {name} [{row.stream}] {says}"


def _count(argument: str) -> int:
    if not argument:
        return 1
    if not argument.isdigit() or not 0 < int(argument) < 10**12:
        raise UserError("debug.count", "this is no number of steps", value=argument, fix="write 10")
    return int(argument)


def _nothing(where: str, position: int, what: str = "") -> UserError:
    return UserError(
        "debug.no_more",
        f"there is no such record{what} {where} record {position:,}",
        fix="we stay where we are",
    )
