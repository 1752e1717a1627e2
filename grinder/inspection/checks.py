"""What risk looked at when an order was asked for, with the figures of that moment.

Law: figures are taken from the records before the decision, through the lookup, without replaying; the
decision itself is in the ledger and is not decided again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from actors.records import LedgerRow
from domain.instrument import notional, value
from domain.orders import NO_LEVEL, SIGN
from domain.units import units_text
from grinder.inspection.amounts import Scales
from grinder.inspection.lookup import LEVEL, TYPE, Lookup
from grinder.inspection.records import Records

MINUTE_NS = 60 * 10**9


@attrs.frozen
class Check:
    """One limit: its name, the figures it was held against, and whether they passed."""

    limit: str
    figures: str
    passed: bool


@attrs.frozen
class Exposure:
    """What counts towards the inventory cap on one side, quote units."""

    held: int
    resting: int
    ordered: int
    cap: int

    @property
    def over(self) -> int:
        """By how much it passes the cap; 0 or less when it does not."""
        return self.held + self.resting + self.ordered - self.cap if self.cap else 0


class Past:
    """The portfolio as it was at a position, as far as limits need it."""

    def __init__(self, records: Records, lookup: Lookup, scales: Scales) -> None:
        self.records = records
        self.lookup = lookup
        self.scales = scales

    def newest(self, name: str, position: int) -> Iterator[tuple[LedgerRow, Any]]:
        """Records of a type at or before a position, newest first, with what they hold."""
        for found in self.lookup.latest(TYPE, f"{name}/1", position):
            row = self.records.row(found)
            if row is not None:
                yield row, self.records.decoded(row)

    def opened(self, position: int) -> Any:
        """The limits in force; None before risk control began."""
        return next((event for _, event in self.newest("PortfolioOpened", position)), None)

    def halt(self, position: int) -> tuple[LedgerRow, Any] | None:
        """The halt in force, with its record."""
        halted = next(self.newest("TradingHalted", position), None)
        reset = next(self.newest("HaltReset", position), None)
        if halted is None or (reset is not None and reset[0].position > halted[0].position):
            return None
        return halted

    def symbol_halt(self, symbol: str, position: int) -> tuple[LedgerRow, Any] | None:
        """The halt of a symbol in force, with its record."""
        halted = next((one for one in self.newest("SymbolHalted", position) if one[1].symbol == symbol), None)
        stops = next((one for one in self.newest("StopPricesSet", position) if one[1].symbol == symbol), None)
        if halted is None or (stops is not None and stops[0].position > halted[0].position):
            return None
        return halted

    def pauses(self, symbol: str, position: int) -> list[tuple[LedgerRow, Any]]:
        """The pauses in force of a symbol, and of everything, oldest first."""
        changes = [*self.newest("TradingPaused", position), *self.newest("TradingResumed", position)]
        held: dict[tuple[str, str], tuple[LedgerRow, Any]] = {}
        for row, event in sorted(changes, key=lambda one: one[0].position):
            if row.topic.startswith("TradingPaused/"):
                held.setdefault((event.symbol, event.reason), (row, event))
            else:
                for reason in event.reasons:
                    held.pop((event.symbol, reason), None)
        return [one for (scope, _), one in held.items() if scope in ("", symbol)]

    def inventory(self, symbol: str, position: int) -> int:
        """Base units of a symbol that risk knew of."""
        known = [
            one
            for name in ("InventoryChanged", "HoldingCorrected")
            if (one := next((x for x in self.newest(name, position) if x[1].symbol == symbol), None))
        ]
        if known:
            return int(max(known, key=lambda one: one[0].position)[1].inventory)
        opened = self.opened(position)
        return int(dict(opened.holdings).get(symbol, 0)) if opened else 0

    def resting(self, symbol: str, side: str, position: int) -> list[tuple[Any, int]]:
        """Orders of a side that were allowed and not over: (terms, lots not filled yet)."""
        allowed_now = {
            self.records.decoded(row).terms.client_order_id  # type: ignore[attr-defined]
            for row in self.records.turn(position)
            if row.position <= position and row.topic.startswith("OrderAllowed/")
        }
        first = self.records.input_of(position)
        begun = first.position if first else position
        found = []
        for level in range(self._levels(symbol, position)):
            one = self._order_of(symbol, level, position)
            if one is None or one[0].terms.side != side:
                continue
            request, requested_at, filled = one
            if requested_at < begun or request.terms.client_order_id in allowed_now:
                found.append((request.terms, request.terms.lots - filled))
        own = self._order_of(symbol, NO_LEVEL, position)
        if own is not None and own[0].terms.side == side:
            filled = self._filled(own[0].terms.client_order_id, position)
            found.append((own[0].terms, own[0].terms.lots - filled))
        return found

    def _levels(self, symbol: str, position: int) -> int:
        for _, configured in self.newest("GridConfigured", position):
            if configured.symbol == symbol:
                return len(configured.ladder.levels)
        return 0

    def _order_of(self, symbol: str, level: int, position: int) -> tuple[Any, int, int] | None:
        """The order a level has: (its request, where that is, lots filled so far)."""
        for at in self.lookup.latest(LEVEL, f"{symbol}/{level}", position):
            row = self.records.row(at)
            assert row is not None
            name = row.topic.partition("/")[0]
            if name == "OrderRequested":
                request: Any = self.records.decoded(row)
                filled = self._filled(request.terms.client_order_id, position) if level != NO_LEVEL else 0
                return request, at, filled
            if name in ("LevelReleased", "LevelDeferred"):
                return None
            if name == "LevelFilled" and self.records.decoded(row).order_done:  # type: ignore[attr-defined]
                return None
        return None

    def _filled(self, order_id: str, position: int) -> int:
        """Lots of an order filled up to a position."""
        total = 0
        for at in self.lookup.mentions(order_id):
            row = self.records.row(at)
            if at < position and row is not None and row.topic.startswith("FillReport/"):
                booked = self.records.row(at + 1)
                if booked is not None and booked.topic.startswith(("OrderFilled/", "OrderReappeared/")):
                    total += self.records.decoded(row).lots  # type: ignore[attr-defined]
        return total

    def exposure(self, terms: Any, position: int) -> Exposure | None:
        """What an order of these terms would be held against under the inventory cap; None without one."""
        opened, one = self.opened(position), self.scales.instruments.get(terms.symbol)
        if opened is None or one is None or not opened.inventory_max:
            return None
        resting = sum(
            notional(one, rest.price_ticks, lots)
            for rest, lots in self.resting(terms.symbol, terms.side, position)
            if rest.client_order_id != terms.client_order_id
        )
        held = value(one, terms.price_ticks, self.inventory(terms.symbol, position)) * SIGN[terms.side]
        ordered = notional(one, terms.price_ticks, terms.lots)
        return Exposure(held, resting, ordered, opened.inventory_max)

    def orders_of_last_minute(self, position: int, now_ns: int) -> int:
        """Orders allowed in the 60 s before a time."""
        count = 0
        for row, _ in self.newest("OrderAllowed", position):
            if row.ts_ns <= now_ns - MINUTE_NS:
                break
            count += 1
        return count


def exposure_text(scales: Scales, symbol: str, one: Exposure) -> str:
    """The inventory cap and what is held against it."""
    rules = scales.instruments[symbol]

    def money(units: int) -> str:
        return units_text(units, rules.quote_decimals)

    parts = f"held {money(one.held)} + resting {money(one.resting)} + ordered {money(one.ordered)}"
    return f"inventory cap {money(one.cap)} {rules.quote}: {parts}"


def checks_at(past: Past, row: LedgerRow, terms: Any, blocked: Any | None = None) -> list[Check]:
    """The limits in the order in which risk checks them, up to the one that decided.

    Args:
        row: the record of the decision.
        blocked: its `OrderBlocked`, when it was one.
    """
    before = row.position - 1
    opened = past.opened(before)
    if opened is None:
        return [Check("limits", "no limit was ever set", True)]
    reason = blocked.reason if blocked is not None else ""
    halt, pauses = past.halt(before), past.pauses(terms.symbol, before)
    halted = past.symbol_halt(terms.symbol, before)
    found = [
        Check("halt", f"latched: {halt[1].reason}" if halt else "not halted", reason != "PAUSE_HALTED"),
        Check("pauses", ", ".join(one.reason for _, one in pauses) or "none", reason != "PAUSED"),
        Check("symbol halt", halted[1].reason if halted else "none", reason != "PAUSE_SYMBOL_HALTED"),
        Check(
            "stop prices",
            _stops(past, terms.symbol, before),
            reason not in ("PAUSE_STOP_LOSS", "PAUSE_TAKE_PROFIT"),
        ),
        Check(
            "orders a minute",
            _velocity(past, opened, before, row.ts_ns),
            reason != "THROTTLE_ORDERS_PER_MINUTE",
        ),
        Check("inventory", _inventory(past, terms, before, blocked), reason != "PAUSE_INV_CAP"),
        Check(
            "drawdown",
            blocked.detail
            if blocked is not None and reason.startswith("EMERGENCY")
            else _drawdown(past, opened, before),
            not reason.startswith("EMERGENCY") and reason != "PAUSE_NO_MARK",
        ),
    ]
    failed = next((at for at, one in enumerate(found) if not one.passed), len(found) - 1)
    return found[: failed + 1]


def _stops(past: Past, symbol: str, position: int) -> str:
    for _, stops in past.newest("StopPricesSet", position):
        if stops.symbol == symbol:
            shown = [
                f"{name} {past.scales.price(symbol, ticks, unit=True)}"
                for name, ticks in (
                    ("stop loss", stops.stop_loss_ticks),
                    ("take profit", stops.take_profit_ticks),
                )
                if ticks
            ]
            return ", ".join(shown) or "none set"
    return "none set"


def _velocity(past: Past, opened: Any, position: int, now_ns: int) -> str:
    if not opened.orders_per_minute:
        return "no limit"
    return f"{past.orders_of_last_minute(position, now_ns)} of {opened.orders_per_minute} in the last 60 s"


def _inventory(past: Past, terms: Any, position: int, blocked: Any | None) -> str:
    if blocked is not None and blocked.reason == "PAUSE_INV_CAP":
        return str(blocked.detail)
    exposure = past.exposure(terms, position)
    if exposure is None:
        return "no limit"
    text = exposure_text(past.scales, terms.symbol, exposure)
    return f"{text}; an order that only reduces the holding passes" if exposure.over > 0 else text


def _drawdown(past: Past, opened: Any, position: int) -> str:
    limits = [
        f"{units_text(ppm, 4)} % of the {name}"
        for name, ppm in (("session", opened.session_drawdown_ppm), ("day", opened.daily_drawdown_ppm))
        if ppm
    ]
    marked = next((event for _, event in past.newest("EquityMarked", position)), None)
    if not limits:
        return "no limit"
    worth = past.scales.money(marked.equity) if marked else "never marked"
    return f"equity at the last mark {worth}; limits {' and '.join(limits)}"
