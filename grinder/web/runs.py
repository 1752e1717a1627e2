"""The runs that are served: their ledgers followed, their views kept current, their processes spoken to.

Law: a ledger is opened read-only.  Everything that waits for a disk, a database or a process waits in a
worker thread; a run that does not answer is shown as stale, never as fine.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

from grinder.errors import UserError
from grinder.ledger.reading import connect
from grinder.live.asking import ask
from grinder.live.places import address_file
from grinder.log import logger
from grinder.run_folder import RunFolder
from grinder.views.building import FAR, Building
from grinder.views.store import open_views, standing, update
from grinder.web.problems import Problem
from grinder.web.travel import NotThereError, TimeTravel

T = TypeVar("T")

NS: Final = 10**9
LOOK_EVERY_S: Final = 0.25
STALE_NS: Final = 10 * NS
STATUS_EVERY_NS: Final = NS
STATUS_TIMEOUT_S: Final = 3.0
WATCH_EVERY_NS: Final = 4 * NS
COMMAND_TIMEOUT_S: Final = 10.0

Clock = Callable[[], int]
Question = Callable[[sqlite3.Connection], T]


class ServedRun:
    """One run.

    Attributes:
        name: what requests call it.
        head: position the views stand at; what is shown never goes beyond.
        end: the last record of the ledger.
        preparing: whether the views are far behind and another process brings them up to the end.
        verifying: whether its ledger is being checked at this moment.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = RunFolder(folder)
        self.folder.require()
        self.name = folder.resolve().name
        self.head = 0
        self.end = 0
        self.preparing = False
        self._building: Building | None = None
        self._closed = False
        self._clock = clock
        self._looked_ns = 0
        self._silent = False
        self._status: dict[str, Any] | None = None
        self._asked_ns = 0
        self._commands = 0
        self._asking = asyncio.Lock()
        self._fault = ""
        self._change = asyncio.Condition()
        self._pool = ThreadPoolExecutor(max_workers=3, thread_name_prefix=f"run-{self.name}")
        # One thread of its own: whoever looks at the present must not wait for who looks back.
        self._back = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"back-{self.name}")
        # And a process that hangs must not keep anybody from reading.
        self._talk = ThreadPoolExecutor(max_workers=4, thread_name_prefix=f"talk-{self.name}")
        self._travel = TimeTravel(self.folder.views, self.folder.ledger)
        self.verifying = False

    # --- following -----------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep the views current until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def watch(self) -> None:
        """Ask the process now and then, so that one that hangs is noticed though nobody looks."""
        while True:
            if self._clock() - self._asked_ns >= WATCH_EVERY_NS:
                await self.status()
            await asyncio.sleep(1.0)

    async def look(self) -> None:
        """Bring the views to the ledger's end, once."""
        try:
            head = await self._work(self._update)
        except UserError as error:
            if error.code != self._fault:
                logger().warning("views are not current", run=self.name, fault=error.code)
            self._fault = error.code
            return
        except sqlite3.Error as error:
            self._fault = f"views.{type(error).__name__}"
            return
        self._fault = ""
        self._looked_ns = self._clock()
        if head != self.head:
            async with self._change:
                self.head = head
                self._change.notify_all()

    def _update(self) -> int:
        """Runs in a worker; where the views stand."""
        with closing(connect(self.folder.ledger)) as ledger:
            end = self.end = ledger.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
            if end == self.head and self.folder.views.is_file():
                self.preparing = False
                return self.head
            at = standing(self.folder.path, ledger)
        if end - at > FAR and self._goes_on_elsewhere():
            self.preparing = True
            return at
        update(self.folder.path)
        self.preparing = False
        with closing(open_views(self.folder.path)) as db:
            return position_of(db.conn)

    def _goes_on_elsewhere(self) -> bool:
        """Whether another process brings the views up to date; False after one that could not."""
        if self._building is not None:
            status = self._building.status()
            if status is None:
                return True
            if status:
                return False  # the same again, here, says why
        if self._closed:
            return True
        self._building = Building(self.folder.path)
        return True

    async def changed(self, since: int, timeout_s: float) -> None:
        """Wait until the views stand beyond a position, or for so long."""
        try:
            async with asyncio.timeout(timeout_s), self._change:
                await self._change.wait_for(lambda: self.head > since)
        except TimeoutError:
            return

    async def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        for pool in (self._pool, self._back, self._talk):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._building is not None:
            await asyncio.to_thread(self._building.close)
        await asyncio.to_thread(self._travel.close)

    # --- reading -------------------------------------------------------------------------------------------

    async def views(self, at: int | None, question: Question[T]) -> T:
        """Ask the views, as they are or as they were at a record; all of one question sees one state.

        Raises:
            Problem: 404, the ledger has no such record yet; 503, the views have not come so far.
        """
        if self.preparing and (at > self.head if at is not None else not self.head):
            raise self._too_early()
        if at is None:
            return await self._work(lambda: self._ask_views(question))
        if at > self.head:
            raise Problem(404, "ledger.position", "the ledger has no such record", value=str(at),
                          fix=f"the last is {self.head}")  # fmt: skip
        try:
            return await self._work(lambda: self._travel.read(at, question), self._back)
        except NotThereError:
            raise self._too_early() from None

    def _too_early(self) -> Problem:
        return Problem(
            503,
            "views.preparing",
            "the views are being made from the ledger",
            value=f"{self.head} of {self.end}",
            fix="what is before that record can be looked at already; the rest in a moment",
        )

    def _ask_views(self, question: Question[T]) -> T:
        with closing(open_views(self.folder.path)) as db:
            db.conn.execute("BEGIN")
            return question(db.conn)

    async def ledger(self, question: Question[T]) -> T:
        """Ask the ledger itself."""

        def work() -> T:
            with closing(connect(self.folder.ledger)) as connection:
                return question(connection)

        return await self._work(work)

    async def work(self, task: Callable[[], T]) -> T:
        """Do something slow in a worker."""
        return await self._work(task)

    async def _work(self, task: Callable[[], T], pool: ThreadPoolExecutor | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool or self._pool, task)

    # --- the process ---------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether a process has left its address: it runs, or was killed."""
        return address_file(self.folder.path).is_file()

    async def status(self) -> dict[str, Any] | None:
        """What the run's process says, at most a second old; None when none runs or answers."""
        if not self.is_up:
            self._status = None
            return None
        async with self._asking:
            if self._clock() - self._asked_ns >= STATUS_EVERY_NS:
                before = self._commands
                try:
                    self._status = await self._work(
                        lambda: ask(self.folder.path, "/status", timeout_s=STATUS_TIMEOUT_S), self._talk
                    )
                    self._silent = False
                except UserError:
                    self._status = None
                    self._silent = True
                # Who waited meanwhile shares the answer, unless a command has changed what it says.
                self._asked_ns = self._clock() if before == self._commands else 0
        return self._status

    async def command(
        self, path: str, body: dict[str, Any], timeout_s: float = COMMAND_TIMEOUT_S
    ) -> dict[str, Any]:
        """Give the run a command; it has been stored when this returns.

        Raises:
            NotRunning: no process answers.
            UserError: it refuses.
        """
        self._commands += 1
        try:
            return await self._work(
                lambda: ask(self.folder.path, path, body, timeout_s=timeout_s), self._talk
            )
        finally:
            self._commands += 1
            self._asked_ns = 0

    def freshness(self, at: int | None = None) -> dict[str, Any]:
        """What to think of an answer: the record it stands at, and whether that can be trusted to be now.

        A finished run is stale only while its views are being made.  One whose process should be there is,
        when neither its ledger could be read nor its process answered for ten seconds, or its process does
        not answer when asked.
        """
        now = self._clock()
        running = self.is_up
        silent = running and self._silent
        old = now - self._looked_ns > STALE_NS
        return {
            "run": self.name,
            "position": self.head if at is None else at,
            "head": self.head,
            "end": self.end,
            "preparing": self.preparing,
            "running": running,
            "stale": bool(self._fault) or old or silent or self.preparing,
            "fault": self._fault,
            "checked_ns": self._looked_ns,
        }


def position_of(connection: sqlite3.Connection) -> int:
    """The record views stand at."""
    return int(connection.execute("SELECT position FROM view_source").fetchone()[0])


class Runs:
    """Every run that is served, by name."""

    def __init__(self, folders: Sequence[Path], clock: Clock) -> None:
        self.by_name: dict[str, ServedRun] = {}
        for folder in folders:
            run = ServedRun(folder, clock)
            if run.name in self.by_name:
                raise UserError("ui.runs", "two runs have one name", value=run.name, fix="rename a folder")
            self.by_name[run.name] = run

    def find(self, name: str, allowed: Sequence[str]) -> ServedRun:
        """A run a caller may see; the first one where none is named.

        Raises:
            Problem: 404, there is none, or it is not for this caller; which of the two is not said.
        """
        seen = {one: run for one, run in self.by_name.items() if not allowed or one in allowed}
        found = seen.get(name) if name else next(iter(seen.values()), None)
        if found is None:
            raise Problem(404, "run.unknown", "there is no such run", value=name)
        return found
