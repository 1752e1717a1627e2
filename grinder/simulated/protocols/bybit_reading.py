"""What can be asked of the simulated Bybit: market, orders, executions, account.

Law: reads a view and changes nothing.  Listings come newest first and in pages, as Bybit's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from actors.ports import SnapshotStatus
from domain.units import units_text
from grinder.connectors.converting import Scales
from grinder.simulated.fundings import Fundings
from grinder.simulated.protocols import bybit_words as words
from grinder.simulated.protocols.bybit_orders import Refused
from replay.exchange.desk import Desk
from replay.exchange.desk_view import DeskView, SeenOrder

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
OPEN = frozenset({SnapshotStatus.PENDING, SnapshotStatus.WORKING})
RECENT = 500
"""Ended orders that the listing of open ones still knows."""

Query = Mapping[str, str]


@attrs.define
class Reading:
    """Answers to reading requests."""

    desk: Desk
    scales: Scales
    fundings: Fundings

    def symbols(self, query: Query) -> list[str]:
        """The symbols of a category, or the one named.

        Raises:
            Refused: the one named is unknown.
        """
        category = query.get("category", words.SPOT)
        listed = [one.symbol for one in self.desk.instruments.values() if words.category_of(one) == category]
        wanted = query.get("symbol")
        if not wanted:
            return listed
        if wanted not in listed:
            raise Refused(10001, "params error: symbol invalid " + wanted[:40])
        return [wanted]

    def instruments(self, query: Query) -> dict[str, Any]:
        """Rules; symbols before their launch, and other categories, are none."""
        listed = [] if query.get("status") == "PreLaunch" else self.symbols(query)
        rows = [words.instrument_row(self.desk.instruments[symbol], self.desk) for symbol in listed]
        return {"category": query.get("category", ""), "list": rows, "nextPageCursor": ""}

    def fees(self, query: Query) -> dict[str, Any]:
        """Fee rates as fractions."""
        rows = []
        for symbol in self.symbols(query):
            one = self.desk.instruments[symbol]
            rows.append(
                {
                    "symbol": symbol,
                    "makerFeeRate": units_text(one.maker_fee_ppm, 6),
                    "takerFeeRate": units_text(one.taker_fee_ppm, 6),
                    "baseCoin": "",
                }
            )
        return {"list": rows}

    def tickers(self, query: Query) -> dict[str, Any]:
        """Tickers of the symbols that have a price."""
        rows = []
        for symbol in self.symbols(query):
            row = self.desk.quote(symbol)
            if row is not None:
                rows.append(words.ticker(symbol, row, self.scales))
        return {"category": query.get("category", ""), "list": rows}

    def book(self, query: Query, update: int) -> dict[str, Any]:
        """The book of a symbol."""
        symbol = self.symbols(query)[0]
        row = self.desk.quote(symbol)
        bids, asks = words.levels(symbol, row, self.scales) if row else ([], [])
        at = row.ts_ns // 1_000_000 if row else 0
        return {"s": symbol, "b": bids, "a": asks, "ts": at, "u": update, "seq": update, "cts": at}

    def open_orders(self, query: Query, view: DeskView) -> dict[str, Any]:
        """Open orders; with an id also a recently ended one."""
        if _named(query):
            rows = self._one(query, view)
        elif query.get("openOnly", "0") == "0":
            rows = [words.order_row(one, self.scales) for one in self._listed(query, view.open_orders())]
        else:
            ended = [one for one in view.orders() if one.status not in OPEN]
            rows = [words.order_row(one, self.scales) for one in self._listed(query, ended)[-RECENT:]]
        return _page(rows, query, 20, 50)

    def history(self, query: Query, view: DeskView) -> dict[str, Any]:
        """Ended orders."""
        if _named(query):
            rows = [row for row in self._one(query, view) if row["orderStatus"] not in ("New", "Created")]
        else:
            ended = [one for one in view.orders() if one.status not in OPEN]
            rows = [words.order_row(one, self.scales) for one in self._listed(query, ended)]
        return _page(rows, query, 20, 50)

    def executions(self, query: Query, view: DeskView, now_ms: int) -> dict[str, Any]:
        """Executions of at most seven days.

        Raises:
            Refused: the span is longer.
        """
        start, end = _span(query, now_ms, WEEK_MS)
        rows = [
            words.execution_row(one, self.desk, self.scales)
            for one in view.executions(since_ns=start * 1_000_000)
        ]
        rows += [words.funding_row(one, self.scales) for one in self.fundings.seen(view, start * 1_000_000)]
        symbols = self.symbols(query)
        asked = [
            row
            for row in rows
            if row["symbol"] in symbols
            and int(row["execTime"]) <= end
            and _matches(row, query)
            and query.get("execType") in (None, "", row["execType"])
        ]
        return _page(sorted(asked, key=lambda row: int(row["execTime"])), query, 50, 100)

    def transactions(self, query: Query, view: DeskView, now_ms: int) -> dict[str, Any]:
        """The transaction log: funding, which is all this exchange logs; a day of it unless asked for more.

        Raises:
            Refused: the span is longer than seven days.
        """
        start, end = _span(query, now_ms, DAY_MS)
        rows = [words.settlement_row(one, self.scales) for one in self.fundings.seen(view, start * 1_000_000)]
        wanted = {key: query.get(key) for key in ("category", "type", "currency")}
        asked = [
            row
            for row in rows
            if int(row["transactionTime"]) <= end
            and all(told in (None, "", row[key]) for key, told in wanted.items())
        ]
        return _page(asked, query, 20, 50)

    def positions(self, query: Query, view: DeskView, now_ms: int) -> dict[str, Any]:
        """Positions: the one of a symbol named, flat or not; else those that are not flat.

        Raises:
            Refused: nothing says which are wanted.
        """
        if not query.get("symbol") and not query.get("settleCoin"):
            raise Refused(10001, "params error: symbol or settleCoin is required")
        held = view.positions()
        rows = []
        for symbol in self.symbols(query) if query.get("category") == words.LINEAR else []:
            units, cost = held.get(symbol, (0, 0))
            if units or query.get("symbol"):
                rows.append(words.position_row(symbol, units, cost, self.scales, now_ms))
        return _page(rows, query, 20, 200)

    def wallet(self, query: Query) -> dict[str, Any]:
        """The unified account."""
        coins = frozenset(one for one in query.get("coin", "").split(",") if one)
        return {"list": [words.account(self.desk, coins)]}

    def coins(self) -> dict[str, Any]:
        """Assets that exist; none can be sent anywhere."""
        assets = sorted(self.desk.totals())
        return {"rows": [{"coin": one, "name": one, "remainAmount": "0", "chains": []} for one in assets]}

    def _one(self, query: Query, view: DeskView) -> list[dict[str, Any]]:
        told, link = query.get("orderId", ""), query.get("orderLinkId", "")
        found = view.find(exchange_order_id=words.own_id(told)) if told else view.find(client_order_id=link)
        wanted = [found] if found is not None else []
        return [words.order_row(one, self.scales) for one in self._listed(query, wanted)]

    def _listed(self, query: Query, orders: list[SeenOrder]) -> list[SeenOrder]:
        symbols = self.symbols(query)
        return [one for one in orders if one.symbol in symbols]


def key_information(key: str) -> dict[str, Any]:
    """What the key may do: trade, and no withdrawal."""
    return {
        "id": "1",
        "note": "simulated",
        "apiKey": key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": [],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "Exchange": [],
            "NFT": [],
        },
        "ips": ["*"],
        "type": 1,
        "userID": 1,
        "isMaster": True,
        "unified": 0,
        "uta": 1,
        "vipLevel": "No VIP",
    }


def account_information() -> dict[str, Any]:
    """A unified account."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": "1697078946000",
        "unifiedMarginStatus": 6,
        "dcpStatus": "ON",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _named(query: Query) -> bool:
    return bool(query.get("orderId") or query.get("orderLinkId"))


def _span(query: Query, now_ms: int, usual_ms: int) -> tuple[int, int]:
    """(first, last) ms that are asked for.

    Raises:
        Refused: more than seven days lie between them.
    """
    end = int(query.get("endTime") or 0)
    start = int(query.get("startTime") or 0) or (end or now_ms) - usual_ms
    end = end or start + usual_ms
    if end - start > WEEK_MS or end < start:
        raise Refused(10001, "The time range between startTime and endTime cannot exceed 7 days")
    return start, end


def _matches(row: dict[str, Any], query: Query) -> bool:
    return all(not query.get(key) or row[key] == query[key] for key in ("orderId", "orderLinkId"))


def _page(rows: list[dict[str, Any]], query: Query, usual: int, most: int) -> dict[str, Any]:
    """One page of rows that came oldest first, newest first."""
    limit = max(1, min(int(query.get("limit") or usual), most))
    cursor = query.get("cursor", "").replace("%3A", ":")
    first = int(cursor.removeprefix("page:")) if cursor else 0
    newest = rows[::-1]
    following = f"page%3A{first + limit}" if first + limit < len(newest) else ""
    return {
        "category": query.get("category", ""),
        "list": newest[first : first + limit],
        "nextPageCursor": following,
    }
