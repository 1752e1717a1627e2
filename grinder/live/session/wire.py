"""What every part of a session shares: the way to the exchange, and what may be sent on it now.

Law: nothing is sent but through `read` and `write`, and neither sends anything once `stopped` is set, while
another process may speak for the run, while the exchange has banned us, or (but for cancels) while it limits
us.  Every failure is accounted for here, in
one place; what it means for an order is decided by who asked.  `tell` is synchronous: when it returns, the
books show what was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import attrs

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Connector,
    ExchangeError,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from domain.account import AccountState
from domain.account_state import Order
from domain.inputs import RateLimitReport
from domain.orders import ENDED
from domain.record import Record
from grinder.live.session.settings import NS, SessionSettings
from grinder.log import logger
from grinder.observation.alerts import Alert, Notify

T = TypeVar("T")
R = TypeVar("R", bound=Record)

PLACE, CANCEL, READ, GUARD = "place", "cancel", "read", "guard"
"""Kinds of requests: what may leave is decided by kind.  GUARD is the dead-man switch."""

MAINTENANCE = "maintenance"
"""The word, and our code, for an exchange that is closed for work on it."""


def changed(record: R, **fields: Any) -> R:
    """A record that differs from another in a few fields."""
    copy: R = attrs.evolve(record, **fields)  # type: ignore[misc]  # `record` hides that it is an attrs class
    return copy


class Held(Unavailable):
    """Not asked at all: we are stopped, banned or limited."""

    def __init__(self, why: str) -> None:
        super().__init__("held", why)


class Wire:
    """The connector behind its gate, the books, and the ways out of the session."""

    def __init__(
        self,
        connector: Connector,
        books: Callable[[], AccountState],
        tell: Callable[[Record], None],
        clock: Callable[[], int],
        settings: SessionSettings,
        notify: Notify,
    ) -> None:
        self.connector = connector
        self.books = books
        self.clock = clock
        self.settings = settings
        self.log = logger()
        self.stopped = False
        self.may_send: Callable[[], bool] = lambda: True
        """Whether this process is still the one that may speak for the run."""
        self.ready = False
        """Orders leave only once the start has been reconciled."""
        self._refusing: dict[str, bool] = {}
        self.limited_until_ns = 0
        self.banned_until_ns = 0
        self.failures = 0
        """Requests in a row whose outcome is unknown or that found nobody."""
        self.on_failure: Callable[[ExchangeError], None] = lambda error: None
        self.on_success: Callable[[], None] = lambda: None
        self.on_error: Callable[[str, ExchangeError], None] = lambda what, error: None
        """Told of every failure: what was asked for, and what came instead."""
        self.polled: Callable[[int], None] = lambda duration_ns: None
        """Told how long a reading request took, ns."""
        self.answered_ns = 0
        """When a request was last answered; 0 before the first."""
        self.failure: asyncio.Future[None] | None = None
        self.broken: BaseException | None = None
        """What a task failed with although it should not have; the session's `run` raises it."""
        self._tell = tell
        self._notify = notify
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._number = 0

    # --- telling ---------------------------------------------------------------------------------------

    def tell(self, report: Record) -> None:
        """Hand a report to the core; nothing is told after the stop."""
        if not self.stopped:
            self._tell(report)

    def alert(self, level: str, kind: str, text: str, symbol: str = "", **detail: str) -> None:
        """Say something to people; who is notified logs it."""
        self._notify(Alert(level=level, kind=kind, symbol=symbol, text=text, detail=detail))

    # --- books -----------------------------------------------------------------------------------------

    def order(self, client_order_id: str) -> Order | None:
        """An order as the books know it."""
        return self.books().orders.get(client_order_id)

    def working(self) -> list[tuple[str, Order]]:
        """Orders that work or may work, by id."""
        found = [(i, order) for i, order in self.books().orders.items() if order.status not in ENDED]
        found.sort(key=lambda pair: pair[0])
        return found

    def ours(self, client_order_id: str) -> bool:
        """Whether an id carries the prefix of this ledger."""
        return len(client_order_id) == 32 and client_order_id.startswith(self.settings.ledger_id)

    # --- what may leave --------------------------------------------------------------------------------

    def refuse(self, why: str) -> None:
        """Give orders that have not been sent back unsent, until `accept` is told the same."""
        self._refusing[why] = True

    def accept(self, why: str) -> None:
        """Let orders leave again as far as this reason goes."""
        self._refusing.pop(why, None)

    def refuses(self, why: str) -> bool:
        """Whether orders are given back for a reason."""
        return why in self._refusing

    def shut(self, kind: str) -> str:
        """Why a request of a kind may not leave now; empty when it may."""
        if self.stopped:
            return "stopped"
        if not self.may_send():
            return "fenced"
        books, now = self.books(), self.clock()
        until = max(self.limited_until_ns, books.suspended_until_ns)
        if now < self.banned_until_ns or (books.banned and now < books.suspended_until_ns):
            return "banned"
        if kind != CANCEL and now < until:
            return "rate_limited"
        if kind == PLACE and self._refusing:
            return next(iter(self._refusing))
        return ""

    def free_at_ns(self) -> int:
        """When reading requests may leave again; now or earlier when they may."""
        return max(self.limited_until_ns, self.banned_until_ns, self.books().suspended_until_ns)

    # --- requests --------------------------------------------------------------------------------------

    async def read(self, what: str, call: Callable[[], Awaitable[T]], kind: str = READ) -> T:
        """Ask; what comes back changed nothing there.

        Raises:
            ExchangeError: accounted for already; `Held` when nothing was sent.
        """
        if why := self.shut(kind):
            raise Held(why)
        began_ns = time.perf_counter_ns()
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                answer = await call()
        except ExchangeError as error:
            self.failed(what, error, counts=kind != GUARD)
            raise
        except (TimeoutError, OSError) as error:
            late = Unavailable("timeout", f"{what}: {error!r}")
            self.failed(what, late, counts=kind != GUARD)
            raise late from error
        self.polled(time.perf_counter_ns() - began_ns)
        if kind != GUARD:  # the switch may answer while nothing else does
            self.succeeded()
        return answer

    async def write(
        self, what: str, call: Callable[[], Awaitable[list[T | ExchangeError]]], size: int
    ) -> list[T | ExchangeError]:
        """Send a batch; one answer each, whatever happens.  The caller has asked `shut` just before.

        An answer that is missing, late or lost is `OutcomeUnknown`.
        """
        answers: list[T | ExchangeError]
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                answers = list(await call())
        except ExchangeError as error:
            answers = [error] * size
        except (TimeoutError, OSError) as error:
            answers = [OutcomeUnknown("timeout", f"{what}: {error!r}")] * size
        if len(answers) > size:
            answers = [OutcomeUnknown("too_many_answers", f"{len(answers)} for {size}")] * size
        short = OutcomeUnknown("short_answer", f"{len(answers)} of {size} answered")
        answers += [short] * (size - len(answers))
        bad = {type(answer): answer for answer in answers if isinstance(answer, ExchangeError)}
        for one in bad.values():
            # A write is answered so only where the exchange is closed for work on it.
            shut = isinstance(one, Unavailable)
            self.failed(what, Unavailable(MAINTENANCE, str(one)) if shut else one)
        if not bad:
            self.succeeded()
        return answers

    def failed(self, what: str, error: ExchangeError, *, counts: bool = True) -> None:
        """Account for a failure: back-off, circuit, clock, key."""
        self.log.info("request_failed", request=what, code=error.code, text=error.text)
        if isinstance(error, RateLimited):
            self._limited(error)
        elif isinstance(error, (OutcomeUnknown, Unavailable)):
            self.failures += counts
        elif not isinstance(error, (ClockSkewed, AuthenticationFailed)):
            self.succeeded()  # it answered, and said no
        self.on_error(what, error)
        self.on_failure(error)

    def succeeded(self) -> None:
        """The exchange answered."""
        self.failures = 0
        self.answered_ns = self.clock()
        self.on_success()

    def _limited(self, error: RateLimited) -> None:
        until = self.clock() + int(error.retry_after_s * NS)
        known = self.banned_until_ns if error.banned else self.limited_until_ns
        if until <= known:
            return
        if error.banned:
            self.banned_until_ns = until
        self.limited_until_ns = max(self.limited_until_ns, until)
        self.tell(RateLimitReport(until_ns=until, code=error.code, banned=error.banned))
        kind = "banned" if error.banned else "rate_limited"
        level = "CRITICAL" if error.banned else "WARNING"
        self.alert(level, kind, f"no requests for {error.retry_after_s:g} s", code=error.code)

    # --- tasks -----------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rest; a failure nobody expected ends the session's `run`."""
        if self.stopped:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._number += 1
        number = self._number
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._ended(number, done))

    def _ended(self, number: int, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(number, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.log.error("session_task_failed", error=repr(error))
        self.broken = self.broken or error
        if self.failure is not None and not self.failure.done():
            self.failure.set_exception(error)

    def stop(self) -> None:
        """Nothing is sent from here on; what has not been sent yet is given up."""
        self.stopped = True
        try:
            current = asyncio.current_task()
        except RuntimeError:
            current = None
        for task in list(self._tasks.values()):
            if task is not current:
                task.cancel()

    async def ended(self) -> None:
        """Wait for the tasks that `stop` cancelled."""
        await asyncio.gather(*list(self._tasks.values()), return_exceptions=True)
