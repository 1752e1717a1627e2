"""The sequencer: pykka actors, run one message at a time in one total order.

Law: a message told first is handled first, in live, paper, backtest and replay alike.  No thread runs here;
whoever calls `run` is the thread.  A failing actor fails the whole core: its state is ahead of or behind the
ledger, so it is rebuilt by replay, never resumed.

How it works: a pykka runtime is where messages wait and who takes them out.  Ours is one queue for all actors
and one loop over it, in place of an inbox and a loop for each; what pykka does with a message that is its own
(stopping) or with an error stays pykka's.
"""

from __future__ import annotations

import sys
from collections import deque
from types import TracebackType
from typing import Any

import pykka
from pykka._envelope import Envelope


class CoreFailure(Exception):
    """A core actor raised: an invariant is broken and the run must stop."""

    def __init__(self, stream: str, cause: BaseException) -> None:
        self.stream = stream
        super().__init__(f"actor {stream} failed: {cause!r}")


Queue = deque[tuple["SequencedActor", Any]]


class _Inbox:
    """A core actor's inbox: what is put there waits in the sequencer's queue, and nothing is kept."""

    __slots__ = ("_queue", "actor")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.actor: SequencedActor | None = None

    def put(self, envelope: Envelope[Any]) -> None:
        if self.actor is None:
            raise LookupError("message to an actor that was never adopted")
        self._queue.append((self.actor, envelope.message))

    def get(self) -> Envelope[Any]:
        raise NotImplementedError("the sequencer hands messages over, nobody fetches them")

    def empty(self) -> bool:
        return True


class SequencedActor(pykka.Actor):
    """A pykka actor without a thread; `Sequencer.actor_base` binds it to a sequencer."""

    sequencer: Sequencer
    stream: str

    def _start_actor_loop(self) -> None:
        self.on_start()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        error = exception_value or RuntimeError("unknown failure")
        self.sequencer.failure = CoreFailure(self.stream, error)
        raise self.sequencer.failure from error


class Sequencer:
    """One total order of messages over any number of actors.

    Attributes:
        put: queues a message for an adopted actor: ``put((actor, message))``.  What `actor_ref.tell` comes
            to, for whoever holds the actor itself.
        failure: what broke the core, raised again whenever it is asked to go on.
    """

    def __init__(self) -> None:
        self._queue: Queue = deque()
        self.put = self._queue.append
        self.failure: BaseException | None = None
        self.actor_base = self._make_actor_base()

    def _make_actor_base(self) -> type[SequencedActor]:
        # pykka creates inbox and future through static methods: closing over the queue is the only way to
        # hand it to them.
        queue = self._queue

        class Bound(SequencedActor):
            @staticmethod
            def _create_actor_inbox() -> Any:
                return _Inbox(queue)

            @staticmethod
            def _create_future() -> Any:
                raise NotImplementedError("core actors tell; a reply would be an unrecorded input")

        Bound.sequencer = self
        return Bound

    def run(self) -> int:
        """Deliver messages until none is left; returns how many were delivered.

        Raises:
            CoreFailure: an actor raised while handling a message, now or before.
            BaseException: an interruption (Ctrl-C) fell into an actor, now or before.
        """
        if self.failure is not None:
            raise self.failure
        take = self._queue.popleft
        delivered = 0
        while self._queue:
            actor, message = take()
            try:
                if type(message) is tuple:
                    # As pykka does with a message that is none of its own, without asking which it is.
                    actor.on_receive(message)
                else:
                    actor._handle_receive(message)
            except Exception:
                # As pykka does where nobody waits for a reply.
                failure = sys.exc_info()
                actor._handle_failure(*failure)
                actor.on_failure(*failure)
                raise
            except BaseException as interruption:
                self.failure = interruption  # the message is half handled
                raise
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
