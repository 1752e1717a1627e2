"""Health: whether a run can be relied on now.

Law: checks run side by side, each under its own time-out; one that is late or raises is unhealthy, and so is
a run that nobody checks.  A check reads what the run knows; it asks no exchange.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from grinder.observation.alerts import CRITICAL, INFO, NS, WARNING, Alert, Notify
from grinder.observation.redaction import REDACTOR

TIMEOUT_S: Final = 5.0
EVERY_S: Final = 10.0
FAILURES: Final = 3
"""So many failed rounds in a row are a trigger."""

GIB: Final = 1 << 30

Clock = Callable[[], int]


@attrs.frozen
class HealthResult:
    """What one check found; `duration_ns` is how long it took."""

    name: str
    healthy: bool
    message: str
    duration_ns: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the duration in ms."""
        return {
            "name": self.name,
            "healthy": self.healthy,
            "message": self.message,
            "duration_ms": round(self.duration_ns / 1e6, 3),
        }


@attrs.frozen
class HealthReport:
    """One round: healthy if there are results and all of them are."""

    results: tuple[HealthResult, ...]

    @property
    def healthy(self) -> bool:
        """Whether all is well."""
        return bool(self.results) and all(one.healthy for one in self.results)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"healthy": self.healthy, "checks": [one.as_dict() for one in self.results]}


class Check(Protocol):
    """Something that can be well or not."""

    name: str
    timeout_s: float

    async def fault(self) -> str:
        """What is wrong; empty when nothing is.  May raise: that is unhealthy too."""


async def run_checks(checks: Sequence[Check]) -> HealthReport:
    """Run checks side by side.  Never raises but when cancelled."""
    if not checks:
        return HealthReport(())
    return HealthReport(tuple(await asyncio.gather(*(_one(check) for check in checks))))


async def _one(check: Check) -> HealthResult:
    loop = asyncio.get_running_loop()
    began = loop.time()
    task = asyncio.ensure_future(check.fault())
    try:
        done, _ = await asyncio.wait((task,), timeout=check.timeout_s)
    finally:
        if not task.done():
            task.cancel()
    if not done:
        fault = f"Timeout after {check.timeout_s:g} s"
    elif task.cancelled():
        fault = "cancelled"
    elif (error := task.exception()) is not None:
        fault = f"{type(error).__name__}: {error}"
    else:
        fault = task.result()
    return HealthResult(
        check.name, not fault, REDACTOR.text(fault) or "ok", round((loop.time() - began) * NS)
    )


# --- the checks ----------------------------------------------------------------------------------------


def _age_s(clock: Clock, since_ns: int) -> float:
    return (clock() - since_ns) / NS


@attrs.frozen(kw_only=True)
class ExchangeConnection:
    """Streams connected, and the last request answered well less than 30 s ago (0 ns: never)."""

    connected: Callable[[], bool]
    last_answer_ns: Callable[[], int]
    clock: Clock
    longest_s: float = 30.0
    name: str = "exchange_connection"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        if not self.connected():
            return "a stream is not connected"
        answered_ns = self.last_answer_ns()
        if not answered_ns:
            return "no request has been answered yet"
        age_s = _age_s(self.clock, answered_ns)
        return f"the last request was answered {age_s:.1f} s ago" if age_s >= self.longest_s else ""


@attrs.frozen(kw_only=True)
class DataFreshness:
    """Of every traded symbol there is a price, and none of the newest ones is older than 2 s."""

    received_ns: Callable[[], dict[str, int]]
    symbols: Callable[[], Iterable[str]]
    clock: Clock
    longest_s: float = 2.0
    name: str = "data_freshness"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        received = self.received_ns()
        missing = [symbol for symbol in self.symbols() if symbol not in received]
        if missing:
            return f"no price yet of {', '.join(missing)}"
        ages = [(_age_s(self.clock, received[symbol]), symbol) for symbol in self.symbols()]
        age_s, symbol = max(ages, default=(0.0, ""))
        return f"the newest price of {symbol} is {age_s:.1f} s old" if age_s > self.longest_s else ""


@attrs.frozen(kw_only=True)
class PositionSync:
    """Books and exchange were compared at most 120 s ago and differed by at most 1 %.

    Attributes:
        drift_ppm: the largest difference the last comparison found.
    """

    last_reconcile_ns: Callable[[], int]
    drift_ppm: Callable[[], int]
    clock: Clock
    longest_s: float = 120.0
    largest_ppm: int = 10_000
    name: str = "position_sync"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        compared_ns = self.last_reconcile_ns()
        if not compared_ns:
            return "books and exchange have not been compared yet"
        age_s = _age_s(self.clock, compared_ns)
        if age_s > self.longest_s:
            return f"books and exchange were last compared {age_s:.0f} s ago"
        drift = self.drift_ppm()
        return f"books and exchange differ by {drift / 10_000:.2f} %" if drift > self.largest_ppm else ""


@attrs.frozen(kw_only=True)
class RiskLimits:
    """Not halted, drawdown below its limit, kill switch off.

    Attributes:
        halted: why trading is halted; empty when it is not.
        drawdown_ppm, limit_ppm: how far equity has fallen, and how far it may; a limit of 0 is none.
        kill_switch: whether the operator latched it.
    """

    halted: Callable[[], str]
    drawdown_ppm: Callable[[], int] = lambda: 0
    limit_ppm: Callable[[], int] = lambda: 0
    kill_switch: Callable[[], bool] = lambda: False
    name: str = "risk_limits"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        if self.kill_switch():
            return "the kill switch is latched"
        if halted := self.halted():
            return f"trading is halted: {halted}"
        limit, fallen = self.limit_ppm(), self.drawdown_ppm()
        return f"equity has fallen by {fallen / 10_000:.2f} %" if limit and fallen >= limit else ""


@attrs.frozen(kw_only=True)
class DiskSpace:
    """At least 10 % and 1 GiB of the disk are free."""

    path: Path
    least_share: float = 0.10
    least_bytes: int = GIB
    usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
    name: str = "disk_space"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        total, _, free = self.usage(self.path)
        if free < self.least_bytes:
            return f"{free / GIB:.2f} GiB are free"
        return f"{free * 100 / total:.1f} % are free" if free < total * self.least_share else ""


@attrs.frozen(kw_only=True)
class Ledger:
    """The last append went well, and the chain holds as far as it was checked.

    Attributes:
        failure: what the journal failed with; None while it does not.
        verified: whether the chain was found whole when it was last checked.
    """

    failure: Callable[[], BaseException | None]
    verified: Callable[[], bool] = lambda: True
    name: str = "ledger"
    timeout_s: float = TIMEOUT_S

    async def fault(self) -> str:
        """What is wrong."""
        failure = self.failure()
        if failure is not None:
            return f"the ledger cannot be written: {failure}"
        return "" if self.verified() else "the chain of the ledger is broken"


# --- watching ------------------------------------------------------------------------------------------


class Health:
    """Runs the checks again and again and says when their answer changes.

    Attributes:
        report: the latest round; without results before the first.
        failures: failed rounds in a row.
        triggered: called once when `FAILURES` rounds in a row have failed.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        notify: Notify = lambda alert: None,
        triggered: Callable[[HealthReport], None] = lambda report: None,
    ) -> None:
        self.checks = list(checks)
        self.report = HealthReport(())
        self.failures = 0
        self.triggered = triggered
        self._notify = notify

    async def look(self) -> HealthReport:
        """One round now."""
        before = self.failures
        self.report = report = await run_checks(self.checks)
        self.failures = 0 if report.healthy else before + 1
        wrong = {one.name: one.message for one in report.results if not one.healthy}
        if self.failures == 1:
            self._notify(Alert(WARNING, "unhealthy", text="a health check fails", detail=wrong))
        elif self.failures == FAILURES:
            self._notify(
                Alert(CRITICAL, "unhealthy_for_long", text=f"{FAILURES} rounds have failed", detail=wrong)
            )
            self.triggered(report)
        elif before and not self.failures:
            self._notify(Alert(INFO, "healthy", text="every health check passes again"))
        return report

    async def watch(self, every_s: float = EVERY_S) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every_s)
