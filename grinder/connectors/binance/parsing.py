"""Binance's REST answers as what the connector port speaks of.

Law: pure.  Every field is checked before it is believed; a number that cannot be read makes the whole object
`Unreadable`, but an order whose name can be read is still named, with a status that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from actors.ports import InstrumentRules, OrderSnapshot, PositionSnapshot, SnapshotStatus
from domain.inputs import FillReport, FundingReport
from domain.instrument import LINEAR, SPOT
from domain.orders import BUY, SELL
from grinder.connectors.converting import Scales, Unreadable, amount, positive

STATUS = {
    "NEW": SnapshotStatus.WORKING,
    "PARTIALLY_FILLED": SnapshotStatus.WORKING,
    "PENDING_CANCEL": SnapshotStatus.WORKING,
    "PENDING_NEW": SnapshotStatus.PENDING,
    "FILLED": SnapshotStatus.FILLED,
    "CANCELED": SnapshotStatus.CANCELLED,
    "REJECTED": SnapshotStatus.REJECTED,
    "EXPIRED": SnapshotStatus.EXPIRED,
    "EXPIRED_IN_MATCH": SnapshotStatus.EXPIRED,
}

SIDE = {"BUY": BUY, "SELL": SELL}

BPS = 10_000
NS_PER_MS = 1_000_000
FUNDING_GRAIN_MS = 60_000
"""Funding is named by the minute it was exchanged in: the stream and the history agree on that."""


def fields(payload: object) -> Mapping[str, Any]:
    """The payload as an object.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(payload, dict):
        raise Unreadable(f"not an object: {str(payload)[:60]}")
    return payload


def rows(payload: object) -> list[Mapping[str, Any]]:
    """The payload as a list of objects.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(payload, list):
        raise Unreadable(f"not a list: {str(payload)[:60]}")
    return [fields(row) for row in payload]


def whole(payload: Mapping[str, Any], key: str) -> int:
    """A whole number of a payload, given as a number or as digits.

    Raises:
        Unreadable: it is none.
    """
    number = payload.get(key)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    if isinstance(number, str) and number.isdecimal() and len(number) < 20:
        return int(number)
    raise Unreadable(f"{key} is no whole number: {str(number)[:40]}")


def text(payload: Mapping[str, Any], key: str) -> str:
    """A text of a payload that is not empty.

    Raises:
        Unreadable: it is none.
    """
    word = payload.get(key)
    if not isinstance(word, str) or not word:
        raise Unreadable(f"{key} is no text: {str(word)[:40]}")
    return word


def order(payload: object, scales: Scales) -> OrderSnapshot:
    """An order of any of the order requests; a cancelled spot order carries its id under another name.

    Raises:
        Unreadable: its names cannot be read.
    """
    found = fields(payload)
    client_order_id = found.get("origClientOrderId") or found.get("clientOrderId") or ""
    return snapshot(
        scales,
        client_order_id=str(client_order_id),
        exchange_order_id=str(whole(found, "orderId")),
        symbol=text(found, "symbol"),
        side=found.get("side"),
        status=found.get("status"),
        price=found.get("price"),
        quantity=found.get("origQty"),
        filled=found.get("executedQty"),
        reason="",
    )


def snapshot(
    scales: Scales,
    *,
    client_order_id: str,
    exchange_order_id: str,
    symbol: str,
    side: object,
    status: object,
    price: object,
    quantity: object,
    filled: object,
    reason: str,
) -> OrderSnapshot:
    """An order from its parts; parts that cannot be believed leave it named and `UNREADABLE`.

    Raises:
        Unreadable: the symbol is not listed, or the side is none.
    """
    scales.instrument(symbol)
    known_side = SIDE.get(side) if isinstance(side, str) else None
    if known_side is None:
        raise Unreadable(f"side is neither BUY nor SELL: {str(side)[:40]}")
    state = STATUS.get(status, SnapshotStatus.UNREADABLE) if isinstance(status, str) else None
    ticks = lots = filled_lots = 0
    try:
        ticks, lots = scales.ticks(symbol, price), scales.lots(symbol, quantity)
        filled_lots = scales.lots(symbol, filled)
        if filled_lots > lots or (state is SnapshotStatus.FILLED and filled_lots < lots):
            raise Unreadable(f"filled {filled} of {quantity}")
    except Unreadable as error:
        state, reason = SnapshotStatus.UNREADABLE, str(error)
        ticks = lots = filled_lots = 0
    return OrderSnapshot(
        client_order_id=client_order_id,
        exchange_order_id=exchange_order_id,
        symbol=symbol,
        side=known_side,
        status=state or SnapshotStatus.UNREADABLE,
        price_ticks=ticks,
        lots=lots,
        filled_lots=filled_lots,
        reason=reason,
    )


def fill(payload: Mapping[str, Any], scales: Scales, client_order_id: str) -> FillReport:
    """A row of ``myTrades`` (spot) or ``userTrades`` (USDM).

    Raises:
        Unreadable: a part of it cannot be read.
    """
    symbol = text(payload, "symbol")
    buyer = payload.get("isBuyer", payload.get("buyer"))
    maker = payload.get("isMaker", payload.get("maker"))
    if not isinstance(buyer, bool) or not isinstance(maker, bool):
        raise Unreadable("an execution without side or liquidity")
    return scales.fill(
        symbol=symbol,
        side=BUY if buyer else SELL,
        price=payload.get("price"),
        quantity=payload.get("qty"),
        fee=payload.get("commission"),
        fee_asset=str(payload.get("commissionAsset") or ""),
        maker=maker,
        client_order_id=client_order_id,
        exchange_order_id=str(whole(payload, "orderId")),
        fill_id=fill_id(symbol, payload.get("id")),
        at=str(payload.get("time", "")),
    )


def fill_id(symbol: str, trade_id: object) -> str:
    """The name of an execution: Binance numbers trades per symbol.  Empty where it gave no number."""
    if isinstance(trade_id, int) and not isinstance(trade_id, bool) and trade_id >= 0:
        return f"{symbol}-{trade_id}"
    return ""


def funding(symbol: str, time_ms: int, income: object, scales: Scales) -> FundingReport:
    """Funding exchanged at a time; Binance tells the amount, not rate and price.

    Raises:
        Unreadable: the amount is no number.
    """
    instrument = scales.instrument(symbol)
    # Rounded towards minus infinity: against us, whichever sign it has.
    units = amount(income, "funding").scaleb(instrument.quote_decimals).__floor__()
    return FundingReport(
        funding_id=f"{symbol}-{time_ms - time_ms % FUNDING_GRAIN_MS}",
        symbol=symbol,
        rate_ppm=0,
        price_ticks=0,
        units=units,
    )


def fundings(payloads: Iterable[Mapping[str, Any]], scales: Scales) -> list[FundingReport]:
    """Funding of the listed symbols, oldest first, each once.

    Raises:
        Unreadable: a payment is.
    """
    listed = [row for row in payloads if row.get("symbol") in scales.instruments]
    made = [
        funding(text(row, "symbol"), whole(row, "time"), row.get("income"), scales)
        for row in sorted(listed, key=lambda row: whole(row, "time"))
    ]
    return list({one.funding_id: one for one in made}.values())


def position(payloads: Iterable[Mapping[str, Any]], scales: Scales) -> list[PositionSnapshot]:
    """Positions of the listed perpetuals; a symbol the exchange leaves out holds none.

    Raises:
        Unreadable: an amount cannot be read.
    """
    units = dict.fromkeys(scales.instruments, 0)
    for payload in payloads:
        symbol = text(payload, "symbol")
        if symbol in units:
            units[symbol] += scales.base_units(symbol, payload.get("positionAmt"))
    return [PositionSnapshot(symbol=symbol, base_units=held) for symbol, held in units.items()]


def rules(
    payload: Mapping[str, Any], fees: tuple[Decimal, Decimal] | None, *, linear: bool
) -> InstrumentRules:
    """Rules of one symbol of ``exchangeInfo``.

    Args:
        fees: maker and taker rate of this account, as shares of one.

    Raises:
        Unreadable: a filter that must be there is missing.
    """
    filters = {str(row.get("filterType")): row for row in rows(payload.get("filters"))}
    lot, price = filters.get("LOT_SIZE"), filters.get("PRICE_FILTER")
    if lot is None or price is None:
        raise Unreadable(f"{payload.get('symbol')}: no PRICE_FILTER or no LOT_SIZE")
    worth = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    most = filters.get("MAX_NUM_ORDERS", {})
    least = worth.get("minNotional", worth.get("notional", "0"))
    maker, taker = fees if fees is not None else (None, None)
    symbol = text(payload, "symbol")
    return InstrumentRules(
        symbol=symbol,
        native=symbol,
        kind=LINEAR if linear else SPOT,
        base=text(payload, "baseAsset"),
        quote=text(payload, "quoteAsset"),
        tick=positive(price.get("tickSize"), "tickSize").normalize(),
        lot=positive(lot.get("stepSize"), "stepSize").normalize(),
        min_notional=positive(least, "minNotional").normalize(),
        min_quantity=positive(lot.get("minQty", "0"), "minQty").normalize(),
        max_orders=int(most.get("maxNumOrders", most.get("limit", 0))),
        maker_bps=None if maker is None else (maker * BPS).normalize(),
        taker_bps=None if taker is None else (taker * BPS).normalize(),
        trading=payload.get("status") == "TRADING",
    )
