"""One life of the program inside a world of the seeded simulation.

Law: it keeps what is durable and nothing else, so the next life begins as a restart would.
"""

from __future__ import annotations

import asyncio
from typing import Any

from chaos_scene import (
    LEDGER,
    SECOND,
    SYMBOL,
)

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import (
    Quote,
    Signal,
)
from actors.records import LedgerRow
from domain.account import AccountState
from domain.codec import decode
from domain.inputs import (
    TickReport,
)
from domain.order_events import OrderSubmitted
from domain.record import Record
from domain.wake import inside, joined
from grinder.live.session import LiveSession, SessionSettings


class Process:
    """One life of the program: a core on what is durable, a session, a gate."""

    def __init__(self, world: Any, rows: list[LedgerRow]) -> None:
        self.world = world
        self.alive = True
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        for row in rows:
            if row.cause == row.position:
                self.core.learn(decode(row.topic, row.state), row.ts_ns)
        self.core.take_intents()
        world.hold(
            [row.chain for row in self.journal.rows] == [row.chain for row in rows], "the replay differs"
        )
        self.journal.commit()
        self.committed = {
            decode(row.topic, row.state).terms.client_order_id
            for row in rows
            if row.topic == OrderSubmitted.TOPIC
        }
        self._intents: list[Record] = []
        self._commit_due = False
        settings = SessionSettings(
            ledger_id=LEDGER,
            known_until_ns=max(0, rows[-1].ts_ns - 600 * SECOND) if rows else 0,
            start_difference_s=65.0,
        )
        self.session = LiveSession(
            world.connector, self.books, self.learn, world.clock, settings, world.alerted
        )
        self.tasks: list[asyncio.Task[Any]] = []
        self.trading = False
        self.price = 0

    def books(self) -> AccountState:
        state: AccountState = self.core.state_of("account")
        return state

    # --- learning, durable a moment later --------------------------------------------------------------

    def learn(self, report: Record) -> None:
        self.world.hold(self.alive, f"a dead process learned {report.TOPIC}")
        self.world.told(report)
        self.core.learn(report, self.world.clock())
        self.session.learned(report)
        self._intents += self.core.take_intents()
        if not self._commit_due:
            self._commit_due = True
            self.world.loop.call_later(0.002, self._commit)

    def _commit(self) -> None:
        self._commit_due = False
        if not self.alive:
            return
        self.journal.commit()
        intents, self._intents = self._intents, []
        for intent in intents:
            if isinstance(intent, OrderSubmitted):
                self.committed.add(intent.terms.client_order_id)
        for intent in intents:
            self.session.submit(intent, self.world.clock())

    # --- the listener: session and gate ----------------------------------------------------------------

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        return

    def signal(self, stream: str, signal: Signal) -> None:
        if not self.alive:
            return
        self.session.signal(stream, signal)
        if isinstance(signal, Quote):
            self.price = (signal.bid_ticks + signal.ask_ticks) // 2
            self.look()

    def look(self) -> None:
        """Wake the core with the price if it wants to hear it."""
        if (
            self.trading
            and self.price
            and inside(joined(*self.core.wake_of(SYMBOL)), self.world.clock(), self.price)
        ):
            self.learn(TickReport(symbol=SYMBOL, price_ticks=self.price))

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        if self.alive:
            self.session.stream_up(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        if self.alive:
            self.session.stream_down(stream, reason)

    # --- life ------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From the start to trading; then until killed."""
        loop = self.world.loop
        self.tasks.append(loop.create_task(self.world.connector.listen(self)))
        if not self.core.position:
            self.world.begin(self.learn)
        await self.session.open()
        await self.session.reconcile("start")
        self.trading = True
        self.tasks.append(loop.create_task(self.session.run()))
        await self.tasks[-1]

    async def kill(self) -> list[LedgerRow]:
        """Die at once; what was durable is left."""
        self.alive = False
        for task in (self.world.life, *self.tasks):
            task.cancel()
        self.session.wire.stop()  # a dead process's tasks are dead as well
        await asyncio.gather(self.world.life, *self.tasks, return_exceptions=True)
        await self.session.wire.ended()
        return self.journal.rows[: self.journal.committed]
