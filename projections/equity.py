"""Equity: the curve, a point at every mark and after every execution.

Law: the figures are those of `projections.pnl` and `projections.risk` at that record; drawdown is against
the session's high-water mark.
"""

from __future__ import annotations

from domain.risk_events import EquityMarked, InventoryChanged
from projections.amounts import ZERO, amount
from projections.pnl_rows import TOTAL
from projections.record import Handlers, LedgerRecord, dispatch
from projections.risk_rows import ACCOUNT_SCOPE, RISK
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

CURVE = Table(
    "equity_curve",
    {
        "position": INT,
        "ts_ns": INT,
        "kind": TEXT,
        "equity": AMOUNT,
        "cash": AMOUNT,
        "drawdown_ppm": INT,
        "drawdown": AMOUNT,
    },
    ("position",),
    (("ts_ns",),),
    born="position",
    settled=True,
)
"""`kind` is ``mark`` or ``fill``; `drawdown` is the ratio that `drawdown_ppm` counts in millionths."""

TABLES: tuple[Table, ...] = (CURVE,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No point."""
    return ()


def _point(view: View, record: LedgerRecord, event: EquityMarked | InventoryChanged) -> None:
    total, risk = view.of(TOTAL).get(1), view.of(RISK).get(ACCOUNT_SCOPE)
    ppm = risk["session_drawdown_ppm"] if risk else 0
    view.of(CURVE).put(
        {
            "position": record.position,
            "ts_ns": record.ts_ns,
            "kind": "mark" if isinstance(event, EquityMarked) else "fill",
            "equity": total["equity_end"] if total else ZERO,
            "cash": total["cash"] if total else ZERO,
            "drawdown_ppm": ppm,
            "drawdown": amount(ppm, 6),
        }
    )


HANDLERS: Handlers = {InventoryChanged: _point, EquityMarked: _point}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
