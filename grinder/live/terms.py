"""A configuration held against what an exchange publishes and an account holds, before anything is opened.

Law: nothing is guessed and nothing is sent.  Steps and least values are the exchange's; a configuration that
states others is refused, as is one that counts on money that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

import attrs

from actors.ports import Capabilities, InstrumentRules
from domain.inputs import SetRequestBudget
from domain.instrument import LINEAR, ListInstrument
from domain.instrument import Instrument as Listed
from grinder.config import Account, Config, Instrument, InstrumentKind
from grinder.config.live import Live
from grinder.errors import ConfigError
from grinder.opening import Opening
from grinder.scaling import FEWEST_DECIMALS, money

Scales = dict[str, tuple[Decimal, Decimal]]

_FINEST = Decimal(1).scaleb(-FEWEST_DECIMALS)


def under_rules(config: Config, rules: Mapping[str, InstrumentRules]) -> tuple[Config, Scales]:
    """The configuration with the exchange's steps, least values and fees; and (tick, lot) by symbol.

    Raises:
        ConfigError: a symbol is unknown or not traded, or the configuration says otherwise than the exchange.
    """
    instruments: dict[str, Instrument] = {}
    scales: Scales = {}
    for grid in config.grids:
        symbol, configured = grid.symbol, config.instruments[grid.symbol]
        found = rules.get(symbol)
        if found is None:
            raise ConfigError(
                "exchange.unknown_symbol",
                "the exchange does not know this symbol",
                place=f"instruments.{symbol}",
                value=symbol,
                fix="write it as in the exchange's list, without a separator, such as BTCUSDT",
            )
        _agree(symbol, configured, found)
        scales[symbol] = (found.tick, found.lot)
        least = max(configured.min_notional, found.min_notional)
        instruments[symbol] = attrs.evolve(configured, tick=found.tick, lot=found.lot, min_notional=least)
    return attrs.evolve(config, instruments=instruments, account=_with_fees(config, rules)), scales


def _agree(symbol: str, configured: Instrument, found: InstrumentRules) -> None:
    kind = LINEAR if configured.kind is InstrumentKind.LINEAR else "spot"
    stated = {
        "kind": (kind, found.kind),
        "tick": (configured.tick or found.tick, found.tick),
        "lot": (configured.lot or found.lot, found.lot),
        "base": (configured.base, found.base),
        "quote": (configured.quote, found.quote),
    }
    for key, (ours, theirs) in stated.items():
        if ours != theirs:
            raise ConfigError(
                "exchange.other_rules",
                f"`instruments.{symbol}.{key}` is not what the exchange says",
                place=f"instruments.{symbol}.{key}",
                value=str(ours),
                fix=f"write {theirs}, or leave the key out",
            )
    if not found.trading:
        raise ConfigError(
            "exchange.not_trading",
            "the exchange takes no orders on this symbol now",
            place=f"instruments.{symbol}",
            value=symbol,
            fix="choose another symbol, or try again later",
        )


def with_contracts(opening: Opening, rules: Mapping[str, InstrumentRules]) -> Opening:
    """The opening with what a contract is, on exchanges that count sizes in contracts.

    Raises:
        ConfigError: a contract is finer than the scale of its base asset.
    """
    instruments = {
        symbol: _in_contracts(one, rules[symbol].contract) if symbol in rules else one
        for symbol, one in opening.instruments.items()
    }
    commands = tuple(
        ListInstrument(instrument=instruments[one.instrument.symbol])
        if isinstance(one, ListInstrument)
        else one
        for one in opening.commands
    )
    return attrs.evolve(opening, instruments=instruments, commands=commands)


def _in_contracts(instrument: Listed, contract: Decimal) -> Listed:
    if not contract:
        return instrument
    place = f"instruments.{instrument.symbol}"
    units = money(contract, instrument.base_decimals, place)
    listed: Listed = attrs.evolve(instrument, base_per_contract=units)  # type: ignore[misc]
    return listed


def _with_fees(config: Config, rules: Mapping[str, InstrumentRules]) -> Account:
    """The account with the highest of the fees the exchange tells for our symbols."""
    fees = config.account.fees
    told = [rules[grid.symbol] for grid in config.grids]
    makers = [one.maker_bps for one in told if one.maker_bps is not None]
    takers = [one.taker_bps for one in told if one.taker_bps is not None]
    maker = max(makers) if len(makers) == len(told) else fees.maker_bps
    taker = max(takers) if len(takers) == len(told) else fees.taker_bps
    return attrs.evolve(config.account, fees=attrs.evolve(fees, maker_bps=maker, taker_bps=taker))


def with_balances(config: Config, held: Mapping[str, Decimal]) -> Config:
    """The configuration with what the account really holds of every asset the run knows.

    Raises:
        ConfigError: less of an asset is there than the configuration counts on.
    """
    account = config.account
    wanted = {account.quote: account.balance, **account.assets}
    for asset, least in wanted.items():
        if held.get(asset, Decimal(0)) < least:
            raise ConfigError(
                "exchange.capital_above_balance",
                f"the configuration counts on more {asset} than the account holds",
                place="account.balance" if asset == account.quote else f"account.assets.{asset}",
                value=f"{least:f}",
                fix=f"lower it to {held.get(asset, Decimal(0)):f} or less, or deposit {asset}",
            )
    known = {config.instruments[grid.symbol].base for grid in config.grids}
    known |= set(account.assets) - {account.quote}
    if account.fees.asset not in ("quote", "base"):
        known.add(account.fees.asset)
    assets = {asset: _floored(held[asset]) for asset in sorted(known) if held.get(asset)}
    return attrs.evolve(
        config,
        account=attrs.evolve(account, balance=_floored(held.get(account.quote, Decimal(0))), assets=assets),
    )


def _floored(amount: Decimal) -> Decimal:
    return amount.quantize(_FINEST, rounding=ROUND_FLOOR).normalize() + Decimal(0)


RESERVE_PART = 5
"""One in this many requests of an exchange's own rate is kept for cancels."""


def request_budget(live: Live, can: Capabilities) -> SetRequestBudget:
    """Requests a run allows itself: as configured, else as the exchange says, a fifth of it for cancels."""
    requests, seconds = can.order_rate
    reserve = requests // RESERVE_PART
    if live.requests is not None:
        requests, seconds, reserve = live.requests, live.request_window_seconds, live.request_reserve
    return SetRequestBudget(
        requests=requests, reserve=min(reserve, max(requests - 1, 0)), window_ns=seconds * 10**9
    )
