"""Limits at the figures they have by default, and the halt in the ledger."""

from __future__ import annotations

from decimal import Decimal

from test_domain_portfolio import Risk, reason
from worlds import COIN, SECOND, T0, World, bounded

from domain.clock import DayStarted
from domain.inputs import HaltTrading, ResetHalt
from domain.order_events import OrderAllowed
from domain.portfolio import BlockReason, TradingHalted
from grinder.config import load_config


def test_limits_left_out_of_the_configuration_are_3_and_5_percent_and_5000() -> None:
    from small_ledgers import SETTINGS

    limits = load_config([], {}, {**SETTINGS, "risk": {"orders_per_minute": 60}}).risk
    assert limits is not None
    percent = Decimal(100)
    assert limits.session_drawdown_pct is not None
    assert limits.daily_drawdown_pct is not None
    assert limits.session_drawdown_pct / percent == Decimal("0.03")
    assert limits.daily_drawdown_pct / percent == Decimal("0.05")
    assert limits.inventory_max_quote == Decimal("5000.0")


def test_a_session_fall_of_3_percent_is_an_emergency_that_leaves_no_order_working() -> None:
    world = World(session_drawdown_ppm=30_000)
    world.mark(COINUSD=105)
    world.start(bounded(90, 110, 2, lots=1_500))
    near, far = world.tick(105)
    world.accept(near.client_order_id, far.client_order_id)
    (closing,) = world.fill(near.client_order_id)  # 1500 coins at 100
    world.tick(81)
    assert world.said("TradingHalted") == []
    world.tick(80)  # 30_000 of 1_000_000
    assert [one.reason for one in world.said("TradingHalted")] == ["EMERGENCY_DD_SESSION"]
    assert sorted(world.cancels()) == sorted([closing.client_order_id, far.client_order_id])


def test_a_daily_fall_of_5_percent_halts_and_the_next_midnight_starts_again() -> None:
    def fallen(new_day: bool) -> bool:
        # 1000 coins bought at 100 out of 1_000_000: a price of 50 is a fall of exactly 5 %.
        risk = Risk(daily_drawdown_ppm=50_000)
        risk.mark(100)
        risk.fill("buy", 100, 1_000)
        assert risk.tick(51) == ()
        if new_day:
            risk.tell(DayStarted(day=2, marks=((COIN.symbol, 51),)))
        return any(isinstance(one, TradingHalted) for one in risk.tick(50))

    assert fallen(new_day=False)
    assert not fallen(new_day=True)


def test_of_sixty_orders_a_minute_the_sixty_first_is_blocked_until_the_window_slides() -> None:
    risk = Risk(orders_per_minute=60)
    for second in range(60):
        assert isinstance(risk.order("buy", 1, 1, T0 + second * SECOND // 2), OrderAllowed)
    assert reason(risk.order("buy", 1, 1, T0 + 60 * SECOND - 1)) == BlockReason.VELOCITY
    assert isinstance(risk.order("buy", 1, 1, T0 + 60 * SECOND), OrderAllowed)
    assert reason(risk.order("buy", 1, 1, T0 + 60 * SECOND)) == BlockReason.VELOCITY


def test_a_halt_blocks_and_its_reset_is_in_the_ledger_with_its_operator() -> None:
    world = World()
    world.learn(HaltTrading(reason="MANUAL"))
    world.start(bounded(90, 110, 2))
    assert world.tick(105) == []
    assert {one.reason for one in world.said("OrderBlocked")} <= {BlockReason.HALTED.value}
    world.learn(ResetHalt(operator="ada"))
    (input_row,) = [row for row in world.journal.rows if row.topic.startswith("ResetHalt/")]
    (event_row,) = [row for row in world.journal.rows if row.topic.startswith("HaltReset/")]
    assert event_row.cause == input_row.position
    assert world.said("HaltReset")[0].operator == "ada"
    assert world.portfolio.halted == ""
