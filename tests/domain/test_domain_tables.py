"""The tables: every pair of an order's life, every pair of a level's, and the ids of orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import QUICK

from domain.levels import (
    LEVEL_TRANSITIONS,
    LONGEST_RETRY_NS,
    Level,
    LevelPhase,
    LevelTrigger,
    next_side,
    price_of,
    rests,
    retry_delay_ns,
)
from domain.orders import (
    NO_LEVEL,
    TERMINAL,
    TRANSITIONS,
    OrderStatus,
    Purpose,
    Trigger,
    client_order_id,
    diagram,
    grid_id,
    grid_of,
    level_of,
    next_status,
    purpose_of,
)

S, T = OrderStatus, Trigger

FROM_SPECIFICATION: dict[OrderStatus, set[OrderStatus]] = {
    S.PENDING: {S.OPEN, S.REJECTED, S.FILLED, S.PARTIALLY_FILLED, S.CANCELLED, S.EXPIRED, S.UNKNOWN},
    S.OPEN: {S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED},
    S.PARTIALLY_FILLED: {S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED},
    S.UNKNOWN: {S.OPEN, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.ABSENT},
    S.ABSENT: {S.OPEN, S.PARTIALLY_FILLED, S.FILLED},
}
"""Where an order may go, as the specification of execution has it, and out of silence by evidence."""

LEADS_TO = {
    T.ACCEPTED: {S.OPEN, S.PARTIALLY_FILLED},
    T.PARTIAL_FILL: {S.PARTIALLY_FILLED},
    T.FULL_FILL: {S.FILLED},
    T.CANCELLED: {S.CANCELLED},
    T.REJECTED: {S.REJECTED},
    T.EXPIRED: {S.EXPIRED},
    T.NO_ANSWER: {S.UNKNOWN},
    T.NOT_FOUND: {S.ABSENT},
}


@pytest.mark.parametrize("status", list(OrderStatus))
def test_an_order_goes_where_the_specification_lets_it_and_nowhere_else(status: OrderStatus) -> None:
    found = {next_status(status, trigger) for trigger in Trigger} - {None}
    assert found == FROM_SPECIFICATION.get(status, set())


@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_pair_is_in_the_table_or_has_no_next_status(status: OrderStatus, trigger: Trigger) -> None:
    found = next_status(status, trigger)
    assert (found is None) is ((status, trigger) not in TRANSITIONS)
    if found is not None:
        assert found in LEADS_TO[trigger]
        assert status not in TERMINAL


def test_the_table_has_every_pair_that_was_agreed_and_no_other() -> None:
    """A transition is added or removed only together with this list."""
    fills_and_ends = {T.PARTIAL_FILL, T.FULL_FILL, T.CANCELLED, T.EXPIRED}
    agreed = {
        S.PENDING: fills_and_ends | {T.ACCEPTED, T.REJECTED, T.NO_ANSWER},
        S.OPEN: fills_and_ends,
        S.PARTIALLY_FILLED: fills_and_ends | {T.ACCEPTED},
        S.UNKNOWN: fills_and_ends | {T.ACCEPTED, T.REJECTED, T.NOT_FOUND},
        S.ABSENT: {T.ACCEPTED, T.PARTIAL_FILL, T.FULL_FILL},
    }
    assert {(s, t) for s, triggers in agreed.items() for t in triggers} == set(TRANSITIONS)


def test_the_statuses_that_never_change_are_the_terminal_ones() -> None:
    assert {status for status, _ in TRANSITIONS} == set(OrderStatus) - TERMINAL


def test_every_status_can_be_reached() -> None:
    reached = {S.PENDING}
    while more := {to for (at, _), to in TRANSITIONS.items() if at in reached} - reached:
        reached |= more
    assert reached == set(OrderStatus)


def test_the_diagram_shows_every_transition_once_and_nothing_else() -> None:
    lines = [line.strip() for line in diagram().splitlines()]
    assert lines[:2] == ["stateDiagram-v2", "[*] --> pending"]
    arrows = [line for line in lines if ": " in line]
    assert sorted(arrows) == sorted(f"{a} --> {b}: {t}" for (a, t), b in TRANSITIONS.items())
    assert {line.split()[0] for line in lines if line.endswith("--> [*]")} == {s.value for s in TERMINAL}


# --- levels --------------------------------------------------------------------------------------------

P, L = LevelPhase, LevelTrigger

AGREED: dict[LevelPhase, dict[LevelTrigger, LevelPhase]] = {
    P.INITIAL: {L.ORDERED: P.OPENING},
    P.OPENING: {L.FILLED: P.HOLDING, L.ENDED_EMPTY: P.INITIAL, L.ENDED_HOLDING: P.HOLDING},
    P.HOLDING: {L.ORDERED: P.CLOSING},
    P.CLOSING: {L.FILLED: P.INITIAL, L.ENDED_HOLDING: P.HOLDING, L.ENDED_EMPTY: P.INITIAL},
}


@pytest.mark.parametrize("trigger", list(LevelTrigger))
@pytest.mark.parametrize("phase", list(LevelPhase))
def test_a_level_moves_as_the_specification_says(phase: LevelPhase, trigger: LevelTrigger) -> None:
    assert LEVEL_TRANSITIONS.get((phase, trigger)) is AGREED[phase].get(trigger)


@pytest.mark.parametrize(
    ("opening", "phase", "side"),
    [
        ("buy", P.INITIAL, "buy"),
        ("buy", P.OPENING, "buy"),
        ("buy", P.HOLDING, "sell"),
        ("buy", P.CLOSING, "sell"),
        ("sell", P.INITIAL, "sell"),
        ("sell", P.OPENING, "sell"),
        ("sell", P.HOLDING, "buy"),
        ("sell", P.CLOSING, "buy"),
    ],
)
def test_a_level_wants_one_side_at_a_time(opening: str, phase: LevelPhase, side: str) -> None:
    level = Level(index=0, buy_ticks=90, sell_ticks=110, lots=1, opening=opening, phase=phase)
    assert next_side(level) == side
    assert price_of(level, side) == (90 if side == "buy" else 110)


@pytest.mark.parametrize("phase", list(P))
@pytest.mark.parametrize("opening", ["buy", "sell"])
@pytest.mark.parametrize(
    ("side", "price", "may"),
    [("buy", 91, True), ("buy", 90, False), ("sell", 109, True), ("sell", 110, False)],
)
def test_an_order_rests_only_strictly_inside_its_price(
    opening: str, phase: LevelPhase, side: str, price: int, may: bool
) -> None:
    level = Level(index=0, buy_ticks=90, sell_ticks=110, lots=1, opening=opening, phase=phase)
    if next_side(level) == side:
        assert rests(level, price) is may


@QUICK
@given(st.integers(0, 10**6))
def test_the_pause_after_a_refusal_never_shrinks_and_never_passes_an_hour(refusals: int) -> None:
    assert retry_delay_ns(refusals) <= retry_delay_ns(refusals + 1) <= LONGEST_RETRY_NS


# --- ids -----------------------------------------------------------------------------------------------

parts = st.tuples(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFF),
    st.integers(0, 0xFFF),
    st.integers(0, NO_LEVEL),
    st.sampled_from(Purpose),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFF),
)


def id_of(part: tuple[int, int, int, int, Purpose, int, int]) -> str:
    ledger, symbol, run, level, purpose, cycle, attempt = part
    return client_order_id(grid_id(f"{ledger:08x}", symbol, run), level, purpose, cycle, attempt)


@QUICK
@given(one=parts, other=parts)
def test_an_order_id_names_its_order_and_no_other(
    one: tuple[int, int, int, int, Purpose, int, int], other: tuple[int, int, int, int, Purpose, int, int]
) -> None:
    order_id = id_of(one)
    assert len(order_id) == 32
    assert set(order_id) <= set("0123456789abcdef")
    assert grid_of(order_id) == grid_id(f"{one[0]:08x}", one[1], one[2])
    assert (level_of(order_id), purpose_of(order_id)) == (one[3], one[4])
    assert (order_id == id_of(other)) is (one == other)
