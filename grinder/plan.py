"""The plan: what a configuration would do, before anything is done.

Law: the ladder shown is the ladder traded: both come from `domain.grids.ladder.build`.  A plan that cannot
earn, or cannot be paid for, is refused here with the smallest figure that works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from domain.grids.ladder import Ladder, LadderLevel, SkippedLevel, SkipReason, build
from domain.grids.spec import GridSpec
from domain.instrument import LINEAR, PPM, Instrument, fee_units, margin_units, notional
from domain.units import ceil_div, units_text
from grinder.config import Config, Grid, GridMode
from grinder.errors import ConfigError
from grinder.opening import grid_spec
from grinder.scaling import instrument_of, money, quote_decimals

Scales = Mapping[str, tuple[Decimal, Decimal]]
Closest = Callable[[Grid, Instrument, GridSpec], str]


@attrs.frozen(kw_only=True)
class GridPlan:
    """One grid before its start.  Money in quote units, profit in ppm of the level's value."""

    grid: Grid
    instrument: Instrument
    ladder: Ladder
    profit_min_ppm: int
    profit_max_ppm: int
    investment: int
    """What the grid can tie up: every buy (spot), or the larger side's margin (perpetual)."""
    minimum_investment: int
    """What it takes for every level to reach one lot and the exchange's minimum."""

    def as_dict(self) -> dict[str, Any]:
        """The plan's JSON object; amounts are decimal strings."""
        one = self.instrument
        return {
            "symbol": one.symbol,
            "mode": self.grid.mode.value,
            "spacing": self.grid.spacing.value,
            "levels": [_level(one, level) for level in self.ladder.levels],
            "skipped": [{**_level(one, level), "reason": level.reason} for level in self.ladder.skipped],
            "orders": len(self.ladder.levels),
            "profit_per_grid_min_pct": units_text(self.profit_min_ppm, 4),
            "profit_per_grid_max_pct": units_text(self.profit_max_ppm, 4),
            "investment": units_text(self.investment, one.quote_decimals),
            "minimum_investment": units_text(self.minimum_investment, one.quote_decimals),
        }


def _price(one: Instrument, ticks: int) -> str:
    return units_text(ticks * one.tick_size, one.price_decimals)


def _level(one: Instrument, level: LadderLevel | SkippedLevel) -> dict[str, Any]:
    return {
        "index": level.index,
        "buy_price": _price(one, level.buy_ticks),
        "sell_price": _price(one, level.sell_ticks),
        "quantity": units_text(level.lots * one.base_per_lot, one.base_decimals),
        "value": units_text(notional(one, level.buy_ticks, level.lots), one.quote_decimals),
    }


def level_profit_ppm(instrument: Instrument, level: LadderLevel) -> int:
    """Profit of one cycle after two maker fees, in ppm of the buy's value (rounded down)."""
    bought = notional(instrument, level.buy_ticks, level.lots)
    sold = notional(instrument, level.sell_ticks, level.lots)
    fees = fee_units(bought, instrument.maker_fee_ppm) + fee_units(sold, instrument.maker_fee_ppm)
    return (sold - bought - fees) * PPM // bought


def _investment(instrument: Instrument, ladder: Ladder, neutral: bool) -> int:
    buys = [notional(instrument, level.buy_ticks, level.lots) for level in ladder.levels]
    if instrument.kind != LINEAR:
        return sum(buys)
    if not neutral:
        return margin_units(instrument, sum(buys))
    # From the middle of a neutral ladder half of it may fill on either side; the dearer side is charged.
    half = len(buys) // 2
    sells = [notional(instrument, level.sell_ticks, level.lots) for level in ladder.levels[half:]]
    return margin_units(instrument, max(sum(buys[:half]), sum(sells)))


def _minimum_investment(instrument: Instrument, ladder: Ladder) -> int:
    """Every level at the fewest lots the exchange takes."""
    total = 0
    every: list[LadderLevel | SkippedLevel] = [*ladder.levels, *ladder.skipped]
    for level in every:
        one_lot = notional(instrument, max(level.buy_ticks, 1), 1)
        total += one_lot * max(1, ceil_div(instrument.min_notional, one_lot))
    return total


def plan_grid(config: Config, grid: Grid, scales: Scales) -> GridPlan:
    """The plan of one grid.

    Raises:
        ConfigError: it could not earn or be paid for; see `check_plan`.
    """
    tick, lot = scales[grid.symbol]
    instrument = instrument_of(
        grid.symbol,
        config.instruments[grid.symbol],
        config.account,
        tick,
        lot,
        quote_decimals(scales, config),
    )
    return plan_listed(grid, instrument, (tick, lot))


def plan_listed(
    grid: Grid, instrument: Instrument, scale: tuple[Decimal, Decimal], *, search: bool = True
) -> GridPlan:
    """The plan of a grid on an instrument whose rules are known; `scale` is its tick and lot.

    Args:
        search: of a grid that is refused, look for the closest one that would not be; it takes its time.

    Raises:
        ConfigError: it could not earn; see `check_plan`.
    """
    spec = grid_spec(grid, instrument, *scale)
    ladder = build(spec, instrument)
    closest = _closest if search else _any_closer
    _check_levels(grid, instrument, spec, ladder, closest)
    profits = [level_profit_ppm(instrument, level) for level in ladder.levels]
    _check_profit(grid, instrument, spec, min(profits), closest)
    return GridPlan(
        grid=grid,
        instrument=instrument,
        ladder=ladder,
        profit_min_ppm=min(profits),
        profit_max_ppm=max(profits),
        investment=_investment(instrument, ladder, grid.mode is GridMode.NEUTRAL),
        minimum_investment=_minimum_investment(instrument, ladder),
    )


def check_plan(config: Config, scales: Scales) -> tuple[GridPlan, ...]:
    """The plans of all grids, checked one by one and together.

    Raises:
        ConfigError: a step is below the tick or below the fees of a round trip, a level's value is below the
            exchange's minimum, or the grids together need more than the balance.
    """
    plans = tuple(plan_grid(config, grid, scales) for grid in config.grids if grid.symbol in scales)
    if not plans:
        return plans
    decimals = plans[0].instrument.quote_decimals
    balance = money(config.account.balance, decimals, "account.balance")
    needed = sum(asked_of(plan) for plan in plans)
    if needed > balance:
        raise ConfigError(
            "config.capital_above_balance",
            "the grids ask for more than the account holds",
            place="grids",
            value=f"{units_text(needed, decimals)} of {units_text(balance, decimals)} {config.account.quote}",
            fix=f"invest at most {units_text(balance, decimals)} in all, or raise account.balance",
        )
    return plans


def asked_of(plan: GridPlan) -> int:
    """Quote currency a grid needs from the account."""
    if plan.grid.initial_inventory is not None and plan.grid.initial_inventory.value == "existing":
        return 0  # what it sells it holds already; what it buys it buys from the proceeds
    return plan.investment


def _check_levels(
    grid: Grid, instrument: Instrument, spec: GridSpec, ladder: Ladder, closest: Closest
) -> None:
    where = f"grids.{grid.symbol}"
    collapsed = [level for level in ladder.skipped if level.reason == SkipReason.DUPLICATE]
    if collapsed:
        level = collapsed[0]
        raise ConfigError(
            "config.step_below_tick",
            f"neighbouring levels of `{where}` fall on one tick of {instrument.tick}",
            place=where,
            value=f"level {level.index} at {_price(instrument, level.buy_ticks)}",
            fix=closest(grid, instrument, spec),
        )
    if not ladder.levels:
        level = ladder.skipped[0]
        smallest = _minimum_investment(instrument, ladder)
        raise ConfigError(
            "config.notional_below_minimum",
            f"every level of `{where}` is worth less than one lot or the exchange's minimum of "
            f"{units_text(instrument.min_notional, instrument.quote_decimals)} {instrument.quote}",
            place=where,
            value=f"level {level.index} is worth "
            f"{units_text(notional(instrument, level.buy_ticks, level.lots), instrument.quote_decimals)}",
            fix=f"invest at least {units_text(smallest, instrument.quote_decimals)} {instrument.quote}",
        )


def _check_profit(
    grid: Grid, instrument: Instrument, spec: GridSpec, worst_ppm: int, closest: Closest
) -> None:
    if worst_ppm >= 0:
        return
    round_trip = 2 * instrument.maker_fee_ppm
    raise ConfigError(
        "config.step_below_fees",
        f"a cycle of `grids.{grid.symbol}` earns less than its two maker fees",
        place=f"grids.{grid.symbol}",
        value=f"{units_text(worst_ppm, 4)} % after fees of {units_text(round_trip, 4)} %",
        fix=closest(grid, instrument, spec),
    )


def _earns(instrument: Instrument, spec: GridSpec) -> bool:
    """Whether every level of a specification has prices of its own and covers its fees."""
    ladder = build(spec, instrument)
    if any(level.reason == SkipReason.DUPLICATE for level in ladder.skipped):
        return False
    return all(level_profit_ppm(instrument, level) >= 0 for level in ladder.levels)


def _any_closer(grid: Grid, instrument: Instrument, spec: GridSpec) -> str:
    """What would help, without the figure."""
    return "use fewer levels, or a wider range" if grid.is_bounded else "use a wider spacing_bps"


def _closest(grid: Grid, instrument: Instrument, spec: GridSpec) -> str:
    """The closest spacing of the same form that would be accepted, found by trying.

    Fees need ``(1 + fee) / (1 - fee) - 1`` and neighbours a tick; rounding to ticks may need a little more,
    so the search starts there and goes on until the ladder itself agrees.
    """
    fee = instrument.maker_fee_ppm
    fees_ppm = ceil_div((PPM + fee) * PPM, PPM - fee) - PPM
    varied: Any = spec  # mypy sees records as dataclasses, attrs.evolve asks for attrs classes
    if grid.is_bounded:
        for count in range(spec.count, 1, -1):
            if _earns(instrument, attrs.evolve(varied, count=count)):
                return f"use at most {count} levels between these prices"
        return "use a wider range"
    start = max(fees_ppm, ceil_div(PPM, spec.center_ticks), spec.spacing_ppm + 1)
    step = max(1, start // 200)
    for tried in range(400):
        spacing = start + tried * step
        if _earns(instrument, attrs.evolve(varied, spacing_ppm=spacing)):
            return f"use spacing_bps of at least {units_text(spacing, 2)}"
    return "use a wider spacing"
