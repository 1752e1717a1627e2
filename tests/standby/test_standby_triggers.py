"""When a standby takes over: one row for each thing it can see."""

from __future__ import annotations

import attrs
import pytest

from grinder.observation.health import HealthReport, HealthResult
from grinder.standby.beats import ACTIVE, Beat
from grinder.standby.lease import GAVE_UP, HANDED_OVER, STOPPED, STOPPING, Lease
from grinder.standby.processes import ProcessId
from grinder.standby.tenure import Rounds
from grinder.standby.triggers import Sight, reason_to_take_over

S = 10**9
NOW = 1_000 * S
OTHER = ProcessId(4, 2)

LEASE = Lease(boot="b", epoch=3, node="main", process=OTHER, taken_ns=100 * S)
BEAT = Beat(boot="b", at_ns=NOW, node="main", process=OTHER, role=ACTIVE, epoch=3, was_well=True)
SIGHT = Sight(node="standby", boot="b", now_ns=NOW, since_ns=200 * S, lease=LEASE, beat=BEAT)


def beat(**changes: object) -> Sight:
    return attrs.evolve(SIGHT, beat=attrs.evolve(BEAT, **changes))  # type: ignore[arg-type]


def lease(**changes: object) -> Sight:
    return attrs.evolve(SIGHT, lease=attrs.evolve(LEASE, **changes))  # type: ignore[arg-type]


NO_REASON = {
    "the holder is well": SIGHT,
    "a heartbeat of 4.9 s ago": beat(at_ns=NOW - 49 * S // 10),
    "a heartbeat of exactly 5 s ago": beat(at_ns=NOW - 5 * S),
    "two rounds of health checks that failed": beat(failed_rounds=2),
    "a holder that was never well": beat(failed_rounds=9, was_well=False),
    "a run that was stopped in order": attrs.evolve(lease(ended=STOPPED, ended_ns=200 * S), beat=None),
    "a run that gave up": attrs.evolve(lease(ended=GAVE_UP, ended_ns=200 * S), beat=None),
    "a holder that puts its orders in order": lease(ended=STOPPING, ended_ns=NOW - S),
    "an unwell holder that is about to end": attrs.evolve(
        lease(ended=STOPPING, ended_ns=NOW - S), beat=attrs.evolve(BEAT, failed_rounds=9)
    ),
    "a lease nobody ever took": attrs.evolve(SIGHT, lease=None, beat=None),
    "a lease taken a moment ago, no heartbeat yet": attrs.evolve(lease(taken_ns=NOW - S), beat=None),
    "a heartbeat of the holder before, the lease being new": attrs.evolve(
        lease(taken_ns=NOW - S, epoch=4), beat=attrs.evolve(BEAT, at_ns=NOW - 60 * S)
    ),
    "a standby that began to look 4 s ago": attrs.evolve(beat(at_ns=NOW - 60 * S), since_ns=NOW - 4 * S),
    "a handover to somebody else a moment ago": lease(ended=HANDED_OVER, ended_ns=NOW - S, heir="third"),
    "another boot, and a standby that began to look 4 s ago": attrs.evolve(
        lease(boot="a"), beat=attrs.evolve(BEAT, boot="a"), since_ns=NOW - 4 * S
    ),
}


@pytest.mark.parametrize("seen", NO_REASON.values(), ids=NO_REASON.keys())
def test_a_standby_stays_one_as_long_as_it_sees(seen: Sight) -> None:
    assert reason_to_take_over(seen) == ""


REASONS = {
    "a heartbeat of 5.1 s ago": (beat(at_ns=NOW - 51 * S // 10), "no heartbeat of main for 5.1 s"),
    "three rounds that failed": (beat(failed_rounds=3), "3 rounds of health checks of main failed"),
    "a handover to itself": (
        lease(ended=HANDED_OVER, ended_ns=NOW - S, heir="standby"),
        "handed over by main",
    ),
    "a handover nobody took": (
        lease(ended=HANDED_OVER, ended_ns=NOW - 6 * S, heir="third"),
        "third did not take over for 6.0 s",
    ),
    "a holder that died while it put its orders in order": (
        attrs.evolve(lease(ended=STOPPING, ended_ns=200 * S), beat=attrs.evolve(BEAT, at_ns=NOW - 6 * S)),
        "no heartbeat of main for 6.0 s",
    ),
    "heartbeats of another process of the holder's node": (
        attrs.evolve(beat(process=ProcessId(5, 2)), lease=attrs.evolve(LEASE, taken_ns=NOW - 6 * S)),
        "no heartbeat of main for 6.0 s",
    ),
    "a lease without any heartbeat": (
        attrs.evolve(lease(taken_ns=NOW - 7 * S), beat=None),
        "no heartbeat of main for 7.0 s",
    ),
    "a machine that was booted anew": (
        attrs.evolve(lease(boot="a"), beat=attrs.evolve(BEAT, boot="a"), since_ns=NOW - 6 * S),
        "no heartbeat of main for 6.0 s",
    ),
}


@pytest.mark.parametrize(("seen", "reason"), REASONS.values(), ids=REASONS.keys())
def test_a_standby_takes_over_when_it_sees(seen: Sight, reason: str) -> None:
    assert reason_to_take_over(seen) == reason


def test_only_rounds_in_a_row_count_and_only_what_another_process_might_mend() -> None:
    def round_of(**healthy: bool) -> HealthReport:
        return HealthReport(tuple(HealthResult(name, well, "", 0) for name, well in healthy.items()))

    rounds = Rounds()
    rounds.look(HealthReport(()))
    assert (rounds.failed, rounds.was_well) == (0, False)
    rounds.look(round_of(exchange_connection=True, risk_limits=False, disk_space=False))
    assert (rounds.failed, rounds.was_well) == (0, True), "a halt and a full disk are the same for both"
    bad = round_of(exchange_connection=False)
    rounds.look(bad)
    rounds.look(bad)
    assert rounds.failed == 1, "the same round, seen again"
    rounds.look(round_of(data_freshness=False))
    assert rounds.failed == 2
    rounds.look(round_of(data_freshness=True))
    assert rounds.failed == 0
