"""The configuration as the rest of grinder sees it: frozen, checked, complete.

Law: a `Config` that exists has passed every check; nobody downstream checks it again or asks where it came
from.  The classes hold values and say what they mean; how a value is read, merged or refused is not their
business.  Numbers are `Decimal` here and become integers where an instrument's rules are known.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import Factory, field, frozen

from grinder.config.account import ASSET_NAME, Account, Fills
from grinder.config.choices import InstrumentKind
from grinder.config.grid import SYMBOL_NAME, Grid
from grinder.config.live import Live, Observe, Recording
from grinder.config.setting import about

CONFIG_VERSION: Final = 1
"""The newest configuration this program reads."""


@frozen(kw_only=True)
class Instrument:
    """The rules of one symbol at the exchange."""

    kind: InstrumentKind = field(metadata=about("What is traded.", example="spot"))
    tick: Decimal | None = field(
        default=None,
        metadata=about(
            "Smallest price step.", unit="quote", example="0.1", above=0, default_text="taken from the data"
        ),
    )
    lot: Decimal | None = field(
        default=None,
        metadata=about(
            "Smallest quantity step.",
            unit="base",
            example="0.001",
            above=0,
            default_text="taken from the data",
        ),
    )
    min_notional: Decimal = field(
        default=Decimal(0),
        metadata=about("Smallest price × quantity of an order.", unit="quote", example="5", at_least=0),
    )
    base: str = field(
        metadata=about(
            "The asset that is bought and sold.",
            example="BTC",
            pattern=ASSET_NAME,
            default_text="the symbol less its quote suffix",
        )
    )
    quote: str = field(
        metadata=about(
            "The currency it is priced in; must equal `account.quote`.",
            example="USDT",
            pattern=ASSET_NAME,
            default_text="`account.quote`",
        )
    )
    leverage: Decimal = field(
        default=Decimal(1),
        metadata=about(
            "Notional allowed per unit of margin; other than 1 only for `linear`.",
            unit="times",
            example="3",
            at_least=1,
            at_most=200,
        ),
    )
    funding_rate_bps: Decimal = field(
        default=Decimal(0),
        metadata=about(
            "Paid by longs to shorts each interval; other than 0 only for `linear`.",
            unit="bps of notional",
            example="1",
            above=-1000,
            below=1000,
        ),
    )
    funding_interval_hours: int = field(
        default=8,
        metadata=about(
            "Time between two funding payments; other than 8 only for `linear`.",
            unit="hours",
            example=8,
            at_least=1,
            at_most=24,
        ),
    )


@frozen(kw_only=True)
class Risk:
    """Limits that halt trading.  The section left out means no limits; a key set to null, no such limit."""

    session_drawdown_pct: Decimal | None = field(
        default=Decimal(3),
        metadata=about(
            "Fall of equity from the session's highest that halts.",
            unit="%",
            example="3",
            above=0,
            at_most=100,
        ),
    )
    daily_drawdown_pct: Decimal | None = field(
        default=Decimal(5),
        metadata=about(
            "Fall of equity from the day's (UTC) highest that halts.",
            unit="%",
            example="5",
            above=0,
            at_most=100,
        ),
    )
    inventory_max_quote: Decimal | None = field(
        default=Decimal(5000),
        metadata=about(
            "Largest inventory, long or short, at the mark price.", unit="quote", example="5000", above=0
        ),
    )
    orders_per_minute: int | None = field(
        default=None,
        metadata=about(
            "Most new orders in any minute.", unit="orders", example=60, at_least=1, at_most=100_000
        ),
    )


@frozen(kw_only=True)
class Run:
    """How a run is conducted."""

    mark_interval_seconds: int = field(
        default=300,
        metadata=about(
            "Time between two markings of equity.", unit="s", example=300, at_least=1, at_most=86_400
        ),
    )


@frozen(kw_only=True)
class Config:
    """A whole configuration."""

    version: int = field(
        default=CONFIG_VERSION,
        metadata=about(
            "Version of the configuration's layout.", example=1, at_least=1, at_most=CONFIG_VERSION
        ),
    )
    account: Account = field(
        metadata=about("The account that trades, and what it holds.", example={"balance": "10000"})
    )
    fills: Fills = field(
        default=Factory(Fills),
        metadata=about("How the simulated exchange fills orders.", example={"model": "queue"}),
    )
    instruments: dict[str, Instrument] = field(
        metadata=about(
            "The rules of each symbol, by symbol.", example={"BTCUSDT": {"kind": "spot"}}, names=SYMBOL_NAME
        )
    )
    risk: Risk | None = field(
        default=None,
        metadata=about(
            "Limits that halt trading; left out, there are none.", example={"session_drawdown_pct": "3"}
        ),
    )
    run: Run = field(
        default=Factory(Run),
        metadata=about("How a run is conducted.", example={"mark_interval_seconds": 300}),
    )
    live: Live = field(
        default=Factory(Live),
        metadata=about("How a run on an exchange is conducted.", example={"reconcile_seconds": 60}),
    )
    observe: Observe = field(
        default=Factory(Observe),
        metadata=about("What is shown of a run.", example={"metrics_port": 9464}),
    )
    record: Recording = field(
        default=Factory(Recording),
        metadata=about("What is kept beside the ledger.", example={"tape": True}),
    )
    grids: tuple[Grid, ...] = field(
        metadata=about("The grids to trade, at most one per symbol.", example=[{"symbol": "BTCUSDT"}])
    )
