"""Limits can change in the middle of a run, and hold at once."""

from __future__ import annotations

import pytest
from travel_runs import SPOT, MemoryJournal, config

from actors.core import Core
from domain.codec import decode
from domain.inputs import ChangeLimits, ClockReport, OpenPortfolio, TickReport
from domain.record import Record
from domain.rejection import Refusal

NO_LIMITS = ChangeLimits(session_drawdown_ppm=0, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0)


def opened() -> Core:
    from decimal import Decimal

    from grinder.opening import build_opening

    core = Core(MemoryJournal())
    scales = {"BTCUSDT": (Decimal("0.1"), Decimal("0.001"))}
    for command in build_opening(config(SPOT), scales, "c0ffee00").commands:
        core.learn(command, 1)
    return core


def answer(core: Core, report: Record, now_ns: int = 2) -> list[Record]:
    journal = core.journal
    assert isinstance(journal, MemoryJournal)
    before = len(journal.rows)
    core.learn(report, now_ns)
    return [decode(row.topic, row.state) for row in journal.rows[before + 1 :]]


def test_changed_limits_are_those_the_portfolio_goes_by() -> None:
    core = opened()
    changed = ChangeLimits(session_drawdown_ppm=5, daily_drawdown_ppm=6, inventory_max=7, orders_per_minute=1)
    (event,) = answer(core, changed)
    assert type(event).__name__ == "LimitsChanged"
    state = core.state_of("portfolio")
    assert (state.session_drawdown_ppm, state.daily_drawdown_ppm) == (5, 6)
    assert (state.inventory_max, state.orders_per_minute) == (7, 1)
    blocked = answer(core, TickReport(symbol="BTCUSDT", price_ticks=610_000))
    assert "OrderBlocked" in {type(one).__name__ for one in blocked}


def test_equity_already_below_a_new_limit_halts_at_once() -> None:
    core = opened()
    answer(core, ClockReport(marks=(("BTCUSDT", 610_000),)))
    assert core.state_of("portfolio").session_high
    core.state_of("portfolio")
    events = answer(
        core,
        ChangeLimits(session_drawdown_ppm=0, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0),
    )
    assert len(events) == 1
    tight = ChangeLimits(session_drawdown_ppm=1, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0)
    answer(core, tight)
    assert not core.state_of("portfolio").halted, "nothing was lost yet"


def test_a_portfolio_that_is_not_open_has_no_limits_to_change() -> None:
    core = Core(MemoryJournal())
    (refused,) = answer(core, NO_LIMITS)
    assert getattr(refused, "reason", "") == Refusal.NOT_RUNNING
    assert OpenPortfolio.TOPIC != NO_LIMITS.TOPIC


@pytest.mark.parametrize("ppm", [0, 1])
def test_a_loss_beyond_a_new_limit_halts(ppm: int) -> None:
    from msgspec.structs import replace

    from domain import portfolio

    core = opened()
    answer(core, ClockReport(marks=(("BTCUSDT", 610_000),)))
    state = core.state_of("portfolio")
    lost = replace(state, cash=state.cash - state.session_high // 100, session_drawdown_ppm=0)
    limits = ChangeLimits(
        session_drawdown_ppm=ppm, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0
    )
    events = portfolio.decide(replace(lost, daily_drawdown_ppm=0), 3, limits)
    assert isinstance(events, tuple) and len(events) == 1 + ppm
