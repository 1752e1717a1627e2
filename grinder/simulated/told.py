"""A desk's orders, executions and rows as the signals of the port.

Law: pure translation, one function per kind; what an exchange would not say is not said.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256

from actors.ports import InstrumentRules, OrderSnapshot, Quote, Signal, SnapshotStatus, Trade
from domain.inputs import FillReport
from domain.instrument import Instrument, contract_units
from domain.units import from_units
from replay.exchange.desk import DeskExecution, DeskOrder, DeskUpdate, Filters
from replay.exchange.desk_view import SeenOrder
from replay.exchange.rolling import MarketRow

BPS_PER_PPM = Decimal("0.01")


def snapshot(order: DeskOrder | SeenOrder) -> OrderSnapshot:
    """An order as it is shown to who asks for it."""
    return _snapshot(order, order.status, order.filled_lots, order.reason)


def snapshot_of(update: DeskUpdate) -> OrderSnapshot:
    """An order as the stream shows it right after an update."""
    over = update.status not in (SnapshotStatus.PENDING, SnapshotStatus.WORKING)
    return _snapshot(update.order, update.status, update.filled_lots, update.order.reason if over else "")


def _snapshot(
    order: DeskOrder | SeenOrder, status: SnapshotStatus, filled_lots: int, reason: str
) -> OrderSnapshot:
    return OrderSnapshot(
        client_order_id=order.client_id,
        exchange_order_id=order.exchange_id,
        symbol=order.symbol,
        side=order.terms.side,
        status=status,
        price_ticks=0 if order.terms.order_type == "market" else order.price_ticks,
        lots=order.lots,
        filled_lots=filled_lots,
        reason=reason,
    )


def fill(execution: DeskExecution, prefix: str) -> FillReport:
    """An execution; one the exchange tells without its id (number 0) gets an id made of the rest of it.

    An order's executions are told apart by how much of it is filled: so an id given out in an earlier life of
    the desk is never given out again, whatever this one remembers.
    """
    order = execution.order
    if execution.number:
        fill_id = f"{prefix}{order.symbol}-{order.exchange_id}-{execution.filled_lots}"
    else:
        parts = (order.exchange_id, execution.price_ticks, execution.lots, execution.ts_ns)
        fill_id = "synthetic-" + sha256("/".join(map(str, parts)).encode()).hexdigest()[:24]
    return FillReport(
        client_order_id=order.client_id,
        exchange_order_id=order.exchange_id,
        fill_id=fill_id,
        symbol=order.symbol,
        side=order.terms.side,
        price_ticks=execution.price_ticks,
        lots=execution.lots,
        liquidity=execution.liquidity,
        fee_asset=execution.fee_asset,
        fee_units=execution.fee_units,
        fee_value=execution.fee_value,
    )


def signals_of(update: DeskUpdate, prefix: str) -> list[Signal]:
    """What the private stream says of an update: the execution, if any, then the order."""
    shown = snapshot_of(update)
    return [shown] if update.execution is None else [fill(update.execution, prefix), shown]


def market_signals(
    symbol: str, row: MarketRow, before: MarketRow | None, number: int, received_ns: int
) -> list[Signal]:
    """What the market stream says of a row: a trade, and the best quotes when they changed."""
    told: list[Signal] = []
    if row.is_trade:
        told.append(
            Trade(
                symbol=symbol,
                trade_id=str(number),
                price_ticks=row.price,
                lots=row.qty,
                buyer_took=row.side > 0,
                exchange_ns=row.ts_ns,
                received_ns=received_ns,
            )
        )
    bid, ask = row.bid or row.price, row.ask or row.price
    if before is None or (bid, ask, row.bid_qty, row.ask_qty) != (
        before.bid or before.price,
        before.ask or before.price,
        before.bid_qty,
        before.ask_qty,
    ):
        told.append(
            Quote(
                symbol=symbol,
                bid_ticks=bid,
                ask_ticks=ask,
                bid_lots=row.bid_qty,
                ask_lots=row.ask_qty,
                exchange_ns=row.ts_ns,
                received_ns=received_ns,
            )
        )
    return told


def published(instrument: Instrument, filters: Filters) -> InstrumentRules:
    """What the exchange publishes of a symbol now."""
    return InstrumentRules(
        symbol=instrument.symbol,
        native=instrument.symbol,
        kind=instrument.kind,
        base=instrument.base,
        quote=instrument.quote,
        tick=Decimal(filters.tick),
        lot=Decimal(filters.lot),
        min_notional=from_units(filters.min_notional, instrument.quote_decimals),
        min_quantity=Decimal(filters.lot),
        contract=from_units(contract_units(instrument), instrument.base_decimals),
        maker_bps=instrument.maker_fee_ppm * BPS_PER_PPM,
        taker_bps=instrument.taker_fee_ppm * BPS_PER_PPM,
        trading=filters.trading,
    )
