"""Text and floats become exact integers, times of any spelling become ns, integers become ticks."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import market_files as files
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_files import MINUTE_MS, T0_MS, T0_NS

from grinder.data import Kind, RawTable, read_file, to_ticks
from grinder.data.bars import path_prices, path_quantities
from grinder.data.fixed import decimal_text, fixed, from_floats, from_text
from grinder.data.times import iso, times
from grinder.errors import DataError
from replay.ticks import TickOrigin

ROW = np.arange(1, 9)
plain_numbers = st.decimals(-(10**9), 10**9, places=8, allow_nan=False).map(lambda d: f"{d:f}")


NO_NUMBERS = ("x", "", "-", ".", "1.2.3", "nan", "1-2", "1e999999999999999999", "1_000", "\x1d1", "٣x")


def texts(*values: str) -> np.ndarray:
    return np.array([value.encode() for value in values])


@given(st.lists(plain_numbers, min_size=1, max_size=20))
def test_text_keeps_its_exact_value(values: list[str]) -> None:
    read = from_text(texts(*values))
    assert [Decimal(m).scaleb(-read.decimals) for m in read.mantissa.tolist()] == [Decimal(v) for v in values]
    assert not read.bad


@given(st.integers(0, 8), st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20))
def test_floats_of_fifteen_digits_keep_their_exact_value(decimals: int, mantissas: list[int]) -> None:
    exact = [Decimal(m).scaleb(-decimals) for m in mantissas]
    wanted = [d for d in exact if abs(d) < 10 ** (15 - decimals)] or [Decimal(0)]
    read = from_floats(np.array([float(d) for d in wanted]))
    assert [Decimal(m).scaleb(-read.decimals) for m in read.mantissa.tolist()] == wanted


@pytest.mark.parametrize(
    ("written", "mantissa", "decimals"),
    [
        (("61837.63000000", "61837.60000000"), [6183763, 6183760], 2),
        (("1e-8", "2.5E+2", "0.1"), [1, 25_000_000_000, 10_000_000], 8),
        (("-0.0", "+3", " 4 "), [0, 3, 4], 0),
        (("123456789012345678",), [123456789012345678], 0),
        (("1234567890123456789.5", "1"), [12345678901234567895, 10], 1),
        (("100.0", "100.000", "7"), [100, 100, 7], 0),
    ],
)
def test_spellings_of_numbers(written: tuple[str, ...], mantissa: list[int], decimals: int) -> None:
    read = from_text(texts(*written))
    if max(mantissa) > 2**63 - 1:
        assert [index for index, _ in read.bad] == [0]
        return
    assert (read.mantissa.tolist(), read.decimals) == (mantissa, decimals)


def test_float_noise_is_forgiven() -> None:
    read = from_floats(np.array([0.09946999000000001, 0.0169325, 0.30000000000000004]))
    assert (read.mantissa.tolist(), read.decimals) == ([9946999, 1693250, 30000000], 8)


def test_noise_printed_in_full_does_not_overflow_the_column() -> None:
    read = from_text(texts("2300413.7295", "203889.11713750003", "90000000.5"))
    assert read.mantissa[0] / 10**read.decimals == pytest.approx(2300413.7295, rel=1e-14)
    assert not read.bad


def test_cells_that_are_no_numbers_are_listed() -> None:
    assert from_text(texts("1", *NO_NUMBERS)).bad == tuple((i + 1, t) for i, t in enumerate(NO_NUMBERS))
    assert from_floats(np.array([1.0, np.nan, -np.inf, 1e300])).bad == (
        (1, "nan"),
        (2, "-inf"),
        (3, "1e+300"),
    )


def test_whole_numbers_need_no_decimals() -> None:
    assert fixed(np.array([3, 4])).decimals == 0
    assert (decimal_text(270, 5), decimal_text(100, 0), decimal_text(-5, 1)) == ("0.0027", "100", "-0.5")


@pytest.mark.parametrize(
    ("values", "unit", "ns"),
    [
        (np.array([1_700_000_000]), "s", T0_NS),
        (np.array([T0_MS]), "ms", T0_NS),
        (np.array([T0_MS * 1000 + 1]), "us", T0_NS + 1_000),
        (np.array([T0_NS + 1]), "ns", T0_NS + 1),
        (np.array([1_700_000_000.000001]), "s", T0_NS + 1_000),
        (np.array([T0_MS + 0.5]), "ms", T0_NS + 500_000),
        (texts("1700000000"), "s", T0_NS),
        (texts("1700000000.123456789"), "s", T0_NS + 123_456_789),
        (texts("2023-11-14 22:13:20"), "iso", T0_NS),
        (texts("2023-11-14T22:13:20.5Z"), "iso", T0_NS + 500_000_000),
        (texts("2023-11-14T22:13:20+00:00"), "iso", T0_NS),
        (texts("2023-11-15T00:13:20+02:00"), "iso", T0_NS),
        (np.array(["2023-11-14T22:13:20"], dtype="datetime64[ms]"), "datetime", T0_NS),
    ],
)
def test_spellings_of_times(values: np.ndarray, unit: str, ns: int) -> None:
    read = times(values, ROW)
    assert (read.unit, read.ns.tolist(), read.faults) == (unit, [ns], ())


def test_times_are_shown_with_the_digits_they_need() -> None:
    assert iso(T0_NS) == "2023-11-14T22:13:20Z"
    assert iso(T0_NS + 5_000_000) == "2023-11-14T22:13:20.005Z"
    assert iso(T0_NS + 1) == "2023-11-14T22:13:20.000000001Z"


def table(**columns: object) -> RawTable:
    rows = len(next(value for value in columns.values() if isinstance(value, list)))
    arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in columns.items()}
    return RawTable(ts=np.arange(rows) + T0_NS, price_decimals=2, qty_decimals=3, **arrays)  # type: ignore[arg-type]


@given(
    st.lists(st.integers(200, 10**9), min_size=1, max_size=30),
    st.sampled_from(["0.01", "0.05", "0.25", "1", "0.001", "3"]),
)
def test_touching_a_price_on_the_tick_is_decided_exactly(prices: list[int], step: str) -> None:
    """A buy at p is reached by a trade at x exactly when x <= p, for every p on the tick."""
    tick = Decimal(step)
    ticks = to_ticks(table(kind=Kind.TRADES, price=prices, qty=prices), "X", tick, Decimal("0.001"))
    for mantissa, price, low, high in zip(prices, ticks.price, ticks.low, ticks.high, strict=True):
        exact = Decimal(mantissa).scaleb(-2) / tick
        nearest = int(exact.to_integral_value(ROUND_HALF_EVEN))
        for order in range(nearest - 2, nearest + 3):
            assert (low <= order) == (exact <= order)
            assert (high >= order) == (exact >= order)
        assert price == nearest
    off = sum(Decimal(m).scaleb(-2) % tick != 0 for m in prices)
    assert ticks.off_tick_rows == off
    assert off or ticks.low is ticks.price is ticks.high


def test_quantities_are_floored_to_lots_even_to_nothing() -> None:
    raw = table(kind=Kind.TRADES, price=[100, 100, 100], qty=[1, 1999, 2000])
    ticks = to_ticks(raw, "X", Decimal("0.01"), Decimal(1))
    assert ticks.qty is not None and ticks.qty.tolist() == [0, 1, 2]


def test_quotes_between_ticks_are_rounded_apart() -> None:
    raw = table(kind=Kind.QUOTES, bid=[1004, 1000], ask=[1006, 1010], bid_qty=[1, 1], ask_qty=[1, 1])
    ticks = to_ticks(raw, "X", Decimal("0.1"), Decimal("0.001"))
    assert (ticks.bid.tolist(), ticks.ask.tolist()) == ([100, 100], [101, 101])  # type: ignore[union-attr]
    assert ticks.off_tick_rows == 1


@pytest.mark.parametrize("step", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("1e40")])
def test_an_impossible_tick_is_refused(step: Decimal) -> None:
    with pytest.raises(DataError, match="tick or lot"):
        to_ticks(table(kind=Kind.TRADES, price=[1], qty=[1]), "X", step, Decimal(1))


def test_a_price_below_half_a_tick_is_refused() -> None:
    with pytest.raises(DataError, match="less than half a tick"):
        to_ticks(table(kind=Kind.TRADES, price=[100, 49], qty=[1, 1]), "X", Decimal(1), Decimal(1))


def test_a_price_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="64 bits"):
        to_ticks(table(kind=Kind.TRADES, price=[10**15], qty=[1]), "X", Decimal("1e-9"), Decimal(1))


@pytest.mark.parametrize(
    ("bar", "path"),
    [
        ((100, 102, 99, 101), [100, 99, 102, 101]),
        ((100, 101, 98, 99), [100, 101, 98, 99]),
        ((100, 102, 98, 101), [100, 98, 102, 101]),
        ((100, 100, 100, 100), [100, 100, 100, 100]),
    ],
    ids=["low nearer", "high nearer", "a tie goes low first", "flat"],
)
def test_a_bar_walks_to_its_nearer_extreme_first(bar: tuple[int, ...], path: list[int]) -> None:
    opened, high, low, close = ([value] for value in bar)
    raw = table(kind=Kind.BARS, open=opened, high=high, low=low, close=close)
    assert path_prices(raw).tolist() == path


def test_a_bar_becomes_four_rows_inside_its_time(tmp_path: Path) -> None:
    content = files.csv("date,open,high,low,close,volume", files.CANDLES)
    (raw,) = read_file(files.write(tmp_path, content)).tables
    ticks = to_ticks(raw, "X", Decimal("0.5"), Decimal(1))
    minute = MINUTE_MS * 10**6
    assert (ticks.ts[:5] - T0_NS).tolist() == [0, minute // 4, minute // 2, minute - 1, minute]
    assert (ticks.origin, ticks.bar_ns, len(ticks)) == (TickOrigin.BARS, minute, 12)
    assert ticks.low is ticks.price is ticks.high
    assert ticks.qty is not None and ticks.qty.reshape(3, 4).sum(axis=1).tolist() == [8, 5, 0]
    assert path_quantities(np.array([7])).tolist() == [1, 1, 1, 4]
    assert ticks.side is None and ticks.bid is None
