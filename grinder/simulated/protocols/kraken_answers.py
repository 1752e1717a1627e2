"""What the simulated Kraken answers to questions, by REST.

Law: reads through the view it is given, so that lag and omissions happen without its doing; changes nothing.
"""

from __future__ import annotations

from typing import Any, Protocol

from grinder.connectors.kraken.naming import long_name, own_name
from grinder.secrets import Credentials
from grinder.simulated.protocols import kraken_wording as wording
from grinder.simulated.protocols.kraken_trading import INVALID, Refusal, Trading
from grinder.simulated.protocols.ports import Wording
from replay.exchange.desk_view import DeskView

PAGE = 50
TOKEN_S = 900
MOST_QUERIED = 50

ENDED = ("closed", "canceled", "expired")

Asked = dict[str, Any]


class Server(Wording, Protocol):
    """The server, as those who ask it see it."""

    @property
    def credentials(self) -> Credentials:
        """Whose key is told of."""

    @property
    def trading(self) -> Trading:
        """Its orders."""

    @property
    def rights(self) -> tuple[str, ...]:
        """What the key may do."""

    def new_token(self) -> str:
        """A token for the private WebSocket, good for a while."""


class Answers:
    """The questions a client may ask; each takes what was asked and a view of the desk."""

    def __init__(self, server: Server) -> None:
        self._server = server

    # --- public answers ----------------------------------------------------------------------------------

    def time(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """Time."""
        return {"unixtime": self._server.now_ns() // 10**9, "rfc1123": wording.rfc3339(self._server.now_ns())}

    def system_status(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """SystemStatus."""
        return {"status": "online", "timestamp": wording.rfc3339(self._server.now_ns())[:19] + "Z"}

    def assets(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """Assets."""
        listed = self._server.desk.instruments.values()
        names = sorted({name for one in listed for name in (one.base, one.quote)} | set(view.totals()))
        return {
            long_name(name): {
                "aclass": "currency",
                "altname": own_name(name),
                "decimals": self._server.desk.decimals(name),
                "display_decimals": min(5, self._server.desk.decimals(name)),
                "status": "enabled",
            }
            for name in names
        }

    def asset_pairs(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """AssetPairs: all, or those named; a name with a slash is kept as the key."""
        wanted = [one for one in str(asked.get("pair") or "").split(",") if one]
        named = {name: self._listed(name) for name in wanted}
        symbols = {symbol: name if "/" in name else "" for name, symbol in named.items()}
        told = {}
        for symbol, instrument in self._server.desk.instruments.items():
            if wanted and symbol not in symbols:
                continue
            filters = self._server.desk.filters[symbol]
            cost_min = self._server.money_text(symbol, filters.min_notional)
            told[symbols.get(symbol) or wording.pair_key(instrument)] = wording.pair(
                instrument, filters, cost_min
            )
        return told

    def ticker(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """Ticker."""
        names = [one for one in str(asked.get("pair") or "").split(",") if one]
        symbols = [self._listed(name) for name in names] or list(self._server.desk.instruments)
        told = {}
        for symbol in symbols:
            row = self._server.desk.quote(symbol)
            if row is None:
                continue
            bid, ask = row.bid or row.price, row.ask or row.price
            price = [self._server.scales.price_text(symbol, one) for one in (ask, bid, row.price)]
            still = {key: [price[2], price[2]] for key in ("v", "p", "l", "h")}
            told[wording.pair_key(self._server.desk.instruments[symbol])] = {
                "a": [price[0], "1", "1.000"],
                "b": [price[1], "1", "1.000"],
                "c": [price[2], "1.0"],
                **still,
                "t": [1, 1],
                "o": price[2],
            }
        return told

    def _listed(self, name: str) -> str:
        symbol = self._server.trading.symbols.get(name)
        if symbol is None:
            raise Refusal("EQuery:Unknown asset pair")
        return symbol

    # --- private answers ---------------------------------------------------------------------------------

    def open_orders(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """OpenOrders."""
        wanted = str(asked.get("cl_ord_id") or "")
        found = [one for one in view.open_orders() if not wanted or one.client_id == wanted]
        return {"open": {wording.order_id_of(one): self._order(one) for one in found}}

    def closed_orders(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """ClosedOrders: newest first, 50 on a page."""
        wanted, at = str(asked.get("cl_ord_id") or ""), int(asked.get("ofs") or 0)
        found = [
            one
            for one in reversed(view.orders())
            if wording.REST_STATUS[one.status] in ENDED and (not wanted or one.client_id == wanted)
        ]
        shown = {wording.order_id_of(one): self._order(one) for one in found[at : at + PAGE]}
        return {"closed": shown, "count": len(found)}

    def query_orders(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """QueryOrders."""
        names = [one for one in str(asked.get("txid") or "").split(",") if one]
        if not 1 <= len(names) <= MOST_QUERIED:
            raise Refusal(INVALID)
        found = {name: view.find(exchange_order_id=wording.number_of(name)) for name in names}
        if all(one is None for one in found.values()):
            raise Refusal("EOrder:Unknown order")
        return {name: self._order(one) for name, one in found.items() if one is not None}

    def _order(self, one: wording.Shown) -> dict[str, Any]:
        return wording.order(self._server.scales, one, self._server.trading.userrefs.get(one.exchange_id))

    def trades_history(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """TradesHistory: newest first, 50 on a page, after `start`."""
        start, at = float(asked.get("start") or 0), int(asked.get("ofs") or 0)
        found = [one for one in reversed(view.executions()) if one.ts_ns > start * 10**9]
        shown = {
            wording.kraken_id("T", one.number) if one.number else "": one for one in found[at : at + PAGE]
        }
        return {
            "trades": {name: wording.trade(self._server.scales, one) for name, one in shown.items()},
            "count": len(found),
        }

    def balance(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """Balance."""
        return {
            long_name(asset): self._server.units_text(asset, free + locked)
            for asset, (free, locked) in view.totals().items()
        }

    def balance_ex(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """BalanceEx."""
        return {
            long_name(asset): {
                "balance": self._server.units_text(asset, free + locked),
                "hold_trade": self._server.units_text(asset, locked),
            }
            for asset, (free, locked) in view.totals().items()
        }

    def trade_volume(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """TradeVolume."""
        names = [one for one in str(asked.get("pair") or "").split(",") if one]
        listed = [self._server.desk.instruments[self._listed(name)] for name in names]
        empty = {"tiervolume": "0.0000", "nextfee": None, "nextvolume": None}
        return {
            "currency": "ZUSD",
            "volume": "0.0000",
            "fees": {wording.pair_key(one): _tier(one.taker_fee_ppm) | empty for one in listed},
            "fees_maker": {wording.pair_key(one): _tier(one.maker_fee_ppm) | empty for one in listed},
        }

    def token(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """GetWebSocketsToken."""
        return {"token": self._server.new_token(), "expires": TOKEN_S}

    def key_info(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """GetApiKeyInfo."""
        return {
            "apiKeyName": "simulated",
            "apiKey": self._server.credentials.key,
            "permissions": list(self._server.rights),
        }

    def withdraw_methods(self, asked: Asked, view: DeskView) -> dict[str, Any]:
        """WithdrawMethods."""
        if "withdraw-funds" not in self._server.rights:
            raise Refusal("EGeneral:Permission denied")
        return {}


def _tier(ppm: int) -> dict[str, Any]:
    percent = f"{ppm // 10_000}.{ppm % 10_000:04d}"
    return {"fee": percent, "minfee": percent, "maxfee": percent}
