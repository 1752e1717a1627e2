"""From exact decimals to ticks and lots of one instrument: integer arithmetic only.

Law: `low` is rounded up and `high` down to the tick, which keeps "a buy at p is reached when low <= p" exact
for every price an order can have; the price itself goes to the nearest tick, half to even; quantities are
floored to whole lots (a quantity below a lot is 0, never 1).  A column that needs no rounding is passed on
as it is, not copied, and a table of trades on the tick has ``low is high is price``.
"""

from __future__ import annotations

from decimal import Decimal
from math import gcd

import attrs
import numpy as np

from grinder.data.bars import path_prices, path_quantities, path_times
from grinder.data.fixed import INT64_MAX, Column, guard
from grinder.data.raw import Kind, RawTable
from grinder.errors import DataError
from replay.ticks import TickOrigin, Ticks


@attrs.frozen
class Grid:
    """Conversion from mantissas to steps of the instrument: steps = mantissa * up / down."""

    up: int
    down: int

    @staticmethod
    def of(decimals: int, step: Decimal) -> Grid:
        """The conversion for columns with `decimals` decimals to steps of `step`.

        Raises:
            DataError: when the step is not a positive number.
        """
        if not step.is_finite() or step <= 0:
            raise DataError(
                "data.step", "a tick or lot must be positive", value=str(step), fix="correct the instrument"
            )
        step_up, step_down = step.as_integer_ratio()
        up, down = step_down, step_up * 10**decimals
        common = gcd(up, down)
        if max(up, down) // common > INT64_MAX // 4:
            raise DataError(
                "data.step",
                "the tick or lot is too far from the file's numbers",
                value=str(step),
                fix="correct the instrument",
            )
        return Grid(up // common, down // common)

    def split(self, mantissa: Column) -> tuple[Column, Column | None]:
        """(floored steps, remainder in 1/down steps, or None when every value is a whole step)."""
        if self.up != 1:
            guard(mantissa, self.up)
            mantissa = mantissa * np.int64(self.up)
        if self.down == 1:
            return mantissa, None
        floored: Column = mantissa // self.down
        rest: Column = mantissa - floored * self.down
        return floored, rest if rest.any() else None

    def floor(self, mantissa: Column) -> Column:
        """Steps rounded down."""
        return self.split(mantissa)[0]

    def ceil(self, mantissa: Column) -> Column:
        """Steps rounded up."""
        floored, rest = self.split(mantissa)
        if rest is None:
            return floored
        up: Column = (rest > 0).astype(np.int64)
        return floored + up

    def nearest(self, mantissa: Column) -> Column:
        """Steps rounded to the nearest, half to even."""
        floored, rest = self.split(mantissa)
        if rest is None:
            return floored
        half = 2 * rest - self.down
        up: Column = ((half > 0) | ((half == 0) & (floored % 2 != 0))).astype(np.int64)
        return floored + up

    def off(self, mantissa: Column) -> np.typing.NDArray[np.bool_]:
        """True where a value lies between two steps."""
        rest = self.split(mantissa)[1]
        return np.zeros(len(mantissa), dtype=np.bool_) if rest is None else rest != 0


@attrs.frozen
class Touch:
    """One price column as what it is to orders."""

    price: Column
    low: Column
    high: Column
    off_rows: int

    @staticmethod
    def of(grid: Grid, mantissa: Column) -> Touch:
        """Price, low and high; one array when everything is on the tick."""
        floored, rest = grid.split(mantissa)
        if rest is None:
            return Touch(floored, floored, floored, 0)
        off = rest > 0
        return Touch(
            grid.nearest(mantissa), floored + off.astype(np.int64), floored, int(np.count_nonzero(off))
        )


def to_ticks(raw: RawTable, symbol: str, tick: Decimal, lot: Decimal) -> Ticks:
    """A table as rows of one instrument.

    Args:
        raw: a table without fatal faults, sorted by time.
        symbol: the name the run knows the instrument by.
        tick, lot: smallest price and quantity steps, in quote and base units.

    Raises:
        DataError: a tick or lot that is not positive, prices below half a tick, or a value that does not
            fit 64 bits in steps.
    """
    ticks = _converted(raw, symbol, tick, lot)
    if len(ticks) and int(ticks.price.min()) < 1:
        raise DataError(
            "data.step",
            f"a price of {symbol} is less than half a tick",
            value=f"tick {tick:f}",
            fix="correct the instrument's tick, or check that the file holds this instrument",
        )
    return attrs.evolve(ticks, tick=tick, lot=lot)


def _converted(raw: RawTable, symbol: str, tick: Decimal, lot: Decimal) -> Ticks:
    prices, lots = Grid.of(raw.price_decimals, tick), Grid.of(raw.qty_decimals, lot)
    if raw.kind is Kind.BARS:
        return _bars(raw, symbol, prices, lots)
    if raw.kind is Kind.TRADES:
        return _trades(raw, symbol, prices, lots)
    if raw.kind is Kind.MIXED:
        return _mixed(raw, symbol, prices, lots)
    return _quotes(raw, symbol, prices, lots)


def _steps(grid: Grid, column: Column | None) -> Column | None:
    return None if column is None else grid.floor(column)


def _held(column: Column | None, name: str) -> Column:
    if column is None:
        raise ValueError(f"the table has no column {name}")
    return column


def _bars(raw: RawTable, symbol: str, prices: Grid, lots: Grid) -> Ticks:
    touch = Touch.of(prices, path_prices(raw))
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.BARS,
        ts=path_times(raw.ts, raw.bar_ns),
        price=touch.price,
        low=touch.low,
        high=touch.high,
        qty=None if raw.qty is None else path_quantities(lots.floor(raw.qty)),
        bar_ns=raw.bar_ns,
        off_tick_rows=touch.off_rows,
    )


def _trades(raw: RawTable, symbol: str, prices: Grid, lots: Grid) -> Ticks:
    touch = Touch.of(prices, _held(raw.price, "price"))
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES,
        ts=raw.ts,
        price=touch.price,
        low=touch.low,
        high=touch.high,
        qty=_steps(lots, raw.qty),
        side=raw.side,
        off_tick_rows=touch.off_rows,
    )


def _quotes(raw: RawTable, symbol: str, prices: Grid, lots: Grid) -> Ticks:
    raw_bid, raw_ask = _held(raw.bid, "bid"), _held(raw.ask, "ask")
    bid, ask = prices.floor(raw_bid), prices.ceil(raw_ask)
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.QUOTES,
        ts=raw.ts,
        price=(bid + ask) // 2,
        low=ask,
        high=bid,
        bid=bid,
        ask=ask,
        bid_qty=_steps(lots, raw.bid_qty),
        ask_qty=_steps(lots, raw.ask_qty),
        off_tick_rows=int(np.count_nonzero(prices.off(raw_bid) | prices.off(raw_ask))),
    )


def _mixed(raw: RawTable, symbol: str, prices: Grid, lots: Grid) -> Ticks:
    """Trades and quotes in one stream; see `_last_known` for what a row says of the other kind."""
    touch = Touch.of(prices, _held(raw.price, "price"))
    raw_bid, raw_ask = _held(raw.bid, "bid"), _held(raw.ask, "ask")
    bid, ask = prices.floor(raw_bid), prices.ceil(raw_ask)
    bid_qty, ask_qty = _steps(lots, raw.bid_qty), _steps(lots, raw.ask_qty)
    price, low, high, off_rows = touch.price, touch.low, touch.high, touch.off_rows
    if raw.trade is not None:
        trade, quote = raw.trade, ~raw.trade
        last_trade, last_quote = _last_known(trade), _last_known(quote)
        off = (prices.off(raw_bid) | prices.off(raw_ask)) & quote
        off_rows = int(np.count_nonzero(off | (prices.off(_held(raw.price, "price")) & trade)))
        # Before the first quote a trade's own price is all that is known of both sides, at no size.
        unquoted, untraded = last_quote < 0, last_trade < 0
        bid = np.where(unquoted, touch.high, bid[last_quote])
        ask = np.where(unquoted, touch.low, ask[last_quote])
        bid_qty = None if bid_qty is None else np.where(unquoted, 0, bid_qty[last_quote])
        ask_qty = None if ask_qty is None else np.where(unquoted, 0, ask_qty[last_quote])
        price = np.where(untraded, (bid + ask) // 2, touch.price[last_trade])
        low = np.where(trade, touch.low, ask)
        high = np.where(trade, touch.high, bid)
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES_AND_QUOTES,
        ts=raw.ts,
        price=price,
        low=low,
        high=high,
        qty=_steps(lots, raw.qty),
        side=raw.side,
        bid=bid,
        ask=ask,
        bid_qty=bid_qty,
        ask_qty=ask_qty,
        off_tick_rows=off_rows,
    )


def _last_known(mask: np.typing.NDArray[np.bool_]) -> Column:
    """For every row the index of the last row up to it where `mask` is true; -1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
