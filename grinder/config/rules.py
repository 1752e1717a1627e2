"""What the settings of the account and its instruments mean together, and what is probably not meant.

Law: as in `grid_rules`: sound settings in, problems out; nothing is read, computed or changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from grinder.config.account import Account
from grinder.config.choices import Exchange, InstrumentKind
from grinder.config.model import Config, Instrument
from grinder.config.refusals import refusal
from grinder.config.tree import Place
from grinder.errors import ConfigError


def account_problems(account: Account, at: Place) -> Iterator[ConfigError]:
    """What is wrong with an account as a whole."""
    fees = account.fees
    third = fees.asset not in ("quote", "base")
    if fees.asset == account.quote:
        yield refusal(
            "config.fee_asset",
            "`account.fees.asset` names the quote currency",
            place=at("fees", "asset"),
            value=fees.asset,
            fix="write `asset: quote`",
        )
    elif third and fees.asset_price is None:
        yield refusal(
            "config.fee_asset",
            f"fees in {fees.asset} need its price",
            place=at("fees", "asset"),
            fix=f"add `asset_price`: what one {fees.asset} costs in {account.quote}",
        )
    elif not third and fees.asset_price is not None:
        yield refusal(
            "config.fee_asset",
            f"`asset_price` has no meaning when fees are taken in the {fees.asset}",
            place=at("fees", "asset_price"),
            fix="leave `asset_price` out, or name the third asset in `asset`",
        )
    yield from _exchange_problems(account, at)
    if account.quote in account.assets:
        yield refusal(
            "config.balance_twice",
            f"{account.quote} is the quote currency, whose amount is `account.balance`",
            place=at("assets", account.quote),
            fix=f"remove {account.quote} from `assets` and put the amount into `balance`",
        )


def _exchange_problems(account: Account, at: Place) -> Iterator[ConfigError]:
    other = account.exchange is Exchange.OTHER
    if other and not account.connector:
        yield refusal(
            "config.missing_key",
            "`account.exchange` is `other`, and no connector is named",
            place=at("exchange"),
            fix="add `connector: NAME`, the entry point of the package that has it",
        )
    if account.connector and not other:
        yield refusal(
            "config.connector",
            f"`connector` has no meaning with `exchange: {account.exchange}`",
            place=at("connector"),
            value=account.connector,
            fix="leave `connector` out, or write `exchange: other`",
        )
    if account.endpoint is not None and account.exchange is Exchange.SIMULATED:
        yield refusal(
            "config.endpoint",
            "the simulated exchange is inside this program and has no address",
            place=at("endpoint"),
            fix="leave `endpoint` out, or name the exchange whose protocol is spoken there",
        )


def instrument_problems(
    symbol: str, instrument: Instrument, account: Account | None, at: Place
) -> Iterator[ConfigError]:
    """What is wrong with an instrument, given the account it is traded on (None: not known)."""
    if account is not None and instrument.quote != account.quote:
        yield refusal(
            "config.quote_mismatch",
            f"{symbol} is priced in {instrument.quote}, the account counts in {account.quote}",
            place=at("quote"),
            fix=f"set `quote: {account.quote}`, or `account.quote: {instrument.quote}`",
        )
    if instrument.kind is InstrumentKind.LINEAR:
        return
    spot = {"leverage": Decimal(1), "funding_rate_bps": Decimal(0), "funding_interval_hours": 8}
    for key, only in spot.items():
        if (value := getattr(instrument, key)) != only:
            yield refusal(
                "config.needs_linear",
                f"`{key}` needs an instrument of kind linear, and {symbol} is {instrument.kind}",
                place=at(key),
                value=str(value),
                fix=f"set `kind: linear`, or leave `{key}` out",
            )


def config_warnings(config: Config) -> list[ConfigError]:
    """What is allowed and probably not meant.  Nothing is raised; the command line prints these."""
    return [*_risk_warnings(config), *_fee_warnings(config)]


def _risk_warnings(config: Config) -> Iterator[ConfigError]:
    risk = config.risk
    if risk is None:
        return
    session, daily = risk.session_drawdown_pct, risk.daily_drawdown_pct
    limits: Mapping[str, Decimal | None] = {"session": session, "daily": daily}
    for name, limit in limits.items():
        if limit is not None and limit > 20:
            yield _warning(f"risk.{name}_drawdown_pct is above 20 %", f"{limit:f}", "set it to 20 or less")
    if session is not None and daily is not None and session >= daily:
        yield _warning(
            "risk.session_drawdown_pct is not below risk.daily_drawdown_pct, so it never halts first",
            f"{session:f}",
            f"set it below {daily:f}",
        )


def _fee_warnings(config: Config) -> Iterator[ConfigError]:
    asset = config.account.fees.asset
    if asset not in ("quote", "base") and not config.account.assets.get(asset):
        yield _warning(
            f"fees are taken in {asset}, and the account holds none", asset, "add it to account.assets"
        )


def _warning(what: str, value: str, fix: str) -> ConfigError:
    return ConfigError("config.warning", what, value=value, fix=fix)
