"""Binance USD-margined perpetuals.

Law: as `actors.ports.Connector`.  Orders go in batches of up to five, cancels of up to ten; the dead man's
switch is per symbol.  Only one-way positions are traded: hedge mode is refused by the exchange, loudly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from actors.ports import (
    Capabilities,
    ExchangeError,
    InstrumentRules,
    Listener,
    OrderRef,
    OrderSnapshot,
    Permissions,
    Placed,
    PositionSnapshot,
)
from domain.inputs import FillReport, FundingReport
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from grinder.connectors.binance import parsing
from grinder.connectors.binance.decoder import PRIVATE_STREAM, BinanceDecoder
from grinder.connectors.binance.errors import item_error, not_understood
from grinder.connectors.binance.parsing import NS_PER_MS
from grinder.connectors.binance.rest import RECV_WINDOW_MS, Params
from grinder.connectors.binance.shared import HEARTBEAT_S, PAGE, BinanceConnector
from grinder.connectors.converting import Unreadable, amount
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.funding_watch import FundingWatch
from grinder.connectors.streams import Keeping, Stream

# Quotes and trades are in the pool "public" (prices of the index and the like are in "market"), own events in
# "private": an address without a pool is the old one.
PRODUCTION = Endpoint(
    rest="https://fapi.binance.com",
    ws="wss://fstream.binance.com/public",
    ws_private="wss://fstream.binance.com/private",
    extra={"sapi": "https://api.binance.com/sapi/v1"},
)
TESTNET: Endpoint | None = Endpoint(
    rest="https://demo-fapi.binance.com",
    ws="wss://fstream.binancefuture.com/public",
    ws_private="wss://fstream.binancefuture.com/private",
)

KEEP_KEY_S = 30 * 60
"""A listen key dies after an hour without a word."""

TRADES_WINDOW_MS = 7 * 24 * 3600 * 1000
"""The longest time one request for executions looks ahead."""

MS = 1000
NO_WORD_OF_THE_KEY = "this address does not say what a key may do; the account may trade"


class UsdmConnector(BinanceConnector):
    """See `actors.ports.Connector`."""

    name: ClassVar[str] = "binance-usdm"
    capabilities: ClassVar[Capabilities] = Capabilities(
        place_batch=5,
        cancel_batch=10,
        dead_man="symbol",
        dead_man_s=(1, 86_400),
        positions=True,
        cancel_all=True,
        fundings=True,
        order_rate=(270, 20),
        order_valid_s=RECV_WINDOW_MS // MS,
    )
    public: ClassVar[str] = "fapiPublic"
    private: ClassVar[str] = "fapiPrivate"

    def addresses(self, endpoint: Endpoint) -> dict[str, str]:
        """See `BinanceConnector.addresses`."""
        first = dict.fromkeys((self.public, self.private), f"{endpoint.rest}/fapi/v1")
        third = {"fapiPrivateV3": f"{endpoint.rest}/fapi/v3"}
        return {**first, **third, "fapiPrivateV2": f"{endpoint.rest}/fapi/v2", **endpoint.extra}

    async def permissions(self) -> Permissions:
        """See the port.  Only production has an address that answers for a key."""
        if "sapi" in self.endpoint.extra:
            payload = await self.ask("account/apiRestrictions", interface="sapi")
            found = self.reading(lambda: parsing.fields(payload))
            names = ("enableWithdrawals", "permitsUniversalTransfer")
            return Permissions(
                trade=found.get("enableFutures") is True,
                withdraw=any(found.get(name) is True for name in names),
                text=", ".join(sorted(name for name, value in found.items() if value is True)),
            )
        payload = await self.ask("account", interface="fapiPrivateV2")
        account = self.reading(lambda: parsing.fields(payload))
        return Permissions(trade=account.get("canTrade") is True, withdraw=False, text=NO_WORD_OF_THE_KEY)

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """See the port."""
        payload = await self.ask("exchangeInfo", interface=self.public)
        listed = self.reading(lambda: parsing.rows(parsing.fields(payload).get("symbols")))
        found = {}
        for row in listed:
            if row.get("symbol") in symbols and row.get("contractType") == "PERPETUAL":
                fees = await self._fees(str(row["symbol"])) if self.credentials is not None else None
                one = self._rules_of(row, fees)
                found[one.symbol] = one
        return found

    def _rules_of(self, row: Mapping[str, Any], fees: tuple[Decimal, Decimal] | None) -> InstrumentRules:
        return self.reading(lambda: parsing.rules(row, fees, linear=True))

    async def _fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        payload = await self.ask("commissionRate", {"symbol": symbol})
        kinds = ("makerCommissionRate", "takerCommissionRate")
        maker, taker = self.reading(
            lambda: [amount(parsing.fields(payload).get(kind), kind) for kind in kinds]
        )
        return maker, taker

    # --- orders ----------------------------------------------------------------------------------------

    def order_params(self, terms: OrderTerms) -> Params:
        """See `BinanceConnector.order_params`; here post-only is a time in force."""
        params = super().order_params(terms)
        if terms.order_type != MARKET and terms.time_in_force == TimeInForce.POST_ONLY:
            params["timeInForce"] = "GTX"
        if terms.reduce_only:
            params["reduceOnly"] = "true"
        return params

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """See the port."""
        if len(orders) == 1:
            return [await self.place_one(orders[0])]
        try:
            payload = await self.change(
                "POST", "batchOrders", {"batchOrders": [self.order_params(terms) for terms in orders]}
            )
        except ExchangeError as error:
            return [error for _ in orders]
        items = _items(payload, [terms.client_order_id for terms in orders])
        return [
            item if isinstance(item, ExchangeError) else self.placed(item, terms)
            for item, terms in zip(items, orders, strict=True)
        ]

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """See the port; orders without an id of ours, and single ones, are cancelled one by one."""
        answers: dict[OrderRef, OrderSnapshot | ExchangeError | None] = {}
        for symbol in dict.fromkeys(ref.symbol for ref in orders):
            group = [ref for ref in orders if ref.symbol == symbol]
            if len(group) > 1 and all(ref.client_order_id for ref in group):
                answers.update(zip(group, await self._cancel_batch(symbol, group), strict=True))
            else:
                answers.update([(ref, await self.cancel_one(ref)) for ref in group])
        return [answers[ref] for ref in orders]

    async def _cancel_batch(
        self, symbol: str, group: Sequence[OrderRef]
    ) -> list[OrderSnapshot | ExchangeError | None]:
        ids = [ref.client_order_id for ref in group]
        try:
            payload = await self.change(
                "DELETE", "batchOrders", {"symbol": symbol, "origClientOrderIdList": ids}
            )
        except ExchangeError as error:
            return [error for _ in group]
        answers: list[OrderSnapshot | ExchangeError | None] = []
        for item, ref in zip(_items(payload, ids), group, strict=True):
            answers.append(item if isinstance(item, ExchangeError) else self._cancelled(item, ref))
        return answers

    def _cancelled(self, item: dict[str, Any], ref: OrderRef) -> OrderSnapshot | ExchangeError:
        try:
            snapshot = parsing.order(item, self.scales)
        except Unreadable as error:
            return not_understood(str(error), writes=True)
        if snapshot.client_order_id != ref.client_order_id:
            return not_understood(f"the answer is about {snapshot.client_order_id[:40]}", writes=True)
        return snapshot

    async def cancel_all(self, symbol: str) -> None:
        """See the port."""
        await self.cancel_every("allOpenOrders", symbol)

    async def arm_dead_man(self, seconds: int) -> None:
        """See the port: one request for each listed symbol."""
        for symbol in self.scales.instruments:
            await self.change("POST", "countdownCancelAll", {"symbol": symbol, "countdownTime": seconds * MS})

    # --- the account -----------------------------------------------------------------------------------

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """See the port."""
        return await self.executions("userTrades", symbol, since_ns, window_ms=TRADES_WINDOW_MS)

    async def balances(self) -> dict[str, Decimal]:
        """See the port: wallet balances, without what open positions would bring."""
        payload = await self.ask("balance", interface="fapiPrivateV3")
        return self.reading(
            lambda: {
                parsing.text(row, "asset"): amount(row.get("balance"), "balance")
                for row in parsing.rows(payload)
            }
        )

    async def positions(self) -> list[PositionSnapshot]:
        """See the port."""
        payload = await self.ask("positionRisk", interface="fapiPrivateV3")
        return self.reading(lambda: parsing.position(parsing.rows(payload), self.scales))

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """See the port.  A page goes on at the last one's last time, whose rows may be on both of them."""
        start = since_ns // NS_PER_MS
        rows: list[Mapping[str, Any]] = []
        while True:
            asked = {"incomeType": "FUNDING_FEE", "startTime": start, "limit": PAGE}
            page = await self._page("income", asked)
            rows += page
            last = self._largest("time", page)
            if len(page) < PAGE or last <= start:
                break
            start = last
        return self.reading(lambda: parsing.fundings(rows, self.scales))

    # --- streams ---------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> None:
        """See the port; funding is watched for on the way."""
        if self.credentials is not None:
            # The stream does not say which symbol a cross position's funding is for; the history does.
            listener = FundingWatch(listener, PRIVATE_STREAM, b"FUNDING_FEE")
        await super().listen(listener)

    def private_stream(self, listener: Listener, decoder: BinanceDecoder) -> Stream:
        """The user data stream, under a listen key made for each connection."""
        return Stream(
            PRIVATE_STREAM,
            self._private_url,
            listener=listener,
            decoder=decoder,
            clock=self.clock,
            keeping=Keeping(heartbeat_s=HEARTBEAT_S),
        )

    async def _private_url(self) -> str:
        payload = await self._listen_key("POST")
        key = self.reading(lambda: parsing.text(parsing.fields(payload), "listenKey"))
        return f"{self.endpoint.ws_private or self.endpoint.ws}/ws?listenKey={key}"

    async def _listen_key(self, method: str) -> Any:
        return await self._call(self.private, method, "listenKey", None, writes=False)

    def side_work(self, listener: Listener) -> Sequence[Coroutine[Any, Any, None]]:
        """Keep the listen key alive and look for funding."""
        if not isinstance(listener, FundingWatch):
            return ()
        return (self._keep_key(), listener.run(self.fundings, self._exchange_ns))

    def _exchange_ns(self) -> int:
        """The exchange's clock as far as we know it."""
        return self.clock() + self.rest.offset_ms * NS_PER_MS

    async def _keep_key(self) -> None:
        while True:
            await asyncio.sleep(KEEP_KEY_S)
            try:
                await self._listen_key("PUT")
            except ExchangeError as error:
                self._streams[PRIVATE_STREAM].drop(f"listen key: {error}")


def _items(payload: Any, ids: Sequence[str]) -> list[dict[str, Any] | ExchangeError]:
    """The answers to a batch, one for each client order id.

    An error does not say which request it is about but by its place; when the answer is not as long as the
    batch, places mean nothing, and only what names its order is believed.
    """
    if not isinstance(payload, list) or not all(isinstance(item, dict) for item in payload):
        return [not_understood("the answer to a batch is no list of objects", writes=True)] * len(ids)
    if len(payload) == len(ids):
        return [item_error(item) or item for item in payload]
    named = {item.get("clientOrderId"): item for item in payload}
    missing = not_understood(f"{len(payload)} answers to a batch of {len(ids)}", writes=True)
    return [named.get(one, missing) for one in ids]
