"""What the settings of one grid mean together.

Law: a rule takes sound settings and says what is wrong with their combination; it reads nothing, computes
no ladder and changes nothing.  What needs levels, quantities or prices of the day (a step below the tick, a
notional below the minimum, capital above the balance) is the planner's to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from grinder.config.account import Account
from grinder.config.choices import GridMode, GridSpacing, InitialInventory, InstrumentKind
from grinder.config.grid import BOUNDED_KEYS, CENTERED_KEYS, Grid
from grinder.config.model import Instrument
from grinder.config.refusals import refusal
from grinder.config.tree import Place
from grinder.errors import ConfigError

_BPS: Final = 10_000


def grid_problems(
    grid: Grid, instrument: Instrument | None, account: Account | None, at: Place
) -> Iterator[ConfigError]:
    """What is wrong with a grid, given its instrument and account where they are known."""
    form = list(_form_problems(grid, at))
    yield from form
    yield from _size_problems(grid, at)
    if not form:
        yield from _range_problems(grid, at)
    yield from _inventory_problems(grid, instrument, account, at)
    if grid.mode is GridMode.NEUTRAL and instrument and instrument.kind is not InstrumentKind.LINEAR:
        yield refusal(
            "config.needs_linear",
            f"mode neutral needs an instrument of kind linear, and {grid.symbol} is {instrument.kind}",
            place=at("mode"),
            value=grid.mode,
            fix=f"set `instruments.{grid.symbol}.kind: linear`, or `mode: long`",
        )


def _given(grid: Grid, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if getattr(grid, key) is not None]


def _names(keys: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _form_problems(grid: Grid, at: Place) -> Iterator[ConfigError]:
    bounded, centered = _given(grid, BOUNDED_KEYS), _given(grid, CENTERED_KEYS)
    forms = {
        GridSpacing.ARITHMETIC: (BOUNDED_KEYS,),
        GridSpacing.GEOMETRIC: (BOUNDED_KEYS, CENTERED_KEYS),
        GridSpacing.UNIFORM: (CENTERED_KEYS,),
    }[grid.spacing]
    either = " or ".join(_names(form) for form in forms)
    if bounded and centered:
        yield refusal(
            "config.grid_form",
            f"the grid mixes two ways to place levels: {_names(bounded)} with {_names(centered)}",
            place=at(centered[0]),
            fix=f"for spacing {grid.spacing} keep {either}",
        )
        return
    form = BOUNDED_KEYS if bounded else CENTERED_KEYS if centered else None
    if form not in forms:
        given = f"takes no {_names(bounded or centered)}" if form else "is not told where its levels are"
        yield refusal(
            "config.grid_form",
            f"a grid with spacing {grid.spacing} {given}",
            place=at((bounded or centered or ["spacing"])[0]),
            fix=f"give {either}",
        )
    elif missing := [key for key in form if key not in bounded + centered]:
        yield refusal(
            "config.grid_form",
            f"the grid gives {_names(bounded or centered)} without {_names(missing)}",
            place=at((bounded or centered)[0]),
            fix=f"add {_names(missing)}",
        )


def _size_problems(grid: Grid, at: Place) -> Iterator[ConfigError]:
    given = _given(grid, ("quantity", "quote_investment"))
    if len(given) != 1:
        yield refusal(
            "config.grid_size",
            "the grid gives both `quantity` and `quote_investment`" if given else "the grid gives no size",
            place=at(given[-1]) if given else at(),
            fix="give one of `quantity` (base, each order) and `quote_investment` (quote, whole grid)",
        )


def _range_problems(grid: Grid, at: Place) -> Iterator[ConfigError]:
    bounds = _bounds(grid)
    if bounds is None:
        return
    lowest, highest = bounds
    if grid.is_bounded and lowest >= highest:
        yield refusal(
            "config.bounds_order",
            f"`lower_price` {lowest:f} is not below `upper_price` {highest:f}",
            place=at("lower_price"),
            value=f"{lowest:f}",
            fix="exchange the two, or correct one",
        )
        return
    if lowest <= 0:
        yield refusal(
            "config.out_of_range",
            "the lowest level would be at or below zero",
            place=at("spacing_bps"),
            value=str(grid.spacing_bps),
            fix=f"keep `spacing_bps` × `levels_per_side` below {_BPS}",
        )
        return
    if grid.stop_loss_price is not None and grid.stop_loss_price >= lowest:
        yield _stop(grid.stop_loss_price, "stop_loss_price", f"below {lowest:f}", at)
    if grid.take_profit_price is not None and grid.take_profit_price <= highest:
        yield _stop(grid.take_profit_price, "take_profit_price", f"above {highest:f}", at)


def _bounds(grid: Grid) -> tuple[Decimal, Decimal] | None:
    if grid.lower_price is not None and grid.upper_price is not None:
        return grid.lower_price, grid.upper_price
    if grid.center_price is None or grid.spacing_bps is None or grid.levels_per_side is None:
        return None
    if grid.spacing is GridSpacing.UNIFORM:
        half = grid.center_price * grid.spacing_bps * grid.levels_per_side / _BPS
        return grid.center_price - half, grid.center_price + half
    # The outermost geometric levels are the planner's to compute; they lie beyond the center anyway.
    return grid.center_price, grid.center_price


def _stop(price: Decimal, key: str, where: str, at: Place) -> ConfigError:
    return refusal(
        "config.stop_price",
        f"`{key}` lies inside the grid",
        place=at(key),
        value=f"{price:f}",
        fix=f"set it {where}, or leave it out",
    )


def _inventory_problems(
    grid: Grid, instrument: Instrument | None, account: Account | None, at: Place
) -> Iterator[ConfigError]:
    wanted = grid.initial_inventory
    if grid.mode is GridMode.NEUTRAL and wanted is not None:
        yield refusal(
            "config.initial_inventory",
            "a neutral grid starts flat and takes no `initial_inventory`",
            place=at("initial_inventory"),
            value=wanted,
            fix="leave `initial_inventory` out, or set `mode: long`",
        )
    elif wanted is InitialInventory.EXISTING and instrument is not None and account is not None:
        held = account.assets.get(instrument.base, Decimal(0))
        if instrument.kind is InstrumentKind.SPOT and held <= 0:
            yield refusal(
                "config.initial_inventory",
                f"`initial_inventory: existing` needs {instrument.base}, and the account holds none",
                place=at("initial_inventory"),
                value=wanted,
                fix=f"add `{instrument.base}` to `account.assets`, or set `initial_inventory: buy`",
            )
