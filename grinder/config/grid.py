"""One grid as the user asks for it.

Law: this is the request, not the ladder.  Levels, quantities and what they cost are computed where the
instrument's tick and lot are known; here is only what can be said without them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import field, frozen

from grinder.config.choices import GridMode, GridSpacing, InitialInventory, OnStop
from grinder.config.setting import about

SYMBOL_NAME: Final = "[A-Z0-9][A-Z0-9._-]{1,30}"

BOUNDED_KEYS: Final = ("lower_price", "upper_price", "grid_number")
CENTERED_KEYS: Final = ("center_price", "spacing_bps", "levels_per_side")


@frozen(kw_only=True)
class Grid:
    """One grid: its symbol, its range, its size and what it does when it stops.

    Levels are placed in one of two ways, and exactly one is given: *bounded* (`lower_price`, `upper_price`,
    `grid_number`) for arithmetic and geometric spacing, *centered* (`center_price`, `spacing_bps`,
    `levels_per_side`) for geometric and uniform spacing.  Exactly one of `quantity` and `quote_investment`
    is given.
    """

    symbol: str = field(
        metadata=about(
            "The symbol to trade; `instruments` must list it.", example="BTCUSDT", pattern=SYMBOL_NAME
        )
    )
    mode: GridMode = field(metadata=about("Which inventory the grid may hold.", example="long"))
    spacing: GridSpacing = field(metadata=about("How levels are spread.", example="arithmetic"))
    lower_price: Decimal | None = field(
        default=None, metadata=about("Bounded: the lowest level.", unit="quote", example="60000", above=0)
    )
    upper_price: Decimal | None = field(
        default=None, metadata=about("Bounded: the highest level.", unit="quote", example="63000", above=0)
    )
    grid_number: int | None = field(
        default=None,
        metadata=about(
            "Bounded: number of intervals between the lowest and the highest level.",
            unit="intervals",
            example=20,
            at_least=2,
            at_most=200,
        ),
    )
    center_price: Decimal | None = field(
        default=None,
        metadata=about("Centered: the price the levels surround.", unit="quote", example="3000", above=0),
    )
    spacing_bps: Decimal | None = field(
        default=None,
        metadata=about(
            "Centered: distance between neighbours.", unit="bps", example="20", above=0, below=10_000
        ),
    )
    levels_per_side: int | None = field(
        default=None,
        metadata=about(
            "Centered: number of levels on each side of the center.",
            unit="levels",
            example=10,
            at_least=1,
            at_most=200,
        ),
    )
    quantity: Decimal | None = field(
        default=None, metadata=about("Size of each order.", unit="base", example="0.001", above=0)
    )
    quote_investment: Decimal | None = field(
        default=None,
        metadata=about(
            "Size of the whole grid, split evenly over its levels.", unit="quote", example="5000", above=0
        ),
    )
    initial_inventory: InitialInventory | None = field(
        default=None,
        metadata=about(
            "Where the base for the sell side comes from; long grids only.",
            example="buy",
            default_text="`buy` for long, absent for neutral",
        ),
    )
    stop_loss_price: Decimal | None = field(
        default=None,
        metadata=about(
            "The grid stops at or below this price; must be below the range.",
            unit="quote",
            example="58000",
            above=0,
        ),
    )
    take_profit_price: Decimal | None = field(
        default=None,
        metadata=about(
            "The grid stops at or above this price; must be above the range.",
            unit="quote",
            example="65000",
            above=0,
        ),
    )
    on_stop: OnStop = field(
        default=OnStop.CANCEL,
        metadata=about("What happens to orders and inventory when the grid stops.", example="cancel"),
    )
    post_only: bool = field(
        default=True,
        metadata=about("Whether an order that would take from the book is refused instead.", example=True),
    )

    @property
    def is_bounded(self) -> bool:
        """Whether the levels are placed between two prices; otherwise around a center."""
        return self.lower_price is not None
