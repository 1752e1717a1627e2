"""Average cost with integers: vectors by hand, and that no unit of money is lost to rounding."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import QUICK

from domain.books import Position, posting, reduce
from domain.order_events import Posting

VECTORS: list[tuple[str, Position, int, int, Position, int]] = [
    # name, position, signed units at a price, position after, realised
    ("opens long", Position(), 10, 100, Position(10, 1_000), 0),
    ("opens short", Position(), -10, 100, Position(-10, -1_000), 0),
    ("adds to a long", Position(10, 1_000), 10, 120, Position(20, 2_200), 0),
    ("adds to a short", Position(-10, -1_000), -10, 120, Position(-20, -2_200), 0),
    ("reduces a long with profit", Position(10, 1_000), -4, 130, Position(6, 600), 120),
    ("reduces a long with loss", Position(10, 1_000), -4, 70, Position(6, 600), -120),
    ("reduces a short with profit", Position(-10, -1_000), 4, 70, Position(-6, -600), 120),
    ("reduces a short with loss", Position(-10, -1_000), 4, 130, Position(-6, -600), -120),
    ("closes a long", Position(10, 1_005), -10, 130, Position(0, 0), 295),
    ("closes a short", Position(-10, -1_005), 10, 70, Position(0, 0), 305),
    ("flips a long through zero", Position(10, 1_000), -15, 130, Position(-5, -650), 300),
    ("flips a short through zero", Position(-10, -1_000), 15, 70, Position(5, 350), 300),
    ("floors the closed share of a long", Position(3, 100), -1, 50, Position(2, 67), 17),
    ("floors the closed share of a short", Position(-3, -100), 1, 20, Position(-2, -66), 14),
]


@pytest.mark.parametrize(
    ("position", "units", "price", "after", "realised"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS]
)
def test_an_execution_changes_a_position(
    position: Position, units: int, price: int, after: Position, realised: int
) -> None:
    assert reduce(position, units, units * price) == (after, realised)


trades = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**6)), max_size=60)


@QUICK
@given(trades)
def test_money_is_conserved_to_the_last_unit(history: list[tuple[int, int]]) -> None:
    position, realised, paid = Position(), 0, 0
    for units, price in history:
        position, profit = reduce(position, units, units * price)
        realised += profit
        paid += units * price
        assert position.cost - realised == paid
        if not position.units:
            assert position.cost == 0


@QUICK
@given(trades)
def test_profit_is_that_of_the_average_price_within_one_unit_a_reduction(
    history: list[tuple[int, int]],
) -> None:
    position, realised = Position(), 0
    held, average, profit, reductions = 0, Fraction(0), Fraction(0), 0
    for units, price in history:
        position, gain = reduce(position, units, units * price)
        realised += gain
        if held * units >= 0:
            average = (average * abs(held) + price * abs(units)) / abs(held + units)
        else:
            closing = min(abs(units), abs(held))
            profit += closing * (price - average) * (1 if held > 0 else -1)
            reductions += 1
            average = Fraction(price) if abs(units) > abs(held) else average
        held += units
        assert position.units == held
        assert abs(realised - profit) <= reductions


def test_a_posting_of_a_negative_amount_goes_the_other_way() -> None:
    assert posting("a", "b", "USD", -5) == Posting(debit="b", credit="a", asset="USD", amount=5)
    assert posting("a", "b", "USD", 5) == Posting(debit="a", credit="b", asset="USD", amount=5)
