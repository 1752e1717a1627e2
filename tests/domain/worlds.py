"""A core with an exchange made of the test's own hands: the tests say what the exchange says.

Law: no rule of the product is repeated here.  Instruments are small enough to compute with in the head: one
tick times one lot is one quote unit, unless a test asks for finer scales.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import HealthCheck, settings

from actors.core import Core
from actors.journal import MemoryJournal
from domain.codec import decode
from domain.grids.spec import GridSpec
from domain.inputs import (
    CancelRejectedReport,
    ClockReport,
    FillReport,
    NoAnswerReport,
    OpenAccount,
    OpenPortfolio,
    OrderAcceptedReport,
    OrderCancelledReport,
    OrderRejectedReport,
    StartClock,
    StartGrid,
    TickReport,
)
from domain.instrument import LINEAR, Instrument, ListInstrument
from domain.order_events import CancelSubmitted, OrderSubmitted, OrderTerms
from domain.record import Record

QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
"""How property tests run here: the same examples every time, few enough to stay quick."""

LEDGER = "c0ffee00"
SECOND = 10**9
T0 = 1_700_000_000 * SECOND

COIN = Instrument(
    symbol="COINUSD",
    kind="spot",
    base="COIN",
    quote="USD",
    tick="1",
    lot="1",
    tick_size=1,
    price_decimals=0,
    base_decimals=0,
    quote_decimals=0,
    quote_per_tick_base=1,
    base_per_lot=1,
    min_notional=0,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
)
"""Spot; a lot is one coin, a tick one dollar."""

PERP = attrs.evolve(COIN, symbol="PERPUSD", kind=LINEAR, base="PERP")
"""The same as a perpetual."""

FINE = attrs.evolve(
    COIN,
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    price_decimals=1,
    base_decimals=8,
    quote_decimals=10,
    quote_per_tick_base=10,
    base_per_lot=100_000,
    min_notional=5 * 10**10,
    maker_fee_ppm=1_000,
    taker_fee_ppm=1_000,
)
"""Spot at the scales of a real exchange."""


def instrument(like: Instrument = COIN, **changes: Any) -> Instrument:
    """An instrument that differs from another in a few fields."""
    return attrs.evolve(like, **changes)


def terms(order_id: str, side: str, price: int, lots: int, **changes: Any) -> OrderTerms:
    """Terms of a resting order on `COIN`, unless changed."""
    fields = {
        "symbol": COIN.symbol,
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        **changes,
    }
    return OrderTerms(client_order_id=order_id, side=side, price_ticks=price, lots=lots, **fields)


def bounded(lower: int, upper: int, count: int, lots: int = 1, **changes: Any) -> GridSpec:
    """An arithmetic grid between two prices."""
    fields: dict[str, Any] = {"spacing": "arithmetic", "lots": lots, **changes}
    return GridSpec(form="bounded", count=count, lower_ticks=lower, upper_ticks=upper, **fields)


def centered(center: int, ppm: int, count: int, lots: int = 1, **changes: Any) -> GridSpec:
    """A geometric ladder around a price."""
    fields: dict[str, Any] = {"spacing": "geometric", "lots": lots, **changes}
    return GridSpec(form="centered", count=count, center_ticks=center, spacing_ppm=ppm, **fields)


def start_grid(symbol: str, spec: GridSpec, **changes: Any) -> StartGrid:
    """The command for a long grid that buys nothing at its start, unless changed."""
    fields: dict[str, Any] = {
        "symbol_index": 0,
        "ledger_id": LEDGER,
        "mode": "long",
        "initial_inventory": "none",
        "existing_units": 0,
        "stop_loss_ticks": 0,
        "take_profit_ticks": 0,
        "on_stop": "cancel",
        "post_only": True,
        **changes,
    }
    return StartGrid(symbol=symbol, spec=spec, **fields)


def open_portfolio(cash: int, **changes: Any) -> OpenPortfolio:
    """The command for a portfolio without limits, unless changed."""
    fields: dict[str, Any] = {
        "session_drawdown_ppm": 0,
        "daily_drawdown_ppm": 0,
        "inventory_max": 0,
        "orders_per_minute": 0,
        **changes,
    }
    return OpenPortfolio(cash=cash, **fields)


def open_account(quote: str, balances: dict[str, int]) -> OpenAccount:
    """The command that begins the books with these balances."""
    return OpenAccount(
        ledger_id=LEDGER, exchange="paper", quote=quote, decimals=(), balances=tuple(balances.items())
    )


class World:
    """A core, its journal, and what the test says the exchange did."""

    def __init__(
        self,
        *instruments: Instrument,
        balances: dict[str, int] | None = None,
        mark_interval_ns: int = 3_600 * SECOND,
        **limits: Any,
    ) -> None:
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        self.now_ns = T0
        self.sent: list[Record] = []
        self.orders: dict[str, OrderTerms] = {}
        self.instruments = {one.symbol: one for one in instruments or (COIN,)}
        first = next(iter(self.instruments.values()))
        self.symbol = first.symbol
        balances = {first.quote: 1_000_000} if balances is None else balances
        held = tuple(
            (s, balances[i.base])
            for s, i in self.instruments.items()
            if i.kind != LINEAR and balances.get(i.base)
        )
        self.learn(open_account(first.quote, balances))
        self.learn(open_portfolio(balances.get(first.quote, 0), holdings=held, **limits))
        self.learn(StartClock(mark_interval_ns=mark_interval_ns))
        for one in self.instruments.values():
            self.learn(ListInstrument(instrument=one))

    # --- what the core learns --------------------------------------------------------------------------

    def learn(self, report: Record, after_ns: int = 0) -> list[Record]:
        """Let the core learn a report; the intents that left because of it."""
        self.now_ns += after_ns
        self.core.learn(report, self.now_ns)
        intents = self.core.take_intents()
        self.sent += intents
        for intent in intents:
            if isinstance(intent, OrderSubmitted):
                self.orders[intent.terms.client_order_id] = intent.terms
        return intents

    def start(self, spec: GridSpec, symbol: str = "", **changes: Any) -> list[Record]:
        return self.learn(start_grid(symbol or self.symbol, spec, **changes))

    def tick(self, price: int, symbol: str = "", after_ns: int = 0) -> list[OrderTerms]:
        """Tell a price; the terms of the orders that left."""
        sent = self.learn(TickReport(symbol=symbol or self.symbol, price_ticks=price), after_ns)
        return [one.terms for one in sent if isinstance(one, OrderSubmitted)]

    def mark(self, **prices: int) -> None:
        """Tell the clock the time and these prices."""
        self.learn(ClockReport(marks=tuple(sorted(prices.items()))))

    def accept(self, *order_ids: str) -> None:
        for order_id in order_ids:
            self.learn(OrderAcceptedReport(client_order_id=order_id, exchange_order_id=f"x{order_id}"))

    def reject(self, order_id: str, reason: str = "-2010") -> list[Record]:
        return self.learn(OrderRejectedReport(client_order_id=order_id, reason=reason, text="no"))

    def cancelled(self, order_id: str, reason: str = "requested") -> list[Record]:
        return self.learn(OrderCancelledReport(client_order_id=order_id, reason=reason))

    def cancel_refused(self, order_id: str) -> list[Record]:
        return self.learn(CancelRejectedReport(client_order_id=order_id, reason="-2011", text="gone"))

    def silence(self, order_id: str) -> list[Record]:
        return self.learn(NoAnswerReport(client_order_id=order_id))

    def fill(
        self,
        order_id: str,
        lots: int = 0,
        price: int = 0,
        fee: tuple[str, int, int] | None = None,
        fill_id: str = "",
    ) -> list[OrderTerms]:
        """Execute an order (completely and at its own price unless told); the orders that left."""
        order = self.orders[order_id]
        asset, units, worth = fee or (self.instruments[order.symbol].quote, 0, 0)
        report = FillReport(
            client_order_id=order_id,
            exchange_order_id=f"x{order_id}",
            fill_id=fill_id or f"f{self.core.position}",
            symbol=order.symbol,
            side=order.side,
            price_ticks=price or order.price_ticks,
            lots=lots or order.lots,
            liquidity="maker",
            fee_asset=asset,
            fee_units=units,
            fee_value=worth,
        )
        return [one.terms for one in self.learn(report) if isinstance(one, OrderSubmitted)]

    # --- what the test asks ----------------------------------------------------------------------------

    def said(self, topic: str, stream: str = "") -> list[Any]:
        """Every record of a topic's name so far, decoded, oldest first."""
        return [
            decode(row.topic, row.state)
            for row in self.journal.rows
            if row.topic.partition("/")[0] == topic and row.stream.startswith(stream)
        ]

    def cancels(self) -> list[str]:
        return [one.client_order_id for one in self.sent if isinstance(one, CancelSubmitted)]

    def grid(self, symbol: str = "") -> Any:
        return self.core.state_of(f"symbol/{symbol or self.symbol}")

    @property
    def account(self) -> Any:
        return self.core.state_of("account")

    @property
    def portfolio(self) -> Any:
        return self.core.state_of("portfolio")

    def wallet(self, asset: str) -> int:
        return int(self.account.balances.get(f"wallet:{asset}", 0))
