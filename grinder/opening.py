"""The operator's opening commands: what a configuration tells the core before the first price.

Law: after these commands the ledger holds everything the run depends on; a replay needs no configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from domain.grids.spec import BOUNDED, CENTERED, GridSpec
from domain.inputs import OpenAccount, OpenPortfolio, StartClock, StartGrid
from domain.instrument import SPOT, Instrument, ListInstrument
from domain.record import Record
from grinder.config import Config, Grid, GridMode, InitialInventory
from grinder.errors import ConfigError
from grinder.scaling import FEWEST_DECIMALS, instrument_of, money, price_ticks, quote_decimals, rate_ppm
from replay.exchange.rules import ExchangeRules, FillModel

MS_NS = 10**6
HOUR_NS = 3_600 * 10**9

Scales = Mapping[str, tuple[Decimal, Decimal]]
"""(tick, lot) by symbol."""


@attrs.frozen(kw_only=True)
class Opening:
    """Everything a run starts from.

    Attributes:
        commands: the opening inputs, in order.
        balances: opening units by asset, for the exchange's own books.
    """

    instruments: dict[str, Instrument]
    commands: tuple[Record, ...]
    balances: dict[str, int]
    rules: ExchangeRules


def grid_spec(grid: Grid, instrument: Instrument, tick: Decimal, lot: Decimal) -> GridSpec:
    """A configured grid as the domain's ladder functions read it.

    Raises:
        ConfigError: a price or quantity lies between two steps of the instrument.
    """
    where = f"grids.{grid.symbol}"
    lots = level_quote = 0
    count = grid.grid_number or grid.levels_per_side or 0
    levels = count if grid.is_bounded else 2 * count
    if grid.quantity is not None:
        if grid.quantity % lot:
            raise ConfigError(
                "config.quantity_off_lot",
                f"`{where}.quantity` is not a multiple of the lot {instrument.lot}",
                place=f"{where}.quantity",
                value=f"{grid.quantity:f}",
                fix=f"use a multiple of {instrument.lot}",
            )
        lots = int(grid.quantity / lot)
    elif grid.quote_investment is not None:
        level_quote = (
            money(grid.quote_investment, instrument.quote_decimals, f"{where}.quote_investment") // levels
        )
    if grid.lower_price is not None and grid.upper_price is not None:
        return GridSpec(
            spacing=grid.spacing.value,
            form=BOUNDED,
            count=count,
            lower_ticks=price_ticks(grid.lower_price, tick, f"{where}.lower_price"),
            upper_ticks=price_ticks(grid.upper_price, tick, f"{where}.upper_price"),
            lots=lots,
            level_quote=level_quote,
        )
    center = grid.center_price or Decimal(0)
    return GridSpec(
        spacing=grid.spacing.value,
        form=CENTERED,
        count=count,
        center_ticks=price_ticks(center, tick, f"{where}.center_price"),
        spacing_ppm=rate_ppm(grid.spacing_bps, 100, f"{where}.spacing_bps"),
        lots=lots,
        level_quote=level_quote,
    )


def build_opening(config: Config, scales: Scales, ledger_id: str) -> Opening:
    """Instruments, commands, balances and exchange rules of a run.

    Raises:
        ConfigError: a figure does not fit the instruments' steps.
    """
    decimals = quote_decimals(scales, config)
    instruments = {
        symbol: instrument_of(symbol, config.instruments[symbol], config.account, *scales[symbol], decimals)
        for symbol in sorted(scales)
    }
    asset_decimals = _asset_decimals(config, instruments, decimals)
    balances = _balances(config, asset_decimals)
    fixed = _fixed_prices(config, decimals)
    commands: list[Record] = [
        OpenAccount(
            ledger_id=ledger_id,
            exchange=config.account.exchange.value,
            quote=config.account.quote,
            decimals=tuple(sorted(asset_decimals.items())),
            balances=tuple(sorted(balances.items())),
            fixed_prices=tuple(sorted(fixed.items())),
        ),
        _open_portfolio(config, instruments, balances, fixed, asset_decimals),
        StartClock(mark_interval_ns=config.run.mark_interval_seconds * 10**9),
    ]
    commands += [ListInstrument(instrument=instruments[symbol]) for symbol in sorted(instruments)]
    commands += [
        start_grid(grid, number, instruments[grid.symbol], scales[grid.symbol], ledger_id, balances)
        for number, grid in enumerate(config.grids)
        if grid.symbol in instruments
    ]
    return Opening(
        instruments=instruments,
        commands=tuple(commands),
        balances=balances,
        rules=exchange_rules(config, decimals),
    )


def exchange_rules(config: Config, money_decimals: int) -> ExchangeRules:
    """The simulated exchange's rules of a configuration."""
    fees, fills = config.account.fees, config.fills
    price = fees.asset_price
    return ExchangeRules(
        model=FillModel(fills.model.value),
        order_latency_ns=fills.order_latency_ms * MS_NS,
        feed_latency_ns=fills.feed_latency_ms * MS_NS,
        latency_jitter_ns=fills.latency_jitter_ms * MS_NS,
        volume_limited=fills.partial.value == "volume",
        queue_ahead_ppm=rate_ppm(fills.queue_ahead_pct, 10_000, "fills.queue_ahead_pct"),
        fee_asset=fees.asset,
        fee_asset_price=money(price, money_decimals, "account.fees.asset_price") if price else 0,
        fee_asset_decimals=FEWEST_DECIMALS,
        funding={
            symbol: (
                rate_ppm(one.funding_rate_bps, 100, f"instruments.{symbol}.funding_rate_bps"),
                one.funding_interval_hours * HOUR_NS,
            )
            for symbol, one in config.instruments.items()
            if one.funding_rate_bps
        },
    )


def _asset_decimals(config: Config, instruments: dict[str, Instrument], decimals: int) -> dict[str, int]:
    found = dict.fromkeys(config.account.assets, FEWEST_DECIMALS)
    found.update({one.base: one.base_decimals for one in instruments.values()})
    found[config.account.quote] = decimals
    if config.account.fees.asset not in ("quote", "base"):
        found[config.account.fees.asset] = FEWEST_DECIMALS
    return found


def _balances(config: Config, asset_decimals: dict[str, int]) -> dict[str, int]:
    held = {**config.account.assets, config.account.quote: config.account.balance}
    return {
        asset: money(amount, asset_decimals[asset], f"account.assets.{asset}")
        for asset, amount in held.items()
    }


def _fixed_prices(config: Config, decimals: int) -> dict[str, int]:
    fees = config.account.fees
    if fees.asset in ("quote", "base") or fees.asset_price is None:
        return {}
    return {fees.asset: money(fees.asset_price, decimals, "account.fees.asset_price")}


def _open_portfolio(
    config: Config,
    instruments: dict[str, Instrument],
    balances: dict[str, int],
    fixed: dict[str, int],
    asset_decimals: dict[str, int],
) -> OpenPortfolio:
    cash = balances[config.account.quote]
    for asset, price in sorted(fixed.items()):
        cash += balances.get(asset, 0) * price // 10 ** asset_decimals[asset]
    held_through: dict[str, str] = {}  # an asset is counted once, through the first symbol that trades it
    for symbol, one in sorted(instruments.items()):
        if one.kind == SPOT and balances.get(one.base):
            held_through.setdefault(one.base, symbol)
    holdings = tuple(sorted((symbol, balances[base]) for base, symbol in held_through.items()))
    risk = config.risk
    decimals = asset_decimals[config.account.quote]
    session = risk.session_drawdown_pct if risk else None
    daily = risk.daily_drawdown_pct if risk else None
    cap = risk.inventory_max_quote if risk else None
    return OpenPortfolio(
        session_drawdown_ppm=rate_ppm(session, 10_000, "risk.session_drawdown_pct"),
        daily_drawdown_ppm=rate_ppm(daily, 10_000, "risk.daily_drawdown_pct"),
        inventory_max=money(cap, decimals, "risk.inventory_max_quote") if cap is not None else 0,
        orders_per_minute=(risk.orders_per_minute or 0) if risk else 0,
        cash=cash,
        holdings=holdings,
    )


def start_grid(
    grid: Grid,
    number: int,
    instrument: Instrument,
    scale: tuple[Decimal, Decimal],
    ledger_id: str,
    balances: dict[str, int],
) -> StartGrid:
    """The command that starts a configured grid.

    Args:
        number: place of the grid among those of the run; it is part of its order ids.
        scale: tick and lot.
        balances: units by asset; what of the base a grid with `existing` inventory may sell.

    Raises:
        ConfigError: a figure does not fit the instrument's steps.
    """
    tick, lot = scale
    where = f"grids.{grid.symbol}"
    stop, take = grid.stop_loss_price, grid.take_profit_price
    existing = grid.initial_inventory is InitialInventory.EXISTING
    return StartGrid(
        symbol=grid.symbol,
        symbol_index=number,
        ledger_id=ledger_id,
        spec=grid_spec(grid, instrument, tick, lot),
        mode="neutral" if grid.mode is GridMode.NEUTRAL else "long",
        initial_inventory=grid.initial_inventory.value if grid.initial_inventory else "none",
        existing_units=balances.get(instrument.base, 0) if existing else 0,
        stop_loss_ticks=price_ticks(stop, tick, f"{where}.stop_loss_price") if stop else 0,
        take_profit_ticks=price_ticks(take, tick, f"{where}.take_profit_price") if take else 0,
        on_stop=grid.on_stop.value,
        post_only=grid.post_only,
    )
