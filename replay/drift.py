"""Two runs held against each other: which orders, which fills, and where the difference in money comes from.

Law: exact.  Prices and quantities are fractions, so the parts of a difference add up to it; what they leave
over is shown as rounding and is 0 as long as the profit-and-loss identity holds in both runs.

With ``Q`` what was traded, ``v`` what it cost and ``M`` the last price, the trading part of a run is
``sum(q * M - v)``.  The difference of two runs, second less first, is then::

    price_path  = Q_a * (M_b - M_a) + what opening holdings and corrections gained more
    fills       = extra - missing + other quantities + other prices, at the second run's prices
    missed_data = the share of those fills that happened while the other run could not see the market
    fees, funding, transfers: the difference of each

Orders of two ledgers have different ids, so they are matched by what they are for: symbol, level, cycle, side
and price, and, where a level asked several times, in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import attrs

from domain.clock import DayStarted
from domain.inputs import ClockReport, OpenAccount, TickReport
from domain.instrument import Instrument, InstrumentListed
from domain.notes import RunReport, StreamReport
from domain.order_events import FundingPaid, OrderFilled, OrderRequested, OrderSubmitted
from domain.orders import MARKET, NO_LEVEL
from domain.risk_events import EquityMarked, HoldingCorrected, InventoryChanged, PortfolioOpened, SymbolHalted

READ: tuple[type[Any], ...] = (
    ClockReport,
    DayStarted,
    EquityMarked,
    FundingPaid,
    HoldingCorrected,
    InstrumentListed,
    InventoryChanged,
    OpenAccount,
    OrderFilled,
    OrderRequested,
    OrderSubmitted,
    PortfolioOpened,
    RunReport,
    StreamReport,
    SymbolHalted,
    TickReport,
)
"""Classes of records a history is read from."""

PARTS = (
    "price_path",
    "fills_missing",
    "fills_extra",
    "fills_quantity",
    "fills_prices",
    "missed_data",
    "fees",
    "funding",
    "transfers",
    "rounding",
)

ZERO = Fraction(0)

OrderKey = tuple[str, int, int, str, str, int]
"""(symbol, level, cycle, side, price or ``market``, how many of the same came before); level -1: the grid."""


@attrs.define
class OrderHistory:
    """One order that left, and its executions.

    Attributes:
        quantity: executed so far, signed, after a fee in the base asset; cost: signed, quote currency.
        limit: its price; of a market order the price of its last execution.
        first_ns, last_ns: of its executions; 0 without any.
        traded: executed without regard to fees, unsigned.
    """

    key: OrderKey
    client_order_id: str
    submitted_ns: int
    position: int
    limit: Fraction
    quantity: Fraction = ZERO
    cost: Fraction = ZERO
    traded: Fraction = ZERO
    traded_cost: Fraction = ZERO
    first_ns: int = 0
    last_ns: int = 0


@attrs.define
class SymbolHistory:
    """What one symbol went through; money in whole units of the quote currency.

    Attributes:
        held: what came without trading, as (quantity, cost): opening holdings at their first price, and
            corrections.
        mark: the last price; None before the first.
        marked_ns: when it was that.
    """

    fees: Fraction = ZERO
    funding: Fraction = ZERO
    opening: Fraction = ZERO
    held: list[tuple[Fraction, Fraction]] = attrs.field(factory=list)
    mark: Fraction | None = None
    marked_ns: int = 0


@attrs.define
class History:
    """A run, read from its ledger."""

    orders: dict[OrderKey, OrderHistory] = attrs.field(factory=dict)
    symbols: dict[str, SymbolHistory] = attrs.field(factory=dict)
    blind: list[tuple[int, int]] = attrs.field(factory=list)
    """(from, to) in ns: when it could not see the market, or did not run."""

    def saw(self, at_ns: int) -> bool:
        """Whether it saw the market at a time."""
        at = bisect_right(self.blind, (at_ns, 1 << 62)) - 1
        return at < 0 or self.blind[at][1] < at_ns


class HistoryReader:
    """Reads a history record by record."""

    def __init__(self) -> None:
        self.history = History()
        self._instruments: dict[str, Instrument] = {}
        self._holdings: dict[str, int] = {}
        self._requested: dict[str, OrderRequested] = {}
        self._by_id: dict[str, OrderHistory] = {}
        self._same: dict[tuple[str, int, int, str, str], int] = {}
        self._blind_since: dict[str, int] = {}
        self._last_ns = 0

    def read(self, records: Iterable[tuple[int, str, int, Any]]) -> History:
        """All of (position, stream, time, event)."""
        for position, stream, ts_ns, event in records:
            match event:
                case InstrumentListed() if stream == "portfolio":
                    self._list(event.instrument)
                case PortfolioOpened():
                    self._holdings = dict(event.holdings)
                case OrderRequested():
                    self._requested[event.terms.client_order_id] = event
                case OrderSubmitted():
                    self._submitted(position, ts_ns, event)
                case OrderFilled():
                    self._filled(ts_ns, event)
                case FundingPaid():
                    self._symbol(event.symbol).funding += self._money(event.symbol, event.units)
                case HoldingCorrected() if event.symbol:
                    self._corrected(event)
                case EquityMarked() | DayStarted():
                    for symbol, ticks in event.marks:
                        self._mark(symbol, ticks, ts_ns)
                case InventoryChanged() | SymbolHalted():
                    self._mark(event.symbol, event.price_ticks, ts_ns)
                case StreamReport() | RunReport() | TickReport() | ClockReport():
                    self._sight(ts_ns, event)
            self._last_ns = ts_ns
        for since in self._blind_since.values():
            self.history.blind.append((since, self._last_ns))
        self.history.blind.sort()
        return self.history

    # --- scales ----------------------------------------------------------------------------------------

    def _list(self, one: Instrument) -> None:
        self._instruments[one.symbol] = one
        if one.symbol not in self.history.symbols:
            held = Fraction(self._holdings.get(one.symbol, 0), 10**one.base_decimals)
            self.history.symbols[one.symbol] = SymbolHistory(opening=held)

    def _symbol(self, symbol: str) -> SymbolHistory:
        return self.history.symbols.setdefault(symbol, SymbolHistory())

    def _money(self, symbol: str, units: int) -> Fraction:
        return Fraction(units, 10 ** self._instruments[symbol].quote_decimals)

    def _base(self, symbol: str, units: int) -> Fraction:
        return Fraction(units, 10 ** self._instruments[symbol].base_decimals)

    def _price(self, symbol: str, ticks: int) -> Fraction:
        one = self._instruments[symbol]
        return Fraction(ticks * one.tick_size, 10**one.price_decimals)

    # --- what happened ---------------------------------------------------------------------------------

    def _mark(self, symbol: str, ticks: int, ts_ns: int) -> None:
        if symbol not in self._instruments:
            return
        one, price = self._symbol(symbol), self._price(symbol, ticks)
        if one.mark is None and one.opening:
            one.held.append((one.opening, one.opening * price))
        one.mark, one.marked_ns = price, ts_ns

    def _corrected(self, event: HoldingCorrected) -> None:
        one, moved = self._symbol(event.symbol), self._base(event.symbol, event.base_units)
        if one.mark is None:
            one.opening += moved
        else:
            one.held.append((moved, moved * one.mark))

    def _submitted(self, position: int, ts_ns: int, event: OrderSubmitted) -> None:
        terms = event.terms
        asked = self._requested.pop(terms.client_order_id, None)
        level = -1 if asked is None or asked.level == NO_LEVEL else asked.level
        limit = self._price(terms.symbol, terms.price_ticks)
        price = "market" if terms.order_type == MARKET else decimal_text(limit)
        like = (terms.symbol, level, asked.cycle if asked else 0, terms.side, price)
        before = self._same.get(like, 0)
        self._same[like] = before + 1
        order = OrderHistory((*like, before), terms.client_order_id, ts_ns, position, limit)
        self.history.orders[order.key] = self._by_id[terms.client_order_id] = order

    def _filled(self, ts_ns: int, event: OrderFilled) -> None:
        symbol = event.symbol
        one, price = self._symbol(symbol), self._price(symbol, event.price_ticks)
        if one.mark is None:
            self._mark(symbol, event.price_ticks, ts_ns)
        one.fees -= self._money(symbol, event.fee_value)
        order = self._by_id.get(event.client_order_id)
        moved = self._base(symbol, event.base_units)
        if order is None:
            one.held.append((moved, moved * price))  # an order of an earlier ledger
            return
        lots = self._base(symbol, event.lots * self._instruments[symbol].base_per_lot)
        order.quantity += moved
        order.cost += moved * price
        order.traded += lots
        order.traded_cost += lots * price
        order.first_ns = order.first_ns or ts_ns
        order.last_ns = ts_ns
        if order.key[4] == "market":
            order.limit = price

    # --- sight -----------------------------------------------------------------------------------------

    def _sight(self, ts_ns: int, event: Any) -> None:
        if isinstance(event, StreamReport):
            if event.state == "up":
                self._sees(event.stream, ts_ns)
            else:
                self._blind_since.setdefault(event.stream, self._last_ns or ts_ns)
        elif isinstance(event, RunReport):
            if event.phase == "ready":
                self._sees("", ts_ns)
            elif event.phase in ("started", "stopping", "stopped") and self._last_ns:
                self._blind_since.setdefault("", self._last_ns if event.phase == "started" else ts_ns)
        elif self._blind_since:
            # A price came: whatever was a gap, or silent, is over.
            for stream in [one for one in self._blind_since if one]:
                self._sees(stream, ts_ns)

    def _sees(self, stream: str, ts_ns: int) -> None:
        since = self._blind_since.pop(stream, None)
        if since is not None:
            self.history.blind.append((since, ts_ns))


# --- the difference ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Money:
    """What the views of a run say of one symbol (or of all): change of equity, and transfers in it."""

    change: Fraction
    transfers: Fraction


@attrs.frozen(kw_only=True)
class Attribution:
    """A difference of two changes of equity and what it consists of; the parts add up to it."""

    difference: Fraction
    parts: Mapping[str, Fraction]


def attribute(a: History, b: History, symbol: str, money_a: Money, money_b: Money) -> Attribution:
    """Where the difference of one symbol's change of equity comes from (second run less first)."""
    of_a = a.symbols.get(symbol, SymbolHistory())
    of_b = b.symbols.get(symbol, SymbolHistory())
    mark_a = of_a.mark if of_a.mark is not None else of_b.mark or ZERO
    mark_b = of_b.mark if of_b.mark is not None else mark_a
    parts = dict.fromkeys(PARTS, ZERO)
    traded = sum((one.quantity for one in a.orders.values() if one.key[0] == symbol), ZERO)
    held = sum((q * mark_b - cost for q, cost in of_b.held), ZERO)
    held -= sum((q * mark_a - cost for q, cost in of_a.held), ZERO)
    parts["price_path"] = traded * (mark_b - mark_a) + held
    for key in a.orders.keys() | b.orders.keys():
        if key[0] == symbol:
            _compare(parts, a, b, key, mark_b)
    parts["fees"] = of_b.fees - of_a.fees
    parts["funding"] = of_b.funding - of_a.funding
    parts["transfers"] = money_b.transfers - money_a.transfers
    return rounded_off(money_b.change - money_a.change, parts)


def rounded_off(difference: Fraction, parts: dict[str, Fraction]) -> Attribution:
    """What the other parts leave over is rounding."""
    parts["rounding"] = difference - sum((v for name, v in parts.items() if name != "rounding"), ZERO)
    return Attribution(difference=difference, parts=parts)


_NEVER = OrderHistory(("", 0, 0, "", "", 0), "", 0, 0, ZERO)


def _compare(parts: dict[str, Fraction], a: History, b: History, key: OrderKey, mark: Fraction) -> None:
    """What one order's executions add to the difference, at the second run's last price."""
    one, other = a.orders.get(key, _NEVER), b.orders.get(key, _NEVER)
    more = other.quantity - one.quantity
    whole = more * mark - (other.cost - one.cost)
    if not whole:
        return
    if one.quantity and other.quantity:
        limit = other.limit
        amount = more * (mark - limit)
        parts["fills_prices"] += whole - amount
        name, whole = "fills_quantity", amount
        saw = a.saw(other.last_ns) and b.saw(one.last_ns)
    elif one.quantity:
        name, saw = "fills_missing", b.saw(one.first_ns)
    else:
        name, saw = "fills_extra", a.saw(other.first_ns)
    parts[name if saw else "missed_data"] += whole


def decimal_text(value: Fraction) -> str:
    """A fraction whose denominator divides a power of ten as plain decimal text.

    Raises:
        ValueError: it has no end as a decimal.
    """
    denominator, digits = value.denominator, 0
    while 10**digits % denominator:
        digits += 1
        if digits > 200:
            raise ValueError(f"{value} has no end as a decimal")
    units = value.numerator * (10**digits // denominator)
    text = str(abs(units)).rjust(digits + 1, "0")
    sign = "-" if units < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)
