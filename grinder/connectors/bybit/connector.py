"""Bybit as a `Connector`: one class per category.

Law: an acknowledgement of Bybit's says that a request was received, not that an order rests or is gone: that
is told by the private stream or by a query.  Orders are named by our client order id wherever Bybit allows,
since it never forgets one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from actors.ports import (
    Capabilities,
    ExchangeError,
    InstrumentRules,
    Listener,
    OrderRef,
    OrderSnapshot,
    OutcomeUnknown,
    Permissions,
    Placed,
    PositionSnapshot,
    SnapshotStatus,
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.orders import BUY, MARKET, TimeInForce
from grinder.connectors.bybit import parsing
from grinder.connectors.bybit.decoder import BybitDecoder
from grinder.connectors.bybit.listening import Listening
from grinder.connectors.bybit.parsing import LINEAR, SPOT
from grinder.connectors.bybit.wire import Answer, Wire
from grinder.connectors.converting import Scales
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import read
from grinder.secrets import Credentials

PRODUCTION = Endpoint(
    rest="https://api.bybit.com",
    ws="wss://stream.bybit.com/v5/public",
    ws_private="wss://stream.bybit.com/v5/private",
)
TESTNET: Endpoint | None = Endpoint(
    rest="https://api-testnet.bybit.com",
    ws="wss://stream-testnet.bybit.com/v5/public",
    ws_private="wss://stream-testnet.bybit.com/v5/private",
)

MS = 1_000_000
WEEK_NS = 7 * 86_400 * 10**9
"""Longest span of one listing of executions."""

KEPT_NS = 730 * 86_400 * 10**9
"""How far back Bybit keeps executions."""

BATCH = 10
ORDERS_PAGE = 50
EXECUTIONS_PAGE = 100
MOST_PAGES = 1000

TIME_IN_FORCE = {
    TimeInForce.POST_ONLY.value: "PostOnly",
    TimeInForce.GTC.value: "GTC",
    TimeInForce.IOC.value: "IOC",
}
SIDES = {BUY: "Buy", "sell": "Sell"}
OPEN = frozenset({SnapshotStatus.PENDING, SnapshotStatus.WORKING, SnapshotStatus.UNREADABLE})

ORDER_VALID_S = 5
"""The window the client library signs requests with."""

CAPABILITIES = Capabilities(
    place_batch=BATCH,
    cancel_batch=BATCH,
    amend=True,
    dead_man="account",
    dead_man_s=(3, 300),
    acknowledges=False,
    ids_unique_for_ever=True,
    cancel_all=True,
    order_rate=(10, 2),
    order_valid_s=ORDER_VALID_S,
)


class BybitConnector:
    """One unified account's spot orders.

    Args:
        endpoint: `ws` is the public address without the category; ``extra["depth"]`` is the depth of the
            books listened to (1, whole each time, unless given).
        credentials: None for public market data only.
        clock: ns.
    """

    name: ClassVar[str] = "bybit"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    category: ClassVar[str] = SPOT

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._offset_ns = 0
        self._scales = Scales({}, {})
        self._wire = Wire(endpoint, credentials, self._now_ms)
        self._private = credentials is not None
        self._listening = Listening(
            endpoint, credentials, self._wire.sign, self.category, clock, self._now_ms
        )

    def _now_ms(self) -> int:
        """Bybit's clock as far as we know it."""
        return (self._clock() + self._offset_ns) // MS

    async def open(self) -> None:
        """Become able to make requests; measures Bybit's clock."""
        await self._wire.open()
        await self.server_time_ns()

    async def close(self) -> None:
        """Release every connection."""
        await self._wire.close()

    async def server_time_ns(self) -> int:
        """Bybit's clock, ns; requests are stamped by it from now on."""
        asked = self._clock()
        answer = await self._wire.get("market/time", {}, public=True)
        answered = self._clock()
        time_ns = read(parsing.milliseconds, answer.result.get("timeNano"))
        self._offset_ns = time_ns - (asked + answered) // 2
        return time_ns

    async def permissions(self) -> Permissions:
        """What the key may do; whether it may trade means in this category."""
        answer = await self._wire.get("user/query-api", {})
        return read(parsing.permissions, answer.result, self.category)

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """Rules of the symbols Bybit knows, with this account's fees where there is a key."""
        found: dict[str, InstrumentRules] = {}
        for symbol in symbols:
            query = {"category": self.category, "symbol": symbol}
            try:
                answer = await self._wire.get("market/instruments-info", query, public=True)
            except Unavailable as refused:
                if refused.code != "10001":
                    raise
                continue  # a symbol it does not know
            for row in read(parsing.rows_of, answer.result):
                if row.get("symbol") == symbol:
                    fees = (await self._fees(symbol)).get(symbol) if self._private else None
                    found[symbol] = read(parsing.rules, row, self.category, fees)
        return found

    async def _fees(self, symbol: str) -> dict[str, tuple[Decimal, Decimal]]:
        answer = await self._wire.get("account/fee-rate", {"category": self.category, "symbol": symbol})
        return read(parsing.fee_rates, read(parsing.rows_of, answer.result))

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The integer scales to speak in from now on."""
        self._scales = Scales(instruments, fee_prices)

    def decoder(self) -> BybitDecoder:
        """A fresh decoder for the listed instruments."""
        return BybitDecoder(self._scales, self.category)

    # --- orders ----------------------------------------------------------------------------------------

    def _terms(self, terms: OrderTerms) -> dict[str, Any]:
        market = terms.order_type == MARKET
        body: dict[str, Any] = {
            "symbol": terms.symbol,
            "side": SIDES[terms.side],
            "orderType": "Market" if market else "Limit",
            "qty": self._scales.quantity_text(terms.symbol, terms.lots),
            "timeInForce": "IOC" if market else TIME_IN_FORCE[terms.time_in_force],
            "orderLinkId": terms.client_order_id,
        }
        if not market:
            body["price"] = self._scales.price_text(terms.symbol, terms.price_ticks)
        elif self.category == SPOT:
            body["marketUnit"] = "baseCoin"  # a market purchase is counted in the quote otherwise
        if self.category == LINEAR:
            body["positionIdx"] = 0
            body["reduceOnly"] = terms.reduce_only
        return body

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send orders; an acknowledged one is not known to rest."""
        bodies = [self._terms(terms) for terms in orders]
        try:
            if len(bodies) == 1:
                answer = await self._wire.post("order/create", {"category": self.category, **bodies[0]})
                return [_placed(answer.result, orders[0].client_order_id)]
            answer = await self._wire.post(
                "order/create-batch", {"category": self.category, "request": bodies}
            )
        except ExchangeError as error:
            return [error for _ in orders]
        return [
            item if isinstance(item, ExchangeError) else _placed(item, terms.client_order_id)
            for terms, item in zip(
                orders, self._items(answer, [o.client_order_id for o in orders]), strict=True
            )
        ]

    def _items(self, answer: Answer, ids: Sequence[str]) -> list[dict[str, Any] | ExchangeError]:
        """What a batch's answer says of each item; of those it leaves out nothing is known."""
        rows = answer.result.get("list")
        rows = rows if isinstance(rows, list) else []
        if len(rows) == len(answer.items) == len(ids):
            return [
                self._item(row, said, own) for row, said, own in zip(rows, answer.items, ids, strict=True)
            ]
        # Which item is missing nobody says: only a row that names itself and an order counts.
        named = {
            row["orderLinkId"]: row
            for row in rows
            if isinstance(row, dict) and row.get("orderId") and isinstance(row.get("orderLinkId"), str)
        }
        short = f"{len(rows)} answers to {len(ids)} items"
        return [named.get(own) or OutcomeUnknown("short_batch", short) for own in ids]

    def _item(self, row: Any, said: Any, own: str) -> dict[str, Any] | ExchangeError:
        code = said.get("code") if isinstance(said, dict) else None
        if code is None or not isinstance(row, dict) or row.get("orderLinkId") not in (own, "", None):
            return OutcomeUnknown("unreadable", "an item of the batch cannot be read")
        if str(code) == "0":
            return row
        return self._wire.error(str(code), str(said.get("msg") or ""), write=True)

    def _ref(self, ref: OrderRef) -> dict[str, str]:
        if ref.client_order_id:
            return {"symbol": ref.symbol, "orderLinkId": ref.client_order_id}
        return {"symbol": ref.symbol, "orderId": ref.exchange_order_id}

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Ask to cancel orders; the end is told by the stream, so a cancel received is None."""
        try:
            if len(orders) == 1:
                await self._wire.post("order/cancel", {"category": self.category, **self._ref(orders[0])})
                return [None]
            request = [self._ref(ref) for ref in orders]
            answer = await self._wire.post(
                "order/cancel-batch", {"category": self.category, "request": request}
            )
        except ExchangeError as error:
            return [error for _ in orders]
        items = self._items(answer, [ref.client_order_id for ref in orders])
        return [item if isinstance(item, ExchangeError) else None for item in items]

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every order of a symbol, ours or not."""
        await self._wire.post("order/cancel-all", {"category": self.category, "symbol": symbol})

    async def amend(self, ref: OrderRef, price_ticks: int, lots: int) -> None:
        """Ask to change price and total quantity of a resting order; the stream tells what came of it.

        Raises:
            ExchangeError: as for an order that is placed.
        """
        body = {
            **self._ref(ref),
            "price": self._scales.price_text(ref.symbol, price_ticks),
            "qty": self._scales.quantity_text(ref.symbol, lots),
        }
        await self._wire.post("order/amend", {"category": self.category, **body})

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """One order: among the open and recent ones first, then in the history."""
        query = {"category": self.category, **self._ref(ref)}
        for path in ("order/realtime", "order/history"):
            answer = await self._wire.get(path, query)
            for row in read(parsing.rows_of, answer.result):
                own = row.get("orderLinkId") == ref.client_order_id if ref.client_order_id else True
                if own and (ref.client_order_id or row.get("orderId") == ref.exchange_order_id):
                    return read(parsing.order, row, self._scales)
        return None

    async def open_orders(self) -> list[OrderSnapshot]:
        """All open orders on the listed symbols."""
        found: dict[str, OrderSnapshot] = {}
        for symbol in self._scales.instruments:
            query = {"category": self.category, "symbol": symbol, "openOnly": "0"}
            for row in await self._pages("order/realtime", {**query, "limit": str(ORDERS_PAGE)}):
                snapshot = read(parsing.order, row, self._scales)
                if snapshot.status in OPEN:
                    found[snapshot.exchange_order_id] = snapshot
        return list(found.values())

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Own executions from a time on, oldest first, in spans of at most seven days."""
        rows = await self._executed(since_ns, {"symbol": symbol})
        reports = [read(parsing.execution, row, self._scales, self.category) for row in rows]
        return list({one.fill_id: one for one in reports if isinstance(one, FillReport)}.values())

    async def _executed(self, since_ns: int, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows of the list of executions from a time on, oldest first."""
        rows: list[dict[str, Any]] = []
        now_ns = self._clock() + self._offset_ns
        start = max(since_ns, now_ns - KEPT_NS)
        while start <= now_ns:
            end = min(start + WEEK_NS - MS, now_ns + 10**9)
            span = {
                "category": self.category,
                **query,
                "startTime": str(start // MS),
                "endTime": str(end // MS),
                "limit": str(EXECUTIONS_PAGE),
            }
            page = await self._pages("execution/list", span)
            rows += reversed(page)  # the newest come first: so executions of one millisecond keep their order
            start = end
        return sorted(rows, key=lambda row: read(parsing.milliseconds, row.get("execTime")))

    async def _pages(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """Rows of all pages of a listing."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(MOST_PAGES):
            answer = await self._wire.get(path, {**query, "cursor": cursor} if cursor else query)
            page = read(parsing.rows_of, answer.result)
            rows += page
            following = answer.result.get("nextPageCursor") or ""
            if not page or not following or following == cursor:
                return rows
            if not isinstance(following, str):
                raise Unavailable("unreadable", "a cursor is no text")
            cursor = following
        raise Unavailable("too_long", f"{path} has more than {MOST_PAGES} pages")

    # --- account ---------------------------------------------------------------------------------------

    async def balances(self) -> dict[str, Decimal]:
        """Total of each asset of the unified account, net of what is borrowed."""
        answer = await self._wire.get("account/wallet-balance", {"accountType": "UNIFIED"})
        return read(parsing.balances, answer.result)

    async def positions(self) -> list[PositionSnapshot]:
        """None: spot."""
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """None: spot."""
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        """Have Bybit cancel this category's orders once our private stream has been gone for that long.

        Bybit has to have enabled this for the account.  The window is set by a request, and it holds for the
        connection that subscribed to it: while the stream lives, nothing has to be sent again.
        """
        if seconds and seconds != self._listening.window_s:
            product = "SPOT" if self.category == SPOT else "DERIVATIVES"
            await self._wire.post(
                "order/disconnected-cancel-all", {"product": product, "timeWindow": seconds}
            )
        await self._listening.watch_disconnect(seconds)

    async def listen(self, listener: Listener) -> None:
        """Keep market and private streams up until cancelled."""
        streams = self._listening.streams(listener, list(self._scales.instruments), self.decoder())
        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(stream.run())

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream; an empty name means all."""
        self._listening.drop(stream)


class BybitLinearConnector(BybitConnector):
    """One unified account's linear perpetuals, in one-way mode."""

    name: ClassVar[str] = "bybit-linear"
    capabilities: ClassVar[Capabilities] = attrs.evolve(CAPABILITIES, positions=True, fundings=True)
    category: ClassVar[str] = LINEAR

    async def positions(self) -> list[PositionSnapshot]:
        """Positions on the listed symbols that are not flat."""
        units: dict[str, int] = {}
        for symbol in self._scales.instruments:
            for row in await self._pages("position/list", {"category": self.category, "symbol": symbol}):
                one = read(parsing.position, row, self._scales)
                units[one.symbol] = units.get(one.symbol, 0) + one.base_units
        return [PositionSnapshot(symbol=symbol, base_units=held) for symbol, held in units.items() if held]

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Funding exchanged on the listed symbols, oldest first.

        Bybit lists it twice: among executions, under the id the stream gives it, and in the transaction log,
        under one of its own.  The first is read, so that a payment has one name wherever it comes from.
        """
        rows = await self._executed(since_ns, {"execType": parsing.FUNDING})
        listed = [row for row in rows if row.get("symbol") in self._scales.instruments]
        reports = [read(parsing.execution, row, self._scales, self.category) for row in listed]
        return list({one.funding_id: one for one in reports if isinstance(one, FundingReport)}.values())


def _placed(row: dict[str, Any], client_order_id: str) -> Placed | ExchangeError:
    """An acknowledgement; one that names another order, or none, says nothing."""
    order_id, told = row.get("orderId"), row.get("orderLinkId")
    if not isinstance(order_id, str) or not order_id or told not in (client_order_id, "", None):
        return OutcomeUnknown("unreadable", f"an acknowledgement of {told!r} for {client_order_id!r}")
    return Placed(exchange_order_id=order_id, resting=False)
