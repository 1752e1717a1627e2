"""What every world of the seeded simulation is made of: its instrument, its length, its faults, its exchange.

Law: nothing here remembers a world; what is drawn is drawn from the seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs

from actors.ports import (
    ExchangeError,
    OrderRef,
    OrderSnapshot,
    Placed,
    RateLimited,
)
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.connectors.simulated import SimulatedConnector
from replay.faults import KINDS, FaultRule

LEDGER = "c0ffee00"
SECOND = 10**9
T0 = 1_700_006_400 * SECOND
SYMBOL = "BTCUSDT"
MIDDLE = 610_000

SPOT = Instrument(
    symbol=SYMBOL,
    kind="spot",
    base="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    tick_size=1,
    price_decimals=1,
    base_decimals=8,
    quote_decimals=10,
    quote_per_tick_base=10,
    base_per_lot=100_000,
    min_notional=5 * 10**10,
    maker_fee_ppm=1_000,
    taker_fee_ppm=1_000,
)
"""Spot at the scales of a real exchange; the perpetual differs in its kind only."""


@attrs.frozen(kw_only=True)
class Shape:
    """How long a world lasts, in seconds.

    Attributes:
        faults_s: time during which everything may go wrong.
        calm_s: time after that in which everything must become well while the market goes on.
        quiet_s: time without market at the end.
        spacing_s: mean time between rows of the market.
    """

    faults_s: float = 7_200.0
    calm_s: float = 900.0
    quiet_s: float = 240.0
    spacing_s: float = 4.0


@attrs.define(kw_only=True)
class Outcome:
    """What became of a world."""

    seed: int
    head: str = ""
    problems: list[str] = attrs.field(factory=list)
    fired: Counter[str] = attrs.field(factory=Counter)
    crashes: int = 0
    fills: int = 0
    orders: int = 0
    records: int = 0
    alerts: Counter[str] = attrs.field(factory=Counter)
    topics: Counter[str] = attrs.field(factory=Counter)
    refused: Counter[str] = attrs.field(factory=Counter)


STORMY = 7
"""One seed in so many has four times the faults."""


def fault_rules(chance: random.Random, storm: bool) -> list[FaultRule]:
    """A seed's faults: every kind, each as often as the seed says."""

    def often(mean: float) -> float:
        return min(0.5, mean * chance.choice((0.0, 0.5, 1.0, 2.0)) * (4 if storm else 1))

    wanted: dict[str, dict[str, Any]] = {
        "drop_request": {"probability": often(0.03), "operations": ("place", "cancel", "order", "fills")},
        "drop_reply": {"probability": often(0.04), "operations": ("place", "cancel", "open_orders")},
        "status_unknown": {"probability": often(0.03), "operations": ("place", "cancel")},
        "delay_reply": {"probability": often(0.03), "seconds": chance.choice((0.5, 3.0, 30.0))},
        "late_order": {"probability": often(0.02), "seconds": chance.choice((5.0, 20.0, 60.0))},
        "omit_open_order": {"probability": often(0.2)},
        "fill_before_ack": {"probability": often(0.05)},
        "lag_rest": {"probability": often(0.004), "seconds": chance.choice((5.0, 45.0)), "for_s": 120.0},
        "duplicate_fill": {"probability": often(0.05)},
        "fill_without_id": {"probability": often(0.02), "operations": ("private",)},
        "status_regress": {"probability": often(0.05)},
        "external_cancel": {"probability": often(0.006)},
        "filters_change": {"probability": often(0.00005), "symbol": SYMBOL, "limit": 1},
        "withdraw": {
            "probability": often(0.0003), "asset": "USDT", "amount": Decimal(500), "limit": 2,
        },
        "rate_limit": {"probability": often(0.004), "retry_after": chance.choice((2.0, 30.0))},
        "ban": {"probability": often(0.0006), "retry_after": 120.0},
        "clock_drift": {"probability": often(0.0006), "seconds": chance.choice((-10.0, 10.0)), "for_s": 90.0},
        "maintenance": {"probability": often(0.0003), "seconds": 150.0},
        "cut_stream": {"probability": often(0.004), "seconds": chance.choice((1.0, 20.0))},
        "mute_stream": {"probability": often(0.002), "seconds": chance.choice((20.0, 300.0))},
        "sequence_gap": {"probability": often(0.003)},
        "bad_checksum": {"probability": often(0.003)},
        "html_body": {"probability": often(0.02), "operations": ("place", "cancel", "order", "balances")},
        "truncated_body": {"probability": often(0.02), "operations": ("place", "cancel", "fills")},
        "null_price": {"probability": often(0.003), "operations": ("market", "fills", "order", "private")},
        "negative_fill": {"probability": often(0.02), "operations": ("private", "fills")},
        "unknown_status": {"probability": often(0.03), "operations": ("private", "order", "open_orders")},
        "short_batch": {"probability": often(0.05), "operations": ("place", "cancel")},
        "cancel_refused": {"probability": often(0.2)},
    }  # fmt: skip
    assert sorted(wanted) == sorted(KINDS), "every fault the exchange can have is in the mixture"
    return [FaultRule(kind=kind, **fields) for kind, fields in wanted.items()]


def drawn_anew(rules: list[FaultRule], draw: int) -> list[FaultRule]:
    """The same faults with streams of chances of their own for each draw; the first is the seed's."""
    if not draw:
        return rules
    return [attrs.evolve(one, name=f"{one.kind}/draw {draw}") for one in rules]


AROUND_THE_HORIZON = (
    *(FaultRule(kind="late_order", probability=0.02, seconds=at) for at in (9.5, 10.5, 11.5, 12.5, 14.0)),
    FaultRule(kind="delay_reply", probability=0.5, seconds=3.0, operations=("open_orders", "fills")),
)
"""Orders that arrive just as it is concluded that they never will, while answers are slow."""


class WatchedConnector(SimulatedConnector):
    """The simulated exchange, with every request of the program held against what may be sent."""

    world: Any
    """The world it stands in, which is told of every request."""

    limits: list[tuple[int, int, bool]] = []  # noqa: RUF012  set for each world
    """Limits the program has been told of: (since, until, banned)."""

    def _refusal(self, fault: Any, *, signed: bool) -> ExchangeError | None:
        refusal = super()._refusal(fault, signed=signed)
        if isinstance(refusal, RateLimited):
            since = self.clock() + int(3 * self.latency_s * SECOND)
            until = self.clock() + int(refusal.retry_after_s * SECOND)
            self.limits.append((since, until, refusal.banned))
        return refusal

    def may(self, what: str, *, cancel: bool = False) -> None:
        now = self.clock()
        self.limits = [one for one in self.limits if one[1] > now]
        for since, _, banned in self.limits:
            self.world.hold(now <= since or (cancel and not banned), f"{what} was asked in spite of a limit")

    async def _reading(self, operation: str, read: Any, *, signed: bool = True) -> Any:
        self.may(operation)
        answer = await super()._reading(operation, read, signed=signed)
        self.world.lagged_ns = max(self.world.lagged_ns, self.faults.until_ns("lag_rest"))
        return answer

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        self.may("place")
        for terms in orders:
            self.world.sent(terms.client_order_id)
        return await super().place(orders)

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        self.may("cancel", cancel=True)
        self.world.hold(not self.world.stopped, "a cancel was sent after the stop")
        for ref in orders:
            ours = ref.client_order_id.startswith(LEDGER)
            self.world.hold(ours, f"{ref.exchange_order_id} is not ours and was to be cancelled")
        return await super().cancel(orders)
