"""Executions and funding fetched from where the last fetch ended, with an overlap.

Law: a cursor moves only after a complete answer; every execution and every payment goes through the merger,
which knows which are booked.  What REST has and the stream owes us for too long shows that the stream is
stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.ports import ExchangeError
from domain.inputs import FillReport
from domain.instrument import LINEAR
from grinder.live.session.merging import REST, SYNTHETIC, Merger
from grinder.live.session.resolving import Resolving
from grinder.live.session.settings import FIRST_DELAY_S, NS, next_delay_s
from grinder.live.session.wire import Wire

_WIDE_AFTER = 2
"""Fetches in vain after which the whole look-back is fetched."""


class Backfilling:
    """A cursor for each symbol, and one for funding."""

    def __init__(self, wire: Wire, merger: Merger, resolving: Resolving) -> None:
        self.wire = wire
        self.merger = merger
        self.resolving = resolving
        self.on_stale: Callable[[str], None] = lambda detail: None
        self.stream_up_ns = 0
        """When the private stream came up; 0 while it is down."""
        self.booked = 0
        """Executions told so far, whatever their source."""
        self._cursor: dict[str, int] = {}
        self._funding_cursor = 0
        self._owed: dict[str, int] = {}
        self._trusted = False
        self._soon: dict[str, bool] = {}

    def symbols(self) -> list[str]:
        """What is traded, by name."""
        return sorted(self.wire.books().instruments)

    def since_ns(self, symbol: str, *, wide: bool = False) -> int:
        """From when executions are to be fetched."""
        settings, now = self.wire.settings, self.wire.clock()
        look_back = now - int(settings.look_back_s * NS)
        overlap = int(settings.overlap_s * NS)
        if wide:
            return look_back
        cursor = self._cursor.get(symbol)
        if cursor is not None:
            return cursor - overlap
        return max(look_back, settings.known_until_ns - overlap) if settings.known_until_ns else look_back

    async def symbol(self, symbol: str, *, wide: bool = False) -> bool:
        """Fetch a symbol's executions; False when there was no answer."""
        wire, start = self.wire, self.wire.clock()
        since = self.since_ns(symbol, wide=wide)
        before = self._cursor.get(symbol, 0)
        try:
            fills = await wire.read("fills", lambda: wire.connector.fills(symbol, since))
        except ExchangeError:
            return False
        overlap = int(wire.settings.overlap_s * NS)
        # The stream owes us only what happened while it was up the whole time.
        self._trusted = bool(self.stream_up_ns) and before - overlap > self.stream_up_ns
        complete = True
        for fill in self.merger.nameless(fills):
            if fill.fill_id.startswith(SYNTHETIC):
                complete = await self._nameless(fill) and complete
            else:
                self.merger.fill(fill, REST)
        self._trusted = False
        if complete:
            self._cursor[symbol] = max(start, self._cursor.get(symbol, 0))
        return complete

    async def all(self) -> bool:
        """Fetch every symbol's executions; False when any had no answer."""
        complete = True
        for symbol in self.symbols():
            complete = await self.symbol(symbol) and complete
        return complete

    async def _nameless(self, fill: FillReport) -> bool:
        """Book an execution without an id only as far as the order itself says that more is filled."""
        order_id = self.merger.order_id(fill.client_order_id, fill.exchange_order_id)
        order = self.wire.order(order_id)
        if order is None or fill.fill_id in order.fill_ids:
            return True
        try:
            seen = await self.resolving.query(order_id)
        except ExchangeError:
            return False
        order = self.wire.order(order_id)
        if seen is not None and order is not None and order.filled_lots + fill.lots <= seen.filled_lots:
            self.merger.fill(fill, REST)
        return True

    # --- funding ---------------------------------------------------------------------------------------

    def funding_since_ns(self) -> int:
        """From when funding is to be fetched; what was paid before the books were opened is in them already.

        However long no process ran, all of it is fetched: nothing else would ever tell of it.
        """
        settings = self.wire.settings
        reached = self._funding_cursor or settings.known_until_ns
        if not reached:
            reached = self.wire.clock() - int(settings.look_back_s * NS)
        return max(reached - int(settings.funding_overlap_s * NS), settings.opened_ns)

    async def funding(self) -> bool:
        """Fetch the funding of every perpetual; False when there was no answer."""
        wire, start = self.wire, self.wire.clock()
        perpetual = any(one.kind == LINEAR for one in wire.books().instruments.values())
        if not (perpetual and wire.connector.capabilities.fundings):
            return True
        since = self.funding_since_ns()
        try:
            payments = await wire.read("fundings", lambda: wire.connector.fundings(since))
        except ExchangeError:
            return False
        for payment in payments:
            if self.merger.funding(payment):
                wire.log.info("funding_fetched", funding=payment.funding_id, symbol=payment.symbol)
        self._funding_cursor = max(start, self._funding_cursor)
        return True

    # --- on demand -------------------------------------------------------------------------------------

    def soon(self, symbol: str) -> None:
        """Fetch a symbol's executions after a grace for the stream, until nothing is missing."""
        if symbol in self._soon or self.wire.stopped:
            return
        self._soon[symbol] = True
        self.wire.spawn(self._until_complete(symbol))

    async def _until_complete(self, symbol: str) -> None:
        delay, tries = FIRST_DELAY_S, 0
        try:
            await asyncio.sleep(self.wire.settings.fill_grace_s)
            while True:
                await self.symbol(symbol, wide=tries >= _WIDE_AFTER)
                tries += 1
                missing = self._missing(symbol)
                if not missing:
                    return
                if tries == _WIDE_AFTER + 3:
                    text = f"executions of {', '.join(missing)} are missing from the exchange's list"
                    self.wire.alert("CRITICAL", "fills_missing", text, symbol)
                await asyncio.sleep(delay)
                delay = next_delay_s(delay)
        finally:
            self._soon.pop(symbol, None)

    def _missing(self, symbol: str) -> list[str]:
        """Orders of a symbol of which the exchange has filled more than is booked."""
        for order_id in list(self.merger.short):
            self.merger.settle(order_id)
        orders = self.wire.books().orders
        return sorted(i for i in self.merger.short if orders[i].symbol == symbol)

    # --- what the stream owes --------------------------------------------------------------------------

    def late(self, fill: FillReport) -> None:
        """REST had an execution first."""
        if self._trusted and fill.client_order_id not in self.merger.unnamed:
            self._owed[fill.fill_id] = self.wire.clock()

    def delivered(self, fill_id: str) -> None:
        """The stream brought an execution."""
        self._owed.pop(fill_id, None)

    def audit(self) -> None:
        """See whether the stream owes us something for too long."""
        limit = self.wire.clock() - int(self.wire.settings.stale_after_s * NS)
        late = [fill_id for fill_id, seen_ns in self._owed.items() if seen_ns <= limit]
        if late:
            self._owed.clear()
            self.on_stale(f"{len(late)} executions were found by REST only, such as {late[0]}")
