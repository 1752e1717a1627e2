"""Fills: every execution once, with its fee and the profit it closed.

Law: one row per execution of an order; `exchange_trade_id` is the exchange's id of it.  `fee` and `fee_value`
are amounts charged (negative is a rebate), in the fee's asset and in the quote currency.  `pnl` is the gross
profit of the levels this execution closed.
"""

from __future__ import annotations

from domain.grid_events import LevelFilled
from domain.order_events import OrderFilled
from domain.orders import NO_LEVEL, level_of
from projections.amounts import ZERO, amount
from projections.counts import one_more
from projections.listings import asset_decimals, scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

TRADES = Table(
    "trades",
    {
        "client_order_id": TEXT,
        "exchange_trade_id": TEXT,
        "symbol": TEXT,
        "side": TEXT,
        "role": TEXT,
        "grid_level": INT,
        "price": AMOUNT,
        "quantity": AMOUNT,
        "net_quantity": AMOUNT,
        "assigned_quantity": AMOUNT,
        "total": AMOUNT,
        "fee": AMOUNT,
        "fee_asset": TEXT,
        "fee_value": AMOUNT,
        "liquidity": TEXT,
        "late": INT,
        "pnl": AMOUNT,
        "executed_at_ns": INT,
        "position": INT,
        "number": INT,
    },
    ("client_order_id", "exchange_trade_id"),
    (
        ("symbol", "executed_at_ns", "number"),
        ("exchange_trade_id",),
        ("position",),
        ("symbol", "position"),
        ("symbol", "number"),
    ),
    born="position",
)
"""`net_quantity` is what the holding changed by (unsigned, after a fee in the base asset);
`assigned_quantity` is how much of it levels have taken.  `role` is ``open``, ``close`` or ``unassigned``.
`number` counts the executions of the symbol from 1."""

TABLES: tuple[Table, ...] = (TRADES,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No fill."""
    return ()


def _on_filled(view: View, record: LedgerRecord, event: OrderFilled) -> None:
    to = scale(view, event.symbol)
    rules = to.instrument
    level = level_of(event.client_order_id)
    price, quantity = to.price(event.price_ticks), to.lots(event.lots)
    if event.fee_asset == rules.quote:
        fee = to.quote(event.fee_units)
    elif event.fee_asset == rules.base:
        fee = to.base(event.fee_units)
    else:
        fee = amount(event.fee_units, asset_decimals(view, event.fee_asset))
    view.of(TRADES).put(
        {
            "client_order_id": event.client_order_id,
            "exchange_trade_id": event.fill_id,
            "symbol": event.symbol,
            "side": event.side,
            "role": "unassigned",
            "grid_level": None if level == NO_LEVEL else level,
            "price": price,
            "quantity": quantity,
            "net_quantity": to.base(abs(event.base_units)),
            "assigned_quantity": ZERO,
            "total": price * quantity,
            "fee": fee,
            "fee_asset": event.fee_asset,
            "fee_value": to.quote(event.fee_value),
            "liquidity": event.liquidity,
            "late": int(event.late),
            "pnl": ZERO,
            "executed_at_ns": record.ts_ns,
            "position": record.position,
            "number": one_more(view, event.symbol, "fills", f"{event.side}s")["fills"],
        }
    )


def _on_level(view: View, record: LedgerRecord, event: LevelFilled) -> None:
    row = view.of(TRADES).edit(event.client_order_id, event.fill_id)
    if row is None:
        return
    to = scale(view, event.symbol)
    row["role"] = event.role
    row["assigned_quantity"] += to.base(event.base_units)
    row["pnl"] += to.quote(event.profit)


HANDLERS: Handlers = {OrderFilled: _on_filled, LevelFilled: _on_level}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
