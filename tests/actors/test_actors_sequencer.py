"""One total order: told first is handled first, one message a step, and a failure stops everything."""

from __future__ import annotations

from typing import Any

import pykka
import pytest

from actors.sequencer import CoreFailure, Sequencer


def player(sequencer: Sequencer, name: str, log: list[tuple[str, str]], answers: dict[str, list[Any]]) -> Any:
    """An actor that notes what it hears and tells what its table says: ``{message: [(ref, message)]}``."""

    class Player(sequencer.actor_base):  # type: ignore[misc,name-defined]
        def on_receive(self, message: str) -> None:
            log.append((self.stream, message))
            for ref, answer in answers.get(message, ()):
                ref().tell(answer)
            if message == "break":
                raise LookupError("a rule is broken")

    actor = Player()
    sequencer.adopt(actor, name)
    return actor


def test_messages_are_handled_in_the_order_they_were_told_whoever_receives_them() -> None:
    sequencer, log = Sequencer(), []
    actors = [player(sequencer, name, log, {}) for name in "abc"]
    told = [(0, "1"), (2, "2"), (1, "3"), (0, "4"), (2, "5")]
    for who, message in told:
        actors[who].actor_ref.tell(message)
    assert log == []
    assert sequencer.run() == 5
    assert log == [("abc"[who], message) for who, message in told]


def test_what_a_message_causes_comes_after_everything_told_before() -> None:
    sequencer: Sequencer = Sequencer()
    log: list[tuple[str, str]] = []
    b = player(sequencer, "b", log, {})
    a = player(
        sequencer, "a", log, {"first": [(lambda: b.actor_ref, "from a"), (lambda: a.actor_ref, "to me")]}
    )
    a.actor_ref.tell("first")
    b.actor_ref.tell("second")
    assert sequencer.run() == 4
    assert log == [("a", "first"), ("b", "second"), ("b", "from a"), ("a", "to me")]


def test_one_step_delivers_one_message() -> None:
    """Two messages to one actor, one to another in between: a loop for each would take both at once."""
    sequencer, log = Sequencer(), []
    a, b = (player(sequencer, name, log, {}) for name in "ab")
    a.actor_ref.tell("1")
    b.actor_ref.tell("2")
    a.actor_ref.tell("3")
    sequencer.run()
    assert log == [("a", "1"), ("b", "2"), ("a", "3")]


def test_an_inbox_never_holds_more_than_the_message_being_delivered() -> None:
    sequencer, log = Sequencer(), []
    actor = player(sequencer, "a", log, {})
    for _ in range(100):
        actor.actor_ref.tell("x")
        assert actor.actor_inbox.empty()
    sequencer.run()
    assert actor.actor_inbox.empty()
    assert len(log) == 100


def test_running_with_nothing_to_deliver_delivers_nothing() -> None:
    assert Sequencer().run() == 0


def test_a_failing_actor_stops_the_core_and_is_named() -> None:
    sequencer, log = Sequencer(), []
    good, bad = player(sequencer, "good", log, {}), player(sequencer, "symbol/BAD", log, {})
    bad.actor_ref.tell("break")
    good.actor_ref.tell("after")
    with pytest.raises(CoreFailure, match=r"symbol/BAD failed: LookupError\('a rule is broken'\)") as caught:
        sequencer.run()
    assert caught.value.stream == "symbol/BAD"
    assert isinstance(caught.value.__cause__, LookupError)
    assert log == [("symbol/BAD", "break")]


@pytest.mark.parametrize("error", [LookupError("a rule is broken"), KeyboardInterrupt()])
def test_a_core_that_was_broken_stays_so_and_delivers_nothing_more(error: BaseException) -> None:
    sequencer = Sequencer()
    heard: list[tuple[str, ...]] = []

    class Breaks(sequencer.actor_base):  # type: ignore[misc,name-defined]
        def on_receive(self, message: tuple[str, ...]) -> None:
            heard.append(message)
            raise error

    actor = Breaks()
    sequencer.adopt(actor, "account")
    for message in (("first",), ("second",)):
        sequencer.put((actor, message))
    expected = CoreFailure if isinstance(error, Exception) else KeyboardInterrupt
    for _ in range(3):
        with pytest.raises(expected):
            sequencer.run()
    assert heard == [("first",)]


def test_an_actor_is_told_and_never_asked() -> None:
    sequencer = Sequencer()
    actor = player(sequencer, "a", [], {})
    with pytest.raises(NotImplementedError, match="unrecorded input"):
        actor.actor_ref.ask("what do you think?")


def test_an_actor_is_named_by_its_stream_and_not_by_chance() -> None:
    sequencer = Sequencer()
    actor = player(sequencer, "portfolio", [], {})
    assert actor.actor_urn == actor.actor_ref.actor_urn == "portfolio"
    assert not pykka.ActorRegistry.get_all()


def test_a_message_to_an_actor_that_was_never_adopted_is_an_error() -> None:
    sequencer = Sequencer()

    class Stranger(sequencer.actor_base):  # type: ignore[misc,name-defined]
        def on_receive(self, message: Any) -> None:
            raise AssertionError(message)

    stranger = Stranger()
    with pytest.raises(LookupError, match="never adopted"):
        stranger.actor_ref.tell("hello")
    assert sequencer.run() == 0


def test_two_sequencers_know_nothing_of_each_other() -> None:
    one, other, log = Sequencer(), Sequencer(), []
    player(one, "a", log, {}).actor_ref.tell("x")
    assert other.run() == 0
    assert log == []
