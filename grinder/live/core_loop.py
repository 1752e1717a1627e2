"""The core on an event loop: it learns at once, and what it decided leaves when it is durable.

Law: learning never waits for a slow disk.  Records are stored in groups, one after the other, each holding
whole inputs only: by the journal's thread, or, while the disk is quick, right here.  Here a group is what was
learned of the first frame since the loop's last turn, and the next is whatever else is learned in this one.
An intent leaves only after the commit that holds it.  A journal that fails stops the process at once: memory
is ahead of the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from actors.core import Core
from actors.records import LedgerRow
from domain.record import Record
from grinder.ledger.quick import NOT_STORED
from grinder.ledger.writer import EmptyLog, Group, JournalFailed
from grinder.live.clock import Clock
from grinder.log import CORRELATION


class GroupStore(Protocol):
    """Who stores groups on another thread: `grinder.ledger.writer.WriterActor`'s reference."""

    def tell(self, message: Any) -> None:
        """Take a `Group`; the answer comes on another thread."""


class StoreHere(Protocol):
    """Who stores groups on the loop's thread: `grinder.ledger.quick.QuickStore`."""

    def takes(self, records: int) -> bool:
        """Whether a group of so many records is to be stored here and now."""

    def was_stored(self, records: int, seconds: float) -> bool:
        """A commit took so long; whether it is time to empty the log."""

    def store(self, rows: list[LedgerRow]) -> None:
        """Store a group; raises one of `grinder.ledger.quick.NOT_STORED`."""


class _Gathering:
    """The journal of the core: keeps records until the group they belong to is handed over."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []

    def append(self, row: LedgerRow) -> None:
        self.rows.append(row)

    def commit(self) -> None:
        raise NotImplementedError("a live core never waits for a commit: await CoreLoop.durable")


class CoreLoop:
    """Lets a core learn on the loop's thread and hands its intents to a session once they are durable.

    Attributes:
        durable_position, durable_chain: position and chain of the last record known to be on disk.
        after_learn: called after every input, on the loop.
        measured: told what a group took: records, seconds from handing over to durable.
        decided: told how long the core took over an input, ns.
        written: told of the records that went to the disk just now.
        failure: why the journal failed; nothing is learned any more.
    """

    def __init__(
        self,
        core: Core,
        store: GroupStore,
        clock: Clock,
        submit: Callable[[Record, int], None],
        failed: Callable[[BaseException], None],
        here: StoreHere | None = None,
    ) -> None:
        self.core = core
        self.clock = clock
        self._store = store
        self._here = here
        self._stores_soon = False
        self._stored_first = False
        self._submit = submit
        self._failed = failed
        self._journal = _Gathering()
        core.journal = self._journal
        self._loop = asyncio.get_running_loop()
        self._intents: list[tuple[Record, int, int]] = []
        self._under_way: list[tuple[Record, int, int]] | None = None
        self._handed_over = 0.0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.durable_position, self.durable_chain = core.position, core.chain
        self._chain_under_way = core.chain
        self.after_learn: list[Callable[[Record], None]] = []
        self.measured: Callable[[int, float], None] = lambda records, seconds: None
        self.decided: Callable[[int], None] = lambda duration_ns: None
        self.written: Callable[[list[LedgerRow]], None] = lambda rows: None
        self.failure: BaseException | None = None

    def learn(self, report: Record) -> int:
        """Record an input and let the core answer; returns its position, which is not durable yet.

        Raises:
            CoreFailure: an actor raised; the process must end and be rebuilt by replay.
            JournalFailed: the journal failed earlier.
        """
        if self.failure is not None:
            raise JournalFailed(RuntimeError(str(self.failure)))
        now_ns = self.clock()
        # What is logged meanwhile, and by whatever is set going, belongs to this input.
        outer = CORRELATION.set(self.core.position + 1)
        try:
            return self._learn(report, now_ns)
        finally:
            CORRELATION.reset(outer)

    def _learn(self, report: Record, now_ns: int) -> int:
        core, whole = self.core, len(self._journal.rows)
        began = time.perf_counter_ns()
        try:
            position = core.decide(report, now_ns)
            intents = core.take_intents()
            self.decided(time.perf_counter_ns() - began)
            core.write_down()
        except BaseException:
            # Half an input does not replay: nothing of it reaches the ledger or leaves.
            del self._journal.rows[whole:]
            core.discard()
            core.take_intents()
            raise
        self._intents += [(intent, now_ns, position) for intent in intents]
        if self._under_way is None and not self._stores_soon:
            self._store_next()
        for call in self.after_learn:
            call(report)
        return position

    async def durable(self, position: int) -> None:
        """Return when a record is on disk.

        Raises:
            JournalFailed: it never will be.
        """
        if self.failure is not None:
            raise JournalFailed(RuntimeError(str(self.failure)))
        if position <= self.durable_position:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((position, future))
        await future

    async def learn_durably(self, report: Record) -> int:
        """Learn an input and return its position when it is on disk."""
        position = self.learn(report)
        await self.durable(position)
        return position

    def _store_next(self) -> None:
        if self._here is not None and self._here.takes(len(self._journal.rows)):
            # Not at once: what else is learned in this turn of the loop shares the commit.
            self._stores_soon = True
            self._loop.call_soon(self._store_now)
        else:
            self._hand_over()

    def _take(self) -> list[LedgerRow]:
        """The records of the next group, which is under way from now on."""
        rows, self._journal.rows = self._journal.rows, []
        self._chain_under_way = rows[-1].chain
        self._under_way, self._intents = self._intents, []
        self._handed_over = time.perf_counter()
        return rows

    def _hand_over(self) -> None:
        rows = self._take()
        self._store.tell(Group(rows, self._stored, self._refused))
        self.written(rows)

    def store(self) -> None:
        """At the end of a frame: store what was learned, the first time since the loop's last turn."""
        if self._stores_soon and not self._stored_first:
            self._stored_first = True
            self._store_here()

    def _store_now(self) -> None:
        self._stores_soon = self._stored_first = False
        self._store_here()

    def _store_here(self) -> None:
        if self.failure is not None or self._here is None or not self._journal.rows:
            return
        if self._under_way is not None:
            return  # what is learned meanwhile is stored after it
        if not self._here.takes(len(self._journal.rows)):
            self._hand_over()
            return
        rows = self._take()
        try:
            self._here.store(rows)
        except BaseException as failure:
            self._on_refused(failure)
            if isinstance(failure, NOT_STORED):
                return
            raise
        self._on_stored(rows[-1].position)
        self.written(rows)

    # --- on the writer's thread ------------------------------------------------------------------------

    def _stored(self, position: int) -> None:
        self._on_loop(self._on_stored, position)

    def _emptied(self) -> None:
        self._on_loop(self._on_emptied, None)

    def _refused(self, failure: BaseException) -> None:
        self._on_loop(self._on_refused, failure)

    def _on_loop(self, call: Callable[[Any], None], value: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, value)

    # --- on the loop -----------------------------------------------------------------------------------

    def _on_stored(self, position: int) -> None:
        records = position - self.durable_position
        self.durable_position, self.durable_chain = position, self._chain_under_way
        intents, self._under_way = self._under_way, None
        seconds = time.perf_counter() - self._handed_over
        if self._here is not None and self._here.was_stored(records, seconds):
            self._under_way = []  # nothing is stored meanwhile
            self._store.tell(EmptyLog(self._emptied, self._refused))
        elif self._journal.rows:
            self._store_next()  # first, so that the disk works while the session does
        for intent, now_ns, cause in intents or ():
            outer = CORRELATION.set(cause)
            try:
                self._submit(intent, now_ns)
            finally:
                CORRELATION.reset(outer)
        self.measured(records, seconds)
        while self._waiting and self._waiting[0][0] <= position:
            self._resolve(self._waiting.popleft()[1], None)

    def _on_emptied(self, _: None) -> None:
        self._under_way = None
        if self._journal.rows:
            self._store_next()

    def _on_refused(self, failure: BaseException) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        self._intents.clear()
        self._under_way = None
        self._failed(failure)
        while self._waiting:
            self._resolve(self._waiting.popleft()[1], JournalFailed(RuntimeError(str(failure))))

    @staticmethod
    def _resolve(future: asyncio.Future[None], failure: Exception | None) -> None:
        if future.done():
            return
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
