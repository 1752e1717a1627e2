"""What the records of a ledger say about its actors, without deciding anything again.

Law: a state is what `evolve` makes of an actor's own records.  Folding believes the ledger: it is several
times as fast as replaying and proves nothing by itself.  Who relies on it lets a replay arrive at the same
states (`grinder/replaying.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import attrs

from actors.core import RULES, Core
from actors.journal import Journal
from actors.records import GENESIS
from domain import symbol
from domain.codec import decode, state_digest, state_from
from domain.inputs import CarryState

CARRIED = CarryState.TOPIC


States = dict[str, Any]
"""State of every actor by its stream."""


def rules_of(stream: str) -> ModuleType:
    """The aggregate behind an actor's stream."""
    return RULES.get(stream, symbol)


def first_states() -> States:
    """The states before any record, of the actors that are there from the beginning."""
    return {name: rules.initial() for name, rules in RULES.items()}


def fold(states: States, stream: str, topic: str, content: bytes | str) -> None:
    """Take the states over one record.

    Raises:
        UnknownTopicError: a newer program wrote the record.
        MalformedRecordError: the record is damaged.
    """
    if not stream.startswith("input/"):
        rules = rules_of(stream)
        state = states.get(stream)
        states[stream] = rules.evolve(rules.initial() if state is None else state, decode(topic, content))
    elif topic == CARRIED:
        carried = decode(topic, content)
        kind = type(rules_of(carried.stream).initial())
        states[carried.stream] = state_from(kind, carried.state)


@attrs.define
class Folded:
    """A core's whole memory after a record at which it was at rest.

    Attributes:
        position, ts_ns, chain: of that record; 0 and the genesis before any.
        states: of every actor, by stream.
        versions: records of every stream, inputs included.
    """

    position: int = 0
    ts_ns: int = 0
    chain: bytes = GENESIS
    states: States = attrs.field(factory=first_states)
    versions: dict[str, int] = attrs.field(factory=dict)

    def take(self, rows: Iterable[tuple[int, str, int, str, bytes]]) -> None:
        """Go on by records in their order: (position, stream, version, topic, state).

        The caller sets `ts_ns` and `chain` of the last one.

        Raises:
            UnknownTopicError: a newer program wrote a record.
            MalformedRecordError: a record is damaged.
        """
        states, versions = self.states, self.versions
        for position, stream, version, topic, content in rows:
            versions[stream] = version
            self.position = position
            fold(states, stream, topic, content)

    def digests(self) -> dict[str, str]:
        """`state_digest` of every actor's state, by stream."""
        return {name: state_digest(state) for name, state in self.states.items()}

    def core(self, journal: Journal) -> Core:
        """A core that goes on from here."""
        core = Core(journal)
        core.restore(self.position, self.ts_ns, self.chain, self.states, self.versions)
        return core
