"""The clock: boundaries, midnights, and time that may not run back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import QUICK, SECOND

from domain import clock
from domain.clock import DAY_NS, ClockStarted, ClockState, DayStarted, MarkDue
from domain.inputs import ClockReport, StartClock, TickReport
from domain.record import Record
from domain.rejection import Refusal, Rejection
from domain.wake import ASLEEP

MARKS = (("COINUSD", 105),)


def started(interval_ns: int) -> ClockState:
    (event,) = clock.decide(clock.initial(), 0, StartClock(mark_interval_ns=interval_ns))  # type: ignore[misc]
    assert event == ClockStarted(mark_interval_ns=interval_ns)
    return clock.evolve(clock.initial(), event)


def told(state: ClockState, now_ns: int) -> tuple[ClockState, tuple[Record, ...]]:
    events = clock.decide(state, now_ns, ClockReport(marks=MARKS))
    assert not isinstance(events, Rejection)
    for event in events:
        state = clock.evolve(state, event)
    return state, events


def test_a_clock_that_was_not_started_wants_nothing() -> None:
    assert clock.wake(clock.initial()) == ASLEEP


def test_a_started_clock_wants_to_be_told_the_time_at_once() -> None:
    assert clock.wake(started(60 * SECOND)).at_ns == 0


@pytest.mark.parametrize(
    ("interval", "now", "boundary"),
    [
        (60, 0, 60),
        (60, 59, 60),
        (60, 60, 120),
        (7, 86_399, 86_400),
        (7, 86_394, 86_400),
        (7, 86_380, 86_380 + 7 - 86_380 % 7),
        (100_000, 5, 86_400),
        (86_400, 86_400, 172_800),
    ],
)
def test_the_next_boundary_is_of_the_interval_or_midnight(interval: int, now: int, boundary: int) -> None:
    state, _ = told(started(interval * SECOND), now * SECOND)
    assert clock.wake(state).at_ns == boundary * SECOND


def test_a_day_begins_with_the_first_time_told_and_then_once_at_each_midnight() -> None:
    state, events = told(started(3_600 * SECOND), 5 * DAY_NS + 7)
    assert events == (DayStarted(day=5, marks=MARKS), MarkDue(now_ns=5 * DAY_NS + 7, marks=MARKS))
    state, events = told(state, 6 * DAY_NS - 1)
    assert events == (MarkDue(now_ns=6 * DAY_NS - 1, marks=MARKS),)
    state, events = told(state, 6 * DAY_NS)
    assert [type(one) for one in events] == [DayStarted, MarkDue]
    state, events = told(state, 6 * DAY_NS)
    assert [type(one) for one in events] == [MarkDue]


def test_time_may_stand_still_but_not_run_back() -> None:
    state, _ = told(started(60 * SECOND), 100)
    state, _ = told(state, 100)
    assert clock.decide(state, 99, ClockReport(marks=())) == Rejection(Refusal.TIME_RUNS_BACK, "99 after 100")


def test_a_clock_is_started_once() -> None:
    refused = clock.decide(started(60), 0, StartClock(mark_interval_ns=30))
    assert refused == Rejection(Refusal.ALREADY_OPEN, "60 ns")


def test_the_clock_hears_of_nothing_but_time() -> None:
    assert clock.decide(started(60), 0, TickReport(symbol="COINUSD", price_ticks=1)) == ()


def test_days_and_marks_go_to_the_portfolio_and_nothing_else_does() -> None:
    assert clock.route(DayStarted(day=1, marks=())) == ("portfolio",)
    assert clock.route(MarkDue(now_ns=1, marks=())) == ("portfolio",)
    assert clock.route(ClockStarted(mark_interval_ns=1)) == ()


@QUICK
@given(now=st.integers(0, 10 * DAY_NS), interval=st.integers(1, 2 * DAY_NS))
def test_the_next_boundary_is_always_ahead_and_never_past_midnight(now: int, interval: int) -> None:
    state, _ = told(started(interval), now)
    at = clock.wake(state).at_ns
    assert at is not None
    assert now < at <= (now // DAY_NS + 1) * DAY_NS
    assert at % interval == 0 or at % DAY_NS == 0
