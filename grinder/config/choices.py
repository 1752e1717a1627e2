"""The words a setting can take, each with the sentence that explains it.

Law: a choice is a `StrEnum` member built from its spelling and its explanation, so that the schema, the
reference and the error messages cannot disagree about either.
"""

from __future__ import annotations

from enum import StrEnum


class Choice(StrEnum):
    """A word allowed in the configuration; `about` says what it does."""

    about: str

    def __new__(cls, spelling: str, about: str) -> Choice:
        member = str.__new__(cls, spelling)
        member._value_ = spelling
        member.about = about
        return member


class Exchange(Choice):
    """Where orders go."""

    SIMULATED = "simulated", "the built-in matching engine over recorded, generated or live prices"
    BINANCE = "binance", "Binance spot"
    BINANCE_USDM = "binance-usdm", "Binance USD-margined perpetuals"
    BYBIT = "bybit", "Bybit spot"
    BYBIT_LINEAR = "bybit-linear", "Bybit linear perpetuals"
    OKX = "okx", "OKX spot"
    OKX_SWAP = "okx-swap", "OKX linear perpetual swaps"
    KRAKEN = "kraken", "Kraken spot"
    OTHER = "other", "a connector of another package, named in `account.connector`"


class FillModel(Choice):
    """When a resting order counts as filled."""

    TOUCH = "touch", "a trade at the order's price fills it (optimistic)"
    THROUGH = "through", "only a trade beyond the order's price fills it (pessimistic)"
    QUEUE = "queue", "trades at the price first consume the quantity that was there before the order"


class PartialFills(Choice):
    """Whether one trade may fill only a part of an order."""

    OFF = "off", "an order fills whole or not at all"
    VOLUME = "volume", "an order fills at most the traded volume"


class InstrumentKind(Choice):
    """What is traded."""

    SPOT = "spot", "the asset itself; it cannot be sold before it is held"
    LINEAR = "linear", "a perpetual contract margined and settled in the quote currency"


class GridMode(Choice):
    """Which inventory a grid may hold."""

    LONG = "long", "buys below the price, sells what it bought above; inventory is never negative"
    NEUTRAL = "neutral", "buys below and sells above the start price; inventory may be long or short"


class GridSpacing(Choice):
    """How levels are spread over the range."""

    ARITHMETIC = "arithmetic", "equal price distance between neighbours"
    GEOMETRIC = "geometric", "equal price ratio between neighbours"
    UNIFORM = "uniform", "equal distance in basis points of the center price"


class InitialInventory(Choice):
    """Where the base asset for the sell side of a long grid comes from."""

    BUY = "buy", "bought at the market when the grid starts"
    NONE = "none", "not at all: sells appear only after buys were filled"
    EXISTING = "existing", "taken from what the account already holds"


class OnStop(Choice):
    """What happens to orders and inventory when the grid stops."""

    KEEP = "keep", "orders stay at the exchange, inventory stays"
    CANCEL = "cancel", "orders are cancelled, inventory stays"
    FLATTEN = "flatten", "orders are cancelled, inventory is closed at the market"


class AlertFormat(Choice):
    """How an alert is written for who receives it."""

    GENERIC = "generic", "one JSON object"
    SLACK = "slack", "a Slack incoming webhook"
    DISCORD = "discord", "a Discord webhook"
    PAGERDUTY = "pagerduty", "a PagerDuty event; only critical alerts open one"


class AlertLevel(Choice):
    """How much an alert matters."""

    INFO = "info", "what happened"
    WARNING = "warning", "what somebody should look at"
    CRITICAL = "critical", "what somebody must act on now"
