"""Answers of Kraken's REST interface as the port's values.

Law: what is missing, null, negative or off its scale is `Unreadable`; a status that is not in the table is
UNREADABLE; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.ports import InstrumentRules, OrderSnapshot, SnapshotStatus
from domain.inputs import FillReport
from domain.instrument import SPOT
from domain.orders import BUY, SELL
from grinder.connectors.converting import Scales, Unreadable, positive
from grinder.connectors.kraken.naming import asset_name, client_id
from grinder.connectors.kraken.reading import items, mapping, text_of

MOST_DECIMALS = 18

DARK = ".d"
"""Ends the name of a pair's dark pool, which has the same assets."""

STATUS = {
    "pending": SnapshotStatus.PENDING,
    "open": SnapshotStatus.WORKING,
    "closed": SnapshotStatus.FILLED,
    "canceled": SnapshotStatus.CANCELLED,
    "expired": SnapshotStatus.EXPIRED,
}

_ENDED = (SnapshotStatus.CANCELLED, SnapshotStatus.EXPIRED)


def rules_by_symbol(pairs: Mapping[str, Any], symbols: Sequence[str]) -> dict[str, InstrumentRules]:
    """Rules of those symbols that the list of pairs knows, under any of Kraken's names or ours."""
    wanted = frozenset(symbols)
    found: dict[str, InstrumentRules] = {}
    for native, pair in pairs.items():
        try:
            one = mapping(pair, native)
            base = asset_name(text_of(one.get("base"), "base"))
            quote = asset_name(text_of(one.get("quote"), "quote"))
        except Unreadable:
            continue  # one of a thousand pairs, and not one that can be asked for by name
        if native.endswith(DARK):
            continue
        for symbol in (base + quote, str(one.get("altname", "")), native):
            if symbol in wanted and symbol not in found:
                found[symbol] = _rules(symbol, native, base, quote, one)
    return found


def _rules(symbol: str, native: str, base: str, quote: str, pair: dict[str, Any]) -> InstrumentRules:
    tick = _step(pair.get("pair_decimals"), "pair_decimals")
    if pair.get("tick_size") is not None:
        tick = positive(pair["tick_size"], "tick_size")
    lot = _step(pair.get("lot_decimals"), "lot_decimals") * positive(pair.get("lot_multiplier", 1))
    if not tick or not lot:
        raise Unreadable(f"{native}: a step of zero")
    return InstrumentRules(
        symbol=symbol,
        native=native,
        kind=SPOT,
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        min_notional=positive(pair.get("costmin", 0), "costmin"),
        min_quantity=positive(pair.get("ordermin", 0), "ordermin"),
        maker_bps=_first_tier(pair.get("fees_maker")),
        taker_bps=_first_tier(pair.get("fees")),
        trading=pair.get("status", "online") == "online",
    )


def account_fees(volume: Mapping[str, Any], native: str) -> tuple[Decimal | None, Decimal | None]:
    """(maker, taker) of this account for a pair in basis points, from ``TradeVolume``."""
    maker = mapping(volume.get("fees_maker") or {}, "fees_maker").get(native)
    taker = mapping(volume.get("fees") or {}, "fees").get(native)
    return _percent(maker), _percent(taker)


def _percent(tier: object) -> Decimal | None:
    if not isinstance(tier, dict) or tier.get("fee") is None:
        return None
    return positive(tier["fee"], "fee") * 100


def _first_tier(tiers: object) -> Decimal | None:
    """The fee of an account without volume, in basis points."""
    if not isinstance(tiers, list) or not tiers:
        return None
    return positive(items(tiers[0], "tier")[1], "fee") * 100


def _step(decimals: object, what: str) -> Decimal:
    if not isinstance(decimals, int) or not 0 <= decimals <= MOST_DECIMALS:
        raise Unreadable(f"{what} is no number of decimals: {str(decimals)[:20]!r}")
    return Decimal(1).scaleb(-decimals)


def order_snapshot(
    scales: Scales, symbols: Mapping[str, str], order_id: str, order: Mapping[str, Any]
) -> OrderSnapshot | None:
    """An order of OpenOrders, ClosedOrders or QueryOrders; None for a pair that is not listed.

    Raises:
        Unreadable: an amount is null, negative or off its scale, or more is filled than was ordered.
    """
    description = mapping(order.get("descr"), "descr")
    symbol = symbols.get(text_of(description.get("pair"), "pair"))
    if symbol is None:
        return None
    side = description.get("type")
    if side not in (BUY, SELL):
        raise Unreadable(f"side is neither buy nor sell: {str(side)[:20]!r}")
    lots = scales.lots(symbol, order.get("vol"))
    filled = scales.lots(symbol, order.get("vol_exec"))
    if filled > lots:
        raise Unreadable(f"order {order_id} is filled beyond its quantity: {filled} of {lots} lots")
    status = STATUS.get(str(order.get("status")), SnapshotStatus.UNREADABLE)
    if status is SnapshotStatus.FILLED and filled < lots:
        status = SnapshotStatus.CANCELLED  # "closed" only says that it works no more
    limit = description.get("ordertype") == "limit"
    return OrderSnapshot(
        client_order_id=client_id(order.get("cl_ord_id")),
        exchange_order_id=order_id,
        symbol=symbol,
        side=side,
        status=status,
        price_ticks=scales.ticks(symbol, description.get("price")) if limit else 0,
        lots=lots,
        filled_lots=filled,
        reason=str(order.get("reason") or order.get("status")) if status in _ENDED else "",
    )


def opened_at(order: Mapping[str, Any]) -> Decimal:
    """When an order was opened, seconds."""
    return positive(order.get("opentm"), "opentm")


def trade_time(trade: Mapping[str, Any]) -> Decimal:
    """When a trade happened, seconds."""
    return positive(trade.get("time"), "time")


def fill_report(
    scales: Scales, symbol: str, trade_id: str, trade: Mapping[str, Any], client_order_id: str
) -> FillReport:
    """A trade of TradesHistory, whose fee is always in the quote currency."""
    return scales.fill(
        symbol=symbol,
        side=str(trade.get("type")),
        price=trade.get("price"),
        quantity=trade.get("vol"),
        fee=trade.get("fee"),
        fee_asset="",
        maker=trade.get("maker") is True,
        client_order_id=client_order_id,
        exchange_order_id=text_of(trade.get("ordertxid"), "ordertxid"),
        fill_id=trade_id,
        at=str(int(trade_time(trade) * 1000)),
    )


def balances(answer: Mapping[str, Any]) -> dict[str, Decimal]:
    """Total of each asset from BalanceEx; what orders hold is in it."""
    totals: dict[str, Decimal] = {}
    for native, entry in answer.items():
        asset = asset_name(native)
        held = positive(mapping(entry, native).get("balance"), f"balance of {native}")
        totals[asset] = totals.get(asset, Decimal(0)) + held
    return totals
