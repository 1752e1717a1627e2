"""Time bars from ticks: boundaries, gaps, late and bad ticks, what a bar says of its trades."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marl_series import MONDAY_NS

from grinder.marl.bars.closed import Bar
from grinder.marl.bars.tick_bars import TickFault, TimeBarBuilder, time_bars
from grinder.marl.schema import MINUTE_NS, TACTICAL_NS

LENGTH = TACTICAL_NS
T0 = MONDAY_NS


def ohlc(bar: Bar) -> tuple[float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close


def test_a_bar_tells_first_highest_lowest_and_last_price_volume_and_vwap() -> None:
    ticks = [(T0, 10.0, 1.0), (T0 + 1, 12.0, 2.0), (T0 + 2, 9.0, 1.0), (T0 + LENGTH - 1, 11.0, 4.0)]
    bars, builder = time_bars([*ticks, (T0 + LENGTH, 11.5, 1.0)], LENGTH)
    (bar,) = [bars.bar(0)] if len(bars) == 1 else []
    assert ohlc(bar) == (10.0, 12.0, 9.0, 11.0)
    assert (bar.start_ns, bar.end_ns) == (T0, T0 + LENGTH)
    assert bar.volume == 8.0
    assert bar.vwap == pytest.approx((10 * 1 + 12 * 2 + 9 * 1 + 11 * 4) / 8)
    assert (bar.tick_count, bar.synthetic) == (4, False)
    assert builder.accepted == 5


def test_a_tick_at_the_boundary_belongs_to_the_next_bar() -> None:
    builder = TimeBarBuilder(LENGTH)
    assert builder.tick(T0 + LENGTH - 1, 10.0, 1.0).closed == ()
    (closed,) = builder.tick(T0 + LENGTH, 20.0, 1.0).closed
    assert ohlc(closed) == (10.0, 10.0, 10.0, 10.0)


def test_a_bar_starts_on_the_grid_wherever_its_first_tick_fell() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0 + 7 * MINUTE_NS, 10.0, 1.0)
    (bar,) = builder.clock(T0 + 2 * LENGTH)
    assert bar.start_ns == T0 + LENGTH


def test_a_clock_event_at_the_boundary_closes_the_bar_and_one_before_it_does_not() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0 + 5, 10.0, 1.0)
    assert builder.clock(T0 + LENGTH - 1) == ()
    assert [bar.start_ns for bar in builder.clock(T0 + LENGTH)] == [T0]
    assert builder.clock(T0 + LENGTH) == ()


def test_a_quiet_market_still_emits_on_the_clock() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0, 10.0, 1.0)
    builder.clock(T0 + LENGTH)
    (quiet,) = builder.clock(T0 + 2 * LENGTH)
    assert ohlc(quiet) == (10.0, 10.0, 10.0, 10.0)
    assert (quiet.volume, quiet.vwap, quiet.tick_count, quiet.synthetic) == (0.0, 10.0, 0, True)


def test_every_missing_interval_repeats_the_close_before_it() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0, 10.0, 1.0)
    builder.tick(T0 + 1, 10.4, 1.0)
    closed = builder.tick(T0 + 4 * LENGTH, 10.5, 1.0).closed
    assert [bar.start_ns for bar in closed] == [T0 + i * LENGTH for i in range(4)]
    assert [bar.synthetic for bar in closed] == [False, True, True, True]
    assert all(ohlc(bar) == (10.4,) * 4 and bar.volume == 0 for bar in closed[1:])


def test_nothing_is_filled_before_the_first_tick() -> None:
    builder = TimeBarBuilder(LENGTH)
    assert builder.clock(T0 + 10 * LENGTH) == ()
    assert builder.tick(T0 + 10 * LENGTH, 10.0, 1.0).closed == ()


def test_nothing_is_filled_across_a_session_break_and_its_ticks_still_count() -> None:
    builder = TimeBarBuilder(LENGTH, breaks=[(T0 + 2 * LENGTH, T0 + 5 * LENGTH)])
    builder.tick(T0, 10.0, 1.0)
    builder.tick(T0 + 3 * LENGTH, 10.1, 1.0)
    closed = builder.tick(T0 + 6 * LENGTH, 10.2, 1.0).closed
    assert [(bar.start_ns - T0) // LENGTH for bar in closed] == [3, 5]
    assert [bar.synthetic for bar in closed] == [False, True]


@pytest.mark.parametrize(
    ("price", "volume", "fault"),
    [
        (0.0, 1.0, TickFault.PRICE),
        (-1.0, 1.0, TickFault.PRICE),
        (1.0, -0.1, TickFault.VOLUME),
        (math.nan, 1.0, TickFault.NOT_FINITE),
        (math.inf, 1.0, TickFault.NOT_FINITE),
        (1.0, math.nan, TickFault.NOT_FINITE),
    ],
)
def test_a_bad_tick_is_rejected_with_its_reason_and_changes_nothing(
    price: float, volume: float, fault: TickFault
) -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0, 10.0, 1.0)
    assert builder.tick(T0 + LENGTH, price, volume).fault is fault
    assert builder.rejected == {fault: 1}
    (bar,) = builder.clock(T0 + LENGTH)
    assert ohlc(bar) == (10.0,) * 4


def test_a_tick_without_volume_counts_and_leaves_the_vwap_at_the_close() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0, 10.0, 0.0)
    builder.tick(T0 + 1, 10.2, 0.0)
    (bar,) = builder.clock(T0 + LENGTH)
    assert (bar.vwap, bar.tick_count, bar.synthetic) == (10.2, 2, False)


def test_a_tick_for_a_closed_bar_is_late_and_counted() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0, 10.0, 1.0)
    builder.clock(T0 + LENGTH)
    assert builder.tick(T0 + LENGTH, 10.2, 1.0).fault is None
    late = builder.tick(T0 + LENGTH - 1, 10.1, 1.0)
    assert (late.fault, late.closed) == (TickFault.LATE, ())
    assert builder.rejected[TickFault.LATE] == 1


def test_a_tick_out_of_order_within_the_forming_bar_is_used() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0 + 10, 10.0, 1.0)
    assert builder.tick(T0 + 5, 10.1, 1.0).fault is None
    (bar,) = builder.clock(T0 + LENGTH)
    assert (bar.open, bar.close, bar.tick_count) == (10.0, 10.1, 2)


def test_a_jump_of_more_than_five_percent_is_flagged_and_used() -> None:
    builder = TimeBarBuilder(LENGTH)
    flags = [builder.tick(T0 + i, price, 1.0).jump for i, price in enumerate((100.0, 104.9, 110.2, 104.0))]
    assert flags == [False, False, True, True]
    assert builder.jumps == 2
    (bar,) = builder.clock(T0 + LENGTH)
    assert bar.high == 110.2


def test_a_clock_that_goes_back_changes_nothing() -> None:
    builder = TimeBarBuilder(LENGTH)
    builder.tick(T0 + 2 * LENGTH, 10.0, 1.0)
    assert builder.clock(T0) == ()
    assert builder.tick(T0 + 2 * LENGTH + 1, 10.0, 1.0).fault is None


@st.composite
def tick_lists(draw: st.DrawFn) -> list[tuple[int, float, float]]:
    steps = draw(st.lists(st.integers(0, 2 * LENGTH), min_size=1, max_size=40))
    prices = st.floats(1.0, 1000.0)
    at, ticks = T0, []
    for one in steps:
        at += one
        ticks.append((at, draw(prices), draw(st.floats(0.0, 50.0))))
    return ticks


@given(tick_lists())
def test_bars_touch_each_other_and_hold_all_ticks(ticks: list[tuple[int, float, float]]) -> None:
    bars, builder = time_bars(ticks, LENGTH, until_ns=ticks[-1][0] + LENGTH)
    assert builder.accepted == len(ticks)
    assert (bars.end_ns[:-1] == bars.start_ns[1:]).all()
    assert bars.tick_count.sum() == len(ticks)
    for index in range(len(bars)):
        bar = bars.bar(index)
        inside = [one for one in ticks if bar.start_ns <= one[0] < bar.end_ns]
        assert bar.synthetic == (not inside)
        if inside:
            prices = [price for _, price, _ in inside]
            assert ohlc(bar) == (prices[0], max(prices), min(prices), prices[-1])
            assert bar.volume == pytest.approx(sum(volume for _, _, volume in inside))
            assert bar.low * (1 - 1e-9) <= bar.vwap <= bar.high * (1 + 1e-9)


@given(tick_lists(), st.lists(st.integers(0, 40 * LENGTH), max_size=10))
def test_clock_events_change_when_bars_come_and_never_what_they_are(
    ticks: list[tuple[int, float, float]], clocks: list[int]
) -> None:
    until = ticks[-1][0] + LENGTH
    plain, _ = time_bars(ticks, LENGTH, until_ns=until)
    builder = TimeBarBuilder(LENGTH)
    rows: list[Bar] = []
    told = [(T0 + at, 0, None) for at in clocks if T0 + at <= until] + [(one[0], 1, one) for one in ticks]
    events = sorted(told, key=lambda event: event[:2])
    for at, _, tick in events:
        rows += builder.clock(at) if tick is None else builder.tick(*tick).closed
    rows += builder.clock(until)
    assert rows == [plain.bar(index) for index in range(len(plain))]
