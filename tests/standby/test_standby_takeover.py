"""The steps of a takeover: in order, each in the ledger, and tried again until they are done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from fault_runs import played, records_of

from actors.ports import Connector, Unavailable
from domain.notes import FailoverReport
from grinder.errors import ExitStatus
from grinder.live.run import LiveRun
from grinder.live.sweeping import cancel_ours
from grinder.observation.alerts import Alert
from grinder.standby.lease import read_lease, take
from grinder.standby.tenure import Tenure

WHY = "no heartbeat of main for 5.1 s"


def taken_over(told: list[Alert]) -> Any:
    """What makes a run one that was taken over."""

    def during(run: LiveRun) -> None:
        path = run.folder.path
        run.tenure = Tenure(path, take(path, read_lease(path), "standby", WHY), failover=WHY)
        notify = run.watching.alerts

        def telling(alert: Alert) -> None:
            told.append(alert)
            notify(alert)

        run.watching.alerts = telling  # type: ignore[assignment]
        telling.close = notify.close  # type: ignore[attr-defined]

    return during


def events(path: Path) -> list[tuple[str, str]]:
    """Topic and what it is about, of what a takeover writes."""
    found = []
    for row in records_of(path / "ledger.db"):
        state = orjson.loads(row.state)
        name = row.topic.partition("/")[0]
        if name == "FailoverReport":
            found.append((name, state["step"]))
        elif name in ("PauseTrading", "ResumeTrading"):
            found.append((name, state["reason"]))
        elif name in ("ReconciliationReport", "OrderSubmitted") and (name, "") not in found:
            found.append((name, ""))
    return found


def test_the_steps_are_in_the_ledger_in_their_order_and_nothing_is_placed_before_the_last(
    tmp_path: Path,
) -> None:
    told: list[Alert] = []
    assert played(tmp_path, taken_over(told)) is ExitStatus.DONE
    found = events(tmp_path)
    begun = [
        ("FailoverReport", "lease"),
        ("PauseTrading", "failover"),
        ("FailoverReport", "cancel"),
        ("ReconciliationReport", ""),
        ("FailoverReport", "sync"),
        ("ResumeTrading", "failover"),
        ("FailoverReport", "activate"),
        ("FailoverReport", "alert"),
    ]
    assert [one for one in found if one in begun][: len(begun)] == begun
    assert found.index(("OrderSubmitted", "")) > found.index(("ResumeTrading", "failover"))
    (alert,) = [one for one in told if one.kind == "failover"]
    assert (alert.level, alert.text) == ("CRITICAL", f"standby has taken over: {WHY}")


def test_orders_that_cannot_be_cancelled_yet_are_tried_again_and_nothing_is_traded_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[list[tuple[str, str]]] = []

    async def failing(connector: Connector, ledger_id: str, **more: Any) -> int:
        tries.append(events(tmp_path))
        if len(tries) == 1:
            raise Unavailable("timeout", "the exchange is away")
        if len(tries) == 2:
            return 3
        return await cancel_ours(connector, ledger_id, **more)

    told: list[Alert] = []
    monkeypatch.setattr("grinder.live.failing_over.cancel_ours", failing)
    assert played(tmp_path, taken_over(told)) is ExitStatus.DONE
    assert len(tries) == 3
    assert tries[0] == tries[1] == tries[2], "nothing happened in between"
    stuck = [one.text for one in told if one.kind == "failover_stuck"]
    assert len(stuck) == 2 and "the exchange is away" in stuck[0] and "3 orders" in stuck[1]
    assert ("FailoverReport", "activate") in events(tmp_path)


def test_a_start_of_its_own_is_no_takeover(tmp_path: Path) -> None:
    def leased(run: LiveRun) -> None:
        run.tenure = Tenure(run.folder.path, take(run.folder.path, None, "main"))

    assert played(tmp_path, leased) is ExitStatus.DONE
    topics = {row.topic for row in records_of(tmp_path / "ledger.db")}
    assert FailoverReport.TOPIC not in topics
    assert ("PauseTrading", "failover") not in events(tmp_path)
