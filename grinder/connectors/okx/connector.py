"""OKX as a connector: spot, in cash mode.  Perpetuals are in `swap`.

Law: see `actors.ports.Connector`.  OKX's acknowledgement only says that a request was received: a post-only
order that would take is acknowledged first and cancelled on the stream afterwards.  So nothing here calls an
order resting before the stream, or a query, does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from actors.ports import (
    Capabilities,
    ClockSkewed,
    ExchangeError,
    InstrumentRules,
    Listener,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Permissions,
    Placed,
    PositionSnapshot,
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from grinder.connectors.converting import Scales
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import read
from grinder.connectors.okx import errors, parsing
from grinder.connectors.okx.decoder import OkxDecoder
from grinder.connectors.okx.listening import KEEPING, Greeting
from grinder.connectors.okx.wire import Wire
from grinder.connectors.streams import Stream
from grinder.secrets import Credentials

PRODUCTION = Endpoint(
    rest="https://www.okx.com",
    ws="wss://ws.okx.com:8443/ws/v5/public",
    ws_private="wss://ws.okx.com:8443/ws/v5/private",
)
TESTNET: Endpoint | None = Endpoint(
    rest="https://www.okx.com",
    ws="wss://wspap.okx.com:8443/ws/v5/public",
    ws_private="wss://wspap.okx.com:8443/ws/v5/private",
    extra={"demo": "1"},
)
"""OKX's demo trading: the same address, other sockets, and a header."""

BATCH = 20
PAGE = 100
MOST_PAGES = 200
RECENT_NS = 2 * 86_400 * 10**9
"""Executions younger than this are in ``fills`` (it keeps three days), older ones in the history alone."""


ORDER_TYPES = {
    TimeInForce.POST_ONLY.value: "post_only",
    TimeInForce.GTC.value: "limit",
    TimeInForce.IOC.value: "ioc",
}


class OkxConnector:
    """One OKX account; `credentials` None is market data alone.

    ``endpoint.extra["quotes"]`` may be ``books`` instead of ``bbo-tbt``: slower, and held to a checksum.
    """

    name: ClassVar[str] = "okx"
    capabilities: ClassVar[Capabilities] = Capabilities(
        place_batch=BATCH,
        cancel_batch=BATCH,
        amend=True,
        dead_man="account",
        dead_man_s=(10, 120),
        acknowledges=False,
        order_rate=(60, 4),
    )
    inst_type: ClassVar[str] = parsing.SPOT_TYPE
    of_order: ClassVar[Mapping[str, str]] = {"tdMode": "cash"}
    of_market_order: ClassVar[Mapping[str, str]] = {"tgtCcy": "base_ccy"}
    """Without it the size of a market buy would be a sum of money."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._clock = clock
        self._ahead_ns = 0
        self._clock_doubted = False
        self._wire = Wire(endpoint, credentials, self._now_ms)
        self._scales = Scales({}, {})
        self._streams: dict[str, Stream] = {}

    def _now_ms(self) -> int:
        """OKX's clock as far as we know it."""
        return (self._clock() + self._ahead_ns) // parsing.NS_PER_MS

    # --- opening ---------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Become able to make requests; measures the exchange's clock."""
        await self._wire.open()
        await self._measure_clock()

    async def close(self) -> None:
        """Release every connection; no request may follow."""
        await self._wire.close()

    async def server_time_ns(self) -> int:
        """OKX's clock, ns."""
        answer = await self._wire.request("GET", "public/time", public=True)
        return read(parsing.time_ns, read(parsing.one_row, answer), "ts")

    async def _measure_clock(self) -> None:
        before = self._clock()
        theirs = await self.server_time_ns()
        self._ahead_ns = theirs - (before + self._clock()) // 2
        self._clock_doubted = False

    async def _request(self, method: str, path: str, params: Any = None, *, write: bool = False) -> Any:
        """A signed request.  After one was refused for its time, the clock is measured before the next."""
        if self._clock_doubted:
            await self._measure_clock()
        try:
            return await self._wire.request(method, path, params, write=write)
        except ClockSkewed:
            self._clock_doubted = True
            raise

    async def permissions(self) -> Permissions:
        """What the key may do."""
        answer = await self._request("GET", "account/config")
        return read(parsing.permissions, read(parsing.one_row, answer))

    # --- instruments -----------------------------------------------------------------------------------

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """Rules of the symbols OKX knows, as ``BTCUSDT`` or ``BTC-USDT``; fees where there is a key."""
        query = {"instType": self.inst_type}
        answer = await self._wire.request("GET", "public/instruments", query, public=True)
        rows = read(parsing.rows_of, answer)
        by_name: dict[str, dict[str, Any]] = {}
        for row in rows:
            native = str(row.get("instId"))
            by_name[native] = row
            by_name.setdefault(parsing.plain_name(native), row)
        fees: dict[tuple[str, str], tuple[Decimal, Decimal] | None] = {}
        found: dict[str, InstrumentRules] = {}
        for symbol in symbols:
            if symbol not in by_name:
                continue
            row = by_name[symbol]
            # A fee is of a currency and a group of instruments, and five requests in 2 s are the most.
            of = str(row.get("quoteCcy") or row.get("settleCcy")), str(row.get("groupId") or "")
            if of not in fees:
                fees[of] = await self.fees(str(row.get("instId")), *of) if self._credentials else None
            one = read(self.rules_of, row, symbol, fees[of])
            if one is not None:
                found[symbol] = one
        return found

    def rules_of(
        self, row: dict[str, Any], symbol: str, fees: tuple[Decimal, Decimal] | None
    ) -> InstrumentRules | None:
        """What a row says; None for an instrument that is not traded here."""
        return parsing.rules(row, symbol, fees)

    async def fees(self, native: str, quote: str, group: str) -> tuple[Decimal, Decimal]:
        """This account's maker and taker fee, bps."""
        query = {"instType": self.inst_type, "instId": native}
        answer = await self._request("GET", "account/trade-fee", query)
        return read(parsing.fee_bps, read(parsing.one_row, answer), group)

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The integer scales to speak in from now on."""
        self._scales = Scales(instruments, fee_prices)

    def decoder(self) -> OkxDecoder:
        """A fresh decoder for the listed instruments."""
        return OkxDecoder(self._scales)

    def _native(self, symbol: str) -> str:
        return parsing.native_name(self._scales.instrument(symbol))

    def _symbols(self) -> dict[str, str]:
        return {parsing.native_name(one): symbol for symbol, one in self._scales.instruments.items()}

    # --- orders ----------------------------------------------------------------------------------------

    def order_row(self, terms: OrderTerms) -> dict[str, Any]:
        """An order as OKX wants it."""
        row = {
            "instId": self._native(terms.symbol),
            **self.of_order,
            "side": terms.side,
            "sz": self._scales.quantity_text(terms.symbol, terms.lots),
            "clOrdId": terms.client_order_id,
        }
        if terms.order_type == MARKET:
            return {**row, "ordType": "market", **self.of_market_order}
        price = self._scales.price_text(terms.symbol, terms.price_ticks)
        return row | {"ordType": ORDER_TYPES[terms.time_in_force], "px": price}

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send up to 20 orders; see the port."""
        rows = [self.order_row(terms) for terms in orders]
        path, body = ("trade/order", rows[0]) if len(rows) == 1 else ("trade/batch-orders", rows)
        client_ids = [terms.client_order_id for terms in orders]
        answers = await self._write(path, body, client_ids, [""] * len(orders))
        return [answer if isinstance(answer, ExchangeError) else _placed(answer) for answer in answers]

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Cancel up to 20 orders: None where OKX received it; the end comes on the stream."""
        rows = [{"instId": self._native(ref.symbol), **_naming(ref)} for ref in orders]
        path, body = (
            ("trade/cancel-order", rows[0]) if len(rows) == 1 else ("trade/cancel-batch-orders", rows)
        )
        client_ids = [row.get("clOrdId", "") for row in rows]
        exchange_ids = [row.get("ordId", "") for row in rows]
        answers = await self._write(path, body, client_ids, exchange_ids)
        return [
            answer if isinstance(answer, ExchangeError) and answer.code != errors.CANCEL_UNDER_WAY else None
            for answer in answers
        ]

    async def amend(self, ref: OrderRef, price_ticks: int, lots: int) -> None:
        """Change price and whole quantity of a resting order; its loss of queue place is OKX's to decide.

        Raises:
            ExchangeError: as for `place`.
        """
        body = {
            "instId": self._native(ref.symbol),
            **_naming(ref),
            "newPx": self._scales.price_text(ref.symbol, price_ticks),
            "newSz": self._scales.quantity_text(ref.symbol, lots),
        }
        ids = [body.get("clOrdId", "")], [body.get("ordId", "")]
        [answer] = await self._write("trade/amend-order", body, *ids)
        if isinstance(answer, ExchangeError):
            raise answer

    async def _write(
        self, path: str, body: Any, client_ids: Sequence[str], exchange_ids: Sequence[str]
    ) -> list[dict[str, Any] | ExchangeError]:
        """One answer for each order of a request: its row, or what it failed with."""
        try:
            answer = await self._request("POST", path, body, write=True)
        except ExchangeError as error:
            return [error] * len(client_ids)
        return [self._told(row) for row in parsing.items(answer, client_ids, exchange_ids)]

    def _told(self, row: dict[str, Any] | None) -> dict[str, Any] | ExchangeError:
        if row is None:
            return OutcomeUnknown("short_batch", "the answer does not speak of this order")
        code, text = row.get("sCode"), str(row.get("sMsg") or "")
        if not isinstance(code, str) or not code:
            return OutcomeUnknown("unreadable", "the answer has no sCode")
        return row if code == "0" else self._wire.error(code, text, write=True)

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every open order of a symbol.  OKX has no request for it: they are listed, then cancelled.

        Raises:
            ExchangeError: the first failure that is not about an order that has ended by itself.
        """
        open_orders = await self._pending(self._native(symbol))
        refs = [
            OrderRef(
                client_order_id=one.client_order_id, exchange_order_id=one.exchange_order_id, symbol=symbol
            )
            for one in open_orders
        ]
        for start in range(0, len(refs), BATCH):
            for answer in await self.cancel(refs[start : start + BATCH]):
                if isinstance(answer, ExchangeError) and not isinstance(answer, OrderRefused):
                    raise answer

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """One order; None when OKX says it does not know it."""
        try:
            answer = await self._request(
                "GET", "trade/order", {"instId": self._native(ref.symbol), **_naming(ref)}
            )
        except Unavailable as error:
            if error.code == errors.UNKNOWN_ORDER:
                return None
            raise
        return read(parsing.order, self._scales, ref.symbol, read(parsing.one_row, answer))

    async def open_orders(self) -> list[OrderSnapshot]:
        """All open orders on the listed symbols, foreign ones included."""
        return await self._pending()

    async def _pending(self, native: str = "") -> list[OrderSnapshot]:
        query = {"instType": self.inst_type} | ({"instId": native} if native else {})
        rows = await self._pages("trade/orders-pending", query, "ordId")
        return read(parsing.orders, self._scales, self._symbols(), rows)

    async def _pages(self, path: str, query: dict[str, str], cursor: str) -> list[dict[str, Any]]:
        """Rows of all pages, newest first, as OKX gives them."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            answer = await self._request("GET", path, {**query, "limit": str(PAGE), **after})
            rows = read(parsing.rows_of, answer)
            found += rows
            if len(rows) < PAGE:
                return found
            after = {"after": read(parsing.cursor, rows[-1], cursor)}
        raise Unavailable("too_long", f"{path} has more than {MOST_PAGES} pages")

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Own executions from a time on, oldest first."""
        query = {
            "instType": self.inst_type,
            "instId": self._native(symbol),
            "begin": str(max(0, since_ns) // parsing.NS_PER_MS),
        }
        rows = await self._pages("trade/fills", query, "billId")
        if since_ns < self._clock() - RECENT_NS:
            rows += await self._pages("trade/fills-history", query, "billId")
        return read(parsing.fills, self._scales, symbol, rows)

    # --- account ---------------------------------------------------------------------------------------

    async def balances(self) -> dict[str, Decimal]:
        """Total (free and locked) of each asset."""
        answer = await self._request("GET", "account/balance")
        return read(parsing.balances, read(parsing.one_row, answer))

    async def positions(self) -> list[PositionSnapshot]:
        """None: spot has no positions."""
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """None: spot."""
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        """Have OKX cancel every order of the account in 10 to 120 s unless armed again; 0 disarms.

        Raises:
            ExchangeError: it is not known to be armed.
        """
        await self._request("POST", "trade/cancel-all-after", {"timeOut": str(seconds)}, write=True)

    # --- streams ---------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> None:
        """Keep market and private streams up, with back-off, until cancelled."""
        natives = sorted(self._symbols())
        greeting = Greeting(self._endpoint, self._credentials, natives, self.private_channels(), self._now_ms)
        self._streams = {
            name: Stream(
                name,
                url,
                listener=listener,
                decoder=self.decoder(),
                clock=self._clock,
                greet=greet,
                keeping=KEEPING,
            )
            for name, (url, greet) in greeting.streams().items()
        }
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self._streams.values():
                    group.create_task(stream.run())
                for work in self.side_work(listener):
                    group.create_task(work)
        finally:
            self._streams = {}

    def private_channels(self) -> list[dict[str, str]]:
        """What the private stream subscribes to."""
        return [{"channel": "orders", "instType": self.inst_type}]

    def side_work(self, listener: Listener) -> Sequence[Coroutine[Any, Any, None]]:
        """What must run beside the streams, until cancelled."""
        return ()

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream; an empty name means all."""
        for name, one in self._streams.items():
            if stream in ("", name):
                one.drop("asked for")


def _naming(ref: OrderRef) -> dict[str, str]:
    """How to name an order: by OKX's id where it is known, because a client id may have been used twice."""
    if ref.exchange_order_id:
        return {"ordId": ref.exchange_order_id}
    return {"clOrdId": ref.client_order_id}


def _placed(row: dict[str, Any]) -> Placed | ExchangeError:
    found = row.get("ordId")
    if not isinstance(found, str) or not found:
        return OutcomeUnknown("unreadable", "an acknowledgement without an order id")
    return Placed(exchange_order_id=found, resting=False)
