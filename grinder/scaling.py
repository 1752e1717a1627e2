"""From the decimals of a configuration to the integer scales of the domain.

Law: scales are chosen once, here, so that everything after is exact: quote units are fine enough that one
tick times one base unit is a whole number of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from domain.instrument import LINEAR, PPM, Instrument
from domain.units import NotOnScaleError, decimals_of, text, to_units
from grinder.config import Account, Config, InstrumentKind
from grinder.config import Instrument as InstrumentConfig
from grinder.errors import ConfigError

FEWEST_DECIMALS = 8
"""Money is kept at least this fine, as exchanges do."""

MOST_DECIMALS = 17
"""Finer, and ordinary balances would leave 64 bits."""

LARGEST_UNITS = (1 << 63) // 1000
"""Largest configured amount: a thousandth of 64 bits, so that what a run makes of it stays within them."""


def _ppm(value: Decimal, per: int, key: str) -> int:
    """A rate in ppm; `per` is how many ppm one unit of the setting is."""
    try:
        return to_units(value * per, 0)
    except NotOnScaleError:
        raise ConfigError(
            "config.too_fine",
            f"`{key}` is finer than one part per million",
            place=key,
            value=text(value),
            fix="round it to 0.01 bps (0.0001 %)",
        ) from None


def base_decimals_of(config: InstrumentConfig, account: Account, lot: Decimal) -> int:
    """Digits of one base unit: fine enough for a lot, for what is held, and for a fee taken in the base."""
    held = decimals_of(account.assets.get(config.base, Decimal(0)))
    # A fee taken in the base asset is not a whole number of lots, so holdings must be finer than the lot.
    fees = FEWEST_DECIMALS if account.fees.asset == "base" else 0
    return max(decimals_of(lot), held, fees)


def quote_decimals(scales: Mapping[str, tuple[Decimal, Decimal]], config: Config) -> int:
    """Digits of one quote unit, fine enough for every (tick, lot) of the run.

    Raises:
        ConfigError: no scale within 64 bits is fine enough.
    """
    needed = max(
        decimals_of(tick) + base_decimals_of(config.instruments[symbol], config.account, lot)
        for symbol, (tick, lot) in scales.items()
    )
    if needed > MOST_DECIMALS:
        raise ConfigError(
            "config.too_fine",
            "tick and lot together are too fine to keep money exactly in 64 bits",
            place="instruments",
            value=f"{needed} decimals",
            fix=f"use ticks and lots of at most {MOST_DECIMALS} decimals together",
        )
    return max(FEWEST_DECIMALS, needed)


def instrument_of(
    symbol: str,
    config: InstrumentConfig,
    account: Account,
    tick: Decimal,
    lot: Decimal,
    money_decimals: int,
) -> Instrument:
    """The domain's instrument for a configured symbol.

    Raises:
        ConfigError: a rate or the minimum notional is finer than the scales hold.
    """
    price_decimals = decimals_of(tick)
    base_decimals = base_decimals_of(config, account, lot)
    tick_size = to_units(tick, price_decimals)
    return Instrument(
        symbol=symbol,
        kind=LINEAR if config.kind is InstrumentKind.LINEAR else "spot",
        base=config.base,
        quote=config.quote,
        tick=text(tick),
        lot=text(lot),
        tick_size=tick_size,
        price_decimals=price_decimals,
        base_decimals=base_decimals,
        quote_decimals=money_decimals,
        quote_per_tick_base=tick_size * 10 ** (money_decimals - price_decimals - base_decimals),
        base_per_lot=to_units(lot, base_decimals),
        min_notional=money(config.min_notional, money_decimals, f"instruments.{symbol}.min_notional"),
        maker_fee_ppm=_ppm(account.fees.maker_bps, 100, "account.fees.maker_bps"),
        taker_fee_ppm=_ppm(account.fees.taker_bps, 100, "account.fees.taker_bps"),
        leverage_ppm=_ppm(config.leverage, PPM, f"instruments.{symbol}.leverage"),
    )


def money(value: Decimal, decimals: int, key: str) -> int:
    """An amount in units.

    Raises:
        ConfigError: it is finer than one unit, or too large for 64 bits.
    """
    try:
        units = to_units(value, decimals)
    except NotOnScaleError:
        raise ConfigError(
            "config.too_fine",
            f"`{key}` is finer than the smallest unit of its currency",
            place=key,
            value=text(value),
            fix=f"use at most {decimals} decimals",
        ) from None
    if units > LARGEST_UNITS:
        raise ConfigError(
            "config.too_large_amount",
            f"`{key}` does not fit into 64 bits at {decimals} decimals",
            place=key,
            value=text(value),
            fix="use a smaller amount, or a coarser tick and lot",
        )
    return units


def price_ticks(value: Decimal, tick: Decimal, key: str) -> int:
    """A price in ticks.

    Raises:
        ConfigError: it lies between two ticks; the nearest are named.
    """
    ticks = value / tick
    whole = int(ticks)
    if whole == ticks:
        return whole
    raise ConfigError(
        "config.price_off_tick",
        f"`{key}` is not a multiple of the tick {text(tick)}",
        place=key,
        value=text(value),
        fix=f"use {text(whole * tick)} or {text((whole + 1) * tick)}",
    )


def rate_ppm(value: Decimal | None, per: int, key: str) -> int:
    """A rate in ppm; 0 for one that is switched off."""
    return 0 if value is None else _ppm(value, per, key)
