"""A merged tree checked as a whole and turned into a `Config`.

Law: shapes first, then defaults that depend on other settings, then rules; each stage judges only what the
one before left sound, so one mistake is reported once and hides no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from grinder.config import rules
from grinder.config.account import Account
from grinder.config.choices import GridMode, InitialInventory
from grinder.config.converting import structured
from grinder.config.grid import Grid
from grinder.config.grid_rules import grid_problems
from grinder.config.model import Config, Instrument
from grinder.config.reading import UNUSABLE, Reader, nearest
from grinder.config.refusals import refusal
from grinder.config.tree import Place, Table, place_of
from grinder.errors import ConfigError

_T = TypeVar("_T")

_SHELL = ("version", "fills", "risk", "run", "live", "observe", "record")
"""The sections that nothing is completed in or judged with others."""


class Check:
    """One tree on its way to a `Config`; what is unsound is left out of the later stages."""

    def __init__(self, tree: Table, problems: list[ConfigError]) -> None:
        self._tree = tree
        self._problems = problems
        self._data = Reader(problems).section(Config, tree, "")

    def config(self) -> Config | None:
        account = self._account()
        instruments = self._instruments(account)
        grids = self._grids(instruments, account)
        if self._problems:
            return None
        shell = {key: self._data[key] for key in _SHELL if key in self._data}
        config = structured({**shell, "account": {"balance": "0"}, "instruments": {}, "grids": []}, Config)
        assert account is not None, "an account without problems is sound"
        return attrs.evolve(
            config,
            account=account,
            instruments={symbol: sound for symbol, sound in instruments.items() if sound is not None},
            grids=tuple(grids),
        )

    def _account(self) -> Account | None:
        account = _sound(self._data["account"], Account)
        if account is not None:
            self._problems.extend(rules.account_problems(account, self._at("account")))
        return account

    def _instruments(self, account: Account | None) -> dict[str, Instrument | None]:
        """Every listed symbol; None where the instrument is unsound."""
        table = self._data["instruments"]
        if not isinstance(table, dict) or not table:
            self._missing("instruments", table, "list each symbol, such as `BTCUSDT: {kind: spot}`")
            return {}
        result: dict[str, Instrument | None] = {}
        for symbol, data in table.items():
            at = self._at("instruments", symbol)
            result[symbol] = None
            if not isinstance(data, dict):
                continue
            quote = data.setdefault("quote", account.quote if account else UNUSABLE)
            if "base" not in data and isinstance(quote, str):
                data["base"] = self._base(symbol, quote, at)
            if instrument := _sound(data, Instrument):
                result[symbol] = instrument
                self._problems.extend(rules.instrument_problems(symbol, instrument, account, at))
        return result

    def _base(self, symbol: str, quote: str, at: Place) -> object:
        base = symbol.removesuffix(quote).rstrip("-_.")
        if symbol.endswith(quote) and base:
            return base
        self._problems.append(
            refusal(
                "config.base_unknown",
                f"the base asset of {symbol} cannot be told: the symbol does not end in its quote {quote}",
                place=at(),
                fix="add `base:` with the name of the asset that is bought and sold",
            )
        )
        return UNUSABLE

    def _grids(self, instruments: Mapping[str, Instrument | None], account: Account | None) -> list[Grid]:
        rows = self._data["grids"]
        if not isinstance(rows, list) or not rows:
            self._missing("grids", rows, "add a grid, such as `- {symbol: BTCUSDT, mode: long, …}`")
            return []
        grids: list[Grid] = []
        seen: dict[str, str] = {}
        for index, data in enumerate(rows):
            if not isinstance(data, dict):
                continue
            at = self._at("grids", index)
            symbol = data["symbol"]
            if isinstance(symbol, str):
                self._symbol(symbol, instruments, seen, at)
            if data.get("mode") == GridMode.LONG and data.get("initial_inventory") is None:
                data["initial_inventory"] = InitialInventory.BUY.value
            if grid := _sound(data, Grid):
                grids.append(grid)
                self._problems.extend(grid_problems(grid, instruments.get(symbol), account, at))
        return grids

    def _symbol(
        self, symbol: str, instruments: Mapping[str, object], seen: dict[str, str], at: Place
    ) -> None:
        if symbol not in instruments:
            self._problems.append(
                refusal(
                    "config.unknown_symbol",
                    "the grid's symbol is not listed in `instruments`",
                    place=at("symbol"),
                    value=symbol,
                    fix=f"{nearest(symbol, instruments)} Or add `{symbol}` to `instruments`",
                )
            )
        if symbol in seen:
            self._problems.append(
                refusal(
                    "config.duplicate_symbol",
                    f"{symbol} is traded by another grid of this account, at {seen[symbol]}",
                    place=at("symbol"),
                    value=symbol,
                    fix="keep one grid for each symbol",
                )
            )
        seen.setdefault(symbol, at("symbol"))

    def _missing(self, key: str, found: object, fix: str) -> None:
        if found is not UNUSABLE:  # else it has been refused already
            what, place = f"`{key}` is empty", self._at(key)()
            self._problems.append(refusal("config.missing_key", what, place=place, fix=fix))

    def _at(self, *section: str | int) -> Place:
        return lambda *keys: place_of(self._tree, *section, *keys)


def _sound(data: object, kind: type[_T]) -> _T | None:
    return structured(data, kind) if _usable(data) else None


def _usable(data: Any) -> bool:
    if isinstance(data, dict):
        return all(_usable(value) for value in data.values())
    if isinstance(data, list):
        return all(_usable(value) for value in data)
    return data is not UNUSABLE
