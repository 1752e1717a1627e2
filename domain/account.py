"""The books of one exchange account: balances, reservations and the life of every order.

Law: nothing is submitted that is not covered, nothing is booked twice, and every change of a balance is a
posting.  An order ends only on evidence from the exchange.  Funds stay reserved until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.account_state import AccountState, Order, evolve, initial, reservation
from domain.books import Position, fill_postings, posting, reduce
from domain.inputs import (
    PORTFOLIO,
    CancelRejectedReport,
    CorrectBalance,
    FillReport,
    FundingReport,
    NoAnswerReport,
    OpenAccount,
    OrderAbsentReport,
    OrderAcceptedReport,
    OrderAmendedReport,
    OrderCancelledReport,
    OrderRejectedReport,
    OrphanOrderReport,
    RateLimitReport,
    ReconciliationReport,
    SetRequestBudget,
    symbol_actor,
)
from domain.instrument import LINEAR, Instrument, InstrumentListed, ListInstrument, margin_units, notional
from domain.order_events import (
    AccountOpened,
    BalanceCorrected,
    CancelRejected,
    CancelRequested,
    CancelSubmitted,
    DifferenceFound,
    FundingPaid,
    OrderAccepted,
    OrderAllowed,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderReappeared,
    OrderRefused,
    OrderSubmitted,
    OrderTerms,
    OrderThrottled,
    RequestBudgetSet,
    RequestCounted,
    RequestsSuspended,
)
from domain.orders import BUY, ENDED, OrderStatus, Trigger, next_status
from domain.reconciliation import decide_correction, decide_orphan, decide_reconciled
from domain.record import Record
from domain.rejection import Refusal, Rejection
from domain.units import units_text

__all__ = ["AccountState", "Order", "available", "decide", "evolve", "initial", "margin_needed", "route"]

NO_FUNDS = "INSUFFICIENT_FUNDS"
MOST_CANCELS = 5


# --- decide --------------------------------------------------------------------------------------------

Decision = tuple[Record, ...] | Rejection


def available(state: AccountState, asset: str) -> int:
    """Units of an asset that no open order has set aside."""
    return state.balances.get(f"wallet:{asset}", 0) - state.reserved.get(asset, 0)


def spendable(state: AccountState, asset: str) -> int:
    """Units of an asset for a spot order: what backs perpetual positions and orders is not for spending."""
    free = available(state, asset)
    if asset == state.quote and (state.positions or state.open_buys or state.open_sells):
        for symbol, instrument in state.instruments.items():  # a sum does not depend on the map's order
            if instrument.kind == LINEAR:
                free -= margin_needed(state, symbol)
    return free


def margin_needed(state: AccountState, symbol: str, more_buys: int = 0, more_sells: int = 0) -> int:
    """Margin of a symbol's position and open orders, quote units: the worse of its two sides.

    Both sides of a neutral ladder cannot add exposure at once, so exchanges in one-way mode charge only the
    larger: ``max(|position + buys|, |position - sells|) / leverage``.
    """
    cost = state.positions.get(symbol, Position()).cost
    long_side = abs(cost + state.open_buys.get(symbol, 0) + more_buys)
    short_side = abs(cost - state.open_sells.get(symbol, 0) - more_sells)
    return margin_units(state.instruments[symbol], max(long_side, short_side))


def _submit_linear(
    state: AccountState, instrument: Instrument, terms: OrderTerms, worth: int
) -> tuple[Record, ...]:
    more = {"more_buys": worth} if terms.side == BUY else {"more_sells": worth}
    others = 0
    for symbol, other in state.instruments.items():  # a sum does not depend on the map's order
        if symbol != terms.symbol and other.kind == LINEAR:
            others += margin_needed(state, symbol)
    needed = others + margin_needed(state, terms.symbol, **more)
    have = available(state, instrument.quote)
    if needed > have and not terms.reduce_only and needed > others + margin_needed(state, terms.symbol):
        detail = _shortfall("margin needed", needed, have, instrument.quote, instrument.quote_decimals)
        return _refused(terms, worth, NO_FUNDS, detail)
    return (OrderSubmitted(terms=terms, reserve_asset=instrument.quote, reserved=0),)


def _shortfall(what: str, needed: int, have: int, asset: str, decimals: int) -> str:
    return f"{what} {units_text(needed, decimals)}, available {units_text(have, decimals)} {asset}"


def _refused(terms: OrderTerms, worth: int, reason: str, detail: str) -> tuple[Record, ...]:
    return (
        OrderRefused(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            notional=worth,
            lots=terms.lots,
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
    if throttled := _throttled(state, now_ns, message):
        return throttled
    decided = _covered(state, instrument, message)
    if type(decided[0]) is not OrderSubmitted or state.budget is None:
        return decided
    return (*decided, RequestCounted(now_ns=now_ns))


def _throttled(state: AccountState, now_ns: int, message: OrderAllowed) -> tuple[Record, ...]:
    """The throttle of an order the exchange, or our own budget, leaves no room for now."""
    reason, retry_at = "", 0
    budget = state.budget
    if now_ns < state.suspended_until_ns:
        reason, retry_at = "SUSPENDED", state.suspended_until_ns
    elif budget is not None and len(budget.sent_at) >= (most := max(1, budget.requests - budget.reserve)):
        retry_at = budget.sent_at[-most] + budget.window_ns
        reason = "RATE_BUDGET" if now_ns < retry_at else ""
    if not reason:
        return ()
    terms = message.terms
    return (
        OrderThrottled(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            notional=message.notional,
            lots=terms.lots,
            reason=reason,
            retry_at_ns=retry_at,
        ),
    )


def _covered(state: AccountState, instrument: Instrument, message: OrderAllowed) -> tuple[Record, ...]:
    terms = message.terms
    if instrument.kind == LINEAR:
        return _submit_linear(state, instrument, terms, message.notional)
    asset = instrument.quote if terms.side == BUY else instrument.base
    needed = reservation(instrument, terms.side, terms.price_ticks, terms.lots)
    have = spendable(state, asset)
    if needed > have:
        decimals = instrument.quote_decimals if terms.side == BUY else instrument.base_decimals
        detail = _shortfall("needed", needed, have, asset, decimals)
        return _refused(terms, message.notional, NO_FUNDS, detail)
    return (OrderSubmitted(terms=terms, reserve_asset=asset, reserved=needed),)


def _decide_accepted(state: AccountState, now_ns: int, message: OrderAcceptedReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    status = next_status(order.status, Trigger.ACCEPTED)
    if status is None:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} on accepted")
    if order.status is OrderStatus.ABSENT:
        return _reappeared(state, now_ns, message.client_order_id, order, message.exchange_order_id)
    accepted = OrderAccepted(
        client_order_id=message.client_order_id,
        exchange_order_id=message.exchange_order_id,
        status=status.value,
    )
    if not order.cancel_refused:
        return (accepted,)
    return (accepted, *_cancel_again(state, now_ns, message.client_order_id, order))


def _cancel_again(state: AccountState, now_ns: int, order_id: str, order: Order) -> tuple[Record, ...]:
    """A cancel that overtook its order was refused for an order not known yet: once it is, send it again.

    A bounded number of times: an exchange that goes on refusing is a case for reconciliation.
    """
    if order.cancels >= MOST_CANCELS:
        return ()
    return _cancel_intent(state, now_ns, order_id, order.symbol)


def _reappeared(
    state: AccountState, now_ns: int, order_id: str, order: Order, exchange_order_id: str
) -> tuple[Record, ...]:
    """Take an absent order back, and have it cancelled: its level has moved on."""
    instrument = state.instruments[order.symbol]
    left = order.lots - order.filled_lots
    linear = instrument.kind == LINEAR
    back = OrderReappeared(
        client_order_id=order_id,
        symbol=order.symbol,
        side=order.side,
        exchange_order_id=exchange_order_id,
        status=OrderStatus.OPEN.value,
        notional=notional(instrument, order.price_ticks, left),
        lots=left,
        reserve_asset=order.reserve_asset,
        reserved=0 if linear else reservation(instrument, order.side, order.price_ticks, left),
    )
    return (back, *_cancel_intent(state, now_ns, order_id, order.symbol))


def _cancel_intent(state: AccountState, now_ns: int, order_id: str, symbol: str) -> tuple[Record, ...]:
    """A cancel is never throttled: the reserve of the budget is for it."""
    cancel = CancelSubmitted(client_order_id=order_id, symbol=symbol)
    return (cancel,) if state.budget is None else (cancel, RequestCounted(now_ns=now_ns))


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


def _decide_absent(state: AccountState, now_ns: int, message: OrderAbsentReport) -> Decision:
    return _close(state, message.client_order_id, Trigger.NOT_FOUND, "absent", message.evidence)


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
    if order.status is OrderStatus.ABSENT:
        back = _reappeared(state, now_ns, message.client_order_id, order, message.exchange_order_id)
        after = evolve(state, back[0])
        filled = _filled(after, after.orders[message.client_order_id], message)
        return (back[0], filled, *back[1:]) if filled.unfilled_lots else (back[0], filled)
    return (_filled(state, order, message),)


def _filled(state: AccountState, order: Order, message: FillReport) -> OrderFilled:
    """The booking of an execution that has been checked."""
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
    return OrderFilled(
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
    if order.status in ENDED or message.lots < order.filled_lots:
        return Rejection(Refusal.ILLEGAL_TRANSITION, f"{order.status} amended to {message.lots} lots")
    instrument = state.instruments[order.symbol]
    left = message.lots - order.filled_lots
    before = notional(instrument, order.price_ticks, order.lots - order.filled_lots)
    kept = 0 if instrument.kind == LINEAR else reservation(instrument, order.side, message.price_ticks, left)
    return (
        OrderAmended(
            client_order_id=message.client_order_id,
            symbol=order.symbol,
            side=order.side,
            price_ticks=message.price_ticks,
            lots=message.lots,
            reserved=kept,
            notional_change=notional(instrument, message.price_ticks, left) - before,
            lots_change=message.lots - order.lots,
        ),
    )


def _decide_cancel(state: AccountState, now_ns: int, message: CancelRequested) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    if order.status in ENDED:
        return Rejection(Refusal.NOT_WORKING, f"{message.client_order_id} is {order.status}")
    return _cancel_intent(state, now_ns, message.client_order_id, order.symbol)


def _decide_cancel_rejected(state: AccountState, now_ns: int, message: CancelRejectedReport) -> Decision:
    order = state.orders.get(message.client_order_id)
    if order is None:
        return Rejection(Refusal.UNKNOWN_ORDER, message.client_order_id)
    rejected = CancelRejected(
        client_order_id=message.client_order_id, reason=message.reason, text=message.text
    )
    if order.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED):
        return (rejected, *_cancel_again(state, now_ns, message.client_order_id, order))
    return (rejected,)


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


def _decide_budget(state: AccountState, now_ns: int, message: SetRequestBudget) -> Decision:
    return (
        RequestBudgetSet(requests=message.requests, reserve=message.reserve, window_ns=message.window_ns),
    )


def _decide_suspended(state: AccountState, now_ns: int, message: RateLimitReport) -> Decision:
    if message.until_ns <= state.suspended_until_ns and message.banned <= state.banned:
        return ()
    until_ns = max(message.until_ns, state.suspended_until_ns)
    return (RequestsSuspended(until_ns=until_ns, code=message.code, banned=message.banned),)


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
    OrderAbsentReport: _decide_absent,
    FundingReport: _decide_funding,
    SetRequestBudget: _decide_budget,
    RateLimitReport: _decide_suspended,
    OrphanOrderReport: decide_orphan,
    ReconciliationReport: decide_reconciled,
    CorrectBalance: decide_correction,
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
    return (PORTFOLIO,) if kind in _HEARD_BY_PORTFOLIO else ()


_HEARD_BY_BOTH = frozenset({OrderFilled, OrderClosed, OrderRefused, OrderThrottled})
_HEARD_BY_PORTFOLIO = frozenset(
    {FundingPaid, OrderAmended, OrderReappeared, DifferenceFound, BalanceCorrected}
)
