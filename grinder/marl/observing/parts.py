"""The parts of an observation besides its matrices: synergy, position, market, risk, edge.

Law: a part is one key of a body (`PLACE`).  Its attributes carry their units and ranges, and a part that
breaks them, or contradicts itself, cannot be built.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

import attrs

from grinder.marl.observing.figures import Figure, checked, read_number
from grinder.marl.refusals import refused
from grinder.marl.schema import SYNERGIES

WIN_RATES_MOST = 1_000
"""Earlier win rates a body may hold."""

WIN_RATE = Figure(0, 1, "share", "A win rate measured earlier.")
PRICE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?", re.ASCII)
"""A plain decimal; that it is above 0 is checked apart."""

# --- lists -------------------------------------------------------------------------------------------


def read_list(value: object, place: str, fix: str) -> Sequence[object]:
    """A list or a tuple as it is.

    Raises:
        UserError: ``observation.wrong_type``.
    """
    if not isinstance(value, list | tuple):
        raise refused("observation.wrong_type", "this must be a list", place=place, value=value, fix=fix)
    return value


def _win_rates(given: object) -> tuple[float, ...]:
    place = "edge.win_rates"
    rates = read_list(given, place, f"write a list of at most {WIN_RATES_MOST} numbers")
    if len(rates) > WIN_RATES_MOST:
        raise refused(
            "observation.wrong_shape",
            "there are too many win rates",
            place=place,
            value=rates,
            fix=f"give the last {WIN_RATES_MOST}",
        )
    return tuple(read_number(one, WIN_RATE, f"{place}[{at}]") for at, one in enumerate(rates))


# --- the parts -----------------------------------------------------------------------------------------


@attrs.frozen(field_transformer=checked)
class Synergy:
    """The pattern of signals that is on, if any.

    Attributes:
        type: one of `SYNERGIES`, or None: then direction and confidence are 0.
        direction: +1 up, −1 down, 0 only without a type.
        confidence: how far it is trusted, 0 to 1.
    """

    PLACE: ClassVar[str] = "synergy"

    direction: Annotated[int, Figure(-1, 1, "sign", "Up is 1, down -1; 0 only without a type.", whole=True)]
    confidence: Annotated[float, Figure(0, 1, "share", "How far the synergy is trusted.")]
    type: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a type that is unknown and a direction without a type or the other way round."""
        if self.type is not None and self.type not in SYNERGIES:
            raise refused(
                "observation.unknown_choice",
                "the type of synergy is not known",
                place="synergy.type",
                value=self.type,
                fix=f"write one of {', '.join(SYNERGIES)}, or null",
            )
        if (self.type is None) != (self.direction == 0) or (self.type is None and self.confidence):
            raise refused(
                "observation.inconsistent",
                "a synergy has a type and a direction, and no synergy has neither nor a confidence",
                place="synergy.direction",
                value=self.direction,
                fix="write type null, direction 0, confidence 0; or a type with direction 1 or -1",
            )


@attrs.frozen(field_transformer=checked)
class Position:
    """What is held now.

    Attributes:
        direction: +1 long, −1 short, 0 flat.
        size: size of the position as a share of the largest the limits allow.
        unrealised: profit not yet realised over the cost of the position; a loss is negative.
    """

    PLACE: ClassVar[str] = "position"

    direction: Annotated[int, Figure(-1, 1, "sign", "Long is 1, short -1, flat 0.", whole=True)]
    size: Annotated[float, Figure(0, 1, "share of the limit", "Size of the position held.")]
    unrealised: Annotated[
        float, Figure(-10, 10, "share of cost", "Profit not yet realised; a loss is negative.")
    ]

    def __attrs_post_init__(self) -> None:
        """Refuse a size without a direction, a direction without a size, and a profit of nothing."""
        if (self.direction == 0) != (self.size == 0) or (self.direction == 0 and self.unrealised):
            raise refused(
                "observation.inconsistent",
                "a flat position has size 0 and no profit, and any other has a size",
                place="position.size",
                value=self.size,
                fix="write direction 0, size 0, unrealised 0; or a direction with a size above 0",
            )


@attrs.frozen(field_transformer=checked)
class Market:
    """The market now.

    Attributes:
        spread_bps: ask less bid over their middle, in basis points.
        atr: average true range of 14 five-minute bars as a share of the price.  At most a fifth: the farthest
            target, 4.5 of them, must lie above price 0.
        imbalance: (bid size − ask size) / (bid size + ask size) of the visible book.
        price: last price in quote currency, as decimal text.
    """

    PLACE: ClassVar[str] = "market"

    spread_bps: Annotated[float, Figure(0, 10_000, "basis points", "Ask less bid over their middle.")]
    atr: Annotated[float, Figure(0, 0.2, "share of the price", "Average true range of 14 five-minute bars.")]
    imbalance: Annotated[float, Figure(-1, 1, "share", "Bid less ask size over their sum.")]
    price: str

    def __attrs_post_init__(self) -> None:
        """Refuse a price that is no decimal above 0."""
        price: object = self.price
        if not isinstance(price, str) or not PRICE.fullmatch(price) or not price.strip("0."):
            raise refused(
                "observation.bad_price",
                "the price must be a decimal above 0, as text",
                place="market.price",
                value=price,
                fix='write digits in quotes, such as "61250.5"',
            )


@attrs.frozen(field_transformer=checked)
class RiskFigures:
    """The ten figures the risk agent sees; all but the count are ratios.

    Attributes:
        equity_ratio: equity over the equity the account began with.
        open_positions: how many positions are open.
        volatility_regime: where volatility lies between its calmest (0) and its wildest (1).
        correlation: mean correlation of the open positions.
        var_5pct: loss that 95 of 100 days stay below, over equity.
        drawdown: fall of equity from its highest, as a share of it.
        margin_use: margin in use over margin available.
        time_of_day_risk: how thin and erratic the market is at this hour, 0 to 1.
        stress: how much of a market-wide stress shows, 0 to 1.
        liquidity: how easily the position can be left, 1 at once, 0 not at all.
    """

    PLACE: ClassVar[str] = "risk"

    equity_ratio: Annotated[float, Figure(0, 1_000, "ratio", "Equity over the equity at the beginning.")]
    open_positions: Annotated[int, Figure(0, 1_000, "positions", "Positions open.", whole=True)]
    volatility_regime: Annotated[float, Figure(0, 1, "share", "From the calmest, 0, to the wildest, 1.")]
    correlation: Annotated[float, Figure(-1, 1, "correlation", "Mean correlation of the open positions.")]
    var_5pct: Annotated[float, Figure(0, 1, "share of equity", "Loss that 95 of 100 days stay below.")]
    drawdown: Annotated[float, Figure(0, 1, "share of the high", "Fall of equity from its highest.")]
    margin_use: Annotated[float, Figure(0, 1, "share", "Margin in use over margin available.")]
    time_of_day_risk: Annotated[float, Figure(0, 1, "share", "How thin the market is at this hour.")]
    stress: Annotated[float, Figure(0, 1, "share", "Market-wide stress.")]
    liquidity: Annotated[float, Figure(0, 1, "share", "1: can be left at once; 0: not at all.")]


@attrs.frozen(field_transformer=checked)
class Edge:
    """What past trades say of the edge, for the Kelly fraction.

    Attributes:
        win_rate: share of round trips that won, above 0 and below 1.
        payoff: mean win over mean loss, above 0.
        round_trips: how many closed round trips the two rest on.
        win_rates: earlier values of `win_rate`, oldest first, at most `WIN_RATES_MOST`; may be empty.
    """

    PLACE: ClassVar[str] = "edge"

    win_rate: Annotated[float, Figure(0, 1, "share", "Round trips that won.", inside=True)]
    payoff: Annotated[float, Figure(0, 1_000_000, "ratio", "Mean win over mean loss.", inside=True)]
    round_trips: Annotated[int, Figure(0, 10**9, "round trips", "Closed round trips counted.", whole=True)]
    win_rates: tuple[float, ...] = attrs.field(default=(), converter=_win_rates)
