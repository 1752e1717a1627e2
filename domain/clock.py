"""The clock: the one actor that says what time it is.

Law: time runs forward, a UTC day begins once, and equity is marked at fixed boundaries.  The clock never
reads a clock: it is told, by an input, that a boundary was reached, and answers with what that means.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from domain.inputs import PORTFOLIO, ClockReport, StartClock
from domain.record import Record, record
from domain.rejection import Refusal, Rejection
from domain.wake import ASLEEP, Wake

DAY_NS = 86_400 * 10**9


# --- events --------------------------------------------------------------------------------------------


@record("ClockStarted/1")
class ClockStarted(Record):
    """Equity is marked every `mark_interval_ns` from now on."""

    mark_interval_ns: int


@record("DayStarted/1")
class DayStarted(Record):
    """A UTC day began: `day` counts days since 1970."""

    day: int
    marks: tuple[tuple[str, int], ...]


@record("MarkDue/1")
class MarkDue(Record):
    """A boundary was reached: equity is to be marked at these prices, (symbol, ticks)."""

    now_ns: int
    marks: tuple[tuple[str, int], ...]


# --- state ---------------------------------------------------------------------------------------------


class ClockState(msgspec.Struct, frozen=True):
    """`now_ns` is the last boundary told, -1 before the first; `interval_ns` is 0 until the clock starts."""

    interval_ns: int = 0
    now_ns: int = -1
    day: int = -1


def initial() -> ClockState:
    """The state before any record."""
    return ClockState()


# --- evolve --------------------------------------------------------------------------------------------


def evolve(state: ClockState, event: Record) -> ClockState:
    """The state after an event."""
    if isinstance(event, MarkDue):
        return replace(state, now_ns=event.now_ns)
    if isinstance(event, DayStarted):
        return replace(state, day=event.day)
    if isinstance(event, ClockStarted):
        return replace(state, interval_ns=event.mark_interval_ns)
    return state


# --- decide --------------------------------------------------------------------------------------------


def decide(state: ClockState, now_ns: int, message: Record) -> tuple[Record, ...] | Rejection:
    """What a reached boundary means."""
    if isinstance(message, StartClock):
        if state.interval_ns:
            return Rejection(Refusal.ALREADY_OPEN, f"{state.interval_ns} ns")
        return (ClockStarted(mark_interval_ns=message.mark_interval_ns),)
    if not isinstance(message, ClockReport):
        return ()
    if now_ns < state.now_ns:
        return Rejection(Refusal.TIME_RUNS_BACK, f"{now_ns} after {state.now_ns}")
    day = now_ns // DAY_NS
    mark = MarkDue(now_ns=now_ns, marks=message.marks)
    if day > state.day:
        return (DayStarted(day=day, marks=message.marks), mark)
    return (mark,)


# --- route and wake ------------------------------------------------------------------------------------


def route(event: Record) -> tuple[str, ...]:
    """Actors that hear of an event."""
    return (PORTFOLIO,) if isinstance(event, (DayStarted, MarkDue)) else ()


def wake(state: ClockState) -> Wake:
    """The next boundary of the marking interval (midnight is one, whatever the interval)."""
    if not state.interval_ns:
        return ASLEEP
    if state.now_ns < 0:
        return Wake(at_ns=0)
    boundary = (state.now_ns // state.interval_ns + 1) * state.interval_ns
    midnight = (state.now_ns // DAY_NS + 1) * DAY_NS
    return Wake(at_ns=min(boundary, midnight))
