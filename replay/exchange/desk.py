"""The simulated exchange with a memory: what every server, paper account and simulation trades on.

Law: the executions are those of `replay.exchange.session.SimulatedExchange`, so a backtest, a paper account
and a wire server fill by the same rules.  The desk adds what an exchange knows besides: every order and
execution, orders placed by others, filters that change, a dead-man's switch.  It knows no wire and no fault.

All numbers are integers on the scale of the instrument an order was listed with (ticks, lots, units).  When
an exchange changes its filters, the scale stays and the steps grow (`Filters`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors.ports import SnapshotStatus
from domain.inputs import (
    FillReport,
    FundingReport,
    OrderAcceptedReport,
    OrderAmendedReport,
    OrderCancelledReport,
)
from domain.instrument import Instrument, notional
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from domain.record import Record
from domain.units import NotOnScaleError
from replay.exchange.engine import Engine
from replay.exchange.filters import Filters, changed_filters, filters_of
from replay.exchange.orders import DeskExecution, DeskOrder, DeskUpdate
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import ExchangeRules, Reject
from replay.exchange.wallet import Wallet

__all__ = ["Desk", "DeskExecution", "DeskOrder", "DeskUpdate", "Filters"]

REMEMBERED = 100_000
"""Ended orders (and, twice as many, executions) that are kept for queries."""

NS = 1_000_000_000


class Desk:
    """One account on a simulated exchange.

    Listeners are called in the middle of a request or a row: they must not call the desk.

    Args:
        instruments: by symbol; the scales of everything that is said here.
        balances: units by asset.
        rules: fill model, fees, funding; latencies are ignored (whoever speaks for the desk delays).
        ids_unique_for_ever: a client order id is refused even after its order ended; else among open orders.
        remembered: ended orders kept.

    Attributes:
        orders: by exchange order id, in the order they were placed.
        executions: oldest first, `.number` from 1.
        filters: what each symbol takes now.
        store_rejects: refusals after which the order is kept as rejected, with an exchange order id
            (exchanges whose acknowledgement comes before the judgement); the others leave no trace.
        funding, funding_ns: what was exchanged, oldest first, and when.
        max_open_orders: most open orders of a symbol; 0 is no limit.
        armed: dead-man deadlines in ns by symbol; the empty symbol stands for all.
    """

    def __init__(
        self,
        instruments: dict[str, Instrument],
        balances: dict[str, int],
        rules: ExchangeRules,
        seed: int = 0,
        *,
        ids_unique_for_ever: bool = True,
        remembered: int = REMEMBERED,
    ) -> None:
        self.instruments = dict(instruments)
        self.filters = {symbol: filters_of(one) for symbol, one in instruments.items()}
        self.rules = rules
        self.ids_unique_for_ever = ids_unique_for_ever
        self.store_rejects: frozenset[Reject] = frozenset()
        self.max_open_orders = 0
        self.orders: dict[str, DeskOrder] = {}
        self.executions: list[DeskExecution] = []
        self.funding: list[FundingReport] = []
        self.funding_ns: list[int] = []
        self.listeners: list[Callable[[DeskUpdate], None]] = []
        self.funding_listeners: list[Callable[[FundingReport, int], None]] = []
        self.armed: dict[str, int] = {}
        self._engine = Engine(self.instruments, dict(balances), rules, self._reported, seed)
        self._engine.judge_more = self._judge
        self.wallet: Wallet = self._engine.wallet
        self._open: dict[str, DeskOrder] = {}
        self._by_client_id: dict[str, DeskOrder] = {}
        self._remembered = remembered
        self._ended: dict[str, None] = {}
        self._number = 0
        self._execution_number = 0
        self._funding_at: dict[str, int] = {}

    # --- the market ------------------------------------------------------------------------------------

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """A row of the market happens: it may execute resting orders.

        Raises:
            KeyError: the symbol is not listed.
        """
        self._engine.row(symbol, row)

    def quote(self, symbol: str) -> MarketRow | None:
        """The latest row of a symbol; None before the first."""
        rows = self._engine.rows.get(symbol)
        return rows.last if rows else None

    # --- requests --------------------------------------------------------------------------------------

    def place(self, terms: OrderTerms, now_ns: int) -> DeskOrder:
        """An order arrives; `terms.client_order_id` may be empty (an order of somebody else's).

        Returns:
            The order; a refused one has `reject` set.
        """
        order = DeskOrder(terms=terms, created_ns=now_ns)
        reject = self._engine.judge(terms)
        if reject is not None:
            return self._refuse(order, reject, now_ns)
        self._number += 1
        order.exchange_id = str(self._number)
        self._store(order)
        self._open[order.exchange_id] = order
        self._engine.place(order.exchange_id, terms, now_ns)
        return order

    def cancel(self, order: DeskOrder, now_ns: int, reason: str = "requested") -> bool:
        """End an open order; False when it is not open."""
        if order.exchange_id not in self._open:
            return False
        self._engine.cancel(order.exchange_id, order.terms.symbol, now_ns, reason)
        return True

    def amend(self, order: DeskOrder, price_ticks: int, lots: int, now_ns: int) -> Reject | None:
        """Change price and total quantity of an open order: a smaller quantity keeps the queue place.

        Returns:
            Why it is refused (the order stays as it was), or None.
        """
        if order.exchange_id not in self._open:
            return Reject.UNKNOWN_ORDER
        symbol = order.terms.symbol
        reject = self.filters[symbol].judge(price_ticks, lots) or self._engine.judge_amend(
            order.exchange_id, symbol, price_ticks, lots
        )
        if reject is None:
            self._engine.amend(order.exchange_id, symbol, price_ticks, lots, now_ns)
        return reject

    def find(self, *, client_order_id: str = "", exchange_order_id: str = "") -> DeskOrder | None:
        """An order by the exchange's id, or the newest with a client's."""
        if exchange_order_id:
            order = self.orders.get(exchange_order_id)
            return (
                order if not client_order_id or order is None or order.client_id == client_order_id else None
            )
        return self._by_client_id.get(client_order_id) if client_order_id else None

    def open_orders(self, symbol: str = "") -> list[DeskOrder]:
        """Orders that rest, oldest first; of one symbol, or all."""
        return [one for one in self._open.values() if not symbol or one.terms.symbol == symbol]

    def executions_of(self, symbol: str = "", since_ns: int = 0) -> Iterator[DeskExecution]:
        """Executions from a time on, oldest first."""
        for one in self.executions:
            if one.ts_ns >= since_ns and (not symbol or one.order.terms.symbol == symbol):
                yield one

    def fundings_of(self, since_ns: int = 0) -> Iterator[tuple[int, FundingReport]]:
        """Funding from a time on, oldest first, each with the time it was exchanged at, ns."""
        for at_ns, one in zip(self.funding_ns, self.funding, strict=True):
            if at_ns >= since_ns:
                yield at_ns, one

    # --- the account -----------------------------------------------------------------------------------

    def totals(self) -> dict[str, tuple[int, int]]:
        """asset -> (free, locked) units."""
        wallet = self.wallet
        names = sorted({*wallet.total, *(asset for asset, held in wallet.locked.items() if held)})
        return {asset: (wallet.free(asset), wallet.locked.get(asset, 0)) for asset in names}

    def decimals(self, asset: str) -> int:
        """Digits after the point of one unit of an asset."""
        for one in self.instruments.values():
            if asset == one.quote:
                return one.quote_decimals
            if asset == one.base:
                return one.base_decimals
        return self.rules.fee_asset_decimals

    def positions(self) -> dict[str, tuple[int, int]]:
        """symbol -> (base units, cost in quote units), both signed; of perpetuals that were ever traded."""
        wallet = self.wallet
        return {symbol: (held, wallet.cost.get(symbol, 0)) for symbol, held in wallet.position.items()}

    def deposit(self, asset: str, units: int) -> None:
        """Units enter (or leave, when negative) the account from outside.

        Raises:
            ValueError: more would leave than is free.
        """
        if units < 0 and self.wallet.free(asset) < -units:
            raise ValueError(f"only {self.wallet.free(asset)} units of {asset} are free")
        self.wallet.charge(asset, -units)

    def replace_instrument(self, instrument: Instrument) -> None:
        """The exchange changes what it takes of a symbol: steps, smallest value, fees.

        Scales stay; `filters` says what is taken from now on.  Resting orders stay as they are.

        Raises:
            ValueError: the new steps are no multiples of the scale, or a scale differs.
        """
        old = self.instruments[instrument.symbol]
        try:
            filters = changed_filters(old, instrument)
        except NotOnScaleError as error:
            raise ValueError(str(error)) from error
        self.filters[old.symbol] = filters
        self._engine.relist(filters.on_scale_of(old, instrument))
        self.instruments[old.symbol] = self._engine.instruments[old.symbol]

    def set_trading(self, symbol: str, trading: bool) -> None:
        """Open or close a symbol for new orders."""
        self.filters[symbol].trading = trading

    # --- time ------------------------------------------------------------------------------------------

    def arm(self, seconds: float, now_ns: int, symbol: str = "") -> None:
        """Cancel every order (of a symbol) unless armed again within `seconds`; 0 disarms."""
        if seconds > 0:
            self.armed[symbol] = now_ns + int(seconds * NS)
        else:
            self.armed.pop(symbol, None)

    def tick(self, now_ns: int) -> list[DeskOrder]:
        """Time passes: fires what is due.  Returns the orders a dead-man's switch cancelled."""
        ended: list[DeskOrder] = []
        for symbol in [one for one, due in self.armed.items() if due <= now_ns]:
            del self.armed[symbol]
            resting = self.open_orders(symbol)
            ended += [order for order in resting if self.cancel(order, now_ns, "dead_man")]
        for symbol, (_, interval) in self.rules.funding.items():
            if interval and symbol in self.instruments:
                due = self._funding_at.setdefault(symbol, (now_ns // interval + 1) * interval)
                if due <= now_ns:
                    self._funding_at[symbol] = (now_ns // interval + 1) * interval
                    self.pay_funding(symbol, now_ns)
        return ended

    def pay_funding(self, symbol: str, now_ns: int) -> None:
        """Exchange funding on a perpetual's position at the rate of the rules, once it has a price."""
        if self.quote(symbol) is not None:
            self._engine.pay_funding(symbol, now_ns)

    # --- another life ----------------------------------------------------------------------------------

    def restore(
        self, terms: OrderTerms, *, exchange_order_id: str, filled_lots: int, now_ns: int
    ) -> DeskOrder:
        """Let an order rest that rested before this desk was made; nothing is judged and nothing told.

        Raises:
            ValueError: nothing of it is left, or its exchange order id is in use.
        """
        if not 0 <= filled_lots < terms.lots:
            raise ValueError(f"order {terms.client_order_id} has nothing left to rest")
        if exchange_order_id in self.orders or not exchange_order_id:
            raise ValueError(f"exchange order id {exchange_order_id!r} is in use or empty")
        order = DeskOrder(terms=terms, created_ns=now_ns)
        order.exchange_id, order.filled_lots = exchange_order_id, filled_lots
        order.filled_value = notional(self.instruments[terms.symbol], terms.price_ticks, filled_lots)
        self.start_numbers(order=int(exchange_order_id) if exchange_order_id.isdigit() else 0)
        order.move(SnapshotStatus.WORKING, now_ns)
        self._store(order)
        self._open[exchange_order_id] = order
        self._engine.rest(exchange_order_id, terms, terms.lots - filled_lots)
        return order

    def start_numbers(self, *, order: int = 0, execution: int = 0) -> None:
        """Number orders and executions from above these on."""
        self._number = max(self._number, order)
        self._execution_number = max(self._execution_number, execution)

    # --- within ----------------------------------------------------------------------------------------

    def _judge(self, terms: OrderTerms) -> Reject | None:
        """What the desk refuses beyond the engine: ids, filters, the number of open orders."""
        filters = self.filters.get(terms.symbol)
        if filters is not None:
            market = terms.order_type == MARKET
            reject = filters.judge(0 if market else terms.price_ticks, terms.lots)
            if reject is not None:
                return reject
        if terms.client_order_id:
            known = self._by_client_id.get(terms.client_order_id)
            if known is not None and (self.ids_unique_for_ever or known.exchange_id in self._open):
                return Reject.DUPLICATE
        rests = terms.time_in_force != TimeInForce.IOC
        if self.max_open_orders and rests and len(self.open_orders(terms.symbol)) >= self.max_open_orders:
            return Reject.MAX_ORDERS
        return None

    def _refuse(self, order: DeskOrder, reject: Reject, now_ns: int) -> DeskOrder:
        order.reject, order.reason = reject, reject.text
        order.move(SnapshotStatus.REJECTED, now_ns)
        if reject in self.store_rejects:
            self._number += 1
            order.exchange_id = str(self._number)
            self._store(order)
            self._end(order)
            self._tell("rejected", order, now_ns)
        return order

    def _store(self, order: DeskOrder) -> None:
        self.orders[order.exchange_id] = order
        if order.client_id:
            self._by_client_id[order.client_id] = order

    def _end(self, order: DeskOrder) -> None:
        self._open.pop(order.exchange_id, None)
        self._ended[order.exchange_id] = None
        if len(self._ended) > self._remembered:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            gone = self.orders.pop(oldest)
            if self._by_client_id.get(gone.client_id) is gone:
                del self._by_client_id[gone.client_id]

    def _reported(self, report: Record, now_ns: int) -> None:
        """What the engine tells of an order, as an update of it."""
        if isinstance(report, FundingReport):
            self.funding.append(report)
            self.funding_ns.append(now_ns)
            for funded in self.funding_listeners:
                funded(report, now_ns)
            return
        order = self._open[getattr(report, "client_order_id", "")]
        if isinstance(report, OrderAcceptedReport):
            order.move(SnapshotStatus.WORKING, now_ns)
            self._tell("new", order, now_ns)
        elif isinstance(report, FillReport):
            self._filled(order, report, now_ns)
        elif isinstance(report, OrderAmendedReport):
            order.price_ticks, order.lots = report.price_ticks, report.lots
            order.move(SnapshotStatus.WORKING, now_ns)
            self._tell("amended", order, now_ns)
        elif isinstance(report, OrderCancelledReport):
            expired = report.reason == "expired"
            order.reason = report.reason
            order.move(SnapshotStatus.EXPIRED if expired else SnapshotStatus.CANCELLED, now_ns)
            self._end(order)
            self._tell("expired" if expired else "cancelled", order, now_ns)

    def _filled(self, order: DeskOrder, report: FillReport, now_ns: int) -> None:
        instrument = self.instruments[report.symbol]
        self._execution_number += 1
        execution = DeskExecution(
            number=self._execution_number,
            order=order,
            price_ticks=report.price_ticks,
            lots=report.lots,
            filled_lots=order.filled_lots + report.lots,
            liquidity=report.liquidity,
            fee_asset=report.fee_asset,
            fee_units=report.fee_units,
            fee_value=report.fee_value,
            ts_ns=now_ns,
        )
        self.executions.append(execution)
        if len(self.executions) > 3 * self._remembered:
            del self.executions[: self._remembered]
        order.filled_lots += report.lots
        order.filled_value += notional(instrument, report.price_ticks, report.lots)
        whole = order.filled_lots >= order.lots
        order.move(SnapshotStatus.FILLED if whole else SnapshotStatus.WORKING, now_ns)
        if whole:
            self._end(order)
        self._tell("fill", order, now_ns, execution)

    def _tell(self, kind: str, order: DeskOrder, now_ns: int, execution: DeskExecution | None = None) -> None:
        update = DeskUpdate(
            kind=kind,
            order=order,
            execution=execution,
            ts_ns=now_ns,
            status=order.status,
            filled_lots=order.filled_lots,
            filled_value=order.filled_value,
        )
        for listener in self.listeners:
            listener(update)
