"""Who may decide, in order: risk veto, hard gates, strategic direction, tactical timing.

Law: a step looks at a case and rules or is silent; it changes nothing.  The first ruling stands.  Vetoes,
timing and sizes are read from what the agents proposed, the direction from how they voted after
negotiating.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from grinder.marl.agents import risk as risk_agent
from grinder.marl.agents.odds import CAREFUL, DIRECTIONS, LONG, NEUTRAL, SHORT, SIGN, Odds, choose
from grinder.marl.agents.policy import Proposal
from grinder.marl.agents.tactical import TIMINGS, WAIT
from grinder.marl.deciding.negotiation import AGENTS, Negotiated
from grinder.marl.observing.observation import Observation
from grinder.marl.reasons import Reason, reason

SCORE_LEAST = 0.65
"""A direction is taken from this score on."""

OPPOSED_MOST = 1
"""Two of three agents must not oppose."""

ACTION_OF = {SHORT: "SHORT", LONG: "LONG"}
"""The action that enters a direction."""


@attrs.frozen
class Case:
    """All that the hierarchy judges."""

    seen: Observation
    proposal: Proposal
    negotiated: Negotiated
    scores: Odds

    @property
    def winner(self) -> int:
        """The direction of the greatest score; between equals neutral, then short."""
        return choose(self.scores, CAREFUL)

    @property
    def votes(self) -> tuple[int, ...]:
        """The direction each agent votes for."""
        return tuple(choose(one, CAREFUL) for one in self.negotiated.after)


@attrs.frozen
class Ruling:
    """What one step of the hierarchy says.

    Attributes:
        action: one of `grinder.marl.deciding.decision.ACTIONS`.
        confidence: how sure who decided is.
        reasons: why; the first decided.
        held_share: how much of what is held is to be closed.
    """

    action: str
    confidence: float
    reasons: tuple[Reason, ...]
    held_share: float = 0.0


Step = Callable[[Case], Ruling | None]


def risk_emergency(case: Case) -> Ruling | None:
    """The risk agent's emergency stop: nothing is asked after it, whether or not anything is held."""
    risk = case.proposal.risk
    if risk.chosen != risk_agent.EMERGENCY_STOP:
        return None
    told = (
        reason("risk.emergency", f"The risk agent calls for an emergency stop at {risk.confidence:.4f}."),
    )
    return Ruling("EMERGENCY_STOP", risk.confidence, (*told, *_worst(case)), held_share=1.0)


def risk_veto(case: Case) -> Ruling | None:
    """The risk agent's wish to reduce or close; it forbids entries, and where nothing is held that is all."""
    risk = case.proposal.risk
    if risk.chosen < risk_agent.REDUCE:
        return None
    wish = risk_agent.ACTIONS[risk.chosen]
    told = (
        reason("risk.veto", f"The risk agent vetoes with {wish} at {risk.confidence:.4f}."),
        *_worst(case),
    )
    if not case.seen.position.direction:
        return Ruling("BLOCKED", risk.confidence, told)
    action, share = ("REDUCE", 0.5) if risk.chosen == risk_agent.REDUCE else ("FLATTEN", 1.0)
    return Ruling(action, risk.confidence, told, held_share=share)


def hard_gates(case: Case) -> Ruling | None:
    """A halt or a pause in force: nothing is done, whatever the agents want."""
    if not case.seen.gates:
        return None
    return Ruling(
        "BLOCKED", 1.0, tuple(reason("gate.in_force", f"{one} is in force.") for one in case.seen.gates)
    )


def no_size_left(case: Case) -> Ruling | None:
    """The risk agent's multiplier 0: it does not act, and leaves nothing to act with."""
    risk = case.proposal.risk
    if risk.chosen_multiplier:
        return None
    told = (reason("risk.no_size", "The risk agent sets the size to 0."), *_worst(case))
    return Ruling("BLOCKED", risk.multiplier[0], told)


def no_direction(case: Case) -> Ruling | None:
    """No direction that wins by enough, with at most one agent against it, and is the strategic agent's."""
    winner, score = case.winner, case.scores[case.winner]
    told = f"{DIRECTIONS[winner]} with a score of {score:.4f}"
    marked = _marked_down(case)
    if winner == NEUTRAL:
        return Ruling("HOLD", score, (reason("vote.neutral", f"The vote is {told}."), *marked))
    if score < SCORE_LEAST:
        text = f"The vote is {told}, below {SCORE_LEAST}."
        return Ruling("HOLD", score, (reason("vote.below_threshold", text), *marked))
    against = [agent for agent, vote in zip(AGENTS, case.votes, strict=True) if SIGN[vote] == -SIGN[winner]]
    if len(against) > OPPOSED_MOST:
        text = f"The vote is {told}, opposed by {' and '.join(against)}."
        return Ruling("HOLD", score, (reason("vote.opposed", text), *marked))
    if case.votes[0] != winner:
        text = f"The vote is {told}; the strategic agent votes {DIRECTIONS[case.votes[0]]}."
        return Ruling("HOLD", score, (reason("vote.not_strategic", text), *marked))
    return None


def not_now(case: Case) -> Ruling | None:
    """The tactical agent's wait: the direction stands, and its time has not come."""
    tactical = case.proposal.tactical
    if tactical.chosen_timing != WAIT:
        return None
    text = f"The tactical agent waits at {tactical.confidence:.4f}; the vote is {DIRECTIONS[case.winner]}."
    return Ruling("HOLD", case.scores[case.winner], (reason("timing.wait", text), *_marked_down(case)))


def enter(case: Case) -> Ruling:
    """What is left: the direction that won."""
    winner, score = case.winner, case.scores[case.winner]
    timing = TIMINGS[case.proposal.tactical.chosen_timing]
    won = reason("vote.won", f"The vote is {DIRECTIONS[winner]} with a score of {score:.4f}.")
    when = reason("timing.enter", f"The timing is {timing} at {case.proposal.tactical.confidence:.4f}.")
    return Ruling(ACTION_OF[winner], score, (won, when, *_marked_down(case)))


HIERARCHY: tuple[Step, ...] = (
    risk_emergency,
    risk_veto,
    no_size_left,
    hard_gates,
    no_direction,
    not_now,
)
"""Who may decide, in order; the first that says anything has decided, and if none does, `enter` does.

Risk veto > hard gates > strategic direction > tactical timing.  A veto comes before the gates because it
closes, and closing is what a halt lets pass."""


def rule(case: Case) -> Ruling:
    """The ruling of the first step that decides."""
    for step in HIERARCHY:
        if (found := step(case)) is not None:
            return found
    return enter(case)


def _worst(case: Case) -> tuple[Reason, ...]:
    """The figure that is in the greatest danger, where the risk agent tells."""
    found = case.proposal.risk.dangers
    if not found:
        return ()
    name = max(found, key=lambda one: found[one])
    value = getattr(case.seen.risk, name)
    return (reason("risk.worst", f"{name} is {value:.4f}, a danger of {found[name]:.4f} of 1."),)


def _marked_down(case: Case) -> tuple[Reason, ...]:
    synergy = case.seen.synergy
    against = -synergy.direction
    if not against or not case.scores[SIGN.index(against)]:
        return ()
    text = (
        f"{synergy.type} points the other way: the score of {DIRECTIONS[SIGN.index(against)]} is times 0.7."
    )
    return (reason("vote.against_synergy", text),)
