"""The simulated exchange in the process: a connector without a wire.

Law: keeps `actors.ports.Connector` on a `replay.exchange.desk.Desk`, and lets the fault plan stand between
the two with the meanings a wire server gives it: a dropped request never reaches the desk, a dropped answer
was carried out.  It waits by `asyncio.sleep` only: on a virtual-time loop everything it does is reproducible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, TypeVar

import attrs

from actors.ports import (
    Capabilities,
    ClockSkewed,
    Decoder,
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
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from domain.account_state import Order
from domain.books import Position
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from domain.units import from_units
from grinder.simulated import told
from grinder.simulated.frames import FrameDecoder
from grinder.simulated.local_streams import LocalStreams
from grinder.simulated.restoring import restore
from grinder.simulated.timers import Timers
from replay.exchange.desk import Desk
from replay.exchange.desk_faults import befall
from replay.exchange.desk_view import DeskView
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import Reject
from replay.faults import Fault, FaultPlan

NS = 1_000_000_000
TIMEOUT_S = 5.0
EARLY_NS, LATE_NS = NS, 5 * NS
"""How far a request's time may be ahead of the exchange's, and behind it."""

UNREADABLE_BODY = frozenset({"html_body", "truncated_body"})
NEVER_ARRIVES = frozenset({"drop_request", "late_order"})

T = TypeVar("T")
R = TypeVar("R")


class SimulatedConnector:
    """One account on a simulated exchange in this process.

    Args:
        desk: the exchange; orders, balances and filters are there.
        faults: what goes wrong; nothing by default.
        clock: ns since 1970, monotone.
        latency_s: from here to the exchange, and back, each way.
        timeout_s: how long an answer is waited for before its outcome is unknown.
        fill_prefix: what the ids of executions begin with.
        stream_prefix: what the names of the streams begin with.
    """

    name: ClassVar[str] = "simulated"
    capabilities: ClassVar[Capabilities] = Capabilities(
        place_batch=20,
        cancel_batch=20,
        amend=False,
        dead_man="account",
        dead_man_s=(1, 86_400),
        acknowledges=True,
        ids_unique_for_ever=True,
        positions=True,
        cancel_all=True,
        fundings=True,
    )

    def __init__(
        self,
        desk: Desk,
        faults: FaultPlan | None = None,
        *,
        clock: Callable[[], int],
        latency_s: float = 0.0,
        timeout_s: float = TIMEOUT_S,
        fill_prefix: str = "",
        stream_prefix: str = "",
    ) -> None:
        self.desk = desk
        self.faults = faults or FaultPlan()
        self.clock = clock
        self.latency_s = latency_s
        self.timeout_s = timeout_s
        self.fill_prefix = fill_prefix
        self._offset_ns = 0
        self._rows = 0
        self._timers = Timers()
        self.streams = LocalStreams(self.faults, clock, latency_s, fill_prefix, stream_prefix)
        desk.listeners.append(self.streams.on_update)
        desk.funding_listeners.append(self.streams.on_funding)

    # --- life ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Measure the exchange's clock."""
        await self.server_time_ns()

    async def close(self) -> None:
        """End what is under way; orders stay as they are."""
        self._timers.cancel()
        self.streams.close()

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """Check that the scales are those of the desk.

        Raises:
            ValueError: a symbol the exchange does not have, or with another scale.
        """
        for symbol, one in instruments.items():
            own = self.desk.instruments.get(symbol)
            if own is None or _scale(own) != _scale(one):
                raise ValueError(f"{symbol} is not listed here on this scale")

    def restore(
        self, orders: Mapping[str, Order], totals: Mapping[str, int], positions: Mapping[str, Position]
    ) -> None:
        """Hold what the books of an earlier life say (see `grinder.simulated.restoring.restore`)."""
        restore(self.desk, orders, totals, positions, self.clock())

    def decoder(self) -> Decoder:
        """A decoder of the frames this connector's listener is shown."""
        return FrameDecoder()

    # --- the market ------------------------------------------------------------------------------------

    def push(self, symbol: str, row: MarketRow, *, announce: bool = True) -> None:
        """A row of the market happens: orders may be executed, and listeners hear of quote and trade.

        Args:
            announce: whether the market stream tells it (not needed where the market comes from elsewhere).
        """
        now_ns = self.clock()
        self.desk.tick(now_ns)
        before = self.desk.quote(symbol)
        self.desk.on_row(symbol, row)
        fault = self.faults.draw("market", now_ns, symbol)
        if fault is not None and befall(self.desk, fault, now_ns) is False:
            self.faults.had_no_effect(fault)
        self._rows += 1
        signals = told.market_signals(symbol, row, before, self._rows, now_ns) if announce else []
        self.streams.on_market(signals, fault)

    def on_row(self, symbol: str, row: MarketRow) -> None:
        """The same as `push`."""
        self.push(symbol, row)

    # --- reading ---------------------------------------------------------------------------------------

    async def server_time_ns(self) -> int:
        """The exchange's clock; requests are stamped by it from now on."""

        def read(view: DeskView) -> int:
            now_ns = self.clock()
            self._offset_ns = self.faults.drift_ns(now_ns)
            return now_ns + self._offset_ns

        return await self._read("time", read, signed=False)

    async def permissions(self) -> Permissions:
        """A simulated key may trade, and nothing can be withdrawn with it."""
        return Permissions(trade=True, withdraw=False, text="simulated")

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        """What the exchange publishes of the symbols it has."""

        def read(view: DeskView) -> dict[str, InstrumentRules]:
            desk = self.desk
            known = [symbol for symbol in symbols if symbol in desk.instruments]
            return {one: told.published(desk.instruments[one], desk.filters[one]) for one in known}

        return await self._read("rules", read, signed=False)

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        """One order; None when the exchange does not know it."""

        def read(view: DeskView) -> OrderSnapshot | None:
            found = view.find(
                client_order_id="" if ref.exchange_order_id else ref.client_order_id,
                exchange_order_id=ref.exchange_order_id,
            )
            return told.snapshot(found) if found is not None else None

        found, fault = await self._reading("order", read)
        if found is not None and fault == "unknown_status":
            return _bewildered(found)
        return found

    async def open_orders(self) -> list[OrderSnapshot]:
        """All open orders, those of others included."""

        def read(view: DeskView) -> list[OrderSnapshot]:
            return [told.snapshot(one) for one in view.open_orders()]

        found, fault = await self._reading("open_orders", read)
        if found and fault == "unknown_status":
            found[0] = _bewildered(found[0])
        return found

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Own executions from a time on, oldest first."""

        def read(view: DeskView) -> list[FillReport]:
            return [told.fill(one, self.fill_prefix) for one in view.executions(symbol, since_ns)]

        return await self._read("fills", read)

    async def balances(self) -> dict[str, Decimal]:
        """Total of each asset, free and locked."""

        def read(view: DeskView) -> dict[str, Decimal]:
            found = view.totals()
            return {
                asset: from_units(free + locked, self.desk.decimals(asset))
                for asset, (free, locked) in found.items()
            }

        return await self._read("balances", read)

    async def positions(self) -> list[PositionSnapshot]:
        """Perpetual positions."""

        def read(view: DeskView) -> list[PositionSnapshot]:
            held = view.positions()
            return [PositionSnapshot(symbol=name, base_units=units) for name, (units, _) in held.items()]

        return await self._read("positions", read)

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Funding exchanged from a time on, oldest first."""

        def read(view: DeskView) -> list[FundingReport]:
            return [report for _, report in view.fundings(since_ns)]

        return await self._read("fills", read)

    # --- writing ---------------------------------------------------------------------------------------

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """Send orders; one answer each."""
        return await self._write("place", orders, self._place)

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        """Cancel orders; one answer each."""
        return await self._write("cancel", orders, self._cancel)

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every order of a symbol."""

        def carry_out(one: str) -> None:
            for order in self.desk.open_orders(one):
                self.desk.cancel(order, self.clock())

        for answer in await self._write("cancel", [symbol], carry_out):
            if answer is not None:
                raise answer

    async def arm_dead_man(self, seconds: int) -> None:
        """Have the exchange cancel everything unless armed again in time; 0 disarms."""

        def carry_out(one: int) -> None:
            self.desk.arm(one, self.clock())
            if one:
                self._timers.later(one, lambda: self.desk.tick(self.clock()))

        for answer in await self._write("dead_man", [seconds], carry_out):
            if answer is not None:
                raise answer

    async def listen(self, listener: Listener) -> None:
        """Tell a listener what the streams bring, until cancelled."""
        await self.streams.listen(listener)

    def reconnect(self, stream: str) -> None:
        """Drop and renew a stream; an empty name means both."""
        self.streams.reconnect(stream)

    # --- the exchange's side ---------------------------------------------------------------------------

    def _place(self, terms: OrderTerms) -> Placed | ExchangeError:
        order = self.desk.place(terms, self.clock())
        if order.reject is not None:
            return OrderRefused(order.reject.code, order.reject.text)
        return Placed(exchange_order_id=order.exchange_id, resting=True)

    def _cancel(self, ref: OrderRef) -> OrderSnapshot | ExchangeError | None:
        order = self.desk.find(
            client_order_id="" if ref.exchange_order_id else ref.client_order_id,
            exchange_order_id=ref.exchange_order_id,
        )
        if order is None or not self.desk.cancel(order, self.clock()):
            return _refused_cancel()
        return told.snapshot(order)

    # --- between the two -------------------------------------------------------------------------------

    async def _write(
        self, operation: str, items: Sequence[T], carry_out: Callable[[T], R]
    ) -> list[R | ExchangeError]:
        """Send a request for several things; what befalls the request befalls each of them."""
        await asyncio.sleep(self.latency_s)
        fault = self.faults.draw(operation, self.clock())
        refusal = self._refusal(fault, signed=True)
        kind = fault.kind if fault else ""
        if refusal is None and kind == "cancel_refused":
            refusal = _refused_cancel()
        if refusal is not None:
            await asyncio.sleep(self.latency_s)
            return [refusal for _ in items]
        arrives = kind not in NEVER_ARRIVES and not (
            fault and kind == "status_unknown" and fault.chance % 2 == 0
        )
        answers: list[R | ExchangeError] = [carry_out(one) for one in items] if arrives else []
        if fault is not None and kind == "late_order":
            self._timers.later(fault.seconds, lambda: [carry_out(one) for one in items])
        if fault is not None:
            unknown = await self._unanswered(fault)
            if unknown is not None:
                return [unknown for _ in items]
        await asyncio.sleep(self.latency_s)
        if kind == "short_batch" and answers:
            answers[-1] = OutcomeUnknown("short_batch", "the answer holds fewer items than the request")
        return answers

    async def _unanswered(self, fault: Fault) -> OutcomeUnknown | None:
        """Wait as long as a fault makes its request wait; the error when no answer comes of it."""
        if fault.kind == "delay_reply" and fault.seconds < self.timeout_s:
            await asyncio.sleep(fault.seconds)
            return None
        if fault.kind in ("drop_request", "drop_reply", "late_order", "delay_reply"):
            await asyncio.sleep(self.timeout_s)
            return OutcomeUnknown("time_out", "no answer in time")
        if fault.kind == "status_unknown":
            return OutcomeUnknown("status_unknown", "the exchange does not know the outcome")
        return OutcomeUnknown("unreadable", fault.kind) if fault.kind in UNREADABLE_BODY else None

    async def _read(self, operation: str, read: Callable[[DeskView], T], *, signed: bool = True) -> T:
        return (await self._reading(operation, read, signed=signed))[0]

    async def _reading(
        self, operation: str, read: Callable[[DeskView], T], *, signed: bool = True
    ) -> tuple[T, str]:
        """Make a reading request; also the kind of the fault that is left to apply to what it read."""
        await asyncio.sleep(self.latency_s)
        now_ns = self.clock()
        self.desk.tick(now_ns)
        fault = self.faults.draw(operation, now_ns)
        refusal = self._refusal(fault, signed=signed)
        if refusal is None and fault is not None:
            unknown = await self._unanswered(fault)
            if unknown is not None or fault.kind in ("null_price", "negative_fill"):
                refusal = Unavailable("unreadable" if unknown is None else unknown.code, fault.kind)
        if refusal is not None:
            await asyncio.sleep(self.latency_s)
            raise refusal
        view = DeskView.under(self.desk, self.faults, fault, now_ns)
        found = read(view)
        if fault is not None and view.missed(fault.kind):
            self.faults.had_no_effect(fault)
        await asyncio.sleep(self.latency_s)
        return found, fault.kind if fault else ""

    def _refusal(self, fault: Fault | None, *, signed: bool) -> ExchangeError | None:
        """Why the exchange does not look at a request at all, if it does not."""
        now_ns = self.clock()
        if fault is not None and fault.kind in ("rate_limit", "ban"):
            banned = fault.kind == "ban"
            return RateLimited(fault.kind, "too many requests", fault.retry_after, banned=banned)
        if fault is not None and fault.kind == "maintenance":
            return Unavailable("maintenance", "the exchange is closed for maintenance")
        ahead_ns = self._offset_ns - self.faults.drift_ns(now_ns)
        if signed and not -LATE_NS <= ahead_ns <= EARLY_NS:
            return ClockSkewed("-1021", "Timestamp for this request is outside of the recvWindow.")
        return None


def _refused_cancel() -> OrderRefused:
    return OrderRefused(Reject.UNKNOWN_ORDER.code, Reject.UNKNOWN_ORDER.text)


def _bewildered(order: OrderSnapshot) -> OrderSnapshot:
    """An order whose status is a word nobody knows."""
    return attrs.evolve(order, status=SnapshotStatus.UNREADABLE, reason="BEWILDERED")


def _scale(one: Instrument) -> tuple[str, int, int, int, int, int]:
    return (
        one.kind,
        one.price_decimals,
        one.tick_size,
        one.base_decimals,
        one.base_per_lot,
        one.quote_decimals,
    )
