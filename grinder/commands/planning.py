"""Plans of a configuration's grids, with ticks and lots from the configuration or from data.

Law: reads only; see `grinder/plan.py` for what is computed and refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from grinder.config import Config
from grinder.data import InstrumentScale, load, parse_data_argument
from grinder.errors import ConfigError
from grinder.plan import check_plan, plan_grid


def _given(config: Config) -> dict[str, tuple[Decimal, Decimal]]:
    """(tick, lot) of the symbols whose configuration has both."""
    return {
        symbol: (one.tick, one.lot)
        for symbol, one in config.instruments.items()
        if one.tick is not None and one.lot is not None
    }


def _scales(config: Config, data: Sequence[str]) -> dict[str, tuple[Decimal, Decimal]]:
    found = _given(config)
    traded = [grid.symbol for grid in config.grids]
    if data:
        wanted = {s: InstrumentScale(tick=one.tick, lot=one.lot) for s, one in config.instruments.items()}
        default = traded[0] if len(traded) == 1 else None
        loaded = load([parse_data_argument(one) for one in data], symbols=wanted, default_symbol=default)
        found.update({symbol: (ticks.tick, ticks.lot) for symbol, ticks in loaded.items()})
    for symbol in traded:
        if symbol not in found:
            raise ConfigError(
                "config.no_steps",
                "the tick or lot of a symbol is not given",
                place=f"instruments.{symbol}",
                fix=f"write tick and lot, or add --data {symbol}=PATH to take them from the data",
            )
    return {symbol: found[symbol] for symbol in traded}


def plan(config: Config, data: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The plan of every grid, JSON-ready.

    Raises:
        ConfigError: a grid cannot earn, cannot be paid for, or its steps are unknown.
        DataError: a data file is wrong.
    """
    return [one.as_dict() for one in check_plan(config, _scales(config, data))]


def check(config: Config) -> list[ConfigError]:
    """Everything `plan` would refuse, of the symbols whose steps the configuration gives."""
    given = _given(config)
    problems: list[ConfigError] = []
    for grid in config.grids:
        if grid.symbol in given:
            try:
                plan_grid(config, grid, given)
            except ConfigError as error:
                problems.append(error)
    if not problems:
        try:
            check_plan(config, given)
        except ConfigError as error:
            problems.append(error)
    return problems
