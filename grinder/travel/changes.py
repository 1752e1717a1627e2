"""From settings somebody wants changed to what a fork does about them.

Law: a setting either becomes inputs (rules of an instrument, limits, grids) or rules of the simulated
exchange, or it is refused by name.  What the books were opened with cannot change: that would be another
history, which is what a backtest of its own is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from domain.inputs import ChangeLimits, OpenAccount, OpenPortfolio, StartClock, StartGrid
from domain.instrument import Instrument
from grinder import __version__
from grinder.config import Config, config_as_dict, load_config
from grinder.errors import ConfigError
from grinder.opening import Opening, build_opening
from replay.fork import Changes

MAY_CHANGE = ("min_notional", "maker_fee_ppm", "taker_fee_ppm", "leverage_ppm")
LIMITS = ("session_drawdown_ppm", "daily_drawdown_ppm", "inventory_max", "orders_per_minute")
WITHOUT_EFFECT = ("live", "observe", "record")

Settings = Mapping[str, object]

_evolve: Callable[..., Any] = attrs.evolve
_fields: Callable[..., Any] = attrs.fields
"""Records are attrs classes that type checkers are told are dataclasses."""


def with_settings(config: Config, settings: Settings) -> Config:
    """A configuration with some settings changed.

    Raises:
        ConfigError: a setting is unknown or wrong.
    """
    return load_config([], {}, {**config_as_dict(config), **settings})


def settings_text(settings: Settings) -> str:
    """Settings as they are written on a command line."""
    return " ".join(f"{key}={value}" for key, value in sorted(settings.items()))


def changes_between(
    before: Config,
    after: Config,
    settings: Settings,
    listed: Mapping[str, Instrument],
    ledger_id: str,
    mode: str,
) -> Changes | None:
    """What becomes of a change of configuration; None when it changes nothing.

    Args:
        listed: the instruments as the ledger has them: their scales stay.

    Raises:
        ConfigError: a setting changed that cannot change under an open ledger.
    """
    scales = {symbol: (Decimal(one.tick), Decimal(one.lot)) for symbol, one in listed.items()}
    old = build_opening(before, scales, ledger_id)
    new = build_opening(after, scales, ledger_id)
    for symbol, one in after.instruments.items():
        same = before.instruments.get(symbol, one)
        if (one.tick, one.lot) != (same.tick, same.lot):
            raise _not_changeable(f"instruments.{symbol}", "prices and quantities are counted in its steps")
    _refuse(old, new, listed)
    instruments = _instruments(old, new)
    limits = _limits(old, new)
    grids = tuple(
        one for one in _all(new, StartGrid) if one not in _all(old, StartGrid) and isinstance(one, StartGrid)
    )
    rules = new.rules if new.rules != old.rules else None
    if not (instruments or limits or grids or rules):
        return None
    return Changes(
        detail=settings_text(settings),
        mode=mode,
        program=__version__,
        instruments=instruments,
        limits=limits,
        grids=grids,
        rules=rules,
    )


def described(changes: Changes | None) -> dict[str, Any]:
    """What changes, for people and for ``--json``."""
    if changes is None:
        return {"instruments": {}, "limits": None, "grids": [], "exchange": False}
    return {
        "instruments": {symbol: dict(fields) for symbol, fields in changes.instruments.items()},
        "limits": {name: getattr(changes.limits, name) for name in LIMITS} if changes.limits else None,
        "grids": [one.symbol for one in changes.grids],
        "exchange": changes.rules is not None,
    }


def _all(opening: Opening, kind: type[Any]) -> list[Any]:
    return [one for one in opening.commands if isinstance(one, kind)]


def _one(opening: Opening, kind: type[Any]) -> Any:
    return next(one for one in opening.commands if isinstance(one, kind))


def _not_changeable(key: str, why: str) -> ConfigError:
    return ConfigError(
        "fork.not_changeable",
        f"`{key}` cannot change in the middle of a run: {why}",
        place=key,
        fix="change grids, risk, fees, fills, funding or leverage; or run a backtest of its own",
    )


def _refuse(old: Opening, new: Opening, listed: Mapping[str, Instrument]) -> None:
    if _one(old, OpenAccount) != _one(new, OpenAccount):
        raise _not_changeable("account", "the books were opened with its exchange, currency and balances")
    portfolio = {
        name: getattr(_one(new, OpenPortfolio), name) for name in LIMITS
    }  # all but the limits is of the opening
    if _evolve(_one(old, OpenPortfolio), **portfolio) != _one(new, OpenPortfolio):
        raise _not_changeable("account", "the portfolio was opened with what it held")
    if _one(old, StartClock) != _one(new, StartClock):
        raise _not_changeable("run.mark_interval_seconds", "the clock has started")
    if new.instruments.keys() != old.instruments.keys():
        raise _not_changeable("grids", "a fork trades the symbols of its parent")
    for symbol, one in new.instruments.items():
        if one.quote_decimals != listed[symbol].quote_decimals:
            raise _not_changeable(
                f"instruments.{symbol}", "a figure is finer than the ledger's smallest unit of money"
            )
        for field in _fields(Instrument):
            same = getattr(one, field.name) == getattr(old.instruments[symbol], field.name)
            if field.name not in MAY_CHANGE and not same:
                raise _not_changeable(f"instruments.{symbol}.{field.name}", "the ledger's scales rest on it")


def _instruments(old: Opening, new: Opening) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for symbol, one in new.instruments.items():
        before = old.instruments[symbol]
        fields = {
            name: getattr(one, name) for name in MAY_CHANGE if getattr(one, name) != getattr(before, name)
        }
        if fields:
            found[symbol] = fields
    return found


def _limits(old: Opening, new: Opening) -> ChangeLimits | None:
    before, after = _one(old, OpenPortfolio), _one(new, OpenPortfolio)
    if all(getattr(before, name) == getattr(after, name) for name in LIMITS):
        return None
    return ChangeLimits(**{name: getattr(after, name) for name in LIMITS})
