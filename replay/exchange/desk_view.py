"""What a reading request sees of a desk: the truth, or what a fault makes of it.

Law: never changes the desk.  A view of an earlier time answers as the desk would have answered then: orders
not yet known are missing, fills of later are not there.
"""

from __future__ import annotations

import attrs

from actors.ports import SnapshotStatus
from domain.inputs import FundingReport
from domain.order_events import OrderTerms
from replay.exchange.desk import Desk, DeskExecution, DeskOrder
from replay.exchange.rules import Reject
from replay.faults import Fault, FaultPlan

NS = 1_000_000_000


@attrs.frozen(eq=False, kw_only=True)
class SeenOrder:
    """An order as a view shows it; the names are those of `DeskOrder`."""

    exchange_id: str
    terms: OrderTerms
    status: SnapshotStatus
    filled_lots: int
    filled_value: int
    price_ticks: int
    lots: int
    created_ns: int
    updated_ns: int
    reject: Reject | None
    reason: str

    @property
    def client_id(self) -> str:
        """The client's order id; empty for an order placed without one."""
        return self.terms.client_order_id

    @property
    def symbol(self) -> str:
        """The symbol it is for."""
        return self.terms.symbol


class DeskView:
    """Reading requests on a desk, as of a time.

    Args:
        at_ns: the time as of which to answer; None is now.
        omit: number (any) choosing an open order that lists of open orders leave out; None leaves none out.
        repeats: the last execution is listed twice.

    Attributes:
        omitted: the order that was left out.
        repeated: whether an execution was listed twice.
    """

    def __init__(
        self, desk: Desk, at_ns: int | None = None, *, omit: int | None = None, repeats: bool = False
    ) -> None:
        self.desk = desk
        self.at_ns = at_ns
        self.repeats = repeats
        self._omit = omit
        self.omitted: SeenOrder | None = None
        self.repeated = False

    @classmethod
    def under(cls, desk: Desk, faults: FaultPlan, fault: Fault | None, now_ns: int) -> DeskView:
        """What a request sees that a fault (or one that still lasts) befalls."""
        kind = fault.kind if fault else ""
        lag_ns = int(fault.seconds * NS) if fault and kind == "lag_rest" else faults.lag_ns(now_ns)
        return cls(
            desk,
            now_ns - lag_ns if lag_ns else None,
            omit=fault.chance if fault and kind == "omit_open_order" else None,
            repeats=kind == "duplicate_fill",
        )

    def missed(self, kind: str) -> bool:
        """Whether a fault of this kind was to show here and found no place."""
        return (kind == "omit_open_order" and self.omitted is None) or (self.repeats and not self.repeated)

    def find(self, *, client_order_id: str = "", exchange_order_id: str = "") -> SeenOrder | None:
        """An order by the exchange's id, or the newest with a client's; None when not known (yet)."""
        order = self.desk.find(client_order_id=client_order_id, exchange_order_id=exchange_order_id)
        return self._seen(order) if order is not None else None

    def open_orders(self, symbol: str = "") -> list[SeenOrder]:
        """Orders that rest, oldest first."""
        if self.at_ns is None:
            found = [self._shown(one) for one in self.desk.open_orders(symbol)]
        else:
            asked = [one for one in self.desk.orders.values() if not symbol or one.symbol == symbol]
            seen = [self._seen(one) for one in asked if one.updated_ns > self.at_ns or not _ended(one)]
            found = [one for one in seen if one is not None and one.status is SnapshotStatus.WORKING]
        if self._omit is not None and found:
            self.omitted = found.pop(self._omit % len(found))
        return found

    def orders(self, symbol: str = "") -> list[SeenOrder]:
        """Every order remembered, ended ones included, oldest first."""
        asked = [one for one in self.desk.orders.values() if not symbol or one.symbol == symbol]
        return [seen for one in asked if (seen := self._seen(one)) is not None]

    def executions(
        self, symbol: str = "", since_ns: int = 0, exchange_order_id: str = ""
    ) -> list[DeskExecution]:
        """Executions from a time on, oldest first; the number 0 is to be worded as no id."""
        found = [
            attrs.evolve(one, number=0) if one.nameless else one
            for one in self.desk.executions_of(symbol, since_ns)
            if (self.at_ns is None or one.ts_ns <= self.at_ns)
            and (not exchange_order_id or one.order.exchange_id == exchange_order_id)
        ]
        if found and self.repeats:
            self.repeated = True
            found.append(found[-1])
        return found

    def fundings(self, since_ns: int = 0) -> list[tuple[int, FundingReport]]:
        """Funding from a time on, oldest first, each with its time, ns."""
        found = self.desk.fundings_of(since_ns)
        return [one for one in found if self.at_ns is None or one[0] <= self.at_ns]

    def totals(self) -> dict[str, tuple[int, int]]:
        """asset -> (free, locked) units, now: balances do not lag."""
        return self.desk.totals()

    def positions(self) -> dict[str, tuple[int, int]]:
        """symbol -> (base units, cost), now."""
        return self.desk.positions()

    def _seen(self, order: DeskOrder) -> SeenOrder | None:
        if self.at_ns is None:
            return self._shown(order)
        then = order.as_of(self.at_ns)
        if then is None:
            return None
        status, filled = then
        over = status not in (SnapshotStatus.PENDING, SnapshotStatus.WORKING)
        share = order.filled_value * filled // order.filled_lots if order.filled_lots else 0
        return attrs.evolve(
            self._shown(order),
            status=status,
            filled_lots=filled,
            filled_value=share,
            updated_ns=min(order.updated_ns, self.at_ns),
            reason=order.reason if over else "",
        )

    def _shown(self, order: DeskOrder) -> SeenOrder:
        return SeenOrder(
            exchange_id=order.exchange_id,
            terms=order.terms,
            status=order.status,
            filled_lots=order.filled_lots,
            filled_value=order.filled_value,
            price_ticks=order.price_ticks,
            lots=order.lots,
            created_ns=order.created_ns,
            updated_ns=order.updated_ns,
            reject=order.reject,
            reason=order.reason,
        )


def _ended(order: DeskOrder) -> bool:
    return order.status not in (SnapshotStatus.PENDING, SnapshotStatus.WORKING)
