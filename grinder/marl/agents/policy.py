"""What a policy is: an observation in, the proposals of the three agents out.

Law: a policy keeps nothing between two observations; the same observation gives the same proposal.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from grinder.marl.agents.risk import RiskOutput
from grinder.marl.agents.strategic import StrategicOutput
from grinder.marl.agents.tactical import TacticalOutput
from grinder.marl.observing.observation import Observation
from grinder.marl.reasons import Reason


@attrs.frozen
class Proposal:
    """What the three agents propose.

    Attributes:
        strategic: which way and how much.
        tactical: when, how far the stop, how much of the size.
        risk: whether at all.
        policy: who proposed: ``rules`` or the version of the model.
        fallback: why the rules proposed in place of a model; None if a model did.
    """

    strategic: StrategicOutput
    tactical: TacticalOutput
    risk: RiskOutput
    policy: str
    fallback: Reason | None = None


class Policy(Protocol):
    """The agents as a whole."""

    def propose(self, seen: Observation) -> Proposal:
        """The proposals, each agent in its turn: strategic, tactical, risk.

        Raises:
            ModelRefused: if what proposes cannot be used for this observation.
        """
        ...
