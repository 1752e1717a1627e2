"""OKX's interface, version 5, for spot and linear swaps: REST.

Orders are in `okx_trading`, sockets in `okx_streams`, wording in `okx_words`.

Law: the desk decides; this file says who may ask, how often, and in which frame the answer goes out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from aiohttp import web

from domain.instrument import Instrument
from grinder.connectors.converting import Scales
from grinder.secrets import Credentials
from grinder.simulated.fundings import Fundings
from grinder.simulated.limiter import RequestLimiter
from grinder.simulated.protocols import okx_words as words
from grinder.simulated.protocols.okx_signing import refuse_request
from grinder.simulated.protocols.okx_streams import OkxStreams
from grinder.simulated.protocols.okx_trading import NOT_CANCELLED, OkxTrading, Refused, item
from grinder.simulated.server import VIEW, WireServer
from replay.exchange.desk import Desk, DeskExecution, DeskOrder, DeskUpdate
from replay.exchange.desk_view import SeenOrder
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject
from replay.faults import Fault, FaultPlan

BATCH = 20
PAGE = 100
DAY_NS = 86_400 * 10**9

Words = dict[str, Any]
Handler = Callable[[web.Request], list[Words]]


class OkxServer(WireServer):
    """See the module.

    Attributes:
        permissions, position_mode: what the key may do and how positions are kept, in OKX's words.
    """

    protocol: ClassVar[str] = "okx"

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        desk.store_rejects = frozenset({Reject.WOULD_TAKE})
        self.permissions = "read_only,trade"
        self.position_mode = "net_mode"
        self.scales = Scales({name: words.in_contracts(one) for name, one in desk.instruments.items()}, {})
        self.trading = OkxTrading(self)
        self._limiters: dict[str, RequestLimiter] = {}
        self.streams = OkxStreams(self)
        self.fundings = Fundings(desk, self.streams.push_funding)

    # --- what WireServer asks for ----------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """REST and WebSocket routes."""
        asked = [
            ("GET", "public/time", "time", 10, self._time),
            ("GET", "public/instruments", "rules", 20, self._instruments),
            ("GET", "market/ticker", "rules", 20, self._tickers),
            ("GET", "market/tickers", "rules", 20, self._tickers),
            ("GET", "market/books", "rules", 40, self._books),
        ]
        signed = [
            ("POST", "trade/order", "place", 60, self._place),
            ("POST", "trade/batch-orders", "place", 300, self._place),
            ("POST", "trade/cancel-order", "cancel", 60, self._cancel),
            ("POST", "trade/cancel-batch-orders", "cancel", 300, self._cancel),
            ("POST", "trade/amend-order", "place", 60, self._amend),
            ("POST", "trade/amend-batch-orders", "place", 300, self._amend),
            ("POST", "trade/cancel-all-after", "dead_man", 2, self._cancel_all_after),
            ("GET", "trade/order", "order", 60, self._order),
            ("GET", "trade/orders-pending", "open_orders", 60, self._pending),
            ("GET", "trade/orders-history", "order", 40, self._history),
            ("GET", "trade/orders-history-archive", "order", 20, self._history),
            ("GET", "trade/fills", "fills", 60, self._fills(3)),
            ("GET", "trade/fills-history", "fills", 10, self._fills(90)),
            ("GET", "account/balance", "balances", 10, self._balance),
            ("GET", "account/positions", "positions", 10, self._positions),
            ("GET", "account/bills", "fills", 10, self._bills(7)),
            ("GET", "account/bills-archive", "fills", 5, self._bills(90)),
            ("POST", "account/set-leverage", "balances", 20, self._set_leverage),
            ("GET", "account/config", "balances", 5, self._config),
            ("GET", "account/trade-fee", "rules", 5, self._fee),
            ("GET", "asset/currencies", "rules", 12, self._currencies),
        ]
        found = [self._route(*row, signed=False) for row in asked]
        found += [self._route(*row, signed=True) for row in signed]
        for kind in ("public", "private", "business"):
            found.append(web.get(f"/ws/v5/{kind}", self.streams.connected))
        return found

    def addresses(self, host: str, port: int) -> dict[str, str]:
        """Where a client finds it."""
        ws = f"ws://{host}:{port}/ws/v5"
        return {"rest": f"http://{host}:{port}", "ws": f"{ws}/public", "ws_private": f"{ws}/private"}

    def on_update(self, update: DeskUpdate) -> None:
        """Push an event of an order."""
        self.streams.on_update(update)

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """Push an event of the market."""
        self.streams.on_row(symbol, row)

    def failure(self, kind: str, fault: Fault) -> web.Response:
        """OKX's wording of a failure."""
        headers = {"Retry-After": f"{fault.retry_after:.0f}"}
        if kind == "status_unknown":
            return _answer(words.envelope([], "51149", "Order timed out. Please try again later."))
        if kind == "cancel_refused":
            return _answer(_all_failed([item("", "", NOT_CANCELLED)]))
        if kind == "rate_limit":
            return _answer(words.envelope([], "50011", "Too Many Requests"), 429, headers)
        if kind == "maintenance":
            text = "Service temporarily unavailable. Please try again later"
            return _answer(words.envelope([], "50001", text), 503)
        if kind == "ban":
            return web.Response(
                text="<html>Forbidden</html>", content_type="text/html", status=403, headers=headers
            )
        if kind == "bad_request":
            return _answer(words.envelope([], "51000", f"Parameter error {fault.reason}"[:200]), 400)
        return super().failure(kind, fault)

    # --- a request -------------------------------------------------------------------------------------

    def _route(
        self, method: str, path: str, operation: str, most: int, handler: Handler, *, signed: bool
    ) -> web.RouteDef:
        """A route that checks the signature and the rate, and answers in OKX's frame.

        Args:
            most: requests in 2 s; for single orders of one instrument.
        """
        by_instrument = (
            path in ("trade/order", "trade/cancel-order", "trade/amend-order") and method == "POST"
        )

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                if signed:
                    await self._check(request)
                key = f"{method} {path}"
                if by_instrument:
                    body = json.loads(await request.text())
                    key += f" {body.get('instId')}" if isinstance(body, dict) else ""
                limiter = self._limiters.setdefault(key, RequestLimiter(most, 2.0))
                if limiter.take(1, self.clock()):
                    raise Refused("50011", "Too Many Requests", 429)
                return _answer(self._framed(handler(request), items=method == "POST"))
            except Refused as refused:
                return _answer(words.envelope([], refused.code, refused.text), refused.status)

        async def guard(request: web.Request) -> web.StreamResponse:
            return await self.guarded(operation, request, handle)

        return web.route(method, f"/api/v5/{path}", guard)

    async def _check(self, request: web.Request) -> None:
        body = await request.text()
        refusal = refuse_request(
            request.headers, request.method, request.raw_path, body, self.credentials, self.arrived_ms()
        )
        if refusal is not None:
            raise Refused(*refusal, 401)

    def _framed(self, data: list[Words], *, items: bool) -> Words:
        """The answer's frame: 1 when every item failed, 2 when some did."""
        failed = sum(row.get("sCode", "0") != "0" for row in data) if items else 0
        if not failed:
            return words.envelope(data)
        return (
            _all_failed(data)
            if failed == len(data)
            else words.envelope(data, "2", "Bulk operation partially succeeded")
        )

    # --- the public ------------------------------------------------------------------------------------

    def _time(self, request: web.Request) -> list[Words]:
        return [{"ts": str(self.now_ms())}]

    def _instruments(self, request: web.Request) -> list[Words]:
        asked, kind = request.query.get("instId"), request.query.get("instType")
        if asked:
            self.trading.listed(asked)
        return [
            words.instrument(self.scales, one, self.desk.filters[symbol])
            for symbol, one in self.desk.instruments.items()
            if asked in (None, words.native(one)) and kind == words.kind(one)
        ]

    def _tickers(self, request: web.Request) -> list[Words]:
        asked = request.query.get("instId")
        listed = [self.trading.listed(asked)] if asked else list(self.desk.instruments.values())
        rows = [(one, self.desk.quote(one.symbol)) for one in listed]
        return [words.ticker(self.scales, one, row) for one, row in rows if row is not None]

    def _books(self, request: web.Request) -> list[Words]:
        symbol = self.trading.listed(request.query.get("instId")).symbol
        row = self.desk.quote(symbol)
        if row is None or not row.bid:
            return [{"bids": [], "asks": [], "ts": str(self.now_ms())}]
        bid, ask = words.sides(self.scales, symbol, row)
        return [{"bids": [bid], "asks": [ask], "ts": words.ms(row.ts_ns)}]

    # --- orders ----------------------------------------------------------------------------------------

    def _place(self, request: web.Request) -> list[Words]:
        return self.trading.place(_bodies(request))

    def _cancel(self, request: web.Request) -> list[Words]:
        return self.trading.cancel(_bodies(request))

    def _amend(self, request: web.Request) -> list[Words]:
        return self.trading.amend(_bodies(request))

    def _cancel_all_after(self, request: web.Request) -> list[Words]:
        [body] = _bodies(request)
        seconds = int(str(body.get("timeOut")))
        if seconds and not 10 <= seconds <= 120:
            raise Refused("51000", "Parameter timeOut error")
        self.desk.arm(seconds, self.clock())
        if seconds:
            self._spawn(self.streams.dead_man(seconds))
        due = str(self.now_ms() + seconds * 1000) if seconds else "0"
        return [{"triggerTime": due, "tag": "", "ts": str(self.now_ms())}]

    # --- what there is ---------------------------------------------------------------------------------

    def word(self, order: SeenOrder | DeskOrder) -> Words:
        """An order as REST and the stream show it."""
        quote = self.desk.instruments[order.terms.symbol]
        return words.order(self.scales, quote, order, self.trading.said.get(order.exchange_id, {}))

    def _order(self, request: web.Request) -> list[Words]:
        found = request[VIEW].find(
            client_order_id="" if request.query.get("ordId") else request.query.get("clOrdId", ""),
            exchange_order_id=request.query.get("ordId", ""),
        )
        if found is None:
            raise Refused("51603", "Order does not exist")
        return [self.word(found)]

    def _pending(self, request: web.Request) -> list[Words]:
        rows = [self.word(order) for order in reversed(request[VIEW].open_orders())]
        return _page(request, rows, "ordId")

    def _history(self, request: web.Request) -> list[Words]:
        ended = [order for order in reversed(request[VIEW].orders()) if words.STATES[order.status] != "live"]
        return _page(request, [self.word(order) for order in ended], "ordId")

    def _fills(self, days: int) -> Handler:
        def handle(request: web.Request) -> list[Words]:
            begin = int(request.query.get("begin") or 0) * 1_000_000
            found = request[VIEW].executions("", max(begin, self.now_ns() - days * DAY_NS))
            rows = []
            for bill, one in reversed(list(enumerate(found, 1))):
                quote = self.desk.instruments[one.order.terms.symbol]
                rows.append(words.fill(self.scales, quote, one, self.fee(one), bill))
            ordered = request.query.get("ordId")
            return _page(request, [row for row in rows if ordered in (None, "", row["ordId"])], "billId")

        return handle

    def fee(self, one: DeskExecution) -> str:
        """A fee as OKX writes it: negative is what it took."""
        return self.units_text(one.fee_asset, -one.fee_units)

    # --- the account -----------------------------------------------------------------------------------

    def _balance(self, request: web.Request) -> list[Words]:
        asked = [name for name in request.query.get("ccy", "").split(",") if name]
        at = str(self.now_ms())
        details = []
        for asset, (free, locked) in request[VIEW].totals().items():
            if not asked or asset in asked:
                total, available, frozen = (
                    self.units_text(asset, units) for units in (free + locked, free, locked)
                )
                details.append(words.holding(asset, total, available, frozen, at))
        return [words.balance(details, at)]

    def _positions(self, request: web.Request) -> list[Words]:
        asked, at = request.query.get("instId"), str(self.now_ms())
        rows = []
        for symbol, (units, cost) in request[VIEW].positions().items():
            one, row = self.desk.instruments[symbol], self.desk.quote(symbol)
            if asked in (None, "", words.native(one)) and (units or asked):
                rows.append(words.position(self.scales, one, units, cost, row.price if row else 0, at))
        return rows

    def _bills(self, days: int) -> Handler:
        def handle(request: web.Request) -> list[Words]:
            begin = int(request.query.get("begin") or 0) * 1_000_000
            found = self.fundings.seen(request[VIEW], max(begin, self.now_ns() - days * DAY_NS))
            kind = request.query.get("type")
            rows = [
                words.bill(self.scales, self.desk.instruments[one.report.symbol], one)
                for one in reversed(found)
            ]
            return _page(request, [row for row in rows if kind in (None, "", row["type"])], "billId")

        return handle

    def _set_leverage(self, request: web.Request) -> list[Words]:
        """Taken and forgotten: the leverage is the instrument's."""
        [body] = _bodies(request)
        self.trading.listed(body.get("instId"))
        return [{"instId": body["instId"], "lever": str(body.get("lever")), "mgnMode": body.get("mgnMode")}]

    def _config(self, request: web.Request) -> list[Words]:
        contracts = any(words.kind(one) == words.SWAP for one in self.desk.instruments.values())
        level = "2" if contracts else "1"
        return [
            {"uid": "1", "mainUid": "1", "acctLv": level, "posMode": self.position_mode}
            | {"perm": self.permissions}
            | {"label": "", "ip": "", "level": "Lv1", "type": "0", "acctStpMode": "cancel_maker"}
        ]

    def _fee(self, request: web.Request) -> list[Words]:
        kind, family = request.query.get("instType", words.SPOT), request.query.get("instFamily")
        asked = f"{family}-SWAP" if family else request.query.get("instId")
        fitting = [one for one in self.desk.instruments.values() if words.kind(one) == kind]
        listed = self.trading.listed(asked or words.native(_first(fitting)))
        maker, taker = words.rate(listed.maker_fee_ppm), words.rate(listed.taker_fee_ppm)
        row = {"instType": kind, "level": "Lv1", "maker": maker, "taker": taker, "ts": str(self.now_ms())}
        if kind == words.SWAP:  # the first two are of contracts settled in the base asset
            row |= {"maker": "-0.0002", "taker": "-0.0005", "makerU": maker, "takerU": taker}
        return [row]

    def _currencies(self, request: web.Request) -> list[Words]:
        shut = {"canDep": False, "canWd": False, "canInternal": False, "mainNet": True, "minFee": "0"}
        return [
            {"ccy": asset, "chain": f"{asset}-{asset}", "name": asset, "wdTickSz": "8", "minWd": "0", **shut}
            for asset in self.desk.totals()
        ]


def _answer(payload: Words, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(payload, status=status, headers=headers)


def _all_failed(data: list[Words]) -> Words:
    return words.envelope(data, "1", "All operations failed")


def _bodies(request: web.Request) -> list[Words]:
    """The orders of a request: one, or up to 20."""
    read = json.loads(request._read_bytes or b"null")
    bodies = read if isinstance(read, list) else [read]
    if not bodies or not all(isinstance(body, dict) for body in bodies):
        raise Refused("50002", "Body is not valid JSON", 400)
    if len(bodies) > BATCH:
        raise Refused("51000", "Parameter orders exceed 20")
    return bodies


def _page(request: web.Request, rows: Sequence[Words], key: str) -> list[Words]:
    """The rows a query asks for, newest first: of an instrument, after an id, at most 100."""
    query = request.query
    native, limit = query.get("instId"), min(int(query.get("limit") or PAGE), PAGE)
    after, before = int(query.get("after") or 0), int(query.get("before") or 0)
    fitting = [
        row
        for row in rows
        if native in (None, "", row["instId"])
        and query.get("instType") in (None, "", row["instType"])
        and (not after or int(row[key]) < after)
        and (not before or int(row[key]) > before)
    ]
    return fitting[:limit]


def _first(instruments: Iterable[Instrument]) -> Instrument:
    return next(iter(instruments))
