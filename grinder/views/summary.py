"""The figures of a run that everyone asks for first.

Law: taken from the views, which are brought up to date first; nothing is computed here.  Amounts are plain
decimal text.  Signs are those of profit and loss everywhere: what reduces equity is negative, so fees paid
are negative and funding received is positive.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from grinder.views.store import open_views, update


@attrs.frozen(kw_only=True)
class Summary:
    """A run.

    Attributes:
        orders: orders that left for the exchange; blocked: orders that a limit or want of funds kept back.
        fills, cycles: executions, and cycles completed.
        symbols: by symbol, sorted: position, realised_pnl, unrealised_pnl (average cost, gross), grid_profit,
            unpaired_pnl (by level, gross), fees, funding.
        halts: every stop and reset, in order: position, ts_ns, kind, reason, symbol (None: all) and equity.
        position: of the last record the figures include.
    """

    position: int
    orders: int
    blocked: int
    fills: int
    cycles: int
    symbols: dict[str, dict[str, str]]
    halts: list[dict[str, Any]]
    grid_profit: str
    unpaired_pnl: str
    fees: str
    funding: str
    transfers: str
    equity_start: str
    equity_end: str
    identity_residual: str

    def in_short(self) -> dict[str, Any]:
        """What is told of a run when it ends."""
        return {
            "fills": self.fills,
            "cycles": self.cycles,
            "symbols": self.symbols,
            "equity_start": self.equity_start,
            "equity_end": self.equity_end,
            "identity_residual": self.identity_residual,
        }


_SYMBOLS = """
    SELECT p.symbol AS symbol, p.quantity AS position,
           p.realized_pnl AS realised_pnl, p.unrealized_pnl AS unrealised_pnl,
           ifnull(n.grid_profit, '0') AS grid_profit, ifnull(n.unpaired_pnl, '0') AS unpaired_pnl,
           ifnull(n.fees, '0') AS fees, ifnull(n.funding, '0') AS funding
    FROM positions p LEFT JOIN pnl n ON n.symbol = p.symbol ORDER BY p.symbol
"""

_COUNTS = """
    SELECT (SELECT position FROM view_source) AS position,
           (SELECT count(*) FROM grid_orders WHERE status NOT IN ('blocked', 'refused')) AS orders,
           (SELECT count(*) FROM grid_orders WHERE status IN ('blocked', 'refused')) AS blocked,
           (SELECT count(*) FROM trades) AS fills,
           (SELECT count(*) FROM cycles WHERE status = 'closed') AS cycles
"""

_HALTS = "SELECT position, ts_ns, kind, reason, symbol, equity FROM halts ORDER BY position"

_TOTALS = (
    "grid_profit",
    "unpaired_pnl",
    "fees",
    "funding",
    "transfers",
    "equity_start",
    "equity_end",
    "identity_residual",
)


def summary(run_folder: Path) -> Summary:
    """The summary of a run, up to the last record of its ledger.

    Raises:
        LedgerError, EnvironmentFault: as `grinder.views.store.update`.
    """
    update(run_folder)
    with closing(open_views(run_folder)) as db:
        counts = next(iter(db.query(_COUNTS)))
        # Views of a ledger without records have no rows at all.
        total = next(iter(db.query(f"SELECT {', '.join(_TOTALS)} FROM pnl_total")), None)
        symbols = {str(row.pop("symbol")): row for row in db.query(_SYMBOLS)}
        halts = list(db.query(_HALTS))
    return Summary(symbols=symbols, halts=halts, **counts, **(total or dict.fromkeys(_TOTALS, "0")))
