"""What the rows of Bybit's answers and pushes say.

Law: pure functions from decoded JSON to the terms of the port.  A part that cannot be read raises
`Unreadable`, and a status nobody knows is `UNREADABLE`: never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from actors.ports import InstrumentRules, OrderSnapshot, Permissions, PositionSnapshot, SnapshotStatus
from domain.inputs import FillReport, FundingReport
from domain.orders import BUY, SELL
from domain.units import ceil_div
from grinder.connectors.converting import Scales, Unreadable, amount, positive

SPOT = "spot"
LINEAR = "linear"

SIDES = {"Buy": BUY, "Sell": SELL}

STATUSES = {
    "Created": SnapshotStatus.PENDING,
    "New": SnapshotStatus.WORKING,
    "PartiallyFilled": SnapshotStatus.WORKING,
    "Untriggered": SnapshotStatus.WORKING,
    "Triggered": SnapshotStatus.WORKING,
    "Active": SnapshotStatus.WORKING,
    "Filled": SnapshotStatus.FILLED,
    "Cancelled": SnapshotStatus.CANCELLED,
    "PartiallyFilledCanceled": SnapshotStatus.CANCELLED,
    "Deactivated": SnapshotStatus.CANCELLED,
    "Rejected": SnapshotStatus.REJECTED,
}

NO_REASON = frozenset({"", "EC_NoError", "UNKNOWN"})

WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"
"""Why a post-only order that would have taken was cancelled right after its acknowledgement."""

EXECUTED = frozenset({"Trade", "AdlTrade", "BustTrade", "BlockTrade", "Delivery", "Settle"})
"""Kinds of execution that change a holding."""

FUNDING = "Funding"

MOST_ORDERS = 500
"""Open orders Bybit allows on one symbol; it does not publish the number with the symbol's rules."""

BPS = 10_000


def rows_of(result: Any) -> list[dict[str, Any]]:
    """The rows of a listing.

    Raises:
        Unreadable: there is no list, or something in it is no row.
    """
    rows = result.get("list") if isinstance(result, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable("the answer has no list of rows")
    return rows


def text_of(row: dict[str, Any], key: str) -> str:
    """A text of a row.

    Raises:
        Unreadable: it is missing or no text.
    """
    found = row.get(key)
    if not isinstance(found, str):
        raise Unreadable(f"{key} is no text: {found!r}")
    return found


def milliseconds(value: object, what: str = "time") -> int:
    """A time in ms, from a number or text.

    Raises:
        Unreadable: it is neither.
    """
    number = positive(value, what)
    if number != int(number):
        raise Unreadable(f"{what} is no whole number: {value!r}")
    return int(number)


def side_of(row: dict[str, Any], key: str = "side") -> str:
    """``buy`` or ``sell``.

    Raises:
        Unreadable: it is neither.
    """
    side = SIDES.get(text_of(row, key))
    if side is None:
        raise Unreadable(f"side is neither Buy nor Sell: {row[key]!r}")
    return side


def order(row: dict[str, Any], scales: Scales) -> OrderSnapshot:
    """An order of a listing or a push.

    Raises:
        Unreadable: a part is missing, off its scale, or more is filled than was ordered.
    """
    symbol = text_of(row, "symbol")
    status = STATUSES.get(text_of(row, "orderStatus"), SnapshotStatus.UNREADABLE)
    lots = scales.lots(symbol, row.get("qty"))
    filled_lots = scales.lots(symbol, row.get("cumExecQty") or "0")
    if filled_lots > lots:
        raise Unreadable(f"more is filled than was ordered: {row.get('cumExecQty')} of {row.get('qty')}")
    limit = text_of(row, "orderType") == "Limit"
    reason = text_of(row, "rejectReason") if row.get("rejectReason") is not None else ""
    if reason in NO_REASON and status is SnapshotStatus.CANCELLED:
        reason = str(row.get("cancelType") or "")
    order_id = text_of(row, "orderId")
    if not order_id:
        raise Unreadable("an order has no id")
    return OrderSnapshot(
        client_order_id=text_of(row, "orderLinkId"),
        exchange_order_id=order_id,
        symbol=symbol,
        side=side_of(row),
        status=status,
        price_ticks=scales.ticks(symbol, row.get("price")) if limit else 0,
        lots=lots,
        filled_lots=filled_lots,
        reason="" if reason in NO_REASON else reason,
    )


def execution(row: dict[str, Any], scales: Scales, category: str) -> FillReport | FundingReport | None:
    """An execution; None for a kind that changes no holding of ours.

    Raises:
        Unreadable: a part is missing, off its scale, or makes no sense.
    """
    kind = text_of(row, "execType") if row.get("execType") is not None else "Trade"
    if kind == FUNDING:
        return _funding(row, scales)
    if kind not in EXECUTED:
        return None
    maker = row.get("isMaker")
    if not isinstance(maker, bool):
        raise Unreadable(f"isMaker is neither true nor false: {maker!r}")
    symbol, side = text_of(row, "symbol"), side_of(row)
    fee = amount(row.get("execFee"), "fee")
    return scales.fill(
        symbol=symbol,
        side=side,
        price=row.get("execPrice"),
        quantity=row.get("execQty"),
        fee=fee,
        fee_asset=_fee_asset(row, scales, category, side, fee),
        maker=maker,
        client_order_id=text_of(row, "orderLinkId"),
        exchange_order_id=text_of(row, "orderId"),
        fill_id=str(row.get("execId") or ""),
        at=str(row.get("execTime") or ""),
    )


def _fee_asset(row: dict[str, Any], scales: Scales, category: str, side: str, fee: Decimal) -> str:
    """The asset a fee was charged in: told, or what Bybit's rules make it.

    Spot takes a charge from what is received, and pays a rebate in what is given away.
    """
    told = row.get("feeCurrency")
    if isinstance(told, str) and told:
        return told
    instrument = scales.instrument(text_of(row, "symbol"))
    if category == SPOT and (side == BUY) == (fee >= 0):
        return instrument.base
    return instrument.quote


def _funding(row: dict[str, Any], scales: Scales) -> FundingReport:
    symbol = text_of(row, "symbol")
    instrument = scales.instrument(symbol)
    paid = amount(row.get("execFee"), "funding")
    numerator, denominator = paid.as_integer_ratio()
    identity = text_of(row, "execId")
    if not identity:
        raise Unreadable("a funding payment has no id")
    return FundingReport(
        funding_id=identity,
        symbol=symbol,
        rate_ppm=int(amount(row.get("feeRate") or "0", "funding rate").scaleb(6)),
        # A mark price may lie between two ticks: it is shown, and books nothing.
        price_ticks=int(positive(row.get("execPrice"), "price").scaleb(instrument.price_decimals))
        // instrument.tick_size,
        units=-ceil_div(numerator * 10**instrument.quote_decimals, denominator),
    )


def rules(row: dict[str, Any], category: str, fees: tuple[Decimal, Decimal] | None) -> InstrumentRules:
    """What Bybit publishes of a symbol; `fees` are this account's maker and taker rates as fractions.

    Raises:
        Unreadable: a step is missing or not above 0.
    """
    lots, prices = row.get("lotSizeFilter"), row.get("priceFilter")
    if not isinstance(lots, dict) or not isinstance(prices, dict):
        raise Unreadable("a symbol has no filters")
    spot = category == SPOT
    tick = positive(prices.get("tickSize"), "tick")
    lot = positive(lots.get("basePrecision" if spot else "qtyStep"), "lot")
    if not tick or not lot:
        raise Unreadable("a step is 0")
    return InstrumentRules(
        symbol=text_of(row, "symbol"),
        native=text_of(row, "symbol"),
        kind=category,
        base=text_of(row, "baseCoin"),
        quote=text_of(row, "quoteCoin"),
        tick=tick,
        lot=lot,
        min_notional=positive(lots.get("minOrderAmt" if spot else "minNotionalValue") or "0", "minimum"),
        min_quantity=positive(lots.get("minOrderQty") or "0", "minimum"),
        max_orders=MOST_ORDERS,
        maker_bps=None if fees is None else fees[0] * BPS,
        taker_bps=None if fees is None else fees[1] * BPS,
        trading=text_of(row, "status") == "Trading",
    )


def fee_rates(rows: Iterable[dict[str, Any]]) -> dict[str, tuple[Decimal, Decimal]]:
    """symbol -> (maker, taker) as fractions."""
    return {
        text_of(row, "symbol"): (amount(row.get("makerFeeRate")), amount(row.get("takerFeeRate")))
        for row in rows
    }


def balances(result: dict[str, Any]) -> dict[str, Decimal]:
    """Total of each asset, net of what is borrowed.

    Raises:
        Unreadable: an amount is missing.
    """
    totals: dict[str, Decimal] = {}
    for account in rows_of(result):
        coins = account.get("coin")
        if not isinstance(coins, list):
            raise Unreadable("an account has no coins")
        for coin in coins:
            if not isinstance(coin, dict):
                raise Unreadable("a coin is no row")
            held = amount(coin.get("walletBalance"), "balance")
            owed = amount(coin.get("spotBorrow") or "0", "debt")
            asset = text_of(coin, "coin")
            totals[asset] = totals.get(asset, Decimal(0)) + held - owed
    return totals


def position(row: dict[str, Any], scales: Scales) -> PositionSnapshot:
    """A position, signed.

    Raises:
        Unreadable: it has a size but no side.
    """
    symbol = text_of(row, "symbol")
    units = scales.base_units(symbol, row.get("size"))
    if units < 0:
        raise Unreadable("a position's size is negative")
    if units and side_of(row) == SELL:
        units = -units
    return PositionSnapshot(symbol=symbol, base_units=units)


def permissions(result: dict[str, Any], category: str) -> Permissions:
    """What a key may do; what is not said is taken as: may not trade, may withdraw.

    Raises:
        Unreadable: there are no permissions.
    """
    granted = result.get("permissions")
    if not isinstance(granted, dict):
        raise Unreadable("a key has no permissions")
    wallet = granted.get("Wallet")
    wanted = ("Spot", "SpotTrade") if category == SPOT else ("ContractTrade", "Order")
    kinds = granted.get(wanted[0])
    allowed = isinstance(kinds, list) and wanted[1] in kinds
    read_only = result.get("readOnly") not in (0, "0")
    return Permissions(
        trade=allowed and not read_only,
        withdraw=not isinstance(wallet, list) or "Withdraw" in wallet,
        text=", ".join(
            f"{name}: {'/'.join(map(str, granted_kinds))}"
            for name, granted_kinds in granted.items()
            if granted_kinds and isinstance(granted_kinds, list)
        ),
    )
