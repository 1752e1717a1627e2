"""A connector to copy: what each method of the port has to do, and which of them an exchange may not have.

Law: this file connects to nothing.  Copy it to ``grinder/connectors/<exchange>/connector.py`` (or into a
package of your own), fill in the methods from the top downwards, and run the contract suite after each:
`docs/exchanges.md` tells how.  `METHODS` is the table of what is needed when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NoReturn

from actors.ports import (
    Capabilities,
    Decoder,
    ExchangeError,
    Gap,
    InstrumentRules,
    Listener,
    OrderRef,
    OrderSnapshot,
    Permissions,
    Placed,
    PositionSnapshot,
    Signal,
)
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.connectors.converting import Scales
from grinder.connectors.endpoint import Endpoint
from grinder.secrets import Credentials

ALWAYS = "required"

METHODS: Mapping[str, str] = {
    "open": ALWAYS,
    "close": ALWAYS,
    "server_time_ns": ALWAYS,
    "permissions": ALWAYS,
    "rules": ALWAYS,
    "list_instruments": ALWAYS,
    "decoder": ALWAYS,
    "place": ALWAYS,
    "cancel": ALWAYS,
    "cancel_all": "required; in a loop where `capabilities.cancel_all` is False",
    "order": ALWAYS,
    "open_orders": ALWAYS,
    "fills": ALWAYS,
    "balances": ALWAYS,
    "positions": "an empty list where `capabilities.positions` is False",
    "fundings": "optional: never asked where `capabilities.fundings` is False",
    "arm_dead_man": "raises where `capabilities.dead_man` is empty",
    "listen": ALWAYS,
    "reconnect": ALWAYS,
}
"""Method of the port -> when it is needed."""

PRODUCTION: Endpoint | None = None
"""The exchange's own addresses."""

TESTNET: Endpoint | None = None
"""Those of its test network; None where there is none."""


class TemplateDecoder:
    """Frames to signals: a pure function of the frames so far; the same frames give the same signals."""

    def __init__(self, scales: Scales) -> None:
        self._scales = scales

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """Read with `converting.read_json` and `Scales`; whatever raises `Unreadable` is a `Gap`.

        Quotes need a sequence number or a checksum where the exchange has one: a break in it is a `Gap` too.
        An order's event gives the `FillReport` first and the `OrderSnapshot` after it.  A status you do not
        know is `SnapshotStatus.UNREADABLE`.
        """
        return (Gap(stream=stream, detail="nothing can be read yet"),)


class TemplateConnector:
    """One account on one exchange; `credentials` None is market data alone.

    Args:
        clock: ns; the only clock there is (the loop's own `sleep` aside).
    """

    name: ClassVar[str] = "template"
    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._clock = clock
        self._scales = Scales({}, {})

    async def open(self) -> None:
        """Make the HTTP session (time-out 5 s) and measure the exchange's clock.

        Sign requests with the exchange's clock; measure it again after a request was refused for its time.
        """
        _missing()

    async def close(self) -> None:
        """Close the session; closing twice does nothing."""
        _missing()

    async def server_time_ns(self) -> int:
        """The exchange's clock, ns."""
        _missing()

    async def permissions(self) -> Permissions:
        """What the key may do.  A key that can withdraw must be told: a run with it is refused."""
        _missing()

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """Steps as `Decimal` of the exchange's own text; symbols it does not know are left out."""
        _missing()

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """Keep the scales; called again when the exchange changed its filters."""
        self._scales = Scales(instruments, fee_prices)

    def decoder(self) -> Decoder:
        """A fresh decoder; it is made without a connection too, to read a tape."""
        return TemplateDecoder(self._scales)

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send orders under exactly our client order ids; one answer each, in order.

        `OrderRefused` is only for what the exchange certainly did not do.  A time-out, a 5xx, a page of HTML,
        an item the answer leaves out, a duplicate id (an order of it exists!) are `OutcomeUnknown`.
        `Placed.resting` is True only where the answer says so; where it never does, `acknowledges` is False.
        """
        _missing()

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Name an order by the exchange's id where it is known.  None: received, the end comes on the stream.

        "No such order" is `OrderRefused`, never a snapshot: it may have been filled a moment ago.
        """
        _missing()

    async def cancel_all(self, symbol: str) -> None:
        """Every order of the symbol, foreign ones too; raises what kept it from being done."""
        _missing()

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """None only when the exchange says that it does not know the order."""
        _missing()

    async def open_orders(self) -> list[OrderSnapshot]:
        """All pages.  A row that cannot be read is no reason to leave it out: raise `Unavailable`."""
        _missing()

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """All pages, oldest first, each once, under the ids the stream gives them (`Scales.fill`)."""
        _missing()

    async def balances(self) -> dict[str, Decimal]:
        """Free and locked together."""
        _missing()

    async def positions(self) -> list[PositionSnapshot]:
        """Spot has none."""
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Perpetuals only: what was paid while nobody listened is found here.

        The id must be the one the stream gives the same payment; where the stream gives none, tell of
        payments from this list alone.
        """
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        """0 disarms.  Raises when it is not known to be armed."""
        _missing()

    async def listen(self, listener: Listener) -> None:
        """Run one `grinder.connectors.streams.Stream` for each connection in a task group.

        A stream greets (logs in, subscribes) and waits for every confirmation before it counts as up.  It
        tells each frame, what it meant, and where it ends: only there are its prices looked at.
        """
        _missing()

    def reconnect(self, stream: str) -> None:
        """`Stream.drop` of the named one; of all when the name is empty."""
        _missing()


def _missing() -> NoReturn:
    raise NotImplementedError("copied from the template and not written yet")
