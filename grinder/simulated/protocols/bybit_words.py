"""How the simulated Bybit words what the desk knows: rows, statuses, codes.

Law: pure functions; every key a client library reads is there, spelt as Bybit spells it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.ports import SnapshotStatus
from domain.instrument import Instrument, notional, value
from domain.orders import BUY, MARKET, TimeInForce
from domain.units import decimals_of, units_text
from grinder.connectors.converting import Scales
from grinder.simulated.fundings import Funded
from replay.exchange.desk import Desk, DeskExecution, DeskOrder
from replay.exchange.desk_view import SeenOrder
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject

SPOT = "spot"
LINEAR = "linear"

SIDES = {"Buy": "buy", "Sell": "sell"}
SIDE_WORDS = {"buy": "Buy", "sell": "Sell"}
TIMES_IN_FORCE = {
    "PostOnly": TimeInForce.POST_ONLY,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
}
TIME_WORDS = {own.value: word for word, own in TIMES_IN_FORCE.items()}

Code = tuple[int, str]

LINEAR_CODES: dict[Reject, Code] = {
    Reject.PRICE_FILTER: (10001, "params error: Price invalid"),
    Reject.LOT_SIZE: (10001, "params error: Qty invalid"),
    Reject.NOTIONAL: (110094, "Order does not meet minimum order value"),
    Reject.BALANCE: (110007, "ab not enough for new order"),
    Reject.MARGIN: (110007, "ab not enough for new order"),
    Reject.DUPLICATE: (110072, "OrderLinkedID is duplicate"),
    Reject.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    Reject.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
    Reject.UNKNOWN_SYMBOL: (10001, "params error: symbol invalid"),
    Reject.MARKET_CLOSED: (110009, "The symbol is not open for trading"),
    Reject.MAX_ORDERS: (110020, "Not allowed to have more than 500 active orders"),
}
SPOT_CODES: dict[Reject, Code] = {
    Reject.PRICE_FILTER: (170134, "Order price has too many decimals."),
    Reject.LOT_SIZE: (170137, "Order quantity has too many decimals."),
    Reject.NOTIONAL: (170140, "Order value exceeded lower limit."),
    Reject.BALANCE: (170131, "Insufficient balance."),
    Reject.MARGIN: (170131, "Insufficient balance."),
    Reject.DUPLICATE: (170141, "Duplicate clientOrderId"),
    Reject.REDUCE_ONLY: (170131, "Insufficient balance."),
    Reject.UNKNOWN_ORDER: (170213, "Order does not exist."),
    Reject.UNKNOWN_SYMBOL: (170121, "Invalid symbol."),
    Reject.MARKET_CLOSED: (170116, "Invalid orderType."),
    Reject.MAX_ORDERS: (170810, "Cannot exceed maximum of 500 active orders."),
}

REASONS: dict[str, tuple[str, str]] = {
    # why an order ended here: (rejectReason, cancelType)
    "requested": ("EC_PerCancelRequest", "CancelByUser"),
    "dead_man": ("EC_CancelByDCP", "CancelByDCP"),
    "expired": ("EC_NoImmediateQtyToFill", "UNKNOWN"),
    "": ("EC_NoError", "UNKNOWN"),
}


def code_of(reject: Reject, category: str) -> Code:
    """Bybit's number and words for a refusal."""
    return (SPOT_CODES if category == SPOT else LINEAR_CODES)[reject]


def category_of(instrument: Instrument) -> str:
    """``spot`` or ``linear``."""
    return LINEAR if instrument.kind == LINEAR else SPOT


def order_id(own: str) -> str:
    """The desk's order id as one of Bybit's: 19 digits."""
    return str(10**18 + int(own)) if own.isdecimal() else own


def own_id(told: str) -> str:
    """The desk's order id in one of Bybit's."""
    return str(int(told) - 10**18) if told.isdecimal() and int(told) > 10**18 else told


def status_word(status: SnapshotStatus, filled_lots: int, category: str) -> str:
    """Bybit's word for an order's state."""
    if status is SnapshotStatus.WORKING:
        return "PartiallyFilled" if filled_lots else "New"
    if status is SnapshotStatus.FILLED:
        return "Filled"
    if status is SnapshotStatus.PENDING:
        return "Created"
    return "PartiallyFilledCanceled" if filled_lots and category == SPOT else "Cancelled"


def order_row(
    order: DeskOrder | SeenOrder,
    scales: Scales,
    *,
    status: SnapshotStatus | None = None,
    filled_lots: int | None = None,
    filled_value: int | None = None,
) -> dict[str, Any]:
    """An order; the last three say how it was at the moment told, if that is not now."""
    instrument = scales.instrument(order.symbol)
    category = category_of(instrument)
    status = order.status if status is None else status
    filled = order.filled_lots if filled_lots is None else filled_lots
    worth = order.filled_value if filled_value is None else filled_value
    market = order.terms.order_type == MARKET
    ended = status not in (SnapshotStatus.WORKING, SnapshotStatus.PENDING, SnapshotStatus.FILLED)
    left = 0 if ended else max(order.lots - filled, 0)
    reason, cancelled_by = REASONS.get(order.reason if ended else "", ("EC_Others", "CancelByAdmin"))
    if order.reject is Reject.WOULD_TAKE:
        reason, cancelled_by = "EC_PostOnlyWillTakeLiquidity", "UNKNOWN"
    return {
        "category": category,
        "symbol": order.symbol,
        "orderId": order_id(order.exchange_id),
        "orderLinkId": order.client_id,
        "side": SIDE_WORDS[order.terms.side],
        "orderType": "Market" if market else "Limit",
        "timeInForce": TIME_WORDS[order.terms.time_in_force],
        "price": "0" if market else scales.price_text(order.symbol, order.price_ticks),
        "qty": scales.quantity_text(order.symbol, order.lots),
        "orderStatus": status_word(status, filled, category),
        "cumExecQty": scales.quantity_text(order.symbol, filled),
        "cumExecValue": units_text(worth, instrument.quote_decimals),
        "cumExecFee": "0",
        "avgPrice": _average(instrument, worth, filled),
        "leavesQty": scales.quantity_text(order.symbol, left),
        "leavesValue": units_text(notional(instrument, order.price_ticks, left), instrument.quote_decimals),
        "rejectReason": reason,
        "cancelType": cancelled_by,
        "reduceOnly": order.terms.reduce_only,
        "closeOnTrigger": False,
        "positionIdx": 0,
        "isLeverage": "0" if category == SPOT else "",
        "createType": "CreateByUser",
        "createdTime": str(order.created_ns // 1_000_000),
        "updatedTime": str(order.updated_ns // 1_000_000),
        "lastPriceOnCreated": "",
        "blockTradeId": "",
        "orderIv": "",
        "stopOrderType": "",
        "tpslMode": "",
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "feeCurrency": "",
    }


def _average(instrument: Instrument, worth: int, lots: int) -> str:
    """Average price of what is filled, cut to the digits of the tick; empty before the first fill."""
    if not lots:
        return ""
    ticks = worth // (lots * instrument.base_per_lot * instrument.quote_per_tick_base)
    return units_text(ticks * instrument.tick_size, instrument.price_decimals)


def execution_id(number: int) -> str:
    """An execution's number as one of Bybit's ids; empty for 0."""
    return f"{number:08x}-0000-5000-8000-{number:012x}" if number else ""


def execution_row(execution: DeskExecution, desk: Desk, scales: Scales) -> dict[str, Any]:
    """An execution."""
    order = execution.order
    instrument = scales.instrument(order.symbol)
    worth = notional(instrument, execution.price_ticks, execution.lots)
    rate = instrument.maker_fee_ppm if execution.liquidity == "maker" else instrument.taker_fee_ppm
    market = order.terms.order_type == MARKET
    return {
        "category": category_of(instrument),
        "symbol": order.symbol,
        "orderId": order_id(order.exchange_id),
        "orderLinkId": order.client_id,
        "side": SIDE_WORDS[order.terms.side],
        "orderPrice": "0" if market else scales.price_text(order.symbol, order.price_ticks),
        "orderQty": scales.quantity_text(order.symbol, order.lots),
        "leavesQty": scales.quantity_text(order.symbol, max(order.lots - order.filled_lots, 0)),
        "orderType": "Market" if market else "Limit",
        "stopOrderType": "",
        "createType": "CreateByUser",
        "execId": execution_id(execution.number),
        "execType": "Trade",
        "execPrice": scales.price_text(order.symbol, execution.price_ticks),
        "execQty": scales.quantity_text(order.symbol, execution.lots),
        "execValue": units_text(worth, instrument.quote_decimals),
        "execFee": units_text(execution.fee_units, desk.decimals(execution.fee_asset)),
        "execTime": str(execution.ts_ns // 1_000_000),
        "feeCurrency": execution.fee_asset,
        "feeRate": units_text(rate, 6),
        "isMaker": execution.liquidity == "maker",
        "isLeverage": "0",
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "seq": execution.number,
    }


def funding_id(number: int) -> str:
    """A payment's number as one of Bybit's ids of executions."""
    return f"{number:08x}-0000-6000-8000-{number:012x}"


def funding_row(one: Funded, scales: Scales) -> dict[str, Any]:
    """Funding among the executions: what was paid is a fee, what was received a negative one."""
    report = one.report
    instrument = scales.instrument(report.symbol)
    worth = abs(value(instrument, report.price_ticks, one.base_units))
    return {
        "category": category_of(instrument),
        "symbol": report.symbol,
        "orderId": f"{one.at_ns // 1_000_000_000}-8-{one.number}",
        "orderLinkId": "",
        "side": "Sell" if one.base_units < 0 else "Buy",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "createType": "",
        "execId": funding_id(one.number),
        "execType": "Funding",
        "execPrice": scales.price_text(report.symbol, report.price_ticks),
        "execQty": units_text(abs(one.base_units), instrument.base_decimals),
        "execValue": units_text(worth, instrument.quote_decimals),
        "execFee": units_text(-report.units, instrument.quote_decimals),
        "execTime": str(one.at_ns // 1_000_000),
        "feeCurrency": "",
        "feeRate": units_text(report.rate_ppm, 6),
        "isMaker": False,
        "isLeverage": "0",
        "closedSize": "0",
        "seq": one.number,
    }


def settlement_row(one: Funded, scales: Scales) -> dict[str, Any]:
    """Funding in the transaction log, where what was received is positive; its id is one of the log's own."""
    row = funding_row(one, scales)
    instrument = scales.instrument(one.report.symbol)
    received = units_text(one.report.units, instrument.quote_decimals)
    return {
        "id": f"{one.number}_{one.report.symbol}_{row['execTime']}",
        "symbol": row["symbol"],
        "category": row["category"],
        "side": row["side"],
        "transactionTime": row["execTime"],
        "type": "SETTLEMENT",
        "transSubType": "",
        "qty": row["execQty"],
        "size": units_text(one.base_units, instrument.base_decimals),
        "currency": instrument.quote,
        "tradePrice": row["execPrice"],
        "funding": received,
        "fee": "0",
        "cashFlow": "0",
        "change": received,
        "cashBalance": "",
        "feeRate": row["feeRate"],
        "bonusChange": "",
        "tradeId": row["execId"],
        "orderId": row["orderId"],
        "orderLinkId": "",
    }


def instrument_row(instrument: Instrument, desk: Desk) -> dict[str, Any]:
    """The published rules of a symbol, as they are now."""
    filters = desk.filters[instrument.symbol]
    lowest = units_text(filters.min_notional, instrument.quote_decimals)
    common = {
        "symbol": instrument.symbol,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "status": "Trading" if filters.trading else "Closed",
        "symbolType": "",
    }
    if category_of(instrument) == SPOT:
        return common | {
            "innovation": "0",
            "marginTrading": "utaOnly",
            "stTag": "0",
            "lotSizeFilter": {
                "basePrecision": filters.lot,
                "quotePrecision": units_text(1, min(instrument.quote_decimals, 8)),
                "minOrderQty": filters.lot,
                "maxOrderQty": "1000000",
                "minOrderAmt": lowest,
                "maxOrderAmt": "4000000000",
            },
            "priceFilter": {"tickSize": filters.tick},
        }
    return common | {
        "contractType": "LinearPerpetual",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals_of(Decimal(filters.tick))),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": filters.tick, "maxPrice": "1999999.8", "tickSize": filters.tick},
        "lotSizeFilter": {
            "maxOrderQty": "1000000",
            "minOrderQty": filters.lot,
            "qtyStep": filters.lot,
            "postOnlyMaxOrderQty": "1000000",
            "maxMktOrderQty": "1000000",
            "minNotionalValue": lowest,
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": instrument.quote,
        "copyTrading": "none",
        "isPreListing": False,
    }


def best(row: MarketRow) -> tuple[int, int, int, int]:
    """(bid, ask, bid lots, ask lots) to show: of a market without quotes, one lot around its price."""
    if row.bid > 0 and row.ask > row.bid:
        return row.bid, row.ask, max(row.bid_qty, 1), max(row.ask_qty, 1)
    return row.price, row.price + 1, 1, 1


def levels(symbol: str, row: MarketRow, scales: Scales) -> tuple[list[list[str]], list[list[str]]]:
    """Bids and asks of a book one level deep."""
    bid, ask, bid_lots, ask_lots = best(row)
    return (
        [[scales.price_text(symbol, bid), scales.quantity_text(symbol, bid_lots)]],
        [[scales.price_text(symbol, ask), scales.quantity_text(symbol, ask_lots)]],
    )


def trade_row(symbol: str, row: MarketRow, number: int, scales: Scales) -> dict[str, Any]:
    """A public trade."""
    return {
        "T": row.ts_ns // 1_000_000,
        "s": symbol,
        "S": "Sell" if row.side < 0 else "Buy",
        "v": scales.quantity_text(symbol, row.qty),
        "p": scales.price_text(symbol, row.price),
        "L": "PlusTick",
        "i": execution_id(number).replace("5000", "4000"),
        "BT": False,
        "seq": number,
    }


def ticker(symbol: str, row: MarketRow, scales: Scales) -> dict[str, Any]:
    """A symbol's ticker."""
    bid, ask, bid_lots, ask_lots = best(row)
    price = scales.price_text(symbol, row.price)
    return {
        "symbol": symbol,
        "bid1Price": scales.price_text(symbol, bid),
        "bid1Size": scales.quantity_text(symbol, bid_lots),
        "ask1Price": scales.price_text(symbol, ask),
        "ask1Size": scales.quantity_text(symbol, ask_lots),
        "lastPrice": price,
        "markPrice": price,
        "indexPrice": price,
        "prevPrice24h": price,
        "price24hPcnt": "0",
        "highPrice24h": price,
        "lowPrice24h": price,
        "turnover24h": "0",
        "volume24h": "0",
    }


def position_row(symbol: str, base_units: int, cost: int, scales: Scales, now_ms: int) -> dict[str, Any]:
    """A perpetual position; flat ones have no side."""
    instrument = scales.instrument(symbol)
    worth = abs(cost)
    average = ""
    if base_units:
        ticks = worth // (abs(base_units) * instrument.quote_per_tick_base)
        average = units_text(ticks * instrument.tick_size, instrument.price_decimals)
    return {
        "category": LINEAR,
        "symbol": symbol,
        "side": SIDE_WORDS[BUY if base_units > 0 else "sell"] if base_units else "",
        "size": units_text(abs(base_units), instrument.base_decimals),
        "avgPrice": average,
        "entryPrice": average,
        "positionValue": units_text(worth, instrument.quote_decimals),
        "positionIdx": 0,
        "positionStatus": "Normal",
        "tradeMode": 0,
        "leverage": "1",
        "markPrice": "",
        "liqPrice": "",
        "bustPrice": "",
        "positionIM": "0",
        "positionMM": "0",
        "positionBalance": "0",
        "riskId": 1,
        "riskLimitValue": "",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": "0",
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "tpslMode": "Full",
        "autoAddMargin": 0,
        "adlRankIndicator": 0,
        "isReduceOnly": False,
        "createdTime": str(now_ms),
        "updatedTime": str(now_ms),
        "seq": 0,
    }


def account(desk: Desk, coins: frozenset[str]) -> dict[str, Any]:
    """The unified account; of some coins, or of all when none is named."""
    rows = []
    for asset, (free, locked) in desk.totals().items():
        if coins and asset not in coins:
            continue
        decimals = desk.decimals(asset)
        total = units_text(free + locked, decimals)
        rows.append(
            {
                "coin": asset,
                "walletBalance": total,
                "equity": total,
                "usdValue": total,
                "locked": units_text(locked, decimals),
                "availableToWithdraw": units_text(free, decimals),
                "availableToBorrow": "",
                "borrowAmount": "0",
                "spotBorrow": "0",
                "accruedInterest": "0",
                "bonus": "0",
                "unrealisedPnl": "0",
                "cumRealisedPnl": "0",
                "totalOrderIM": "0",
                "totalPositionIM": "0",
                "totalPositionMM": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
                "spotHedgingQty": "0",
            }
        )
    return {
        "accountType": "UNIFIED",
        "totalEquity": "",
        "totalWalletBalance": "",
        "totalMarginBalance": "",
        "totalAvailableBalance": "",
        "totalInitialMargin": "",
        "totalMaintenanceMargin": "",
        "totalPerpUPL": "",
        "accountIMRate": "",
        "accountMMRate": "",
        "accountLTV": "",
        "coin": rows,
    }
