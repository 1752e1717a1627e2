"""Grids: every grid with its bounds and its state.

Law: one row per symbol, for the latest run of its grid.  The hole is the price that had no order when a
neutral grid started: buys below it, sells above.
"""

from __future__ import annotations

from decimal import Decimal

from domain.grid_events import (
    GridConfigured,
    GridRebalanced,
    GridRebalancing,
    GridStarted,
    GridStopped,
    GridStopping,
)
from domain.grid_state import NEUTRAL, GridStatus
from domain.orders import SELL
from domain.risk_events import StopPricesSet
from projections.levels import LEVELS
from projections.listings import scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

CONFIGS = Table(
    "grid_configs",
    {
        "symbol": TEXT,
        "run": INT,
        "status": TEXT,
        "mode": TEXT,
        "initial_inventory": TEXT,
        "post_only": INT,
        "lower_price": AMOUNT,
        "upper_price": AMOUNT,
        "grid_count": INT,
        "skipped_count": INT,
        "start_price": AMOUNT,
        "hole_price": AMOUNT,
        "stop_loss": AMOUNT,
        "take_profit": AMOUNT,
        "on_stop": TEXT,
        "stop_reason": TEXT,
        "inventory_left": AMOUNT,
        "configured_at_ns": INT,
        "started_at_ns": INT,
        "stopped_at_ns": INT,
        "updated_at_ns": INT,
    },
    ("symbol",),
)
"""`run` counts the starts of the symbol's grid from 1; `stop_loss` and `take_profit` are NULL when off."""

TABLES: tuple[Table, ...] = (CONFIGS,)


def initial() -> tuple[tuple[Table, Row], ...]:
    """No grid."""
    return ()


def run_of(view: View, symbol: str) -> int:
    """Which run of the symbol's grid this is, from 1: levels and cycles count anew in each."""
    row = view.of(CONFIGS).get(symbol)
    return 0 if row is None else int(row["run"])


def _change(view: View, record: LedgerRecord, symbol: str) -> Row | None:
    row = view.of(CONFIGS).edit(symbol)
    if row is not None:
        row["updated_at_ns"] = record.ts_ns
    return row


def _on_configured(view: View, record: LedgerRecord, event: GridConfigured) -> None:
    to, rungs = scale(view, event.symbol), event.ladder.levels
    view.of(CONFIGS).put(
        CONFIGS.blank(
            symbol=event.symbol,
            run=run_of(view, event.symbol) + 1,
            status=GridStatus.INITIALIZED.value,
            mode=event.mode,
            initial_inventory=event.initial_inventory,
            post_only=int(event.post_only),
            lower_price=to.price(rungs[0].buy_ticks),
            upper_price=to.price(rungs[-1].sell_ticks),
            grid_count=len(rungs),
            skipped_count=len(event.ladder.skipped),
            on_stop=event.on_stop,
            configured_at_ns=record.ts_ns,
            updated_at_ns=record.ts_ns,
        )
    )


def _on_stops(view: View, record: LedgerRecord, event: StopPricesSet) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        to = scale(view, event.symbol)
        row["stop_loss"] = to.price(event.stop_loss_ticks) if event.stop_loss_ticks else None
        row["take_profit"] = to.price(event.take_profit_ticks) if event.take_profit_ticks else None


def _on_started(view: View, record: LedgerRecord, event: GridStarted) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        row.update(status=GridStatus.RUNNING.value, started_at_ns=record.ts_ns)
        row["start_price"] = scale(view, event.symbol).price(event.price_ticks)
        if row["mode"] == NEUTRAL:
            row["hole_price"] = _hole(view, event.symbol, event.openings, row["upper_price"])


def _hole(view: View, symbol: str, openings: tuple[str, ...], top: Decimal) -> Decimal:
    """The lower price of the first level that opens with a sell; the top of the ladder when none does."""
    if SELL not in openings:
        return top
    level = view.of(LEVELS).get(symbol, openings.index(SELL))
    price: Decimal = top if level is None else level["buy_price"]
    return price


def _on_stopping(view: View, record: LedgerRecord, event: GridStopping) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        row.update(status=GridStatus.STOPPING.value, stop_reason=event.reason, on_stop=event.on_stop)


def _on_stopped(view: View, record: LedgerRecord, event: GridStopped) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        row.update(status=GridStatus.STOPPED.value, stop_reason=event.reason, stopped_at_ns=record.ts_ns)
        row["inventory_left"] = scale(view, event.symbol).base(event.inventory)


def _on_rebalancing(view: View, record: LedgerRecord, event: GridRebalancing) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        row["status"] = GridStatus.REBALANCING.value


def _on_rebalanced(view: View, record: LedgerRecord, event: GridRebalanced) -> None:
    row = _change(view, record, event.symbol)
    if row is not None:
        row["status"] = GridStatus.RUNNING.value


HANDLERS: Handlers = {
    GridConfigured: _on_configured,
    StopPricesSet: _on_stops,
    GridStarted: _on_started,
    GridStopping: _on_stopping,
    GridStopped: _on_stopped,
    GridRebalancing: _on_rebalancing,
    GridRebalanced: _on_rebalanced,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
