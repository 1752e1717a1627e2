"""Records about a grid as a whole, as people read them."""

from __future__ import annotations

import json

from domain.grid_events import ConfigChanged, DeploymentBegun
from domain.grids.spec import GridSpec
from domain.inputs import DeployGrid, HaltTrading, SettingChange, StartGrid
from domain.risk_events import GridAllowed, GridBlocked
from grinder.inspection.amounts import Scales
from grinder.inspection.words import say

START = StartGrid(
    symbol="BTCUSDT",
    symbol_index=0,
    ledger_id="0123abcd",
    spec=GridSpec(spacing="arithmetic", form="bounded", count=4, lower_ticks=90, upper_ticks=110, lots=1),
    mode="long",
    initial_inventory="buy",
    existing_units=0,
    stop_loss_ticks=0,
    take_profit_ticks=0,
    on_stop="cancel",
    post_only=True,
)
CHANGE = SettingChange(setting="grids.BTCUSDT.grid_number", old="8", new="4")
DEPLOY = DeployGrid(start=START, changes=(CHANGE,), operator="ann", replaces=True)


def test_a_field_that_was_not_given_is_not_shown() -> None:
    assert Scales().fields(HaltTrading(reason="MANUAL")) == {"reason": "MANUAL"}
    assert Scales().fields(HaltTrading(reason="MANUAL", operator="ann"))["operator"] == "ann"


def test_a_deployment_is_shown_whole_and_knows_its_symbol() -> None:
    scales = Scales()
    for record in (
        DEPLOY,
        GridAllowed(deploy=DEPLOY),
        DeploymentBegun(symbol="BTCUSDT", operator="ann", start=START),
    ):
        assert scales.symbol_of(record) == "BTCUSDT"
        assert "0123abcd" in json.dumps(scales.fields(record))


def test_who_changed_what_is_said_in_a_sentence() -> None:
    changed = ConfigChanged(symbol="BTCUSDT", operator="ann", changes=(CHANGE,))
    said = say(Scales(), changed)
    assert said == "ann changed the terms of BTCUSDT: grids.BTCUSDT.grid_number 8 to 4"
    blocked = GridBlocked(
        symbol="BTCUSDT", command="start", operator="ann", reason="PAUSE_HALTED", detail="MANUAL"
    )
    assert "start of BTCUSDT by ann is blocked" in say(Scales(), blocked)
