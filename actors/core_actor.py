"""The shell of every core actor.

Law: it holds an aggregate's state and nothing else.  A message goes to `decide`, each event is recorded, then
evolved, then routed; a refusal is recorded; the rules are all in `domain`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

from domain.codec import state_from, state_hash
from domain.inputs import CarryState, TakeCheckpoint
from domain.record import Record, record
from domain.rejection import MessageRefused, Rejection


@record("StateHashed/1")
class StateHashed(Record):
    """The SHA-256 of an actor's whole state at this point: a replay must find the same."""

    sha256: str


class Scribe(Protocol):
    """What a shell needs of the core around it."""

    now_ns: int

    def write(self, stream: str, event: Record, cause: int) -> int:
        """Record an event and return its position."""

    def tell(self, target: str, cause: int, message: Record) -> None:
        """Queue a message for an actor."""


class CoreActor:
    """Mixed into a runtime's actor class by `bind`: one aggregate module, its state, its stream."""

    def __init__(self, core: Scribe, stream: str, rules: ModuleType) -> None:
        super().__init__()
        self.core = core
        self.stream = stream
        self.state: Any = rules.initial()
        self._decide = rules.decide
        self._evolve = rules.evolve
        self._route = rules.route

    def on_receive(self, message: tuple[int, Record]) -> None:
        """Handle one routed message: (position of its cause, the message)."""
        cause, content = message
        core = self.core
        if type(content) in _OF_THE_SHELL:
            if type(content) is CarryState:
                self.state = state_from(type(self.state), content.state)
            core.write(self.stream, StateHashed(sha256=state_hash(self.state)), cause)
            return
        decision = self._decide(self.state, core.now_ns, content)
        if type(decision) is Rejection:
            refused = MessageRefused(
                topic=content.TOPIC, reason=decision.reason.value, detail=decision.detail
            )
            core.write(self.stream, refused, cause)
            return
        state, stream = self.state, self.stream
        for event in decision:
            position = core.write(stream, event, cause)
            self.state = state = self._evolve(state, event)
            for target in self._route(event):
                core.tell(target, position, event)


_OF_THE_SHELL = (TakeCheckpoint, CarryState)
"""Messages about a state as a whole, whatever it holds: no aggregate is asked."""


def bind(base: type[Any]) -> type[Any]:
    """`CoreActor` on a runtime's actor class: the sequencer's, or a thread of its own."""
    return type("BoundCoreActor", (CoreActor, base), {})
