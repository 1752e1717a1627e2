"""The sequencer: pykka actors, run one message at a time in one total order.

Law: a message told first is handled first, in live, paper, backtest and replay alike.  No thread runs here;
whoever calls `run` is the thread.  A failing actor fails the whole core: its state is ahead of or behind the
ledger, so it is rebuilt by replay, never resumed.

How it works: a pykka actor's loop takes envelopes from its inbox until it is stopped.  Our inbox has room for
the one envelope being delivered; when asked for another it raises `_Idle`, which leaves pykka's loop exactly
between two messages.  So pykka's own handling of messages, errors and stopping is unchanged.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any

import pykka
from pykka._envelope import Envelope


class _Idle(BaseException):
    """No more envelopes this turn.  A BaseException, so that no handler in between takes it for an error."""


class _Inbox:
    """A core actor's inbox: `put` queues with the sequencer, `get` yields the envelope being delivered."""

    __slots__ = ("_queue", "actor", "current")

    def __init__(self, queue: deque[tuple[_Inbox, Envelope[Any]]]) -> None:
        self._queue = queue
        self.current: Envelope[Any] | None = None
        self.actor: SequencedActor | None = None

    def put(self, envelope: Envelope[Any]) -> None:
        self._queue.append((self, envelope))

    def get(self) -> Envelope[Any]:
        envelope = self.current
        if envelope is None:
            raise _Idle
        self.current = None
        return envelope

    def empty(self) -> bool:
        return self.current is None


class CoreFailure(Exception):
    """A core actor raised: an invariant is broken and the run must stop."""

    def __init__(self, stream: str, cause: BaseException) -> None:
        self.stream = stream
        super().__init__(f"actor {stream} failed: {cause!r}")


class SequencedActor(pykka.Actor):
    """A pykka actor without a thread; `Sequencer.actor_base` binds it to a sequencer."""

    sequencer: Sequencer
    stream: str

    def _start_actor_loop(self) -> None:
        self.on_start()

    def _handle_receive(self, message: Any) -> Any:
        try:
            if type(message) is tuple:
                # What pykka does with a message that is none of its own, without asking which it could be.
                return self.on_receive(message)
            return super()._handle_receive(message)
        except (KeyboardInterrupt, SystemExit) as interruption:
            # pykka would answer by stopping every actor of the process, the journal's writer included.
            self.sequencer.interruption = interruption

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.sequencer.failure = (self.stream, exception_value or RuntimeError("unknown failure"))


class Sequencer:
    """One total order of messages over any number of actors."""

    def __init__(self) -> None:
        self._queue: deque[tuple[_Inbox, Envelope[Any]]] = deque()
        self.failure: tuple[str, BaseException] | None = None
        self.interruption: BaseException | None = None
        self.actor_base = self._make_actor_base()

    def _make_actor_base(self) -> type[SequencedActor]:
        # pykka creates inbox and future through static methods: closing over the sequencer is the only way
        # to hand them one.
        queue = self._queue
        sequencer = self

        class Bound(SequencedActor):
            @staticmethod
            def _create_actor_inbox() -> Any:
                return _Inbox(queue)

            @staticmethod
            def _create_future() -> Any:
                raise NotImplementedError("core actors tell; a reply would be an unrecorded input")

        Bound.sequencer = sequencer
        return Bound

    def run(self) -> int:
        """Deliver messages until none is left; returns how many were delivered.

        Raises:
            CoreFailure: an actor raised while handling a message.
            BaseException: an interruption (Ctrl-C) fell into an actor; the core must not be used again.
        """
        queue = self._queue
        delivered = 0
        while queue:
            inbox, envelope = queue.popleft()
            inbox.current = envelope
            actor = inbox.actor
            if actor is None:
                raise LookupError("message to an actor that was never adopted")
            try:  # noqa: SIM105  contextlib.suppress costs more than the delivery itself
                actor._actor_loop_running()
            except _Idle:
                pass
            if self.failure is not None:
                stream, error = self.failure
                raise CoreFailure(stream, error) from error
            if self.interruption is not None:
                raise self.interruption
            delivered += 1
        return delivered

    def adopt(self, actor: SequencedActor, stream: str) -> None:
        """Name an actor after its stream and keep it.

        pykka names actors by uuid4, which no replay could repeat; the reference is rebuilt after renaming.
        """
        actor.stream = stream
        actor.actor_urn = stream
        actor._actor_ref = pykka.ActorRef(actor)
        actor.actor_inbox.actor = actor  # type: ignore[attr-defined]
