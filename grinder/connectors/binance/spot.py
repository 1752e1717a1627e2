"""Binance spot.

Law: as `actors.ports.Connector`.  Spot has no batches and no dead man's switch, and checks a client order id
against open orders only: a request whose outcome is unknown must be asked about, never sent again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
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
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from domain.order_events import OrderTerms
from domain.orders import MARKET, TimeInForce
from grinder.connectors.binance import parsing
from grinder.connectors.binance.decoder import PRIVATE_STREAM, BinanceDecoder
from grinder.connectors.binance.errors import NOT_TRADED
from grinder.connectors.binance.rest import RECV_WINDOW_MS, Params
from grinder.connectors.binance.shared import HEARTBEAT_S, BinanceConnector, answered
from grinder.connectors.converting import Unreadable, amount, positive
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.streams import Keeping, Stream

PRODUCTION = Endpoint(
    rest="https://api.binance.com",
    ws="wss://stream.binance.com:9443",
    ws_private="wss://ws-api.binance.com:443/ws-api/v3",
)
TESTNET: Endpoint | None = Endpoint(
    rest="https://testnet.binance.vision",
    ws="wss://stream.testnet.binance.vision",
    ws_private="wss://ws-api.testnet.binance.vision/ws-api/v3",
)

SUBSCRIPTION = "private"
NO_WORD_OF_THE_KEY = "this address does not say what a key may do; the account may trade"


class SpotConnector(BinanceConnector):
    """See `actors.ports.Connector`."""

    name: ClassVar[str] = "binance"
    capabilities: ClassVar[Capabilities] = Capabilities(
        cancel_all=True, order_rate=(90, 20), order_valid_s=RECV_WINDOW_MS // 1_000
    )
    public: ClassVar[str] = "public"
    private: ClassVar[str] = "private"

    def addresses(self, endpoint: Endpoint) -> dict[str, str]:
        """See `BinanceConnector.addresses`."""
        api = f"{endpoint.rest}/api/v3"
        return {"public": api, "private": api, "sapi": f"{endpoint.rest}/sapi/v1"}

    async def permissions(self) -> Permissions:
        """See the port.  A test network does not answer for a key; then only the account's word counts."""
        try:
            payload = await self.ask("account/apiRestrictions", interface="sapi")
        except Unavailable:
            payload = await self.ask("account", {"omitZeroBalances": "true"})
            account = self.reading(lambda: parsing.fields(payload))
            return Permissions(trade=account.get("canTrade") is True, withdraw=False, text=NO_WORD_OF_THE_KEY)
        found = self.reading(lambda: parsing.fields(payload))
        moves_funds = ("enableWithdrawals", "permitsUniversalTransfer")
        granted = sorted(name for name, value in found.items() if value is True)
        return Permissions(
            trade=found.get("enableSpotAndMarginTrading") is True,
            withdraw=any(found.get(name) is True for name in moves_funds),
            text=", ".join(granted),
        )

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """See the port."""
        found = {}
        for symbol in symbols:
            try:
                payload = await self.ask("exchangeInfo", {"symbol": symbol}, interface=self.public)
            except Unavailable as error:
                if error.code == NOT_TRADED:
                    continue
                raise
            fees = await self._fees(symbol) if self.credentials is not None else None
            one = self._rules_of(payload, fees)
            found[one.symbol] = one
        return found

    def _rules_of(self, payload: Any, fees: tuple[Decimal, Decimal] | None) -> InstrumentRules:
        def only() -> InstrumentRules:
            listed = parsing.rows(parsing.fields(payload).get("symbols"))
            if len(listed) != 1:
                raise Unreadable(f"{len(listed)} symbols where one was asked for")
            return parsing.rules(listed[0], fees, linear=False)

        return self.reading(only)

    async def _fees(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        """Maker and taker rate of this account, without the discount for paying in a third asset."""
        payload = await self.ask("account/commission", {"symbol": symbol})

        def rate(kind: str) -> Decimal:
            parts = [payload.get(part) or {} for part in ("standardCommission", "taxCommission")]
            return sum((amount(part.get(kind, "0"), kind) for part in parts), Decimal(0))

        return self.reading(lambda: (rate("maker"), rate("taker")))

    def order_params(self, terms: OrderTerms) -> Params:
        """See `BinanceConnector.order_params`; spot's post-only order is a type of its own."""
        params = super().order_params(terms)
        if terms.order_type != MARKET and terms.time_in_force == TimeInForce.POST_ONLY:
            params["type"] = "LIMIT_MAKER"
            del params["timeInForce"]
        return params

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """See the port."""
        return [await self.place_one(terms) for terms in orders]

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """See the port."""
        return [await self.cancel_one(ref) for ref in orders]

    async def cancel_all(self, symbol: str) -> None:
        """See the port."""
        await self.cancel_every("openOrders", symbol)

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """See the port."""
        return await self.executions("myTrades", symbol, since_ns, window_ms=0)

    async def balances(self) -> dict[str, Decimal]:
        """See the port."""
        payload = await self.ask("account", {"omitZeroBalances": "true"})

        def totals() -> dict[str, Decimal]:
            rows = parsing.rows(parsing.fields(payload).get("balances"))
            return {
                parsing.text(row, "asset"): positive(row.get("free"), "free")
                + positive(row.get("locked"), "locked")
                for row in rows
            }

        return self.reading(totals)

    async def positions(self) -> list[PositionSnapshot]:
        """See the port: spot has none."""
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """None: spot."""
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        """See the port: spot has none, so there is nothing to arm."""

    def private_stream(self, listener: Listener, decoder: BinanceDecoder) -> Stream:
        """The user data stream, subscribed to over the WebSocket API."""
        return Stream(
            PRIVATE_STREAM,
            self.endpoint.ws_private,
            listener=listener,
            decoder=decoder,
            clock=self.clock,
            greet=self._subscribe_private,
            keeping=Keeping(heartbeat_s=HEARTBEAT_S),
        )

    async def _subscribe_private(self, stream: Stream) -> None:
        params = self.signed({})
        method = "userDataStream.subscribe.signature"
        await stream.send({"id": SUBSCRIPTION, "method": method, "params": params})
        await answered(stream, SUBSCRIPTION)

    def signed(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters of a WebSocket request with key, time and the signature over them, sorted."""
        assert self.credentials is not None, "a private stream without a key"
        whole = {
            **params,
            "apiKey": self.credentials.key,
            "recvWindow": RECV_WINDOW_MS,
            "timestamp": self.rest.now_ms(),
        }
        text = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
        secret = self.credentials.secret.encode()
        return {**whole, "signature": hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()}
