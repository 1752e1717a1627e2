"""What the channels of the simulated Kraken say, message by message.

Law: words what it is given; it knows neither sockets nor who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.ports import SnapshotStatus
from grinder.connectors.kraken.naming import own_name
from grinder.simulated.protocols import kraken_wording as wording
from grinder.simulated.protocols.ports import Wording
from replay.exchange.desk import DeskExecution, DeskUpdate
from replay.exchange.rolling import MarketRow

ENDS = {
    SnapshotStatus.CANCELLED: "canceled",
    SnapshotStatus.EXPIRED: "expired",
}


class Messages:
    """The messages about a server's desk.

    Args:
        names: a pair's name on the stream, by our symbol.
    """

    def __init__(self, server: Wording, names: Mapping[str, str]) -> None:
        self._server = server
        self._names = names

    def worded(self, update: DeskUpdate) -> list[dict[str, Any]]:
        """The events Kraken makes of an update: the first of an order says all, later ones little."""
        scales, order = self._server.scales, update.order
        instrument = scales.instrument(order.symbol)
        sparse: dict[str, Any] = {
            "order_id": wording.order_id_of(order),
            "order_userref": 0,
            "timestamp": wording.rfc3339(update.ts_ns),
            "cum_qty": wording.Digits(wording.quantity(instrument, update.filled_lots)),
        }
        if order.client_id:
            sparse["cl_ord_id"] = order.client_id
        if update.kind == "new":
            pending = wording.execution_order(scales, order, update.ts_ns)
            pending |= {"cum_qty": sparse["cum_qty"], "exec_type": "pending_new"}
            return [
                pending | {"order_status": "pending_new"},
                sparse | {"exec_type": "new", "order_status": "new"},
            ]
        if update.kind == "fill" and update.execution is not None:
            told = [self.trade(update.execution, update.filled_lots)]
            if update.status is SnapshotStatus.FILLED:
                told.append(sparse | {"exec_type": "filled", "order_status": "filled"})
            return told
        if update.kind == "amended":
            full = wording.execution_order(scales, order, update.ts_ns)
            status = "partially_filled" if update.filled_lots else "new"
            return [full | {"exec_type": "amended", "order_status": status}]
        if update.status in ENDS:
            ended = ENDS[update.status]
            reason = wording.REASONS.get(order.reason, order.reason)
            return [sparse | {"exec_type": ended, "order_status": ended, "reason": reason}]
        return []

    def trade(self, one: DeskExecution, cumulated: int | None) -> dict[str, Any]:
        """An execution; `cumulated` lots of its order are executed so far (None in a snapshot)."""
        amount = self._server.units_text(one.fee_asset, one.fee_units)
        return wording.execution_trade(self._server.scales, one, (one.fee_asset, amount), cumulated)

    def book_message(
        self, kind: str, name: str, checksum: int, bids: list[dict[str, Any]], asks: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """A message of the channel ``book``."""
        at = wording.rfc3339(self._server.now_ns())
        data = {"symbol": name, "bids": bids, "asks": asks, "checksum": checksum, "timestamp": at}
        return {"channel": "book", "type": kind, "data": [data]}

    def ticker(self, kind: str, symbol: str, row: MarketRow) -> dict[str, Any]:
        """A message of the channel ``ticker``."""
        scales, instrument = self._server.scales, self._server.desk.instruments[symbol]
        bid, ask = (row.bid, row.ask) if row.bid and row.ask else (row.price - 1, row.price + 1)

        def price(ticks: int) -> wording.Digits:
            return wording.Digits(scales.price_text(symbol, ticks))

        data = {
            "symbol": self._names[symbol],
            "bid": price(bid),
            "bid_qty": wording.Digits(wording.quantity(instrument, row.bid_qty)),
            "ask": price(ask),
            "ask_qty": wording.Digits(wording.quantity(instrument, row.ask_qty)),
            "last": price(row.price),
            "timestamp": wording.rfc3339(self._server.now_ns()),
            **dict.fromkeys(("volume", "vwap", "low", "high", "change", "change_pct"), wording.Digits("0.0")),
        }
        return {"channel": "ticker", "type": kind, "data": [data]}

    def public_trade(self, symbol: str, row: MarketRow, number: int) -> dict[str, Any]:
        """A message of the channel ``trade``."""
        instrument = self._server.desk.instruments[symbol]
        data = {
            "symbol": self._names[symbol],
            "side": "sell" if row.side < 0 else "buy",
            "price": wording.Digits(self._server.scales.price_text(symbol, row.price)),
            "qty": wording.Digits(wording.quantity(instrument, row.qty)),
            "ord_type": "limit",
            "trade_id": number,
            "timestamp": wording.rfc3339(self._server.now_ns()),
        }
        return {"channel": "trade", "type": "update", "data": [data]}

    def instruments(self) -> dict[str, Any]:
        """What the channel ``instrument`` begins with."""
        desk = self._server.desk
        assets = sorted({name for one in desk.instruments.values() for name in (one.base, one.quote)})
        return {
            "assets": [{"id": one, "status": "enabled", "precision": desk.decimals(one)} for one in assets],
            "pairs": [
                {
                    "symbol": self._names[symbol],
                    "base": one.base,
                    "quote": one.quote,
                    "status": "online",
                    "price_increment": wording.Digits(desk.filters[symbol].tick),
                    "qty_increment": wording.Digits(desk.filters[symbol].lot),
                    "qty_min": wording.Digits(desk.filters[symbol].lot),
                    "altname": own_name(one.base) + own_name(one.quote),
                }
                for symbol, one in desk.instruments.items()
            ],
        }


def as_rest(params: dict[str, Any]) -> dict[str, Any]:
    """An ``add_order`` in the words of AddOrder."""
    flags = ["post"] if params.get("post_only") else []
    return {
        "pair": params.get("symbol"),
        "type": params.get("side"),
        "ordertype": params.get("order_type"),
        "price": _text(params.get("limit_price")),
        "volume": _text(params.get("order_qty")),
        "timeinforce": str(params.get("time_in_force") or "gtc").upper(),
        "oflags": ",".join(flags),
        "cl_ord_id": params.get("cl_ord_id"),
        "userref": params.get("order_userref"),
        "validate": params.get("validate"),
    }


def _text(value: object) -> str | None:
    """A JSON number as text; Python shows a float by its shortest digits, which are those that were sent."""
    return (
        None
        if value is None
        else format(value, "f").rstrip("0").rstrip(".")
        if isinstance(value, float)
        else str(value)
    )


def add_answer(added: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """What AddOrder answered, in the words of ``add_order``."""
    result: dict[str, Any] = {"order_id": added["txid"][0]} if "txid" in added else {}
    for name in ("cl_ord_id", "order_userref"):
        if params.get(name):
            result[name] = params[name]
    return result
