"""The records that carry an order from a level to the exchange and back.

Law: `OrderTerms` are fixed when a symbol requests the order and travel unchanged: what the portfolio checked
and the account reserved is what leaves.
"""

from __future__ import annotations

from domain.record import Record, record


@record("OrderTerms/1")
class OrderTerms(Record):
    """What is asked of the exchange.

    Attributes:
        price_ticks: limit price; for a market order the price it is reserved at.
        order_type: ``limit`` or ``market``.
        time_in_force: see `domain.orders.TimeInForce`.
    """

    client_order_id: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    reduce_only: bool
    price_ticks: int
    lots: int


@record("OrderRequested/1")
class OrderRequested(Record):
    """A grid wants an order for one of its levels (or for itself: level `NO_LEVEL`)."""

    terms: OrderTerms
    level: int
    cycle: int


@record("OrderAllowed/1")
class OrderAllowed(Record):
    """The portfolio found no limit against the order; `now_ns` counts towards the order rate."""

    terms: OrderTerms
    notional: int
    now_ns: int


@record("OrderBlocked/1")
class OrderBlocked(Record):
    """The portfolio refused an order; `reason` is a `BlockReason`.

    Attributes:
        retry_at_ns: when the same order may be asked for again; 0 when time alone will not help.
    """

    client_order_id: str
    symbol: str
    reason: str
    detail: str
    retry_at_ns: int


@record("OrderSubmitted/1")
class OrderSubmitted(Record):
    """Funds are reserved and the order may leave: the intent an exchange session carries out."""

    terms: OrderTerms
    reserve_asset: str
    reserved: int


@record("OrderRefused/1")
class OrderRefused(Record):
    """The account cannot cover an order; nothing was sent."""

    client_order_id: str
    symbol: str
    side: str
    notional: int
    lots: int
    reason: str
    detail: str


@record("OrderAccepted/1")
class OrderAccepted(Record):
    """The order rests on the exchange."""

    client_order_id: str
    exchange_order_id: str
    status: str


@record("OrderClosed/1")
class OrderClosed(Record):
    """The order ended with a rest: rejected, cancelled or expired.

    Attributes:
        status: the terminal status.
        unfilled_lots: what will not be filled any more.
        unfilled_notional: its value in quote units at the order's price.
    """

    client_order_id: str
    symbol: str
    side: str
    status: str
    reason: str
    text: str
    unfilled_lots: int
    unfilled_notional: int


@record("Posting/1")
class Posting(Record):
    """One double entry: `amount` of `asset` moves from the account `credit` to the account `debit`."""

    debit: str
    credit: str
    asset: str
    amount: int


@record("OrderFilled/1")
class OrderFilled(Record):
    """An execution is booked.

    Attributes:
        order_price_ticks, price_ticks: what the order asked for, and what it got.
        lots, filled_lots, unfilled_lots: this execution, all so far, what is left to fill.
        base_units: change of the holding (signed; net of a fee taken in the base asset).
        cash_units: change of everything that is not this holding, in quote units.
        realised: profit realised on a perpetual position, quote units; 0 for spot.
        status: the order's status after it.
        late: the order had already ended; its status did not change.
    """

    client_order_id: str
    fill_id: str
    symbol: str
    side: str
    order_price_ticks: int
    price_ticks: int
    lots: int
    filled_lots: int
    unfilled_lots: int
    status: str
    late: bool
    liquidity: str
    fee_asset: str
    fee_units: int
    fee_value: int
    base_units: int
    cash_units: int
    realised: int
    postings: tuple[Posting, ...]


@record("OrderOutcomeUnknown/1")
class OrderOutcomeUnknown(Record):
    """No answer came: the order may or may not exist on the exchange."""

    client_order_id: str


@record("OrderAmended/1")
class OrderAmended(Record):
    """The exchange changed a resting order in place; the changes are of its unfilled rest."""

    client_order_id: str
    symbol: str
    side: str
    price_ticks: int
    lots: int
    reserved: int
    notional_change: int
    lots_change: int


@record("CancelRequested/1")
class CancelRequested(Record):
    """A grid wants an order gone."""

    client_order_id: str
    symbol: str
    reason: str


@record("CancelSubmitted/1")
class CancelSubmitted(Record):
    """The intent to cancel, which an exchange session carries out."""

    client_order_id: str
    symbol: str


@record("CancelRejected/1")
class CancelRejected(Record):
    """The exchange refused a cancel; the order keeps its status."""

    client_order_id: str
    reason: str
    text: str


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


INTENTS: frozenset[type[Record]] = frozenset({OrderSubmitted, CancelSubmitted})
"""Events an exchange session acts on, once they are durable."""
