"""What the core needs from an exchange: two ports, one for the core, one for the wire.

Law: an `ExchangeSession` carries out intents and tells what happened as reports; it decides nothing.  It is
handed only intents that are durable, unless it says that nothing it does outlives the process.  A `Connector`
is one exchange's wire: it says what the exchange said, in integers, and never guesses.  What an exchange left
open is `OutcomeUnknown`, never success and never refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Protocol

import attrs

from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.record import Record


class ExchangeSession(Protocol):
    """An exchange, real or simulated, as an edge of the core.

    Attributes:
        outlives_process: whether what it does remains when this process dies.  True for every real
            exchange: intents then leave only after the commit that holds them.  The simulated exchange of a
            backtest lives and dies with the process, so it may be handed intents ahead of the commit, which
            then groups many inputs.
    """

    outlives_process: ClassVar[bool]

    def submit(self, intent: Record, now_ns: int) -> None:
        """Carry out an `OrderSubmitted` or a `CancelSubmitted`; answers come back as reports."""


# --- what a connector can fail with --------------------------------------------------------------------


class ExchangeError(Exception):
    """What an exchange, or the way to it, answered instead of doing as asked.

    Args:
        code: the exchange's own code, or a word of ours in lower case where it gave none.
        text: its words (never a secret).
    """

    def __init__(self, code: str, text: str = "") -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}" if text else code)


class OrderRefused(ExchangeError):
    """The exchange certainly did not do it and says why."""


class OutcomeUnknown(ExchangeError):
    """It may or may not have been done: time-out, 5xx, a "status unknown" code, an answer nobody can read."""


class RateLimited(ExchangeError):
    """Certainly not done: too many requests.  `retry_after_s` seconds; `banned` after a 418 or 403."""

    def __init__(self, code: str, text: str, retry_after_s: float, *, banned: bool = False) -> None:
        super().__init__(code, text)
        self.retry_after_s = retry_after_s
        self.banned = banned


class ClockSkewed(ExchangeError):
    """Certainly not done: our timestamp lies outside the exchange's window."""


class AuthenticationFailed(ExchangeError):
    """Certainly not done: key, signature, address or permission."""


class Unavailable(ExchangeError):
    """A reading request failed; nothing was changed by it.  Also: announced maintenance."""


# --- what a connector says -----------------------------------------------------------------------------


class SnapshotStatus(StrEnum):
    """What an exchange says of an order."""

    PENDING = "pending"
    """Received, not yet resting (exchanges whose acknowledgement is asynchronous)."""
    WORKING = "working"
    """Rests, whatever of it is filled."""
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNREADABLE = "unreadable"
    """A status this connector does not know: never taken for success or failure."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What an exchange can do; the contract suite holds a connector to each of them.

    Attributes:
        place_batch, cancel_batch: most orders in one request; 1 where there is no batch.
        amend: a resting order can be changed in place.
        dead_man: ``account``, ``symbol``, or empty where the exchange has none.
        dead_man_s: shortest and longest time it can be armed for.
        acknowledges: a placed order's answer says that it rests; False where that comes later on the stream.
        ids_unique_for_ever: a client order id is refused even after its order ended.
        positions: it has perpetual positions.
        cancel_all: most orders of a symbol can be cancelled by one request.
        fundings: funding that was exchanged can be listed afterwards.
        order_rate: order requests the exchange takes in a time, as (requests, seconds); (0, 0) where it does
            not say.
        order_valid_s: an order's request that arrives later than this after it was signed is refused; 0
            where an exchange takes it however late it comes.
    """

    place_batch: int = 1
    cancel_batch: int = 1
    amend: bool = False
    dead_man: str = ""
    dead_man_s: tuple[int, int] = (0, 0)
    acknowledges: bool = True
    ids_unique_for_ever: bool = False
    positions: bool = False
    cancel_all: bool = False
    fundings: bool = False
    order_rate: tuple[int, int] = (0, 0)
    order_valid_s: int = 0


@attrs.frozen(kw_only=True)
class InstrumentRules:
    """What an exchange publishes of one symbol; decimals, because the integer scales are chosen from them.

    Attributes:
        symbol: the name used in the configuration (``BTCUSDT``); `native` is the exchange's own.
        kind: ``spot`` or ``linear``.
        tick, lot, min_notional, min_quantity: 0 where there is none.
        contract: base asset in one contract, where the exchange counts sizes in contracts; steps and least
            quantities are of the base asset all the same.
        maker_bps, taker_bps: fees of this account; None where the exchange does not say.
        trading: whether orders are taken now.
    """

    symbol: str
    native: str
    kind: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_notional: Decimal = Decimal(0)
    min_quantity: Decimal = Decimal(0)
    max_orders: int = 0
    contract: Decimal = Decimal(0)
    maker_bps: Decimal | None = None
    taker_bps: Decimal | None = None
    trading: bool = True


@attrs.frozen(kw_only=True)
class Permissions:
    """What a key may do."""

    trade: bool
    withdraw: bool
    text: str = ""


@attrs.frozen(kw_only=True)
class OrderRef:
    """How to name an order to an exchange; `exchange_order_id` is empty while unknown."""

    client_order_id: str
    exchange_order_id: str
    symbol: str


@attrs.frozen(kw_only=True)
class Placed:
    """An exchange took an order: `resting` only if it said so (see `Capabilities.acknowledges`)."""

    exchange_order_id: str
    resting: bool


@attrs.frozen(kw_only=True)
class OrderSnapshot:
    """An order as the exchange sees it; `filled_lots` counts all of it so far.

    Attributes:
        client_order_id: empty for an order placed without one (never ours).
        reason: why it ended, in the exchange's words, empty otherwise.
        price_ticks: 0 for a market order.
    """

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: str
    status: SnapshotStatus
    price_ticks: int
    lots: int
    filled_lots: int
    reason: str = ""


@attrs.frozen(kw_only=True)
class PositionSnapshot:
    """A perpetual position as the exchange sees it: base units, signed."""

    symbol: str
    base_units: int


@attrs.frozen(kw_only=True)
class Quote:
    """Best quotes of a symbol.  Times in ns; `exchange_ns` is 0 where the exchange does not say."""

    symbol: str
    bid_ticks: int
    ask_ticks: int
    bid_lots: int
    ask_lots: int
    exchange_ns: int
    received_ns: int


@attrs.frozen(kw_only=True)
class Trade:
    """A public trade; `buyer_took` is the aggressor's side."""

    symbol: str
    trade_id: str
    price_ticks: int
    lots: int
    buyer_took: bool
    exchange_ns: int
    received_ns: int


@attrs.frozen(kw_only=True)
class Gap:
    """A stream lost something: a sequence number, a checksum, a connection.  What it serves is stale."""

    stream: str
    detail: str


@attrs.frozen(kw_only=True)
class Expired:
    """A private stream ends by itself (listen key, session, announced shutdown): renew it, then backfill."""

    stream: str
    detail: str


Signal = Quote | Trade | OrderSnapshot | FillReport | FundingReport | Gap | Expired
"""Everything a frame can mean."""


class Decoder(Protocol):
    """Frames to signals: no I/O, no clock, so a tape decodes as the live run did."""

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a raw frame says.  A frame nobody can read is a `Gap` naming it, never an exception."""


class Listener(Protocol):
    """Who is told what the streams bring; every call is on the loop the connector runs on."""

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """A raw frame, before it is decoded."""

    def signal(self, stream: str, signal: Signal) -> None:
        """What a frame meant."""

    def frame_end(self, stream: str) -> None:
        """Everything a frame meant has been told: what it leads to need not wait."""

    def stream_up(self, stream: str) -> None:
        """A stream is connected and subscribed."""

    def stream_down(self, stream: str, reason: str) -> None:
        """A stream is gone; the connector reconnects by itself, with back-off."""


class Connector(Protocol):
    """One account on one exchange, over the wire.  Every method but `list_instruments` and `decoder` is I/O.

    Reading requests raise `Unavailable`, `RateLimited`, `ClockSkewed` or `AuthenticationFailed`.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    async def open(self) -> None:
        """Become able to make requests; measures the exchange's clock."""

    async def close(self) -> None:
        """Release every connection; no request may follow."""

    async def server_time_ns(self) -> int:
        """The exchange's clock, ns."""

    async def permissions(self) -> Permissions:
        """What the key may do."""

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """Rules of the symbols the exchange knows; unknown ones are missing from the answer."""

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The integer scales to speak in from now on, and the worth of one whole unit of a third fee asset in
        quote units."""

    def decoder(self) -> Decoder:
        """A fresh decoder for the listed instruments."""

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send orders (at most `place_batch`); one answer each, in order.  A failure of the whole request is
        the answer of each."""

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Cancel orders (at most `cancel_batch`): a snapshot where the answer shows the end, None where
        the cancel was only received."""

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every order of a symbol, ours or not.  For emergencies of accounts that are ours alone."""

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """One order; None when the exchange says it does not know it."""

    async def open_orders(self) -> list[OrderSnapshot]:
        """All open orders on the listed symbols, foreign ones included."""

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Own executions from a time on, oldest first, all pages.  Those for which the exchange tells no
        client order id carry an empty one and the exchange's."""

    async def balances(self) -> dict[str, Decimal]:
        """Total (free and locked) of each asset."""

    async def positions(self) -> list[PositionSnapshot]:
        """Perpetual positions; empty for spot."""

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Funding exchanged on the listed symbols from a time on, oldest first, all pages, each once.

        A payment has the id the private stream tells it under, so that both together book it once.
        """

    async def arm_dead_man(self, seconds: int) -> None:
        """Have the exchange cancel everything unless armed again in time; 0 disarms."""

    async def listen(self, listener: Listener) -> None:
        """Keep market and private streams up, with back-off, until cancelled."""

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream that is up but silent; an empty name means all."""
