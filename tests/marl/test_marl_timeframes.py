"""Thirty minutes from five: exact aggregates, complete ones only, in order, and never a forming one."""

from __future__ import annotations

import numpy as np
import pytest
from marl_series import MONDAY_NS, walk

from grinder.marl.bars.aggregation import Joiner, TimeframesBuilder, aggregate, filled
from grinder.marl.bars.closed import COLUMNS, Bar, Bars, from_candles, latest_closed, stacked
from grinder.marl.bars.tick_bars import time_bars
from grinder.marl.matrices.features import features
from grinder.marl.schema import MINUTE_NS, STRATEGIC_NS, TACTICAL_NS


def same(left: Bars, right: Bars) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in COLUMNS)


def test_a_half_hour_is_the_aggregate_of_its_six_bars() -> None:
    short = walk(60, 1)
    long = aggregate(short, STRATEGIC_NS)
    assert len(long) == 10
    for index in range(10):
        six = [short.bar(index * 6 + part) for part in range(6)]
        bar = long.bar(index)
        assert (bar.start_ns, bar.end_ns) == (six[0].start_ns, six[5].end_ns)
        assert (bar.open, bar.close) == (six[0].open, six[5].close)
        assert bar.high == max(one.high for one in six)
        assert bar.low == min(one.low for one in six)
        volume = sum(one.volume for one in six)
        assert bar.volume == pytest.approx(volume, rel=1e-14)
        assert bar.vwap == pytest.approx(sum(one.vwap * one.volume for one in six) / volume, rel=1e-14)


def test_bars_of_ticks_and_aggregated_bars_agree() -> None:
    draw = np.random.default_rng(5)
    times = MONDAY_NS + np.sort(draw.integers(0, 12 * STRATEGIC_NS, 800))
    prices = 100 + np.round(np.cumsum(draw.normal(0, 0.05, 800)), 2)
    ticks = list(
        zip(times.tolist(), prices.tolist(), draw.integers(1, 9, 800).astype(float).tolist(), strict=True)
    )
    until = MONDAY_NS + 12 * STRATEGIC_NS
    short, _ = time_bars(ticks, TACTICAL_NS, until)
    long, _ = time_bars(ticks, STRATEGIC_NS, until)
    joined = aggregate(short, STRATEGIC_NS)
    assert len(joined) == len(long) == 12
    for name in ("start_ns", "end_ns", "open", "high", "low", "close", "volume", "tick_count", "synthetic"):
        assert np.array_equal(getattr(joined, name), getattr(long, name)), name
    assert joined.vwap == pytest.approx(long.vwap, rel=1e-13)


def test_a_half_hour_with_a_hole_does_not_exist() -> None:
    short = walk(24, 2)
    keep = np.ones(24, dtype=np.bool_)
    keep[[0, 14]] = False
    long = aggregate(short[keep], STRATEGIC_NS)
    assert ((long.start_ns - MONDAY_NS) // STRATEGIC_NS).tolist() == [1, 3]


def test_a_forming_half_hour_does_not_exist() -> None:
    for count in range(6):
        assert len(aggregate(walk(count, 3), STRATEGIC_NS)) == 0


def test_a_half_hour_is_synthetic_only_when_all_of_it_is() -> None:
    short = walk(18, 4)
    keep = np.ones(18, dtype=np.bool_)
    keep[[3, *range(6, 12)]] = False
    long = aggregate(filled(short[keep]), STRATEGIC_NS)
    assert long.synthetic.tolist() == [False, True, False]
    assert (long.volume[1], long.vwap[1]) == (0.0, short.close[5])


def test_bars_joined_as_they_close_are_those_aggregated_at_once() -> None:
    short = walk(100, 5)
    keep = np.ones(100, dtype=np.bool_)
    keep[[2, 50, 51]] = False
    joiner = Joiner(TACTICAL_NS, STRATEGIC_NS)
    kept = short[keep]
    joined = [bar for index in range(len(kept)) if (bar := joiner.push(kept.bar(index))) is not None]
    assert same(stacked(joined, STRATEGIC_NS), aggregate(kept, STRATEGIC_NS))
    assert joiner.incomplete == 2


def test_at_a_shared_boundary_five_minutes_come_before_thirty() -> None:
    builder = TimeframesBuilder()
    builder.tick(MONDAY_NS, 10.0, 1.0)
    emitted = builder.clock(MONDAY_NS + 2 * STRATEGIC_NS)
    lengths = [(bar.end_ns - bar.start_ns) // MINUTE_NS for bar in emitted]
    assert lengths == [5, 5, 5, 5, 5, 5, 30, 5, 5, 5, 5, 5, 5, 30]
    assert [bar.end_ns for bar in emitted] == sorted(bar.end_ns for bar in emitted)


def test_a_tick_past_the_half_hour_emits_both_bars() -> None:
    builder = TimeframesBuilder()
    emitted: list[Bar] = []
    for part in range(7):
        taken, closed = builder.tick(MONDAY_NS + part * TACTICAL_NS, 10.0 + part, 1.0)
        assert taken.fault is None
        emitted += closed
    assert len(emitted) == 7
    assert (emitted[-1].open, emitted[-1].close, emitted[-1].volume) == (10.0, 15.0, 6.0)


def test_bars_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        aggregate(walk(10, 1, 4 * MINUTE_NS), STRATEGIC_NS)


def test_the_latest_closed_half_hour_is_read_and_never_the_forming_one() -> None:
    short = walk(20, 6)
    long = aggregate(short, STRATEGIC_NS)
    assert latest_closed(long, short.end_ns).tolist() == [-1] * 5 + [0] * 6 + [1] * 6 + [2] * 3


def test_what_a_five_minute_bar_knows_of_half_hours_is_the_same_whatever_comes_after() -> None:
    short = walk(200, 7)
    whole = features(short)
    for count in (0, 5, 6, 7, 100, 119, 120, 121):
        part = features(short[:count])
        assert np.array_equal(part.closed, whole.closed[:count])
        assert np.array_equal(part.closes_30m, whole.closes_30m[:count])
        assert same(part.bars_30m, whole.bars_30m[: count // 6])
        assert (short.end_ns[:count] >= np.append(part.bars_30m.end_ns, 0)[part.closed]).all()


def test_a_half_hour_after_a_break_is_told_once() -> None:
    short = walk(60, 8)
    keep = np.ones(60, dtype=np.bool_)
    keep[12:30] = False
    found = features(short[keep])
    told = found.bars_30m.start_ns[found.closed[found.closes_30m]]
    assert told.tolist() == found.bars_30m.start_ns.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": [0, 0]}, "increase"),
        ({"starts": [0, TACTICAL_NS + 1]}, "multiples"),
        ({"low": [0.0, 1.0]}, "bar 0"),
        ({"high": [2.0, 1.4]}, "bar 1"),
        ({"low": [1.0, np.nan]}, "bar 1"),
        ({"volume": [-1.0, 1.0]}, "volume"),
        ({"volume": [1.0]}, "one length"),
    ],
)
def test_columns_that_are_no_bars_are_refused(change: dict[str, list[float]], message: str) -> None:
    column = {
        "starts": [0, TACTICAL_NS],
        "high": [2.0, 2.0],
        "low": [1.0, 1.0],
        "volume": [1.0, 1.0],
    } | change
    starts = np.array(column["starts"], dtype=np.int64)
    opened = np.array([1.5, 1.5])
    with pytest.raises(ValueError, match=message):
        Bars(
            bar_ns=TACTICAL_NS,
            start_ns=starts,
            end_ns=starts + TACTICAL_NS,
            open=opened,
            high=np.array(column["high"]),
            low=np.array(column["low"]),
            close=opened,
            volume=np.array(column["volume"]),
            vwap=opened,
            tick_count=np.zeros(2, dtype=np.int64),
            synthetic=np.zeros(2, dtype=np.bool_),
        )


def test_candles_of_one_minute_become_bars_of_five() -> None:
    minute = walk(61, 9, MINUTE_NS)
    five = aggregate(minute, TACTICAL_NS)
    assert len(five) == 12
    assert five.close.tolist() == minute.close[4:60:5].tolist()
    assert five.high.tolist() == minute.high[:60].reshape(12, 5).max(axis=1).tolist()


def test_a_candle_does_not_say_its_vwap_and_the_typical_price_stands_for_it() -> None:
    prices = tuple(np.array([one, one]) for one in (10.0, 13.0, 9.0, 11.0))
    bars = from_candles(
        TACTICAL_NS,
        np.array([0, TACTICAL_NS]),
        (prices[0], prices[1], prices[2], prices[3]),
        np.array([2.0, 0.0]),
    )
    assert bars.vwap.tolist() == [11.0, 11.0]
    assert bars.tick_count.tolist() == [0, 0]
