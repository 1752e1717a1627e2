"""An exchange's text to integers and back.

Law: a number is read exactly or not at all: what is null, no number, negative where nothing can be, or finer
than the scale is `Unreadable`.  Only a fee is rounded, and that against us: a charge up, a rebate down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from domain.inputs import FillReport
from domain.instrument import Instrument, contract_units, notional, value
from domain.instrument import fee_units as fee_units_at
from domain.orders import BUY, SELL
from domain.units import NotOnScaleError, ceil_div, fixed_text, to_units
from grinder.scaling import FEWEST_DECIMALS

LONGEST_NUMBER = 40
"""Characters: far more than any amount has, few enough that no exponent and no length costs anything."""

LARGEST_MAGNITUDE = 30
"""Digits before, or zeros after, the point of anything that can be an amount."""

MOST_DIGITS = 28
"""Significant digits: with more, decimal arithmetic would round without a word."""

LARGEST_INTEGER = (1 << 63) - 1

MAKER = "maker"
TAKER = "taker"


class Unreadable(ValueError):
    """What an exchange sent is not what its documents say; the text names the offending part."""


def read_json(body: bytes | str) -> Any:
    """A body as JSON; numbers with a point stay text, so that no digit is lost.

    Raises:
        Unreadable: it is no JSON (HTML, cut short), holds NaN or Infinity, or is nested beyond reason.
    """
    try:
        return json.loads(body, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {_shown(body)}") from error


def amount(text: object, what: str = "amount") -> Decimal:
    """A finite decimal, of either sign.

    Args:
        text: text, an integer, or a `Decimal`; never a float.

    Raises:
        Unreadable: it is none of these, or beyond every amount.
    """
    if isinstance(text, Decimal):
        number = text
    elif isinstance(text, str) and 0 < len(text) <= LONGEST_NUMBER and "_" not in text and text.isascii():
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise Unreadable(f"{what} is no number: {text!r}") from None
    elif isinstance(text, int) and not isinstance(text, bool) and abs(text) < 10**LARGEST_MAGNITUDE:
        number = Decimal(text)
    else:
        raise Unreadable(f"{what} is no number: {_shown(text)}")
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_MAGNITUDE:
        raise Unreadable(f"{what} is no amount: {text}")
    if len(number.as_tuple().digits) > MOST_DIGITS:
        raise Unreadable(f"{what} is no amount: {text}")
    return number


def positive(text: object, what: str = "amount") -> Decimal:
    """`amount`, refusing negative ones; zero is let through."""
    number = amount(text, what)
    if number < 0:
        raise Unreadable(f"{what} is negative: {text}")
    return number


class Scales:
    """The listed instruments, as a translator between an exchange's text and our integers.

    Args:
        instruments: by the symbol of the configuration (never the exchange's own name).
        fee_prices: worth of one whole unit of a third fee asset, quote units.
        fee_decimals: digits after the point of one unit of a third fee asset.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fee_prices: Mapping[str, int],
        fee_decimals: int = FEWEST_DECIMALS,
    ) -> None:
        self.instruments = dict(instruments)
        self._fee_prices = dict(fee_prices)
        self._fee_decimals = fee_decimals

    def instrument(self, symbol: str) -> Instrument:
        """The instrument of a symbol.

        Raises:
            Unreadable: it is not listed.
        """
        found = self.instruments.get(symbol)
        if found is None:
            raise Unreadable(f"symbol is not listed: {symbol!r}")
        return found

    def ticks(self, symbol: str, text: object) -> int:
        """A price in ticks; 0 for the zero that stands for "no price".

        Raises:
            Unreadable: it is no price, or lies between two ticks.
        """
        instrument = self.instrument(symbol)
        return _steps(positive(text, "price"), instrument.price_decimals, instrument.tick_size, "price")

    def lots(self, symbol: str, text: object) -> int:
        """A quantity in lots; what the exchange tells may be contracts.

        Raises:
            Unreadable: it is no quantity, or no whole number of lots.
        """
        instrument = self.instrument(symbol)
        return _sized(instrument, positive(text, "quantity"), instrument.base_per_lot, "quantity")

    def whole_lots(self, symbol: str, text: object) -> int:
        """The whole lots in a displayed quantity, rounded down: for quotes, which book nothing."""
        instrument = self.instrument(symbol)
        number = positive(text, "quantity")
        if not (contract := contract_units(instrument)):
            return int(number.scaleb(instrument.base_decimals)) // instrument.base_per_lot
        numerator, denominator = number.as_integer_ratio()
        return numerator * contract // (denominator * instrument.base_per_lot)

    def base_units(self, symbol: str, text: object) -> int:
        """A holding or position in base units, signed; what the exchange tells may be contracts.

        Raises:
            Unreadable: it is no number, or finer than a base unit.
        """
        return _sized(self.instrument(symbol), amount(text, "position"), 1, "position")

    def price_text(self, symbol: str, ticks: int) -> str:
        """A price as plain text with the digits of the tick."""
        instrument = self.instrument(symbol)
        return fixed_text(ticks * instrument.tick_size, instrument.price_decimals)

    def quantity_text(self, symbol: str, lots: int) -> str:
        """A quantity as plain text without needless zeros, in contracts where the exchange counts so.

        Raises:
            Unreadable: no decimal says how many contracts it is.
        """
        return self.base_text(symbol, lots * self.instrument(symbol).base_per_lot)

    def base_text(self, symbol: str, units: int) -> str:
        """The same of a quantity in base units, which may be below 0."""
        instrument = self.instrument(symbol)
        decimals = instrument.base_decimals
        if contract := contract_units(instrument):
            decimals = next((one for one in range(MOST_DIGITS) if units * 10**one % contract == 0), -1)
            if decimals < 0:
                raise Unreadable(f"{units} base units are no number of contracts of {contract}")
            units = units * 10**decimals // contract
        shown = fixed_text(units, decimals)
        return shown.rstrip("0").rstrip(".") if "." in shown else shown

    def fill(
        self,
        *,
        symbol: str,
        side: str,
        price: object,
        quantity: object,
        fee: object,
        fee_asset: str,
        maker: bool,
        client_order_id: str,
        exchange_order_id: str,
        fill_id: str,
        at: str = "",
    ) -> FillReport:
        """An execution in integers.

        Args:
            side: ``buy`` or ``sell``.
            fee: what was charged; negative is a rebate.
            fee_asset: empty where nothing was charged.
            fill_id: empty where the exchange gave none: an id is then derived from the rest.
            at: the exchange's time as text; tells apart executions without an id that are alike otherwise.

        Raises:
            Unreadable: a part is no number, zero or negative where it cannot be, or off its scale.
        """
        ticks, lots = self.ticks(symbol, price), self.lots(symbol, quantity)
        if ticks == 0 or lots == 0:
            raise Unreadable(f"execution of nothing: {quantity} at {price}")
        if side not in (BUY, SELL):
            raise Unreadable(f"side is neither buy nor sell: {side!r}")
        instrument = self.instrument(symbol)
        fee_asset = fee_asset or instrument.quote
        rate_ppm = instrument.maker_fee_ppm if maker else instrument.taker_fee_ppm
        estimate = fee_units_at(notional(instrument, ticks, lots), rate_ppm)
        fee_units, fee_value = self._fee(instrument, ticks, amount(fee, "fee"), fee_asset, estimate)
        if not fill_id:
            parts = (client_order_id, exchange_order_id, symbol, side, str(ticks), str(lots), str(at))
            fill_id = "synthetic-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
        return FillReport(
            client_order_id=client_order_id,
            exchange_order_id=exchange_order_id,
            fill_id=fill_id,
            symbol=symbol,
            side=side,
            price_ticks=ticks,
            lots=lots,
            liquidity=MAKER if maker else TAKER,
            fee_asset=fee_asset,
            fee_units=fee_units,
            fee_value=fee_value,
        )

    def _fee(
        self, instrument: Instrument, ticks: int, fee: Decimal, asset: str, estimate: int
    ) -> tuple[int, int]:
        """Units of the asset charged, and their worth in quote units; both rounded against us.

        What is charged in an asset nobody priced is booked in that asset exactly, and valued at the fee rate
        of the instrument: an execution must not be lost for want of a price.
        """
        if asset == instrument.quote:
            units = _rounded_up(fee, instrument.quote_decimals)
            return units, units
        if asset == instrument.base:
            units = _rounded_up(fee, instrument.base_decimals)
            return units, value(instrument, ticks, units)
        units = _rounded_up(fee, self._fee_decimals)
        price = self._fee_prices.get(asset)
        if price is None:
            return units, estimate if units > 0 else 0
        return units, ceil_div(units * price, 10**self._fee_decimals)


def _sized(instrument: Instrument, number: Decimal, step: int, what: str) -> int:
    """Steps of base units in a size as the exchange counts it."""
    if not (contract := contract_units(instrument)):
        return _steps(number, instrument.base_decimals, step, what)
    numerator, denominator = number.as_integer_ratio()
    steps, rest = divmod(numerator * contract, denominator * step)
    if rest:
        raise Unreadable(f"{what} lies between two steps: {number} contracts")
    if abs(steps) > LARGEST_INTEGER:
        raise Unreadable(f"{what} is beyond every amount: {number}")
    return steps


def _steps(number: Decimal, decimals: int, step: int, what: str) -> int:
    try:
        units = to_units(number, decimals)
    except NotOnScaleError:
        raise Unreadable(f"{what} is finer than its scale: {number}") from None
    steps, rest = divmod(units, step)
    if rest:
        raise Unreadable(f"{what} lies between two steps: {number}")
    if abs(steps) > LARGEST_INTEGER:
        raise Unreadable(f"{what} is beyond every amount: {number}")
    return steps


def _rounded_up(number: Decimal, decimals: int) -> int:
    """Units, towards plus infinity: a charge grows, a rebate shrinks."""
    numerator, denominator = number.as_integer_ratio()
    return ceil_div(numerator * 10**decimals, denominator)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _shown(body: object) -> str:
    shown = repr(body)
    return shown if len(shown) <= 80 else shown[:77] + "..."
