"""The emergency's own patience: it asks until no order of ours is listed, or until its time is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from live_runs import SETTINGS
from session_rig import LEDGER, HandMadeExchange, Held

from actors.ports import ExchangeError, OutcomeUnknown, RateLimited, SnapshotStatus, Unavailable
from domain.order_events import OrderTerms
from grinder.config import load_config
from grinder.connectors.converting import Scales
from grinder.errors import EnvironmentFault
from grinder.ledger.lock import WriterLock
from grinder.live.emergency import alone, cancel_ours, finest_instruments
from replay.virtual_time import VirtualTimeLoop

T = TypeVar("T")


def after(work: Callable[[HandMadeExchange], Awaitable[T]]) -> tuple[T, float, HandMadeExchange]:
    """What a piece of work answers, how long it took in virtual seconds, and the exchange it leaves."""
    loop = VirtualTimeLoop()
    there = HandMadeExchange(loop.now_ns)
    for number in range(7):
        put(there, f"{LEDGER}{number:024x}")
    put(there, "f" * 32)

    async def main() -> T:
        return await work(there)

    try:
        return loop.run_until_complete(main()), loop.time(), there
    finally:
        loop.close()


def put(there: HandMadeExchange, order_id: str) -> Held:
    return there.put(
        OrderTerms(
            client_order_id=order_id,
            symbol="COINUSD",
            side="buy",
            order_type="limit",
            time_in_force="post_only",
            reduce_only=False,
            price_ticks=90,
            lots=1,
        )
    )


def left(there: HandMadeExchange) -> set[str]:
    return {one.terms.client_order_id[:8] for one in there.resting()}


def test_orders_of_ours_are_cancelled_in_batches_and_seen_to_be_gone() -> None:
    open_orders, took_s, there = after(lambda there: cancel_ours(there, LEDGER))
    assert (open_orders, left(there)) == (0, {"ffffffff"})
    assert [what for _, what, _ in there.asked].count("open_orders") == 2, "the second sees that none is left"
    assert took_s < 2


def test_an_exchange_that_is_away_or_limits_us_is_asked_again_when_it_may_be() -> None:
    def work(there: HandMadeExchange) -> Awaitable[int]:
        there.reads["open_orders"] = [Unavailable("503"), RateLimited("429", "slow down", 20.0), None]
        there.next["cancel"] = [OutcomeUnknown("504")] * 3 + ["lost", "dropped"]
        return cancel_ours(there, LEDGER)

    open_orders, took_s, there = after(work)
    assert (open_orders, left(there)) == (0, {"ffffffff"})
    asked = [at / 10**9 for at, what, _ in there.asked if what == "open_orders"]
    assert asked[2] - asked[1] >= 20, "not while it limits us"
    assert took_s < 30


def test_what_cannot_be_cancelled_in_time_is_counted() -> None:
    def work(there: HandMadeExchange) -> Awaitable[int]:
        there.next["cancel"] = [OutcomeUnknown("504")] * 10_000
        return cancel_ours(there, LEDGER, longest_s=30.0)

    open_orders, took_s, there = after(work)
    assert open_orders == 7
    assert 25 <= took_s <= 31
    assert all(one.status is SnapshotStatus.WORKING for one in there.resting())


def test_an_exchange_that_never_answers_is_an_error_and_no_success() -> None:
    def work(there: HandMadeExchange) -> Awaitable[int]:
        there.reads["open_orders"] = [Unavailable("503")] * 1_000
        return cancel_ours(there, LEDGER, longest_s=10.0)

    with pytest.raises(ExchangeError):
        after(work)


def test_every_order_of_every_exchange_can_be_read_without_its_rules() -> None:
    scales = Scales(finest_instruments(load_config([], {}, SETTINGS)), {})
    for price, quantity in (("0.000000001234", "90000000000"), ("987654.3", "0.00000001"), ("61000", "12.5")):
        ticks, lots = scales.ticks("BTCUSDT", price), scales.lots("BTCUSDT", quantity)
        assert Decimal(scales.price_text("BTCUSDT", ticks)) == Decimal(price)
        assert Decimal(scales.quantity_text("BTCUSDT", lots)) == Decimal(quantity)


def test_nothing_waits_between_two_looks_for_longer_than_it_was_told() -> None:
    _, took_s, there = after(lambda there: cancel_ours(there, LEDGER, between_s=0.2))
    assert took_s < 0.5 and not [one for one in there.resting() if one.terms.client_order_id != "f" * 32]


def test_a_folder_that_takes_no_lock_is_no_reason_to_leave_orders_and_a_living_run_is(tmp_path: Path) -> None:
    reached = []
    with alone(tmp_path / "gone"):
        reached.append("without a lock")
    with WriterLock(tmp_path), pytest.raises(EnvironmentFault), alone(tmp_path):
        reached.append("beside a living run")
    with alone(tmp_path), pytest.raises(EnvironmentFault), WriterLock(tmp_path):
        reached.append("two at once")
    assert reached == ["without a lock"]
