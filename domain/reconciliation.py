"""Books against exchange: what an observation means, and what an operator may correct.

Law: an observation changes nothing.  A difference is recorded and shown; only an operator's correction, with
a name and a reason, moves a balance, and it is booked as a transfer, never as a fill.  An order with our
prefix that nobody here wants is cancelled; orders of others are not touched.
"""

from __future__ import annotations

from domain.account_state import AccountState
from domain.books import Position, posting
from domain.inputs import CorrectBalance, OrphanOrderReport, ReconciliationReport
from domain.instrument import LINEAR, PPM, Instrument, value
from domain.order_events import (
    AccountReconciled,
    BalanceCorrected,
    DifferenceFound,
    OrphanCancelSubmitted,
    Posting,
)
from domain.record import Record
from domain.rejection import Refusal, Rejection

Decision = tuple[Record, ...] | Rejection


def drift_ppm(books: int, exchange: int) -> int:
    """Difference in parts per million of the larger figure, rounded down."""
    largest = max(abs(books), abs(exchange))
    return abs(exchange - books) * PPM // largest if largest else 0


def _symbols_on(state: AccountState, asset: str) -> tuple[str, ...]:
    """Spot symbols whose holding is this asset: what they may sell rests on it."""
    return tuple(
        sorted(
            symbol
            for symbol, one in state.instruments.items()  # sorted: the map's order does not matter
            if one.kind != LINEAR and one.base == asset
        )
    )


def _difference(cause: str, subject: str, symbols: tuple[str, ...], books: int, seen: int) -> DifferenceFound:
    return DifferenceFound(
        cause=cause,
        subject=subject,
        symbols=symbols,
        books=books,
        exchange=seen,
        drift_ppm=drift_ppm(books, seen),
    )


def decide_reconciled(state: AccountState, now_ns: int, message: ReconciliationReport) -> Decision:
    """Compare balances and positions; less than a millionth is rounding of the exchange, not a difference.

    While an order is under way amounts move, so nothing is compared then.
    """
    found: list[DifferenceFound] = []
    if not message.in_flight:
        for asset, seen in message.balances:
            books = state.balances.get(f"wallet:{asset}", 0)
            if drift_ppm(books, seen):
                found.append(_difference(message.cause, asset, _symbols_on(state, asset), books, seen))
        for symbol, seen in message.positions:
            books = state.positions.get(symbol, Position()).units
            if drift_ppm(books, seen):
                found.append(_difference(message.cause, symbol, (symbol,), books, seen))
    reconciled = AccountReconciled(
        cause=message.cause,
        open_orders=message.open_orders,
        foreign_orders=message.foreign_orders,
        differences=len(found),
    )
    return (reconciled, *found)


def decide_orphan(state: AccountState, now_ns: int, message: OrphanOrderReport) -> Decision:
    """An order of ours that the books do not want to work: cancel it, by the exchange's own id."""
    return (
        OrphanCancelSubmitted(
            client_order_id=message.client_order_id,
            exchange_order_id=message.exchange_order_id,
            symbol=message.symbol,
        ),
    )


def decide_correction(state: AccountState, now_ns: int, message: CorrectBalance) -> Decision:
    """Take over an amount: of an asset, or of a perpetual position at a price."""
    if not state.opened or not message.units:
        return Rejection(Refusal.BAD_CORRECTION, f"{message.units} units of {message.subject}")
    instrument = state.instruments.get(message.subject)
    if instrument is not None and instrument.kind == LINEAR:
        return _position_correction(state, instrument, message)
    if f"wallet:{message.subject}" not in state.balances and not _symbols_on(state, message.subject):
        return Rejection(Refusal.BAD_CORRECTION, f"no asset {message.subject} in these books")
    symbols = _symbols_on(state, message.subject)
    entry = posting(f"wallet:{message.subject}", "transfers", message.subject, message.units)
    # An asset is counted once, through the first symbol that trades it; the quote currency is cash.
    return (
        _corrected(
            message,
            symbol=symbols[0] if symbols else "",
            base_units=message.units if symbols else 0,
            cash_units=message.units if message.subject == state.quote else 0,
            postings=(entry,),
        ),
    )


def _position_correction(state: AccountState, instrument: Instrument, message: CorrectBalance) -> Decision:
    if message.price_ticks <= 0:
        return Rejection(
            Refusal.BAD_CORRECTION, f"a position is corrected at a price, not {message.price_ticks}"
        )
    held = state.positions.get(message.subject, Position())
    cost = value(instrument, message.price_ticks, message.units)
    if held.units + message.units == 0:
        cost = -held.cost  # nothing is held any more, so nothing of its cost may stay
    entry = posting(f"position:{message.subject}", "transfers", message.subject, message.units)
    return (
        _corrected(
            message, symbol=message.subject, base_units=message.units, cash_units=-cost, postings=(entry,)
        ),
    )


def _corrected(
    message: CorrectBalance, *, symbol: str, base_units: int, cash_units: int, postings: tuple[Posting, ...]
) -> BalanceCorrected:
    return BalanceCorrected(
        subject=message.subject,
        units=message.units,
        symbol=symbol,
        base_units=base_units,
        cash_units=cash_units,
        price_ticks=message.price_ticks,
        reason=message.reason,
        operator=message.operator,
        postings=postings,
    )
