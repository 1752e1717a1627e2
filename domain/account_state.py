"""What the account knows, and how its events change that.

Law: total: every event leads to a state, whatever the state was; guards are in `domain/account.py`.
Balances change through postings only; orders that have ended are remembered (the last `REMEMBERED_ORDERS`
of them), so that late and repeated executions still find theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from domain.books import Position, reduce
from domain.instrument import LINEAR, Instrument, InstrumentListed, fee_units, notional
from domain.order_events import (
    AccountOpened,
    BalanceCorrected,
    CancelRejected,
    CancelSubmitted,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderReappeared,
    OrderSubmitted,
    Posting,
    RequestBudgetSet,
    RequestCounted,
    RequestsSuspended,
)
from domain.orders import BUY, ENDED, STATUS, OrderStatus
from domain.record import Record

REMEMBERED_ORDERS = 10_000


class Order(msgspec.Struct, frozen=True):
    """One order as the books know it.

    `reserved` is what is still set aside for its unfilled rest; `cancels` counts the cancels sent, and
    `cancel_refused` says that the last one was refused.
    """

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
    cancels: int = 0
    cancel_refused: bool = False


class RequestBudget(msgspec.Struct, frozen=True):
    """Requests allowed in any window, `reserve` of them for cancels only; `sent_at` are the last ones."""

    requests: int
    reserve: int
    window_ns: int
    sent_at: tuple[int, ...] = ()


class AccountState(msgspec.Struct, frozen=True):
    """Everything the account knows.

    Attributes:
        balances: units by account name (see `domain.books`); every posting changes two of them.
        reserved: units set aside for open orders, by asset.
        open_buys, open_sells: value of open orders of perpetuals in quote units, by symbol.
        ended: order ids by the sequence in which they ended, for forgetting the oldest.
        budget: None where requests are not limited.
        suspended_until_ns, banned: until when the exchange takes no orders (or nothing at all) from us.
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
    budget: RequestBudget | None = None
    suspended_until_ns: int = 0
    banned: bool = False


def initial() -> AccountState:
    """The state before any record."""
    return AccountState()


def reservation(instrument: Instrument, side: str, price_ticks: int, lots: int) -> int:
    """What a spot order sets aside: quote units with the larger fee for a buy, base units for a sell."""
    if side == BUY:
        worth = notional(instrument, price_ticks, lots)
        return worth + fee_units(worth, max(instrument.maker_fee_ppm, instrument.taker_fee_ppm, 0))
    return lots * instrument.base_per_lot


def _posted(balances: Map[str, int], postings: tuple[Posting, ...]) -> Map[str, int]:
    for entry in postings:
        debit, credit = _kept_apart(entry.debit, entry.asset), _kept_apart(entry.credit, entry.asset)
        balances = balances.set(debit, balances.get(debit, 0) + entry.amount)
        balances = balances.set(credit, balances.get(credit, 0) - entry.amount)
    return balances


def _kept_apart(account: str, asset: str) -> str:
    """An account's balance in one asset; a wallet holds one asset only and is named after it."""
    return account if account.startswith("wallet:") else f"{account}:{asset}"


def _with_order(state: AccountState, order_id: str, order: Order, before: Order | None) -> AccountState:
    """State with `order` stored and reservations, open values and the memory of ended orders moved along."""
    asset = order.reserve_asset
    reserved = state.reserved
    delta = order.reserved - (before.reserved if before else 0)
    if delta:
        reserved = reserved.set(asset, reserved.get(asset, 0) + delta)
    orders, ended, count = state.orders.set(order_id, order), state.ended, state.ended_count
    if order.status in ENDED and (before is None or before.status not in ENDED):
        ended, count = ended.set(count, order_id), count + 1
        oldest = count - 1 - REMEMBERED_ORDERS
        if oldest in ended:
            orders, ended = _forgotten(orders, ended[oldest]), ended.delete(oldest)
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


def _forgotten(orders: Map[str, Order], order_id: str) -> Map[str, Order]:
    """Orders without one that ended long ago, unless it has come back to life or is gone already."""
    found = orders.get(order_id)
    return orders.delete(order_id) if found is not None and found.status in ENDED else orders


def _open_value(instrument: Instrument, order: Order) -> int:
    if order.status in ENDED:
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
        kept = reservation(instrument, before.side, before.price_ticks, event.unfilled_lots)
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


def _on_cancel(state: AccountState, event: CancelSubmitted | CancelRejected) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    refused = isinstance(event, CancelRejected)
    order = replace(before, cancels=before.cancels + (not refused), cancel_refused=refused)
    return replace(state, orders=state.orders.set(event.client_order_id, order))


def _on_reappeared(state: AccountState, event: OrderReappeared) -> AccountState:
    before = state.orders.get(event.client_order_id)
    if before is None:
        return state
    order = replace(
        before,
        status=STATUS[event.status],
        exchange_order_id=event.exchange_order_id or before.exchange_order_id,
        reserve_asset=event.reserve_asset,
        reserved=event.reserved,
    )
    return _with_order(state, event.client_order_id, order, before)


def _on_budget(state: AccountState, event: RequestBudgetSet) -> AccountState:
    if not event.requests:
        return replace(state, budget=None)
    sent_at = state.budget.sent_at if state.budget else ()
    return replace(state, budget=RequestBudget(event.requests, event.reserve, event.window_ns, sent_at))


def _on_counted(state: AccountState, event: RequestCounted) -> AccountState:
    budget = state.budget
    if budget is None:
        return state
    sent_at = (*budget.sent_at, event.now_ns)[-budget.requests :]
    return replace(state, budget=replace(budget, sent_at=sent_at))


def _on_suspended(state: AccountState, event: RequestsSuspended) -> AccountState:
    return replace(state, suspended_until_ns=event.until_ns, banned=event.banned)


def _on_corrected(state: AccountState, event: BalanceCorrected) -> AccountState:
    state = replace(state, balances=_posted(state.balances, event.postings))
    instrument = state.instruments.get(event.subject)
    if instrument is None or instrument.kind != LINEAR:
        return state
    held = state.positions.get(event.subject, Position())
    after = Position(held.units + event.units, held.cost - event.cash_units)
    return replace(state, positions=state.positions.set(event.subject, after))


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
    CancelSubmitted: _on_cancel,
    CancelRejected: _on_cancel,
    OrderAmended: _on_amended,
    FundingPaid: _on_funding,
    OrderReappeared: _on_reappeared,
    RequestBudgetSet: _on_budget,
    RequestCounted: _on_counted,
    RequestsSuspended: _on_suspended,
    BalanceCorrected: _on_corrected,
}


def evolve(state: AccountState, event: Record) -> AccountState:
    """The state after an event; events that change nothing here leave it as it is."""
    step = _EVOLVE.get(type(event))
    return step(state, event) if step else state
