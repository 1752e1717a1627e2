"""The core: sequencer, actors and the writing of records, without any edge.

Law: `learn` is the only way in and `take_intents` the only way out.  The core knows no clock: time is what
the input carries.  The same inputs in the same order write the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from actors.core_actor import bind
from actors.journal import Journal
from actors.records import GENESIS, chained, new_row
from actors.sequencer import Sequencer
from domain import account, clock, portfolio, symbol
from domain.codec import encode
from domain.inputs import ACCOUNT, CLOCK, EVERYONE, PORTFOLIO, STREAM, targets
from domain.order_events import INTENTS
from domain.record import Record
from domain.wake import Wake

Handler = Callable[[Any], None]
"""What handles one message."""

RULES: dict[str, ModuleType] = {ACCOUNT: account, PORTFOLIO: portfolio, CLOCK: clock}
"""The aggregate of each actor that exists once; every other actor is a symbol."""


class Core:
    """All core actors of one ledger, on one sequencer."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.now_ns = 0
        self.position = 0
        self.chain = GENESIS
        self.sequencer = Sequencer()
        self._put = self.sequencer.put
        self._actor_class = bind(self.sequencer.actor_base)
        self._actors: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._intents: list[Record] = []
        self._unwritten: list[tuple[str, Record, int]] = []
        for name in (ACCOUNT, PORTFOLIO, CLOCK):
            self._start(name)

    # --- in and out ------------------------------------------------------------------------------------

    def learn(self, report: Record, now_ns: int) -> int:
        """Record an input at a time and let every actor answer it; returns its position.

        Raises:
            CoreFailure: an actor raised; the run must stop and be rebuilt by replay.
        """
        try:
            return self.decide(report, now_ns)
        finally:
            self.write_down()

    def decide(self, report: Record, now_ns: int) -> int:
        """Let every actor answer an input; nothing is in the journal before `write_down`.

        For who wants to know the intents first; see `learn`.
        """
        self.now_ns = now_ns
        position = self.write(STREAM[type(report)], report, 0)
        names = targets(report)
        if names == EVERYONE:
            names = tuple(sorted(self._actors))
        for name in names:
            self.tell(name, position, report)
        self.sequencer.run()
        return position

    def write_down(self) -> None:
        """Encode and chain what was recorded since the last call, and hand it to the journal."""
        unwritten, self._unwritten = self._unwritten, []
        position = self.position - len(unwritten)
        now_ns, chain, versions, append = self.now_ns, self.chain, self._versions, self.journal.append
        for stream, event, cause in unwritten:
            position += 1
            version = versions[stream] = versions.get(stream, 0) + 1
            topic, state = event.TOPIC, encode(event)
            self.chain = chain = chained(chain, stream, version, topic, now_ns, cause, state)
            append(new_row((position, stream, version, topic, state, now_ns, cause, chain)))

    def discard(self) -> None:
        """Forget what was recorded and not written down: an actor failed, and half an answer is none."""
        self._unwritten.clear()

    def take_intents(self) -> list[Record]:
        """Intents decided since the last call, in order; the caller sees to their durability."""
        intents = self._intents
        if intents:
            self._intents = []
        return intents

    # --- for the actors --------------------------------------------------------------------------------

    def write(self, stream: str, event: Record, cause: int) -> int:
        """Record an event (cause 0: it is an input, its own cause) and return its position."""
        position = self.position = self.position + 1
        self._unwritten.append((stream, event, cause or position))
        if type(event) in INTENTS:
            self._intents.append(event)
        return position

    def tell(self, target: str, cause: int, message: Record) -> None:
        """Queue a message for an actor, starting a symbol's actor when it is first spoken to."""
        actor = self._actors.get(target)
        self._put((self._start(target) if actor is None else actor, (cause, message)))

    def _start(self, name: str) -> Any:
        actor = self._actor_class(self, name, RULES.get(name, symbol))
        self.sequencer.adopt(actor, name)
        self._actors[name] = actor  # pykka's references are weak; this keeps the actor alive
        return actor

    # --- for the edges ---------------------------------------------------------------------------------

    def restore(
        self, position: int, now_ns: int, chain: bytes, states: dict[str, Any], versions: dict[str, int]
    ) -> None:
        """Go on from the memory of a core at rest, which a replay has to have arrived at.

        Raises:
            ValueError: this core has learned something already.
        """
        if self.position:
            raise ValueError(f"a core at position {self.position} cannot be restored; take a fresh one")
        self.position, self.now_ns, self.chain = position, now_ns, chain
        self._versions = dict(versions)
        for name, state in states.items():
            if name not in self._actors:
                self._start(name)
            self._actors[name].state = state

    def stand_around(self, name: str, around: Callable[[Handler], Handler]) -> None:
        """Let an edge stand around an actor's handling of messages, to time it; it must change nothing."""
        actor: Any = self._actors[name]
        actor.on_receive = around(actor.on_receive)

    def state_of(self, name: str) -> Any:
        """State of an actor (immutable; reading it decides nothing)."""
        return self._actors[name].state

    def names(self) -> tuple[str, ...]:
        """Streams of all actors, sorted."""
        return tuple(sorted(self._actors))

    def wake_of(self, symbol_name: str) -> tuple[Wake, Wake]:
        """When the symbol's actor and the portfolio want to hear of the symbol's price."""
        own = symbol.wake(self._actors[f"symbol/{symbol_name}"].state)
        return own, portfolio.wake(self._actors[PORTFOLIO].state, symbol_name)

    def wake_states(self, symbol_name: str) -> tuple[object, object]:
        """The two states `wake_of` is computed from; the same objects mean the same wake."""
        return self._actors[f"symbol/{symbol_name}"].state, self._actors[PORTFOLIO].state

    def clock_wake(self) -> Wake:
        """When the clock wants to be told the time."""
        return clock.wake(self._actors[CLOCK].state)
