"""Grid vectors of the specification in full, and the money of one cycle by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import attrs
from worlds import COIN, FINE, World, bounded

from domain.grids.ladder import build
from domain.grids.registry import GRID_KINDS
from domain.levels import LevelPhase, retry_delay_ns

BTC = attrs.evolve(
    FINE, lot="0.00001", base_per_lot=1_000, quote_decimals=9, quote_per_tick_base=1, min_notional=0
)
"""Ticks of 0.1, lots of 0.00001."""

DOLLAR = 10**9
"""Units of a quote of nine decimals."""

EXACT = [
    "95500.0000",
    "95791.6667",
    "96083.3333",
    "96375.0000",
    "96666.6667",
    "96958.3333",
    "97250.0000",
    "97541.6667",
    "97833.3333",
    "98125.0000",
    "98416.6667",
    "98708.3333",
    "99000.0000",
]
BUYS = "95500.0 95791.6 96083.3 96375.0 96666.6 96958.3 97250.0 97541.6 97833.3 98125.0 98416.6 98708.3"
SELLS = "95791.7 96083.4 96375.0 96666.7 96958.4 97250.0 97541.7 97833.4 98125.0 98416.7 98708.4 99000.0"


def in_ticks(prices: str) -> list[int]:
    return [int(Decimal(price) * 10) for price in prices.split()]


def test_the_btc_sample_has_twelve_levels_with_exact_prices() -> None:
    spec = bounded(955_000, 990_000, 12, lots=0, level_quote=25_000 * DOLLAR // 12)
    prices = GRID_KINDS["arithmetic"].prices(spec)
    assert [f"{Decimal(p.numerator) / p.denominator / 10:.4f}" for p in prices] == EXACT
    levels = build(spec, BTC).levels
    assert len(levels) == 12
    assert [one.buy_ticks for one in levels] == in_ticks(BUYS)
    assert [one.sell_ticks for one in levels] == in_ticks(SELLS)


def test_a_fill_advances_its_level_and_a_cancel_is_no_fill() -> None:
    world = World()
    world.start(bounded(100, 110, 1, lots=3))
    (order,) = world.tick(105)
    world.accept(order.client_order_id)
    world.cancelled(order.client_order_id)
    level = world.grid().levels[0]
    assert (level.phase, level.held, level.cycle) == (LevelPhase.INITIAL, 0, 0)
    assert world.said("LevelFilled") == []
    assert world.wallet("COIN") == 0
    (again,) = world.tick(105, after_ns=retry_delay_ns(0))
    assert (again.side, again.price_ticks) == ("buy", 100)
    (closing,) = world.fill(again.client_order_id)
    assert (closing.side, closing.price_ticks) == ("sell", 110)
    level = world.grid().levels[0]
    assert (level.phase, level.held) == (LevelPhase.CLOSING, 3)


def test_a_cycle_of_the_sample_earns_6_26_gross_and_the_ledger_books_it_net_of_fees() -> None:
    # 2083.33 at 97 000 buys 0.02147; sold 291.7 higher (291.6667, up to the tick) it earns 6.26.
    world = World(BTC, balances={"USDT": 10_000 * DOLLAR})
    world.start(bounded(970_000, 972_917, 1, lots=0, level_quote=2_083_330_000_000))
    (buy,) = world.tick(971_000)
    assert buy.lots == 2_147
    paid = [2_082_590_000, 2_088_852_799]  # a thousandth of each side
    (sell,) = world.fill(buy.client_order_id, fee=("USDT", paid[0], paid[0]))
    assert (sell.price_ticks, sell.lots) == (972_917, 2_147)
    world.fill(sell.client_order_id, fee=("USDT", paid[1], paid[1]))
    gross = world.said("LevelFilled")[-1].profit
    assert round(Fraction(gross, DOLLAR), 2) == Fraction(626, 100)
    net = gross - sum(paid)
    assert world.wallet("USDT") - 10_000 * DOLLAR == net
    assert sum(one.cash_units for one in world.said("OrderFilled")) == net
    assert world.portfolio.cash - 10_000 * DOLLAR == net


def test_tick_step_and_minimum_of_the_instrument_decide_how_prices_and_sizes_are_rounded() -> None:
    spec = bounded(1_000, 1_100, 3, lots=0, level_quote=10_000)
    coarse = build(spec, attrs.evolve(COIN, base_per_lot=4)).levels
    fine = build(spec, COIN).levels
    assert [one.buy_ticks for one in fine] == [one.buy_ticks for one in coarse] == [1_000, 1_033, 1_066]
    assert [one.sell_ticks for one in fine] == [1_034, 1_067, 1_100]
    assert [one.lots for one in fine] == [10, 9, 9]
    assert [one.lots * 4 for one in coarse] == [8, 8, 8]
    assert build(spec, attrs.evolve(COIN, min_notional=9_500)).levels[0].buy_ticks == 1_000
    assert len(build(spec, attrs.evolve(COIN, min_notional=9_500)).skipped) == 1
