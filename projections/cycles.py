"""Cycles: the genealogy of every level, from its opening to the profit it captured.

Law: one row per level and cycle of one run of a grid.  What a cycle could not close is its `residual` and
appears as `carried_in` of the next.  `profit` is gross; `fees` is signed as everywhere in profit and loss:
negative was paid.
"""

from __future__ import annotations

from decimal import Decimal

from domain.grid_events import InventoryAdopted, LevelFilled
from domain.orders import BUY, OPPOSITE, SELL
from projections.amounts import ZERO, floored_share, quotient
from projections.counts import one_more
from projections.fills import TRADES
from projections.grids import run_of
from projections.levels import LEVELS
from projections.listings import Scale, scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

CYCLES = Table(
    "cycles",
    {
        "symbol": TEXT,
        "run": INT,
        "grid_level": INT,
        "cycle": INT,
        "side": TEXT,
        "status": TEXT,
        "opened_at_ns": INT,
        "closed_at_ns": INT,
        "carried_in": AMOUNT,
        "quantity_opened": AMOUNT,
        "open_value": AMOUNT,
        "open_price_avg": AMOUNT,
        "quantity_closed": AMOUNT,
        "close_value": AMOUNT,
        "close_price_avg": AMOUNT,
        "residual": AMOUNT,
        "profit": AMOUNT,
        "fees": AMOUNT,
        "fills": INT,
        "partial_fills": INT,
        "adopted": INT,
        "first_position": INT,
        "last_position": INT,
    },
    ("symbol", "run", "grid_level", "cycle"),
    (
        ("first_position",),
        ("symbol", "first_position"),
        ("symbol", "last_position", "first_position"),
        ("status", "first_position"),
    ),
    born="first_position",
)
"""`side` is the side the level opens on; `status` is ``open`` or ``closed``; average prices have two digits
more than the instrument's price."""

TABLES: tuple[Table, ...] = (CYCLES,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No cycle."""
    return ()


def _row(view: View, record: LedgerRecord, symbol: str, level: int, cycle: int, carried_in: Decimal) -> Row:
    rows, run = view.of(CYCLES), run_of(view, symbol)
    found = rows.edit(symbol, run, level, cycle)
    if found is not None:
        return found
    row = CYCLES.blank(
        symbol=symbol,
        run=run,
        grid_level=level,
        cycle=cycle,
        side=BUY,
        status="open",
        opened_at_ns=record.ts_ns,
        carried_in=carried_in,
        fills=0,
        partial_fills=0,
        adopted=0,
        first_position=record.position,
    )
    for name, kind in CYCLES.columns.items():
        if kind == AMOUNT and row[name] is None:
            row[name] = ZERO
    return rows.put(row)


def _averages(row: Row, to: Scale) -> None:
    digits = to.price_decimals + 2
    row["open_price_avg"] = quotient(row["open_value"], row["quantity_opened"], digits)
    row["close_price_avg"] = quotient(row["close_value"], row["quantity_closed"], digits)


def _on_adopted(view: View, record: LedgerRecord, event: InventoryAdopted) -> None:
    to = scale(view, event.symbol)
    level = view.of(LEVELS).get(event.symbol, event.level)
    cycle = 0 if level is None else level["cycle"]
    row = _row(view, record, event.symbol, event.level, cycle, ZERO)
    row["adopted"] = 1
    row["side"] = BUY if event.base_units > 0 else SELL
    row["quantity_opened"] += to.base(abs(event.base_units))
    row["open_value"] += to.quote(abs(event.cost))
    row["residual"] += to.base(abs(event.base_units))
    row["last_position"] = record.position
    _averages(row, to)


def _fee(view: View, event: LevelFilled, quantity: Decimal, to: Scale) -> Decimal:
    """The share of the execution's fee that belongs to this level.

    One execution may stock many levels; shares are cut from the running total, so they add up to the fee.
    The fills were told of this event before, so `assigned_quantity` already contains it.
    """
    trade = view.of(TRADES).get(event.client_order_id, event.fill_id)
    if trade is None or not trade["net_quantity"]:
        return ZERO
    fee, whole, after = trade["fee_value"], trade["net_quantity"], trade["assigned_quantity"]
    if after == quantity == whole:
        share: Decimal = fee
        return share
    digits = to.quote_decimals
    return floored_share(fee, after, whole, digits) - floored_share(fee, after - quantity, whole, digits)


def _on_level(view: View, record: LedgerRecord, event: LevelFilled) -> None:
    to = scale(view, event.symbol)
    quantity, held = to.base(event.base_units), to.base(event.held)
    opens = event.role == "open"
    row = _row(view, record, event.symbol, event.level, event.cycle, held - quantity if opens else ZERO)
    row["side"] = event.side if opens else OPPOSITE[event.side]
    if opens:
        row["quantity_opened"] += quantity
        row["open_value"] += to.quote(event.cost)
    else:
        row["quantity_closed"] += quantity
        row["close_value"] += to.price(event.price_ticks) * quantity
        row["profit"] += to.quote(event.profit)
    row["fees"] -= _fee(view, event, quantity, to)
    row["residual"] = held
    row["fills"] += 1
    row["partial_fills"] += not event.order_done
    row["last_position"] = record.position
    _averages(row, to)
    if event.cycle_done:
        row.update(status="closed", closed_at_ns=record.ts_ns)
        one_more(view, event.symbol, "cycles_closed")


HANDLERS: Handlers = {InventoryAdopted: _on_adopted, LevelFilled: _on_level}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
