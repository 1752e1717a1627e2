"""The policy that needs no model: the sub-experts' formulas, as they stand.

Law: it answers every observation.  It is what decides when no model can.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from grinder.marl.agents import strategic as strategy
from grinder.marl.agents import tactical as tactics
from grinder.marl.agents.odds import nearest, tilted
from grinder.marl.agents.policy import Proposal
from grinder.marl.agents.risk import RiskOutput, control_odds, dangers, multiplier_odds
from grinder.marl.observing.observation import Matrix, Observation
from grinder.marl.schema import REGIMES, STRATEGIC, TACTICAL, MatrixSchema

RULES = "rules"
"""The name a decision gives this policy."""


@attrs.frozen
class RulePolicy:
    """Proposals by rule."""

    def propose(self, seen: Observation) -> Proposal:
        """The proposals; never refuses."""
        strategic = strategic_by_rule(seen)
        return Proposal(strategic, tactical_by_rule(seen, strategic), risk_by_rule(seen), RULES)


def last_row(schema: MatrixSchema, matrix: Matrix) -> dict[str, float]:
    """The newest row by column."""
    return dict(zip(schema.columns, matrix[-1].tolist(), strict=True))


def _regime(seen: Observation) -> Mapping[str, float]:
    return dict(zip(REGIMES, seen.regime_probabilities, strict=True))


def strategic_by_rule(seen: Observation) -> strategy.StrategicOutput:
    """The ensemble, tilted by the synergy; the size nearest to what its conviction asks for."""
    regime = _regime(seen)
    heard, said = strategy.ensemble(last_row(STRATEGIC, seen.strategic), regime)
    strength = strategy.SYNERGY_STRENGTH * seen.synergy.confidence
    direction = tilted(heard, seen.synergy.direction, strength)
    held = seen.position
    loss = strategy.adds_to_a_loss(direction, held.direction, held.unrealised)
    size = nearest(strategy.wanted_size(direction, regime, loss), strategy.SIZES)
    return strategy.StrategicOutput(direction, size, said)


def tactical_by_rule(seen: Observation, strategic: strategy.StrategicOutput) -> tactics.TacticalOutput:
    """The ensemble of the experts, and what follows from its agreement with the strategic direction."""
    row = last_row(TACTICAL, seen.tactical)
    momenta = seen.tactical[-tactics.ENTRY_BARS :, TACTICAL.column("momentum_5")].tolist()
    cost = tactics.entry_cost(seen.market.spread_bps, seen.market.atr)
    said = {
        "fvg": tactics.fvg_expert(row),
        "momentum": tactics.momentum_expert(row),
        "entry": tactics.entry_expert(momenta, seen.market.imbalance, cost),
    }
    heard = tactics.ensemble(said, seen.synergy.type)
    agreed = tactics.agreement(heard, strategic.chosen_direction)
    volatility = float(seen.strategic[-1, STRATEGIC.column("volatility_30")])
    return tactics.TacticalOutput(
        timing=tactics.timing_odds(agreed),
        stop=nearest(tactics.wanted_stop(volatility), tactics.STOPS),
        scale=nearest(tactics.wanted_scale(agreed, cost), tactics.SCALES),
        direction=heard,
        experts=said,
    )


def risk_by_rule(seen: Observation) -> RiskOutput:
    """The greatest danger of the ten figures decides."""
    found = dangers(seen.risk)
    worst = max(found.values())
    return RiskOutput(control_odds(worst), multiplier_odds(worst), found)
