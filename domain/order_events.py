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


@record("OrderThrottled/1")
class OrderThrottled(Record):
    """The account may not send the order yet: the exchange, or our own budget, allows no more requests.

    Attributes:
        reason: ``RATE_BUDGET`` or ``SUSPENDED``.
        retry_at_ns: when it may be asked for again.
    """

    client_order_id: str
    symbol: str
    side: str
    notional: int
    lots: int
    reason: str
    retry_at_ns: int


@record("OrderReappeared/1")
class OrderReappeared(Record):
    """An order that was shown to be absent is there after all: the books take it back.

    Its level has moved on, so a cancel follows at once: one level keeps one order.
    """

    client_order_id: str
    symbol: str
    side: str
    exchange_order_id: str
    status: str
    notional: int
    lots: int
    reserve_asset: str
    reserved: int


@record("OrphanCancelSubmitted/1")
class OrphanCancelSubmitted(Record):
    """The intent to cancel an order that carries our prefix and that these books do not know."""

    client_order_id: str
    exchange_order_id: str
    symbol: str


@record("RequestBudgetSet/1")
class RequestBudgetSet(Record):
    """Order requests are limited to this many in a window from now on; 0 is no limit."""

    requests: int
    reserve: int
    window_ns: int


@record("RequestCounted/1")
class RequestCounted(Record):
    """A request left at this time; recorded while requests are limited."""

    now_ns: int


@record("RequestsSuspended/1")
class RequestsSuspended(Record):
    """The exchange takes no orders from us until then (no requests at all when `banned`)."""

    until_ns: int
    code: str
    banned: bool


@record("AccountReconciled/1")
class AccountReconciled(Record):
    """Books and exchange were compared.

    Attributes:
        differences: how many there were; a `DifferenceFound` names each.
    """

    cause: str
    open_orders: int
    foreign_orders: tuple[str, ...]
    differences: int


@record("DifferenceFound/1")
class DifferenceFound(Record):
    """Books and exchange do not agree; nothing is changed by it.

    Attributes:
        subject: an asset, or the symbol of a perpetual.
        symbols: the symbols whose trading rests on it.
        books, exchange: units of the asset, or base units of the position.
        drift_ppm: difference in parts per million of the larger of the two.
    """

    cause: str
    subject: str
    symbols: tuple[str, ...]
    books: int
    exchange: int
    drift_ppm: int


@record("BalanceCorrected/1")
class BalanceCorrected(Record):
    """An operator took over what the exchange says: a transfer between the account and the outside.

    Attributes:
        base_units: change of the symbol's holding; 0 when `symbol` is empty.
        cash_units: change of everything that is not that holding, in quote units.
        price_ticks: price at which a perpetual position changed; 0 for an asset.
    """

    subject: str
    units: int
    symbol: str
    base_units: int
    cash_units: int
    price_ticks: int
    reason: str
    operator: str
    postings: tuple[Posting, ...]


INTENTS: frozenset[type[Record]] = frozenset({OrderSubmitted, CancelSubmitted, OrphanCancelSubmitted})
"""Events an exchange session acts on, once they are durable."""
