"""After any run the core and the exchange, which share no figure, agree on money, holdings and orders."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import Run
from test_replay_against_naive import Case, cases, run
from worlds import QUICK, SECOND

from domain.grid_state import GridStatus
from domain.orders import TERMINAL
from domain.symbol import inventory
from replay.backtest import Backtest

any_case = cases(feed=st.sampled_from([0, 7, SECOND]), order=st.sampled_from([0, 3, SECOND]))


def working(ran: Run) -> set[str]:
    """Orders the core believes to be working."""
    orders = ran.core.state_of("account").orders
    return {order_id for order_id, one in orders.items() if one.status not in TERMINAL}


@settings(QUICK, max_examples=120)
@given(any_case)
def test_after_a_run_core_and_exchange_agree(case: Case) -> None:
    ran = run(Backtest, case)
    books, wallet = ran.core.state_of("account"), ran.exchange.wallet
    # Money and holdings.  Fills that overtake each other split profit and cost differently, not their sum.
    assert books.balances.get("wallet:COIN", 0) == wallet.total["COIN"]
    booked = books.balances.get("wallet:USD", 0) - sum(one.cost for one in books.positions.values())
    assert booked == wallet.total["USD"] - sum(wallet.cost.values())
    for one in case.instruments:
        position = books.positions.get(one.symbol)
        assert (position.units if position else 0) == wallet.position.get(one.symbol, 0)
    if not case.rules.latency_jitter_ns:
        assert {s: p.cost for s, p in books.positions.items()} == wallet.cost
    # Orders, and what is set aside for them.
    on_book = {order_id for book in ran.exchange.books.values() for order_id in book.by_id}
    assert working(ran) == on_book
    if not on_book:
        assert not any(books.reserved.values())
        assert not any(wallet.locked.values())
    # No report about an order is refused, but for an acknowledgement that jitter let a fill overtake.
    refused = [one.topic for one in ran.said("MessageRefused") if one.topic.startswith(("Fill", "Order"))]
    assert set(refused) <= ({"OrderAcceptedReport/1"} if case.rules.latency_jitter_ns else set())


@settings(QUICK, max_examples=120)
@given(any_case)
def test_after_a_run_every_holding_belongs_to_a_level(case: Case) -> None:
    ran = run(Backtest, case)
    for one, start in zip(case.instruments, case.grids, strict=True):
        grid = ran.core.state_of(f"symbol/{one.symbol}")
        adopted = sum(x.base_units for x in ran.said("InventoryAdopted") if x.symbol == one.symbol)
        risk = ran.core.state_of("portfolio").symbols[one.symbol]
        outside = case.balances.get(one.base, 0) - adopted
        assert inventory(grid) == risk.inventory - outside, (one.symbol, start)
        assert all(level.held >= 0 for level in grid.levels)


@settings(QUICK, max_examples=120)
@given(any_case)
def test_a_grid_that_has_stopped_has_no_order_and_one_that_halts_does_stop(case: Case) -> None:
    # With jitter a cancel may overtake its order; `test_domain_symbol.py` has that by itself.
    case = attrs.evolve(case, rules=attrs.evolve(case.rules, latency_jitter_ns=0))
    ran = run(Backtest, case)
    halted = ran.core.state_of("portfolio").halted
    for one, start in zip(case.instruments, case.grids, strict=True):
        grid = ran.core.state_of(f"symbol/{one.symbol}")
        kept = start.on_stop == "keep" and not halted
        if grid.status is GridStatus.STOPPED and not kept:
            assert ran.exchange.books[one.symbol].by_id == {}
        if halted and ran.exchange.next_request_ns() is None:
            assert grid.status is GridStatus.STOPPED
