"""What an exchange takes of a symbol at a moment: its steps and smallest values, which may change.

Law: filters are counted on the scale of the instrument as it was first listed; a step can only be a whole
number of its ticks or lots, so a change never rounds anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from domain.instrument import Instrument
from domain.units import NotOnScaleError
from replay.exchange.rules import Reject


@attrs.define(kw_only=True)
class Filters:
    """The filters of one symbol.

    Attributes:
        tick, lot: steps as decimal text: what the exchange publishes.
        tick_step, lot_step: the same in ticks and lots of the scale.
        min_notional: quote units.
        trading: whether new orders are taken.
    """

    tick: str
    lot: str
    tick_step: int
    lot_step: int
    min_notional: int
    trading: bool = True

    def judge(self, price_ticks: int, lots: int) -> Reject | None:
        """Why an order of this price (0: a market order) and quantity is refused, if it is."""
        if not self.trading:
            return Reject.MARKET_CLOSED
        if price_ticks % self.tick_step:
            return Reject.PRICE_FILTER
        if lots % self.lot_step:
            return Reject.LOT_SIZE
        return None

    def on_scale_of(self, old: Instrument, new: Instrument) -> Instrument:
        """The old instrument with what changed that is no scale: smallest value, fees, leverage."""
        kept: Any = old  # mypy sees records as dataclasses, attrs.evolve asks for attrs classes
        changed: Instrument = attrs.evolve(
            kept,
            min_notional=new.min_notional,
            maker_fee_ppm=new.maker_fee_ppm,
            taker_fee_ppm=new.taker_fee_ppm,
            leverage_ppm=new.leverage_ppm,
        )
        return changed


def filters_of(instrument: Instrument) -> Filters:
    """The filters an instrument is first listed with."""
    return Filters(
        tick=instrument.tick,
        lot=instrument.lot,
        tick_step=1,
        lot_step=1,
        min_notional=instrument.min_notional,
    )


def changed_filters(old: Instrument, new: Instrument) -> Filters:
    """The filters after a change, on the scale of `old`.

    Raises:
        ValueError: another symbol, kind or quote scale.
        NotOnScaleError: a new step is no whole number of the old.
    """
    same = ("symbol", "kind", "base", "quote", "quote_decimals")
    differing = [name for name in same if getattr(old, name) != getattr(new, name)]
    if differing:
        raise ValueError(f"{old.symbol}: {', '.join(differing)} cannot change")
    return Filters(
        tick=new.tick,
        lot=new.lot,
        tick_step=_steps(new.tick, old.tick, "tick"),
        lot_step=_steps(new.lot, old.lot, "lot"),
        min_notional=new.min_notional,
    )


def _steps(new: str, old: str, what: str) -> int:
    steps = Decimal(new) / Decimal(old)
    if steps != int(steps) or steps < 1:
        raise NotOnScaleError(f"a {what} of {new} is no multiple of {old}")
    return int(steps)
