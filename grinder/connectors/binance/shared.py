"""What a connector to Binance does in the same way on both of its markets.

Law: as `actors.ports.Connector`: it says what the exchange said, in integers, and never guesses.  Requests
are sent once; every order is named by our own client order id, and an answer about another is not believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import orjson

from actors.ports import (
    Capabilities,
    ExchangeError,
    Listener,
    OrderRef,
    OrderSnapshot,
    Placed,
    SnapshotStatus,
    Unavailable,
)
from domain.inputs import FillReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.orders import BUY, MARKET, TimeInForce
from grinder.connectors.binance import parsing
from grinder.connectors.binance.decoder import MARKET_STREAM, PRIVATE_STREAM, BinanceDecoder
from grinder.connectors.binance.errors import ABSENT_ORDER, UNKNOWN_ORDER, not_understood
from grinder.connectors.binance.parsing import NS_PER_MS
from grinder.connectors.binance.rest import Params, Rest
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.streams import Keeping, Stream, StreamLost
from grinder.secrets import Credentials

T = TypeVar("T")

PAGE = 1000
"""Rows in a page of executions or orders: the most Binance gives."""

CLIENT_IDS_KEPT = 20_000
RENEW_AFTER_S = 23.5 * 3600
"""Binance ends every connection after 24 hours; ours are renewed before, one after the other."""

SILENCE_S = 60.0
HEARTBEAT_S = 30.0
FEW_SYMBOLS = 10
"""Up to here, asking for open orders by symbol costs less than asking for all."""


class BinanceConnector:
    """See `actors.ports.Connector`; `SpotConnector` and `UsdmConnector` fill in what differs."""

    name: ClassVar[str] = ""
    capabilities: ClassVar[Capabilities] = Capabilities()
    public: ClassVar[str] = ""
    private: ClassVar[str] = ""

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self.clock = clock
        self.rest = Rest(self.addresses(endpoint), credentials, clock)
        self.scales = Scales({}, {})
        self._client_ids: dict[tuple[str, str], str] = {}
        self._streams: dict[str, Stream] = {}

    def addresses(self, endpoint: Endpoint) -> dict[str, str]:
        """The address of each of ccxt's interfaces."""
        raise NotImplementedError

    # --- the connection --------------------------------------------------------------------------------

    async def open(self) -> None:
        """See the port."""
        self.rest.open()
        await self.measure_clock()

    async def close(self) -> None:
        """See the port."""
        await self.rest.close()

    async def server_time_ns(self) -> int:
        """See the port."""
        payload = await self.ask("time", interface=self.public)
        return self.reading(lambda: parsing.whole(payload, "serverTime")) * NS_PER_MS

    async def measure_clock(self) -> None:
        """Stamp requests with the exchange's time: what it answers was true half way through the request."""
        before = self.clock()
        server_ns = await self.server_time_ns()
        middle = (before + self.clock()) // 2
        self.rest.offset_ms = (server_ns - middle) // NS_PER_MS
        self.rest.clock_in_doubt = False

    async def ask(self, path: str, params: Params | None = None, *, interface: str = "") -> Any:
        """A reading request; see `Rest.call`."""
        return await self._call(interface or self.private, "GET", path, params, writes=False)

    async def change(self, method: str, path: str, params: Params) -> Any:
        """A writing request; see `Rest.call`."""
        return await self._call(self.private, method, path, params, writes=True)

    async def _call(
        self, interface: str, method: str, path: str, params: Params | None, *, writes: bool
    ) -> Any:
        if self.rest.clock_in_doubt and path != "time":
            await self.measure_clock()
        return await self.rest.call(interface, method, path, params, writes=writes)

    def reading(self, parse: Callable[[], T]) -> T:
        """What `parse` makes of an answer that was read; `Unavailable` where it cannot."""
        try:
            return parse()
        except Unreadable as error:
            raise not_understood(str(error), writes=False) from error

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """See the port."""
        self.scales = Scales(instruments, fee_prices)

    def decoder(self) -> BinanceDecoder:
        """See the port."""
        return BinanceDecoder(self.scales)

    # --- orders ----------------------------------------------------------------------------------------

    def order_params(self, terms: OrderTerms) -> Params:
        """What both markets say of an order in the same way."""
        params: Params = {
            "symbol": terms.symbol,
            "side": "BUY" if terms.side == BUY else "SELL",
            "type": "MARKET" if terms.order_type == MARKET else "LIMIT",
            "quantity": self.scales.quantity_text(terms.symbol, terms.lots),
            "newClientOrderId": terms.client_order_id,
            "newOrderRespType": "RESULT",
        }
        if terms.order_type != MARKET:
            params["price"] = self.scales.price_text(terms.symbol, terms.price_ticks)
            ioc = terms.time_in_force == TimeInForce.IOC
            params["timeInForce"] = "IOC" if ioc else "GTC"
        return params

    async def place_one(self, terms: OrderTerms) -> Placed | ExchangeError:
        """Send one order."""
        try:
            payload = await self.change("POST", "order", self.order_params(terms))
        except ExchangeError as error:
            return error
        return self.placed(payload, terms)

    def placed(self, payload: Any, terms: OrderTerms) -> Placed | ExchangeError:
        """What the answer to an order says; an answer that is not about this order leaves it open."""
        try:
            found = parsing.fields(payload)
            if found.get("clientOrderId") != terms.client_order_id:
                raise Unreadable(f"the answer is about {str(found.get('clientOrderId'))[:40]}")
            exchange_order_id = str(parsing.whole(found, "orderId"))
        except Unreadable as error:
            return not_understood(str(error), writes=True)
        self.remember(terms.symbol, exchange_order_id, terms.client_order_id)
        status = parsing.STATUS.get(str(found.get("status")))
        return Placed(exchange_order_id=exchange_order_id, resting=status is SnapshotStatus.WORKING)

    async def cancel_one(self, ref: OrderRef) -> OrderSnapshot | ExchangeError:
        """Cancel one order."""
        try:
            payload = await self.change("DELETE", "order", {"symbol": ref.symbol, **named(ref)})
            return parsing.order(payload, self.scales)
        except Unreadable as error:
            return not_understood(str(error), writes=True)
        except ExchangeError as error:
            return error

    async def cancel_every(self, path: str, symbol: str) -> None:
        """Cancel every order of a symbol; that there is none is no failure."""
        try:
            await self.change("DELETE", path, {"symbol": symbol})
        except ExchangeError as error:
            if error.code != UNKNOWN_ORDER:
                raise

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """See the port."""
        try:
            payload = await self.ask("order", {"symbol": ref.symbol, **named(ref)})
        except Unavailable as error:
            if error.code == ABSENT_ORDER:
                return None
            raise
        snapshot = self.reading(lambda: parsing.order(payload, self.scales))
        if ref.client_order_id and snapshot.client_order_id != ref.client_order_id:
            raise not_understood(f"the answer is about {snapshot.client_order_id[:40]}", writes=False)
        self.remember_order(snapshot)
        return snapshot

    async def open_orders(self) -> list[OrderSnapshot]:
        """See the port."""
        symbols = list(self.scales.instruments)
        if len(symbols) <= FEW_SYMBOLS:
            pages = [await self.ask("openOrders", {"symbol": symbol}) for symbol in symbols]
        else:
            pages = [await self.ask("openOrders")]
        found = self.reading(lambda: [row for page in pages for row in parsing.rows(page)])
        listed = [row for row in found if row.get("symbol") in self.scales.instruments]
        snapshots = self.reading(lambda: [parsing.order(row, self.scales) for row in listed])
        for snapshot in snapshots:
            self.remember_order(snapshot)
        return snapshots

    # --- executions ------------------------------------------------------------------------------------

    async def executions(self, path: str, symbol: str, since_ns: int, window_ms: int) -> list[FillReport]:
        """Own executions, all pages.

        Args:
            path: of the request.
            window_ms: the longest time one request by time looks ahead; 0 is without end.
        """
        since_ms, now_ms = since_ns // NS_PER_MS, self.rest.now_ms()
        found: list[Mapping[str, Any]] = []
        start = since_ms
        while True:  # by time until there is one, by number from there on
            page = await self._page(path, {"symbol": symbol, "startTime": start, "limit": PAGE})
            found += page
            if page or not window_ms or start + window_ms >= now_ms:
                break
            start += window_ms
        after = 0
        while page and (len(page) == PAGE or window_ms):
            largest = self._largest("id", page)
            if largest < after:
                break  # the page before once more: whatever this is, it has no end
            after = largest + 1
            page = await self._page(path, {"symbol": symbol, "fromId": after, "limit": PAGE})
            found += page
        ids = await self._resolve(symbol, found)

        def fills() -> list[FillReport]:
            ordered = sorted(found, key=lambda row: parsing.whole(row, "time"))
            wanted = [row for row in ordered if parsing.whole(row, "time") >= since_ms]
            made = [parsing.fill(row, self.scales, ids.get(str(row.get("orderId")), "")) for row in wanted]
            return list({fill.fill_id: fill for fill in made}.values())

        return self.reading(fills)

    async def _page(self, path: str, params: Params) -> list[Mapping[str, Any]]:
        payload = await self.ask(path, params)
        return self.reading(lambda: parsing.rows(payload))

    def _largest(self, key: str, rows: list[Mapping[str, Any]]) -> int:
        return self.reading(lambda: max((parsing.whole(row, key) for row in rows), default=0))

    async def _resolve(self, symbol: str, executions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Client order ids of the orders of executions: Binance's executions name only its own number."""
        numbers = {str(row.get("orderId")) for row in executions}
        known = {n: self._client_ids[symbol, n] for n in numbers if (symbol, n) in self._client_ids}
        missing = sorted(int(n) for n in numbers - known.keys() if n.isdecimal())
        while missing:
            page = await self._page("allOrders", {"symbol": symbol, "orderId": missing[0], "limit": PAGE})
            for row in page:
                number, client_order_id = str(row.get("orderId")), row.get("clientOrderId")
                if number in numbers and isinstance(client_order_id, str):
                    known[number] = client_order_id
                    self.remember(symbol, number, client_order_id)
            last = self._largest("orderId", page)
            if len(page) < PAGE or last < missing[0]:
                break
            missing = [number for number in missing if number > last]
        return known

    def remember(self, symbol: str, exchange_order_id: str, client_order_id: str) -> None:
        """Keep which of our ids an order has, for its executions."""
        if client_order_id:
            self._client_ids[symbol, exchange_order_id] = client_order_id
            if len(self._client_ids) > CLIENT_IDS_KEPT:
                del self._client_ids[next(iter(self._client_ids))]

    def remember_order(self, snapshot: OrderSnapshot) -> None:
        """As `remember`."""
        self.remember(snapshot.symbol, snapshot.exchange_order_id, snapshot.client_order_id)

    # --- streams ---------------------------------------------------------------------------------------

    def private_stream(self, listener: Listener, decoder: BinanceDecoder) -> Stream:
        """The stream of this account's own events."""
        raise NotImplementedError

    def market_stream(self, listener: Listener, decoder: BinanceDecoder) -> Stream:
        """The stream of quotes and trades of the listed symbols."""
        return Stream(
            MARKET_STREAM,
            f"{self.endpoint.ws}/stream",
            listener=listener,
            decoder=decoder,
            clock=self.clock,
            greet=self._subscribe,
            keeping=Keeping(heartbeat_s=HEARTBEAT_S, silence_s=SILENCE_S),
        )

    async def _subscribe(self, stream: Stream) -> None:
        symbols = [symbol.lower() for symbol in self.scales.instruments]
        topics = [f"{symbol}@{kind}" for symbol in symbols for kind in ("bookTicker", "trade")]
        await stream.send({"method": "SUBSCRIBE", "params": topics, "id": 1})
        await answered(stream, 1)

    async def listen(self, listener: Listener) -> None:
        """See the port."""
        decoder = self.decoder()
        self._streams = {MARKET_STREAM: self.market_stream(listener, decoder)}
        if self.credentials is not None:
            self._streams[PRIVATE_STREAM] = self.private_stream(listener, decoder)
        async with asyncio.TaskGroup() as tasks:
            for stream in self._streams.values():
                tasks.create_task(stream.run())
            tasks.create_task(self._renew())
            for work in self.side_work(listener):
                tasks.create_task(work)

    def side_work(self, listener: Listener) -> Sequence[Coroutine[Any, Any, None]]:
        """What must run beside the streams, until cancelled."""
        return ()

    async def _renew(self) -> None:
        """Before the exchange ends a connection that is a day old, end it at a time of our choosing."""
        while True:
            for stream in list(self._streams.values()):
                await asyncio.sleep(RENEW_AFTER_S / len(self._streams))
                stream.drop("a day old")

    def reconnect(self, stream: str) -> None:
        """See the port."""
        for name, one in self._streams.items():
            if stream in ("", name):
                one.drop()


def named(ref: OrderRef) -> Params:
    """How a request names an order: by our id wherever there is one."""
    if ref.client_order_id:
        return {"origClientOrderId": ref.client_order_id}
    return {"orderId": ref.exchange_order_id}


async def answered(stream: Stream, request_id: int | str) -> dict[str, Any]:
    """Wait for the answer to a request made over a stream.

    Raises:
        StreamLost: it is a refusal, or does not come.
    """
    while True:
        frame = await stream.receive()
        try:
            payload = orjson.loads(frame)
        except orjson.JSONDecodeError:
            continue
        if isinstance(payload, dict) and payload.get("id") == request_id:
            if payload.get("error") is not None:
                raise StreamLost(f"refused: {str(payload['error'])[:200]}")
            return payload
