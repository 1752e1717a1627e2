"""Exchanges that count in contracts: what a contract is goes into the ledger, and must stay what it was."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import attrs
import pytest
from live_runs import LEDGER_ID, SETTINGS
from session_rig import Rig, play

from actors.ports import InstrumentRules
from domain.codec import encode
from domain.instrument import ListInstrument, contract_units
from grinder.config import load_config
from grinder.errors import ConfigError
from grinder.live.terms import with_contracts
from grinder.opening import Opening, build_opening

RULES = InstrumentRules(
    symbol="BTCUSDT",
    native="BTC-USDT-SWAP",
    kind="spot",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    contract=Decimal("0.01"),
)


def opened(contract: Decimal) -> Opening:
    opening = build_opening(
        load_config([], {}, SETTINGS), {"BTCUSDT": (Decimal("0.1"), Decimal("0.001"))}, LEDGER_ID
    )
    return with_contracts(opening, {"BTCUSDT": attrs.evolve(RULES, contract=contract)})


@pytest.mark.parametrize(("contract", "units"), [("0.01", 10), ("100", 100_000), ("0", 0)])
def test_the_books_open_with_what_a_contract_is(contract: str, units: int) -> None:
    opening = opened(Decimal(contract))
    [listed] = [one.instrument for one in opening.commands if isinstance(one, ListInstrument)]
    assert listed == opening.instruments["BTCUSDT"]
    assert listed.base_per_lot == 1, "a base unit is a thousandth"
    assert contract_units(listed) == units


def test_an_exchange_that_says_nothing_of_contracts_changes_nothing() -> None:
    plain = opened(Decimal(0))
    assert with_contracts(plain, {}) == plain
    [listed] = [one for one in plain.commands if isinstance(one, ListInstrument)]
    assert b"contract" not in encode(listed)


def test_a_contract_finer_than_its_asset_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        opened(Decimal("0.0005"))
    assert refused.value.code == "config.too_fine"


def test_a_contract_that_changed_pauses_the_symbol() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        rig.exchange.rule = attrs.evolve(rig.exchange.rule, contract=Decimal(10))
        await asyncio.sleep(3_601)
        assert rig.core.state_of("portfolio").pauses["COINUSD"] == ("instrument_changed",)
        [told] = [alert for alert in rig.alerts if alert.kind == "instrument_changed"]
        assert "a contract was 0, now 10" in told.text
        rig.exchange.rule = attrs.evolve(rig.exchange.rule, contract=Decimal(0))
        await asyncio.sleep(3_601)
        assert not rig.core.state_of("portfolio").pauses.get("COINUSD")

    play(story)
