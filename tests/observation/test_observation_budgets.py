"""Budgets: what may take how long, and when it has taken too long."""

from __future__ import annotations

import math
import random

import pytest

from grinder.observation.alerts import NS, Alert
from grinder.observation.budgets import BUDGETS, MS, Budgets, is_broken
from grinder.observation.uptime import WINDOW_NS, Uptime


def test_the_table_is_that_of_the_specification() -> None:
    assert {one.stage: (one.budget_ms, one.target_ms) for one in BUDGETS} == {
        "ws_receive": (5, 2),
        "parse_validate": (2, 1),
        "feature_compute": (10, 5),
        "policy_decision": (10, 5),
        "risk_check": (5, 2),
        "order_placement": (50, 30),
        "total": (82, 45),
    }


@pytest.mark.parametrize("seen", [1, 2, 50, 99, 100, 101, 199, 200, 1000, 3412])
def test_a_budget_is_broken_exactly_when_the_nearest_rank_percentile_is_above_it(seen: int) -> None:
    chance = random.Random(seen)
    for over in {0, 1, 2, seen // 100, seen // 100 + 1, seen}:
        if over > seen:
            continue
        durations = [11] * over + [10] * (seen - over)
        chance.shuffle(durations)
        percentile = sorted(durations)[math.ceil(0.99 * seen) - 1]
        assert is_broken(seen, over) == (percentile > 10)


def test_a_breach_is_told_lasts_a_minute_and_ends() -> None:
    told: list[Alert] = []
    budgets = Budgets(notify=told.append)
    window = budgets.windows["parse_validate"]
    for _ in range(98):
        window.observe(1 * MS)
    window.observe(3 * MS)
    window.observe(7 * MS)
    (breach,) = budgets.check(10 * NS)
    assert (breach.stage, breach.seen, breach.over, breach.longest_ns) == ("parse_validate", 100, 2, 7 * MS)
    assert [(one.level, one.kind) for one in told] == [("WARNING", "slow_parse_validate")]
    for second in range(20, 70, 10):
        assert budgets.check(second * NS)
    assert budgets.broken_for_ns("parse_validate", 60 * NS) == 50 * NS
    assert budgets.check(70 * NS) == ()
    assert budgets.broken_for_ns("parse_validate", 70 * NS) == 0


def test_one_slow_one_among_many_breaks_nothing() -> None:
    budgets = Budgets()
    window = budgets.windows["total"]
    for _ in range(500):
        window.observe(82 * MS)
    for _ in range(5):
        window.observe(900 * MS)
    assert budgets.check(NS) == ()


def test_uptime_is_one_less_the_outages_of_thirty_days() -> None:
    uptime = Uptime(0)
    uptime.up(0)
    assert uptime.share(1000) == 1
    uptime.down(1000)
    uptime.up(1100)
    assert uptime.share(2000) == pytest.approx(0.95)
    uptime.down(3000)
    assert uptime.share(4000) == pytest.approx(1 - 1100 / 4000)
    assert not uptime.is_up
    uptime.up(4000)
    later = WINDOW_NS + 3500
    assert uptime.share(later) == pytest.approx(1 - 500 / WINDOW_NS)
    assert uptime.share(later + WINDOW_NS) == 1


def test_a_stream_that_never_came_up_has_no_uptime() -> None:
    assert Uptime(5).share(5) == 0
    assert Uptime(5).share(500) == 0
