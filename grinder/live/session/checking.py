"""What is checked now and then: the exchange's clock, the instruments' rules, orders that are stuck.

Law: a check pauses or lists anew, it never trades.  A step that changed pauses its symbol, because prices and
quantities in the books are counted in it; a fee or a minimum that changed is simply listed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

from actors.ports import ExchangeError, InstrumentRules
from domain.inputs import NoAnswerReport
from domain.instrument import Instrument, ListInstrument, contract_units
from domain.orders import OrderStatus
from domain.units import from_units
from grinder.live.session.cancelling import Cancelling
from grinder.live.session.pausing import CLOCK_DRIFT, INSTRUMENT_CHANGED, NOT_TRADING, Pauses
from grinder.live.session.placing import Placing
from grinder.live.session.resolving import Resolving
from grinder.live.session.settings import NS
from grinder.live.session.wire import Wire, changed

_SOONEST_RULES_NS = 60 * NS


class ClockCheck:
    """The difference between the exchange's clock and ours."""

    def __init__(self, wire: Wire, pauses: Pauses) -> None:
        self.wire = wire
        self.pauses = pauses
        self.drift_ns = 0
        self._asking = False

    async def check(self) -> None:
        """Measure; pause while the difference is too large."""
        wire = self.wire
        before = wire.clock()
        try:
            theirs = await wire.read("time", wire.connector.server_time_ns)
        except ExchangeError:
            return
        after = wire.clock()
        self.drift_ns = theirs - (before + after) // 2
        limit = wire.settings.drift_max_ms * 1_000_000 + (after - before) // 2
        if abs(self.drift_ns) > limit:
            self.pauses.pause(CLOCK_DRIFT, f"the exchange's clock differs by {self.drift_ns / NS:+.3f} s")
        else:
            self.pauses.resume(CLOCK_DRIFT)

    def soon(self) -> None:
        """Measure now: the exchange says our time is wrong."""
        if not self._asking:
            self._asking = True
            self.wire.spawn(self._once())

    async def _once(self) -> None:
        try:
            await self.check()
        finally:
            self._asking = False


class RulesCheck:
    """The rules of the instruments as the exchange publishes them."""

    def __init__(self, wire: Wire, pauses: Pauses) -> None:
        self.wire = wire
        self.pauses = pauses
        self._known: dict[str, InstrumentRules] = {}
        self._asked_ns = -_SOONEST_RULES_NS
        self._asking = False

    async def check(self) -> None:
        """Read the rules; pause what changed its steps, list anew what changed its fees or minimum."""
        wire = self.wire
        self._asked_ns = wire.clock()
        symbols = sorted(wire.books().instruments)
        if not symbols:
            return
        try:
            rules = await wire.read("rules", lambda: wire.connector.rules(symbols))
        except ExchangeError:
            return
        for symbol in symbols:
            if symbol in rules:
                self._compare(wire.books().instruments[symbol], rules[symbol])

    def soon(self, symbol: str) -> None:
        """Read the rules now: an order was refused because of one."""
        if self._asking or self.wire.clock() - self._asked_ns < _SOONEST_RULES_NS:
            return
        self._asking = True
        self.wire.spawn(self._once())

    async def _once(self) -> None:
        try:
            await self.check()
        finally:
            self._asking = False

    def _compare(self, instrument: Instrument, rules: InstrumentRules) -> None:
        symbol = instrument.symbol
        contract = from_units(contract_units(instrument), instrument.base_decimals)
        steps = (Decimal(instrument.tick), Decimal(instrument.lot), contract)
        if (rules.tick, rules.lot, rules.contract) != steps:
            text = f"tick and lot were {steps[0]} and {steps[1]}, now {rules.tick} and {rules.lot}"
            if rules.contract != contract:
                text += f"; a contract was {contract}, now {rules.contract}"
            self.pauses.pause(INSTRUMENT_CHANGED, text, symbol, level="CRITICAL")
            return
        self.pauses.resume(INSTRUMENT_CHANGED, symbol)
        if rules.trading:
            self.pauses.resume(NOT_TRADING, symbol)
        else:
            self.pauses.pause(NOT_TRADING, "the exchange takes no orders on it", symbol)
        before, self._known[symbol] = self._known.get(symbol), rules
        after = relisted(instrument, before, rules) if before is not None else instrument
        if after != instrument:
            self.wire.alert("WARNING", "rules_changed", "its smallest value or its fees have changed", symbol)
            self.wire.tell(ListInstrument(instrument=after))


def relisted(instrument: Instrument, before: InstrumentRules, after: InstrumentRules) -> Instrument:
    """The instrument with what changed between two readings of its rules."""
    if before.min_notional != after.min_notional:
        units = after.min_notional.scaleb(instrument.quote_decimals).to_integral_value(ROUND_CEILING)
        instrument = changed(instrument, min_notional=int(units))
    if before.maker_bps != after.maker_bps and after.maker_bps is not None:
        instrument = changed(instrument, maker_fee_ppm=_ppm(after.maker_bps))
    if before.taker_bps != after.taker_bps and after.taker_bps is not None:
        instrument = changed(instrument, taker_fee_ppm=_ppm(after.taker_bps))
    return instrument


def _ppm(bps: Decimal) -> int:
    return int((bps * 100).to_integral_value(ROUND_CEILING))


class StuckCheck:
    """Orders that have been waiting for an answer for too long."""

    def __init__(self, wire: Wire, placing: Placing, cancelling: Cancelling, resolving: Resolving) -> None:
        self.wire = wire
        self.placing = placing
        self.cancelling = cancelling
        self.resolving = resolving
        self.want_query: Callable[[str, float], None] = resolving.look
        self._first_ns: dict[str, int] = {}

    def check(self) -> None:
        """PENDING for long is unknown; unheard of for longer is cancelled as well."""
        wire, now = self.wire, self.wire.clock()
        seen: dict[str, int] = {}
        for order_id, order in wire.working():
            if order.status not in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
                continue
            first = self.placing.sent_ns.get(order_id, self._first_ns.get(order_id, now))
            seen[order_id] = first
            age_s = (now - first) / NS
            if self.placing.busy(order_id) or age_s <= wire.settings.pending_s:
                continue
            if order.status is OrderStatus.PENDING:
                wire.tell(NoAnswerReport(client_order_id=order_id))
            self.resolving.resolve(order_id)
            if age_s > wire.settings.stuck_s and not self.cancelling.wants(order_id):
                text = f"{order_id} has had no answer for {age_s:.0f} s; it is cancelled"
                wire.alert("WARNING", "stuck_order", text, order.symbol)
                self.cancelling.want(order_id, order.symbol)
        self._first_ns = seen
        self.cancelling.pump()
