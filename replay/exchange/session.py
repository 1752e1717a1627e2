"""The simulated exchange's session: requests in, reports out, both after their latency.

Law: implements `actors.ports.ExchangeSession`.  Requests and reports wait in one heap ordered by time, then
by the order in which they were made; the driver takes what is due.  A request is judged by the market as it
is when it arrives, not when it was decided.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from hashlib import sha256
from heapq import heappop, heappush
from typing import ClassVar

from domain.inputs import (
    CancelRejectedReport,
    FillReport,
    FundingReport,
    OrderAcceptedReport,
    OrderAmendedReport,
    OrderCancelledReport,
    OrderRejectedReport,
)
from domain.instrument import LINEAR, Instrument, fee_units, notional, value
from domain.order_events import CancelSubmitted, OrderSubmitted, OrderTerms
from domain.orders import BUY, MARKET, SELL, TimeInForce
from domain.record import Record, record
from replay.exchange.book import OwnBook, RestingOrder
from replay.exchange.market_view import MarketView, Rows
from replay.exchange.matching import executions
from replay.exchange.rules import ExchangeRules, Reject, base_fee, third_asset_fee, third_asset_worth
from replay.exchange.wallet import Wallet


@record("AmendSubmitted/1")
class AmendSubmitted(Record):
    """The intent to change a resting order in place: the new price and total quantity."""

    client_order_id: str
    symbol: str
    price_ticks: int
    lots: int


class SimulatedExchange:
    """One account on a simulated exchange."""

    outlives_process: ClassVar[bool] = False

    def __init__(
        self,
        instruments: dict[str, Instrument],
        markets: Mapping[str, Rows],
        balances: dict[str, int],
        rules: ExchangeRules,
        seed: int = 0,
    ) -> None:
        self.instruments = instruments
        self.markets = {symbol: MarketView(ticks) for symbol, ticks in markets.items()}
        self.books = {symbol: OwnBook() for symbol in markets}
        self.wallet = Wallet(balances)
        self.rules = rules
        self._requests: list[tuple[int, int, Record]] = []
        self._reports: list[tuple[int, int, Record]] = []
        self._sequence = 0
        self._orders = 0
        self._fills = 0
        self._seen_ids: set[str] = set()
        # A named stream of its own: drawing here never shifts another part's chances.
        self._chance = random.Random(sha256(f"{seed}/exchange/latency".encode()).digest())

    # --- the port --------------------------------------------------------------------------------------

    def submit(self, intent: Record, now_ns: int) -> None:
        """Take a request at the time it was decided; it arrives after the order latency."""
        self._sequence += 1
        due = now_ns + self.rules.order_latency_ns + self._jitter()
        heappush(self._requests, (due, self._sequence, intent))

    def next_request_ns(self) -> int | None:
        """When the next request arrives."""
        return self._requests[0][0] if self._requests else None

    def next_request_symbol(self) -> str:
        """Symbol of the next request to arrive; empty when there is none."""
        if not self._requests:
            return ""
        intent = self._requests[0][2]
        return intent.terms.symbol if isinstance(intent, OrderSubmitted) else getattr(intent, "symbol", "")

    def next_report_ns(self) -> int | None:
        """When the next report reaches the core."""
        return self._reports[0][0] if self._reports else None

    def take_report(self) -> Record:
        """The next report, which is due."""
        return heappop(self._reports)[2]

    def handle_request(self) -> None:
        """Judge the next request, which is due."""
        now_ns, _, intent = heappop(self._requests)
        if isinstance(intent, OrderSubmitted):
            self._place(intent.terms, now_ns)
        elif isinstance(intent, CancelSubmitted):
            self._cancel(intent, now_ns)
        elif isinstance(intent, AmendSubmitted):
            self._amend(intent, now_ns)

    def on_row(self, symbol: str, row: int) -> None:
        """Execute what a row of the market executes."""
        view, book = self.markets[symbol], self.books[symbol]
        view.at = row
        now_ns = int(view.ticks.ts[row])
        for order, lots in executions(self.rules, view, book):
            if order.reduce_only and not self._may_reduce(symbol, order.side, lots):
                book.remove(order)
                self.wallet.rest(self.instruments[symbol], order.side, order.price, order.left, 0)
                cancelled = OrderCancelledReport(client_order_id=order.client_id, reason="reduce_only")
                self._tell(cancelled, now_ns)
                continue
            before = order.left
            order.left -= lots
            order.filled += lots
            if not order.left:
                book.remove(order)
            self.wallet.rest(self.instruments[symbol], order.side, order.price, before, order.left)
            self._fill(symbol, order, order.price, lots, "maker", now_ns)

    # --- changed on the way ----------------------------------------------------------------------------

    def relist(self, instrument: Instrument) -> None:
        """Trade a symbol under changed rules from now on; what rests is kept, and locked by the new fee."""
        symbol = instrument.symbol
        before, self.instruments[symbol] = self.instruments[symbol], instrument
        for order in self.books[symbol].by_id.values():
            self.wallet.rest(before, order.side, order.price, order.left, 0)
            self.wallet.rest(instrument, order.side, order.price, 0, order.left)

    def hold(self, terms: OrderTerms, exchange_order_id: str, filled_lots: int) -> None:
        """Hold an order that rested here before this exchange began: behind no queue that anybody knows."""
        self._orders += 1
        self._seen_ids.add(terms.client_order_id)
        left = terms.lots - filled_lots
        order = RestingOrder(
            terms.client_order_id,
            exchange_order_id,
            terms.side,
            terms.price_ticks,
            left,
            self._orders,
            terms.reduce_only,
        )
        order.filled = filled_lots
        self.wallet.rest(self.instruments[terms.symbol], terms.side, terms.price_ticks, 0, left)
        self.books[terms.symbol].add(order)

    def start_numbers(self, orders: int, fills: int) -> None:
        """Number orders and executions from here on: ids given before must not come again."""
        self._orders, self._fills = max(self._orders, orders), max(self._fills, fills)

    def pay_funding(self, symbol: str, now_ns: int) -> None:
        """Exchange funding on a position: the long side pays a positive rate."""
        instrument = self.instruments[symbol]
        held = self.wallet.position.get(symbol, 0)
        rate_ppm, _ = self.rules.funding[symbol]
        price = self.markets[symbol].price()
        paid = fee_units(value(instrument, price, held), rate_ppm)
        if not paid:
            return
        self.wallet.charge(instrument.quote, paid)
        report = FundingReport(
            funding_id=f"{symbol}-{now_ns}", symbol=symbol, rate_ppm=rate_ppm, price_ticks=price, units=-paid
        )
        self._tell(report, now_ns)

    # --- requests --------------------------------------------------------------------------------------

    def _place(self, terms: OrderTerms, now_ns: int) -> None:
        reject = self._judge(terms)
        if reject:
            self._refuse(terms.client_order_id, reject, now_ns)
            return
        self._seen_ids.add(terms.client_order_id)
        self._orders += 1
        order = RestingOrder(
            terms.client_order_id,
            str(self._orders),
            terms.side,
            terms.price_ticks,
            terms.lots,
            self._orders,
            terms.reduce_only,
        )
        self._tell(
            OrderAcceptedReport(client_order_id=order.client_id, exchange_order_id=order.exchange_id), now_ns
        )
        view = self.markets[terms.symbol]
        buy = terms.side == BUY
        if terms.order_type == MARKET or view.takes(buy, terms.price_ticks):
            self._take(terms, order, now_ns)
        if not order.left:
            return
        if terms.order_type == MARKET or terms.time_in_force == TimeInForce.IOC:
            self._tell(OrderCancelledReport(client_order_id=order.client_id, reason="expired"), now_ns)
            return
        shown = view.displayed(buy, order.price, view.at)
        if shown is not None:
            order.ahead = shown * self.rules.queue_ahead_ppm // 1_000_000
        self.wallet.rest(self.instruments[terms.symbol], order.side, order.price, 0, order.left)
        self.books[terms.symbol].add(order)

    def _judge(self, terms: OrderTerms) -> Reject | None:
        """The exchange's reason to refuse an order, if any, in the order in which it checks."""
        instrument, view = self.instruments.get(terms.symbol), self.markets.get(terms.symbol)
        if instrument is None or view is None or not view.started:
            return Reject.UNKNOWN_SYMBOL
        market = terms.order_type == MARKET
        if not market and terms.price_ticks <= 0:
            return Reject.PRICE_FILTER
        if terms.lots <= 0:
            return Reject.LOT_SIZE
        price = view.price() if market else terms.price_ticks
        if notional(instrument, price, terms.lots) < instrument.min_notional and not terms.reduce_only:
            return Reject.NOTIONAL
        if terms.client_order_id in self._seen_ids:
            return Reject.DUPLICATE
        if terms.time_in_force == TimeInForce.POST_ONLY and view.takes(terms.side == BUY, terms.price_ticks):
            return Reject.WOULD_TAKE
        if terms.reduce_only:
            return None if self._may_reduce(terms.symbol, terms.side, terms.lots) else Reject.REDUCE_ONLY
        if not self.wallet.covers(instrument, terms.side, price, terms.lots):
            return Reject.MARGIN if instrument.kind == LINEAR else Reject.BALANCE
        return None

    def _may_reduce(self, symbol: str, side: str, lots: int) -> bool:
        instrument = self.instruments[symbol]
        units = lots * instrument.base_per_lot
        if instrument.kind != LINEAR:
            return side == SELL and self.wallet.total.get(instrument.base, 0) >= units
        held = self.wallet.position.get(symbol, 0)
        return held >= units if side == SELL else -held >= units

    def _take(self, terms: OrderTerms, order: RestingOrder, now_ns: int) -> None:
        """Execute a taking order at the best opposite price.

        When fills are limited by volume, at most the size shown there; a market order always completes,
        because what lies beyond the best price is not in the data.
        """
        view = self.markets[terms.symbol]
        buy = terms.side == BUY
        bid, ask = view.best()
        lots = order.left
        if self.rules.volume_limited and terms.order_type != MARKET:
            offered = view.offered(buy)
            lots = lots if offered is None else min(lots, offered)
        if lots:
            order.left -= lots
            order.filled += lots
            self._fill(terms.symbol, order, ask if buy else bid, lots, "taker", now_ns)

    def _cancel(self, intent: CancelSubmitted, now_ns: int) -> None:
        book = self.books.get(intent.symbol)
        order = book.by_id.get(intent.client_order_id) if book else None
        if book is None or order is None:
            reject = Reject.UNKNOWN_ORDER
            report = CancelRejectedReport(
                client_order_id=intent.client_order_id, reason=reject.code, text=reject.text
            )
            self._tell(report, now_ns)
            return
        book.remove(order)
        self.wallet.rest(self.instruments[intent.symbol], order.side, order.price, order.left, 0)
        self._tell(OrderCancelledReport(client_order_id=order.client_id, reason="requested"), now_ns)

    def _amend(self, intent: AmendSubmitted, now_ns: int) -> None:
        """Change price or size in place: a smaller size keeps the place in the queue, all else loses it."""
        book = self.books.get(intent.symbol)
        order = book.by_id.get(intent.client_order_id) if book else None
        view = self.markets.get(intent.symbol)
        if book is None or view is None or order is None:
            self._refuse(intent.client_order_id, Reject.UNKNOWN_ORDER, now_ns)
            return
        left = intent.lots - order.filled
        if left <= 0:
            self._refuse(intent.client_order_id, Reject.LOT_SIZE, now_ns)
            return
        if view.takes(order.side == BUY, intent.price_ticks):
            self._refuse(intent.client_order_id, Reject.WOULD_TAKE, now_ns)
            return
        instrument = self.instruments[intent.symbol]
        book.remove(order)
        self.wallet.rest(instrument, order.side, order.price, order.left, 0)
        if intent.price_ticks != order.price or left > order.left:
            self._orders += 1
            order.seq = self._orders
            shown = view.displayed(order.side == BUY, intent.price_ticks, view.at)
            order.ahead = None if shown is None else shown * self.rules.queue_ahead_ppm // 1_000_000
        order.price, order.left = intent.price_ticks, left
        self.wallet.rest(instrument, order.side, order.price, 0, order.left)
        book.add(order)
        self._tell(
            OrderAmendedReport(
                client_order_id=order.client_id, price_ticks=intent.price_ticks, lots=intent.lots
            ),
            now_ns,
        )

    # --- reports ---------------------------------------------------------------------------------------

    def _fill(
        self, symbol: str, order: RestingOrder, price: int, lots: int, liquidity: str, now_ns: int
    ) -> None:
        instrument = self.instruments[symbol]
        self.wallet.execute(instrument, order.side, price, lots)
        asset, units, worth = self._fee(instrument, order.side, price, lots, liquidity)
        if units:
            self.wallet.charge(asset, units)
        self._fills += 1
        self._tell(
            FillReport(
                client_order_id=order.client_id,
                exchange_order_id=order.exchange_id,
                fill_id=f"{symbol}-{self._fills}",
                symbol=symbol,
                side=order.side,
                price_ticks=price,
                lots=lots,
                liquidity=liquidity,
                fee_asset=asset,
                fee_units=units,
                fee_value=worth,
            ),
            now_ns,
        )

    def _fee(
        self, instrument: Instrument, side: str, price: int, lots: int, liquidity: str
    ) -> tuple[str, int, int]:
        """(asset, units, worth in quote units) of the fee of an execution."""
        rate = instrument.maker_fee_ppm if liquidity == "maker" else instrument.taker_fee_ppm
        if not rate:
            return instrument.quote, 0, 0
        worth = fee_units(notional(instrument, price, lots), rate)
        where = self.rules.fee_asset
        if where == "base" and side == BUY and instrument.kind != LINEAR:
            units = base_fee(instrument, worth, price)
            return instrument.base, units, value(instrument, price, units)
        if where in ("quote", "base"):
            return instrument.quote, worth, worth
        units = third_asset_fee(self.rules, worth)
        return where, units, third_asset_worth(self.rules, units)

    def _refuse(self, client_order_id: str, reject: Reject, now_ns: int) -> None:
        report = OrderRejectedReport(client_order_id=client_order_id, reason=reject.code, text=reject.text)
        self._tell(report, now_ns)

    def _tell(self, report: Record, now_ns: int) -> None:
        self._sequence += 1
        due = now_ns + self.rules.order_latency_ns + self._jitter()
        heappush(self._reports, (due, self._sequence, report))

    def _jitter(self) -> int:
        most = self.rules.latency_jitter_ns
        return self._chance.randrange(most + 1) if most else 0
