"""Which policy decides: the model if it can be used, else the rules, and then why.

Law: a missing or broken model never stops a decision, and never passes in silence: every proposal the rules
make in a model's place says why.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from grinder.marl.agents.network import NetworkPolicy, load_network
from grinder.marl.agents.policy import Policy, Proposal
from grinder.marl.agents.rules import RulePolicy
from grinder.marl.observing.observation import Observation
from grinder.marl.reasons import Reason
from grinder.marl.refusals import ModelRefused, model_refused


@attrs.frozen
class RulesInstead:
    """The rules, in place of a model that cannot be used.

    Attributes:
        why: the refusal of the model.
    """

    why: Reason

    def propose(self, seen: Observation) -> Proposal:
        """What the rules propose, and why they do; never refuses."""
        return attrs.evolve(RulePolicy().propose(seen), fallback=self.why)


@attrs.frozen
class ModelElseRules:
    """A model, and the rules for an observation it cannot answer.

    Attributes:
        model: what proposes as long as it can.
    """

    model: NetworkPolicy

    def propose(self, seen: Observation) -> Proposal:
        """What the model proposes, or the rules with the reason; never refuses."""
        try:
            return self.model.propose(seen)
        except ModelRefused as refusal:
            return RulesInstead(_why(refusal)).propose(seen)


def choose_policy(folder: Path | None) -> Policy:
    """The policy of a model's folder (None: none is configured); it answers every observation."""
    try:
        if folder is None:
            raise model_refused("model.none", "no model is configured", fix="name the folder of a model")
        return ModelElseRules(load_network(folder))
    except ModelRefused as refusal:
        return RulesInstead(_why(refusal))


def _why(refusal: ModelRefused) -> Reason:
    # The sentence alone: the place is a path of this machine, and a decision is shown to strangers.
    return Reason(refusal.code, f"The rules decide: {refusal.what}.")
