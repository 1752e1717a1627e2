"""The books of one exchange account: balances, reservations and the life of every order.

Law: nothing is submitted that is not covered, nothing is booked twice, and every change of a balance is a
posting.  An order ends only on evidence from the exchange.  Funds stay reserved until then.

Orders that have ended are remembered (the last `REMEMBERED_ORDERS` of them), so that late and repeated
executions still find theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from domain.books import Position, fill_postings, posting, reduce
from domain.inputs import (
    PORTFOLIO,
    CancelRejectedReport,
    FillReport,
    FundingReport,
    NoAnswerReport,
    OpenAccount,
    OrderAcceptedReport,
    OrderAmendedReport,
    OrderCancelledReport,
    OrderRejectedReport,
    symbol_actor,
)
from domain.instrument import (
    LINEAR,
    Instrument,
    InstrumentListed,
    ListInstrument,
    fee_units,
    margin_units,
    notional,
)
from domain.order_events import (
    CancelRejected,
    CancelRequested,
    CancelSubmitted,
    OrderAccepted,
    OrderAllowed,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderSubmitted,
    OrderTerms,
    Posting,
)
from domain.orders import BUY, STATUS, TERMINAL, OrderStatus, Trigger, next_status
from domain.record import Record, record
from domain.rejection import Refusal, Rejection

REMEMBERED_ORDERS = 10_000

NO_FUNDS = "INSUFFICIENT_FUNDS"


# --- events --------------------------------------------------------------------------------------------


@record("AccountOpened/1")
class AccountOpened(Record):
    """The books begin with these balances."""

    ledger_id: str
    exchange: str
    quote: str
    postings: tuple[Posting, ...]


@record("FundingPaid/1")
class FundingPaid(Record):
    """Funding is booked; positive units were received."""

    funding_id: str
    symbol: str
    rate_ppm: int
    units: int
    postings: tuple[Posting, ...]


# --- state ---------------------------------------------------------------------------------------------


class Order(msgspec.Struct, frozen=True):
    """One order as the books know it.  `reserved` is what is still set aside for its unfilled rest."""

    symbol: str
    side: str
    price_ticks: int
    lots: int
    status: OrderStatus
    reserve_asset: str
    reserved: int
    filled_lots: int = 0
    exchange_order_id: str = ""
    fill_ids: tuple[str, ...] = ()


class AccountState(msgspec.Struct, frozen=True):
    """Everything the account knows.

    Attributes:
        balances: units by account name (see `domain.books`); every posting changes two of them.
        reserved: units set aside for open orders, by asset.
        open_buys, open_sells: value of open orders of perpetuals in quote units, by symbol.
        ended: order ids by the sequence in which they ended, for forgetting the oldest.
    """

    opened: bool = False
    quote: str = ""
    instruments: Map[str, Instrument] = Map()
    balances: Map[str, int] = Map()
    reserved: Map[str, int] = Map()
    positions: Map[str, Position] = Map()
    open_buys: Map[str, int] = Map()
    open_sells: Map[str, int] = Map()
    orders: Map[str, Order] = Map()
    ended: Map[int, str] = Map()
    ended_count: int = 0
    funding_ids: Map[str, bool] = Map()


def initial() -> AccountState:
    """The state before any record."""
    return AccountState()


# --- evolve --------------------------------------------------------------------------------------------


def _posted(balances: Map[str, int], postings: tuple[Posting, ...]) -> Map[str, int]:
    for entry in postings:
        debit, credit = entry.debit, entry.credit
        # `fees`, `funding` and `opening` collect several assets; the asset keeps them apart.
        if ":" not in debit:
            debit = f"{debit}:{entry.asset}"
        if ":" not in credit:
            credit = f"{credit}:{entry.asset}"
        balances = balances.set(debit, balances.get(debit, 0) + entry.amount)
        balances = balances.set(credit, balances.get(credit, 0) - entry.amount)
    return balances


def _with_order(state: AccountState, order_id: str, order: Order, before: Order | None) -> AccountState:
    """State with `order` stored and reservations, open values and the memory of ended orders moved along."""
    asset = order.reserve_asset
    reserved = state.reserved
    delta = order.reserved - (before.reserved if before else 0)
    if delta:
        reserved = reserved.set(asset, reserved.get(asset, 0) + delta)
    orders, ended, count = state.orders.set(order_id, order), state.ended, state.ended_count
    if order.status in TERMINAL and (before is None or before.status not in TERMINAL):
        ended, count = ended.set(count, order_id), count + 1
        oldest = count - 1 - REMEMBERED_ORDERS
        if oldest in ended:
            orders, ended = orders.delete(ended[oldest]), ended.delete(oldest)
    instrument = state.instruments[order.symbol]
    if instrument.kind != LINEAR:
        return replace(state, orders=orders, reserved=reserved, ended=ended, ended_count=count)
    sides = state.open_buys if order.side == BUY else state.open_sells
    change = _open_value(instrument, order) - (_open_value(instrument, before) if before else 0)
    sides = sides.set(order.symbol, sides.get(order.symbol, 0) + change)
    if order.side == BUY:
        return replace(
            state, orders=orders, reserved=reserved, ended=ended, ended_count=count, open_buys=sides
        )
    return replace(state, orders=orders, reserved=reserved, ended=ended, ended_count=count, open_sells=sides)


def _open_value(instrument: Instrument, order: Order) -> int:
    if order.status in TERMINAL:
        return 0
    return notional(instrument, order.price_ticks, order.lots - order.filled_lots)


def _on_opened(state: AccountState, event: AccountOpened) -> AccountState:
    balances = _posted(state.balances, event.postings)
    return replace(state, opened=True, quote=event.quote, balances=balances)


def _on_listed(state: AccountState, event: InstrumentListed) -> AccountState:
    instrument = event.instrument
    return replace(state, instruments=state.instruments.set(instrument.symbol, instrument))


def _on_submitted(state: AccountState, event: OrderSubmitted) -> AccountState:
    terms = event.terms
    order = Order(
        symbol=terms.symbol,
        side=terms.side,
        price_ticks=terms.price_ticks,
        lots=terms.lots,
        status=OrderStatus.PENDING,
        reserve_asset=event.reserve_asset,
        reserved=event.reserved,
    )
    return _with_order(state, terms.client_order_id, order, None)


def _on_accepted(state: AccountState, event: OrderAccepted) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    order = replace(before, status=STATUS[event.status], exchange_order_id=event.exchange_order_id)
    return replace(state, orders=state.orders.set(event.client_order_id, order))


def _on_closed(state: AccountState, event: OrderClosed) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    order = replace(before, status=STATUS[event.status], reserved=0)
    return _with_order(state, event.client_order_id, order, before)


def _on_filled(state: AccountState, event: OrderFilled) -> AccountState:
    state = replace(state, balances=_posted(state.balances, event.postings))
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    instrument = state.instruments[event.symbol]
    if instrument.kind == LINEAR:
        signed = event.lots * instrument.base_per_lot
        cost = notional(instrument, event.price_ticks, event.lots)
        if event.side != BUY:
            signed, cost = -signed, -cost
        position, _ = reduce(state.positions.get(event.symbol, Position()), signed, cost)
        state = replace(state, positions=state.positions.set(event.symbol, position))
    if before.reserved and event.unfilled_lots:
        kept = _reservation(instrument, before.side, before.price_ticks, event.unfilled_lots)
    else:
        kept = 0
    order = replace(
        before,
        status=STATUS[event.status],
        filled_lots=event.filled_lots,
        reserved=min(kept, before.reserved),
        fill_ids=(*before.fill_ids, event.fill_id),
    )
    return _with_order(state, event.client_order_id, order, before)


def _on_unknown(state: AccountState, event: OrderOutcomeUnknown) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    order = replace(before, status=OrderStatus.UNKNOWN)
    return replace(state, orders=state.orders.set(event.client_order_id, order))


def _on_amended(state: AccountState, event: OrderAmended) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    order = replace(before, price_ticks=event.price_ticks, lots=event.lots, reserved=event.reserved)
    return _with_order(state, event.client_order_id, order, before)


def _on_funding(state: AccountState, event: FundingPaid) -> AccountState:
    return replace(
        state,
        balances=_posted(state.balances, event.postings),
        funding_ids=state.funding_ids.set(event.funding_id, True),
    )


_EVOLVE: dict[type, Callable[[AccountState, Any], AccountState]] = {
    AccountOpened: _on_opened,
    InstrumentListed: _on_listed,
    OrderSubmitted: _on_submitted,
    OrderAccepted: _on_accepted,
    OrderClosed: _on_closed,
    OrderFilled: _on_filled,
    OrderOutcomeUnknown: _on_unknown,
    OrderAmended: _on_amended,
    FundingPaid: _on_funding,
}


def evolve(state: AccountState, event: Record) -> AccountState:
    """The state after an event; events that change nothing here leave it as it is."""
    step = _EVOLVE.get(type(event))
    return step(state, event) if step else state


# --- decide --------------------------------------------------------------------------------------------

Decision = tuple[Record, ...] | Rejection


def _reservation(instrument: Instrument, side: str, price_ticks: int, lots: int) -> int:
    """What a spot order sets aside: quote units with the larger fee for a buy, base units for a sell."""
    if side == BUY:
        worth = notional(instrument, price_ticks, lots)
        return worth + fee_units(worth, max(instrument.maker_fee_ppm, instrument.taker_fee_ppm, 0))
    return lots * instrument.base_per_lot


def available(state: AccountState, asset: str) -> int:
    """Units of an asset that no open order has set aside."""
    return state.balances.get(f"wallet:{asset}", 0) - state.reserved.get(asset, 0)


def margin_needed(state: AccountState, symbol: str, more_buys: int = 0, more_sells: int = 0) -> int:
    """Margin of a symbol's position and open orders, quote units: the worse of its two sides.

    Both sides of a neutral ladder cannot add exposure at once, so exchanges in one-way mode charge only the
    larger: ``max(|position + buys|, |position - sells|) / leverage``.
    """
    cost = state.positions.get(symbol, Position()).cost
    long_side = abs(cost + state.open_buys.get(symbol, 0) + more_buys)
    short_side = abs(cost - state.open_sells.get(symbol, 0) - more_sells)
    return margin_units(state.instruments[symbol], max(long_side, short_side))


def _submit_linear(state: AccountState, instrument: Instrument, terms: OrderTerms, worth: int) -> Decision:
    more = {"more_buys": worth} if terms.side == BUY else {"more_sells": worth}
    others = 0
    for symbol, other in state.instruments.items():  # a sum does not depend on the map's order
        if symbol != terms.symbol and other.kind == LINEAR:
            others += margin_needed(state, symbol)
    needed = others + margin_needed(state, terms.symbol, **more)
    have = available(state, instrument.quote)
    if needed > have and not terms.reduce_only and needed > others + margin_needed(state, terms.symbol):
        return _refused(
            terms, worth, NO_FUNDS, f"margin needed {needed}, available {have} {instrument.quote} units"
        )
    return (OrderSubmitted(terms=terms, reserve_asset=instrument.quote, reserved=0),)


def _refused(terms: OrderTerms, worth: int, reason: str, detail: str) -> tuple[Record, ...]:
    return (
        OrderRefused(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            notional=worth,
            reason=reason,
            detail=detail,
        ),
    )


def _decide_submit(state: AccountState, now_ns: int, message: OrderAllowed) -> Decision:
    terms = message.terms
    if terms.client_order_id in state.orders:
        return _refused(terms, message.notional, "DUPLICATE_ORDER", terms.client_order_id)
    instrument = state.instruments.get(terms.symbol)
    if instrument is None:
        return Rejection(Refusal.UNKNOWN_SYMBOL, terms.symbol)
    if instrument.kind == LINEAR:
        return _submit_linear(state, instrument, terms, message.notional)
    asset = instrument.quote if terms.side == BUY else instrument.base
    needed = _reservation(instrument, terms.side, terms.price_ticks, terms.lots)
    have = available(state, asset)
    if needed > have:
        return _refused(terms, message.notional, NO_FUNDS, f"needed {needed}, available {have} {asset} units")
    return (OrderSubmitted(terms=terms, reserve_asset=asset, reserved=needed),)


def _decide_accepted(state: AccountState, now_ns: int, message: OrderAcceptedReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    status = next_status(order.status, Trigger.ACCEPTED)
    if status is None:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} on accepted")
    return (
        OrderAccepted(
            client_order_id=message.client_order_id,
            exchange_order_id=message.exchange_order_id,
            status=status.value,
        ),
    )


def _close(state: AccountState, order_id: str, trigger: Trigger, reason: str, text: str) -> Decision:
    order = state.orders.get(order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, order_id)
    status = next_status(order.status, trigger)
    if status is None:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} on {trigger}")
    left = order.lots - order.filled_lots
    return (
        OrderClosed(
            client_order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            status=status.value,
            reason=reason,
            text=text,
            unfilled_lots=left,
            unfilled_notional=notional(state.instruments[order.symbol], order.price_ticks, left),
        ),
    )


def _decide_rejected(state: AccountState, now_ns: int, message: OrderRejectedReport) -> Decision:
    return _close(state, message.client_order_id, Trigger.REJECTED, message.reason, message.text)


def _decide_cancelled(state: AccountState, now_ns: int, message: OrderCancelledReport) -> Decision:
    trigger = Trigger.EXPIRED if message.reason == "expired" else Trigger.CANCELLED
    return _close(state, message.client_order_id, trigger, message.reason, "")


def _check_fill(order: Order | None, message: FillReport) -> Rejection | None:
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    if message.fill_id in order.fill_ids:
        return Rejection(Refusal.DUPLICATE_FILL, message.fill_id)
    wrong = message.lots <= 0 or message.price_ticks <= 0
    if wrong or (message.symbol, message.side) != (order.symbol, order.side):
        return Rejection(
            Refusal.BAD_FILL, f"{message.symbol} {message.side} {message.lots} lots at {message.price_ticks}"
        )
    if order.filled_lots + message.lots > order.lots:
        return Rejection(Refusal.OVERFILL, f"{order.filled_lots} + {message.lots} of {order.lots} lots")
    return None


def _decide_fill(state: AccountState, now_ns: int, message: FillReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    refused = _check_fill(order, message)
    if refused or order is None:
        return refused or ()
    instrument = state.instruments[order.symbol]
    filled = order.filled_lots + message.lots
    left = order.lots - filled
    status = next_status(order.status, Trigger.PARTIAL_FILL if left else Trigger.FULL_FILL)
    gross = message.lots * instrument.base_per_lot
    worth = notional(instrument, message.price_ticks, message.lots)
    signed, cash = (gross, -worth) if order.side == BUY else (-gross, worth)
    realised = 0
    if instrument.kind == LINEAR:
        position = state.positions.get(order.symbol, Position())
        _, realised = reduce(position, signed, -cash)
    fee_in_base = message.fee_asset == instrument.base and instrument.kind != LINEAR
    return (
        OrderFilled(
            client_order_id=message.client_order_id,
            fill_id=message.fill_id,
            symbol=order.symbol,
            side=order.side,
            order_price_ticks=order.price_ticks,
            price_ticks=message.price_ticks,
            lots=message.lots,
            filled_lots=filled,
            unfilled_lots=left,
            status=(status or order.status).value,
            late=status is None,
            liquidity=message.liquidity,
            fee_asset=message.fee_asset,
            fee_units=message.fee_units,
            fee_value=message.fee_value,
            base_units=signed - message.fee_units if fee_in_base else signed,
            cash_units=cash if fee_in_base else cash - message.fee_value,
            realised=realised,
            postings=fill_postings(instrument, message, gross, worth, realised),
        ),
    )


def _decide_no_answer(state: AccountState, now_ns: int, message: NoAnswerReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    if next_status(order.status, Trigger.NO_ANSWER) is None:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} on no answer")
    return (OrderOutcomeUnknown(client_order_id=message.client_order_id),)


def _decide_amended(state: AccountState, now_ns: int, message: OrderAmendedReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    if order.status in TERMINAL or message.lots < order.filled_lots:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} amended to {message.lots} lots")
    instrument = state.instruments[order.symbol]
    left = message.lots - order.filled_lots
    kept = 0 if instrument.kind == LINEAR else _reservation(instrument, order.side, message.price_ticks, left)
    return (
        OrderAmended(
            client_order_id=message.client_order_id,
            price_ticks=message.price_ticks,
            lots=message.lots,
            reserved=kept,
        ),
    )


def _decide_cancel(state: AccountState, now_ns: int, message: CancelRequested) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    if order.status in TERMINAL:
        return Rejection(Refusal.NOT_WORKING, f"{message.client_order_id} is {order.status}")
    return (CancelSubmitted(client_order_id=message.client_order_id, symbol=order.symbol),)


def _decide_cancel_rejected(state: AccountState, now_ns: int, message: CancelRejectedReport) -> Decision:
    if message.client_order_id not in state.orders:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    return (
        CancelRejected(client_order_id=message.client_order_id, reason=message.reason, text=message.text),
    )


def _decide_funding(state: AccountState, now_ns: int, message: FundingReport) -> Decision:
    if message.symbol not in state.instruments:
        return Rejection(Refusal.UNKNOWN_SYMBOL, message.symbol)
    if message.funding_id in state.funding_ids:
        return Rejection(Refusal.DUPLICATE_FUNDING, message.funding_id)
    entry = posting(f"wallet:{state.quote}", "funding", state.quote, message.units)
    return (
        FundingPaid(
            funding_id=message.funding_id,
            symbol=message.symbol,
            rate_ppm=message.rate_ppm,
            units=message.units,
            postings=(entry,),
        ),
    )


def _decide_open(state: AccountState, now_ns: int, message: OpenAccount) -> Decision:
    if state.opened:
        return Rejection(Refusal.ALREADY_OPEN, message.ledger_id)
    entries = tuple(
        posting(f"wallet:{asset}", "opening", asset, units) for asset, units in message.balances if units
    )
    return (
        AccountOpened(
            ledger_id=message.ledger_id, exchange=message.exchange, quote=message.quote, postings=entries
        ),
    )


def _decide_list(state: AccountState, now_ns: int, message: ListInstrument) -> Decision:
    return (InstrumentListed(instrument=message.instrument),)


_DECIDE: dict[type, Callable[[AccountState, int, Any], Decision]] = {
    OpenAccount: _decide_open,
    ListInstrument: _decide_list,
    OrderAllowed: _decide_submit,
    CancelRequested: _decide_cancel,
    OrderAcceptedReport: _decide_accepted,
    OrderRejectedReport: _decide_rejected,
    OrderCancelledReport: _decide_cancelled,
    CancelRejectedReport: _decide_cancel_rejected,
    OrderAmendedReport: _decide_amended,
    FillReport: _decide_fill,
    NoAnswerReport: _decide_no_answer,
    FundingReport: _decide_funding,
}


def decide(state: AccountState, now_ns: int, message: Record) -> Decision:
    """What follows from a message: events to record, or why it is refused."""
    return _DECIDE[type(message)](state, now_ns, message)


# --- route ---------------------------------------------------------------------------------------------


def route(event: Record) -> tuple[str, ...]:
    """Actors that hear of an event, in this order: the portfolio first, so that it knows the holding before
    the grid asks for its next order."""
    kind = type(event)
    if kind in _HEARD_BY_BOTH:
        return (PORTFOLIO, symbol_actor(event.symbol))  # type: ignore[attr-defined]
    return (PORTFOLIO,) if kind is FundingPaid else ()


_HEARD_BY_BOTH = frozenset({OrderFilled, OrderClosed, OrderRefused})
