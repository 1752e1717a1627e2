"""A decision on recorded market data: the matrices of its last closed bars, and what the agents make of them.

Law: the way from bars to a decision is that of `POST /decide`; only where the observation comes from differs.
Nothing is recorded and nothing is asked of a run, so no halt is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from domain.units import fixed_text
from grinder.data import Kind, RawTable, load_tables, parse_data_argument
from grinder.data.symbols import plain
from grinder.errors import DataError, UserError
from grinder.marl.agents.choosing import choose_policy
from grinder.marl.bars.candles import bars_of_table, bars_of_trades, tactical_bars
from grinder.marl.bars.closed import Bars
from grinder.marl.deciding.coordination import decide
from grinder.marl.deciding.decision import Decision, as_json
from grinder.marl.matrices.assembling import BARS_WARM, NotReady, at, rows
from grinder.marl.matrices.features import features
from grinder.marl.matrices.regime import Regime, regime_at
from grinder.marl.matrices.synergy import Synergy, standing, synergies
from grinder.marl.observing.observation import Observation, body_text
from grinder.marl.observing.of_market import ASSUMED, observed
from grinder.marl.schema import REGIME, REGIMES, STRATEGIC_NS, TACTICAL_NS

LEAST_BARS: Final = REGIME.rows * (STRATEGIC_NS // TACTICAL_NS)
"""5-minute bars that hold the longest matrix where they begin with a half hour."""

PER_DAY: Final = 86_400_000_000_000 // TACTICAL_NS


@attrs.frozen(kw_only=True)
class Decided:
    """A decision and what it rests on.

    Attributes:
        bars: 5-minute bars it was computed from.
        at_ns: close of the last of them.
        not_finite: figures of the matrices that do not exist yet and stand as 0.
    """

    symbol: str
    bars: int
    at_ns: int
    not_finite: int
    regime: Regime
    synergy: Synergy | None
    found: int
    observation: Observation
    decision: Decision

    @property
    def warm(self) -> bool:
        """Whether every figure has left its warm-up."""
        return self.bars >= BARS_WARM

    def body(self) -> str:
        """The body that `POST /decide` takes for the same decision."""
        return f'{{"symbol": "{plain(self.symbol)}", "observation": {body_text(self.observation)}}}'

    def as_dict(self) -> dict[str, Any]:
        """Everything but the matrices."""
        shares = zip(REGIMES, self.observation.regime_probabilities, strict=True)
        synergy = self.synergy
        return {
            "symbol": self.symbol,
            "at_ns": self.at_ns,
            "bars": self.bars,
            "warm": self.warm,
            "not_finite": self.not_finite,
            "assumed": [*ASSUMED, f"a spread of {self.observation.market.spread_bps:g} basis points"],
            "regime": {"name": self.regime.name, "probabilities": dict(shares)},
            "synergy": None if synergy is None else attrs.asdict(synergy),
            "synergies_found": self.found,
            "decision": as_json(self.decision),
        }


def decide_on(data: Sequence[str], symbol: str | None, model: Path | None, spread_bps: float) -> Decided:
    """The decision at the close of the last bar of market data.

    Raises:
        DataError: the data cannot be read, is of several symbols, or holds too few closed bars.
        UserError: the spread is out of its range.
    """
    name, table = _one_table(data, symbol)
    bars = _bars(data[0], table)
    found = features(bars, scores_30m=REGIME.rows) if len(bars) else None
    matrices = at(rows(found), len(bars) - 1) if found else NotReady(reason="tactical rows", have=0, need=1)
    regime = regime_at(found, len(bars) - 1) if found else None
    if found is None or regime is None or isinstance(matrices, NotReady):
        raise _too_few(data[0], len(bars), matrices)
    patterns = synergies(found)
    seen = observed(
        found,
        matrices,
        regime,
        standing(patterns, len(bars) - 1),
        price=_last_price(table),
        spread_bps=spread_bps,
    )
    return Decided(
        symbol=name,
        bars=len(bars),
        at_ns=matrices.at_ns,
        not_finite=matrices.counted_non_finite,
        regime=regime,
        synergy=standing(patterns, len(bars) - 1),
        found=len(patterns),
        observation=seen,
        decision=decide(seen, choose_policy(model)),
    )


def _one_table(data: Sequence[str], symbol: str | None) -> tuple[str, RawTable]:
    given = [parse_data_argument(one) for one in data]
    try:
        tables = load_tables([attrs.evolve(one, symbol=one.symbol or symbol) for one in given], (), None)
    except DataError as error:
        if error.code not in ("data.no_symbol", "data.unknown_symbol"):
            raise
        raise DataError(
            error.code, error.what, place=error.place, value=error.value, fix="name the symbol with --symbol"
        ) from None
    if len(tables) > 1:
        held = ", ".join(tables)
        raise DataError("decide.symbols", "the data is of several symbols", place=str(data[0]), value=held,
                        fix="name the one that is meant with --symbol")  # fmt: skip
    return next(iter(tables.items()))


def _bars(place: str, table: RawTable) -> Bars:
    try:
        if table.kind is Kind.BARS:
            return tactical_bars(bars_of_table(table))
        return bars_of_trades(table)
    except ValueError as error:
        raise DataError(
            "decide.bars",
            f"no 5-minute bars can be made of this: {error}",
            place=place,
            value=table.kind.value,
            fix="give candles of 5 minutes or an exact part of them, or trades",
        ) from error


def _too_few(place: str, have: int, why: object) -> UserError:
    lacking = why.reason if isinstance(why, NotReady) else "half hours"
    return DataError(
        "decide.too_few",
        f"there are too few closed bars for the matrices ({lacking})",
        place=place,
        value=f"{have} of {LEAST_BARS} five-minute bars",
        fix=f"give at least {LEAST_BARS // PER_DAY} days and a half hour of market data;"
        f" {BARS_WARM // PER_DAY} days leave nothing in its warm-up",
    )


def _last_price(table: RawTable) -> str:
    """The last price as the file has it."""
    column = table.close if table.kind is Kind.BARS else table.price
    assert column is not None
    known = column if table.trade is None else column[table.trade]
    return fixed_text(int(known[-1]), table.price_decimals)
