"""Today's rules of one actor, asked about a state that follows a ledger.

Law: whatever the rules raise is an answer, with what they were doing and where; nothing is let through as an
error of the program that asks.
"""

from __future__ import annotations

import traceback
from typing import Any

import attrs

from actors.core import RULES
from actors.core_actor import StateHashed
from domain import symbol
from domain.codec import state_from, state_hash
from domain.inputs import CarryState, TakeCheckpoint
from domain.record import Record
from domain.rejection import MessageRefused, Rejection

RULES_RAISE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What pure code can raise: a broken invariant, or a mistake."""


@attrs.frozen(kw_only=True)
class Raised:
    """What a rule raised, in the place of an answer.

    Attributes:
        during: ``decide``, ``evolve`` (taking over the ledger's event), ``evolve decided`` (the answer's) or
            ``route``.
        exception: its class and its text.
        place: file, line and function it came from.
    """

    during: str
    exception: str
    place: str


class RuleRaised(Exception):
    """Carries a `Raised` out of a call of the rules."""

    def __init__(self, found: Raised) -> None:
        super().__init__(found.exception)
        self.found = found


class TodaysActor:
    """One aggregate, with a state that follows the ledger."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.rules = RULES.get(stream, symbol)
        self.state: Any = self.rules.initial()

    def asked(self, now_ns: int, message: Record) -> list[Record]:
        """What today's code answers; the state stays as it is.

        Raises:
            RuleRaised: it raised.
        """
        if isinstance(message, CarryState):
            return [StateHashed(sha256=state_hash(self.carried(message)))]
        if isinstance(message, TakeCheckpoint):
            return [StateHashed(sha256=state_hash(self.state))]
        try:
            found = self.rules.decide(self.state, now_ns, message)
            if not isinstance(found, Rejection):
                return list(found)
        except RULES_RAISE as error:
            raise _raised("decide", error) from error
        refused = MessageRefused(topic=message.TOPIC, reason=found.reason.value, detail=found.detail)
        return [refused]

    def carried(self, message: CarryState) -> Any:
        """The state a slice begins with.

        Raises:
            RuleRaised: today's code has no such state.
        """
        try:
            return state_from(type(self.state), message.state)
        except RULES_RAISE as error:
            raise _raised("evolve", error) from error

    def evolved(self, event: Record, during: str = "evolve") -> Any:
        """The state after an event.

        Raises:
            RuleRaised: today's code cannot take it over.
        """
        try:
            return self.rules.evolve(self.state, event)
        except RULES_RAISE as error:
            raise _raised(during, error) from error

    def routed(self, event: Record) -> tuple[str, ...]:
        """Who hears of an event.

        Raises:
            RuleRaised: today's code cannot say.
        """
        try:
            return tuple(self.rules.route(event))
        except RULES_RAISE as error:
            raise _raised("route", error) from error


def _raised(during: str, error: Exception) -> RuleRaised:
    at, said = traceback.extract_tb(error.__traceback__)[-1], str(error)
    return RuleRaised(
        Raised(
            during=during,
            exception=type(error).__name__ + (f": {said}" if said else ""),
            place=f"{at.filename}:{at.lineno} in {at.name}",
        )
    )
