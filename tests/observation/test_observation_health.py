"""Health: every check at its boundary, side by side, each under its own time-out."""

from __future__ import annotations

import asyncio
from collections import namedtuple
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest

from grinder.observation.alerts import NS, Alert
from grinder.observation.health import (
    GIB,
    Check,
    DataFreshness,
    DiskSpace,
    ExchangeConnection,
    Health,
    HealthReport,
    Ledger,
    PositionSync,
    RiskLimits,
    run_checks,
)
from replay.virtual_time import VirtualTimeLoop

NOW = 1_000 * NS


def now() -> int:
    return NOW


def fault(check: Check) -> str:
    return asyncio.run(check.fault())


@attrs.frozen
class Says:
    """A check that does what it is told."""

    work: Callable[[], Awaitable[str]]
    name: str = "says"
    timeout_s: float = 1.0

    async def fault(self) -> str:
        return await self.work()


async def well() -> str:
    return ""


async def ill() -> str:
    return "a leg is broken"


async def raises() -> str:
    raise RuntimeError("an arm is broken")


async def forever() -> str:
    await asyncio.sleep(60)
    return ""


def test_no_checks_are_unhealthy() -> None:
    assert not asyncio.run(run_checks([])).healthy


def test_checks_run_side_by_side_and_a_slow_one_is_cut_off() -> None:
    checks = [Says(forever, name, 0.05) for name in "abc"] + [Says(well, "d"), Says(raises, "e")]

    loop = VirtualTimeLoop()
    report = loop.run_until_complete(run_checks(checks))
    assert loop.time() == pytest.approx(0.05), "one after the other would take three times as long"
    loop.close()
    assert [(one.name, one.healthy) for one in report.results] == [
        ("a", False),
        ("b", False),
        ("c", False),
        ("d", True),
        ("e", False),
    ]
    assert report.results[0].message == "Timeout after 0.05 s"
    assert report.results[4].message == "RuntimeError: an arm is broken"
    assert report.results[0].duration_ns > 40_000_000
    assert not report.healthy


def test_three_failures_in_a_row_trigger_once_and_recovery_is_told() -> None:
    told: list[Alert] = []
    triggers: list[HealthReport] = []
    state = {"fault": "a leg is broken"}

    async def sometimes() -> str:
        return state["fault"]

    health = Health([Says(sometimes)], told.append, triggers.append)

    async def go() -> None:
        await health.look()
        await health.look()
        assert not triggers
        await health.look()
        await health.look()
        assert (len(triggers), health.failures) == (1, 4)
        state["fault"] = ""
        await health.look()

    asyncio.run(go())
    assert [(one.level, one.kind) for one in told] == [
        ("WARNING", "unhealthy"),
        ("CRITICAL", "unhealthy_for_long"),
        ("INFO", "healthy"),
    ]
    assert told[0].detail == {"says": "a leg is broken"}
    assert health.failures == 0


def test_a_health_watch_looks_again_and_again() -> None:
    seen = []

    async def counted() -> str:
        seen.append(1)
        return ""

    async def go() -> None:
        watch = asyncio.create_task(Health([Says(counted)]).watch(0.01))
        await asyncio.sleep(0.08)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    asyncio.run(go())
    assert len(seen) >= 3


@pytest.mark.parametrize(
    ("connected", "answered_ns", "healthy"),
    [
        (True, NOW, True),
        (True, NOW - 30 * NS + 1, True),
        (True, NOW - 30 * NS, False),
        (True, 0, False),
        (False, NOW, False),
    ],
)
def test_the_exchange_is_there_when_streams_are_up_and_a_request_was_answered(
    connected: bool, answered_ns: int, healthy: bool
) -> None:
    check = ExchangeConnection(connected=lambda: connected, last_answer_ns=lambda: answered_ns, clock=now)
    assert (fault(check) == "") == healthy


@pytest.mark.parametrize(
    ("ages", "healthy"),
    [({"A": 0, "B": 2 * NS}, True), ({"A": 0, "B": 2 * NS + 1}, False), ({"A": 0}, False)],
)
def test_data_is_fresh_when_the_oldest_price_is_two_seconds_old_at_most(
    ages: dict[str, int], healthy: bool
) -> None:
    received = {symbol: NOW - age for symbol, age in ages.items()}
    check = DataFreshness(received_ns=lambda: received, symbols=lambda: ("A", "B"), clock=now)
    assert (fault(check) == "") == healthy


@pytest.mark.parametrize(
    ("age_s", "drift_ppm", "healthy"),
    [(0, 0, True), (120, 10_000, True), (121, 0, False), (0, 10_001, False)],
)
def test_positions_agree_when_compared_lately_and_alike(age_s: int, drift_ppm: int, healthy: bool) -> None:
    check = PositionSync(last_reconcile_ns=lambda: NOW - age_s * NS, drift_ppm=lambda: drift_ppm, clock=now)
    assert (fault(check) == "") == healthy


def test_positions_never_compared_do_not_agree() -> None:
    assert fault(PositionSync(last_reconcile_ns=lambda: 0, drift_ppm=lambda: 0, clock=now))


@pytest.mark.parametrize(
    ("halted", "fallen", "limit", "kill", "healthy"),
    [
        ("", 0, 0, False, True),
        ("", 29_999, 30_000, False, True),
        ("", 30_000, 30_000, False, False),
        ("", 900_000, 0, False, True),
        ("session_drawdown", 0, 0, False, False),
        ("", 0, 0, True, False),
    ],
)
def test_risk_is_well_below_its_limits(
    halted: str, fallen: int, limit: int, kill: bool, healthy: bool
) -> None:
    check = RiskLimits(
        halted=lambda: halted,
        drawdown_ppm=lambda: fallen,
        limit_ppm=lambda: limit,
        kill_switch=lambda: kill,
    )
    assert (fault(check) == "") == healthy


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("total", "free", "healthy"),
    [
        (100 * GIB, 10 * GIB, True),
        (100 * GIB, 10 * GIB - 1, False),
        (5 * GIB, GIB, True),
        (5 * GIB, GIB - 1, False),
    ],
)
def test_a_tenth_of_the_disk_and_a_gibibyte_must_be_free(total: int, free: int, healthy: bool) -> None:
    check = DiskSpace(path=Path("/"), usage=lambda path: Usage(total, total - free, free))
    assert (fault(check) == "") == healthy


def test_a_real_disk_can_be_asked(tmp_path: Path) -> None:
    assert fault(DiskSpace(path=tmp_path, least_share=0, least_bytes=1)) == ""
    assert fault(DiskSpace(path=tmp_path, least_share=0, least_bytes=1 << 60))


def test_a_ledger_that_failed_or_does_not_verify_is_unhealthy() -> None:
    assert fault(Ledger(failure=lambda: None)) == ""
    assert "disk full" in fault(Ledger(failure=lambda: OSError("disk full")))
    assert fault(Ledger(failure=lambda: None, verified=lambda: False))
