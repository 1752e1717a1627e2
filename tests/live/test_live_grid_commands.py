"""Terms of a grid on their way to the core: what is checked, what is taken along."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from live_runs import LEDGER_ID, SETTINGS
from msgspec.structs import replace

from actors.core import Core
from actors.journal import MemoryJournal
from domain.inputs import DeployGrid, SettingChange, TickReport
from domain.record import Record
from grinder.config import Config, config_as_dict, load_config
from grinder.errors import ConfigError, UserError
from grinder.live.deployed import beside_file, differences, in_words, terms_of, with_changes, with_settings
from grinder.live.deploying import GridCommands
from grinder.opening import build_opening

SYMBOL = "BTCUSDT"
STEPS = {SYMBOL: ("0.1", "0.001")}
(GRID,) = SETTINGS["grids"]
PERPETUAL: dict[str, Any] = {
    **SETTINGS,
    "instruments": {SYMBOL: {**SETTINGS["instruments"][SYMBOL], "kind": "linear", "leverage": "5"}},
    "grids": [{**{k: v for k, v in GRID.items() if k != "initial_inventory"}, "mode": "neutral"}],
}
HOLDING: dict[str, Any] = {
    **SETTINGS,
    "account": {"balance": "10000", "assets": {"BTC": "1"}},
    "grids": [{**GRID, "initial_inventory": "existing"}],
}


class Rig:
    """The commands of a core without a process around it: keeps what would be learned."""

    def __init__(self, settings: dict[str, Any]) -> None:
        from decimal import Decimal

        self.config: Config = load_config([], {}, settings)
        self.core = Core(MemoryJournal())
        scales = {symbol: (Decimal(tick), Decimal(lot)) for symbol, (tick, lot) in STEPS.items()}
        for command in build_opening(self.config, scales, LEDGER_ID).commands:
            self.core.learn(command, 1)
        self.core.learn(TickReport(symbol=SYMBOL, price_ticks=610_000), 2)
        self.given: list[Record] = []
        self.folder = SimpleNamespace(ledger=Path("nowhere"))
        self.spec = SimpleNamespace(config=self.config, ledger_id=LEDGER_ID)
        self.gate = SimpleNamespace(prices={SYMBOL: 610_000})
        run: Any = self
        self.commands = GridCommands(run)

    async def command(self, command: Record) -> int:
        self.given.append(command)
        raise asyncio.CancelledError  # there is no ledger to read the answer from

    def books(self) -> Any:
        return self.core.state_of("account")

    def deploy(self, **settings: object) -> DeployGrid:
        """The command a deployment of these settings becomes."""

        async def give() -> None:
            await self.commands.deploy(SYMBOL, settings, "ann")

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(give())
        (found,) = self.given
        assert isinstance(found, DeployGrid)
        return found

    def hold(self, units: int) -> None:
        """Let the grid hold something that no level has."""
        actor = self.core._actors[f"symbol/{SYMBOL}"]
        actor.state = replace(actor.state, spare=units)


def test_a_deployment_names_the_settings_that_are_others_and_who_changed_them() -> None:
    found = Rig(SETTINGS).deploy(grid_number="8", on_stop="flatten")
    assert (found.operator, found.replaces, found.start.on_stop) == ("ann", True, "flatten")
    assert found.changes == (
        SettingChange(setting="grids.BTCUSDT.grid_number", old="16", new="8"),
        SettingChange(setting="grids.BTCUSDT.on_stop", old="cancel", new="flatten"),
    )
    assert in_words(found.changes[:1]) == "grids.BTCUSDT.grid_number 16 -> 8"
    assert beside_file(found.changes[:1]) == "grids.BTCUSDT.grid_number 16 (the file: 8)"


def test_what_the_account_holds_beyond_its_grids_is_offered_where_the_terms_take_what_exists() -> None:
    rig = Rig(HOLDING)
    held = sum(level.held for level in rig.core.state_of(f"symbol/{SYMBOL}").levels)
    assert held > 0
    found = rig.deploy(grid_number="8")
    assert found.start.existing_units == rig.books().balances["wallet:BTC"] - held


def test_terms_that_buy_their_stock_are_offered_nothing() -> None:
    assert Rig(SETTINGS).deploy(grid_number="8").start.existing_units == 0


def test_a_grid_that_holds_something_keeps_its_mode() -> None:
    rig = Rig(PERPETUAL)
    rig.hold(-5)
    with pytest.raises(UserError) as refused:
        rig.commands.preview(SYMBOL, {"mode": "long", "initial_inventory": "none"})
    assert refused.value.code == "deploy.mode"
    rig.hold(0)
    assert rig.commands.preview(SYMBOL, {"mode": "long", "initial_inventory": "none"})["changes"]


def test_a_preview_shows_the_ladder_of_the_instrument_in_the_books_and_changes_nothing() -> None:
    rig = Rig(SETTINGS)
    found = rig.commands.preview(SYMBOL, {"grid_number": 4, "lower_price": "60000", "upper_price": "62000"})
    assert found["plan"]["levels"][0]["buy_price"] == "60000"
    assert (len(found["plan"]["levels"]), found["price"], found["status"]) == (4, "61000.0", "running")
    assert rig.commands.config is rig.config and rig.given == []


def test_the_price_of_a_refused_ladder_is_not_a_search_in_the_running_process() -> None:
    import time

    rig = Rig(SETTINGS)
    began = time.process_time()
    with pytest.raises(ConfigError) as refused:
        rig.commands.preview(SYMBOL, {"grid_number": 200, "lower_price": "60900", "upper_price": "60910"})
    assert refused.value.code == "config.step_below_tick"
    assert time.process_time() - began < 1.0


def test_changes_laid_over_the_beginning_are_what_was_deployed() -> None:
    began = load_config([], {}, SETTINGS)
    first = with_settings(began, SYMBOL, {"grid_number": 8, "stop_loss_price": "50000"})
    second = with_settings(first, SYMBOL, {"stop_loss_price": None, "post_only": False})
    changes = (*differences(began, first, SYMBOL), *differences(first, second, SYMBOL))
    assert config_as_dict(with_changes(began, changes)) == config_as_dict(second)
    assert terms_of(second, SYMBOL)["stop_loss_price"] == ""
    assert attrs.evolve(second, grids=began.grids) == began
