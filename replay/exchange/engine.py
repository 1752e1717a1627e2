"""The simulated exchange without its latencies: judged, matched and told at once.

Law: the rules of matching, fees and the wallet stay where they are (`session`, `matching`, `wallet`); here is
only what a desk needs of them: rows one by one, its own order ids, reports as they happen, and the refusals a
taking order meets when its fee would not be covered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from domain.inputs import OrderCancelledReport
from domain.instrument import LINEAR, Instrument, fee_units, notional
from domain.order_events import OrderTerms
from domain.orders import BUY, MARKET
from domain.record import Record
from replay.exchange.book import RestingOrder
from replay.exchange.rolling import MarketRow, RollingRows
from replay.exchange.rules import ExchangeRules, Reject
from replay.exchange.session import AmendSubmitted, SimulatedExchange

Told = Callable[[Record, int], None]


class Engine(SimulatedExchange):
    """A `SimulatedExchange` that is asked directly; orders go by the id their desk gives them."""

    def __init__(
        self,
        instruments: dict[str, Instrument],
        balances: dict[str, int],
        rules: ExchangeRules,
        told: Told,
        seed: int = 0,
    ) -> None:
        self.rows = {symbol: RollingRows() for symbol in instruments}
        super().__init__(dict(instruments), self.rows, balances, rules, seed)
        self.judge_more: Callable[[OrderTerms], Reject | None] = lambda terms: None
        self._told = told

    def row(self, symbol: str, row: MarketRow) -> None:
        """A row of the market happens."""
        self.on_row(symbol, self.rows[symbol].push(row))

    def judge(self, terms: OrderTerms) -> Reject | None:
        """Why an order is refused, if it is."""
        return self.judge_more(terms) or super()._judge(terms) or self._judge_taking(terms)

    def place(self, order_id: str, terms: OrderTerms, now_ns: int) -> None:
        """Take an order that has been judged."""
        asked: Any = terms  # mypy sees records as dataclasses, attrs.evolve asks for attrs classes
        self._place(attrs.evolve(asked, client_order_id=order_id), now_ns)
        self._seen_ids.clear()  # the desk keeps client ids; these would grow for ever

    def rest(self, order_id: str, terms: OrderTerms, left: int) -> None:
        """Let an order rest without judging or telling."""
        self._orders += 1
        order = RestingOrder(
            order_id, order_id, terms.side, terms.price_ticks, left, self._orders, terms.reduce_only
        )
        order.filled = terms.lots - left
        self.wallet.rest(self.instruments[terms.symbol], order.side, order.price, 0, left)
        self.books[terms.symbol].add(order)

    def cancel(self, order_id: str, symbol: str, now_ns: int, reason: str) -> None:
        """Take a resting order off the book."""
        order = self.books[symbol].by_id[order_id]
        self.books[symbol].remove(order)
        self.wallet.rest(self.instruments[symbol], order.side, order.price, order.left, 0)
        self._tell(OrderCancelledReport(client_order_id=order_id, reason=reason), now_ns)

    def judge_amend(self, order_id: str, symbol: str, price_ticks: int, lots: int) -> Reject | None:
        """Why a change of a resting order is refused, if it is; its own lock counts as free."""
        order, view = self.books[symbol].by_id[order_id], self.markets[symbol]
        left, instrument = lots - order.filled, self.instruments[symbol]
        if price_ticks <= 0:
            return Reject.PRICE_FILTER
        if left <= 0:
            return Reject.LOT_SIZE
        if not view.started:
            return Reject.MARKET_CLOSED
        if view.takes(order.side == BUY, price_ticks):
            return Reject.WOULD_TAKE
        if notional(instrument, price_ticks, lots) < instrument.min_notional and not order.reduce_only:
            return Reject.NOTIONAL
        self.wallet.rest(instrument, order.side, order.price, order.left, 0)
        covered = order.reduce_only or self.wallet.covers(instrument, order.side, price_ticks, left)
        self.wallet.rest(instrument, order.side, order.price, 0, order.left)
        if covered:
            return None
        return Reject.MARGIN if instrument.kind == LINEAR else Reject.BALANCE

    def amend(self, order_id: str, symbol: str, price_ticks: int, lots: int, now_ns: int) -> None:
        """Change a resting order that has been judged."""
        self._amend(
            AmendSubmitted(client_order_id=order_id, symbol=symbol, price_ticks=price_ticks, lots=lots),
            now_ns,
        )

    def relist(self, instrument: Instrument) -> None:
        """Take new rules of the same scale: what rests is locked by them from now on."""
        old = self.instruments[instrument.symbol]
        for order in self.books[instrument.symbol].by_id.values():
            self.wallet.rest(old, order.side, order.price, order.left, 0)
            self.wallet.rest(instrument, order.side, order.price, 0, order.left)
        self.instruments[instrument.symbol] = instrument

    def _judge_taking(self, terms: OrderTerms) -> Reject | None:
        """A spot buy that executes on arrival pays the other side's price and the taker's fee."""
        instrument, view = self.instruments[terms.symbol], self.markets[terms.symbol]
        market = terms.order_type == MARKET
        if instrument.kind == LINEAR or terms.side != BUY:
            return None
        if not (market or view.takes(True, terms.price_ticks)):
            return None
        worth = notional(instrument, view.best()[1], terms.lots)
        fee = 0 if self.rules.fee_asset == "base" else fee_units(worth, max(instrument.taker_fee_ppm, 0))
        return None if self.wallet.free(instrument.quote) >= worth + fee else Reject.BALANCE

    def _judge(self, terms: OrderTerms) -> Reject | None:
        return None  # what reaches `_place` has been judged by `judge`

    def _tell(self, report: Record, now_ns: int) -> None:
        self._told(report, now_ns)
