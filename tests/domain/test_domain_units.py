"""Exact numbers: units, rounding, valuation and fees."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import COIN, FINE, QUICK, instrument

from domain.instrument import fee_units, margin_units, notional, value, whole_lots
from domain.units import (
    NotOnScaleError,
    ceil_div,
    decimals_of,
    from_units,
    text,
    to_units,
    units_text,
)

INTEGERS = st.integers(-(10**18), 10**18)
POSITIVE = st.integers(1, 10**12)


@QUICK
@given(units=INTEGERS, decimals=st.integers(0, 17))
def test_units_and_decimals_are_the_same_number(units: int, decimals: int) -> None:
    shown = from_units(units, decimals)
    assert to_units(shown, decimals) == units
    assert to_units(Decimal(units_text(units, decimals)), decimals) == units
    assert decimals_of(shown) <= decimals


@pytest.mark.parametrize(("value", "decimals"), [("0.15", 1), ("1e-9", 8), ("-0.001", 2)])
def test_a_number_finer_than_the_scale_is_refused(value: str, decimals: int) -> None:
    with pytest.raises(NotOnScaleError):
        to_units(Decimal(value), decimals)


@pytest.mark.parametrize(
    ("value", "decimals"),
    [("1", 0), ("100", 0), ("1e3", 0), ("0.10", 1), ("0.05", 2), ("-1.2300", 2), ("0", 0)],
)
def test_the_digits_a_number_needs_do_not_count_trailing_zeros(value: str, decimals: int) -> None:
    assert decimals_of(Decimal(value)) == decimals


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_finite_number_has_no_digits(value: str) -> None:
    with pytest.raises(NotOnScaleError):
        decimals_of(Decimal(value))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1E+3", "1000"),
        ("0.1000", "0.1"),
        ("-0.00", "0"),
        ("0", "0"),
        ("1E-8", "0.00000001"),
        ("-5.50", "-5.5"),
    ],
)
def test_amounts_are_shown_plainly(value: str, shown: str) -> None:
    assert text(Decimal(value)) == shown


@QUICK
@given(numerator=INTEGERS, denominator=POSITIVE)
def test_a_ceiling_is_never_below_and_less_than_one_above(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert 0 <= ceil_div(numerator, denominator) - exact < 1


@QUICK
@given(price=POSITIVE, lots=st.integers(0, 10**9))
def test_valuation_is_exact_and_the_same_for_an_order_and_a_holding(price: int, lots: int) -> None:
    # Ticks of 0.1, lots of 0.001: money has ten decimals.
    exact = Fraction(price, 10) * Fraction(lots, 1_000) * 10**10
    assert notional(FINE, price, lots) == exact
    assert value(FINE, price, lots * FINE.base_per_lot) == exact
    assert value(FINE, price, -lots * FINE.base_per_lot) == -exact


@QUICK
@given(units=INTEGERS)
def test_whole_lots_round_towards_nothing(units: int) -> None:
    lots = whole_lots(FINE, units)
    rest = units - lots * FINE.base_per_lot
    assert abs(rest) < FINE.base_per_lot
    assert rest * units >= 0


@QUICK
@given(worth=INTEGERS, rate=st.integers(-10_000, 10_000))
def test_a_fee_is_rounded_against_us(worth: int, rate: int) -> None:
    exact = Fraction(worth * rate, 1_000_000)
    assert 0 <= fee_units(worth, rate) - exact < 1


@QUICK
@given(worth=POSITIVE, leverage=st.integers(1_000_000, 125_000_000))
def test_margin_carries_the_value_at_the_leverage(worth: int, leverage: int) -> None:
    margin = margin_units(instrument(COIN, leverage_ppm=leverage), worth)
    assert margin * leverage >= worth * 1_000_000
    assert (margin - 1) * leverage < worth * 1_000_000
