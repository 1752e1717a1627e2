"""The driver that jumps against a driver that visits every row: the ledgers are equal byte for byte."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import NaiveRun, Run, opening, quotes, story, trades
from worlds import COIN, PERP, QUICK, SECOND, T0, bounded, centered, instrument, start_grid

from domain.instrument import Instrument
from replay.backtest import Backtest
from replay.exchange.rules import ExchangeRules, FillModel
from replay.ticks import Ticks


@attrs.frozen
class Case:
    """Everything a run is made of."""

    instruments: tuple[Instrument, ...]
    markets: dict[str, Ticks]
    balances: dict[str, int]
    grids: tuple[Any, ...]
    rules: ExchangeRules
    limits: dict[str, int]
    mark_interval_ns: int


def run(driver: type[Backtest] | type[NaiveRun], case: Case) -> Run:
    commands = opening(case.instruments, case.balances, case.grids, case.mark_interval_ns, **case.limits)
    return Run(driver, case.instruments, case.markets, case.balances, commands, case.rules, seed=7)


def assert_equal_ledgers(case: Case) -> None:
    jumped, visited = run(Backtest, case), run(NaiveRun, case)
    assert story(jumped.rows) == story(visited.rows)
    assert jumped.rows == visited.rows


@st.composite
def walks(draw: Any, symbol: str) -> Ticks:
    """A short market of trades or quotes around 100, with equal times and with gaps in price."""
    steps = draw(
        st.lists(
            st.tuples(st.sampled_from([0, 1, SECOND // 2, SECOND, 61 * SECOND]), st.integers(-12, 12)),
            min_size=1,
            max_size=40,
        )
    )
    times, prices = [T0 + draw(st.sampled_from([0, 3]))], [100]
    for wait, move in steps:
        times.append(times[-1] + wait)
        prices.append(min(150, max(50, prices[-1] + move)))
    sizes = draw(st.lists(st.integers(1, 5), min_size=len(prices), max_size=len(prices)))
    if draw(st.booleans()):
        return trades(symbol, prices, times=times, qty=sizes)
    return quotes(
        symbol,
        [(p - size % 2, p + 1, size, 6 - size) for p, size in zip(prices, sizes, strict=True)],
        times=times,
    )


@st.composite
def grids(draw: Any, one: Instrument, number: int) -> Any:
    if one.kind == "linear" and draw(st.booleans()):
        spec, mode = centered(100, draw(st.sampled_from([20_000, 50_000])), 4, lots=2), "neutral"
    else:
        spec, mode = bounded(80, 120, draw(st.integers(2, 8)), lots=draw(st.integers(1, 3))), "long"
    return start_grid(
        one.symbol,
        spec,
        symbol_index=number,
        mode=mode,
        initial_inventory=draw(st.sampled_from(["none", "none", "buy", "existing"])),
        existing_units=4 if one.kind == "spot" else 0,
        stop_loss_ticks=draw(st.sampled_from([0, 0, 75])),
        take_profit_ticks=draw(st.sampled_from([0, 0, 130])),
        on_stop=draw(st.sampled_from(["keep", "cancel", "flatten"])),
    )


@st.composite
def cases(draw: Any, feed: Any, order: Any) -> Case:
    """Any run of one or two symbols, whose rows may fall on the same instants."""
    fee = draw(st.sampled_from([0, 1_000]))
    coin = instrument(
        COIN, quote_per_tick_base=1, base_per_lot=1_000, maker_fee_ppm=fee, taker_fee_ppm=2 * fee
    )
    perp = instrument(PERP, base_per_lot=1_000, maker_fee_ppm=fee, taker_fee_ppm=fee, leverage_ppm=3_000_000)
    both = draw(st.sampled_from([(coin,), (perp,), (coin, perp)]))
    limits = {
        "orders_per_minute": draw(st.sampled_from([0, 0, 3])),
        "session_drawdown_ppm": draw(st.sampled_from([0, 0, 10_000])),
        "inventory_max": draw(st.sampled_from([0, 0, 600_000])),
    }
    rules = ExchangeRules(
        model=draw(st.sampled_from(list(FillModel))),
        order_latency_ns=draw(order),
        feed_latency_ns=draw(feed),
        latency_jitter_ns=draw(st.sampled_from([0, 0, 5])),
        volume_limited=draw(st.booleans()),
        fee_asset=draw(st.sampled_from(["quote", "base"])),
    )
    return Case(
        instruments=both,
        markets={one.symbol: draw(walks(one.symbol)) for one in both},
        balances={"USD": draw(st.sampled_from([2_000_000, 600_000])), "COIN": 4_000},
        grids=tuple(draw(grids(one, number)) for number, one in enumerate(both)),
        rules=rules,
        limits=limits,
        mark_interval_ns=draw(st.sampled_from([60, 3_600])) * SECOND,
    )


@settings(QUICK, max_examples=150)
@given(cases(feed=st.sampled_from([1, 7, SECOND]), order=st.sampled_from([0, 3, SECOND])))
def test_with_feed_latency_the_jumping_driver_writes_what_visiting_every_row_writes(case: Case) -> None:
    assert_equal_ledgers(case)


@settings(QUICK, max_examples=150)
@given(cases(feed=st.just(0), order=st.sampled_from([0, 0, 3, SECOND])))
def test_without_feed_latency_the_jumping_driver_writes_what_visiting_every_row_writes(case: Case) -> None:
    assert_equal_ledgers(case)
