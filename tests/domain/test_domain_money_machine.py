"""Orders and money as a machine: random histories against a model that a reader can check in a minute.

The model knows no reservations table, no postings and no average cost: it keeps what was bought, sold and
paid as fractions, and asks the product to agree after every step.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import COIN, PERP, QUICK, T0, instrument, open_account, open_portfolio, terms

from domain import account, account_state, portfolio
from domain.inputs import (
    FillReport,
    FundingReport,
    NoAnswerReport,
    OrderAcceptedReport,
    OrderCancelledReport,
    OrderRejectedReport,
)
from domain.instrument import ListInstrument
from domain.order_events import OrderRefused, OrderRequested, OrderSubmitted
from domain.record import Record
from domain.rejection import Refusal, Rejection

SPOT = instrument(COIN, base_per_lot=100, quote_per_tick_base=3, maker_fee_ppm=1_234, taker_fee_ppm=999)
SWAP = instrument(PERP, base_per_lot=100, quote_per_tick_base=3, leverage_ppm=3_000_000)
BY_SYMBOL = {one.symbol: one for one in (SPOT, SWAP)}
OPENING = {"USD": 3_000_000, "COIN": 5_000, "GAS": 1_000}


@attrs.define
class Expected:
    """What the model knows of one order."""

    symbol: str
    side: str
    price: int
    lots: int
    filled: int = 0
    alive: bool = True
    heard: bool = False
    unknown: bool = False

    @property
    def left(self) -> int:
        return self.lots - self.filled


def worth(symbol: str, price: int, units: int) -> int:
    return price * units * BY_SYMBOL[symbol].quote_per_tick_base


class MoneyMachine(RuleBasedStateMachine):
    """Places, answers, fills and ends orders in any order, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.books = account.initial()
        self.risk = portfolio.initial()
        self.orders: dict[str, Expected] = {}
        self.last_fill: FillReport | None = None
        self.count = 0
        # The model: wallets of spot and fees, contracts held, and the cash that every trade moved.
        self.wallet = {asset: Fraction(units) for asset, units in OPENING.items()}
        self.contracts = 0
        self.average = Fraction(0)
        self.profit = Fraction(0)
        self.traded = 0
        self.reductions = 0
        self.gas_value = 0

    # --- the product -----------------------------------------------------------------------------------

    def ask(self, rules: Any, message: Record) -> Any:
        """Let one aggregate decide and evolve; its events, or its rejection."""
        name = "books" if rules is account else "risk"
        decision = rules.decide(getattr(self, name), T0, message)
        if not isinstance(decision, Rejection):
            for event in decision:
                setattr(self, name, rules.evolve(getattr(self, name), event))
        return decision

    def report(self, message: Record) -> Any:
        """An exchange's report to the books, and what follows from it to the portfolio."""
        decision = self.ask(account, message)
        if not isinstance(decision, Rejection):
            for event in decision:
                if "portfolio" in account.route(event):
                    assert not isinstance(self.ask(portfolio, event), Rejection)
        return decision

    @initialize()
    def open(self) -> None:
        self.ask(account, open_account("USD", OPENING))
        self.ask(portfolio, open_portfolio(OPENING["USD"], holdings=((SPOT.symbol, OPENING["COIN"]),)))
        for one in BY_SYMBOL.values():
            for rules in (account, portfolio):
                self.ask(rules, ListInstrument(instrument=one))

    # --- what happens ----------------------------------------------------------------------------------

    @rule(
        symbol=st.sampled_from(sorted(BY_SYMBOL)),
        side=st.sampled_from(["buy", "sell"]),
        price=st.integers(50, 150),
        lots=st.integers(1, 30),
    )
    def place(self, symbol: str, side: str, price: int, lots: int) -> None:
        self.count += 1
        order_id = f"o{self.count}"
        wanted = terms(order_id, side, price, lots, symbol=symbol)
        (allowed,) = self.ask(portfolio, OrderRequested(terms=wanted, level=0, cycle=0))
        (answer,) = self.ask(account, allowed)
        if isinstance(answer, OrderRefused):
            self.ask(portfolio, answer)
        else:
            assert isinstance(answer, OrderSubmitted)
            self.orders[order_id] = Expected(symbol, side, price, lots)
        if symbol == SPOT.symbol:
            assert isinstance(answer, OrderSubmitted) is self.covered(side, price, lots)

    def covered(self, side: str, price: int, lots: int) -> bool:
        """Whether what is free covers a spot order that was just placed (its own part is left out)."""
        mine = f"o{self.count}"
        others = {i: one for i, one in self.orders.items() if i != mine}
        asset = "USD" if side == "buy" else "COIN"
        free = self.wallet_of(asset) - self.set_aside(asset, others)
        free -= self.margin() if asset == "USD" else 0
        return free >= self.needs(SPOT.symbol, side, price, lots)

    def margin(self) -> int:
        """What backs the perpetual: the worse of its two sides at a leverage of three, rounded up."""
        cost = self.books.positions.get(SWAP.symbol, account_state.Position()).cost
        opens = {"buy": 0, "sell": 0}
        for one in self.orders.values():
            if one.alive and one.symbol == SWAP.symbol:
                opens[one.side] += worth(one.symbol, one.price, one.left * SWAP.base_per_lot)
        return -(-max(abs(cost + opens["buy"]), abs(cost - opens["sell"])) // 3)

    @staticmethod
    def needs(symbol: str, side: str, price: int, lots: int) -> int:
        units = lots * BY_SYMBOL[symbol].base_per_lot
        if side == "sell":
            return units
        value = Fraction(worth(symbol, price, units))
        return int(value) + -int(-value * 1_234 // 1_000_000)

    def set_aside(self, asset: str, orders: dict[str, Expected]) -> int:
        side = "buy" if asset == "USD" else "sell"
        return sum(
            self.needs(one.symbol, one.side, one.price, one.left)
            for one in orders.values()
            if one.alive and one.symbol == SPOT.symbol and one.side == side and one.left
        )

    def wallet_of(self, asset: str) -> int:
        """Units in a wallet of the books."""
        return self.books.balances.get(f"wallet:{asset}", 0)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), answer=st.sampled_from(["accept", "reject", "cancel", "expire", "silence"]))
    def answer(self, data: Any, answer: str) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        one = self.orders[order_id]
        fresh = one.alive and not one.heard and not one.filled and not one.unknown
        awaited = one.alive and not one.heard and not one.filled
        message: Record
        if answer == "accept":
            message = OrderAcceptedReport(client_order_id=order_id, exchange_order_id="x")
            legal = awaited or (one.alive and one.filled > 0)
        elif answer == "reject":
            message, legal = OrderRejectedReport(client_order_id=order_id, reason="r", text=""), awaited
        elif answer == "silence":
            message, legal = NoAnswerReport(client_order_id=order_id), fresh
        else:
            reason = "expired" if answer == "expire" else "requested"
            message, legal = OrderCancelledReport(client_order_id=order_id, reason=reason), one.alive
        decision = self.report(message)
        assert isinstance(decision, Rejection) is not legal, (answer, one, decision)
        if not legal:
            assert decision.reason is Refusal.ILLEGAL_TRANSITION
        elif answer == "accept":
            one.heard, one.unknown = True, False
        elif answer == "silence":
            one.unknown = True
        else:
            one.alive = False

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        lots=st.integers(1, 30),
        off=st.integers(-3, 3),
        fee=st.sampled_from([("USD", 0), ("USD", 7), ("USD", -5), ("COIN", 2), ("GAS", 3)]),
    )
    def fill(self, data: Any, lots: int, off: int, fee: tuple[str, int]) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        one = self.orders[order_id]
        price = one.price + off
        asset, units = fee
        value = units if asset == "USD" else units * 11
        if asset == "COIN":
            value = worth(SPOT.symbol, price, units)
            if one.symbol != SPOT.symbol:
                asset, units, value = "USD", 1, 1
        self.count += 1
        message = FillReport(
            client_order_id=order_id,
            exchange_order_id="x",
            fill_id=f"f{self.count}",
            symbol=one.symbol,
            side=one.side,
            price_ticks=price,
            lots=lots,
            liquidity="maker",
            fee_asset=asset,
            fee_units=units,
            fee_value=value,
        )
        decision = self.report(message)
        if lots > one.left:
            assert isinstance(decision, Rejection)
            assert decision.reason is Refusal.OVERFILL
            return
        (event,) = decision
        assert event.late is not one.alive
        self.last_fill = message
        self.book(one, price, lots, asset, units, value)

    def book(self, one: Expected, price: int, lots: int, asset: str, units: int, value: int) -> None:
        one.filled += lots
        one.unknown = False
        one.alive = one.alive and one.left > 0
        sign = 1 if one.side == "buy" else -1
        amount = sign * lots * BY_SYMBOL[one.symbol].base_per_lot
        self.wallet[asset] -= units
        self.gas_value += value if asset == "GAS" else 0
        if one.symbol == SPOT.symbol:
            self.wallet["COIN"] += amount
            self.wallet["USD"] -= worth(one.symbol, price, amount)
            return
        self.trade(Fraction(price * 3), amount)

    def trade(self, price: Fraction, amount: int) -> None:
        """Average cost in fractions: profit is made when contracts are given back."""
        self.traded -= int(price) * amount
        if self.contracts * amount >= 0:
            total = self.contracts + amount
            self.average = (self.average * abs(self.contracts) + price * abs(amount)) / abs(total)
            self.contracts = total
            return
        closing = min(abs(amount), abs(self.contracts))
        sign = 1 if self.contracts > 0 else -1
        self.profit += sign * closing * (price - self.average)
        self.reductions += 1
        self.contracts += amount
        if self.contracts * sign < 0:
            self.average = price

    @precondition(lambda self: self.last_fill is not None)
    @rule()
    def fill_again(self) -> None:
        before = self.books, self.risk
        decision = self.report(self.last_fill)  # type: ignore[arg-type]
        assert isinstance(decision, Rejection)
        assert decision.reason is Refusal.DUPLICATE_FILL
        assert (self.books, self.risk) == before

    @rule(units=st.integers(-50, 50))
    def pay_funding(self, units: int) -> None:
        self.count += 1
        self.report(
            FundingReport(
                funding_id=str(self.count), symbol=SWAP.symbol, rate_ppm=1, price_ticks=1, units=units
            )
        )
        self.wallet["USD"] += units

    # --- what always holds -----------------------------------------------------------------------------

    @invariant()
    def reservations_are_what_working_orders_need(self) -> None:
        for asset in ("USD", "COIN"):
            held = self.books.reserved.get(asset, 0)
            assert held >= 0
            assert held == self.set_aside(asset, self.orders)

    @invariant()
    def nothing_is_set_aside_when_no_order_works(self) -> None:
        if any(one.alive for one in self.orders.values()):
            return
        assert not any(self.books.reserved.values())
        assert not any(self.books.open_buys.values())
        assert not any(self.books.open_sells.values())
        for risk in self.risk.symbols.values():
            assert (risk.resting_buys, risk.resting_sells) == (0, 0)
            assert (risk.resting_buy_lots, risk.resting_sell_lots) == (0, 0)

    @invariant()
    def resting_values_are_those_of_the_working_orders(self) -> None:
        for symbol, one in BY_SYMBOL.items():
            for side in ("buy", "sell"):
                expected = sum(
                    worth(symbol, o.price, o.left * one.base_per_lot)
                    for o in self.orders.values()
                    if o.alive and (o.symbol, o.side) == (symbol, side)
                )
                risk = self.risk.symbols.get(symbol)
                if risk is not None:
                    assert (risk.resting_buys if side == "buy" else risk.resting_sells) == expected

    @invariant()
    def every_wallet_is_what_the_model_says(self) -> None:
        if not self.books.opened:
            return
        for asset in ("COIN", "GAS"):
            assert self.wallet_of(asset) == self.wallet[asset]
        # The floored share of the cost may leave less than one unit in the position at every reduction.
        gap = self.wallet_of("USD") - (self.wallet["USD"] + self.profit)
        assert abs(gap) <= self.reductions

    @invariant()
    def equity_is_opening_and_trades_to_the_last_unit(self) -> None:
        if not self.books.opened:
            return
        position = self.books.positions.get(SWAP.symbol, account_state.Position())
        assert position.units == self.contracts
        assert self.wallet_of("USD") - position.cost == self.wallet["USD"] + self.traded
        risk = self.risk.symbols.get(SWAP.symbol)
        if risk is None:
            return
        assert risk.inventory == self.contracts
        assert self.risk.symbols[SPOT.symbol].inventory == self.wallet["COIN"]
        assert self.risk.cash == self.wallet["USD"] + self.traded - self.gas_value

    @invariant()
    def all_balances_sum_to_nothing(self) -> None:
        assert sum(self.books.balances.values()) == 0


MoneyMachine.TestCase.settings = settings(QUICK, max_examples=60, stateful_step_count=40)


class TestMoneyAgreesWithTheModel(MoneyMachine.TestCase):  # type: ignore[misc,name-defined]
    """Random histories of orders, fills, fees and funding."""
