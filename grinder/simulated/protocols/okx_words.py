"""How OKX words orders, executions, instruments and refusals.

Law: pure wording.  Every number goes out as plain decimal text on the instrument's own scale; a field that
OKX always sends is always there, empty where it has nothing to say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from actors.ports import SnapshotStatus
from domain.instrument import LINEAR, Instrument, contract_units, value
from domain.orders import MARKET, TimeInForce
from domain.units import to_units, units_text
from grinder.connectors.converting import Scales
from grinder.simulated.fundings import Funded
from replay.exchange.desk import DeskExecution, DeskOrder, Filters
from replay.exchange.desk_view import SeenOrder
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject

Words = dict[str, Any]

REFUSALS: dict[Reject, tuple[str, str]] = {
    Reject.PRICE_FILTER: ("51000", "Parameter px error"),
    Reject.LOT_SIZE: ("51121", "Order quantity must be a multiple of the lot size."),
    Reject.NOTIONAL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Reject.WOULD_TAKE: ("51019", "Post-only order would take."),
    Reject.BALANCE: ("51008", "Order failed. Insufficient balance in account"),
    Reject.MARGIN: ("51008", "Order failed. Insufficient margin in account"),
    Reject.DUPLICATE: ("51016", "Client order ID already exists."),
    Reject.REDUCE_ONLY: ("51169", "Order failed because you don't have any positions in this direction."),
    Reject.UNKNOWN_ORDER: ("51503", "Your order has already been filled or canceled."),
    Reject.UNKNOWN_SYMBOL: ("51001", "Instrument ID does not exist."),
    Reject.MARKET_CLOSED: ("51022", "Instrument suspended."),
    Reject.MAX_ORDERS: ("51174", "Order failed: pending orders reached the upper limit."),
}

CANCEL_SOURCES = {"requested": "1", "expired": "14", "dead_man": "20", Reject.WOULD_TAKE.text: "31"}
"""Why an order ended -> OKX's number; anything else is 0, "by the exchange"."""

STATES = {
    SnapshotStatus.PENDING: "live",
    SnapshotStatus.WORKING: "live",
    SnapshotStatus.FILLED: "filled",
    SnapshotStatus.CANCELLED: "canceled",
    SnapshotStatus.REJECTED: "canceled",
    SnapshotStatus.EXPIRED: "canceled",
}

ORDER_TYPES = {TimeInForce.POST_ONLY: "post_only", TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc"}
TIMES_IN_FORCE = {words: kind for kind, words in ORDER_TYPES.items()}


def _empty(names: str) -> Words:
    """Fields that have nothing to say."""
    return dict.fromkeys(names.split(), "")


UNSAID = _empty(
    "algoClOrdId algoId attachAlgoClOrdId ccy lever pxType pxUsd pxVol quickMgnType slOrdPx slTriggerPx"
    " slTriggerPxType source stpId tag tpOrdPx tpTriggerPx tpTriggerPxType amendResult reqId"
)
"""Fields of an order that spot limit orders leave empty."""


SPOT, SWAP = "SPOT", "SWAP"
KINDS = (SPOT, SWAP)

CONTRACT_LOTS = 100
"""Lots in a contract of a swap whose instrument does not say: OKX's usual least size is 0.01 contracts."""


def kind(instrument: Instrument) -> str:
    """OKX's ``instType``."""
    return SWAP if instrument.kind == LINEAR else SPOT


def native(instrument: Instrument) -> str:
    """``BTC-USDT``, or ``BTC-USDT-SWAP``."""
    return f"{instrument.base}-{instrument.quote}" + ("-SWAP" if instrument.kind == LINEAR else "")


def in_contracts(instrument: Instrument) -> Instrument:
    """The instrument with its contract, where it is a swap."""
    if instrument.kind != LINEAR or contract_units(instrument):
        return instrument
    units = CONTRACT_LOTS * instrument.base_per_lot
    made: Instrument = attrs.evolve(instrument, base_per_contract=units)  # type: ignore[misc]
    return made


def ms(at_ns: int) -> str:
    """A time in ms as text."""
    return str(at_ns // 1_000_000)


def envelope(data: list[Words], code: str = "0", msg: str = "") -> Words:
    """The frame of every REST answer."""
    return {"code": code, "msg": msg, "data": data}


def instrument(scales: Scales, one: Instrument, filters: Filters) -> Words:
    """A row of ``public/instruments``."""
    empty = _empty("alias ctMult ctType ctVal ctValCcy expTime instFamily optType settleCcy stk uly")
    large = dict.fromkeys(
        ["maxIcebergSz", "maxLmtSz", "maxMktSz", "maxStopSz", "maxTriggerSz", "maxTwapSz"], "9999999999"
    )
    least = scales.base_text(one.symbol, to_units(Decimal(filters.lot), one.base_decimals))
    return {
        **empty,
        **large,
        "instType": kind(one),
        "instId": native(one),
        "baseCcy": one.base,
        "quoteCcy": one.quote,
        "category": "1",
        "lever": "",
        "listTime": "1548133413000",
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000",
        "tickSz": filters.tick,
        "lotSz": least,
        "minSz": least,
        "ruleType": "normal",
        "state": "live" if filters.trading else "suspend",
        **(_contract(scales, one) if kind(one) == SWAP else {}),
    }


def _contract(scales: Scales, one: Instrument) -> Words:
    """What only a swap's row says."""
    family = f"{one.base}-{one.quote}"
    return {
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": one.quote,
        "ctType": "linear",
        "ctMult": "1",
        "ctVal": units_text(contract_units(scales.instrument(one.symbol)), one.base_decimals),
        "ctValCcy": one.base,
        "instFamily": family,
        "uly": family,
        "lever": "100",
    }


def rate(fee_ppm: int) -> str:
    """A fee rate as OKX writes it: negative is what it takes."""
    return units_text(-fee_ppm, 6)


def order(scales: Scales, quote: Instrument, one: SeenOrder | DeskOrder, said: Words) -> Words:
    """An order as REST shows it.

    Args:
        said: what the client said that the desk does not keep (``sz`` and ``tgtCcy`` of a sum of money).
    """
    symbol = one.terms.symbol
    market = one.terms.order_type == MARKET
    state = STATES.get(one.status, "live")
    if state == "live" and one.filled_lots:
        state = "partially_filled"
    over = state == "canceled"
    source = CANCEL_SOURCES.get(one.reason, "0") if over else ""
    return {
        **UNSAID,
        "instType": kind(quote),
        "instId": native(quote),
        "tdMode": "cross" if kind(quote) == SWAP else "cash",
        "posSide": "net",
        "tgtCcy": "",
        "category": "normal",
        "attachAlgoOrds": [],
        "linkedAlgoOrd": {"algoId": ""},
        "isTpLimit": "false",
        "reduceOnly": "true" if one.terms.reduce_only else "false",
        "stpMode": "cancel_maker",
        "ordId": one.exchange_id,
        "clOrdId": one.client_id,
        "side": one.terms.side,
        "ordType": "market" if market else ORDER_TYPES[TimeInForce(one.terms.time_in_force)],
        "px": "" if market else scales.price_text(symbol, one.price_ticks),
        "sz": scales.quantity_text(symbol, one.lots),
        "accFillSz": scales.quantity_text(symbol, one.filled_lots),
        "avgPx": average(quote, one.filled_value, one.filled_lots),
        "fillPx": "",
        "fillSz": "0",
        "fillTime": "",
        "tradeId": "",
        "fee": "0",
        "feeCcy": quote.base if one.terms.side == "buy" and kind(quote) == SPOT else quote.quote,
        "rebate": "0",
        "rebateCcy": quote.quote,
        "pnl": "0",
        "state": state,
        "cancelSource": source,
        "cancelSourceReason": one.reason if source == "0" else "",
        "cTime": ms(one.created_ns),
        "uTime": ms(one.updated_ns),
        **said,
    }


def average(one: Instrument, value: int, lots: int) -> str:
    """Average price of what was executed, to the digits of the tick and two more."""
    units = lots * one.base_per_lot * one.quote_per_tick_base
    if not units:
        return ""
    return units_text(value * one.tick_size * 100 // units, one.price_decimals + 2)


def execution(scales: Scales, quote: Instrument, one: DeskExecution, fee: str) -> Words:
    """The part of an execution that REST and the stream word alike."""
    symbol = one.order.terms.symbol
    return {
        "fillPx": scales.price_text(symbol, one.price_ticks),
        "fillSz": scales.quantity_text(symbol, one.lots),
        "fillTime": ms(one.ts_ns),
        "execType": "M" if one.liquidity == "maker" else "T",
        "tradeId": str(one.number) if one.number else "",
        "feeCcy": one.fee_asset,
        "fee": fee,
    }


def fill(scales: Scales, quote: Instrument, one: DeskExecution, fee: str, bill: int) -> Words:
    """A row of ``trade/fills``; `bill` counts them, because an execution may be without a number."""
    return {
        **execution(scales, quote, one, fee),
        "instType": kind(quote),
        "instId": native(quote),
        "ordId": one.order.exchange_id,
        "clOrdId": one.order.client_id,
        "billId": str(bill),
        "subType": "1" if one.order.terms.side == "buy" else "2",
        "side": one.order.terms.side,
        "posSide": "net",
        "tag": "",
        "fillIdxPx": "",
        "fillPnl": "0",
        "ts": ms(one.ts_ns),
    }


def level(scales: Scales, symbol: str, ticks: int, lots: int) -> list[str]:
    """A level of a book.  Where the data has no sizes a level has one lot: 0 would mean that it is gone."""
    return [scales.price_text(symbol, ticks), scales.quantity_text(symbol, max(lots, 1)), "0", "1"]


def sides(scales: Scales, symbol: str, row: MarketRow) -> tuple[list[str], list[str]]:
    """Best bid and ask as levels."""
    return level(scales, symbol, row.bid, row.bid_qty), level(scales, symbol, row.ask, row.ask_qty)


def ticker(scales: Scales, quote: Instrument, row: MarketRow) -> Words:
    """A row of ``market/ticker`` and of the channel ``tickers``."""
    bid, ask = sides(scales, quote.symbol, row)
    last = scales.price_text(quote.symbol, row.price)
    return {
        "instType": kind(quote),
        "instId": native(quote),
        "last": last,
        "lastSz": scales.quantity_text(quote.symbol, row.qty),
        "bidPx": bid[0] if row.bid else "",
        "bidSz": bid[1] if row.bid else "",
        "askPx": ask[0] if row.ask else "",
        "askSz": ask[1] if row.ask else "",
        "open24h": last,
        "high24h": last,
        "low24h": last,
        "vol24h": "0",
        "volCcy24h": "0",
        "sodUtc0": last,
        "sodUtc8": last,
        "ts": ms(row.ts_ns),
    }


def position(scales: Scales, quote: Instrument, units: int, cost: int, mark: int, at: str) -> Words:
    """A row of ``account/positions``, net and on cross margin."""
    symbol, held = quote.symbol, abs(units)
    entry = abs(cost) // (held * quote.quote_per_tick_base) if held else 0
    worth = value(quote, mark, units)
    return {
        **_empty("adl baseBal imr interest liab liabCcy liqPx margin mgnRatio mmr posCcy quoteBal tradeId"),
        "instType": SWAP,
        "instId": native(quote),
        "mgnMode": "cross",
        "posId": "1",
        "posSide": "net",
        "pos": scales.base_text(symbol, units),
        "availPos": scales.base_text(symbol, held),
        "avgPx": scales.price_text(symbol, entry),
        "markPx": scales.price_text(symbol, mark),
        "last": scales.price_text(symbol, mark),
        "upl": units_text(worth - cost, quote.quote_decimals),
        "uplRatio": "0",
        "notionalUsd": units_text(abs(worth), quote.quote_decimals),
        "lever": str(quote.leverage_ppm // 1_000_000),
        "ccy": quote.quote,
        "cTime": at,
        "uTime": at,
    }


def bill(scales: Scales, quote: Instrument, one: Funded) -> Words:
    """A row of ``account/bills``: funding, 173 where it was paid and 174 where it was received."""
    report = one.report
    change = units_text(report.units, quote.quote_decimals)
    return {
        **_empty("bal clOrdId execType fillTime from interest notes ordId tag to tradeId"),
        "billId": str(one.number),
        "type": "8",
        "subType": "173" if report.units < 0 else "174",
        "instType": SWAP,
        "instId": native(quote),
        "ccy": quote.quote,
        "mgnMode": "cross",
        "balChg": change,
        "pnl": change,
        "posBal": "0",
        "posBalChg": "0",
        "fee": "0",
        "sz": scales.base_text(quote.symbol, abs(one.base_units)),
        "px": scales.price_text(quote.symbol, report.price_ticks),
        "ts": ms(one.at_ns),
    }


def balance(details: list[Words], at: str) -> Words:
    """The one row of ``account/balance``."""
    empty = _empty("adjEq imr isoEq mgnRatio mmr notionalUsd ordFroz totalEq upl")
    return {**empty, "details": details, "uTime": at}


def holding(asset: str, total: str, free: str, locked: str, at: str) -> Words:
    """One asset of it."""
    return {
        **_empty("crossLiab interest isoLiab liab maxLoan mgnRatio upl uplLiab"),
        "ccy": asset,
        "eq": total,
        "cashBal": total,
        "availBal": free,
        "availEq": free,
        "frozenBal": locked,
        "ordFrozen": locked,
        "disEq": "0",
        "eqUsd": "0",
        "isoEq": "0",
        "uTime": at,
    }
