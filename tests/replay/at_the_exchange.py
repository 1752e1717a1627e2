"""Someone at the simulated exchange of a backtest, and what is read off its reports."""

from __future__ import annotations

from typing import Any

from markets import trades
from worlds import COIN, T0, terms

from domain.inputs import FillReport
from domain.instrument import Instrument
from domain.order_events import CancelSubmitted, OrderSubmitted
from domain.record import Record
from replay.exchange.rules import ExchangeRules
from replay.exchange.session import AmendSubmitted, SimulatedExchange
from replay.ticks import Ticks


class Desk:
    """Someone at the exchange: sends requests, shows rows, reads reports."""

    def __init__(
        self,
        ticks: Ticks | None = None,
        one: Instrument = COIN,
        balances: dict[str, int] | None = None,
        **rules: Any,
    ) -> None:
        ticks = ticks or trades(one.symbol, [100])
        self.one = one
        self.exchange = SimulatedExchange(
            {one.symbol: one},
            {one.symbol: ticks},
            {"USD": 100_000, "COIN": 100} if balances is None else balances,
            ExchangeRules(**rules),
        )
        self.row(0)

    def row(self, number: int) -> list[Record]:
        self.exchange.on_row(self.one.symbol, number)
        return self.reports()

    def reports(self) -> list[Record]:
        found = []
        while self.exchange.next_report_ns() is not None:
            found.append(self.exchange.take_report())
        return found

    def ask(self, intent: Record, now_ns: int = T0) -> list[Record]:
        self.exchange.submit(intent, now_ns)
        self.exchange.handle_request()
        return self.reports()

    def place(self, order_id: str, side: str, price: int, lots: int, **changes: Any) -> list[Record]:
        changes.setdefault("symbol", self.one.symbol)
        wanted = terms(order_id, side, price, lots, **changes)
        return self.ask(OrderSubmitted(terms=wanted, reserve_asset="USD", reserved=0))

    def cancel(self, order_id: str, symbol: str = "") -> list[Record]:
        return self.ask(CancelSubmitted(client_order_id=order_id, symbol=symbol or self.one.symbol))

    def amend(self, order_id: str, price: int, lots: int) -> list[Record]:
        return self.ask(
            AmendSubmitted(client_order_id=order_id, symbol=self.one.symbol, price_ticks=price, lots=lots)
        )


def fills(reports: list[Record]) -> list[tuple[str, int, int]]:
    """(order, price, lots) of each execution."""
    return [(r.client_order_id, r.price_ticks, r.lots) for r in reports if isinstance(r, FillReport)]


def kinds(reports: list[Record]) -> list[type[Record]]:
    return [type(one) for one in reports]


GTC = {"time_in_force": "gtc"}
IOC = {"time_in_force": "ioc"}
TAKE = {"order_type": "market", "time_in_force": "ioc"}
