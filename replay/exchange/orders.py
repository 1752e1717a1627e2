"""Orders, executions and updates as the desk remembers them.

Law: an order keeps the moments of its life, so that a question about an earlier time can be answered as it
would have been answered then; nothing else here changes once it is written.
"""

from __future__ import annotations

from bisect import bisect_right

import attrs

from actors.ports import SnapshotStatus
from domain.order_events import OrderTerms
from replay.exchange.rules import Reject


@attrs.define(eq=False, kw_only=True)
class DeskOrder:
    """One order.

    Attributes:
        exchange_id: the exchange's order id; empty for a refused order that was not kept.
        terms: as they arrived; `price_ticks` and `lots` beside it are those in force (after an amend).
        filled_value: quote units of all executions so far.
        reason: why it ended: ``requested``, ``expired``, ``dead_man``, or whatever the canceller said.
        moments: (time in ns, status, filled lots) after every change, oldest first.
    """

    terms: OrderTerms
    created_ns: int
    exchange_id: str = ""
    status: SnapshotStatus = SnapshotStatus.PENDING
    filled_lots: int = 0
    filled_value: int = 0
    price_ticks: int = attrs.field(
        default=attrs.Factory(lambda self: self.terms.price_ticks, takes_self=True)
    )
    lots: int = attrs.field(default=attrs.Factory(lambda self: self.terms.lots, takes_self=True))
    updated_ns: int = 0
    reject: Reject | None = None
    reason: str = ""
    moments: list[tuple[int, SnapshotStatus, int]] = attrs.field(factory=list, repr=False)

    def __attrs_post_init__(self) -> None:
        self.price_ticks, self.lots = self.terms.price_ticks, self.terms.lots

    @property
    def client_id(self) -> str:
        """The client's order id; empty for an order placed without one."""
        return self.terms.client_order_id

    @property
    def symbol(self) -> str:
        """The symbol it is for."""
        return self.terms.symbol

    def move(self, status: SnapshotStatus, now_ns: int) -> None:
        """Take a status at a time, and remember it."""
        self.status, self.updated_ns = status, now_ns
        self.moments.append((now_ns, status, self.filled_lots))

    def as_of(self, at_ns: int) -> tuple[SnapshotStatus, int] | None:
        """(status, filled lots) as they were at a time; None when the order was not known yet."""
        found = bisect_right(self.moments, at_ns, key=lambda moment: moment[0])
        if not found:
            return None
        _, status, filled = self.moments[found - 1]
        return status, filled


@attrs.define(eq=False, kw_only=True)
class DeskExecution:
    """One execution.

    Attributes:
        number: counts all of the desk's from 1; 0 in what is told of an execution without an id.
        filled_lots: of the order, with this execution.
        fee_value: in quote units.
        nameless: the exchange tells no id of it, anywhere (a fault).
    """

    number: int
    order: DeskOrder
    price_ticks: int
    lots: int
    filled_lots: int
    liquidity: str
    fee_asset: str
    fee_units: int
    fee_value: int
    ts_ns: int
    nameless: bool = False


@attrs.frozen(eq=False, kw_only=True)
class DeskUpdate:
    """What happened to an order; `status` and the filled amounts are those right after it.

    Attributes:
        kind: ``new``, ``fill``, ``cancelled``, ``rejected``, ``expired`` or ``amended``.
    """

    kind: str
    order: DeskOrder
    execution: DeskExecution | None
    ts_ns: int
    status: SnapshotStatus
    filled_lots: int
    filled_value: int
