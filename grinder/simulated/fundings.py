"""The funding a desk paid, as a protocol lists it afterwards.

Law: remembers what was told and when, with the position it was paid on; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from domain.inputs import FundingReport
from replay.exchange.desk import Desk
from replay.exchange.desk_view import DeskView


@attrs.frozen
class Funded:
    """One payment.

    Attributes:
        number: from 1, in the order they were paid.
        at_ns: when.
        base_units: the position it was paid on, signed.
    """

    number: int
    at_ns: int
    report: FundingReport
    base_units: int


class Fundings:
    """Every payment of a desk from now on.

    Args:
        told: called with each one as it is paid; it must not call the desk.
    """

    def __init__(self, desk: Desk, told: Callable[[Funded], None]) -> None:
        self._desk = desk
        self._told = told
        self._paid: list[Funded] = []
        desk.funding_listeners.append(self._pay)

    def _pay(self, report: FundingReport, now_ns: int) -> None:
        held, _ = self._desk.positions().get(report.symbol, (0, 0))
        one = Funded(len(self._paid) + 1, now_ns, report, held)
        self._paid.append(one)
        self._told(one)

    def seen(self, view: DeskView, since_ns: int = 0) -> list[Funded]:
        """Payments from a time on, oldest first, as far as a view shows them."""
        until_ns = view.at_ns
        return [
            one for one in self._paid if since_ns <= one.at_ns and (until_ns is None or one.at_ns <= until_ns)
        ]
