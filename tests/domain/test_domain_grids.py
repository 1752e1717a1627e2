"""Every grid kind in the registry, whatever its parameters; and the vectors of the specification."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import COIN, FINE, QUICK, bounded, centered, instrument

from domain.grids.geometric import integer_root
from domain.grids.ladder import Ladder, SkipReason, build, nearest_boundary
from domain.grids.registry import GRID_KINDS
from domain.grids.spec import BOUNDED, CENTERED, GridSpec
from domain.instrument import Instrument, notional

KINDS = [(name, form) for name, kind in sorted(GRID_KINDS.items()) for form in sorted(kind.forms)]


@st.composite
def specs(draw: st.DrawFn, spacing: str, form: str) -> GridSpec:
    """Any specification of a kind and form, absurdly narrow and wide ones included."""
    sized = draw(st.booleans())
    lots = draw(st.integers(1, 50)) if sized else 0
    level_quote = 0 if sized else draw(st.sampled_from([1, 10**11, 10**12, 10**14]))
    count = draw(st.integers(2, 40))
    if form == BOUNDED:
        lower = draw(st.integers(1, 10**6))
        upper = lower + draw(st.integers(1, 10**6))
        return bounded(lower, upper, count, lots, spacing=spacing, level_quote=level_quote)
    center, ppm = draw(st.integers(1, 10**6)), draw(st.integers(1, 200_000))
    return centered(center, ppm, count, lots, spacing=spacing, level_quote=level_quote)


instruments = st.sampled_from(
    [COIN, FINE, instrument(FINE, min_notional=0), instrument(COIN, min_notional=10**7)]
)


def cases(spacing: str, form: str) -> st.SearchStrategy[tuple[GridSpec, Instrument]]:
    return st.tuples(specs(spacing, form), instruments)


def everything(ladder: Ladder) -> list[tuple[int, int, int]]:
    """(index, buy, sell) of every level, skipped or not, by index."""
    return sorted((one.index, one.buy_ticks, one.sell_ticks) for one in (*ladder.levels, *ladder.skipped))


@pytest.mark.parametrize(("spacing", "form"), KINDS)
def test_prices_ascend_and_lie_within_the_bounds(spacing: str, form: str) -> None:
    @QUICK
    @given(specs(spacing, form))
    def check(spec: GridSpec) -> None:
        prices = GRID_KINDS[spacing].prices(spec)
        assert all(isinstance(price, Fraction) for price in prices)
        assert all(a < b for a, b in pairwise(prices))
        assert all(price > 0 for price in prices)
        if form == BOUNDED:
            assert len(prices) == spec.count + 1
            assert (prices[0], prices[-1]) == (spec.lower_ticks, spec.upper_ticks)
        else:
            assert spec.center_ticks in prices
            above = sum(price > spec.center_ticks for price in prices)
            assert above == spec.count
            assert len(prices) <= 2 * spec.count + 1

    check()


@pytest.mark.parametrize(("spacing", "form"), KINDS)
def test_levels_ascend_on_the_tick_and_within_the_bounds(spacing: str, form: str) -> None:
    @QUICK
    @given(cases(spacing, form))
    def check(case: tuple[GridSpec, Instrument]) -> None:
        spec, one = case
        ladder = build(spec, one)
        for level in ladder.levels:
            assert 0 < level.buy_ticks < level.sell_ticks
            if form == BOUNDED:
                assert spec.lower_ticks <= level.buy_ticks
                assert level.sell_ticks <= spec.upper_ticks
        buys = [level.buy_ticks for level in ladder.levels]
        sells = [level.sell_ticks for level in ladder.levels]
        assert buys == sorted(set(buys))
        assert sells == sorted(set(sells))
        if form == CENTERED:
            # One price serves both sides: there is a single hole.
            found = everything(ladder)
            assert all(a[2] == b[1] for a, b in pairwise(found))
        exact = GRID_KINDS[spacing].prices(spec)
        for index, buy, sell in everything(ladder):
            assert abs(buy - exact[index]) < 1
            assert abs(sell - exact[index + 1]) < 1
            if form == BOUNDED:
                assert buy <= exact[index]
                assert sell >= exact[index + 1]

    check()


@pytest.mark.parametrize(("spacing", "form"), KINDS)
def test_sizes_stay_within_the_investment_and_above_the_minimum_or_say_why_not(
    spacing: str, form: str
) -> None:
    @QUICK
    @given(cases(spacing, form))
    def check(case: tuple[GridSpec, Instrument]) -> None:
        spec, one = case
        ladder = build(spec, one)
        for level in ladder.levels:
            value = notional(one, level.buy_ticks, level.lots)
            assert level.lots >= 1
            assert value >= one.min_notional
            assert level.lots == spec.lots or value <= spec.level_quote
            if not spec.lots:
                assert notional(one, level.buy_ticks, level.lots + 1) > spec.level_quote
        found = everything(ladder)
        for skipped in ladder.skipped:
            reason = SkipReason(skipped.reason)
            value = notional(one, max(skipped.buy_ticks, 0), skipped.lots)
            if reason is SkipReason.DUPLICATE:
                shared = any(
                    below < skipped.index and (buy >= skipped.buy_ticks or sell >= skipped.sell_ticks)
                    for below, buy, sell in found
                )
                assert shared or not 0 < skipped.buy_ticks < skipped.sell_ticks
            else:
                assert skipped.lots < 1 or value < one.min_notional
        intervals = len(GRID_KINDS[spacing].prices(spec)) - 1
        assert [index for index, _, _ in everything(ladder)] == list(range(intervals))

    check()


@QUICK
@given(
    center=st.integers(1, 10**6),
    bps=st.integers(1, 500),
    count=st.integers(1, 30),
)
def test_a_centered_geometric_ladder_is_the_center_times_powers_of_the_ratio(
    center: int, bps: int, count: int
) -> None:
    # As every measurement of this system lays its ladder: round(center * (1 + bps / 10_000) ** i).
    expected = [round(center * (1 + Fraction(bps, 10_000)) ** i) for i in range(-count, count + 1)]
    found = everything(build(centered(center, bps * 100, count), instrument(COIN)))
    assert [found[0][1], *(sell for _, _, sell in found)] == expected


def test_the_ladder_of_the_measurements_is_the_same_in_binary_floating_point() -> None:
    expected = [round(500_000 * (1 + 20 / 1e4) ** i) for i in range(-10, 11)]
    found = everything(build(centered(500_000, 2_000, 10), COIN))
    assert [found[0][1], *(sell for _, _, sell in found)] == expected


# --- vectors of the specification ----------------------------------------------------------------------

BTC = {"lower": 955_000, "upper": 990_000, "count": 12}
"""95 500 to 99 000 in 12 intervals, in ticks of 0.1."""


def shown(price: Fraction) -> str:
    """A price in ticks of 0.1 as a decimal with four digits."""
    return str((Decimal(price.numerator) / Decimal(price.denominator) / 10).quantize(Decimal("0.0001")))


@pytest.mark.parametrize(
    ("spacing", "index", "expected"),
    [
        ("arithmetic", 1, "95791.6667"),
        ("arithmetic", 6, "97250.0000"),
        ("arithmetic", 11, "98708.3333"),
        ("geometric", 1, "95786.8791"),
        ("geometric", 6, "97234.2532"),
        ("geometric", 11, "98703.4977"),
    ],
)
def test_a_bounded_grid_has_the_prices_of_the_specification(spacing: str, index: int, expected: str) -> None:
    prices = GRID_KINDS[spacing].prices(bounded(**BTC, spacing=spacing))
    assert shown(prices[index]) == expected


def test_the_spacing_of_the_arithmetic_example_is_the_specified_one() -> None:
    prices = GRID_KINDS["arithmetic"].prices(bounded(**BTC))
    assert {shown(b - a) for a, b in pairwise(prices)} == {"291.6667"}


def test_the_profit_of_a_cycle_is_the_specified_one() -> None:
    # 2083.33 at 97 000 buys 0.02147; one spacing of 291.6667 on it is 6.26.
    one = attrs.evolve(
        FINE, lot="0.00001", base_per_lot=1_000, quote_decimals=9, quote_per_tick_base=1, min_notional=0
    )
    spec = bounded(970_000, 990_000, 2, lots=0, level_quote=2_083_330_000_000)
    lots = build(spec, one).levels[0].lots
    assert lots == 2_147
    profit = Fraction(lots, 100_000) * Fraction(3_500, 12)
    assert round(profit, 2) == Fraction(626, 100)


# --- rounding and choosing -----------------------------------------------------------------------------


def test_a_bounded_buy_is_rounded_down_and_a_sell_up() -> None:
    ladder = build(bounded(100, 103, 2), COIN)
    assert [(one.buy_ticks, one.sell_ticks) for one in ladder.levels] == [(100, 102), (101, 103)]


def test_a_centered_price_is_rounded_half_to_even() -> None:
    # 100 and 1.5 % steps: 98.5 and 101.5 exactly.
    found = everything(build(centered(100, 15_000, 1, spacing="uniform"), COIN))
    assert [(buy, sell) for _, buy, sell in found] == [(98, 100), (100, 102)]


def test_a_level_whose_prices_fall_on_one_tick_is_skipped_with_a_reason() -> None:
    ladder = build(centered(100, 4_000, 3), COIN)
    assert [one.reason for one in ladder.skipped] == ["SKIP_DUPLICATE_AFTER_ROUNDING"] * 4
    assert len(ladder.levels) == 2


def test_a_level_below_the_minimum_is_skipped_with_a_reason() -> None:
    ladder = build(bounded(90, 110, 2), instrument(COIN, min_notional=95))
    assert [one.buy_ticks for one in ladder.levels] == [100]
    assert [(one.buy_ticks, one.reason) for one in ladder.skipped] == [(90, "SKIP_SIZE_BELOW_MIN")]


def test_prices_at_or_below_zero_do_not_exist() -> None:
    # 40 % steps of 100: 20 is the lowest price above zero, and three steps up there is 220.
    ladder = build(centered(100, 400_000, 3, spacing="uniform"), COIN)
    assert [one.buy_ticks for one in ladder.levels] == [20, 60, 100, 140, 180]


@pytest.mark.parametrize(
    ("price", "index"), [(1, 0), (95, 0), (96, 1), (100, 1), (105, 1), (106, 2), (999, 2)]
)
def test_the_nearest_boundary_is_the_lower_of_two_equally_near(price: int, index: int) -> None:
    assert nearest_boundary([90, 100, 110], price) == index


@QUICK
@given(value=st.integers(0, 10**60), degree=st.integers(1, 40))
def test_an_integer_root_is_the_largest_whose_power_fits(value: int, degree: int) -> None:
    root = integer_root(value, degree)
    assert root**degree <= value < (root + 1) ** degree


@QUICK
@given(root=st.integers(2, 10**6), degree=st.integers(1, 12), off=st.sampled_from([-1, 0, 1]))
def test_an_integer_root_is_exact_around_perfect_powers(root: int, degree: int, off: int) -> None:
    value = root**degree + off
    found = integer_root(value, degree)
    assert found**degree <= value < (found + 1) ** degree
