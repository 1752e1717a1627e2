"""The terms a run trades under: those it began with, and every change an operator has deployed since.

Law: the manifest says what a run began with and is not rewritten; the ledger says what was changed.  What
holds is both together, so a configuration file that says otherwise changes nothing until it is deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from domain.codec import decode
from domain.grid_events import ConfigChanged
from domain.inputs import SettingChange
from grinder.config import Config, Grid, config_as_dict, load_config
from grinder.errors import ConfigError
from grinder.ledger.reading import connect, is_begun

_SECTION = "grids"


def setting_of(symbol: str, key: str) -> str:
    """The name of a grid's setting: ``grids.BTCUSDT.spacing_bps``."""
    return f"{_SECTION}.{symbol}.{key}"


def changes_in(ledger: Path) -> list[tuple[int, int, ConfigChanged]]:
    """(position, time, change) of every change of terms in a ledger, in order; none where there is no ledger.

    Raises:
        LedgerError: the file is no ledger.
    """
    if not ledger.is_file() or not is_begun(ledger):
        return []
    asked = "SELECT rowid, ts_ns, state FROM stored_events WHERE topic = ? ORDER BY rowid"
    with closing(connect(ledger)) as connection:
        found = connection.execute(asked, (ConfigChanged.TOPIC,)).fetchall()
    return [(position, ts_ns, decode(ConfigChanged.TOPIC, state)) for position, ts_ns, state in found]


def deployed(config: Config, ledger: Path) -> Config:
    """A run's configuration with every change its ledger holds.

    Args:
        config: as the run began.

    Raises:
        LedgerError: the file is no ledger.
        ConfigError: a change cannot be read by this program.
    """
    changes = [one for _, _, event in changes_in(ledger) for one in event.changes]
    return with_changes(config, changes) if changes else config


def with_changes(config: Config, changes: Iterable[SettingChange]) -> Config:
    """A configuration with some settings of its grids changed."""
    by_symbol: dict[str, dict[str, object]] = {}
    for one in changes:
        symbol, _, key = one.setting.removeprefix(f"{_SECTION}.").rpartition(".")
        by_symbol.setdefault(symbol, {})[key] = one.new or None
    for symbol, settings in by_symbol.items():
        config = with_settings(config, symbol, settings)
    return config


def with_settings(config: Config, symbol: str, settings: Mapping[str, object]) -> Config:
    """A configuration in which settings of a symbol's grid are others; None takes one out.

    Raises:
        ConfigError: a setting is unknown or wrong, or the grid as a whole is.
    """
    if "symbol" in settings:
        raise ConfigError(
            "deploy.not_changeable",
            "a grid keeps its symbol",
            place=setting_of(symbol, "symbol"),
            fix="name a symbol the run trades, or start a run of its own",
        )
    data = config_as_dict(config)
    grids = [
        {**one, **settings} if one["symbol"] == symbol else one for one in data[_SECTION]
    ]  # the order stays: order ids count the symbols
    return load_config([], {}, {**data, _SECTION: grids})


def grid_of(config: Config, symbol: str) -> Grid:
    """The symbol's grid."""
    return next(one for one in config.grids if one.symbol == symbol)


def terms_of(config: Config, symbol: str) -> dict[str, str]:
    """Every setting of a symbol's grid as text; empty where it is not given."""
    found = next(one for one in config_as_dict(config)[_SECTION] if one["symbol"] == symbol)
    return {key: _text(value) for key, value in found.items() if key != "symbol"}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def differences(before: Config, after: Config, symbol: str) -> tuple[SettingChange, ...]:
    """The settings of a symbol's grid that are not the same."""
    old, new = terms_of(before, symbol), terms_of(after, symbol)
    return tuple(
        SettingChange(setting=setting_of(symbol, key), old=old.get(key, ""), new=new.get(key, ""))
        for key in sorted({*old, *new})
        if old.get(key, "") != new.get(key, "")
    )


def all_differences(before: Config, after: Config) -> tuple[SettingChange, ...]:
    """The settings of all grids that are not the same; both trade the same symbols."""
    return tuple(change for grid in before.grids for change in differences(before, after, grid.symbol))


def beside_file(changes: Iterable[SettingChange]) -> str:
    """What holds and what a file says: ``grids.BTCUSDT.grid_number 24 (the file: 12)``."""
    return ", ".join(f"{one.setting} {one.old or 'none'} (the file: {one.new or 'none'})" for one in changes)


def in_words(changes: Iterable[SettingChange]) -> str:
    """Changes as a person reads them: ``grids.BTCUSDT.grid_number 12 -> 24``."""
    return ", ".join(f"{one.setting} {one.old or 'none'} -> {one.new or 'none'}" for one in changes)
