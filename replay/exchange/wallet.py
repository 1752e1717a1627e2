"""What the simulated exchange thinks an account has.

Law: independent of the core's books: the two never share a figure, so a test may hold them against each
other.  Spot orders lock what they need; perpetual orders need margin for the worse of their two sides.
"""

from __future__ import annotations

from domain.instrument import LINEAR, Instrument, fee_units, notional, value
from domain.orders import BUY


class Wallet:
    """Balances, locks and positions in units; perpetual positions carry their signed cost."""

    def __init__(self, balances: dict[str, int]) -> None:
        self.total = dict(balances)
        self.locked: dict[str, int] = {}
        self.position: dict[str, int] = {}
        self.cost: dict[str, int] = {}
        self.open_value: dict[tuple[str, str], int] = {}

    def free(self, asset: str) -> int:
        """Units of an asset that no order has locked."""
        return self.total.get(asset, 0) - self.locked.get(asset, 0)

    def lock_for(self, instrument: Instrument, side: str, price_ticks: int, lots: int) -> tuple[str, int]:
        """What a spot order locks: (asset, units)."""
        if side != BUY:
            return instrument.base, lots * instrument.base_per_lot
        worth = notional(instrument, price_ticks, lots)
        return instrument.quote, worth + fee_units(worth, max(instrument.maker_fee_ppm, 0))

    def covers(self, instrument: Instrument, side: str, price_ticks: int, lots: int) -> bool:
        """Whether an order may be placed with what is free."""
        if instrument.kind != LINEAR:
            asset, units = self.lock_for(instrument, side, price_ticks, lots)
            return self.free(asset) >= units
        worth = notional(instrument, price_ticks, lots)
        symbol = instrument.symbol
        cost = self.cost.get(symbol, 0)
        if side == BUY:
            exposure = cost + self.open_value.get((symbol, BUY), 0) + worth
        else:
            exposure = -cost + self.open_value.get((symbol, side), 0) + worth
        return exposure * 1_000_000 <= self.total.get(instrument.quote, 0) * instrument.leverage_ppm

    def rest(self, instrument: Instrument, side: str, price_ticks: int, before: int, after: int) -> None:
        """What rests of an order changes from `before` to `after` lots (0: it does not rest)."""
        if instrument.kind == LINEAR:
            key = (instrument.symbol, side)
            worth = notional(instrument, price_ticks, after - before)
            self.open_value[key] = self.open_value.get(key, 0) + worth
            return
        # Locks are taken for the whole rest each time: fees round up once, not once a part.
        asset, held = self.lock_for(instrument, side, price_ticks, before)
        _, kept = self.lock_for(instrument, side, price_ticks, after)
        self.locked[asset] = self.locked.get(asset, 0) + kept - held

    def execute(self, instrument: Instrument, side: str, price_ticks: int, lots: int) -> None:
        """An execution changes balances (spot) or position and balance (perpetual)."""
        units = lots * instrument.base_per_lot
        worth = value(instrument, price_ticks, units)
        sign = 1 if side == BUY else -1
        if instrument.kind != LINEAR:
            self._add(instrument.base, sign * units)
            self._add(instrument.quote, -sign * worth)
            return
        symbol = instrument.symbol
        held, cost = self.position.get(symbol, 0), self.cost.get(symbol, 0)
        after = held + sign * units
        if held * sign >= 0:
            cost += sign * worth
        else:
            closing = min(units, abs(held))
            share = cost * closing // abs(held)
            realised = -sign * value(instrument, price_ticks, closing) - share
            self._add(instrument.quote, realised)
            cost = cost - share + sign * value(instrument, price_ticks, units - closing)
        self.position[symbol], self.cost[symbol] = after, cost

    def charge(self, asset: str, units: int) -> None:
        """A fee leaves (or a rebate enters, when negative)."""
        self._add(asset, -units)

    def _add(self, asset: str, units: int) -> None:
        self.total[asset] = self.total.get(asset, 0) + units
