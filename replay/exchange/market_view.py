"""What the simulated exchange sees of the market at one row.

Law: never looks ahead: every question is about the row it stands on or the one before it.
"""

from __future__ import annotations

from typing import Any, Protocol


class Column(Protocol):
    """Integers by row; an int64 array of a file, or the last rows of a live market."""

    def __getitem__(self, row: int, /) -> Any:
        """The value at a row."""


class Rows(Protocol):
    """What the exchange reads of a market: `replay.ticks.Ticks` says what each column means."""

    @property
    def ts(self) -> Column: ...
    @property
    def price(self) -> Column: ...
    @property
    def low(self) -> Column: ...
    @property
    def high(self) -> Column: ...
    @property
    def qty(self) -> Column | None: ...
    @property
    def bid(self) -> Column | None: ...
    @property
    def ask(self) -> Column | None: ...
    @property
    def bid_qty(self) -> Column | None: ...
    @property
    def ask_qty(self) -> Column | None: ...


class MarketView:
    """One symbol's rows and the row that is now."""

    def __init__(self, ticks: Rows) -> None:
        self.ticks = ticks
        self.at = -1

    @property
    def started(self) -> bool:
        """Whether any row has happened yet."""
        return self.at >= 0

    def price(self) -> int:
        """Last price, in ticks."""
        return int(self.ticks.price[self.at])

    def best(self) -> tuple[int, int]:
        """Best bid and ask in ticks; without quotes, both are the last price."""
        ticks = self.ticks
        if ticks.bid is None or ticks.ask is None:
            return self.price(), self.price()
        return int(ticks.bid[self.at]), int(ticks.ask[self.at])

    def takes(self, buy: bool, price: int) -> bool:
        """Whether a limit order at `price` would execute on arrival."""
        bid, ask = self.best()
        if self.ticks.bid is None:
            # One price for both sides: an order at exactly that price joins the side it is on.
            return price > ask if buy else price < bid
        return price >= ask if buy else price <= bid

    def displayed(self, buy: bool, price: int, row: int) -> int | None:
        """Size shown at `price` on our own side at a row, in lots; None when it is not the best price."""
        ticks = self.ticks
        if (
            row < 0
            or ticks.bid is None
            or ticks.bid_qty is None
            or ticks.ask is None
            or ticks.ask_qty is None
        ):
            return None
        if buy:
            return int(ticks.bid_qty[row]) if int(ticks.bid[row]) == price else None
        return int(ticks.ask_qty[row]) if int(ticks.ask[row]) == price else None

    def offered(self, buy: bool) -> int | None:
        """Size a taker finds on the other side now, in lots; None when the data does not say."""
        ticks = self.ticks
        sizes = ticks.ask_qty if buy else ticks.bid_qty
        return None if sizes is None else int(sizes[self.at])

    def traded(self) -> int | None:
        """Quantity of the row in lots; None when the origin has none."""
        return None if self.ticks.qty is None else int(self.ticks.qty[self.at])
