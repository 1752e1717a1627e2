"""How Kraken words orders, executions, pairs and refusals.

Law: knows words, decides nothing.  A number that Kraken writes without quotes keeps all its digits
(`Digits`), because checksums are taken over them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import attrs
import orjson

from actors.ports import SnapshotStatus
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from domain.units import fixed_text
from grinder.connectors.converting import Scales
from grinder.connectors.kraken.naming import long_name, order_pair, own_name, stream_pair
from replay.exchange.desk import DeskExecution, Filters
from replay.exchange.rules import Reject

REFUSALS = {
    Reject.PRICE_FILTER: "EOrder:Tick size check failed",
    Reject.LOT_SIZE: "EGeneral:Invalid arguments:volume",
    Reject.NOTIONAL: "EOrder:Cost minimum not met",
    Reject.WOULD_TAKE: "EOrder:Post only order",
    Reject.BALANCE: "EOrder:Insufficient funds",
    Reject.MARGIN: "EOrder:Insufficient margin",
    Reject.DUPLICATE: "EOrder:cl_ord_id already in use",
    Reject.REDUCE_ONLY: "EOrder:Reduce only",
    Reject.UNKNOWN_ORDER: "EOrder:Unknown order",
    Reject.UNKNOWN_SYMBOL: "EQuery:Unknown asset pair",
    Reject.MARKET_CLOSED: "EService:Market in cancel_only mode",
    Reject.MAX_ORDERS: "EOrder:Orders limit exceeded",
}

REST_STATUS = {
    SnapshotStatus.PENDING: "pending",
    SnapshotStatus.WORKING: "open",
    SnapshotStatus.FILLED: "closed",
    SnapshotStatus.CANCELLED: "canceled",
    SnapshotStatus.EXPIRED: "expired",
    SnapshotStatus.REJECTED: "canceled",
}

REASONS = {"requested": "User requested", "dead_man": "Cancel all orders after timeout", "": None}


class Shown(Protocol):
    """What an order shows: the desk's own, or a view's."""

    @property
    def exchange_id(self) -> str: ...
    @property
    def terms(self) -> OrderTerms: ...
    @property
    def status(self) -> SnapshotStatus: ...
    @property
    def filled_lots(self) -> int: ...
    @property
    def filled_value(self) -> int: ...
    @property
    def price_ticks(self) -> int: ...
    @property
    def lots(self) -> int: ...
    @property
    def created_ns(self) -> int: ...
    @property
    def updated_ns(self) -> int: ...
    @property
    def reason(self) -> str: ...


@attrs.frozen
class Digits:
    """A JSON number, digit by digit."""

    text: str


def json_text(payload: Any) -> str:
    """A payload as JSON with its numbers' digits kept."""
    return orjson.dumps(payload, default=_fragment).decode()


def plain(payload: Any) -> Any:
    """A payload whose numbers are plain text, for whoever spoils it."""
    if isinstance(payload, Digits):
        return payload.text
    if isinstance(payload, dict):
        return {key: plain(value) for key, value in payload.items()}
    if isinstance(payload, list):
        return [plain(value) for value in payload]
    return payload


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Digits):
        return orjson.Fragment(value.text.encode())
    raise TypeError(f"no JSON: {value!r}")


# --- names, times and numbers --------------------------------------------------------------------------


def kraken_id(letter: str, number: int) -> str:
    """An id in Kraken's pattern: ``OAAAAA-AAAAA-AAAAAA``."""
    digits = f"{number:016d}"
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


def number_of(text: str) -> str:
    """The desk's id in one of `kraken_id`'s; empty for any other text."""
    digits = text[1:].replace("-", "")
    return str(int(digits)) if len(digits) == 16 and digits.isdigit() else ""


def order_id_of(order: Shown) -> str:
    """Kraken's id of an order."""
    return kraken_id("O", int(order.exchange_id))


def trade_id(one: DeskExecution) -> str:
    """Kraken's id of an execution; empty where a fault took it away."""
    return kraken_id("T", one.number) if one.number else ""


def seconds(at_ns: int) -> Digits:
    """Seconds since 1970 with four decimals, as REST tells times."""
    return Digits(f"{at_ns // 10**9}.{at_ns % 10**9 // 10**5:04d}")


def rfc3339(at_ns: int) -> str:
    """A time as the stream tells it, to the microsecond."""
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns % 10**9 // 1000:06d}Z"


def quantity(instrument: Instrument, lots: int) -> str:
    """Lots as a quantity with all decimals of the lot."""
    text = fixed_text(lots * instrument.base_per_lot, instrument.base_decimals)
    decimals = _decimals(instrument.lot)
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:decimals].ljust(decimals, '0')}" if decimals else whole


def pair_key(instrument: Instrument) -> str:
    """The key of a pair in AssetPairs: long names where both assets are old, else as orders say."""
    base, quote = long_name(instrument.base), long_name(instrument.quote)
    old = base != own_name(instrument.base) and quote != own_name(instrument.quote)
    return base + quote if old else order_pair(instrument.base, instrument.quote)


def _decimals(step: str) -> int:
    exponent = Decimal(step).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _percent(ppm: int) -> Digits:
    return Digits(format(Decimal(ppm) / 10_000, "f"))


# --- REST ----------------------------------------------------------------------------------------------


def pair(instrument: Instrument, filters: Filters, cost_min: str) -> dict[str, Any]:
    """A pair in AssetPairs; a lot that is no power of ten is told as a multiple of one that is."""
    lot_decimals = _decimals(filters.lot)
    multiplier = int(Decimal(filters.lot).scaleb(lot_decimals))
    return {
        "altname": order_pair(instrument.base, instrument.quote),
        "wsname": f"{own_name(instrument.base)}/{own_name(instrument.quote)}",
        "aclass_base": "currency",
        "base": long_name(instrument.base),
        "aclass_quote": "currency",
        "quote": long_name(instrument.quote),
        "lot": "unit",
        "cost_decimals": instrument.quote_decimals,
        "pair_decimals": _decimals(filters.tick),
        "lot_decimals": lot_decimals,
        "lot_multiplier": multiplier,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, _percent(instrument.taker_fee_ppm)]],
        "fees_maker": [[0, _percent(instrument.maker_fee_ppm)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": filters.lot,
        "costmin": cost_min,
        "tick_size": filters.tick,
        "status": "online" if filters.trading else "cancel_only",
    }


def order(scales: Scales, one: Shown, userref: int | None) -> dict[str, Any]:
    """An order as OpenOrders, ClosedOrders and QueryOrders tell it."""
    terms = one.terms
    instrument = scales.instrument(terms.symbol)
    status = REST_STATUS[one.status]
    money = fixed_text(one.filled_value, instrument.quote_decimals)
    average = (
        Decimal(one.filled_value)
        / (one.filled_lots * instrument.base_per_lot * instrument.quote_per_tick_base)
        if one.filled_lots
        else Decimal(0)
    )
    told = {
        "refid": None,
        "userref": userref,
        "cl_ord_id": terms.client_order_id or None,
        "status": status,
        "opentm": seconds(one.created_ns),
        "starttm": 0,
        "expiretm": 0,
        "descr": description(scales, one),
        "vol": quantity(instrument, one.lots),
        "vol_exec": quantity(instrument, one.filled_lots),
        "cost": money,
        "fee": "0.00000",
        "price": format(average * instrument.tick_size / 10**instrument.price_decimals, "f")[:20],
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "post,fciq" if terms.time_in_force == TimeInForce.POST_ONLY else "fciq",
    }
    if status not in ("open", "pending"):
        told |= {"closetm": seconds(one.updated_ns), "reason": REASONS.get(one.reason, one.reason)}
    return told


def description(scales: Scales, one: Shown) -> dict[str, str]:
    """The ``descr`` of an order."""
    terms = one.terms
    instrument = scales.instrument(terms.symbol)
    name = order_pair(instrument.base, instrument.quote)
    size = quantity(instrument, one.lots)
    market = terms.order_type == MARKET
    price = "0" if market else scales.price_text(terms.symbol, one.price_ticks)
    return {
        "pair": name,
        "type": terms.side,
        "ordertype": "market" if market else "limit",
        "price": price,
        "price2": "0",
        "leverage": "none",
        "order": f"{terms.side} {size} {name} @ " + ("market" if market else f"limit {price}"),
        "close": "",
    }


def trade(scales: Scales, one: DeskExecution) -> dict[str, Any]:
    """An execution as TradesHistory tells it; its fee is worded in the quote currency."""
    terms = one.order.terms
    instrument = scales.instrument(terms.symbol)
    units = one.lots * instrument.base_per_lot
    cost = one.price_ticks * units * instrument.quote_per_tick_base
    return {
        "ordertxid": order_id_of(one.order),
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": pair_key(instrument),
        "time": seconds(one.ts_ns),
        "type": terms.side,
        "ordertype": "market" if terms.order_type == MARKET else "limit",
        "price": scales.price_text(terms.symbol, one.price_ticks),
        "cost": fixed_text(cost, instrument.quote_decimals),
        "fee": fixed_text(one.fee_value, instrument.quote_decimals),
        "vol": quantity(instrument, one.lots),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": one.number,
        "maker": one.liquidity == "maker",
        "ledgers": [],
    }


# --- the channel of executions -------------------------------------------------------------------------


def execution_order(scales: Scales, one: Shown, at_ns: int) -> dict[str, Any]:
    """An order with all its terms, as its first event and the snapshot tell it."""
    terms = one.terms
    instrument = scales.instrument(terms.symbol)
    told: dict[str, Any] = {
        "order_id": order_id_of(one),
        "symbol": stream_pair(instrument.base, instrument.quote),
        "order_qty": Digits(quantity(instrument, one.lots)),
        "cum_qty": Digits(quantity(instrument, one.filled_lots)),
        "cum_cost": Digits(fixed_text(one.filled_value, instrument.quote_decimals)),
        "time_in_force": "IOC" if terms.time_in_force == TimeInForce.IOC else "GTC",
        "side": terms.side,
        "order_type": "market" if terms.order_type == MARKET else "limit",
        "order_userref": 0,
        "fee_ccy_pref": "fciq",
        "timestamp": rfc3339(at_ns),
    }
    if terms.order_type != MARKET:
        told |= {
            "limit_price_type": "static",
            "limit_price": Digits(scales.price_text(terms.symbol, one.price_ticks)),
        }
    if terms.time_in_force == TimeInForce.POST_ONLY:
        told["post_only"] = True
    if terms.client_order_id:
        told["cl_ord_id"] = terms.client_order_id
    return told


def execution_trade(
    scales: Scales, one: DeskExecution, fee: tuple[str, str], cumulated: int | None
) -> dict[str, Any]:
    """An execution.  Kraken calls the order partly filled here even when it is the last one.

    Args:
        fee: (asset, amount).
        cumulated: lots executed of the order so far; None in the snapshot of trades.
    """
    terms = one.order.terms
    instrument = scales.instrument(terms.symbol)
    told: dict[str, Any] = {
        "order_id": order_id_of(one.order),
        "exec_type": "trade",
        "trade_id": one.number,
        "symbol": stream_pair(instrument.base, instrument.quote),
        "side": terms.side,
        "last_qty": Digits(quantity(instrument, one.lots)),
        "last_price": Digits(scales.price_text(terms.symbol, one.price_ticks)),
        "liquidity_ind": "m" if one.liquidity == "maker" else "t",
        "order_userref": 0,
        "order_status": "partially_filled",
        "order_type": "market" if terms.order_type == MARKET else "limit",
        "timestamp": rfc3339(one.ts_ns),
        "fees": [{"asset": fee[0], "qty": Digits(fee[1])}],
    }
    if one.number:
        told["exec_id"] = kraken_id("T", one.number)
    if cumulated is not None:
        told["cum_qty"] = Digits(quantity(instrument, cumulated))
    if terms.client_order_id:
        told["cl_ord_id"] = terms.client_order_id
    return told
