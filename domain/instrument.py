"""An instrument: what an exchange lets us trade, and in which steps.

Law: prices are integers in ticks, quantities integers in lots, holdings integers in units of the base asset,
money integers in units of the quote currency.  The scales are chosen once, when the instrument is listed, so
that `ticks * base units` is a whole number of quote units: valuation never rounds.

The rules are an event (`InstrumentListed`) in the stream of every actor that needs them, so a record can
always be read with the rules in force at its time.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from domain.record import Record, record, value_or
from domain.units import ceil_div

SPOT = "spot"
LINEAR = "linear"

PPM = 1_000_000
"""Parts per million: the unit of every ratio; one basis point is 100."""


@record("Instrument/1")
class Instrument(Record):
    """Trading rules of one symbol.

    Attributes:
        kind: ``spot`` or ``linear`` (perpetual contract settled in the quote currency).
        tick, lot: the steps as decimal text, for people and reports.
        quote_per_tick_base: quote units in one tick times one base unit (exact).
        base_per_lot: base units in one lot.
        price_decimals, base_decimals, quote_decimals: digits after the point of one unit of each.
        tick_size: ticks are this many units of 10**-price_decimals.
        min_notional: smallest order value, quote units.
        maker_fee_ppm, taker_fee_ppm: fee rates in parts per million of the value (negative is a rebate).
        leverage_ppm: notional carried by one unit of margin, in ppm (1_000_000 is unlevered).
        base_per_contract: base units in one contract, where the exchange counts in contracts; unset, and not
            written, where it counts in the base asset.  No rule reads it: lots are base units either way.
    """

    symbol: str
    kind: str
    base: str
    quote: str
    tick: str
    lot: str
    tick_size: int
    price_decimals: int
    base_decimals: int
    quote_decimals: int
    quote_per_tick_base: int
    base_per_lot: int
    min_notional: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    leverage_ppm: int = PPM
    base_per_contract: int | UnsetType = UNSET


@record("ListInstrument/1")
class ListInstrument(Record):
    """Command: trade this instrument under these rules from now on."""

    instrument: Instrument


@record("InstrumentListed/1")
class InstrumentListed(Record):
    """The rules of an instrument, in force for the stream that holds this event."""

    instrument: Instrument


def contract_units(instrument: Instrument) -> int:
    """Base units in one contract; 0 where sizes are in the base asset."""
    return value_or(instrument.base_per_contract, 0)


def notional(instrument: Instrument, price_ticks: int, lots: int) -> int:
    """Value of an order or fill in quote units: price times quantity, exact."""
    return price_ticks * lots * instrument.base_per_lot * instrument.quote_per_tick_base


def value(instrument: Instrument, price_ticks: int, base_units: int) -> int:
    """Value of a holding in quote units at a price, exact; negative for a short holding."""
    return price_ticks * base_units * instrument.quote_per_tick_base


def whole_lots(instrument: Instrument, base_units: int) -> int:
    """Lots contained in a holding (rounded towards zero); the rest is a residual."""
    lots = abs(base_units) // instrument.base_per_lot
    return lots if base_units >= 0 else -lots


def fee_units(value_units: int, rate_ppm: int) -> int:
    """Fee on a value at a rate, rounded against us (a charge up, a rebate down in size)."""
    return ceil_div(value_units * rate_ppm, PPM)


def margin_units(instrument: Instrument, value_units: int) -> int:
    """Margin a notional value needs at the instrument's leverage, rounded up."""
    return ceil_div(value_units * PPM, instrument.leverage_ppm)
