"""The rows of risk: limits, high-water marks and counts of a symbol or of the account.

Law: what the figures mean is said in `projections.risk`, which fills them.
"""

from __future__ import annotations

from decimal import Decimal

from projections.amounts import ZERO, ppm_below
from projections.inventory import POSITIONS
from projections.record import LedgerRecord
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

ACCOUNT_SCOPE = "*"
"""The scope of the account's own row."""

RISK = Table(
    "risk",
    {
        "scope": TEXT,
        "state": TEXT,
        "halt_reason": TEXT,
        "halted_at_ns": INT,
        "equity": AMOUNT,
        "session_high": AMOUNT,
        "day_high": AMOUNT,
        "session_drawdown_ppm": INT,
        "session_drawdown_max_ppm": INT,
        "session_drawdown_limit_ppm": INT,
        "daily_drawdown_ppm": INT,
        "daily_drawdown_max_ppm": INT,
        "daily_drawdown_limit_ppm": INT,
        "inventory_limit_units": INT,
        "inventory_limit": AMOUNT,
        "inventory_used": AMOUNT,
        "inventory_peak": AMOUNT,
        "resting_buys": AMOUNT,
        "resting_sells": AMOUNT,
        "stop_loss": AMOUNT,
        "take_profit": AMOUNT,
        "orders_per_minute_limit": INT,
        "orders_allowed": INT,
        "orders_blocked": INT,
        "updated_at_ns": INT,
    },
    ("scope",),
)
"""Scope ``*`` is the account, any other a symbol.  Limits are 0 or NULL when off.  `inventory_used` is the
larger of (holding + resting buys) and (resting sells - holding) at the mark, which the limit bounds."""

BLOCKS = Table(
    "order_blocks",
    {"symbol": TEXT, "reason": TEXT, "orders": INT, "last_detail": TEXT, "last_at_ns": INT, "position": INT},
    ("symbol", "reason"),
)

HALTS = Table(
    "halts",
    {
        "position": INT,
        "ts_ns": INT,
        "kind": TEXT,
        "symbol": TEXT,
        "reason": TEXT,
        "equity": AMOUNT,
        "high_water": AMOUNT,
        "price": AMOUNT,
        "operator": TEXT,
    },
    ("position",),
    born="position",
    settled=True,
)
"""`kind` is ``trading_halted``, ``symbol_halted``, ``halt_reset``, ``paused`` or ``resumed``."""

COUNTS = (
    "session_drawdown_ppm",
    "session_drawdown_max_ppm",
    "daily_drawdown_ppm",
    "daily_drawdown_max_ppm",
    "orders_allowed",
    "orders_blocked",
)


def risk_row(view: View, record: LedgerRecord, scope: str) -> Row:
    """The row of a symbol or of the account, to be changed."""
    row = view.of(RISK).edit(scope)
    if row is None:
        counts = {"orders_allowed": 0, "orders_blocked": 0}
        row = view.of(RISK).put(RISK.blank(scope=scope, state="running", **counts))
        row.update(dict.fromkeys(("inventory_used", "inventory_peak", "resting_buys", "resting_sells"), ZERO))
    row["updated_at_ns"] = record.ts_ns
    return row


def measure_inventory(view: View, row: Row) -> None:
    """What counts against the inventory limit now, and the most that ever did."""
    held = view.of(POSITIONS).get(row["scope"])
    value = ZERO if held is None or held["mark_price"] is None else held["quantity"] * held["mark_price"]
    used = max(value + row["resting_buys"], row["resting_sells"] - value)
    row["inventory_used"] = used
    row["inventory_peak"] = max(row["inventory_peak"], used)


def measure_drawdown(row: Row, equity: Decimal) -> None:
    """How far equity is below its high-water marks, and the furthest it ever was."""
    row["equity"] = equity
    for which, high in (("session", row["session_high"]), ("daily", row["day_high"])):
        if high is not None:
            now = ppm_below(high, equity)
            row[f"{which}_drawdown_ppm"] = now
            row[f"{which}_drawdown_max_ppm"] = max(row[f"{which}_drawdown_max_ppm"], now)
