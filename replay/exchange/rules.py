"""How the simulated exchange is set up, and the words in which it refuses.

Law: the refusals are those of a real exchange (Binance's codes and texts), because a strategy that survives
here must meet the same answers there.
"""

from __future__ import annotations

from enum import Enum

import attrs

from domain.instrument import Instrument
from domain.units import ceil_div


class FillModel(Enum):
    """When a resting order is executed."""

    TOUCH = "touch"
    """As soon as the market trades at (or quotes through) its price."""
    THROUGH = "through"
    """Only when the market trades beyond its price."""
    QUEUE = "queue"
    """When the volume traded at its price has used up the queue that was ahead of it."""


class Reject(Enum):
    """Why a request is refused: (code, text)."""

    PRICE_FILTER = ("-1013", "Filter failure: PRICE_FILTER")
    LOT_SIZE = ("-1013", "Filter failure: LOT_SIZE")
    NOTIONAL = ("-1013", "Filter failure: NOTIONAL")
    WOULD_TAKE = ("-2010", "Order would immediately match and take.")
    BALANCE = ("-2010", "Account has insufficient balance for requested action.")
    MARGIN = ("-2019", "Margin is insufficient.")
    DUPLICATE = ("-2010", "Duplicate order sent.")
    REDUCE_ONLY = ("-2022", "ReduceOnly Order is rejected.")
    UNKNOWN_ORDER = ("-2011", "Unknown order sent.")
    UNKNOWN_SYMBOL = ("-1121", "Invalid symbol.")
    MARKET_CLOSED = ("-1013", "Market is closed.")
    MAX_ORDERS = ("-1013", "Filter failure: MAX_NUM_ORDERS")

    @property
    def code(self) -> str:
        """The exchange's number."""
        return self.value[0]

    @property
    def text(self) -> str:
        """The exchange's words."""
        return self.value[1]


@attrs.frozen(kw_only=True)
class ExchangeRules:
    """Everything that does not come from the market.

    Attributes:
        order_latency_ns: from the decision to the exchange, and from the exchange back, each way.
        feed_latency_ns: from a row of the market to the core.
        latency_jitter_ns: each way takes up to this much longer, drawn from the seed.
        volume_limited: a row fills at most the quantity it traded (or quoted).
        queue_ahead_ppm: share of the displayed size that is assumed ahead of a new order (queue model).
        fee_asset: ``quote``, ``base`` (taken from what is received) or the name of a third asset.
        fee_asset_price: quote units per whole unit of a third fee asset.
        fee_asset_decimals: digits after the point of one unit of it.
        funding_rate_ppm, funding_interval_ns: exchanged on perpetual positions at every multiple of the
            interval since 1970; 0 is none.  By symbol.
    """

    model: FillModel = FillModel.TOUCH
    order_latency_ns: int = 0
    feed_latency_ns: int = 0
    latency_jitter_ns: int = 0
    volume_limited: bool = False
    queue_ahead_ppm: int = 1_000_000
    fee_asset: str = "quote"
    fee_asset_price: int = 0
    fee_asset_decimals: int = 8
    funding: dict[str, tuple[int, int]] = attrs.field(factory=dict)


def _whole(rules: ExchangeRules) -> int:
    """Units in one whole fee asset."""
    return int(10**rules.fee_asset_decimals)


def third_asset_fee(rules: ExchangeRules, fee_value: int) -> int:
    """A fee of `fee_value` quote units in units of the third asset, rounded up."""
    return ceil_div(fee_value * _whole(rules), rules.fee_asset_price)


def third_asset_worth(rules: ExchangeRules, units: int) -> int:
    """Worth of third-asset units in quote units, rounded down."""
    return units * rules.fee_asset_price // _whole(rules)


def base_fee(instrument: Instrument, fee_value: int, price_ticks: int) -> int:
    """A fee of `fee_value` quote units in base units at a price, rounded up."""
    return ceil_div(fee_value, price_ticks * instrument.quote_per_tick_base)
