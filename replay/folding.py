"""What the records of a ledger say about its actors, without deciding anything again.

Law: a state is what `evolve` makes of an actor's own records.  Folding believes the ledger: it is several
times as fast as replaying and proves nothing by itself.  Who relies on it lets a replay arrive at the same
states (`grinder/replaying.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import attrs

from actors.core import RULES, Core
from actors.journal import Journal
from actors.records import GENESIS
from domain import symbol
from domain.codec import decode, state_from, state_hash
from domain.inputs import CarryState

CARRIED = CarryState.TOPIC


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
    states: dict[str, Any] = attrs.field(
        factory=lambda: {name: rules.initial() for name, rules in RULES.items()}
    )
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
            if stream.startswith("input/"):
                if topic == CARRIED:
                    self._carry(decode(topic, content))
                continue
            state = states.get(stream)
            if state is None:
                state = symbol.initial()
            states[stream] = _evolve(stream)(state, decode(topic, content))

    def _carry(self, carried: CarryState) -> None:
        first = self.states.get(carried.stream)
        kind = type(symbol.initial() if first is None else first)
        self.states[carried.stream] = state_from(kind, carried.state)

    def hashes(self) -> dict[str, str]:
        """SHA-256 (hex) of every actor's state, by stream."""
        return {name: state_hash(state) for name, state in self.states.items()}

    def core(self, journal: Journal) -> Core:
        """A core that goes on from here."""
        core = Core(journal)
        core.restore(self.position, self.ts_ns, self.chain, self.states, self.versions)
        return core


def _evolve(stream: str) -> Callable[[Any, Any], Any]:
    rules: ModuleType = RULES.get(stream, symbol)
    evolve: Callable[[Any, Any], Any] = rules.evolve
    return evolve
