"""The account, its fees, and how the simulated exchange fills orders.

Law: what belongs to the account as a whole is here; what belongs to one symbol is in `model` and `grid`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import Factory, field, frozen

from grinder.config.choices import Exchange, FillModel, PartialFills
from grinder.config.setting import about

ASSET_NAME: Final = "[A-Z0-9][A-Z0-9._-]{0,30}"

LOOPBACK: Final = r"(http|ws)s?://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?(/[^\s]*)?"
"""An address on this machine: a configuration can never send keys or orders anywhere else."""


@frozen(kw_only=True)
class Fees:
    """What the exchange takes for each fill, and in which asset."""

    maker_bps: Decimal = field(
        default=Decimal(1),
        metadata=about(
            "Fee of a fill that rested in the book; negative is a rebate.",
            unit="bps of notional",
            example="1",
            above=-100,
            below=1000,
        ),
    )
    taker_bps: Decimal = field(
        default=Decimal(5),
        metadata=about(
            "Fee of a fill that took from the book.",
            unit="bps of notional",
            example="5",
            at_least=0,
            below=1000,
        ),
    )
    asset: str = field(
        default="quote",
        metadata=about(
            "The asset fees are taken in: `quote`, `base`, or a third asset's name.",
            example="quote",
            pattern=f"(quote|base|{ASSET_NAME})",
        ),
    )
    asset_price: Decimal | None = field(
        default=None,
        metadata=about(
            "Price of the third fee asset; required with one, absent otherwise.",
            unit="quote",
            example="600",
            above=0,
        ),
    )


@frozen(kw_only=True)
class Endpoint:
    """Addresses of an exchange on this machine (`grinder sim-exchange`), instead of the exchange's own."""

    rest: str = field(
        metadata=about("Address of the requests.", example="http://127.0.0.1:8700", pattern=LOOPBACK)
    )
    ws: str = field(
        metadata=about("Address of the market streams.", example="ws://127.0.0.1:8700/ws", pattern=LOOPBACK)
    )
    ws_private: str = field(
        default="",
        metadata=about(
            "Address of the private streams, where it differs.",
            example="ws://127.0.0.1:8700/private",
            pattern=f"({LOOPBACK})?",
        ),
    )


@frozen(kw_only=True)
class Account:
    """The account that trades, and what it holds at the start."""

    exchange: Exchange = field(
        default=Exchange.SIMULATED, metadata=about("Where orders go.", example="simulated")
    )
    connector: str = field(
        default="",
        metadata=about(
            "Name of the entry point in the group `grinder.connectors`; only with `exchange: other`.",
            example="my-exchange",
            pattern="([a-z][a-z0-9-]{0,30})?",
        ),
    )
    endpoint: Endpoint | None = field(
        default=None,
        metadata=about(
            "Where the exchange is, for one that runs on this machine; never with --live or --testnet.",
            example={"rest": "http://127.0.0.1:8700", "ws": "ws://127.0.0.1:8700/ws"},
        ),
    )
    quote: str = field(
        default="USDT",
        metadata=about("The currency profit is counted in.", example="USDT", pattern=ASSET_NAME),
    )
    balance: Decimal = field(
        metadata=about(
            "Quote currency held at the start; on an exchange, what must at least be there.",
            unit="quote",
            example="10000",
            at_least=0,
        )
    )
    assets: dict[str, Decimal] = field(
        default=Factory(dict),
        metadata=about(
            "Other assets held at the start, by name.",
            unit="the asset itself",
            example={"BTC": "0.05"},
            at_least=0,
            names=ASSET_NAME,
        ),
    )
    fees: Fees = field(
        default=Factory(Fees), metadata=about("Fees of the account.", example={"maker_bps": "1"})
    )


@frozen(kw_only=True)
class Fills:
    """How the simulated exchange fills orders."""

    model: FillModel = field(
        default=FillModel.TOUCH, metadata=about("When a resting order counts as filled.", example="touch")
    )
    feed_latency_ms: int = field(
        default=0,
        metadata=about(
            "Time from a trade at the exchange to its arrival here.",
            unit="ms",
            example=50,
            at_least=0,
            at_most=3_600_000,
        ),
    )
    order_latency_ms: int = field(
        default=0,
        metadata=about(
            "Time from a decision here to its effect at the exchange.",
            unit="ms",
            example=50,
            at_least=0,
            at_most=3_600_000,
        ),
    )
    latency_jitter_ms: int = field(
        default=0,
        metadata=about(
            "Each way takes up to this much longer, drawn from the run's seed.",
            unit="ms",
            example=5,
            at_least=0,
            at_most=60_000,
        ),
    )
    partial: PartialFills = field(
        default=PartialFills.OFF,
        metadata=about("Whether one trade may fill only a part of an order.", example="off"),
    )
    queue_ahead_pct: Decimal = field(
        default=Decimal(100),
        metadata=about(
            "Share of the quantity displayed at the price that is ahead of a new order; used by `queue`.",
            unit="%",
            example="100",
            at_least=0,
            at_most=100,
        ),
    )
