"""Kraken spot as a connector.

Law: see `actors.ports.Connector`.  Kraken counts what is done on each pair and refuses the impatient, so
nothing is asked twice here: an order's end is read from the stream, a cancel is answered by having been
received.  There is no test network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from actors.ports import (
    AuthenticationFailed,
    Capabilities,
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
from grinder.connectors.converting import Scales
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.http import read
from grinder.connectors.kraken import errors, ordering, rest_parsing
from grinder.connectors.kraken.decoder import KrakenDecoder
from grinder.connectors.kraken.history import History
from grinder.connectors.kraken.naming import order_pair, symbols_by_name
from grinder.connectors.kraken.permissions import PERMISSION_DENIED, permissions_of
from grinder.connectors.kraken.reading import items, mapping, text_of
from grinder.connectors.kraken.renewing import Renewing
from grinder.connectors.kraken.subscribing import PRIVATE, PUBLIC, keeping, private_greeting, public_greeting
from grinder.connectors.kraken.transport import KrakenTransport
from grinder.connectors.streams import Stream
from grinder.secrets import Credentials

PRODUCTION = Endpoint(
    rest="https://api.kraken.com",
    ws="wss://ws.kraken.com/v2",
    ws_private="wss://ws-auth.kraken.com/v2",
)
TESTNET: Endpoint | None = None

PLACE_BATCH = 15
CANCEL_BATCH = 50
LONGEST_DEAD_MAN_S = 86_399
HALF_A_SECOND_NS = 500_000_000


class KrakenConnector:
    """One Kraken spot account; `credentials` None is market data alone."""

    name: ClassVar[str] = "kraken"
    capabilities: ClassVar[Capabilities] = Capabilities(
        place_batch=PLACE_BATCH,
        cancel_batch=CANCEL_BATCH,
        amend=True,
        dead_man="account",
        dead_man_s=(1, LONGEST_DEAD_MAN_S),
        order_rate=(60, 30),
    )

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._clock = clock
        self._transport = KrakenTransport(endpoint, credentials, clock)
        self._scales = Scales({}, {})
        self._symbols: dict[str, str] = {}
        self._history = History(self._transport)
        self._streams: dict[str, Stream] = {}

    # --- opening -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Become able to make requests; asks for the time, to know that somebody answers."""
        self._transport.open()
        await self.server_time_ns()

    async def close(self) -> None:
        """Release every connection; no request may follow."""
        await self._transport.close()

    async def server_time_ns(self) -> int:
        """Kraken's clock, ns.  It tells whole seconds: the middle of the second is the best guess."""
        answer = await self._transport.public("Time")
        seconds = answer.get("unixtime")
        if not isinstance(seconds, int):
            raise Unavailable("unreadable", f"no unixtime: {str(seconds)[:40]}")
        return seconds * 10**9 + HALF_A_SECOND_NS

    async def permissions(self) -> Permissions:
        """What the key may do; see `permissions.permissions_of`."""
        return await permissions_of(self._transport)

    # --- instruments -------------------------------------------------------------------------------------

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """Rules of the symbols Kraken knows, with this account's fees where there is a key."""
        pairs = await self._transport.public("AssetPairs")
        found = read(rest_parsing.rules_by_symbol, pairs, symbols)
        if self._credentials is None or not found:
            return found
        names = ",".join(sorted({rules.native for rules in found.values()}))
        try:
            volume = await self._transport.private("TradeVolume", pair=names)
        except AuthenticationFailed as denied:
            if denied.code != PERMISSION_DENIED:
                raise
            return found  # the key may not see its volume: the fees of an account without any
        return {symbol: read(_with_fees, rules, volume) for symbol, rules in found.items()}

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The integer scales to speak in from now on."""
        self._scales = Scales(instruments, fee_prices)
        self._symbols = symbols_by_name((name, one.base, one.quote) for name, one in instruments.items())

    def decoder(self) -> KrakenDecoder:
        """A fresh decoder for the listed instruments."""
        return KrakenDecoder(self._scales)

    def _pair(self, symbol: str) -> str:
        instrument = self._scales.instrument(symbol)
        return order_pair(instrument.base, instrument.quote)

    # --- orders ------------------------------------------------------------------------------------------

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send up to 15 orders; those of one symbol share a request."""
        answers: dict[int, Placed | ExchangeError] = {}
        for positions in ordering.batches(orders, PLACE_BATCH):
            told = await self._place_together([orders[position] for position in positions])
            answers |= zip(positions, told, strict=True)
        for terms, answer in zip(orders, (answers[at] for at in range(len(orders))), strict=True):
            if isinstance(answer, Placed):
                self._history.remember(answer.exchange_order_id, terms.client_order_id)
        return [answers[at] for at in range(len(orders))]

    async def _place_together(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Orders of one symbol.  A batch refused as a whole was not done at all: then each goes alone, so
        that one bad order does not take the others with it."""
        try:
            if len(orders) == 1:
                return [await self._place_alone(orders[0])]
            asked = [ordering.parameters(self._scales, terms) for terms in orders]
            answer = await self._transport.private(
                "AddOrderBatch", pair=self._pair(orders[0].symbol), orders=asked
            )
        except OrderRefused as refused:
            if len(orders) == 1:
                return [refused]
            return [answer for terms in orders for answer in await self._place_together([terms])]
        except ExchangeError as error:
            return [error] * len(orders)
        return ordering.batch_answers(answer, orders)

    async def _place_alone(self, terms: OrderTerms) -> Placed:
        asked = ordering.parameters(self._scales, terms)
        answer = await self._transport.private("AddOrder", pair=self._pair(terms.symbol), **asked)
        try:
            [order_id] = items(answer.get("txid"), "txid")
            return Placed(exchange_order_id=text_of(order_id, "txid"), resting=ordering.rests(terms))
        except ValueError as error:  # no list, no text, or not exactly one
            raise OutcomeUnknown("unreadable", str(error)) from None

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Cancel up to 50 orders: None where Kraken took it; the end comes on the stream.

        Of a batch Kraken only tells how many it ended: fewer than asked leaves each of them open.
        """
        try:
            if len(orders) == 1:
                answer = await self._transport.private("CancelOrder", **ordering.name_of(orders[0]))
            else:
                answer = await self._transport.private("CancelOrderBatch", **ordering.names_of(orders))
        except ExchangeError as error:
            return [error] * len(orders)
        count = answer.get("count")
        if count == len(orders) or answer.get("pending") is True:
            return [None] * len(orders)
        return [OutcomeUnknown("short_batch", f"{count} of {len(orders)} were cancelled")] * len(orders)

    async def amend(self, ref: OrderRef, price_ticks: int, lots: int) -> None:
        """Change price and whole quantity of a resting order, which keeps its queue place where it can.

        Raises:
            ExchangeError: as for `place`.
        """
        await self._transport.private(
            "AmendOrder",
            **ordering.name_of(ref),
            limit_price=self._scales.price_text(ref.symbol, price_ticks),
            order_qty=self._scales.quantity_text(ref.symbol, lots),
            post_only="true",
        )

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every open order of a symbol.  Kraken's own request for it would end those of all symbols,
        so they are listed, then cancelled.

        Raises:
            ExchangeError: the first failure that is not about an order that has ended by itself.
        """
        refs = [
            OrderRef(client_order_id="", exchange_order_id=one.exchange_order_id, symbol=symbol)
            for one in await self.open_orders()
            if one.symbol == symbol
        ]
        for start in range(0, len(refs), CANCEL_BATCH):
            for answer in await self.cancel(refs[start : start + CANCEL_BATCH]):
                ended = isinstance(answer, OrderRefused) and answer.code == errors.UNKNOWN_ORDER
                if isinstance(answer, ExchangeError) and not ended:
                    raise answer

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """One order; None when Kraken says it does not know it."""
        found = await self._history.order(ref)
        return None if found is None else self._snapshot(*found)

    async def open_orders(self) -> list[OrderSnapshot]:
        """All open orders on the listed symbols, foreign ones included."""
        answer = await self._transport.private("OpenOrders")
        orders = read(mapping, answer.get("open"), "open")
        shown = [self._snapshot(order_id, order) for order_id, order in orders.items()]
        return [one for one in shown if one is not None]

    def _snapshot(self, order_id: str, order: Any) -> OrderSnapshot | None:
        found = read(mapping, order, "order")
        one = read(rest_parsing.order_snapshot, self._scales, self._symbols, order_id, found)
        if one is not None:
            self._history.remember(order_id, one.client_order_id)
        return one

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Own executions from a time on, oldest first, all pages; client ids through the orders."""
        trades = await self._history.trades(since_ns)
        ours = [one for one in trades if self._symbols.get(str(one[1].get("pair"))) == symbol]
        ids = await self._history.client_ids([str(trade.get("ordertxid")) for _, trade in ours])
        reports = []
        for trade_id, trade in ours:
            client_order_id = ids.get(str(trade.get("ordertxid")), "")
            reports.append(
                read(rest_parsing.fill_report, self._scales, symbol, trade_id, trade, client_order_id)
            )
        return reports

    # --- account -----------------------------------------------------------------------------------------

    async def balances(self) -> dict[str, Decimal]:
        """Total (free and locked) of each asset."""
        answer = await self._transport.private("BalanceEx")
        return read(rest_parsing.balances, answer)

    async def positions(self) -> list[PositionSnapshot]:
        """None: spot has no positions."""
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """None: spot."""
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        """Have Kraken cancel every order of the account unless armed again in time; 0 disarms.  It fires
        once, and also after maintenance of the engine if the time ran out meanwhile.

        Raises:
            ExchangeError: it is not known to be armed.
        """
        await self._transport.private("CancelAllOrdersAfter", timeout=str(seconds))

    # --- streams -----------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> None:
        """Keep market and private streams up, with back-off, until cancelled."""
        greetings = {PUBLIC: (self._endpoint.ws, public_greeting(self._scales))}
        if self._credentials is not None:
            private = self._endpoint.ws_private or self._endpoint.ws
            greetings[PRIVATE] = (private, private_greeting(self._transport))
        decoder = self.decoder()
        renewing = Renewing(listener, decoder, self._scales, self._streams)
        for name, (url, greet) in greetings.items():
            self._streams[name] = Stream(
                name,
                url,
                listener=renewing,
                decoder=decoder,
                clock=self._clock,
                greet=greet,
                keeping=keeping(),
            )
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self._streams.values():
                    group.create_task(stream.run())
        finally:
            renewing.close()
            self._streams.clear()

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream; an empty name means all."""
        for name, one in self._streams.items():
            if stream in ("", name):
                one.drop()


def _with_fees(rules: InstrumentRules, volume: Mapping[str, Any]) -> InstrumentRules:
    maker, taker = rest_parsing.account_fees(volume, rules.native)
    return attrs.evolve(
        rules,
        maker_bps=rules.maker_bps if maker is None else maker,
        taker_bps=rules.taker_bps if taker is None else taker,
    )
