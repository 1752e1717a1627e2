"""The driver's law in small runs computed by hand, and the fills of a kernel of twenty lines."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import attrs
import pytest
from markets import Run, opening, trades
from worlds import COIN, PERP, SECOND, T0, bounded, centered, start_grid

from domain.instrument import Instrument
from domain.record import Record
from replay.backtest import Backtest
from replay.exchange.rules import ExchangeRules
from replay.ticks import Ticks


def backtest(
    one: Instrument,
    ticks: Ticks,
    grid: Record,
    rules: ExchangeRules | None = None,
    balances: dict[str, int] | None = None,
    **limits: Any,
) -> Run:
    balances = balances or {one.quote: 10**9}
    markets = {one.symbol: ticks}
    return Run(Backtest, [one], markets, balances, opening([one], balances, [grid], **limits), rules)


# --- the kernel ----------------------------------------------------------------------------------------


def ladder(start: int, bps: int, side_levels: int) -> list[int]:
    """2n+1 prices around `start` with ratio ``1 + bps / 10_000``, each rounded to the nearest tick."""
    ratio = 1 + Fraction(bps, 10_000)
    return [round(start * ratio**i) for i in range(-side_levels, side_levels + 1)]


def kernel(prices: list[int], levels: list[int]) -> tuple[int, int, int]:
    """(fills, position, cash) of a neutral ladder with one hole, one lot a level, filled at a touch.

    Buys rest below the hole and sells above it; a fill moves the hole to its level.
    """
    hole, fills, position, cash = len(levels) // 2, 0, 0, 0
    for price in prices:
        while hole > 0 and price <= levels[hole - 1]:
            hole -= 1
            fills, position, cash = fills + 1, position + 1, cash - levels[hole]
        while hole < len(levels) - 1 and price >= levels[hole + 1]:
            hole += 1
            fills, position, cash = fills + 1, position - 1, cash + levels[hole]
    return fills, position, cash


@pytest.mark.parametrize(
    ("seed", "bps", "count", "step"), [(1, 20, 10, 300), (2, 10, 5, 900), (3, 50, 8, 2_500)]
)
def test_a_neutral_ladder_fills_exactly_where_the_kernel_fills(
    seed: int, bps: int, count: int, step: int
) -> None:
    chance = random.Random(seed)
    prices = [500_000]
    for _ in range(4_000):
        prices.append(prices[-1] + chance.randint(-step, step) + (500_000 - prices[-1]) // 400)
    grid = start_grid(PERP.symbol, centered(500_000, bps * 100, count), mode="neutral")
    run = backtest(PERP, trades(PERP.symbol, prices), grid, balances={"USD": 10**9})
    fills, position, cash = kernel(prices, ladder(500_000, bps, count))
    filled = run.said("OrderFilled")
    assert fills > 100, "a market that does not move proves nothing"
    assert len(filled) == fills
    assert sum(one.base_units for one in filled) == position
    assert sum(one.cash_units for one in filled) == cash
    assert run.exchange.wallet.position[PERP.symbol] == position
    assert run.core.state_of("portfolio").cash == 10**9 + cash


# --- order of one instant ------------------------------------------------------------------------------


def times_of(run: Run, topic: str) -> list[int]:
    """Times of a topic's rows after the start, in ns."""
    return [row.ts_ns - T0 for row in run.rows if row.topic.startswith(topic + "/")]


def test_without_latency_a_fill_and_its_next_order_happen_before_the_next_row() -> None:
    # 105 places a buy at 100; 100 fills it and places the sell at 110; 110 fills that, all at their rows.
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105, 100, 110]), grid)
    assert [(one.side, one.price_ticks) for one in run.said("OrderFilled")] == [("buy", 100), ("sell", 110)]
    assert times_of(run, "OrderFilled") == [SECOND, 2 * SECOND]
    assert times_of(run, "OrderSubmitted") == [0, SECOND, 2 * SECOND]


def test_feed_latency_delays_what_the_core_learns_and_order_latency_each_way_of_an_order() -> None:
    rules = ExchangeRules(order_latency_ns=3, feed_latency_ns=10)
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105, 105, 100, 100]), grid, rules)
    assert times_of(run, "TickReport") == [10]
    assert times_of(run, "OrderSubmitted") == [10, 2 * SECOND + 3]
    assert times_of(run, "OrderAcceptedReport") == [16, 2 * SECOND + 9]
    # The row at 2 s fills at the exchange at 2 s; the core hears of it an order latency later.
    assert times_of(run, "FillReport") == [2 * SECOND + 3]


def test_a_request_under_way_does_not_fill_before_it_arrives() -> None:
    # Decided at 0, at the exchange a second and a nanosecond later: the row of 1 s, at 100, is past.
    rules = ExchangeRules(order_latency_ns=SECOND + 1)
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105, 100, 105, 105, 105]), grid, rules)
    assert run.said("OrderFilled") == []
    assert times_of(run, "OrderAcceptedReport") == [2 * SECOND + 2]


def test_a_request_that_arrives_with_a_row_comes_before_it() -> None:
    # Sent at 0, there at 1 s together with the row that trades at its price: it is filled by that row.
    rules = ExchangeRules(order_latency_ns=SECOND)
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105, 100, 105, 105]), grid, rules)
    assert times_of(run, "FillReport") == [2 * SECOND]


def test_an_order_is_judged_by_the_market_at_its_arrival_not_at_its_decision() -> None:
    # Decided at 105 (a buy at 100 would rest), there when the market is at 95: it would take.
    rules = ExchangeRules(order_latency_ns=SECOND + 1)
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105, 95, 95, 95]), grid, rules)
    assert [one.text for one in run.said("OrderRejectedReport")] == [
        "Order would immediately match and take."
    ]


def test_jitter_makes_each_way_longer_by_at_most_itself_and_repeats_with_its_seed() -> None:
    rules = ExchangeRules(order_latency_ns=100, latency_jitter_ns=50)
    grid = start_grid(COIN.symbol, bounded(100, 110, 10))
    ticks = trades(COIN.symbol, [115, 103, 108, 101, 110, 115, 101])
    one, two = (backtest(COIN, ticks, grid, rules) for _ in range(2))
    assert one.rows == two.rows
    first = times_of(one, "OrderAcceptedReport")[:10]
    assert all(200 <= at <= 300 for at in first)
    assert len(set(first)) > 1


def test_after_the_last_row_what_is_under_way_arrives_and_everything_is_hashed() -> None:
    rules = ExchangeRules(order_latency_ns=5)
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105]), grid, rules)
    assert times_of(run, "OrderAccepted") == [10]
    assert [row.stream for row in run.rows if row.topic == "StateHashed/1"] == [
        "account",
        "clock",
        "portfolio",
        "symbol/COINUSD",
    ]
    assert run.journal.committed == len(run.rows)


def test_what_the_last_mark_decides_is_carried_out() -> None:
    # The row at 0.5 s reaches the core only while the answer to its first order is awaited: the last mark
    # finds a fall of 1 %, halts, and cancels the order at 80.
    one, balances = COIN, {"USD": 2_000, "COIN": 4}
    rules = ExchangeRules(order_latency_ns=SECOND, feed_latency_ns=7)
    ticks = trades(one.symbol, [100, 94], times=[T0, T0 + SECOND // 2])
    grid = start_grid(one.symbol, bounded(80, 120, 2))
    run = backtest(one, ticks, grid, rules, balances, session_drawdown_ppm=10_000)
    assert len(run.said("CancelSubmitted")) == 1
    assert run.exchange.next_request_ns() is None
    assert len(run.said("GridStopped")) == 1


def test_a_run_that_ends_early_does_not_see_later_rows() -> None:
    one, balances = COIN, {"USD": 10**6}
    ticks = trades(one.symbol, [105, 105, 100, 110])
    grid = start_grid(one.symbol, bounded(100, 110, 1))

    def until(driver_end: int) -> Run:
        def driver(*args: Any) -> Backtest:
            return Backtest(*args, until_ns=driver_end)

        commands = opening([one], balances, [grid])
        return Run(driver, [one], {one.symbol: ticks}, balances, commands)  # type: ignore[arg-type]

    assert until(T0 + 2 * SECOND - 1).said("OrderFilled") == []
    assert len(until(T0 + 2 * SECOND).said("OrderFilled")) == 1


def test_a_row_that_fills_an_order_is_told_to_the_core_if_the_core_wants_it_as_well() -> None:
    # 79 fills both buys, which moves the price of the drawdown limit, and it is below the stop loss.
    grid = start_grid(COIN.symbol, bounded(90, 110, 2), stop_loss_ticks=80)
    run = backtest(COIN, trades(COIN.symbol, [105, 79, 105, 105]), grid, session_drawdown_ppm=500_000)
    assert len(run.said("OrderFilled")) == 2
    assert times_of(run, "SymbolHalted") == [SECOND]


def test_rows_that_nobody_wants_are_not_told_to_the_core() -> None:
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, trades(COIN.symbol, [105] * 500 + [100] + [105] * 500), grid)
    assert len(run.said("TickReport")) == 1
    assert len(run.said("FillReport")) == 1


def test_equity_is_marked_at_every_boundary_and_at_midnight() -> None:
    day = 86_400 * SECOND
    midnight = (T0 // day + 1) * day
    ticks = trades(COIN.symbol, [105, 106], times=[midnight - 90 * SECOND, midnight + 60 * SECOND])
    grid = start_grid(COIN.symbol, bounded(100, 110, 1))
    run = backtest(COIN, ticks, grid, mark_interval_ns=60 * SECOND)
    marked = [row.ts_ns - midnight for row in run.rows if row.topic == "MarkDue/1"]
    assert marked == [-90 * SECOND, -60 * SECOND, 0, 60 * SECOND, 60 * SECOND]
    days = [row.ts_ns - midnight for row in run.rows if row.topic == "DayStarted/1"]
    assert days == [-90 * SECOND, 0]


# --- funding -------------------------------------------------------------------------------------------

HOUR = 3_600 * SECOND


def funded(prices: list[int], rate_ppm: int, mode: str = "long") -> Run:
    start = (T0 // HOUR + 1) * HOUR
    times = [start + i * HOUR // 4 + 1 for i in range(len(prices))]
    spec = bounded(100, 110, 1, lots=1_000) if mode == "long" else bounded(90, 100, 1, lots=1_000)
    grid = start_grid(PERP.symbol, spec, mode=mode)
    rules = ExchangeRules(funding={PERP.symbol: (rate_ppm, HOUR)})
    return backtest(PERP, trades(PERP.symbol, prices, times=times), grid, rules)


@pytest.mark.parametrize(("rate_ppm", "units"), [(100, -10), (-100, 10)])
def test_the_long_side_pays_a_positive_funding_rate(rate_ppm: int, units: int) -> None:
    # 1000 bought at 100, the price is still 100 at the hour: 100_000 * 100 ppm = 10.
    run = funded([105, 100, 100, 100, 100], rate_ppm)
    assert [(one.units, one.price_ticks) for one in run.said("FundingReport")] == [(units, 100)]
    assert run.core.state_of("account").balances["wallet:USD"] == 10**9 + units
    assert run.exchange.wallet.total["USD"] == 10**9 + units


def test_the_short_side_receives_a_positive_funding_rate() -> None:
    # The hole of 90..100 at 91 is 90: its level sells at 100.
    run = funded([91, 100, 100, 100, 100], 100, mode="neutral")
    assert run.exchange.wallet.position[PERP.symbol] == -1_000
    assert [one.units for one in run.said("FundingReport")] == [10]


def test_without_a_position_no_funding_is_exchanged() -> None:
    assert funded([105, 105, 105, 105, 105, 105], 100).said("FundingReport") == []


def test_funding_takes_the_last_price_before_it() -> None:
    run = funded([105, 100, 102, 104, 104], 100)
    assert [one.price_ticks for one in run.said("FundingReport")] == [104]


# --- a row is seen by the exchange before the core -----------------------------------------------------


def test_an_order_for_the_row_that_woke_the_core_is_judged_by_that_row() -> None:
    # The upper level (100, 110) waits until the market is above 100.  At 106 a buy at 100 rests.
    grid = start_grid(COIN.symbol, bounded(90, 110, 2))
    run = backtest(COIN, trades(COIN.symbol, [95, 95, 106, 106]), grid)
    assert run.said("OrderRejectedReport") == []
    assert times_of(run, "OrderSubmitted") == [0, 2 * SECOND]


def test_a_timer_that_falls_on_a_row_does_not_look_at_it() -> None:
    # Three orders a minute: 102, 100 and 98 are placed at once, the one at 96 is tried again a minute
    # later, at the instant of the second row.  Timers come before rows, so the price is still 105.
    grid = start_grid(COIN.symbol, bounded(96, 104, 4))
    ticks = trades(COIN.symbol, [105, 97, 97], gap_ns=60 * SECOND)
    run = backtest(COIN, ticks, grid, orders_per_minute=3)
    told = [one.price_ticks for one in run.said("TickReport")]
    assert told[:2] == [105, 105]


def test_at_one_instant_the_rows_of_an_earlier_symbol_come_first() -> None:
    # Both symbols have a row at 0 and at 1 s.  PERPUSD's row at 1 s halts everything, which sells the coin
    # at the market: COINUSD's row at 1 s (price 108) came before, by name.
    coin, perp = COIN, attrs.evolve(PERP, leverage_ppm=10_000_000)
    balances = {"USD": 100_000, "COIN": 10}
    grids = [
        start_grid(
            coin.symbol,
            bounded(104, 120, 1, lots=10),
            initial_inventory="existing",
            existing_units=10,
            on_stop="flatten",
        ),
        start_grid(
            perp.symbol, bounded(90, 100, 1, lots=1_000), symbol_index=1, on_stop="flatten", stop_loss_ticks=0
        ),
    ]
    markets = {coin.symbol: trades(coin.symbol, [102, 108]), perp.symbol: trades(perp.symbol, [95, 60])}
    commands = opening([coin, perp], balances, grids, session_drawdown_ppm=100_000)
    run = Run(Backtest, [coin, perp], markets, balances, commands)
    sold = [one for one in run.said("FillReport") if one.symbol == coin.symbol]
    assert [one.price_ticks for one in sold] == [108]
